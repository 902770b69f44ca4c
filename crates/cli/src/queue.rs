//! `quire bench queue`: what it costs to fill the L1 queue faster than one prover empties it.
//!
//! The prover's pace is measured on full batches of the shape, from witness input to verified proof; gas
//! is that of the contract's committed bytecode on Ethereum's own machine.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use evm::queue::{EntryCost, measure};
use serde::Serialize;

use crate::args::BenchQueueArgs;
use crate::bench::{Subject, median};
use crate::fault::Fault;
use crate::settings::Settings;
use crate::ui::{seconds, table};
use rollup::amount::Amount;
use rollup::text::count;

/// Wei of an ETH.
const ETH: f64 = 1e18;
/// Seconds of a day, and of an L1 slot.
const DAY: f64 = 86_400.0;
const SLOT: f64 = 12.0;

/// What `bench queue` prints.
#[derive(Serialize)]
struct QueueFigures {
    shape: String,
    l1_slots: u16,
    threads: usize,
    proofs: u16,
    /// Median of witness and proof of a full batch.
    seconds: f64,
    entries_per_second: f64,
    entries_per_l1_block: f64,
    gas_price: Amount,
    l1_fee: Amount,
    entries: Vec<EntryFigures>,
    /// The entry that fills the queue for least.
    cheapest: &'static str,
    /// What a day of it costs at this prover's pace.
    eth_per_day: f64,
    /// Gas in each L1 block that it takes.
    gas_per_l1_block: f64,
}

/// An entry at the prices asked for, in ETH.
#[derive(Serialize)]
struct EntryFigures {
    #[serde(flatten)]
    cost: EntryCost,
    /// Gas and fee of who queues it.
    eth: f64,
    /// Gas of the operator less the fee.
    operator_eth: Option<f64>,
    /// A day of such entries at this prover's pace.
    eth_per_day: f64,
}

/// `quire bench queue`.
///
/// # Errors
/// If the shape takes no entries, or a proof fails.
pub fn run(settings: &Settings, args: &BenchQueueArgs) -> Result<()> {
    let wei = |text: &str| Ok::<u128, anyhow::Error>(Amount::parse_eth(text)?.value());
    let (gas_price, l1_fee) = (wei(&args.gas_price)?, wei(&args.l1_fee)?);
    let subject = Subject::make(settings.ui, &args.shape)?;
    let shape = subject.shape;
    ensure!(
        shape.l1_ops > 0,
        Fault::usage(format!(
            "shape {} takes no entries of the L1 queue; name one with L1 slots",
            args.shape
        ))
    );
    let task = settings.ui.task("full batches", Some(args.proofs.into()));
    let mut times: Vec<Duration> = Vec::new();
    for proof in 0..args.proofs {
        times.push(subject.prove()?.whole);
        task.at(u64::from(proof) + 1);
    }
    task.done();
    let task = settings.ui.task("running the contract", None);
    let costs = measure(&shape, l1_fee);
    task.done();
    let time = median(times);
    let pace = f64::from(shape.l1_ops) / time.as_secs_f64();
    let price = |gas: u64| gas as f64 * gas_price as f64 / ETH;
    let fee = l1_fee as f64 / ETH;
    let entries = costs.into_iter().map(|cost| EntryFigures {
        eth: price(cost.gas) + fee,
        operator_eth: cost.operator_gas.map(|gas| price(gas) - fee),
        eth_per_day: (price(cost.gas) + fee) * pace * DAY,
        cost,
    });
    let entries: Vec<EntryFigures> = entries.collect();
    let cheapest = entries.iter().min_by(|a, b| a.eth.total_cmp(&b.eth));
    let cheapest = cheapest.context("no entry was measured")?;
    let figures = QueueFigures {
        shape: args.shape.clone(),
        l1_slots: shape.l1_ops,
        threads: rayon::current_num_threads(),
        proofs: args.proofs,
        seconds: seconds(time),
        entries_per_second: (pace * 10.0).round() / 10.0,
        entries_per_l1_block: (pace * SLOT).round(),
        gas_price: Amount::wei(gas_price),
        l1_fee: Amount::wei(l1_fee),
        cheapest: cheapest.cost.entry,
        eth_per_day: cheapest.eth_per_day.round(),
        gas_per_l1_block: (cheapest.cost.gas as f64 * pace * SLOT).round(),
        entries,
    };
    settings.ui.result(&figures, describe(&figures))
}

fn describe(figures: &QueueFigures) -> String {
    let heading = [
        "ENTRY",
        "GAS",
        "ETH",
        "OPERATOR'S GAS",
        "OPERATOR'S ETH",
        "ETH A DAY",
    ];
    let rows = figures.entries.iter().map(|entry| {
        vec![
            entry.cost.entry.to_owned(),
            count(entry.cost.gas),
            format!("{:.6}", entry.eth),
            entry.cost.operator_gas.map(count).unwrap_or_default(),
            entry
                .operator_eth
                .map(|eth| format!("{eth:+.6}"))
                .unwrap_or_default(),
            format!("{:.0}", entry.eth_per_day),
        ]
    });
    let heading = heading.map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    format!(
        "{}\nshape {}: {} entries in {:.3} s, {} threads, median of {}: {} entries a second, {} in an L1 block of 12 s\n\
         filling the queue as fast costs {:.0} ETH a day with {} at a gas price of {} and a fee of {}, \
         and takes {} gas of each L1 block",
        table(&rows),
        figures.shape,
        figures.l1_slots,
        figures.seconds,
        figures.threads,
        figures.proofs,
        figures.entries_per_second,
        figures.entries_per_l1_block,
        figures.eth_per_day,
        figures.cheapest,
        figures.gas_price,
        figures.l1_fee,
        figures.gas_per_l1_block,
    )
}
