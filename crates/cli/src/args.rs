//! What was typed. What it means is worked out in `settings` and by each command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A payments rollup: transfers in batches, each proven with Groth16 and checked with its data.
#[derive(Debug, Parser)]
#[command(
    name = "quire",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  quire demo                                  real mainnet transfers, proven and finalized
  quire circuit stats --shape t18             what a circuit costs
  quire import transfers.csv.gz && quire seal --all && quire audit --replay
  quire keys setup --shape t18 && quire run   prove and finalize what was sealed"
)]
pub struct Cli {
    /// Everything that is kept: L1, batcher, keys, wallets, proven batches [default: ./quire-data]
    #[arg(long, global = true, value_name = "D")]
    pub data_dir: Option<PathBuf>,
    /// Where keys are [default: D/keys]
    #[arg(long, global = true, value_name = "K")]
    pub keys_dir: Option<PathBuf>,
    /// Print results as JSON on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Accept keys of a seeded setup, for which anybody can forge proofs: trials only
    #[arg(long, global = true)]
    pub allow_dev_keys: bool,
    /// Threads to use [default: one a core]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch real mainnet transfers being batched, proven, checked and finalized
    #[command(after_help = "\
Examples:
  quire demo                          a few batches in a temporary directory
  quire demo --batches 6              more of them
  quire demo --data-dir ./demo        keep everything to look at afterwards")]
    Demo(DemoArgs),
    /// Make and inspect proving keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Make and show wallets
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// Deposit on L1 into a new account, or add to one
    #[command(after_help = "\
Examples:
  quire deposit --wallet alice --amount 1.5eth
  quire deposit --wallet alice --amount 1000000 --token 3
  quire deposit --wallet alice --amount 20gwei --account 7      add to account 7")]
    Deposit(DepositArgs),
    /// Sign a transfer and hand it to the batcher
    #[command(after_help = "\
Examples:
  quire transfer --wallet alice --from 1 --to 2 --amount 0.25eth
  quire transfer --wallet alice --from 1 --to 2 --amount 7 --valid-until 1893456000")]
    Transfer(TransferArgs),
    /// Withdraw to L1: sign it, or force it through the L1 queue, and claim it
    #[command(after_help = "\
Examples:
  quire withdraw --wallet alice --from 1 --amount 0.1eth    signed, executed by a batch
  quire withdraw --wallet alice --from 1 --force            the whole balance, asked for on L1
  quire withdraw --wallet alice --claim                     collect what batches paid out")]
    Withdraw(WithdrawArgs),
    /// Import a CSV file of transfers into a new data directory
    #[command(after_help = "\
The columns are block,tx_index,token,from,to,amount,gas_price,nonce; block, gas_price and nonce are
not used. One account is made for each address and token, with opening balances in the genesis of
the L1 so that the history plays out, and each row is signed and handed to the batcher.

Examples:
  quire import transfers.csv
  quire import transfers.csv.gz --shape t18 --data-dir ./mainnet
  quire import transfers.csv.gz --limit 160 --shape t16")]
    Import(ImportArgs),
    /// Execute waiting operations and close them into batches
    #[command(after_help = "\
Examples:
  quire seal              batches that are full or old enough
  quire seal --all        everything, the last batch short if need be")]
    Seal(SealArgs),
    /// Prove sealed batches, oldest first
    #[command(after_help = "\
Examples:
  quire prove
  quire prove --max-batches 4 --memory 3GiB")]
    Prove(ProveArgs),
    /// Submit proven batches to L1, oldest first
    #[command(after_help = "\
Examples:
  quire submit
  quire submit --max-batches 1")]
    Submit(SubmitArgs),
    /// Seal, prove and submit until nothing is left
    #[command(after_help = "\
Examples:
  quire run
  quire run --max-batches 10 --memory 4GiB --json")]
    Run(ProveArgs),
    /// Verify a proven batch by itself, with its data
    #[command(after_help = "\
The verifying key is yours to name: it is never taken from the folder of the batch.

Examples:
  quire verify quire-data/batches/1 --vk quire-data/keys/t18.vk
  quire verify quire-data/batches/2 --vk t18.vk --old-root 0x1f…")]
    Verify(VerifyArgs),
    /// Where L1 and batcher stand
    #[command(after_help = "\
Examples:
  quire status
  quire status --json")]
    Status,
    /// Show accounts
    #[command(after_help = "\
Examples:
  quire account 7
  quire account --wallet alice
  quire account 7 --json            with the Merkle path")]
    Account(AccountArgs),
    /// Check that money and roots add up
    #[command(after_help = "\
Examples:
  quire audit
  quire audit --replay      rebuild every root from published bytes alone")]
    Audit(AuditArgs),
    /// What circuits cost
    #[command(subcommand)]
    Circuit(CircuitCommand),
    /// Measure the figures of the README
    #[command(subcommand)]
    Bench(BenchCommand),
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Full batches of mainnet transfers to prove
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=700))]
    pub batches: u16,
}

