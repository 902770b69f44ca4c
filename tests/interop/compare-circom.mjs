// Times of `snarkjs groth16 prove` and `quire groth16 prove` on a circom circuit, each started anew.
//
//   node tests/interop/compare-circom.mjs QUIRE [HASHES] [PAIRS]      (`make compare-circom`)
//
// The circuit is a chain of HASHES (250) Poseidon hashes of circomlib: 59,250 constraints, a domain of 2^16.
// Each pair proves once with snarkjs, once with us from the .zkey and once from the converted key, one after the
// other; both programs use all cores. Prints one JSON object: seconds, and the medians of the ratios.
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { at, packages, quire, snarkjs, spawn } from "./judging.mjs";

const [hashes = "250", pairs = "5"] = process.argv.slice(3);
const source = `pragma circom 2.0.6;
include "poseidon.circom";
template Chain(n) {
  signal input x; signal output y; signal s[n + 1]; component hash[n];
  s[0] <== x;
  for (var i = 0; i < n; i++) {
    hash[i] = Poseidon(2); hash[i].inputs[0] <== s[i]; hash[i].inputs[1] <== i;
    s[i + 1] <== hash[i].out;
  }
  y <== s[n];
}
component main = Chain(${Number(hashes)});
`;
const good = (result) => {
  if (result.status !== 0) throw new Error(result.text);
};
cpSync(join(packages, "circomlib/circuits"), at("circuits"), { recursive: true });
writeFileSync(at("chain.circom"), source);
writeFileSync(at("input.json"), JSON.stringify({ x: "5" }));
const compiler = join(packages, "circom2/cli.js");
good(spawn(process.execPath, [compiler, "chain.circom", "--r1cs", "--wasm", "--O2", "-l", "circuits"]));
good(snarkjs("wtns", "calculate", at("chain_js/chain.wasm"), at("input.json"), at("chain.wtns")));
const { constraints } = quire("groth16", "setup", "--r1cs", at("chain.r1cs"), "--zkey", at("chain.zkey"));
quire("groth16", "key", "convert", at("chain.zkey"), "--r1cs", at("chain.r1cs"), "--out", at("chain.qk"));

const files = [at("chain.wtns"), at("proof.json"), at("public.json")];
function timed(work) {
  const started = performance.now();
  const result = work();
  return { seconds: (performance.now() - started) / 1e3, result };
}
const runs = [];
for (let pair = 0; pair < Number(pairs); pair++) {
  const theirs = timed(() => good(snarkjs("groth16", "prove", at("chain.zkey"), ...files)));
  const ours = timed(() => quire("groth16", "prove", at("chain.zkey"), ...files));
  const converted = timed(() => quire("groth16", "prove", at("chain.qk"), ...files));
  runs.push({
    snarkjs: theirs.seconds,
    zkey: ours.seconds,
    zkey_loading: ours.result.load_seconds,
    converted: converted.seconds,
    converted_loading: converted.result.load_seconds,
  });
}
const median = (values) => values.sort((one, other) => one - other)[values.length >> 1];
const ratio = (name) => Number(median(runs.map((run) => run.snarkjs / run[name])).toFixed(1));
const loading = (name) => Number(median(runs.map((run) => run[`${name}_loading`] / run[name])).toFixed(2));
const facts = {
  constraints,
  runs,
  snarkjs_over_ours: { zkey: ratio("zkey"), converted: ratio("converted") },
  share_of_loading: { zkey: loading("zkey"), converted: loading("converted") },
};
console.log(JSON.stringify(facts, null, 2));
rmSync(dirname(at("chain.qk")), { recursive: true, force: true });
