// Lets snarkjs judge our files, and us judge its files, on the circuit of shape `tiny`.
//
//   node tests/interop/judge.mjs TARGET/release/quire      (`make judges` builds and runs it)
//
// Every step prints what was judged; the first that fails ends the run with status 1. All files lie in
// a temporary folder that is removed at the end.
import { readFileSync, writeFileSync } from "node:fs";
import { accepts, at, done, finish, hashAfter, judged, quire, quireRefuses, refuses, snarkjs, words } from "./judging.mjs";

const modulus = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;
// A scalar's 32 little-endian bytes.
const element = (value) => Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse();

/** Where the first coefficient of a C stands in a .r1cs. */
function firstOfC(file) {
  let at = 12;
  while (file.readUInt32LE(at) !== 2) at += 12 + Number(file.readBigUInt64LE(at + 4));
  at += 12;
  for (let matrix = 0; ; matrix = (matrix + 1) % 3) {
    const entries = file.readUInt32LE(at);
    if (matrix === 2 && entries > 0) return at + 8;
    at += 4 + 36 * entries;
  }
}

/** Twice a scalar of 32 little-endian bytes. */
function doubled(bytes) {
  const value = BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
  return element((2n * value) % modulus);
}

// --- constraints -------------------------------------------------------------------------------
const exported = quire("export", "r1cs", "--shape", "tiny", "--out", at("tiny.r1cs"));
const info = snarkjs("r1cs", "info", at("tiny.r1cs"));
const number = (title) => Number(info.text.match(new RegExp(`# of ${title}: (\\d+)`))?.[1]);
judged(
  `r1cs info agrees: ${exported.constraints} constraints, ${exported.wires} wires`,
  number("Constraints") === exported.constraints &&
    number("Wires") === exported.wires &&
    number("Public Inputs") === exported.public_inputs &&
    number("Outputs") === 0 &&
    info.text.includes("bn-128"),
  info.text,
);

// --- powers and a first key of snarkjs, for a small circuit ------------------------------------
// x·x = y, y·x = z with z public, as [matrix A, B, C] of each row, of [wire, coefficient].
function writeCube(file) {
  const words = (...list) => Buffer.from(new Uint32Array(list).buffer);
  const row = (...wires) => wires.map((wire) => Buffer.concat([words(1, wire), element(1n)]));
  const section = (id, ...parts) => {
    const bytes = Buffer.concat(parts);
    return Buffer.concat([words(id, bytes.length, 0), bytes]);
  };
  writeFileSync(
    file,
    Buffer.concat([
      Buffer.from("r1cs"),
      words(1, 3),
      // Wires; outputs, public and private inputs; labels in 64 bits; constraints.
      section(1, words(32), element(modulus), words(4, 0, 1, 0, 4, 0, 2)),
      section(2, ...row(2, 2, 3), ...row(3, 2, 1)),
      section(3, words(0, 0, 1, 0, 2, 0, 3, 0)),
    ]),
  );
}
writeCube(at("cube.r1cs"));
done("powersoftau new", snarkjs("powersoftau", "new", "bn128", "4", at("s0.ptau")));
done("powersoftau contribute", snarkjs("powersoftau", "contribute", at("s0.ptau"), at("s1.ptau"), "--name=one", "-e=text"));
for (const name of ["s0", "s1"]) {
  done(`prepare phase2 of ${name}`, snarkjs("powersoftau", "prepare", "phase2", at(`${name}.ptau`), at(`${name}p.ptau`)));
}
const cube = ["--r1cs", at("cube.r1cs"), "--ptau"];
const small = quire("ceremony", "new", ...cube, at("s1p.ptau"), "--out", at("cube0.zkey"));
const bare = quire("ceremony", "new", ...cube, at("s1.ptau"), "--out", at("cube0-bare.zkey"));
for (const name of ["s0", "s0p"]) {
  const text = quireRefuses("ceremony", "new", ...cube, at(`${name}.ptau`), "--out", at("none.zkey"));
  judged(`powers that nobody contributed to are refused: ${name}`, text.includes("nobody contributed"), text);
}
const setup = snarkjs("groth16", "setup", at("cube.r1cs"), at("s1p.ptau"), at("cube0-theirs.zkey"));
judged(
  "groth16 setup and ceremony new have the same circuit hash",
  setup.status === 0 &&
    [small, bare].every((one) => one.circuit_hash === hashAfter(setup.text, "Circuit hash")),
  setup.text,
);
quire("ceremony", "contribute", at("cube0-theirs.zkey"), "--out", at("cube1.zkey"));
quire("ceremony", "verify", at("cube1.zkey"), ...cube, at("s1p.ptau"));
const cubeVerified = snarkjs("zkey", "verify", at("cube.r1cs"), at("s1p.ptau"), at("cube1.zkey"));
judged("zkey verify accepts our contribution to its key", accepts(cubeVerified, "ZKey Ok!"), cubeVerified.text);