/// `quire keys …`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make the keys of a shape, by one party: whoever runs this could keep the secrets
    #[command(after_help = "\
Examples:
  quire keys setup --shape t18
  quire keys setup --shape tiny --insecure-dev-seed 1 --allow-dev-keys")]
    Setup(SetupArgs),
    /// What a key file, or every key in the keys directory, says about itself
    #[command(after_help = "\
Examples:
  quire keys info
  quire keys info quire-data/keys/t18.vk")]
    Info(KeyInfoArgs),
}

/// Arguments of `keys setup`.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// The shapes
    #[arg(long, required = true, value_name = "S")]
    pub shape: Vec<String>,
    /// Derive the secrets from a number, so that anybody can forge proofs: trials only
    #[arg(long, value_name = "SEED")]
    pub insecure_dev_seed: Option<u64>,
    /// Replace keys that exist: batches proven with them can then no longer be verified
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `keys info`.
#[derive(Debug, Args)]
pub struct KeyInfoArgs {
    /// Key files [default: all in the keys directory]
    pub file: Vec<PathBuf>,
}

/// `quire wallet …`
#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Make a wallet with a new private key, in a file that only you can read
    #[command(after_help = "\
Examples:
  quire wallet new alice                 D/wallets/alice.json
  quire wallet new ./alice.json          a file of your choice")]
    New(WalletNewArgs),
    /// Show a wallet's public key and L1 address
    #[command(after_help = "\
Examples:
  quire wallet show alice
  quire wallet show alice --export-private-key alice.secret")]
    Show(WalletShowArgs),
}

/// Arguments of `wallet new`.
#[derive(Debug, Args)]
pub struct WalletNewArgs {
    /// Name of the wallet, or a path
    pub wallet: String,
}

/// Arguments of `wallet show`.
#[derive(Debug, Args)]
pub struct WalletShowArgs {
    /// Name of the wallet, or a path
    pub wallet: String,
    /// Write the private key in hexadecimal to a new file that only you can read
    #[arg(long, value_name = "FILE")]
    pub export_private_key: Option<PathBuf>,
}

/// Arguments of `deposit`.
#[derive(Debug, Args)]
pub struct DepositArgs {
    /// Name of the wallet, or a path
    #[arg(long, value_name = "W")]
    pub wallet: String,
    /// Amount in the token's smallest unit, or with eth, gwei or wei
    #[arg(long, value_name = "A")]
    pub amount: String,
    /// Name, id or address of the token
    #[arg(long, default_value = "ETH", value_name = "T")]
    pub token: String,
    /// Add to this account instead of making one
    #[arg(long, value_name = "INDEX")]
    pub account: Option<u32>,
    /// Shapes of the deployment, if there is none yet
    #[arg(long, value_name = "S")]
    pub shape: Vec<String>,
}

