//! `quire circuit stats`: what circuits cost, without making keys.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use ark_relations::gr1cs::{ConstraintSystem, SynthesisMode};
use circuits::shapes::{self, SHAPES};
use circuits::transition::BatchCircuit;
use ledger::field::Fr;
use ledger::shape::Shape;
use serde::Serialize;

use crate::args::StatsArgs;
use crate::fault::Fault;
use crate::ui::{Ui, table};
use rollup::shape::named;
use rollup::text::count;

/// Shapes above this many slots are left out unless asked for: they need gigabytes.
const LARGE_UPDATES: usize = 400;

/// Most leaf updates of a shape of one's own: about 16 GiB of memory.
const MOST_UPDATES: usize = 5000;

/// The cost of one shape.
#[derive(Debug, Serialize)]
pub struct ShapeStats {
    shape: String,
    depth: u8,
    cached_levels: u8,
    transfers: u16,
    l1_ops: u16,
    withdrawals: u16,
    fee_slots: u8,
    constraints: usize,
    /// Constraints over transfers; none without transfers.
    constraints_per_transfer: Option<f64>,
    /// Half of what two more transfers cost.
    constraints_per_transfer_marginal: f64,
    /// Smallest power of two that holds constraints and public inputs, as its logarithm.
    domain_log2: u32,
    variables: usize,
    nonzeros_a: usize,
    nonzeros_b: usize,
    nonzeros_c: usize,
    public_words: usize,
    fingerprint: String,
    parts: Vec<Part>,
}

/// The cost of one rule.
#[derive(Debug, Serialize)]
struct Part {
    rule: String,
    constraints: usize,
}

/// Prints the cost of the shapes asked for.
///
/// # Errors
/// If a shape is unknown or its sizes make none.
pub fn run(ui: Ui, args: &StatsArgs) -> Result<()> {
    let chosen = chosen_shapes(args)?;
    let mut all = Vec::new();
    for (name, shape) in &chosen {
        let task = ui.task(format!("compiling the circuit of shape {name}"), None);
        all.push(stats(name, shape)?);
        task.done();
    }
    let text = match (all.as_slice(), args.parts) {
        ([one], _) => overview(&all) + "\n" + &parts(one),
        (_, true) => all.iter().fold(overview(&all), |text, one| {
            text + "\nshape " + &one.shape + "\n" + &parts(one)
        }),
        _ => overview(&all) + "\nparts of a circuit: add --parts, or name one with --shape\n",
    };
    ui.result(&all, text)
}

fn chosen_shapes(args: &StatsArgs) -> Result<Vec<(String, Shape)>> {
    if let Some(shape) = custom_shape(args)? {
        return Ok(vec![("custom".to_owned(), shape)]);
    }
    if !args.shape.is_empty() {
        return args
            .shape
            .iter()
            .map(|name| Ok((name.clone(), named(name)?)))
            .collect();
    }
    let small = |shape: &Shape| args.all || shape.updates() <= LARGE_UPDATES;
    Ok(SHAPES
        .iter()
        .filter(|(_, shape)| small(shape))
        .map(|(name, shape)| ((*name).to_owned(), *shape))
        .collect())
}

/// The shape from `--depth` and the rest, if any of them was given.
fn custom_shape(args: &StatsArgs) -> Result<Option<Shape>> {
    let sizes = [args.transfers, args.l1_ops, args.withdrawals];
    let levels = [args.depth, args.fee_slots, args.cached_levels];
    if sizes.iter().all(Option::is_none) && levels.iter().all(Option::is_none) {
        return Ok(None);
    }
    if !args.shape.is_empty() || args.all {
        bail!(Fault::usage(
            "--shape and --all do not go with sizes; give one or the other"
        ));
    }
    let depth = args.depth.unwrap_or(12);
    let shape = Shape {
        id: 0,
        depth,
        l1_ops: args.l1_ops.unwrap_or(0),
        transfers: args.transfers.unwrap_or(0),
        withdrawals: args.withdrawals.unwrap_or(0),
        fee_slots: args.fee_slots.unwrap_or(1),
        cached_levels: args.cached_levels.unwrap_or(3.min(depth.saturating_sub(1))),
    };
    shape
        .validate()
        .context(Fault::usage("these sizes make no shape"))?;
    let updates = shape.updates();
    if updates > MOST_UPDATES {
        bail!(Fault::usage(format!(
            "a shape with {updates} leaf updates is beyond this program: at most {MOST_UPDATES}"
        )));
    }
    Ok(Some(shape))
}

