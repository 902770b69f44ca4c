// Proofs of ordinary circom circuits: snarkjs verifies what we prove, and we what it proves, under keys of both
// programs, from a .zkey and from a converted key. Witnesses that are changed are refused by both or by neither.
//
//   node tests/interop/groth16.mjs TARGET/release/quire [--all]
//
// `make judges` runs the first circuits at two levels of optimization, `make judges-all` all of them at every
// level, circomlib's hashes and signatures among them, and one of 2^19 constraints.
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import * as snarkjs from "snarkjs";
import { at, done, finish, judged, packages, quire, quireRefuses, spawn } from "./judging.mjs";

const all = process.argv.includes("--all");
const nothing = () => {};
const quiet = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const bits = (count) => Array.from({ length: count }, (_, index) => (index * index + 1) % 2);

/** A circuit of circomlib, with inputs. */
const library = (file, instance, inputs, main = "") => ({
  name: instance,
  source: `include "${file}.circom";\ncomponent main${main} = ${instance};\n`,
  inputs,
});
const first = [
  library("poseidon", "Poseidon(2)", { inputs: [1, 2] }, " { public [inputs] }"),
  // Terms of A and B out of order.
  library("switcher", "Switcher()", { sel: 1, L: 7, R: 9 }),
  {
    name: "a linear constraint, a zero, and an unused public input",
    source:
      "template T() { signal input a; signal input b; signal input c; signal output d; signal output e;" +
      " d <== a * b; e <== a + 0 * b + 3; }\ncomponent main { public [c] } = T();\n",
    inputs: { a: 3, b: 4, c: 5 },
  },
  {
    name: "no wire but the constant",
    source: "template T() { signal input a; signal input b; b === 3; }\ncomponent main = T();\n",
    inputs: { a: 1, b: 3 },
  },
];

/** Poseidon all the way from a leaf to the root. */
const merkle = {
  name: "a Merkle path of depth 20",
  source: `include "poseidon.circom"; include "switcher.circom";
template Path(n) {
  signal input leaf; signal input siblings[n]; signal input turns[n]; signal output root;
  component switch[n]; component hash[n]; signal nodes[n + 1];
  nodes[0] <== leaf;
  for (var i = 0; i < n; i++) {
    turns[i] * (turns[i] - 1) === 0;
    switch[i] = Switcher(); switch[i].sel <== turns[i]; switch[i].L <== nodes[i]; switch[i].R <== siblings[i];
    hash[i] = Poseidon(2); hash[i].inputs[0] <== switch[i].outL; hash[i].inputs[1] <== switch[i].outR;
    nodes[i + 1] <== hash[i].out;
  }
  root <== nodes[n];
}
component main = Path(20);
`,
  inputs: { leaf: 11, siblings: bits(20).map((bit, index) => index + bit), turns: bits(20) },
};
/** As many multiplications as make a domain of 2^20, in 1,024 equal parts: circom takes minutes for one loop. */
const large = {
  name: "a chain of 2^19 constraints",
  source: `template Part(n) {
  signal input x; signal output y; signal s[n + 1];
  s[0] <== x;
  for (var i = 0; i < n; i++) { s[i + 1] <== s[i] * s[i] + i; }
  y <== s[n];
}
template Chain(m, n) {
  signal input x; signal output y; component part[m];
  for (var i = 0; i < m; i++) {
    part[i] = Part(n);
    if (i == 0) { part[i].x <== x; } else { part[i].x <== part[i - 1].y; }
  }
  y <== part[m - 1].y;
}
component main = Chain(1024, 512);
`,
  inputs: { x: 2 },
  once: true,
};

