//! `quire estimate`, `circuit`, `bench` and `verifier`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::defaults::L1_FEE;

/// `quire circuit …`
#[derive(Debug, Subcommand)]
pub enum CircuitCommand {
    /// Constraints, variables, non-zeros and the cost of each part; makes no keys
    #[command(after_help = "\
Examples:
  quire circuit stats
  quire circuit stats --shape t20 --json
  quire circuit stats --depth 16 --transfers 64 --fee-slots 2

JSON: a list of shape, depth, cached_levels, transfers, l1_ops, withdrawals, fee_slots, constraints,
constraints_per_transfer, constraints_per_transfer_marginal, domain_log2, variables, nonzeros_a,
nonzeros_b, nonzeros_c, public_words, fingerprint, parts (rule, constraints)")]
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
  quire bench intake transfers.csv.gz --threads 2 --json

JSON: shapes, threads, transfers, batches, accept_seconds, seal_seconds, seconds,
transfers_per_second")]
    Intake(BenchIntakeArgs),
    /// What it costs to fill the L1 queue faster than this prover empties it
    #[command(after_help = "\
Batches full of queue entries are proven; what entries cost is the gas of the contract's committed
bytecode (as in `quire gas`). The lines that end in _many queue 128 entries in one transaction.

Examples:
  quire bench queue --threads 2
  quire bench queue --shape m20 --gas-price 5gwei --l1-fee 0.0005eth --json

JSON: shape, l1_slots, threads, proofs, seconds, entries_per_second, entries_per_l1_block, gas_price,
l1_fee, entries (entry, gas, operator_gas, eth, operator_eth, eth_per_day), cheapest, eth_per_day,
gas_per_l1_block")]
    Queue(BenchQueueArgs),
    /// This prover against ark-groth16 on the same circuit, in interleaved pairs
    #[command(after_help = "\
Examples:
  quire bench prove --shape t18 --threads 2 --json
  quire bench prove --shape t20 --pairs 3 --simd portable

Ratios are ark-groth16's time divided by this prover's.

JSON: shape, constraints, transfers, threads, simd, pairs, seconds, witness_seconds, stages (stage,
seconds), ark_seconds, ark_cached_seconds, ratio_vs_arkworks, ratio_vs_arkworks_cached,
transfers_per_core_second, peak_bytes, key_bytes")]
    Prove(BenchProveArgs),
    /// Multi-scalar multiplication beside arkworks, in interleaved pairs
    #[command(after_help = "\
Examples:
  quire bench msm --threads 1 --json
  quire bench msm --group g2 --log2-size 16 --simd portable

JSON: a list of what, log2_size, threads, simd, pairs, seconds, ark_seconds, ratio,
processor_seconds, ark_processor_seconds, processor_ratio")]
    Msm(BenchMsmArgs),
    /// Transforms from a domain to its odd coset beside arkworks, in interleaved pairs
    #[command(after_help = "\
Examples:
  quire bench fft --threads 1 --json
  quire bench fft --log2-size 22 --simd portable

JSON: a list of what, log2_size, threads, simd, pairs, seconds, ark_seconds, ratio,
processor_seconds, ark_processor_seconds, processor_ratio")]
    Fft(BenchFftArgs),
    /// Making keys beside ark-groth16, from circuit to key, in interleaved pairs
    #[command(after_help = "\
Examples:
  quire bench setup --shape t20 --json
  quire bench setup --shape t18 --pairs 3 --simd portable

JSON: shape, constraints, threads, simd, pairs, seconds, compile_seconds, ark_seconds, ratio")]
    Setup(BenchSetupArgs),
    /// Several proofs in every way that fits the memory bound
    #[command(after_help = "\
Examples:
  quire bench schedule --shape t18 --proofs 6 --memory 3GiB --json

JSON: shape, threads, simd, proofs, rounds, ways (side_by_side, ahead, chosen, memory_bytes, seconds,
proofs_per_second)")]
    Schedule(BenchScheduleArgs),
    /// Verification of batches with their data
    #[command(after_help = "\
Examples:
  quire bench verify --shape t16 --json

JSON: shape, public_words, data_bytes, milliseconds, milliseconds_8, milliseconds_64")]
    Verify(BenchVerifyArgs),
    /// Loading a proving key, checksum included
    #[command(after_help = "\
Examples:
  quire bench keyload --shape t20 --json

JSON: shape, key_bytes, seconds")]
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
    pub limit: Option<u64>,
}

/// Arguments of `bench queue`.
#[derive(Debug, Args)]
pub struct BenchQueueArgs {
    /// A shape with L1 slots
    #[arg(long, default_value = "q18", value_name = "S")]
    pub shape: String,
    /// Full batches that are proven; the median counts
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub proofs: u16,
    /// Price of a unit of gas
    #[arg(long, default_value = "1gwei", value_name = "P")]
    pub gas_price: String,
    /// What L1 takes for an entry
    #[arg(long, default_value = L1_FEE, value_name = "F")]
    pub l1_fee: String,
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
    /// Which inner loops to use
    #[command(flatten)]
    pub simd: SimdArgs,
}

