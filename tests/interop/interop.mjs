// A wallet that shares no code with the rollup: keys and signatures by zk-kit, hashes by poseidon-lite,
// Ethereum by viem. It follows docs/protocol.md and nothing else; the rollup accepts what it signs, proves
// it and settles it, and refuses what was changed afterwards.
import { createRequire } from 'node:module';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { poseidon2 } from 'poseidon-lite';
import { concat, decodeEventLog, keccak256, numberToHex, stringToHex } from 'viem';
import { account, artifact, check, equal, program, send, startChain } from './chain.mjs';

// Why not import: these modules import names that CommonJS modules do not export.
const require = createRequire(import.meta.url);
const { mulPointEscalar, subOrder } = require('@zk-kit/baby-jubjub');
const { derivePublicKey, signMessage } = require('@zk-kit/eddsa-poseidon');

const NO_EXPIRY = (1n << 40n) - 1n;
const FEE = 10n ** 12n;
const { abi } = artifact('Rollup');

/** `value` with the largest mantissa that has no trailing zero, or a refusal. */
function float(value, mantissaBits, exponentBits) {
  let [mantissa, exponent] = [value, 0n];
  while (mantissa !== 0n && mantissa % 10n === 0n && mantissa >> mantissaBits !== 0n) {
    mantissa /= 10n;
    exponent += 1n;
  }
  check(mantissa >> mantissaBits === 0n && exponent >> exponentBits === 0n, `${value} is no float`);
  return (exponent << mantissaBits) | mantissa;
}

/** The inverse of 8 modulo the order of the subgroup: Q = inverse · A has A = 8Q. */
function inverseOfEight() {
  for (let j = 0n; ; j++) {
    const [multiple, rest] = [(1n + subOrder * j) / 8n, (1n + subOrder * j) % 8n];
    if (rest === 0n) return multiple;
  }
}

/** What operations are signed for: protocol.md, section 3. */
function domainOf(chainId, contract, salt) {
  const bytes = concat([stringToHex('quire/1'), numberToHex(chainId, { size: 32 }), contract, salt]);
  return BigInt(keccak256(bytes)) >> 6n;
}

class Wallet {
  constructor(seed) {
    this.seed = seed;
    this.key = derivePublicKey(seed);
    this.q = mulPointEscalar(this.key, inverseOfEight());
  }

  /** A signed operation as JSON: kind 1 transfer, 2 withdrawal. */
  sign(domain, { kind, from, to = 0, amount, fee = 0n, nonce, token = 0 }) {
    const [amountPacked, feePacked] = [float(amount, 35n, 5n), float(fee, 11n, 5n)];
    const fields = [
      [kind, 8n], [from, 32n], [to, 32n], [amountPacked, 40n], [feePacked, 16n], [nonce, 40n], [NO_EXPIRY, 40n], [token, 32n],
    ];
    const packed = fields.reduce((word, [value, bits]) => (word << bits) | BigInt(value), 0n);
    const { R8, S } = signMessage(this.seed, poseidon2([domain, packed]));
    const hex = (value, digits) => value.toString(16).padStart(digits, '0');
    return {
      kind, from, to,
      amount: `${amount}`, amount_packed: hex(amountPacked, 10),
      fee: `${fee}`, fee_packed: hex(feePacked, 4),
      nonce, valid_until: Number(NO_EXPIRY), token,
      r8: R8.map(String), s: `${S}`,
    };
  }
}

const folder = mkdtempSync(join(tmpdir(), 'quire-interop-'));
const chain = await startChain(folder);
try {
  await trial();
} finally {
  chain.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function trial() {
  const [boss, anna, ben] = [0, 1, 2].map((number) => account(number, folder));
  const rollup = program(chain, join(folder, 'rollup'), join(folder, 'keys'));
  rollup.json(['keys', 'setup', '--shape', 'tiny']);
  const { contract, chain_id: chainId } = rollup.json(['l1', 'deploy', '--shape', 'tiny', '--l1-fee', '1000gwei'], boss);
  const read = (functionName, args) => chain.publicClient.readContract({ address: contract, abi, functionName, args });
  const domain = domainOf(chainId, contract, await read('salt'));
  equal(await read('domain'), domain, 'the domain');

  const wallets = [new Wallet('anna: a private key of zk-kit'), new Wallet('ben: another one')];
  const deposit = async (wallet, from, amount) => {
    const call = { address: contract, abi, functionName: 'deposit', args: [0, amount, ...wallet.key, ...wallet.q], value: amount + FEE };
    const { logs } = await send(chain, from, call);
    return Number(decodeEventLog({ abi, ...logs[0] }).args.index);
  };
  const a = await deposit(wallets[0], anna, 10n ** 18n);
  const b = await deposit(wallets[1], ben, 5n * 10n ** 17n);
  rollup.json(['run'], boss);
  console.log(`accounts ${a} and ${b} of ${contract} were deposited with viem`);

  const operations = [
    wallets[0].sign(domain, { kind: 1, from: a, to: b, amount: 123n * 10n ** 15n, fee: 10n ** 12n, nonce: 0 }),
    wallets[1].sign(domain, { kind: 1, from: b, to: a, amount: 20_000_000_007n, nonce: 0 }),
    wallets[0].sign(domain, { kind: 1, from: a, to: a, amount: 1n, nonce: 1 }),
    wallets[1].sign(domain, { kind: 2, from: b, amount: 6n * 10n ** 17n, nonce: 1 }),
  ];
  const file = join(folder, 'signed.json');
  const handIn = (list) => {
    writeFileSync(file, JSON.stringify(list));
    return ['accept', file];
  };
  const accepted = rollup.json(handIn(operations));
  check(accepted.every(({ refused }) => refused === null), 'an honest operation was refused');
  // Changed after signing, and signed for another deployment.
  const other = wallets[0].sign(domain + 1n, { kind: 1, from: a, to: b, amount: 5n, nonce: 2 });
  const changed = { ...operations[0], nonce: 2 };
  for (const bad of [other, changed]) {
    check(rollup.refused(handIn([bad])).includes('signature'), 'a bad signature was not refused for it');
  }
  const ran = rollup.json(['run'], boss);
  check(ran.transfers === 3 && ran.dropped === 0, `settled ${ran.transfers} transfers, dropped ${ran.dropped}`);
  const [x, y] = rollup.json(['account', `${a}`, `${b}`]);
  equal(BigInt(x.balance), 10n ** 18n - 123n * 10n ** 15n - 10n ** 12n + 20_000_000_007n, 'what anna has');
  equal(BigInt(y.balance), 5n * 10n ** 17n + 123n * 10n ** 15n - 20_000_000_007n - 6n * 10n ** 17n, 'what ben has');
  equal(await read('claimable', [ben.address, 0]), 6n * 10n ** 17n, 'what ben may claim');
  const before = await chain.publicClient.getBalance({ address: ben.address });
  const { gasUsed, effectiveGasPrice } = await send(chain, ben, { address: contract, abi, functionName: 'claim', args: [0, ben.address] });
  const after = await chain.publicClient.getBalance({ address: ben.address });
  equal(after - before + gasUsed * effectiveGasPrice, 6n * 10n ** 17n, 'what ben was paid');
  check(rollup.json(['audit', '--replay']).ok, 'the audit');
  console.log(`${ran.transfers} transfers and a withdrawal signed with zk-kit were proven and settled; the withdrawal was claimed`);
}
