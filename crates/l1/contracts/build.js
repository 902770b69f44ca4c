// Compiles all contracts into artifacts/NAME.json; with --check fails if one would change.
"use strict";
const fs = require("fs");
const path = require("path");
const solc = require("solc");
const { keccak_256 } = require("js-sha3");

const here = __dirname;
const folders = ["src", "test"];
const sources = {};
for (const folder of folders) {
  for (const file of fs.readdirSync(path.join(here, folder)).sort()) {
    if (!file.endsWith(".sol")) continue;
    const name = `${folder}/${file}`;
    sources[name] = { content: fs.readFileSync(path.join(here, name), "utf8") };
  }
}

let failed = false;
function compile(chosen, viaIR, runs) {
  const input = {
    language: "Solidity",
    sources: chosen,
    settings: {
      evmVersion: "cancun",
      viaIR,
      optimizer: { enabled: true, runs },
      metadata: { bytecodeHash: "none", appendCBOR: false },
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  for (const { severity, formattedMessage } of output.errors || []) {
    console.error(formattedMessage);
    failed = failed || severity === "error";
  }
  if (failed) process.exit(1);
  return output.contracts;
}

// The unrolled hasher is a third smaller by the compiler's older path. The rollup is deployed with
// the address of one and compares its code with this hash.
const hasherFiles = ["src/IPathHasher.sol", "src/PathHasher.sol"];
const hasher = Object.fromEntries(hasherFiles.map((name) => [name, sources[name]]));
const contracts = compile(hasher, false, 200);
const hasherCode = Buffer.from(contracts["src/PathHasher.sol"].PathHasher.evm.deployedBytecode.object, "hex");
const codeHash = `0x${keccak_256(hasherCode)}`;
delete sources["src/PathHasher.sol"];
sources["src/PathHasherCode.sol"] = {
  content: `// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// keccak256 of the code of PathHasher, written by build.js.
bytes32 constant PATH_HASHER_CODE_HASH = ${codeHash};
`,
};
Object.assign(contracts, compile(sources, true, 10000));

const wanted = new Map();
for (const file of Object.keys(contracts).sort()) {
  for (const [name, { abi, evm }] of Object.entries(contracts[file])) {
    const code = evm.deployedBytecode.object;
    if (evm.bytecode.object === "") continue; // interfaces
    if (file.startsWith("src/") && code.length < 400) continue; // libraries
    if (code.length / 2 > 24576) {
      console.error(`${name}: ${code.length / 2} bytes are more than EIP-170 allows`);
      failed = true;
    }
    const artifact = { abi, bytecode: `0x${evm.bytecode.object}`, deployedBytecode: `0x${code}` };
    wanted.set(`${name}.json`, `${JSON.stringify(artifact, null, 1)}\n`);
    console.log(`${name}: ${code.length / 2} bytes of code, ${evm.bytecode.object.length / 2} to deploy`);
  }
}
if (failed) process.exit(1);

wanted.set("../src/PathHasherCode.sol", sources["src/PathHasherCode.sol"].content);

const folder = path.join(here, "artifacts");
const check = process.argv.includes("--check");
for (const [file, text] of wanted) {
  const at = path.join(folder, file);
  const present = fs.existsSync(at) ? fs.readFileSync(at, "utf8") : "";
  if (present === text) continue;
  if (check) {
    console.error(`${file} is not what the sources compile to; run make contracts`);
    failed = true;
  } else {
    fs.writeFileSync(at, text);
  }
}
for (const file of fs.readdirSync(folder)) {
  if (!file.endsWith(".json") || wanted.has(file)) continue;
  if (check) {
    console.error(`artifacts/${file} has no source; run make contracts`);
    failed = true;
  } else {
    fs.unlinkSync(path.join(folder, file));
  }
}
if (failed) process.exit(1);
