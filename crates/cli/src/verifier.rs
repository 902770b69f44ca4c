//! `quire verifier`: contracts that verify proofs elsewhere.

use anyhow::{Context, Result};
use l1::evm::verifier::{VerifierError, from_arkworks, solidity};
use prover::bounded::{self, FileKind};
use prover::key::VerifyingKey;
use serde::Serialize;

use crate::args::SolidityArgs;
use crate::fault::Fault;
use crate::files::put_text;
use crate::settings::Settings;

/// Keys of arkworks; a verifier has room for fewer inputs than the longest has.
const ARKWORKS_KEY: FileKind = FileKind {
    name: "a verifying key of arkworks",
    most: 1 << 20,
};

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
        from_arkworks(&bounded::read(&args.key, ARKWORKS_KEY)?).map_err(|error| {
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
            put_text(out, &generated.source)?;
            let text = format!("{}: contract {}", out.display(), generated.name);
            settings.ui.result(&generated, text)
        }
        None => settings.ui.raw(&generated, &generated.source),
    }
}