/// Arguments of `transfer`.
#[derive(Debug, Args)]
pub struct TransferArgs {
    /// Name of the wallet, or a path
    #[arg(long, value_name = "W")]
    pub wallet: String,
    /// Index of the account that pays
    #[arg(long, value_name = "INDEX")]
    pub from: u32,
    /// Index of the account that receives
    #[arg(long, value_name = "INDEX")]
    pub to: u32,
    /// Amount in the token's smallest unit, or with eth, gwei or wei
    #[arg(long, value_name = "A")]
    pub amount: String,
    /// How it is signed
    #[command(flatten)]
    pub signing: SigningArgs,
}

/// What transfers and withdrawals have in common.
#[derive(Debug, Args)]
pub struct SigningArgs {
    /// Fee in the account's token
    #[arg(long, default_value = "0", value_name = "F")]
    pub fee: String,
    /// Nonce [default: the account's next]
    #[arg(long, value_name = "N")]
    pub nonce: Option<u64>,
    /// Last second since 1970 at which it may execute [default: no limit]
    #[arg(long, value_name = "T")]
    pub valid_until: Option<u64>,
}

/// Arguments of `withdraw`.
#[derive(Debug, Args)]
pub struct WithdrawArgs {
    /// Name of the wallet, or a path
    #[arg(long, value_name = "W")]
    pub wallet: String,
    /// Index of the account that pays
    #[arg(
        long,
        value_name = "INDEX",
        required_unless_present = "claim",
        conflicts_with = "claim"
    )]
    pub from: Option<u32>,
    /// Amount in the token's smallest unit, or with eth, gwei or wei
    #[arg(long, value_name = "A", required_unless_present_any = ["claim", "force"], conflicts_with_all = ["claim", "force"])]
    pub amount: Option<String>,
    /// Ask on L1 for the whole balance: no signature, no batcher can refuse it
    #[arg(long, conflicts_with = "claim")]
    pub force: bool,
    /// Collect what is claimable by the wallet's address
    #[arg(long)]
    pub claim: bool,
    /// How it is signed
    #[command(flatten)]
    pub signing: SigningArgs,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// CSV file, compressed if its name ends with .gz
    pub file: PathBuf,
    /// Shapes of the deployment; one with L1 slots is added if there is none [default: t18]
    #[arg(long, value_name = "S")]
    pub shape: Vec<String>,
    /// 32 bytes in hexadecimal from which all private keys are derived [default: zeros]
    #[arg(long, value_name = "HEX")]
    pub seed: Option<String>,
    /// Read only the first rows
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// Arguments of `seal`.
#[derive(Debug, Args)]
pub struct SealArgs {
    /// Seal everything, the last batch short if need be
    #[arg(long)]
    pub all: bool,
    /// Stop after this many batches
    #[arg(long, value_name = "N")]
    pub max_batches: Option<u64>,
}

/// Arguments of `prove` and `run`.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// Stop after this many batches
    #[arg(long, value_name = "N")]
    pub max_batches: Option<u64>,
    /// Memory that proofs made side by side may take besides keys, such as 3GiB
    #[arg(long, default_value = "2GiB", value_name = "M")]
    pub memory: String,
}

/// Arguments of `submit`.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// Stop after this many batches
    #[arg(long, value_name = "N")]
    pub max_batches: Option<u64>,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Folder of the batch
    pub batch_dir: PathBuf,
    /// Verifying-key file
    #[arg(long, value_name = "FILE")]
    pub vk: PathBuf,
    /// Root from which the batch must start, in hexadecimal
    #[arg(long, value_name = "R")]
    pub old_root: Option<String>,
}

/// Arguments of `account`.
#[derive(Debug, Args)]
pub struct AccountArgs {
    /// Indices
    #[arg(required_unless_present = "wallet")]
    pub index: Vec<u32>,
    /// All accounts that this wallet's key signs for
    #[arg(long, value_name = "W")]
    pub wallet: Option<String>,
}

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Rebuild the root of every sealed batch from its published bytes alone
    #[arg(long)]
    pub replay: bool,
}

