//! `quire keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::KeyImportArgs;

/// `quire keys …`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make the keys of a shape, by one party: whoever runs this could keep the secrets
    #[command(after_help = "\
`quire estimate --shape S` tells beforehand how long it takes and how much memory.

Examples:
  quire keys setup --shape t18
  quire keys setup --shape tiny --insecure-dev-seed 1 --allow-dev-keys

JSON: a list of file, shape, id, fingerprint, insecure_dev, origin (one_party, dev), bytes,
constraints, seconds")]
    Setup(SetupArgs),
    /// What a key file, or every key in the keys directory, says about itself
    #[command(after_help = "\
The id is that of the verifying key's points: the same in every file that has the key, on a chain, and
in what other commands print. How the key was made is what the file says: by one party, by a ceremony
that `quire keys import --ptau` verified (with how many contributions), from a development seed, or
unknown.

Examples:
  quire keys info
  quire keys info quire-data/keys/t18.vk

JSON: a list of file, shape, id, fingerprint, insecure_dev, origin (one_party, ceremony, dev,
unknown), contributions (of a ceremony alone), bytes")]
    Info(KeyInfoArgs),
    /// Check the keys of a shape thoroughly
    #[command(after_help = "\
Checked: form and checksum of both files; every point of both on its curve and in its subgroup; no
known degeneracy (γ ≠ ±δ and the rest); the circuit, compiled afresh; the two files are of one setup;
a proof made with the one verifies under the other; and, where there is an L1 (--l1, or in the data
directory), that it verifies batches with this key, wherever the files are from. Who made the keys, and whether the secrets
were kept, cannot be checked.

Examples:
  quire keys verify --shape t18
  quire keys verify --shape t18 --keys-dir ./downloaded
  quire keys verify --shape t18 --no-proof        leaves out the trial proof
  quire keys verify --shape t18 --keys-dir ./mirror --l1 ./l1.redb

JSON: shape, proving_key, verifying_key, id, fingerprint, insecure_dev, origin (one_party, ceremony, dev,
unknown), contributions (of a ceremony alone), points, on_l1 (null without an L1), checks, seconds")]
    Verify(KeyVerifyArgs),
    /// Publish the keys of the deployment: without the proving keys nobody can take over
    #[command(after_help = "\
Each key is compared with the one that L1 verifies batches with. The
folder gets S.pk and S.vk of every shape, and their SHA-256 in SHA256SUMS.

Examples:
  quire keys export ./public
  cd public && sha256sum --check SHA256SUMS

JSON: folder, files (file, shape, id, bytes, sha256)")]
    Export(KeyExportArgs),
    /// Make key files of a ceremony's .zkey, after checking it
    #[command(after_help = "\
Checked: every point; wires, domain and the coefficients of A and B against the circuit, compiled
afresh; no known degeneracy (an unfinished ceremony has γ = δ); a trial proof; and with --ptau the whole
ceremony, as `quire ceremony verify` does. A .zkey does not hold matrix C, so without --ptau it may be
another, weaker circuit's: it is taken as a development key only, with --allow-dev-keys.

Examples:
  quire keys import t18.zkey --shape t18 --ptau pot19.ptau
  quire keys import trial.zkey --shape tiny --allow-dev-keys

JSON: shape, proving_key, verifying_key, id, contributions, ceremony_verified, insecure_dev, seconds")]
    Import(KeyImportArgs),
}

/// Arguments of `keys setup`.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// The shapes
    #[arg(long, required = true, value_name = "S")]
    pub shape: Vec<String>,
    /// Derive the secrets from a number, so that anybody can forge proofs: trials only
    #[arg(long, value_name = "SEED")]
    pub insecure_dev_seed: Option<u64>,
    /// Replace keys that exist: batches proven with them can then no longer be verified
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `keys info`.
#[derive(Debug, Args)]
pub struct KeyInfoArgs {
    /// Key files [default: all in the keys directory]
    pub file: Vec<PathBuf>,
}

/// Arguments of `keys export`.
#[derive(Debug, Args)]
pub struct KeyExportArgs {
    /// The folder, which is made if it does not exist
    pub folder: PathBuf,
}

/// Arguments of `keys verify`.
#[derive(Debug, Args)]
pub struct KeyVerifyArgs {
    /// The shape, whose keys are S.pk and S.vk in the keys directory
    #[arg(long, value_name = "S")]
    pub shape: String,
    /// Leave out the trial proof
    #[arg(long)]
    pub no_proof: bool,
}
