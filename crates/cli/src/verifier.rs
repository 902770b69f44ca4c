//! `quire verifier`: contracts that verify proofs elsewhere.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use l1::evm::verifier::{VerifierError, from_arkworks, solidity};
use prover::key::VerifyingKey;
use serde::Serialize;

use crate::args::SolidityArgs;
use crate::exit::Fault;
use crate::settings::Settings;

/// Most bytes of a key that is read: more than any that a verifier has room for.
const MAX_KEY_BYTES: u64 = 1 << 20;

/// What was generated.
#[derive(Debug, Serialize)]
struct Generated {
    name: String,
    key: String,
    public_inputs: usize,
    source: String,
}

/// Generates a verifier and prints it or writes it to a file.
///
/// # Errors
/// If the key cannot be read or used, the name is not one, or the file exists.
pub fn run(settings: &Settings, args: &SolidityArgs) -> Result<()> {
    let path = args.key.display();
    let key = if args.arkworks {
        from_arkworks(&read(&args.key)?).map_err(|error| {
            Fault::input(format!("cannot use the verifying key {path}: {error}"))
        })?
    } else {
        let loaded = VerifyingKey::load(&args.key, settings.dev_keys);
        loaded.with_context(|| format!("cannot use the verifying key {path}"))?
    };
    let source = solidity(&key, &args.name).map_err(|error| match error {
        VerifierError::Name(_) => Fault::usage(format!("--name: {error}")),
        _ => Fault::input(error.to_string()),
    })?;
    let generated = Generated {
        name: args.name.clone(),
        key: key.id_hex(),
        public_inputs: key.num_inputs(),
        source,
    };
    match &args.out {
        Some(out) => {
            write_new(out, &generated.source)?;
            let text = format!("{}: contract {}", out.display(), generated.name);
            settings.ui.result(&generated, text)
        }
        None => settings.ui.raw(&generated, &generated.source),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let refused = |reason: String| Fault::environment(format!("cannot read {shown}: {reason}"));
    let metadata = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?;
    if metadata.len() > MAX_KEY_BYTES {
        let got = metadata.len();
        let text = format!("{shown} has {got} bytes, a verifying key at most {MAX_KEY_BYTES}");
        return Err(Fault::input(text).into());
    }
    Ok(std::fs::read(path).map_err(|error| refused(error.to_string()))?)
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let file = std::fs::File::create_new(path);
    let mut file = file.map_err(|error| {
        let shown = path.display();
        let text = format!("cannot write {shown}: {error}; name a file that does not exist");
        Fault::environment(text)
    })?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
