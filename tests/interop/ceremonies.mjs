// Ceremonies of ordinary circom circuits, snarkjs and us taking turns, each judged by both programs.
//
//   node tests/interop/ceremonies.mjs TARGET/release/quire [--all]
//
// `make judges` runs the first circuits, `make judges-all` all of them at two levels of optimization.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { accepts, at, done, finish, judged, packages, quire, quireRefuses, refuses, snarkjs, spawn } from "./judging.mjs";

/** Files of circomlib with instances of their templates. The first have terms of A and B out of order. */
const library = [
  ["bitify", "Num2Bits_strict()"],
  ["switcher", "Switcher()"],
  ["bitify", "Num2Bits(8)"],
  ["bitify", "Bits2Num(8)"],
  ["bitify", "Num2BitsNeg(8)"],
  ["comparators", "IsZero()"],
  ["comparators", "IsEqual()"],
  ["comparators", "ForceEqualIfEnabled()"],
  ["comparators", "LessThan(16)"],
  ["comparators", "GreaterEqThan(8)"],
  ["gates", "XOR()"],
  ["gates", "MultiAND(5)"],
  ["mux1", "MultiMux1(3)"],
  ["mux2", "Mux2()"],
  ["mux3", "Mux3()"],
  ["mux4", "Mux4()"],
  ["multiplexer", "Multiplexer(2,3)"],
  ["multiplexer", "Decoder(4)"],
  ["poseidon", "Poseidon(2)"],
  ["mimc", "MiMC7(8)"],
  ["mimcsponge", "MiMCSponge(2,8,1)"],
  ["babyjub", "BabyAdd()"],
  ["babyjub", "BabyDbl()"],
  ["babyjub", "BabyCheck()"],
  ["escalarmulany", "EscalarMulAny(8)"],
  ["pedersen", "Pedersen(8)"],
  ["eddsaposeidon", "EdDSAPoseidonVerifier()"],
  ["pointbits", "Point2Bits_Strict()"],
  ["binsum", "BinSum(4,3)"],
  ["montgomery", "Edwards2Montgomery()"],
  ["montgomery", "MontgomeryAdd()"],
  ["montgomery", "MontgomeryDouble()"],
  ["sign", "Sign()"],
  ["compconstant", "CompConstant(12345)"],
  ["aliascheck", "AliasCheck()"],
];
const fromLibrary = ([file, instance]) => [instance, `include "${file}.circom";\ncomponent main = ${instance};\n`];
/** Circuits of our own: an empty list of custom gates, and inputs that no constraint needs. */
const own = [
  [
    "custom templates without a gate",
    "pragma custom_templates;\ntemplate T() { signal input a; signal input b; signal output c; c <== a * b; }\ncomponent main = T();\n",
  ],
  ["removed inputs", "template T() { signal input a; signal input b; b === 3; }\ncomponent main = T();\n"],
];
const all = process.argv.includes("--all");
const circuits = [...(all ? library : library.slice(0, 2)).map(fromLibrary), ...own];
const levels = all ? ["--O1", "--O2"] : ["--O2"];

// The compiler sees no file beside its own folder.
cpSync(join(packages, "circomlib/circuits"), at("circuits"), { recursive: true });
function compile(name, source, level) {
  writeFileSync(at("circuit.circom"), `pragma circom 2.0.6;\n${source}`);
  const compiler = join(packages, "circom2/cli.js");
  const result = spawn(process.execPath, [compiler, "circuit.circom", "--r1cs", level, "-l", "circuits"]);
  done(`${name} ${level}: circom compiled it`, result);
}

/** The sections of a file by their numbers. */
function sections(name) {
  const file = readFileSync(at(name));
  const found = new Map();
  for (let place = 12; place < file.length; ) {
    const end = place + 12 + Number(file.readBigUInt64LE(place + 4));
    found.set(file.readUInt32LE(place), file.subarray(place + 12, end));
    place = end;
  }
  return found;
}

function equalSections(left, right) {
  const [ours, theirs] = [sections(left), sections(right)];
  const differing = [...ours.keys()].filter((id) => !theirs.get(id)?.equals(ours.get(id)));
  return ours.size === theirs.size && differing.length === 0;
}

/** One contribution through the form of bellman: out of a key, contributed to, and back. */
function bellman(from, to) {
  const steps = [
    ["zkey", "export", "bellman", at(from), at("challenge")],
    ["zkey", "bellman", "contribute", "bn128", at("challenge"), at("response"), "-e=text"],
    ["zkey", "import", "bellman", at(from), at("response"), at(to), "-n=bellman"],
  ];
  const results = steps.map((step) => snarkjs(...step));
  const failed = results.find((result) => result.status !== 0);
  judged("    a contribution in bellman's form", failed === undefined, failed?.text);
}

/** Where α is in a key's header, behind two moduli with their lengths and three counts. */
const alpha = 2 * 36 + 12;

let number = 0;
quire("ceremony", "powers", "--power", "14", "--trial", "--out", at("pot.ptau"));
for (const level of levels) {
  for (const [name, source] of circuits) {
    const file = (step) => `${number}-${step}.zkey`;
    number += 1;
    compile(name, source, level);
    const circuit = ["--r1cs", at("circuit.r1cs"), "--ptau", at("pot.ptau")];
    quire("ceremony", "new", ...circuit, "--out", at(file("ours")));
    const setup = snarkjs("groth16", "setup", at("circuit.r1cs"), at("pot.ptau"), at(file("theirs")));
    judged(
      "    both programs make the same key, byte for byte in each section",
      setup.status === 0 && equalSections(file("ours"), file("theirs")),
      setup.text,
    );
    const both = (key, what) => {
      quire("ceremony", "verify", at(key), ...circuit);
      const theirs = snarkjs("zkey", "verify", at("circuit.r1cs"), at("pot.ptau"), at(key));
      judged(`    both verify ${what}`, accepts(theirs, "ZKey Ok!"), theirs.text);
    };
    // Begun by us, then they, we, bellman's form, we, and a beacon of theirs.
    done("    snarkjs contributes to our key", snarkjs("zkey", "contribute", at(file("ours")), at(file(1)), "-n=theirs", "-e=text"));
    quire("ceremony", "contribute", at(file(1)), "--name", "ours", "--out", at(file(2)));
    bellman(file(2), file(3));
    quire("ceremony", "contribute", at(file(3)), "--out", at(file(4)));
    done("    snarkjs adds a beacon", snarkjs("zkey", "beacon", at(file(4)), at(file(5)), "0102030405", "10", "-n=beacon"));
    both(file(5), "a ceremony begun by us, with bellman's form in the middle");
    // Begun by them: bellman's form first, and last.
    bellman(file("theirs"), file(6));
    quire("ceremony", "contribute", at(file(6)), "--out", at(file(7)));
    bellman(file(7), file(8));
    both(file(8), "a ceremony begun by snarkjs, with bellman's form first and last");
    // Alpha in the place of the first point of H.
    const [header, query] = [2, 9].map((id) => sections(file(8)).get(id));
    const forged = readFileSync(at(file(8)));
    forged.set(header.subarray(alpha, alpha + 64), forged.indexOf(query));
    writeFileSync(at(file(9)), forged);
    const ours = quireRefuses("ceremony", "verify", at(file(9)), ...circuit);
    const theirs = snarkjs("zkey", "verify", at("circuit.r1cs"), at("pot.ptau"), at(file(9)));
    judged("    both refuse it with another H", ours.includes("the H query") && refuses(theirs, "H section"), ours + theirs.text);
  }
}
finish();
