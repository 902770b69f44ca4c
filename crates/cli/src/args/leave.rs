//! `quire restore`, `exit`, `freeze`, `tx`, `l1` and `drill`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Wallet of the operator, which is copied [default: the one in the data directory; without one the
    /// database is a mirror]
    #[arg(long, value_name = "W")]
    pub operator: Option<String>,
}

/// `quire exit …`
#[derive(Debug, Subcommand)]
pub enum ExitCommand {
    /// Ask on L1 for the whole balance of an account
    #[command(after_help = "\
The request stands in the L1 queue. A batch has to execute it: an operator who does not lets the
queue grow old, and then anybody may freeze the rollup.

Examples:
  quire exit request --wallet alice --account 7

JSON: account, queue_entry, freeze_from, earlier (an interrupted command had asked for it)")]
    Request(ExitRequestArgs),
    /// Write everything that it takes to leave with an account, from L1's data alone
    #[command(after_help = "\
Reads L1 only: neither the operator nor its database is needed. A plan is for L1's last root; it can
be made before the freeze, and has to be made again when another batch becomes final.

Examples:
  quire exit plan 7
  quire exit plan 7 8 --out plans --l1 /mnt/l1.redb
  quire exit plan --wallet alice

JSON: a list of plan, account, owner, token, symbol, decimals, balance, nonce, waiting, batch, root")]
    Plan(ExitPlanArgs),
    /// Leave with a plan, once L1 is frozen
    #[command(after_help = "\
Anybody may execute a plan; the money goes to the owner, who claims it. First all accounts are paid
out, then the deposits that wait are given back which the owner or the caller paid; what others paid in
waits for them and costs the caller nothing. What was done before is passed over. Of several plans,
those that fail are told and the others are executed; the exit status is then that of the last one that
failed.

Examples:
  quire exit execute exit-7.json
  quire exit execute exit-*.json && quire claim --wallet alice
  quire exit execute exit-7.json --wallet bob               bob has paid into account 7

JSON: a list of plan, account, token, symbol, decimals, exited, cancelled (queue entries), of_others (deposits
that others paid)")]
    Execute(ExitExecuteArgs),
}

/// Arguments of `exit request`.
#[derive(Debug, Args)]
pub struct ExitRequestArgs {
    /// Name of the wallet, or a path; on a contract the Ethereum key asks
    #[arg(long, value_name = "W")]
    pub wallet: Option<String>,
    /// Index of the account
    #[arg(long, value_name = "INDEX")]
    pub account: u32,
}

/// Arguments of `exit plan`.
#[derive(Debug, Args)]
pub struct ExitPlanArgs {
    /// Indices
    #[arg(required_unless_present_any = ["wallet", "owner"], value_name = "INDEX")]
    pub account: Vec<u32>,
    /// All accounts that this wallet owns on a native L1
    #[arg(long, value_name = "W")]
    pub wallet: Option<String>,
    /// All accounts that this L1 address owns
    #[arg(long, value_name = "ADDRESS")]
    pub owner: Option<l1::Address>,
    /// Folder for the plans, exit-INDEX.json each
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    pub out: PathBuf,
}

/// Arguments of `exit execute`.
#[derive(Debug, Args)]
pub struct ExitExecuteArgs {
    /// Plans
    #[arg(required = true, value_name = "PLAN")]
    pub plan: Vec<PathBuf>,
    /// Wallet of the caller, which gets back what it paid into accounts of others; on a contract the
    /// Ethereum key calls
    #[arg(long, value_name = "W")]
    pub wallet: Option<String>,
}

/// `quire mempool …`
#[derive(Debug, Subcommand)]
pub enum MempoolCommand {
    /// List the operations that wait, and what each waits for
    #[command(after_help = "\
Examples:
  quire mempool list
  quire mempool list --account 2 --json

JSON: a list of id, kind, from, to, token, symbol, decimals, amount, fee, nonce, valid_until, received,
missing_nonce (the nonce that it waits for, because no operation has it), expired, waits (what it waits
for, as of `quire status`; null once it expired)")]
    List(MempoolListArgs),
    /// Cancel an operation that waits: its signer replaces it by a transfer of nothing
    #[command(after_help = "\
The transfer goes from the account to itself, with the same nonce and a fee that is a tenth higher,
which is paid once it is executed. Any operation with the nonce and such a fee replaces the first:
`quire transfer --nonce N --fee F`. What is sealed in a batch cannot be cancelled.

Examples:
  quire mempool cancel 5f0c… --wallet alice

JSON: cancelled, by (the id of the operation that took its nonce), account, nonce, token,
symbol, decimals, fee")]
    Cancel(MempoolCancelArgs),
    /// Write acknowledged operations that are not final to a file that `quire accept` takes
    #[command(after_help = "\
The database is only read, and need not agree with L1: this saves what a database of another history,
or one older than L1, had acknowledged. What the database noted as final and L1 does not have is written
too. Operations that were executed meanwhile are refused by `quire accept`, the others are taken.

Examples:
  quire mempool export operations.json
  quire mempool export operations.json --database old/rollup/batcher.redb --since 17

JSON: file, operations (id, status, batch, received)")]
    Export(MempoolExportArgs),
}