/// `quire circuit …`
#[derive(Debug, Subcommand)]
pub enum CircuitCommand {
    /// Constraints, variables, non-zeros and the cost of each part; makes no keys
    #[command(after_help = "\
Examples:
  quire circuit stats
  quire circuit stats --shape t20 --json
  quire circuit stats --depth 16 --transfers 64 --fee-slots 2")]
    Stats(StatsArgs),
}

/// Arguments of `circuit stats`.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Named shapes [default: all but the largest]
    #[arg(long, value_name = "NAME")]
    pub shape: Vec<String>,
    /// All named shapes, also those that take gigabytes of memory
    #[arg(long)]
    pub all: bool,
    /// Show the cost of each part of every circuit
    #[arg(long)]
    pub parts: bool,
    /// Levels of the tree, for a shape of your own
    #[arg(long, value_name = "D")]
    pub depth: Option<u8>,
    /// Transfer slots, an even number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=60_000))]
    pub transfers: Option<u16>,
    /// Slots for operations of the L1 queue
    #[arg(long, value_name = "N")]
    pub l1_ops: Option<u16>,
    /// Withdrawal slots, an even number
    #[arg(long, value_name = "N")]
    pub withdrawals: Option<u16>,
    /// Fee slots
    #[arg(long, value_name = "N")]
    pub fee_slots: Option<u8>,
    /// Cached top levels of the tree
    #[arg(long, value_name = "K")]
    pub cached_levels: Option<u8>,
}

/// `quire bench …`
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Accept, verify, execute and seal real transfers, durably
    #[command(after_help = "\
Examples:
  quire bench intake transfers.csv.gz --threads 2 --json")]
    Intake(BenchIntakeArgs),
    /// This prover against ark-groth16 on the same circuit, in interleaved pairs
    #[command(after_help = "\
Examples:
  quire bench prove --shape t18 --threads 2 --json
  quire bench prove --shape t20 --pairs 3")]
    Prove(BenchProveArgs),
    /// Verification of batches with their data
    #[command(after_help = "\
Examples:
  quire bench verify --shape t16 --json")]
    Verify(BenchVerifyArgs),
    /// Loading a proving key, checksum included
    #[command(after_help = "\
Examples:
  quire bench keyload --shape t20 --json")]
    Keyload(BenchKeyArgs),
    /// One proof in a process of its own, for its peak memory
    #[command(hide = true)]
    Peak(BenchPeakArgs),
}

/// Arguments of `bench intake`.
#[derive(Debug, Args)]
pub struct BenchIntakeArgs {
    /// CSV file of transfers [default: the one that comes with the program]
    pub file: Option<PathBuf>,
    /// Shapes of the deployment
    #[arg(long, default_value = "t20", value_name = "S")]
    pub shape: Vec<String>,
    /// Read only the first rows
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// Arguments of `bench prove`.
#[derive(Debug, Args)]
pub struct BenchProveArgs {
    /// The shape; its key is made, with known secrets, and not kept
    #[arg(long, default_value = "t18", value_name = "S")]
    pub shape: String,
    /// Measurements of each prover
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub pairs: u16,
}

/// Arguments of `bench verify`.
#[derive(Debug, Args)]
pub struct BenchVerifyArgs {
    /// The shape; its key is made, with known secrets, and not kept
    #[arg(long, default_value = "t16", value_name = "S")]
    pub shape: String,
}

/// Arguments of `bench keyload`.
#[derive(Debug, Args)]
pub struct BenchKeyArgs {
    /// The shape; its key is made, with known secrets, unless the keys directory has one
    #[arg(long, default_value = "t18", value_name = "S")]
    pub shape: String,
}

/// Arguments of `bench peak`.
#[derive(Debug, Args)]
pub struct BenchPeakArgs {
    /// The shape
    #[arg(long)]
    pub shape: String,
    /// Its proving key
    #[arg(long)]
    pub key: PathBuf,
}
