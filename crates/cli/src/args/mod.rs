//! What was typed, noun by noun. What it means is worked out in `settings` and by each command.
//!
//! Every command's help has examples and the fields of its JSON; tests hold both to it, and hold
//! `docs/cli.md` to this tree.

mod batches;
mod defaults;
mod exchange;
mod groth16;
mod keys;
mod leave;
mod measure;
mod money;
mod shell;
mod wallet;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use batches::*;
pub use exchange::*;
pub use groth16::*;
pub use keys::*;
pub use leave::*;
pub use measure::*;
pub use money::*;
pub use shell::*;
pub use wallet::*;

/// A payments rollup: transfers in batches, each proven with Groth16 and checked with its data.
#[derive(Debug, Parser)]
#[command(
    name = "quire",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  quire demo                                  real mainnet transfers, proven and finalized
  quire estimate --shape t18                  what a shape costs, before its keys are made
  quire import transfers.csv.gz && quire seal --all && quire audit --replay
  quire keys setup --shape t18 && quire run   prove and finalize what was sealed

Settings: flags, then environment (QUIRE_…), then file, then defaults; `quire config show` tells
each value and where it came from.

Exit status:
  0    done
  1    refused: a rule of the rollup or a safeguard says no, nothing changed
  2    usage: arguments, environment or configuration file are wrong
  3    input: a file or passphrase that was handed in is not what it should be
  4    environment: something is missing, not accessible, full, or in use by another process
  5    damaged: data that are kept do not hold; restore them
  70   fault of the program
  130  interrupted; what was finished is kept
  141  nobody reads standard output any more; what the command did is done"
)]
pub struct Cli {
    /// Settings that every command has
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// Arguments that every command has.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct GlobalArgs {
    /// Everything that is kept: L1, batcher, keys, wallets, batches [default: ./quire-data]
    #[arg(long, global = true, value_name = "D")]
    pub data_dir: Option<PathBuf>,
    /// Where keys are [default: D/keys]
    #[arg(long, global = true, value_name = "K")]
    pub keys_dir: Option<PathBuf>,
    /// The native L1's file, or http://HOST of a node of the contract's chain [default: D/rollup/l1.redb]
    #[arg(long, global = true, value_name = "FILE|URL")]
    pub l1: Option<PathBuf>,
    /// L1 blocks that must lie on a block before it counts [default: 0, of a chain 12]
    #[arg(long, global = true, value_name = "N")]
    pub confirmations: Option<u64>,
    /// Configuration file [default: D/quire.toml, or the user's, see `quire config`]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// File whose first line is the passphrase of the wallet [default: asked on the terminal]
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// File of the Ethereum key that signs transactions: 64 hexadecimal digits, mode 0600
    #[arg(long, global = true, value_name = "FILE")]
    pub eth_key_file: Option<PathBuf>,
    /// Accept keys of a seeded setup, for which anybody can forge proofs: trials only
    #[arg(long, global = true)]
    pub allow_dev_keys: bool,
    /// The time is right, though it is days ahead of what was recorded last
    #[arg(long, global = true)]
    pub trust_clock: bool,
    /// Seconds to wait while another command writes the same files
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = DEFAULT_WAIT, value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub wait: u64,
    /// Threads to use [default: one a core]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Print results as JSON on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Tell on standard error what is done; -vv tells more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch real mainnet transfers being batched, proven, checked and finalized
    #[command(after_help = "\
Examples:
  quire demo                          a few batches in a temporary directory
  quire demo --batches 6              more of them
  quire demo --data-dir ./demo        keep everything to look at afterwards

JSON: batches, transfers, finalized_root, state_root, roots_agree, bytes_per_transfer,
setup_seconds, proving_seconds, setup_and_proving_seconds, seconds")]
    Demo(DemoArgs),
    /// Make a deployment: shapes, tokens, fees, limits, operator
    #[command(after_help = "\
The deployment lies in D/rollup: the native L1, the batcher and the operator's wallet. Account 1 is
the operator's fee account in ETH. What is fixed here is bound by the deployment's address.

Examples:
  quire init
  quire init --shape t20 --shape m16 --token USDC:6=0x00000000000000000000000000000000000000aa
  quire init --shape tiny --l1-fee 20gwei --passphrase-file operator.pass

JSON: data_dir, contract, domain, operator, operator_protection, shapes, tokens (token, symbol, decimals,
address), fee_accounts (token, account), l1_fee, state_root")]
    Init(InitArgs),
    /// Make and inspect proving keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Make keys with many parties, none of whom need be trusted by all
    #[command(subcommand)]
    Ceremony(CeremonyCommand),
    /// Write circuits, witnesses, keys and proofs as files of snarkjs
    #[command(subcommand)]
    Export(ExportCommand),
    /// Verify a Groth16 proof of any circuit, in the JSON of snarkjs
    #[command(after_help = "\
The key is refused if it permits forgeries, whoever made it.

Examples:
  quire verify-proof --vkey verification_key.json --public public.json --proof proof.json

JSON: verifying_key, public_inputs")]
    VerifyProof(VerifyProofArgs),
    /// Prove circom's circuits, with the files of snarkjs and rapidsnark
    #[command(subcommand)]
    Groth16(Groth16Command),
    /// Make, show, list and import wallets
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// Deposit on L1 into a new account, or add to one
    #[command(after_help = "\
If the data directory has no deployment, one is made as `quire init --shape S` makes it.

Examples:
  quire deposit --wallet alice --amount 1.5eth
  quire deposit --wallet alice --amount 1000000 --token 3       a million of its smallest unit
  quire deposit --wallet alice --amount '1.5 USDC' --token USDC
  quire deposit --wallet alice --amount 20gwei --account 7      add to account 7
  quire deposit --wallet alice --amount 1eth --l1 http://localhost:8545 --eth-key-file alice.key

JSON: account, token, symbol, decimals, amount (what arrived), sent, owner, queue_entry, earlier (an
interrupted command had made it)")]
    Deposit(DepositArgs),
    /// Sign a transfer and hand it to the batcher, or write it into a file
    #[command(after_help = "\
In the operator's data directory the batcher acknowledges it. In a mirror, made by `quire l1 connect` or by
`quire restore` without the operator, nobody else would see it: name a file with --out and hand that to the
operator. The nonce is then the one after the last final batch; name later ones with --nonce.

Examples:
  quire transfer --wallet alice --from 1 --to 2 --amount 0.25eth
  quire transfer --wallet alice --from 1 --to 2 --amount 7 --valid-until 1893456000
  quire transfer --wallet alice --from 1 --to 2 --amount 7 --nonce 4 --out pay.json

JSON: id, from, to, token, symbol, decimals, amount, fee, nonce, valid_until, acknowledged, written (the
file, or null)")]
    Transfer(TransferArgs),
    /// Hand in transfers and withdrawals that were signed elsewhere
    #[command(after_help = "\
A file holds operations as docs/protocol.md, section 3, spells them: JSON objects or lists of them, one
after the other, or 126 bytes each, one after the other. Each is checked and acknowledged, or refused, for
itself. Only in the operator's data directory.

Examples:
  quire accept signed.json
  quire accept alice.json bob.bin

JSON: a list of id, status (received, sealed, finalized or refused), batch (that has it already, or null),
refused (why, or null)")]
    Accept(AcceptArgs),
    /// Withdraw to L1: sign it, or force it through the L1 queue
    #[command(after_help = "\
Examples:
  quire withdraw --wallet alice --from 1 --amount 0.1eth    signed, executed by a batch
  quire withdraw --wallet alice --from 1 --amount 0.1eth --out leave.bin   only signed, for `quire accept`
  quire withdraw --wallet alice --from 1 --force            the whole balance, asked for on L1
  quire withdraw --wallet alice --claim                     the same as `quire claim`

JSON: id, from, token, symbol, decimals, amount, fee, nonce, valid_until, acknowledged, written (the file of
--out, or null); with --force: account, queue_entry, freeze_from, earlier; with --claim as of `quire claim`")]
    Withdraw(WithdrawArgs),
    /// Collect on L1 what batches paid out to a wallet
    #[command(after_help = "\
Examples:
  quire claim --wallet alice
  quire claim --wallet alice --token ETH --json
  quire claim --l1 http://localhost:8545 --eth-key-file alice.key

JSON: a list of token, symbol, decimals, amount")]
    Claim(ClaimArgs),
    /// What became of a signed operation, and when
    #[command(after_help = "\
Examples:
  quire tx 5f0c…
  quire tx 5f0c… --json

JSON: id, status (received, sealed, proven, finalized, rejected), batch, reason, waits (what it waits
for, as of `quire status`), missing_nonce (the nonce that it waits for, because no operation has it),
received, sealed, proven, finalized (seconds since 1970), claimable (what the owner may claim of the
token, once a withdrawal is final, with its token, symbol and decimals)")]
    Tx(TxArgs),
    /// Signed operations that wait for a batch
    #[command(subcommand)]
    Mempool(MempoolCommand),
    /// Leave: ask L1 for a balance, or take it without the operator
    #[command(subcommand)]
    Exit(ExitCommand),
    /// Freeze L1 for good, once its queue has waited too long: anybody may
    #[command(after_help = "\
Afterwards nothing can be deposited, requested or submitted; everybody leaves with the last root.

Examples:
  quire freeze
  quire freeze --l1 /mnt/l1.redb

JSON: height, time, batch, root")]
    Freeze,
    /// Make the batcher's database again, from L1's data alone
    #[command(after_help = "\
Genesis, finalized batches and queue are read from L1 and replayed; the result has L1's root. The data
directory may be empty; keys are copied or made apart. With the operator's wallet, or on a contract with its
Ethereum key, the database is the operator's and goes on sealing and proving. Without them it is a mirror:
it shows accounts and batches, signs with `quire transfer --out`, and acknowledges and seals nothing.

Examples:
  quire restore                                               after the database was lost
  quire restore --data-dir new --l1 old/rollup/l1.redb --operator operator.json
  quire restore --data-dir mine --l1 old/rollup/l1.redb       a mirror

JSON: batches, transfers, withdrawals, l1_ops, accounts, pending_queue, mirror, state_root, seconds,
transfers_per_second")]
    Restore(RestoreArgs),
    /// Where L1 stands, contracts on an EVM, and controls for trials
    #[command(subcommand)]
    L1(ChainCommand),
    /// Rehearse the days without the operator: a stranger takes over, everybody leaves, the escrow is zero
    #[command(after_help = "\
Examples:
  quire drill
  quire drill --transfers 300 --shape m18 --json

Its keys are its own: --keys-dir is not used. A --data-dir must have no deployment, keys or batches.

JSON: final_batches, taken_over_batches, acknowledged, finalized, rejected, accounts, exits,
cancelled, claims, tokens, escrow_left (token, symbol, decimals, amount), seconds")]
    Drill(DrillArgs),
    /// Import a CSV file of transfers into a new data directory
    #[command(after_help = "\
The first line names the columns; token, from, to and amount are used, and others passed over. A token is
ETH, the same as 0x and 40 zeros, or an address. One account is made for each address and token, with opening
balances in the genesis of the L1 so that the history plays out, and each row is signed and handed to the
batcher. A row that cannot be imported is rejected by itself and listed with its line: ten in text, a thousand
with --json. If none can be imported, the exit status is 3 and nothing is left.

Examples:
  quire import transfers.csv
  quire import transfers.csv.gz --shape t18 --data-dir ./mainnet
  quire import transfers.csv.gz --limit 160 --shape t16
  quire import transfers.csv --token USDC:6=0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48

JSON: rows, imported, rejected, rounded, accounts, tokens, shapes, seconds, rejections (line,
reason)")]
    Import(ImportArgs),
    /// Execute waiting operations and close them into batches
    #[command(after_help = "\
Examples:
  quire seal              batches that are full or old enough
  quire seal --all        everything, the last batch short if need be

JSON: batches, transfers, withdrawals, l1_ops, dropped, waiting, waits (as of `quire status`),
state_root, seconds")]
    Seal(SealArgs),
    /// Prove sealed batches, oldest first
    #[command(after_help = "\
Examples:
  quire prove
  quire prove --max-batches 4 --memory 3GiB
  quire prove --explain

JSON: batches, transfers, proving_seconds, seconds, side_by_side, ahead, waits (as of `quire status`)")]
    Prove(ProveArgs),
    /// Submit proven batches to L1, oldest first
    #[command(after_help = "\
Examples:
  quire submit
  quire submit --max-batches 1

JSON: batches, transfers, finalized_root, waits (as of `quire status`), seconds")]
    Submit(SubmitArgs),
    /// Seal, prove and submit until nothing is left
    #[command(after_help = "\
Examples:
  quire run
  quire run --max-batches 10 --memory 4GiB --json
  quire run --take-over --wallet alice             while L1 lets anybody submit batches

An operator that others have taken over from returns (`quire operator return`) before it proves,
and not while it has nothing to submit. Whoever takes over has a mirror (`quire restore`) and the
deployment's proving keys; its batches take the L1 queue first, and fees only in tokens of which
it owns an account.

JSON: batches, transfers, finalized_root, seconds, proving_seconds, dropped, waits (as of
`quire status`), side_by_side")]
    Run(RunArgs),
    /// Return as the operator, or hand the operator role over
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// List, show and export batches
    #[command(subcommand)]
    Batch(BatchCommand),
    /// Verify a proven batch by itself, with its data
    #[command(after_help = "\
The verifying key is yours to name: it is never taken from the folder of the batch.

Examples:
  quire verify quire-data/batches/1 --vk quire-data/keys/t18.vk
  quire verify quire-data/batches/2 --vk t18.vk --old-root 0x1f…

JSON: verifying_key, shape, domain, batch, old_root, new_root, timestamp, queue_from, queue_to,
transfers, withdrawals, l1_ops, data_bytes")]
    Verify(VerifyArgs),
    /// Where L1 and batcher stand
    #[command(after_help = "\
Examples:
  quire status
  quire status --json

JSON: domain, contract, operator, offered_operator, submission (who: operator, anybody,
operators_hour or nobody; anybody_from, operator_until, overdue_entry, taken_over), shapes (shape, fingerprint, verifying_key), accounts, tokens,
waiting, queue_head, queue_sealed, queue_tail, sealed, unproved, finalized, confirmations,
l1_height, l1_time, frozen, freezable, freeze_from (when anybody may freeze L1, or null), oldest_entry and
oldest_since (of the L1 queue), final_batch, final_root, waits, state_root, finalized_root; times in seconds
since 1970. Of what waits, waits_for says for what:
confirmations (entries of the L1 queue from start to before end, blocks on the oldest, needed),
deposits (operations that rest on entries to be confirmed again), sealing (entries, operations;
anybody: whether not the operator alone may submit the batch), handing_in (operations that were
acknowledged here, where nothing is sealed now: `quire mempool export` writes them, the operator's
`quire accept` takes them), nonces (operations behind a nonce that none has), proving and submission (batches, first; operator and anybody_from, who may submit), nothing (L1 is
frozen)")]
    Status,
    /// Show accounts
    #[command(after_help = "\
Examples:
  quire account 7
  quire account --wallet alice
  quire account 7 --proof           with the Merkle path to the state root

JSON: a list of account, owner, token, symbol, decimals, balance, exited (whether it left a frozen L1: its
balance is 0 then, and its leaf as before), nonce, next_nonce, key, leaf, state_root, siblings (with --json
always: the three others of each level, leaf upwards)")]
    Account(AccountArgs),
    /// Check that money and roots add up
    #[command(after_help = "\
Examples:
  quire audit
  quire audit --replay      rebuild every root from published bytes alone

JSON: ok, tokens (by id: token, symbol, decimals), supply (by id), escrow (by id: escrow, balances,
claimable, pending), roots_chain, batches, replayed, state_root, finalized_root, faults")]
    Audit(AuditArgs),
    /// What a shape costs, from a short calibration, before anyone waits for its setup
    #[command(after_help = "\
Sizes are exact. Times are those of shape `tiny` on this machine, measured for a few seconds and
scaled by the work of each step (docs/cli.md, section Estimates). Keys of `tiny` are made for that, in
memory; none has to be there, and none of the shapes asked for is made.

Examples:
  quire estimate --shape t20
  quire estimate --shape t18 --shape t22 --json

JSON: threads, calibration_seconds, shapes: a list of shape, constraints, domain_log2, transfers,
published_bytes, proving_key_bytes, verifying_key_bytes, setup_memory_bytes, proving_memory_bytes,
setup_seconds, load_seconds, prove_seconds, transfers_per_second")]
    Estimate(EstimateArgs),
    /// What circuits cost
    #[command(subcommand)]
    Circuit(CircuitCommand),
    /// Run malicious witnesses against the circuit
    #[command(subcommand)]
    Attack(AttackCommand),
    /// Measure the figures of docs/figures.md
    #[command(subcommand)]
    Bench(BenchCommand),
    /// What each call of the contract costs on Ethereum, exactly
    #[command(after_help = "\
The contract's committed bytecode is deployed on Ethereum's own machine (revm, Osaka rules) in this
process and called; gas is that of the receipts. Batches hold real signed transfers. Their proofs are
made with the known secrets of a throw-away key: they cost what any proof costs.

Examples:
  quire gas
  quire gas --json

JSON: a list of case, gas, gas_per_transfer (null where there are no transfers)")]
    Gas,
    /// Contracts that verify proofs elsewhere
    #[command(subcommand)]
    Verifier(VerifierCommand),
    /// Settings and where they came from
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  quire completions bash > /etc/bash_completion.d/quire
  quire completions zsh > \"${fpath[1]}/_quire\"
  quire completions fish > ~/.config/fish/completions/quire.fish

JSON: shell, script")]
    Completions(CompletionsArgs),
    /// Print the manual page of a command, or write all of them into a directory
    #[command(after_help = "\
Examples:
  quire man | man -l -
  quire man keys setup
  quire man --dir /usr/local/share/man/man1

JSON: pages: a list of name, and file or page")]
    Man(ManArgs),
}

/// Seconds that a command waits unless it is told otherwise.
pub const DEFAULT_WAIT: u64 = 60;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Full batches of mainnet transfers to prove
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=700))]
    pub batches: u16,
}
