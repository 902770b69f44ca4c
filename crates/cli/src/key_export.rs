//! `quire keys export`: the keys of a deployment, as files for everybody.

use std::path::PathBuf;

use anyhow::Result;
use rollup::L1;
use rollup::key_export::{CHECKSUMS, ExportedFile, export};
use rollup::text::{bytes, count};
use serde::Serialize;

use crate::args::KeyExportArgs;
use crate::settings::Settings;

/// What `keys export` prints.
#[derive(Serialize)]
struct Exported {
    folder: PathBuf,
    files: Vec<ExportedFile>,
}

/// `quire keys export`.
///
/// # Errors
/// If a key is missing or is not L1's, or the folder has such files already.
pub fn run(settings: &Settings, args: &KeyExportArgs) -> Result<()> {
    let l1 = L1::look(settings)?;
    let facts = Exported {
        folder: args.folder.clone(),
        files: export(settings, &l1, &args.folder)?,
    };
    settings.ui.result(&facts, describe(&facts))
}

fn describe(facts: &Exported) -> String {
    let mut text = String::new();
    for file in &facts.files {
        text.push_str(&format!(
            "{}  {}  {}\n",
            file.sha256,
            file.file,
            bytes(file.bytes)
        ));
    }
    text.push_str(&format!(
        "{} files in {}, with {CHECKSUMS}; publish the folder: without the proving keys nobody can continue the rollup in the operator's absence",
        count(facts.files.len()),
        facts.folder.display()
    ));
    text
}
