// The whole life of a rollup on a real chain: deployed, used, its operator killed, left by everybody.
// Users know the contract's address and a node alone. Every balance is compared with what this script
// reckons itself, and in the end the contract has nothing.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { account, artifact, check, deploy, equal, program, send, startChain } from './chain.mjs';

const ETHER = 10n ** 18n;
const FEE = 10n ** 12n;
const WEEK = 604_800;

let step = 0;
const heading = (text) => console.log(`\n${++step}. ${text}`);
const say = (text) => console.log(`   ${text}`);

const folder = mkdtempSync(join(tmpdir(), 'quire-evm-'));
const chain = await startChain(folder);
try {
  await life();
} finally {
  chain.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function life() {
  const started = Date.now();
  const keys = join(folder, 'keys');
  const operatorDir = join(folder, 'operator');
  const operator = program(chain, operatorDir, keys);
  const users = program(chain, join(folder, 'users'), keys);
  const [boss, alice, bob, carol, dave] = [0, 1, 2, 3, 4].map((number) => account(number, folder));

  heading('A chain on loopback, an ERC-20, keys with randomness of the operating system');
  const plain = artifact('PlainToken');
  const token = await deploy(chain, boss, plain, []);
  await send(chain, boss, { address: token, abi: plain.abi, functionName: 'mint', args: [carol.address, 10_000n] });
  operator.json(['keys', 'setup', '--shape', 'tiny']);
  say(`${chain.url}, token ${token}`);

  heading('The operator deploys the contract; its first deposits are the fee accounts');
  const deploying = ['l1', 'deploy', '--shape', 'tiny', '--token', token, '--l1-fee', '1000gwei', '--freeze-after', `${WEEK}`];
  await killedOnceItSends(deploying);
  const other = operator.refused([...deploying, '--pending-cap', '7'], boss);
  check(other.includes('--pending-cap is another now'), `another deployment was refused for another reason: ${other}`);
  const beside = operator.refused(['l1', 'connect', token]);
  check(beside.includes('was begun'), `a mirror beside it was refused for another reason: ${beside}`);
  const deployed = operator.json(deploying, boss);
  const made = await chain.publicClient.getTransactionCount({ address: boss.address });
  // The token and its minting, two contracts, the token's listing, two fee accounts.
  equal(made, 7, 'transactions of the operator, though its first try was killed while it sent');
  const contract = deployed.contract;
  say(`contract ${contract} on chain ${deployed.chain_id}, ${deployed.tokens.length} tokens`);

  heading('Users connect to the contract from its address alone, and deposit');
  users.json(['l1', 'connect', contract]);
  // As after a kill that came once the mirror was in place.
  equal(users.json(['l1', 'connect', contract]).contract, contract, 'connected twice');
  const owners = new Map();
  const book = new Map();
  const open = (key, name, amount, tokenId, extra = []) => {
    const wallet = join(operatorDir, 'wallets', `${name}.json`);
    const made = users.json(['deposit', '--wallet', wallet, '--amount', `${amount}`, ...extra], key);
    owners.set(made.account, { key, wallet, token: tokenId });
    book.set(made.account, BigInt(made.amount));
    return made.account;
  };
  for (const name of ['alice', 'bob', 'carol', 'dave']) {
    operator.json(['wallet', 'new', name, '--no-passphrase']);
  }
  for (const { token: tokenId, account: index } of deployed.fee_accounts) {
    owners.set(index, { key: boss, token: tokenId });
    book.set(index, 0n);
  }
  const a = open(alice, 'alice', 5n * ETHER, 0);
  const b = open(bob, 'bob', 2n * ETHER, 0);
  const c = open(carol, 'carol', 9_000n, 1, ['--token', token]);
  const d = open(dave, 'dave', 0n, 1, ['--token', token]);
  say(`accounts ${[...book.keys()].join(', ')}`);
  const ran = operator.json(['run'], boss);
  equal(ran.finalized_root, await onChain('root'), 'the root on the chain');
  say(`${ran.batches} batches proven and final, root ${ran.finalized_root.slice(0, 18)}…`);

  heading('Transfers, a withdrawal and its claim');
  const pay = (name, from, to, amount, into = book) => {
    operator.json(['transfer', '--wallet', name, '--from', `${from}`, '--to', `${to}`, '--amount', `${amount}`]);
    into.set(from, into.get(from) - amount);
    into.set(to, into.get(to) + amount);
  };
  pay('alice', a, b, ETHER);
  pay('bob', b, a, ETHER / 4n);
  pay('carol', c, d, 1_234n);
  operator.json(['withdraw', '--wallet', 'bob', '--from', `${b}`, '--amount', `${ETHER}`]);
  book.set(b, book.get(b) - ETHER);
  const { batches } = operator.json(['run'], boss);
  const got = await claimed(users, bob);
  equal(got, ETHER, 'what bob was paid');
  say(`${batches} batches final; bob claimed ${got} wei, and has them`);
  check(operator.json(['audit', '--replay']).ok, 'the audit');
  const heir = program(chain, join(folder, 'heir'), keys);
  heir.json(['l1', 'connect', contract]);
  const restored = heir.json(['restore']);
  equal(restored.state_root, await onChain('root'), 'the root that was restored from the chain alone');
  equal(restored.accounts, book.size, 'the accounts that were restored');
  check(heir.refused(['run'], alice).includes('operator'), 'a stranger submitted batches');
  say(`in another directory ${restored.accounts} accounts are restored from the chain alone, with its root`);
  const gift = ['transfer', '--wallet', join(operatorDir, 'wallets', 'alice.json'), '--from', `${a}`, '--to', `${b}`, '--amount', '1'];
  check(heir.refused(gift).includes('--out'), 'a mirror acknowledged what its operator never sees');
  const signed = join(folder, 'gift.bin');
  check(!heir.json([...gift, '--out', signed]).acknowledged, 'what was only signed is acknowledged');
  equal(operator.json(['accept', signed])[0].refused, null, 'what the operator says to it');
  say('signed there, written into a file, and accepted by the operator');

  heading('The operator is killed at work, and everything it had is deleted');
  const later = new Map(book);
  later.set(a, later.get(a) - 1n);
  later.set(b, later.get(b) + 1n);
  for (let round = 0; round < 5; round++) pay('alice', a, b, ETHER / 100n, later);
  const before = await next();
  await killedOnceItSends(['run']);
  const wallets = [...owners.values()].map((owner) => owner.wallet);
  rmSync(join(operatorDir, 'rollup'), { recursive: true });
  // What was sent before the kill may still come into a block.
  await chain.testClient.mine({ blocks: 2 });
  const final = (await next()) > before ? later : book;
  say(final === later ? 'its last batch had become final' : 'its last batch never became final');
  check(wallets.length > 0, 'the wallets are the users\' own');

  heading('A newcomer deposits, alice asks to leave; nobody answers');
  const newcomer = open(dave, 'dave', 3n * ETHER, 0);
  const request = users.json(['exit', 'request', '--account', `${a}`], alice);
  const early = users.refused(['freeze'], dave);
  check(early.includes('NotOverdue'), `the freeze was refused for another reason: ${early}`);
  say(`entry ${request.queue_entry} waits; a freeze before the deadline is refused`);
  await chain.testClient.increaseTime({ seconds: WEEK + 1 });
  await chain.testClient.mine({ blocks: 1 });
  users.json(['freeze'], dave);
  say('a week later dave freezes the rollup');

  heading('Everybody leaves with a proof from the chain alone');
  const out = join(folder, 'plans');
  const all = [...owners.keys()];
  const plans = users.json(['exit', 'plan', ...all.map(String), '--out', out]);
  for (const plan of plans) {
    const left = users.json(['exit', 'execute', plan.plan], bob)[0];
    if (plan.account === newcomer) {
      equal(left.cancelled.length, 1, 'the cancelled deposits of the newcomer');
    } else {
      equal(BigInt(left.exited), final.get(plan.account), `the exit of account ${plan.account}`);
    }
    const again = users.json(['exit', 'execute', plan.plan], bob)[0];
    check(again.exited === null && again.cancelled.length === 0, `account ${plan.account} left twice`);
  }
  final.set(newcomer, 3n * ETHER);
  say(`${plans.length} accounts left, each once`);

  heading('Everybody claims, and every balance is compared');
  for (const key of new Set([...owners.values()].map((owner) => owner.key))) {
    const of = (id) => [...owners].filter(([, owner]) => owner.key === key && owner.token === id);
    const sum = (id) => of(id).reduce((total, [index]) => total + final.get(index), 0n);
    if (sum(0) > 0n) equal(await claimed(users, key, 0), sum(0), `the ETH of ${key.address}`);
    if (sum(1) > 0n) equal(await claimed(users, key, 1), sum(1), `the tokens of ${key.address}`);
    say(`${key.address}: ${sum(0)} wei, ${sum(1)} tokens`);
  }
  const fees = BigInt(users.json(['l1', 'collect'], boss).amount);
  const entries = 8n;
  equal(fees, entries * FEE, 'the fees of the operator');
  const status = users.json(['l1', 'status']);
  for (const totals of status.totals) equal(totals.escrow, '0', `the escrow of token ${totals.token}`);
  equal(await chain.publicClient.getBalance({ address: contract }), 0n, 'the ETH of the contract');
  equal(await tokensOf(contract), 0n, 'the tokens of the contract');
  say(`escrow of both tokens: 0; fees ${fees} wei collected; the contract has nothing`);
  console.log(`\n${all.length} accounts left without their operator, ${((Date.now() - started) / 1000).toFixed(1)} s in all`);

  /** Starts a command of the operator and kills it once its transaction is written down: before, while or after it is sent. */
  async function killedOnceItSends(command) {
    const child = operator.start(command, boss);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const sends = () => {
      const outbox = join(operatorDir, 'ethereum');
      const files = existsSync(outbox) ? readdirSync(outbox).filter((name) => /^outbox-.*\.json$/.test(name)) : [];
      return files.some((name) => JSON.parse(readFileSync(join(outbox, name), 'utf8')).content.records.length > 0);
    };
    while (!sends()) {
      check(child.exitCode === null && !child.signalCode, `quire ${command.join(' ')} ended before it sent anything`);
      await pause(1);
    }
    child.kill('SIGKILL');
    await ended;
    equal(child.signalCode, 'SIGKILL', `how quire ${command.join(' ')} ended`);
  }

  async function onChain(functionName) {
    return chain.publicClient.readContract({ address: contract, abi: artifact('Rollup').abi, functionName });
  }

  async function next() {
    return (await onChain('head'))[0];
  }

  async function tokensOf(address) {
    return chain.publicClient.readContract({ address: token, abi: plain.abi, functionName: 'balanceOf', args: [address] });
  }

  /** Claims, and returns by how much the claimant's balance rose, gas aside. */
  async function claimed(by, key, tokenId = 0) {
    const { address } = key;
    const held = () => (tokenId === 0 ? chain.publicClient.getBalance({ address }) : tokensOf(address));
    const earlier = await held();
    const first = await chain.publicClient.getBlockNumber({ cacheTime: 0 });
    const [claim] = by.json(['claim', '--token', `${tokenId}`], key);
    let gas = 0n;
    const last = await chain.publicClient.getBlockNumber({ cacheTime: 0 });
    for (let blockNumber = first + 1n; blockNumber <= last; blockNumber++) {
      const { transactions } = await chain.publicClient.getBlock({ blockNumber });
      for (const hash of transactions) {
        const receipt = await chain.publicClient.getTransactionReceipt({ hash });
        gas += receipt.gasUsed * receipt.effectiveGasPrice;
      }
    }
    const rose = (await held()) - earlier + (tokenId === 0 ? gas : 0n);
    equal(rose, BigInt(claim.amount), `what ${address} has more`);
    return rose;
  }
}
