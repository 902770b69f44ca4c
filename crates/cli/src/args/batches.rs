//! `quire import`, `seal`, `prove`, `submit`, `run`, `batch`, `verify` and `audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// CSV file, compressed if its name ends with .gz
    pub file: PathBuf,
    /// Shapes of the deployment; one with L1 slots is added if there is none [default: t18]
    #[arg(long, value_name = "S")]
    pub shape: Vec<String>,
    /// File with 32 bytes in hexadecimal from which all private keys are derived, the operator's
    /// too; without it they are zeros, and anybody knows the keys: trials only
    #[arg(long, value_name = "FILE")]
    pub seed_file: Option<PathBuf>,
    /// Symbol and decimals of a token of the file, such as USDC:6=0x…
    #[arg(long, value_name = "SYMBOL:DECIMALS=ADDRESS")]
    pub token: Vec<String>,
    /// Read only the first rows
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
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

/// Arguments of `prove`.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// Stop after this many batches
    #[arg(long, value_name = "N")]
    pub max_batches: Option<u64>,
    /// Memory that proofs made side by side may take besides keys, such as 3GiB [default: 2GiB]
    #[arg(long, value_name = "M")]
    pub memory: Option<String>,
    /// Say how proofs share threads and memory, and why
    #[arg(long)]
    pub explain: bool,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// How much is proven, and how
    #[command(flatten)]
    pub prove: ProveArgs,
    /// Submit as somebody who is not the operator, while L1 lets anybody
    #[arg(long)]
    pub take_over: bool,
    /// Wallet of whoever takes over on a native L1; on a contract it is the Ethereum key
    #[arg(long, requires = "take_over", value_name = "W")]
    pub wallet: Option<String>,
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

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Rebuild the root of every sealed batch from its published bytes alone
    #[arg(long)]
    pub replay: bool,
}

/// `quire batch …`
#[derive(Debug, Subcommand)]
pub enum BatchCommand {
    /// Batches with their stage, newest last
    #[command(after_help = "\
Examples:
  quire batch list
  quire batch list --from 100 --limit 20 --json

JSON: a list of batch, stage (sealed, proved or final), shape, timestamp, l1_ops, transfers,
withdrawals, data_bytes, new_root")]
    List(BatchListArgs),
    /// A batch: header, every operation decoded, stage and sizes
    #[command(after_help = "\
Examples:
  quire batch show 3
  quire batch show 3 --json

JSON: batch, stage, shape, domain, old_root, new_root, timestamp, fee_accounts (indices), queue_from,
queue_to, data_bytes, proof_bytes, l1_ops (kind, account, amount, paid_out), transfers (slot, from, to,
amount, fee), withdrawals (slot, account, amount, fee), payouts (account, amount); amounts with token,
symbol and decimals")]
    Show(BatchShowArgs),
    /// Write a proven batch as a folder, or as one file
    #[command(after_help = "\
A folder has data.bin, proof.bin and batch.json, as `quire verify` reads it; a file is what is
submitted to L1, byte for byte (docs/protocol.md, section 8).

Examples:
  quire batch export 3 ./batch-3
  quire batch export 3 batch-3.bin --single-file

JSON: batch, written, bytes, single_file")]
    Export(BatchExportArgs),
}

/// Arguments of `batch list`.
#[derive(Debug, Args)]
pub struct BatchListArgs {
    /// First batch to list
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub from: u64,
    /// List at most so many
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// Arguments of `batch show`.
#[derive(Debug, Args)]
pub struct BatchShowArgs {
    /// Number of the batch
    pub batch: u64,
}

/// Arguments of `batch export`.
#[derive(Debug, Args)]
pub struct BatchExportArgs {
    /// Number of the batch
    pub batch: u64,
    /// Folder or file to write; it must not exist
    pub to: PathBuf,
    /// Write one file instead of a folder
    #[arg(long)]
    pub single_file: bool,
}

/// `quire operator …`
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Return after others have continued the rollup: for an hour only the operator may submit
    #[command(after_help = "\
`quire run` calls it by itself where it is needed, once it has sealed a batch. It is possible while
batches are open to anybody, and once in the time after which they open: an hour in which no batch
of the operator is final is lost.

Examples:
  quire operator return

JSON: operator, offered, submission (who, anybody_from, operator_until, overdue_entry, taken_over)")]
    Return,
    /// Offer the operator role to another address, which has to accept it
    #[command(after_help = "\
Examples:
  quire operator offer 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed
  quire operator offer none                        takes the offer back

JSON: operator, offered, submission (who, anybody_from, operator_until, overdue_entry, taken_over)")]
    Offer(OperatorOfferArgs),
    /// Take the operator role that was offered
    #[command(after_help = "\
What the former operator could collect becomes claimable by it. On a native L1 the wallet becomes
the operator's of this data directory; the former one stays beside it.

Examples:
  quire operator accept --wallet bob
  quire operator accept --l1 http://localhost:8545 --eth-key-file bob.key

JSON: operator, offered, submission (who, anybody_from, operator_until, overdue_entry,
taken_over), fees, token, symbol, decimals")]
    Accept(OperatorWalletArgs),
}

/// Arguments of `operator offer`.
#[derive(Debug, Args)]
pub struct OperatorOfferArgs {
    /// Address of the new operator, or `none`
    pub address: String,
}

/// Arguments of `operator accept`.
#[derive(Debug, Args)]
pub struct OperatorWalletArgs {
    /// Wallet of the new operator on a native L1
    #[arg(long, value_name = "W")]
    pub wallet: Option<String>,
}
