// What the judges share: both programs, a folder that is removed at the end, and how verdicts are printed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
/** Where npm's packages lie. */
export const packages = join(here, "node_modules");
const quireProgram = resolve(process.argv[2] ?? join(here, "../../target/release/quire"));
const snarkjsProgram = join(packages, "snarkjs/build/cli.cjs");
const folder = mkdtempSync(join(tmpdir(), "quire-judge-"));
/** A file in the folder. */
export const at = (name) => join(folder, name);
const started = Date.now();

/** Runs a program in the folder. */
export function spawn(program, args) {
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith("QUIRE_"));
  const result = spawnSync(program, args, {
    cwd: folder,
    env: Object.fromEntries(environment),
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (result.error) throw result.error;
  // snarkjs colours its levels.
  const text = (result.stdout + result.stderr).replace(/\u001b\[[0-9;]*m/g, "");
  return { status: result.status, text, stdout: result.stdout };
}

/** What a command of ours prints; one that fails ends the run. */
export const quire = (...args) => {
  const result = spawn(quireProgram, ["--data-dir", at("data"), ...args, "--json"]);
  if (result.status !== 0) fail(`quire ${args.join(" ")}`, result.text);
  return JSON.parse(result.stdout);
};
/** The message of a command of ours; one that succeeds ends the run. */
export const quireRefuses = (...args) => {
  const result = spawn(quireProgram, ["--data-dir", at("data"), ...args]);
  if (result.status === 0) fail(`quire ${args.join(" ")} should have been refused`, result.text);
  return result.text;
};
export const snarkjs = (...args) => spawn(process.execPath, [snarkjsProgram, ...args]);

function fail(what, details) {
  console.error(`FAILED: ${what}\n${details ?? ""}`);
  rmSync(folder, { recursive: true, force: true });
  process.exit(1);
}

/** Prints a verdict; one that does not hold ends the run. */
export function judged(what, holds, details) {
  if (!holds) fail(what, details);
  const seconds = ((Date.now() - started) / 1000).toFixed(0).padStart(4);
  console.log(`${seconds} s  ${what}`);
}

/** A step of the other program, which must succeed. */
export const done = (what, result) => judged(what, result.status === 0, result.text);
export const accepts = (result, phrase) => result.status === 0 && result.text.includes(phrase);
export const refuses = (result, phrase) => result.status !== 0 && result.text.includes(phrase);

/** snarkjs prints hashes as lines of four words. */
export const words = (text) => text.replace(/[^0-9a-f]/g, "");
export function hashAfter(text, title) {
  const lines = text.slice(text.indexOf(title)).split("\n").slice(1, 5);
  return lines.map((line) => words(line.replace(/^\[.*?\]/, ""))).join("");
}

/** Removes the folder; every verdict held. */
export function finish() {
  rmSync(folder, { recursive: true, force: true });
  console.log("every judge agrees");
}
