//! `quire init`, `deposit`, `transfer`, `withdraw`, `claim` and `account`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `deposit`.
#[derive(Debug, Args)]
pub struct DepositArgs {
    /// Name of the wallet, or a path
    #[arg(long, value_name = "W")]
    pub wallet: String,
    /// Amount: in the token's smallest unit, or with a unit: 1.5eth, 20gwei, "1.5 USDC"
    #[arg(long, value_name = "A")]
    pub amount: String,
    /// Symbol, id or address of the token
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
    /// Amount: in the token's smallest unit, or with a unit: 1.5eth, 20gwei, "1.5 USDC"
    #[arg(long, value_name = "A")]
    pub amount: String,
    /// How it is signed
    #[command(flatten)]
    pub signing: SigningArgs,
}

/// Arguments of `accept`.
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// Files of signed operations, as JSON or as bytes
    #[arg(required = true, value_name = "FILE")]
    pub file: Vec<PathBuf>,
}

/// What transfers and withdrawals have in common.
#[derive(Debug, Args)]
pub struct SigningArgs {
    /// Fee, an amount of the account's token
    #[arg(long, default_value = "0", value_name = "F")]
    pub fee: String,
    /// Nonce [default: the account's next; in a mirror the one after the last final batch]
    #[arg(long, value_name = "N")]
    pub nonce: Option<u64>,
    /// Only sign: write the operation into this file, as 126 bytes if its name ends with .bin, else as
    /// JSON
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
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
    /// Amount: in the token's smallest unit, or with a unit: 1.5eth, 20gwei, "1.5 USDC"
    #[arg(long, value_name = "A", required_unless_present_any = ["claim", "force"], conflicts_with_all = ["claim", "force"])]
    pub amount: Option<String>,
    /// Ask on L1 for the whole balance: no signature, no batcher can refuse it
    #[arg(long, conflicts_with_all = ["claim", "out", "fee", "nonce", "valid_until"])]
    pub force: bool,
    /// Collect what is claimable by the wallet's address
    #[arg(long, conflicts_with_all = ["out", "fee", "nonce", "valid_until"])]
    pub claim: bool,
    /// How it is signed
    #[command(flatten)]
    pub signing: SigningArgs,
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
    /// Show the Merkle path from the leaf to the state root
    #[arg(long)]
    pub proof: bool,
}

/// Arguments of `claim`.
#[derive(Debug, Args)]
pub struct ClaimArgs {
    /// Name of the wallet, or a path; on a contract the Ethereum key is paid
    #[arg(long, value_name = "W")]
    pub wallet: Option<String>,
    /// Only this token: its symbol, id or address [default: all]
    #[arg(long, value_name = "T")]
    pub token: Option<String>,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Shapes of the deployment; one with L1 slots is added if there is none [default: t18]
    #[arg(long, value_name = "S")]
    pub shape: Vec<String>,
    /// A token besides ETH with its decimals, such as USDC:6=0x… (20 bytes); ids are given in this order
    /// from 1
    #[arg(long, value_name = "SYMBOL:DECIMALS=ADDRESS")]
    pub token: Vec<String>,
    /// What L1 takes for a deposit, top-up or exit request, in ETH
    #[arg(long, default_value = super::defaults::L1_FEE, value_name = "F")]
    pub l1_fee: String,
    /// Deposits that may wait for a batch at once
    #[arg(long, default_value_t = 1 << 16, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub pending_cap: u64,
    /// Seconds by which a batch's timestamp may lie before L1's time
    #[arg(long, default_value_t = l1::genesis::DEFAULT_TIMESTAMP_SLACK, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timestamp_slack: u64,
    /// Seconds that the oldest entry of the L1 queue may wait before anybody may submit batches: more
    /// than --timestamp-slack, at least two hours
    #[arg(long, default_value_t = l1::genesis::DEFAULT_TAKEOVER_AFTER, value_name = "SECONDS")]
    pub takeover_after: u64,
    /// Seconds that the oldest entry of the L1 queue may wait before anybody may freeze L1: at least
    /// twice --takeover-after, at most 90 days
    #[arg(long, default_value_t = l1::genesis::DEFAULT_FREEZE_AFTER, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub freeze_after: u64,
    /// Wallet of the operator, which is copied into the deployment [default: a new one]
    #[arg(long, value_name = "W")]
    pub operator: Option<String>,
    /// Make a fee account of the operator for this token, by symbol or id; ETH always has one
    #[arg(long, value_name = "T")]
    pub fee_token: Vec<String>,
}