/// Arguments of `mempool list`.
#[derive(Debug, Args)]
pub struct MempoolListArgs {
    /// Only operations of this account
    #[arg(long, value_name = "INDEX")]
    pub account: Option<u32>,
}

/// Arguments of `mempool cancel`.
#[derive(Debug, Args)]
pub struct MempoolCancelArgs {
    /// Id of the operation, 64 hexadecimal digits
    pub id: String,
    /// Name of the wallet that signed it, or a path
    #[arg(long, value_name = "W")]
    pub wallet: String,
}

/// Arguments of `mempool export`.
#[derive(Debug, Args)]
pub struct MempoolExportArgs {
    /// The file to be written
    pub out: PathBuf,
    /// The batcher's database [default: D/rollup/batcher.redb]
    #[arg(long, value_name = "FILE")]
    pub database: Option<PathBuf>,
    /// Also what is in batches from this one on, though the database has them as final
    #[arg(long, value_name = "BATCH")]
    pub since: Option<u64>,
}

/// Arguments of `tx`.
#[derive(Debug, Args)]
pub struct TxArgs {
    /// Id of the operation, 64 hexadecimal digits
    pub id: String,
}

/// `quire l1 …`
#[derive(Debug, Subcommand)]
pub enum ChainCommand {
    /// Deploy the rollup's contract on an EVM, with the verifying keys of its shapes
    #[command(after_help = "\
The Ethereum key is the operator's. The deployment's folder D/rollup gets a mirror of the contract, the
batcher and the wallet of the operator's fee accounts, into which its first deposits go. What was
interrupted goes on when the same command is given again: D/deploying has the plan until it is done.

Examples:
  quire keys setup --shape t20 && quire l1 deploy --shape t20 --l1 http://localhost:8545 --eth-key-file op.key
  quire l1 deploy --l1 https://node.example/key --chain-id 1 --eth-key-file op.key --token 0x00000000000000000000000000000000000000aa

JSON: data_dir, chain_id, contract, block, domain, operator, shapes, tokens (token, symbol, decimals,
address), fee_accounts, l1_fee, timestamp_slack, takeover_after, freeze_after (seconds), frozen, state_root")]
    Deploy(DeployArgs),
    /// Make the mirror of a contract that somebody else deployed, from the chain alone
    #[command(after_help = "\
Then deposit, claim, exit and freeze, and sign with `quire transfer --out`; `quire restore` makes a database
of accounts and batches as well. The contract's code and
the transaction that created it are compared with this program's, byte for byte; its verifying keys are read
from the chain, which does not tell how they were made.

Examples:
  quire l1 connect 0x5fbdb2315678afecb367f032d93f642f64180aa3 --l1 http://localhost:8545
  quire l1 connect 0x5fbdb2315678afecb367f032d93f642f64180aa3 --l1 https://node.example/key --chain-id 1

JSON: data_dir, chain_id, contract, block (null if the deployment is here already), domain, operator, shapes,
tokens (token, symbol, decimals, address), fee_accounts, l1_fee, timestamp_slack, takeover_after,
freeze_after (seconds), frozen, state_root")]
    Connect(ConnectArgs),
    /// Make a contract take an ERC-20; the operator's fee account for it comes with it
    #[command(after_help = "\
Anybody may. Of the operator, with the wallet of its fee accounts in the deployment's folder, it also
makes the account that takes fees in this token.

Examples:
  quire l1 add-token 0x00000000000000000000000000000000000000aa --eth-key-file op.key

JSON: token, symbol, decimals, address, fee_account")]
    AddToken(AddTokenArgs),
    /// Give up the transactions of an Ethereum key that wait
    #[command(after_help = "\
An empty transaction takes the nonce of each, and of those before them that no block has, unless a block
has the transaction first: then the same command tells what it came to. What another transaction with
the same nonce keeps out is forgotten; see on the chain that it did not happen.

Examples:
  quire l1 cancel --l1 http://localhost:8545 --eth-key-file op.key

JSON: a list of what, nonce, hash, status (cancelled, in a block, failed, nonce used by another), block")]
    Cancel,
    /// Where L1 stands: blocks, time, queue, money
    #[command(after_help = "\
Examples:
  quire l1 status
  quire l1 status --json

JSON: contract, height, time, frozen, freezable, freeze_from (when anybody may freeze L1, or null),
oldest_entry, oldest_since, final_batch, final_root, operator, offered_operator, submission (who:
operator, anybody, operators_hour or nobody; anybody_from, operator_until, overdue_entry,
taken_over), root, next_batch, queue_head, queue_tail, next_index, operator_fees (with its token, symbol
and decimals), totals (token, symbol, decimals, escrow, balances, claimable, pending), unacknowledged:
transactions of the Ethereum key that was named whose outcome nobody was told (what, nonce, hash, status,
block)")]
    Status,
    /// Pay the operator the fees that L1 kept for deposits and requests
    #[command(after_help = "\
Examples:
  quire l1 collect
  quire l1 collect --l1 http://localhost:8545 --eth-key-file op.key

JSON: token, symbol, decimals, amount, to, earlier (an interrupted command had collected it)")]
    Collect,
    /// Make empty blocks, for trials
    #[command(after_help = "\
Examples:
  quire l1 mine --trial
  quire l1 mine 12 --trial

JSON: height, time, frozen, root")]
    Mine(BlocksArgs),
    /// Move L1's clock forward, for trials
    #[command(after_help = "\
Examples:
  quire l1 advance 604801 --trial      a week and a second

JSON: height, time, frozen, root")]
    Advance(AdvanceArgs),
    /// Drop L1's last blocks with all that they did, for trials
    #[command(after_help = "\
Examples:
  quire l1 reorg 2 --trial && quire run

JSON: height, time, frozen, root")]
    Reorg(BlocksArgs),
}