fn stats(name: &str, shape: &Shape) -> Result<ShapeStats> {
    let compiled = shapes::compile(shape)
        .with_context(|| format!("shape {name} is too large for this program"))?;
    let r1cs = &compiled.r1cs;
    let constraints = r1cs.num_constraints();
    let more = Shape {
        transfers: shape.transfers + 2,
        ..*shape
    };
    let extra = constraints_of(&more) - constraints;
    let rows = constraints + r1cs.num_instance();
    let costs = compiled.rules.costs(constraints);
    Ok(ShapeStats {
        shape: name.to_owned(),
        depth: shape.depth,
        cached_levels: shape.cached_levels,
        transfers: shape.transfers,
        l1_ops: shape.l1_ops,
        withdrawals: shape.withdrawals,
        fee_slots: shape.fee_slots,
        constraints,
        constraints_per_transfer: (shape.transfers > 0)
            .then(|| rounded(constraints as f64 / f64::from(shape.transfers))),
        constraints_per_transfer_marginal: extra as f64 / 2.0,
        domain_log2: rows.next_power_of_two().trailing_zeros(),
        variables: r1cs.num_variables(),
        nonzeros_a: r1cs.a().non_zeros(),
        nonzeros_b: r1cs.b().non_zeros(),
        nonzeros_c: r1cs.c().non_zeros(),
        public_words: shape.word_count(),
        fingerprint: format!("0x{}", hex::encode(r1cs.fingerprint())),
        parts: costs
            .into_iter()
            .map(|(rule, constraints)| Part { rule, constraints })
            .collect(),
    })
}

/// Constraints of a shape's circuit, its matrices not made.
fn constraints_of(shape: &Shape) -> usize {
    let cs = ConstraintSystem::<Fr>::new_ref();
    cs.set_mode(SynthesisMode::Setup);
    BatchCircuit(shapes::padding(shape)).synthesize(cs.clone());
    cs.num_constraints()
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn overview(all: &[ShapeStats]) -> String {
    let heading = [
        "shape",
        "depth",
        "transfers",
        "L1 ops",
        "withdrawals",
        "fee slots",
        "constraints",
        "of 2^n",
        "per transfer",
        "marginal",
        "variables",
        "nonzeros A",
        "B",
        "C",
        "fingerprint",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for one in all {
        let filled = 100.0 * one.constraints as f64 / f64::from(1u32 << one.domain_log2.min(31));
        let per_transfer = one.constraints_per_transfer;
        rows.push(vec![
            one.shape.clone(),
            one.depth.to_string(),
            one.transfers.to_string(),
            one.l1_ops.to_string(),
            one.withdrawals.to_string(),
            one.fee_slots.to_string(),
            count(one.constraints),
            format!("2^{} {filled:.1} %", one.domain_log2),
            per_transfer.map_or("-".to_owned(), |value| format!("{value:.0}")),
            format!("{:.1}", one.constraints_per_transfer_marginal),
            count(one.variables),
            count(one.nonzeros_a),
            count(one.nonzeros_b),
            count(one.nonzeros_c),
            one.fingerprint[..18].to_owned(),
        ]);
    }
    table(&rows)
}

/// The parts of a circuit: constraints by rule, rules of one part together.
fn parts(one: &ShapeStats) -> String {
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for part in &one.parts {
        let group = part.rule.split('/').next().unwrap_or("");
        *groups.entry(group).or_default() += part.constraints;
    }
    let share = |constraints: usize| {
        format!(
            "{:.1} %",
            100.0 * constraints as f64 / one.constraints as f64
        )
    };
    let mut rows = vec![vec![
        "part".to_owned(),
        "constraints".to_owned(),
        "share".to_owned(),
    ]];
    let mut by_cost: Vec<_> = groups.into_iter().collect();
    by_cost.sort_by_key(|(_, constraints)| std::cmp::Reverse(*constraints));
    for (group, total) in by_cost {
        rows.push(vec![
            named_group(group).to_owned(),
            count(total),
            share(total),
        ]);
        let inside = |part: &&Part| part.rule.starts_with(&format!("{group}/"));
        for part in one.parts.iter().filter(inside) {
            let rule = part.rule[group.len() + 1..].to_owned();
            let cells = (count(part.constraints), share(part.constraints));
            rows.push(vec![format!("  {rule}"), cells.0, cells.1]);
        }
    }
    table(&rows)
}

fn named_group(group: &str) -> &str {
    if group.is_empty() { "(other)" } else { group }
}