// --- the ceremony, both programs taking turns --------------------------------------------------
quire("ceremony", "powers", "--power", "17", "--trial", "--out", at("pot.ptau"));
const begun = quire("ceremony", "new", "--shape", "tiny", "--ptau", at("pot.ptau"), "--out", at("0.zkey"));
judged("ceremony new made a key", begun.circuit_hash.length === 128);
judged(
  "an unfinished key is refused",
  /γ|gamma/.test(quireRefuses("keys", "import", at("0.zkey"), "--shape", "tiny", "--allow-dev-keys")) &&
    /contribut/.test(
      quireRefuses("ceremony", "verify", at("0.zkey"), "--shape", "tiny", "--ptau", at("pot.ptau")),
    ),
);
const first = quire("ceremony", "contribute", at("0.zkey"), "--name", "ours", "--out", at("1.zkey"));
const theirs = snarkjs("zkey", "contribute", at("1.zkey"), at("2.zkey"), "--name=theirs", "-e=any text");
judged("snarkjs contributed to our key", theirs.status === 0, theirs.text);
const third = quire("ceremony", "contribute", at("2.zkey"), "--out", at("3.zkey"));
const beacon = "0102030405060708090a0b0c0d0e0f";
const fourth = snarkjs("zkey", "beacon", at("3.zkey"), at("4.zkey"), beacon, "10", "-n=their beacon");
judged("snarkjs added a beacon to our key", fourth.status === 0, fourth.text);
const fifth = quire(
  ...["ceremony", "beacon", at("4.zkey"), "--value", beacon, "--name", "our beacon"],
  ...["--out", at("tiny.zkey")],
);
const ceremony = quire("ceremony", "verify", at("tiny.zkey"), "--r1cs", at("tiny.r1cs"), "--ptau", at("pot.ptau"));
judged(
  "we verify the ceremony with snarkjs' contributions",
  ceremony.contributions.length === 5 && ceremony.circuit_hash === begun.circuit_hash,
  JSON.stringify(ceremony),
);
judged(
  "contribution hashes are those that snarkjs computes",
  ceremony.contributions[1].hash === hashAfter(theirs.text, "Contribution Hash") &&
    ceremony.contributions[0].hash === first.hash &&
    ceremony.contributions[2].hash === third.hash &&
    ceremony.contributions[4].hash === fifth.hash,
  theirs.text,
);
const verified = snarkjs("zkey", "verify", at("tiny.r1cs"), at("pot.ptau"), at("tiny.zkey"));
judged("zkey verify accepts our ceremony", accepts(verified, "ZKey Ok!"), verified.text);
judged(
  "and sees our circuit hash and contributions",
  hashAfter(verified.text, "Circuit Hash") === ceremony.circuit_hash &&
    ceremony.contributions.every((one) => words(verified.text).includes(one.hash)),
  verified.text,
);

// --- keys --------------------------------------------------------------------------------------
const unverified = quireRefuses("keys", "import", at("tiny.zkey"), "--shape", "tiny");
judged("keys import asks for the powers", unverified.includes("without --ptau"), unverified);
// The first coefficient of C doubled: in all that a .zkey shows the same circuit.
const weaker = readFileSync(at("tiny.r1cs"));
const place = firstOfC(weaker);
weaker.set(doubled(weaker.subarray(place, place + 32)), place);
writeFileSync(at("weaker.r1cs"), weaker);
quire("ceremony", "new", "--r1cs", at("weaker.r1cs"), "--ptau", at("pot.ptau"), "--out", at("weak0.zkey"));
quire("ceremony", "contribute", at("weak0.zkey"), "--out", at("weak.zkey"));
const weak = quireRefuses("keys", "import", at("weak.zkey"), "--shape", "tiny", "--ptau", at("pot.ptau"));
judged("keys import refuses the key of a circuit with another C", weak.includes("does not follow"), weak);
const imported = quire("keys", "import", at("tiny.zkey"), "--shape", "tiny", "--ptau", at("pot.ptau"));
judged(
  "keys import takes the finished key",
  imported.contributions === 5 && imported.ceremony_verified && !imported.insecure_dev,
);
const checked = quire("keys", "verify", "--shape", "tiny");
judged("keys verify accepts it", checked.id === imported.id);
const vk = at("data/keys/tiny.vk");
const [told] = quire("keys", "info", vk);
judged(
  "keys info tells of a ceremony with five contributions",
  told.id === imported.id && told.origin === "ceremony" && told.contributions === 5,
);
quire("export", "vkey", vk, "--out", at("vkey.json"));
const theirKey = snarkjs("zkey", "export", "verificationkey", at("tiny.zkey"), at("their-vkey.json"));
const text = (name) => readFileSync(at(name), "utf8");
judged(
  "verification_key.json is the one that snarkjs exports, byte for byte",
  theirKey.status === 0 && text("vkey.json") === text("their-vkey.json"),
  theirKey.text,
);

