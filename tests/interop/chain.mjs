// A chain on loopback and the program on it: what the scripts of this folder have in common.
// Nothing here knows a rule of the rollup; balances are read from the chain with viem.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createPublicClient, createTestClient, createWalletClient, http, toHex } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import { foundry } from 'viem/chains';

export const here = dirname(fileURLToPath(import.meta.url));
export const root = join(here, '..', '..');
const WORDS = 'test test test test test test test test test test test junk';

/** The chain's binary. */
function anvilBinary() {
  const path = process.env.QUIRE_ANVIL ?? join(here, 'node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil');
  if (!existsSync(path)) throw new Error(`${path} is missing: run tests/interop/install, or name one in QUIRE_ANVIL`);
  return path;
}

/** Starts a chain on a free port of loopback, with its log in a folder; resolves once it listens. */
export async function startChain(folder) {
  // Why a file: the commands below are waited for, and nobody would read a pipe meanwhile.
  const log = join(folder, 'anvil.log');
  const output = openSync(log, 'w');
  const child = spawn(anvilBinary(), ['--port', '0', '--host', '127.0.0.1', '--hardfork', 'osaka'], {
    stdio: ['ignore', output, output],
  });
  let failed;
  child.on('error', (error) => (failed = error));
  child.on('exit', (code) => (failed ??= new Error(`anvil ended with ${code}; see ${log}`)));
  process.on('exit', () => child.kill('SIGKILL'));
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  let url;
  while (!url) {
    if (failed) throw failed;
    const found = /Listening on (127\.0\.0\.1:\d+)/.exec(readFileSync(log, 'utf8'));
    if (found) url = `http://${found[1]}`;
    else await pause(20);
  }
  const transport = http(url);
  const publicClient = createPublicClient({ chain: foundry, transport, pollingInterval: 50 });
  return {
    url,
    publicClient,
    testClient: createTestClient({ chain: foundry, mode: 'anvil', transport }),
    wallet: (account) => createWalletClient({ chain: foundry, transport, account }),
    stop: () => child.kill('SIGKILL'),
  };
}

/** A funded account of the chain; its key as a file for the program. */
export function account(number, folder) {
  const account = mnemonicToAccount(WORDS, { addressIndex: number });
  const file = join(folder, `eth-${number}.key`);
  writeFileSync(file, `${toHex(account.getHdKey().privateKey)}\n`, { mode: 0o600 });
  return { account, address: account.address, file };
}

/** A compiled contract of the repository. */
export function artifact(name) {
  const path = join(root, 'crates', 'l1', 'contracts', 'artifacts', `${name}.json`);
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** Deploys a contract and returns its address. */
export async function deploy(chain, from, { abi, bytecode }, args) {
  const hash = await chain.wallet(from.account).deployContract({ abi, bytecode, args });
  return (await chain.publicClient.waitForTransactionReceipt({ hash })).contractAddress;
}

/** Sends a call of a contract and waits until a block has it. */
export async function send(chain, from, call) {
  const hash = await chain.wallet(from.account).writeContract(call);
  const receipt = await chain.publicClient.waitForTransactionReceipt({ hash });
  if (receipt.status !== 'success') throw new Error(`${call.functionName} failed`);
  return receipt;
}

/** The program on a data directory. Ends the script if a command fails. */
export function program(chain, dataDir, keysDir) {
  mkdirSync(dataDir, { recursive: true });
  const binary = process.env.QUIRE ?? join(root, 'target', 'release', 'quire');
  const environment = { ...process.env, XDG_CONFIG_HOME: '/nonexistent' };
  const global = ['--data-dir', dataDir, '--keys-dir', keysDir, '--l1', chain.url, '--confirmations', '0', '--json'];
  const run = (args, key) => {
    const all = [...args, ...global, ...(key ? ['--eth-key-file', key.file] : [])];
    const done = spawnSync(binary, all, { env: environment, encoding: 'utf8', maxBuffer: 1 << 28 });
    if (done.error) throw done.error;
    return done;
  };
  return {
    dataDir,
    /** What a command prints, read as JSON. */
    json(args, key) {
      const done = run(args, key);
      if (done.status !== 0) throw new Error(`quire ${args.join(' ')}: ${done.stderr}`);
      return JSON.parse(done.stdout);
    },
    /** What a command that is refused says. */
    refused(args, key) {
      const done = run(args, key);
      if (done.status === 0) throw new Error(`quire ${args.join(' ')} was not refused`);
      return done.stderr;
    },
    /** Starts a command and leaves it running. */
    start(args, key) {
      const all = [...args, ...global, ...(key ? ['--eth-key-file', key.file] : [])];
      return spawn(binary, all, { env: environment, stdio: 'ignore' });
    },
  };
}

export function check(condition, message) {
  if (!condition) throw new Error(message);
}

export function equal(got, expected, what) {
  check(got === expected, `${what}: expected ${expected}, got ${got}`);
}