/** A signature of zk-kit, which shares no code with us. */
function signature() {
  const require = createRequire(import.meta.url);
  const { derivePublicKey, signMessage } = require("@zk-kit/eddsa-poseidon");
  const [[Ax, Ay], { R8, S }] = [derivePublicKey("a key"), signMessage("a key", 1234n)];
  const texts = { Ax, Ay, S, R8x: R8[0], R8y: R8[1], M: 1234n, enabled: 1n };
  return Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, String(value)]));
}
const rest = () => [
  library("bitify", "Num2Bits_strict()", { in: 12345 }),
  library("comparators", "LessThan(16)", { in: [3, 9] }),
  library("mux4", "Mux4()", { c: bits(16), s: bits(4) }),
  library("mimc", "MiMC7(91)", { x_in: 1, k: 2 }),
  library("mimcsponge", "MiMCSponge(2,220,1)", { ins: [1, 2], k: 0 }),
  library("babyjub", "BabyAdd()", { x1: 1, y1: 2, x2: 3, y2: 4 }),
  library("pedersen", "Pedersen(256)", { in: bits(256) }),
  library("eddsaposeidon", "EdDSAPoseidonVerifier()", signature(), " { public [Ax, Ay, M] }"),
  merkle,
  library("sha256/sha256", "Sha256(512)", { in: bits(512) }),
  large,
];

const circuits = all ? [...first, ...rest()] : first;
const levels = all ? ["--O0", "--O1", "--O2"] : ["--O1", "--O2"];
/** Powers of tau for circuits of up to so many constraints; larger ones have a key of our own setup alone. */
const [power, most] = all ? [14, 8000] : [11, 1000];

// The compiler sees no file beside its own folder.
cpSync(join(packages, "circomlib/circuits"), at("circuits"), { recursive: true });
quire("ceremony", "powers", "--power", String(power), "--trial", "--out", at("pot.ptau"));

/** Compiles a circuit and calculates its witness. */
async function prepare({ name, source, inputs }, level, id) {
  writeFileSync(at(`${id}.circom`), `pragma circom 2.0.6;\n${source}`);
  const args = [`${id}.circom`, "--r1cs", "--wasm", "--sym", level, "-l", "circuits"];
  done(`${name} ${level}: circom compiled it`, spawn(process.execPath, [join(packages, "circom2/cli.js"), ...args]));
  await snarkjs.wtns.calculate(inputs, at(`${id}_js/${id}.wasm`), at(`${id}.wtns`));
}

/** A key's verdicts: `prove` and `verify` of both programs, from both forms of the key. */
async function judge(id, key, what) {
  const file = (name) => at(`${id}-${what}-${name}`);
  const json = (name) => JSON.parse(readFileSync(file(name), "utf8"));
  quire("groth16", "key", "export", key, "--out", file("vk.json"));
  const vk = await snarkjs.zKey.exportVerificationKey(key);
  judged(`    ${what}: both export one verifying key`, JSON.stringify(json("vk.json")) === JSON.stringify(vk));
  const theirs = await snarkjs.groth16.prove(key, at(`${id}.wtns`));
  writeFileSync(file("their-proof.json"), JSON.stringify(theirs.proof));
  writeFileSync(file("their-public.json"), JSON.stringify(theirs.publicSignals));
  for (const verifier of [file("vk.json"), key]) {
    quire("groth16", "verify", "--vk", verifier, "--public", file("their-public.json"), "--proof", file("their-proof.json"));
  }
  quire("groth16", "key", "convert", key, "--r1cs", at(`${id}.r1cs`), "--out", file("whole.qk"));
  quire("groth16", "key", "convert", key, "--out", file("bare.qk"));
  const circuit = ["--r1cs", at(`${id}.r1cs`), "--sym", at(`${id}.sym`)];
  for (const [from, more] of [[key, []], [key, circuit], [file("whole.qk"), []], [file("bare.qk"), []], [file("bare.qk"), circuit]]) {
    quire("groth16", "prove", from, at(`${id}.wtns`), file("proof.json"), file("public.json"), ...more);
    const [proof, inputs] = [json("proof.json"), json("public.json")];
    const same = JSON.stringify(inputs) === JSON.stringify(theirs.publicSignals);
    if (!same || !(await snarkjs.groth16.verify(vk, inputs, proof))) judged(`a proof of ${from} ${more}`, false);
    const { calldata } = quire("groth16", "calldata", file("public.json"), file("proof.json"));
    if (calldata !== (await snarkjs.groth16.exportSolidityCallData(proof, inputs))) judged("calldata", false, calldata);
  }
  judged(`    ${what}: snarkjs verifies our proofs of ${theirs.publicSignals.length} inputs, and we verify its`, true);
  return file("whole.qk");
}