/// Which inner loops to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Simd {
    /// AVX-512 IFMA
    Ifma,
    /// Code for every processor
    Portable,
}

/// The argument `--simd` of measurements.
#[derive(Clone, Copy, Debug, Args)]
pub struct SimdArgs {
    /// Inner loops to use [default: the fastest that the processor has, or QUIRE_SIMD]
    #[arg(long, value_name = "PATH")]
    pub simd: Option<Simd>,
}

/// A group to sum in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GroupName {
    /// Points over the base field
    G1,
    /// Points over its quadratic extension
    G2,
}

/// Arguments of `bench msm`.
#[derive(Debug, Args)]
pub struct BenchMsmArgs {
    /// Groups
    #[arg(long, value_delimiter = ',', default_value = "g1,g2", value_name = "G")]
    pub group: Vec<GroupName>,
    /// Base-2 logarithms of the number of points
    #[arg(long, value_delimiter = ',', default_value = "18,20", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=26))]
    pub log2_size: Vec<u32>,
    /// Measurements of each side
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub pairs: u16,
    /// Which inner loops to use
    #[command(flatten)]
    pub simd: SimdArgs,
}

/// Arguments of `bench fft`.
#[derive(Debug, Args)]
pub struct BenchFftArgs {
    /// Base-2 logarithms of the number of elements
    #[arg(long, value_delimiter = ',', default_value = "18,20", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=26))]
    pub log2_size: Vec<u32>,
    /// Measurements of each side
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub pairs: u16,
    /// Which inner loops to use
    #[command(flatten)]
    pub simd: SimdArgs,
}

/// Arguments of `bench setup`.
#[derive(Debug, Args)]
pub struct BenchSetupArgs {
    /// The shape
    #[arg(long, default_value = "t18", value_name = "S")]
    pub shape: String,
    /// Measurements of each side
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub pairs: u16,
    /// Which inner loops to use
    #[command(flatten)]
    pub simd: SimdArgs,
}

/// Arguments of `bench schedule`.
#[derive(Debug, Args)]
pub struct BenchScheduleArgs {
    /// The shape; its key is made, with known secrets, and not kept
    #[arg(long, default_value = "t18", value_name = "S")]
    pub shape: String,
    /// Proofs to make in each way
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub proofs: u16,
    /// Times that each way is measured
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: u16,
    /// Memory that proofs may take besides keys, such as 3GiB [default: 2GiB]
    #[arg(long, value_name = "M")]
    pub memory: Option<String>,
    /// Which inner loops to use
    #[command(flatten)]
    pub simd: SimdArgs,
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
    /// Which inner loops to load for
    #[command(flatten)]
    pub simd: SimdArgs,
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
    /// Which inner loops to use
    #[command(flatten)]
    pub simd: SimdArgs,
}

/// Arguments of `estimate`.
#[derive(Debug, Args)]
pub struct EstimateArgs {
    /// The shapes
    #[arg(long, required = true, value_name = "S")]
    pub shape: Vec<String>,
}

/// `quire attack …`
#[derive(Debug, Subcommand)]
pub enum AttackCommand {
    /// Every attack with the rule that stops it and what would happen without the rule
    #[command(after_help = "\
Examples:
  quire attack list
  quire attack list --json

JSON: a list of name, rule, rows, story")]
    List,
    /// Show each attack to the circuit; exit status 1 if one is not caught by its rule alone
    #[command(after_help = "\
An attack is caught if its honest neighbour is accepted, and it violates its rule and no other.

Examples:
  quire attack run
  quire attack run stolen-deposit node-as-leaf
  quire attack run --rule signature_is_valid --json

JSON: attacks (name, rule, rows, story, violated_by_neighbour, violated, caught), caught,
not_caught, rules, rules_in_circuit")]
    Run(AttackRunArgs),
}

/// Arguments of `attack run`.
#[derive(Debug, Args)]
pub struct AttackRunArgs {
    /// Names of attacks [default: all]
    pub name: Vec<String>,
    /// Only attacks on rules whose path contains this
    #[arg(long, value_name = "R")]
    pub rule: Option<String>,
}

/// `quire verifier …`
#[derive(Debug, Subcommand)]
pub enum VerifierCommand {
    /// A Solidity contract that verifies proofs under a key
    #[command(after_help = "\
The contract is for proofs of any circuit over BN254; the rollup's contract keeps its keys itself.
A degenerate key is refused (docs/soundness.md, section A).

Examples:
  quire verifier solidity quire-data/keys/t18.vk > T18Verifier.sol
  quire verifier solidity vk.bin --arkworks --name MyVerifier --out MyVerifier.sol

JSON: name, key, public_inputs, source")]
    Solidity(SolidityArgs),
}

/// Arguments of `verifier solidity`.
#[derive(Debug, Args)]
pub struct SolidityArgs {
    /// The verifying key
    #[arg(value_name = "KEY")]
    pub key: PathBuf,
    /// The key is one of ark-groth16, as CanonicalSerialize writes it, compressed or not
    #[arg(long)]
    pub arkworks: bool,
    /// Name of the contract
    #[arg(long, default_value = "Verifier", value_name = "N")]
    pub name: String,
    /// Write it to a file, which must not exist [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
