//! Where passphrases come from: a file, the environment, or the terminal, never an argument.
//!
//! Invariant: a passphrase is held in memory that is wiped, and is in no message, trace or result.

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use wallet::{MAX_PASSPHRASE_BYTES, Passphrase};
use zeroize::Zeroizing;

use crate::config;
use crate::fault::Fault;
use crate::files::{refuse_byte_order_mark, refuse_nul};
use crate::settings::Settings;

/// Variable that may hold a passphrase.
pub const VARIABLE: &str = "QUIRE_PASSPHRASE";

/// The passphrase from the file or the environment, if one of them has it.
///
/// # Errors
/// If the file cannot be read, or what is found is no passphrase.
pub fn unattended(settings: &Settings) -> Result<Option<Passphrase>> {
    if let Some(path) = &settings.passphrase_file {
        return from_file(path).map(Some);
    }
    let found = config::variable(VARIABLE)?.map(|text| Zeroizing::new(text.into_bytes()));
    if let Some(bytes) = &found {
        refuse_byte_order_mark(bytes, VARIABLE)?;
    }
    Ok(found
        .map(|bytes| Passphrase::new(bytes, VARIABLE))
        .transpose()?)
}

/// The first line of a file.
fn from_file(path: &Path) -> Result<Passphrase> {
    let shown = path.display();
    let context = || format!("cannot read the passphrase file {shown}");
    let file = std::fs::File::open(path).with_context(context)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(2048));
    file.take(MAX_PASSPHRASE_BYTES as u64 + 2)
        .read_to_end(&mut bytes)
        .with_context(context)?;
    refuse_byte_order_mark(&bytes, &format!("the passphrase file {shown}"))?;
    if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        bytes.truncate(end);
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    let passphrase = Passphrase::new(bytes, &shown.to_string())?;
    refuse_nul(passphrase.bytes(), &format!("the passphrase file {shown}"))?;
    Ok(passphrase)
}

/// The passphrase of the wallet in `path`.
///
/// # Errors
/// If there is none and nobody to ask.
pub fn existing(settings: &Settings, path: &Path) -> Result<Passphrase> {
    if let Some(found) = unattended(settings)? {
        return Ok(found);
    }
    ask(&format!("passphrase of {}: ", path.display()))
}

/// A passphrase for a new wallet, asked twice.
///
/// # Errors
/// As [`existing`], or if the two differ.
pub fn new(settings: &Settings) -> Result<Passphrase> {
    if let Some(found) = unattended(settings)? {
        return Ok(found);
    }
    let first = ask("new passphrase: ")?;
    let second = ask("the same again: ")?;
    if first.bytes() != second.bytes() {
        bail!(Fault::input(
            "the two passphrases differ; nothing was written"
        ));
    }
    Ok(first)
}

fn ask(prompt: &str) -> Result<Passphrase> {
    // Why: a program without a terminal for input must fail, not wait for somebody.
    ensure!(
        io::stdin().is_terminal(),
        Fault::environment(format!(
            "a passphrase is needed and there is no terminal to ask on: give --passphrase-file or {VARIABLE}"
        ))
    );
    let prompt = crate::ui::printable(prompt, false);
    let typed = rpassword::prompt_password(prompt).context("cannot ask for the passphrase")?;
    Ok(Passphrase::new(
        Zeroizing::new(typed.into_bytes()),
        "the terminal",
    )?)
}