/** Changes values of the witness: both programs refuse it, and no file is written, or both take it. */
async function forge(id, key, converted) {
  const witness = readFileSync(at(`${id}.wtns`));
  const wires = (witness.length - 76) / 32;
  if (wires === 1) return;
  const chosen = [...new Set([1, 2, wires >> 1, wires - 1])].filter((wire) => wire > 0 && wire < wires);
  let refused = 0;
  for (const wire of chosen) {
    const forged = Buffer.from(witness);
    forged[76 + 32 * wire] ^= 1;
    writeFileSync(at(`${id}-forged.wtns`), forged);
    const good = await snarkjs.wtns.check(at(`${id}.r1cs`), at(`${id}-forged.wtns`), quiet);
    const out = [at(`${id}-forged.json`), at(`${id}-forged-public.json`)];
    const names = ["--r1cs", at(`${id}.r1cs`), "--sym", at(`${id}.sym`)];
    for (const [from, more] of [[key, []], [key, names], [converted, []]]) {
      const args = ["groth16", "prove", from, at(`${id}-forged.wtns`), ...out, ...more];
      for (const file of out) rmSync(file, { force: true });
      if (good) quire(...args);
      else if (!/no proof|violates constraint/.test(quireRefuses(...args))) judged(`wire ${wire} changed`, false);
      for (const file of out) if (existsSync(file) !== good) judged(`${file} is written`, false);
    }
    refused += good ? 0 : 1;
  }
  judged(`    ${refused} of ${chosen.length} changed witnesses are refused, by both programs`, refused > 0);
}

let number = 0;
for (const level of levels) {
  for (const circuit of circuits.filter(({ once }) => !once || level === "--O1")) {
    const id = `c${number++}`;
    await prepare(circuit, level, id);
    const facts = quire("groth16", "setup", "--r1cs", at(`${id}.r1cs`), "--zkey", at(`${id}-alone.zkey`));
    const converted = await judge(id, at(`${id}-alone.zkey`), `our setup of ${facts.constraints} constraints`);
    await forge(id, at(`${id}-alone.zkey`), converted);
    if (facts.constraints > most) continue;
    const ptau = ["--r1cs", at(`${id}.r1cs`), "--ptau", at("pot.ptau")];
    quire("groth16", "setup", ...ptau, "--zkey", at(`${id}-powers.zkey`));
    const verified = await snarkjs.zKey.verifyFromR1cs(at(`${id}.r1cs`), at("pot.ptau"), at(`${id}-powers.zkey`));
    judged("    snarkjs verifies the contribution of our setup", verified);
    await judge(id, at(`${id}-powers.zkey`), "our setup from powers");
    await snarkjs.zKey.newZKey(at(`${id}.r1cs`), at("pot.ptau"), at(`${id}-new.zkey`));
    await snarkjs.zKey.contribute(at(`${id}-new.zkey`), at(`${id}-theirs.zkey`), "theirs", "text");
    quire("groth16", "key", "convert", at(`${id}-theirs.zkey`), ...ptau, "--out", at(`${id}-verified.qk`));
    await judge(id, at(`${id}-theirs.zkey`), "snarkjs' setup");
    await forge(id, at(`${id}-theirs.zkey`), at(`${id}-verified.qk`));
    const of = [at(`${id}.wtns`), at(`${id}-verified.json`), at(`${id}-verified-public.json`)];
    quire("groth16", "prove", at(`${id}-verified.qk`), ...of);
    quire("groth16", "verify", at(`${id}-theirs.zkey`), of[2], of[1]);
  }
}
await globalThis.curve_bn128?.terminate();
finish();
process.exit(0);