/// Arguments of `l1 deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// Shapes of the deployment; one with L1 slots is added if there is none [default: t18]
    #[arg(long, value_name = "S")]
    pub shape: Vec<String>,
    /// Address of a token besides ETH; ids are given in this order from 1
    #[arg(long, value_name = "ADDRESS")]
    pub token: Vec<l1::Address>,
    /// What L1 takes for a deposit, top-up or exit request, in ETH
    #[arg(long, default_value = super::defaults::L1_FEE, value_name = "F")]
    pub l1_fee: String,
    /// Deposits that may wait for a batch at once
    #[arg(long, default_value_t = 1 << 16, value_name = "N", value_parser = clap::value_parser!(u64).range(1..1 << 40))]
    pub pending_cap: u64,
    /// Seconds by which a batch's timestamp may lie before L1's time
    #[arg(long, default_value_t = l1::genesis::DEFAULT_TIMESTAMP_SLACK, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..1 << 40))]
    pub timestamp_slack: u64,
    /// Seconds that the oldest entry of the L1 queue may wait before anybody may submit batches: more
    /// than --timestamp-slack, at least two hours
    #[arg(long, default_value_t = l1::genesis::DEFAULT_TAKEOVER_AFTER, value_name = "SECONDS")]
    pub takeover_after: u64,
    /// Seconds that the oldest entry of the L1 queue may wait before anybody may freeze L1: at least
    /// twice --takeover-after, at most 90 days
    #[arg(long, default_value_t = l1::genesis::DEFAULT_FREEZE_AFTER, value_name = "SECONDS")]
    pub freeze_after: u64,
    /// Wallet of the operator's fee accounts, which is copied into the deployment [default: a new one]
    #[arg(long, value_name = "W")]
    pub operator: Option<String>,
    /// Id of the chain that you mean, so that a node of another one is refused and nothing is deployed
    /// there [default: the node's]
    #[arg(long, value_name = "N")]
    pub chain_id: Option<u64>,
}

/// Arguments of `l1 add-token`.
#[derive(Debug, Args)]
pub struct AddTokenArgs {
    /// Address of the ERC-20
    pub token: l1::Address,
}

/// Arguments of `l1 connect`.
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// Address of the contract
    pub contract: l1::Address,
    /// A block before the deployment, for nodes that do not search all blocks at once
    #[arg(long, default_value_t = 0, value_name = "BLOCK")]
    pub from_block: u64,
    /// Id of the chain that you mean: the same address may have a contract of somebody else on another
    /// chain, and a node of that one is refused [default: the node's]
    #[arg(long, value_name = "N")]
    pub chain_id: Option<u64>,
}

/// A number of blocks.
#[derive(Debug, Args)]
pub struct BlocksArgs {
    /// How many
    #[arg(default_value_t = 1, value_name = "BLOCKS", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub blocks: u64,
    /// This deployment is for trials: others may lose deposits and payments by it
    #[arg(long, required = true)]
    pub trial: bool,
}

/// Arguments of `l1 advance`.
#[derive(Debug, Args)]
pub struct AdvanceArgs {
    /// By how much
    #[arg(value_name = "SECONDS")]
    pub seconds: u64,
    /// This deployment is for trials: others may lose deposits and payments by it
    #[arg(long, required = true)]
    pub trial: bool,
}

/// Arguments of `drill`.
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// Mainnet transfers to begin with
    #[arg(long, default_value_t = 40, value_name = "N", value_parser = clap::value_parser!(u16).range(8..=12_588))]
    pub transfers: u16,
    /// Shape of their batches
    #[arg(long, default_value = "tiny", value_name = "S")]
    pub shape: String,
}