// --- a batch of a deployment -------------------------------------------------------------------
quire("wallet", "new", "alice", "--no-passphrase");
quire("deposit", "--wallet", "alice", "--amount", "1eth", "--shape", "tiny");
quire("seal", "--all");
const exportedWitness = quire("export", "wtns", "--batch", "1", "--out", at("batch.wtns"));
const check = (name) => snarkjs("wtns", "check", at("tiny.r1cs"), at(name));
const good = check("batch.wtns");
judged("wtns check accepts our witness", accepts(good, "WITNESS IS CORRECT"), good.text);
const witness = readFileSync(at("batch.wtns"));
const values = witness.length - 32 * exportedWitness.wires;
for (const wire of [1, 4, 5, exportedWitness.wires >> 1, exportedWitness.wires - 1]) {
  const mutated = Buffer.from(witness);
  mutated[values + 32 * wire] ^= 1;
  writeFileSync(at("mutated.wtns"), mutated);
  const result = check("mutated.wtns");
  judged(
    `wtns check refuses it with wire ${wire} changed`,
    refuses(result, "WITNESS IS NOT CORRECT"),
    result.text,
  );
}

// --- proofs ------------------------------------------------------------------------------------
const proved = snarkjs("groth16", "prove", at("tiny.zkey"), at("batch.wtns"), at("their-proof.json"), at("their-public.json"));
judged("groth16 prove takes our key and witness", proved.status === 0, proved.text);
quire(
  ...["verify-proof", "--vkey", at("vkey.json"), "--public", at("their-public.json")],
  ...["--proof", at("their-proof.json")],
);
judged("our verifier accepts its proof", true);
quire("run");
const batch = at("data/batches/1");
quire("export", "proof", batch, "--vk", vk, "--out", at("proof.json"));
quire("export", "public", batch, "--vk", vk, "--out", at("public.json"));
const ours = snarkjs("groth16", "verify", at("vkey.json"), at("public.json"), at("proof.json"));
judged("groth16 verify accepts our proof", accepts(ours, "OK!"), ours.text);
judged("both have the same public inputs", text("public.json") === text("their-public.json"));
const other = JSON.parse(readFileSync(at("public.json"), "utf8"));
other[2] = String(BigInt(other[2]) + 1n);
writeFileSync(at("other.json"), JSON.stringify(other));
const wrong = snarkjs("groth16", "verify", at("vkey.json"), at("other.json"), at("proof.json"));
judged("and refuses it for other inputs", refuses(wrong, "Invalid proof"), wrong.text);
quireRefuses(
  ...["verify-proof", "--vkey", at("vkey.json"), "--public", at("other.json")],
  ...["--proof", at("their-proof.json")],
);
judged("as we refuse its proof for other inputs", true);

// --- other spellings of the same proof, which both read ----------------------------------------
const proof = JSON.parse(text("proof.json"));
const hexadecimal = (value) => (Array.isArray(value) ? value.map(hexadecimal) : `0x${BigInt(value).toString(16)}`);
const affine = ({ pi_a, pi_b, pi_c }) => ({ pi_a: pi_a.slice(0, 2), pi_b: pi_b.slice(0, 2), pi_c: pi_c.slice(0, 2) });
const { curve, protocol, ...points } = proof;
const spellings = {
  "no curve": { ...points, protocol },
  "no protocol": { ...points, curve },
  "curve bn254": { ...proof, curve: "bn254" },
  "two coordinates": { ...proof, ...affine(proof) },
  hexadecimal: { pi_a: hexadecimal(points.pi_a), pi_b: hexadecimal(points.pi_b), pi_c: hexadecimal(points.pi_c) },
};
for (const [name, spelling] of Object.entries(spellings)) {
  writeFileSync(at("spelled.json"), JSON.stringify(spelling));
  const verdict = snarkjs("groth16", "verify", at("vkey.json"), at("public.json"), at("spelled.json"));
  quire("verify-proof", "--vkey", at("vkey.json"), "--public", at("public.json"), "--proof", at("spelled.json"));
  judged(`both accept the proof spelled otherwise: ${name}`, accepts(verdict, "OK!"), verdict.text);
}
writeFileSync(at("spelled.json"), JSON.stringify(hexadecimal(JSON.parse(text("public.json")))));
quire("verify-proof", "--vkey", at("vkey.json"), "--public", at("spelled.json"), "--proof", at("proof.json"));
const spelled = snarkjs("groth16", "verify", at("vkey.json"), at("spelled.json"), at("proof.json"));
judged("and public inputs in hexadecimal", accepts(spelled, "OK!"), spelled.text);

// --- our own setup's key, which comes from no ceremony ------------------------------------------
quire("keys", "setup", "--shape", "tiny", "--force");
quire("export", "zkey", "--shape", "tiny", "--out", at("setup.zkey"));
quire("export", "vkey", vk, "--out", at("setup-vkey.json"));
const fromSetup = snarkjs("groth16", "prove", at("setup.zkey"), at("batch.wtns"), at("setup-proof.json"), at("setup-public.json"));
judged("groth16 prove takes the key of our own setup", fromSetup.status === 0, fromSetup.text);
quire(
  ...["verify-proof", "--vkey", at("setup-vkey.json"), "--public", at("setup-public.json")],
  ...["--proof", at("setup-proof.json")],
);
judged("and our verifier accepts that proof", true);
judged(
  "a key without contributions is imported as a development key alone",
  quireRefuses("keys", "import", at("setup.zkey"), "--shape", "tiny", "--force").includes("development"),
);

finish();
