// Lets slither look at the contracts and compares its results with those answered in docs/soundness.md.
//
//   node slither.js SLITHER      (`make slither` installs and runs it)
"use strict";
const fs = require("fs");
const os = require("os");
const path = require("path");
const { spawnSync } = require("child_process");
const solc = require("solc");

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "quire-slither-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
const sources = {};
fs.mkdirSync(path.join(folder, "src"));
for (const file of fs.readdirSync(path.join(__dirname, "src"))) {
  // The unrolled hasher is arithmetic alone.
  if (file === "PathHasher.sol") continue;
  const content = fs.readFileSync(path.join(__dirname, "src", file), "utf8");
  sources[`src/${file}`] = { content };
  fs.writeFileSync(path.join(folder, "src", file), content);
}
const input = {
  language: "Solidity",
  sources,
  settings: {
    evmVersion: "cancun",
    viaIR: true,
    outputSelection: { "*": { "*": ["abi", "evm.bytecode", "evm.deployedBytecode", "devdoc", "userdoc"], "": ["ast"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
// As hardhat leaves it, the form in which slither takes what another compiler made.
const built = path.join(folder, "artifacts", "build-info");
fs.mkdirSync(built, { recursive: true });
const versions = { solcVersion: "0.8.37", solcLongVersion: solc.version().replace(".Emscripten.clang", "") };
fs.writeFileSync(path.join(built, "a.json"), JSON.stringify({ _format: "hh-sol-build-info-1", id: "a", ...versions, input, output }));
fs.writeFileSync(path.join(folder, "hardhat.config.js"), 'module.exports = { solidity: "0.8.37" };\n');

const args = [".", "--hardhat-ignore-compile", "--hardhat-artifacts-directory", "artifacts", "--json", "results.json"];
const ran = spawnSync(path.resolve(process.argv[2]), args, { cwd: folder, encoding: "utf8" });
const results = path.join(folder, "results.json");
if (!fs.existsSync(results)) {
  console.error(ran.error ?? ran.stderr);
  process.exit(1);
}
const counts = new Map();
for (const { check } of JSON.parse(fs.readFileSync(results, "utf8")).results.detectors ?? []) {
  counts.set(check, (counts.get(check) ?? 0) + 1);
}

const text = fs.readFileSync(path.join(__dirname, "../../../docs/soundness.md"), "utf8");
const section = text.slice(text.indexOf("## Slither")).split("\n## ")[0];
const answered = new Map([...section.matchAll(/^\| ([a-z-]+) \| (\d+) \|/gm)].map(([, check, count]) => [check, Number(count)]));
for (const check of new Set([...counts.keys(), ...answered.keys()])) {
  const [found, known] = [counts.get(check) ?? 0, answered.get(check) ?? 0];
  console.log(`${check}: ${found} found, ${known} answered`);
  if (found !== known) process.exitCode = 1;
}
if (process.exitCode) console.error("docs/soundness.md, section Slither, does not answer what was found");
