//! `quire keys verify`: everything about a pair of key files that can be checked.
//!
//! What cannot: who made the keys, and whether the setup's secrets were forgotten.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use circuits::shapes;
use circuits::transition::assignment;
use ledger::shape::Shape;
use prover::key::{AllowDevKeys, Origin, ProvingKey, VerifyingKey};
use prover::prove::prove;
use prover::verify::verify;
use rand::rngs::OsRng;
use rollup::L1;
use serde::Serialize;

use crate::args::KeyVerifyArgs;
use crate::fault::Fault;
use crate::key_export::check_on_l1;
use crate::keys::Made;
use crate::settings::Settings;
use crate::ui::{Style, paint, seconds};
use rollup::keys::{check_exists, key_path, shape_of};
use rollup::shape::named;
use rollup::text::count;

/// What `keys verify` prints.
#[derive(Serialize)]
struct Checked {
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
    let name = &args.shape;
    let shape = named(name)?;
    let path = |extension| key_path(&settings.keys_dir, name, extension);
    let (proving_path, verifying_path) = (path("pk"), path("vk"));
    check_exists(&proving_path, name)?;
    let mut checks = Vec::new();
    let task = settings
        .ui
        .task(format!("reading the keys of shape {name}"), None);
    // Why: looking closely at a key marked as insecure is not using it.
    let allow = AllowDevKeys::Yes;
    let verifying = VerifyingKey::load(&verifying_path, allow)
        .with_context(|| format!("{} does not hold", verifying_path.display()))?;
    checks.push("verifying key: form, checksum, points, degeneracy");
    let described = shape_of(&verifying)?;
    ensure!(
        described == shape,
        Fault::input(format!(
            "{} says that it is for another shape than {name}: {described:?}",
            verifying_path.display()
        ))
    );
    checks.push("shape");
    task.doing(format!("compiling the circuit of shape {name}"));
    let compiled = shapes::compile(&shape).with_context(|| format!("shape {name}"))?;
    let fingerprint = compiled.r1cs.fingerprint();
    verifying
        .check_circuit(&fingerprint)
        .with_context(|| format!("{} does not hold", verifying_path.display()))?;
    checks.push("circuit, compiled afresh");
    task.doing("loading the proving key");
    let context = || format!("{} does not hold", proving_path.display());
    let proving = ProvingKey::load(&proving_path, &fingerprint, allow).with_context(context)?;
    checks.push("proving key: form, checksum, counts");
    let counted = (proving.num_variables(), proving.domain_size());
    let r1cs = &compiled.r1cs;
    let rows = r1cs.num_constraints() + r1cs.num_instance();
    let expected = (r1cs.num_variables(), rows.next_power_of_two());
    ensure!(
        counted == expected,
        Fault::input(format!(
            "{} has {} variables and a domain of {}, the circuit has {} and {}; repeat the setup",
            proving_path.display(),
            counted.0,
            counted.1,
            expected.0,
            expected.1
        ))
    );
    checks.push("sizes of the circuit");
    ensure!(
        *proving.verifying_key() == verifying,
        Fault::input(format!(
            "{} holds verifying key {}, {} is {}: they are not of one setup; copy both files of one",
            proving_path.display(),
            proving.verifying_key().id_hex(),
            verifying_path.display(),
            verifying.id_hex()
        ))
    );
    checks.push("both files of one setup");
    let on_l1 = on_l1(settings, &shape, &verifying)?;
    if on_l1.is_some() {
        checks.push("the key that L1 verifies batches with");
    }
    task.doing("checking every point");
    let points = proving
        .check_points()
        .map_err(prover::key::KeyError::from)
        .with_context(context)?;
    checks.push("every point on its curve and in its subgroup");
    if !args.no_proof {
        task.doing("a trial proof");
        let assignment = assignment(&shapes::padding(&shape));
        let proof = prove(&proving, r1cs, &assignment, &mut OsRng).with_context(|| {
            Fault::input(format!("{} makes no good proof", proving_path.display()))
        })?;
        let inputs = &assignment[1..r1cs.num_instance()];
        verify(&verifying, inputs, &proof).context("the trial proof")?;
        checks.push("a proof of an empty batch verifies");
    }
    task.done();
    let facts = Checked {
        shape: name.clone(),
        proving_key: proving_path.display().to_string(),
        verifying_key: verifying_path.display().to_string(),
        id: verifying.id_hex(),
        fingerprint: format!("0x{}", hex::encode(fingerprint)),
        insecure_dev: verifying.info().origin == Origin::Dev,
        made: Made::of(&verifying),
        points,
        on_l1,
        checks,
        seconds: seconds(started.elapsed()),
    };
    settings.ui.result(&facts, describe(&facts))
}

/// Whether the key is the one of L1, if there is an L1 that has one.
fn on_l1(settings: &Settings, shape: &Shape, key: &VerifyingKey) -> Result<Option<bool>> {
    if !settings.l1_file.exists() && settings.l1_url.is_none() {
        return Ok(None);
    }
    let l1 = L1::look(settings)?;
    Ok(check_on_l1(&l1, shape, key)?.then_some(true))
}

fn describe(facts: &Checked) -> String {
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
