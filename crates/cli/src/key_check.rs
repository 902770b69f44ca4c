//! `quire keys verify`: everything about a pair of key files that can be checked.

use std::time::Instant;

use anyhow::Result;
use prover::key::Origin;
use rollup::key_check::{Checked, check};
use rollup::text::count;
use serde::Serialize;

use crate::args::KeyVerifyArgs;
use crate::keys::Made;
use crate::settings::Settings;
use crate::ui::{Style, paint, seconds};

/// What `keys verify` prints.
#[derive(Serialize)]
struct Facts {
    shape: String,
    proving_key: String,
    verifying_key: String,
    id: String,
    fingerprint: String,
    insecure_dev: bool,
    #[serde(flatten)]
    made: Made,
    points: usize,
    /// Whether L1 verifies batches with this key; none if there is no L1, or it has no key yet.
    on_l1: Option<bool>,
    checks: Vec<&'static str>,
    seconds: f64,
}

/// `quire keys verify`.
///
/// # Errors
/// With the first check that fails.
pub fn run(settings: &Settings, args: &KeyVerifyArgs) -> Result<()> {
    let started = Instant::now();
    let checked = check(settings, &args.shape, !args.no_proof)?;
    let Checked { key, points, .. } = checked;
    let facts = Facts {
        shape: args.shape.clone(),
        proving_key: checked.proving_path.display().to_string(),
        verifying_key: checked.verifying_path.display().to_string(),
        id: key.id_hex(),
        fingerprint: format!("0x{}", hex::encode(checked.fingerprint)),
        insecure_dev: key.info().origin == Origin::Dev,
        made: Made::of(&key),
        points,
        on_l1: checked.on_l1,
        checks: checked.checks,
        seconds: seconds(started.elapsed()),
    };
    settings.ui.result(&facts, describe(&facts))
}

fn describe(facts: &Facts) -> String {
    let mut text = format!(
        "keys of shape {}\nverifying key  {}\ncircuit        {}\n",
        facts.shape, facts.id, facts.fingerprint
    );
    for check in &facts.checks {
        text.push_str(&format!("  {} {check}\n", paint(Style::Good, "holds")));
    }
    text.push_str(&format!(
        "{} points, {:.1} s\n",
        count(facts.points),
        facts.seconds
    ));
    if facts.on_l1.is_none() {
        text.push_str(
            "not compared with an L1: there is none here, or it has no key of the shape yet\n",
        );
    }
    text.push_str(&match facts.insecure_dev {
        true => paint(Style::Warning, "development keys: anybody can forge proofs"),
        false => format!(
            "made by: {}, says the file; whether the secrets were forgotten cannot be checked",
            facts.made
        ),
    });
    text
}
