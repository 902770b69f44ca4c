// Proving times of snarkjs and of this project on the same circuit, key and witness.
//
//   node tests/interop/compare.mjs QUIRE [SHAPE] [PAIRS] [THREADS]   (`make compare-snarkjs`)
//
// Each pair proves once with either program, one after the other. snarkjs reads .zkey and .wtns from
// files; its time is that of `groth16 prove` in a process that is warm: curve built, one proof made
// before. Ours is `quire bench prove`, from witness input to proof. snarkjs uses all cores, or one
// where THREADS is 1. Prints one JSON object.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { groth16 } from "snarkjs";

const [program, shape = "tiny", pairs = "3", threads = String(cpus().length)] = process.argv.slice(2);
const quireProgram = resolve(program);
const folder = mkdtempSync(join(tmpdir(), "quire-compare-"));
const at = (name) => join(folder, name);

function quire(...args) {
  const all = ["--data-dir", at("data"), "--threads", threads, ...args, "--json"];
  const result = spawnSync(quireProgram, all, { encoding: "utf8", maxBuffer: 1 << 28 });
  if (result.status !== 0) throw new Error(`quire ${args.join(" ")}: ${result.stderr}`);
  return JSON.parse(result.stdout);
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

try {
  quire("keys", "setup", "--shape", shape);
  quire("export", "zkey", "--shape", shape, "--out", at("key.zkey"));
  quire("export", "wtns", "--sample", shape, "--out", at("sample.wtns"));
  const options = { singleThread: threads === "1" };
  const prove = () => groth16.prove(at("key.zkey"), at("sample.wtns"), undefined, options);
  await prove();
  const theirs = [];
  const ours = [];
  for (let pair = 0; pair < Number(pairs); pair++) {
    const start = process.hrtime.bigint();
    await prove();
    theirs.push(Number(process.hrtime.bigint() - start) / 1e9);
    const measured = quire("bench", "prove", "--shape", shape, "--pairs", "1");
    ours.push(measured.seconds);
  }
  const result = {
    shape,
    threads: Number(threads),
    pairs: Number(pairs),
    snarkjs_seconds: median(theirs),
    quire_seconds: median(ours),
  };
  // Above one: snarkjs takes longer.
  result.ratio_vs_snarkjs = result.snarkjs_seconds / result.quire_seconds;
  console.log(JSON.stringify(result, null, 2));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
