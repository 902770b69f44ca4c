//! A deployment on a chain that was begun: `D/deploying`, until the last of its transactions was told.
//!
//! A deployment is several transactions: the contracts, the tokens, the deposits into the fee accounts.
//! Invariant: what they are made of, the salt and the fee accounts' key among it, is on disk before the
//! first is sent, so that the same command sends what is missing and nothing twice.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use files::FolderDraft;
use l1::{Address, Parameters, checked};
use ledger::babyjubjub::Point;
use prover::bounded::{self, FileKind};
use rollup::OperatorKey;
use serde::{Deserialize, Serialize};
use wallet::{Locked, read_secret};
use zeroize::Zeroizing;

use crate::fault::Fault;
use crate::interrupt::{remove_on_interrupt, shield};
use crate::settings::Settings;
use crate::wallet::write_secret;
use rollup::place::make_folder;

/// Version of the plan.
const VERSION: u32 = 2;
const PLAN: &str = "plan.json";
const PLAN_FILE: FileKind = FileKind {
    name: "the plan of a deployment",
    most: 1 << 20,
};
const WALLET: &str = "operator.json";

/// What a deployment is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    version: u32,
    /// What the constructor fixes; the contract's address is not known yet.
    pub parameters: Parameters,
    /// Ids of the verifying keys, in the order of the shapes.
    keys: Vec<String>,
    /// Tokens besides ETH.
    pub tokens: Vec<Address>,
}

/// A deployment that was begun.
pub struct Deploying {
    folder: PathBuf,
    /// What it is made of.
    pub planned: Planned,
    /// Key of the fee accounts.
    pub public: Point,
    /// Address of its wallet, for people.
    pub address: Address,
    /// The wallet of the fee accounts, a secret.
    pub wallet: Zeroizing<Vec<u8>>,
}

impl Planned {
    /// A plan with the ids of its keys.
    pub fn new(parameters: Parameters, keys: Vec<String>, tokens: Vec<Address>) -> Self {
        Self {
            version: VERSION,
            parameters,
            keys,
            tokens,
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let planned: Self = checked::open(bytes)?;
        let (expected, got) = (VERSION, planned.version);
        ensure!(
            got == expected,
            "it has version {got}, this program reads {expected}"
        );
        Ok(planned)
    }

    /// What of `other` is not as planned here, the salt aside.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        let (a, b) = (&self.parameters, &other.parameters);
        let pairs = [
            ("the chain", a.chain_id == b.chain_id),
            ("the operator's Ethereum key", a.operator == b.operator),
            ("--shape", a.shapes == b.shapes),
            ("--l1-fee", a.l1_fee == b.l1_fee),
            ("--pending-cap", a.pending_cap == b.pending_cap),
            ("--timestamp-slack", a.timestamp_slack == b.timestamp_slack),
            ("--takeover-after", a.takeover_after == b.takeover_after),
            ("--freeze-after", a.freeze_after == b.freeze_after),
            ("--token", self.tokens == other.tokens),
            ("the verifying keys", self.keys == other.keys),
        ];
        let differs = pairs.into_iter().find(|(_, same)| !same);
        differs.map(|(name, _)| name)
    }
}

impl Deploying {
    /// The deployment that was begun in the data directory, if there is one.
    ///
    /// # Errors
    /// If its files cannot be read.
    pub fn find(settings: &Settings) -> Result<Option<Self>> {
        let folder = settings.deploying_dir();
        if !folder.exists() {
            return Ok(None);
        }
        let (plan, wallet) = (folder.join(PLAN), folder.join(WALLET));
        let bytes = bounded::read(&plan, PLAN_FILE)?;
        let planned = Planned::decode(&bytes).with_context(|| {
            Fault::damaged(format!(
                "{} holds no plan of a deployment: restore it from a backup; moving {} away gives the deployment up, with what it sent already",
                plan.display(),
                folder.display()
            ))
        })?;
        let locked = Locked::read(&wallet)?;
        Ok(Some(Self {
            public: locked.public,
            address: locked.address,
            wallet: read_secret(&wallet, "wallet")?,
            folder,
            planned,
        }))
    }

    /// Writes a plan down, before anything is sent.
    ///
    /// # Errors
    /// If files cannot be written.
    pub fn begin(settings: &Settings, planned: Planned, fees: OperatorKey) -> Result<Self> {
        make_folder(&settings.data_dir)?;
        let folder = settings.deploying_dir();
        let draft = FolderDraft::begin(&folder)?;
        remove_on_interrupt(draft.path());
        let json = checked::seal(&planned).context("cannot write the plan")?;
        write_secret(&draft.path().join(PLAN), &json)?;
        write_secret(&draft.path().join(WALLET), &fees.file)?;
        let _shield = shield();
        draft.put_new()?;
        Ok(Self {
            folder,
            planned,
            public: fees.public,
            address: fees.address,
            wallet: fees.file,
        })
    }

    /// Whether the command that was given now is the one that began it.
    ///
    /// # Errors
    /// [`Fault`] with what differs.
    pub fn check(&self, given: &Planned, fees: Option<&OperatorKey>) -> Result<()> {
        let other_wallet = fees.is_some_and(|fees| fees.public != self.public);
        let differs = match other_wallet {
            true => Some("--operator"),
            false => self.planned.difference(given),
        };
        let Some(what) = differs else {
            return Ok(());
        };
        let folder = self.folder.display();
        Err(Fault::usage(format!(
            "{folder} has a deployment that was begun and not finished, and {what} is another now: give the same command again to finish it, or another --data-dir; moving {folder} away gives it up, with what it sent already"
        ))
        .into())
    }

    /// Whether a contract is the one that was begun here.
    ///
    /// # Errors
    /// [`Fault`] if it is another.
    pub fn check_is(&self, parameters: &Parameters) -> Result<()> {
        let planned = &self.planned.parameters;
        let of = |of: &Parameters| (of.chain_id, of.salt, of.operator.address);
        ensure!(
            of(parameters) == of(planned),
            Fault::usage(format!(
                "the deployment in this directory is not the one that was begun in {}: move one of the two away",
                self.folder.display()
            ))
        );
        Ok(())
    }

    /// Everything was sent and told.
    ///
    /// # Errors
    /// If the plan cannot be removed.
    pub fn end(self) -> Result<()> {
        Ok(::files::remove_folder(&self.folder)?)
    }
}

#[cfg(test)]
mod tests {
    use l1::bytes::Bytes;
    use l1::genesis::{ListedShape, Operator, Token};
    use ledger::shape::Shape;

    use super::*;

    /// Another salt would be another deployment, sent beside the first.
    #[test]
    fn whatever_bit_of_a_plan_is_flipped_it_is_the_same_or_refused() {
        let shape = Shape {
            id: 17,
            depth: 12,
            fee_slots: 3,
            l1_ops: 4,
            transfers: 0,
            withdrawals: 2,
            cached_levels: 2,
        };
        let parameters = Parameters {
            chain_id: 31_337,
            contract: None,
            salt: Bytes([0x5a; 32]),
            operator: Operator {
                name: "operator".to_owned(),
                address: Bytes([0x11; 20]),
            },
            shapes: vec![ListedShape {
                shape,
                fingerprint: Bytes([0x22; 32]),
            }],
            l1_fee: 1_000,
            pending_cap: 65_536,
            timestamp_slack: 86_400,
            takeover_after: 259_200,
            freeze_after: 604_800,
            tokens: vec![Token::eth()],
        };
        let keys = vec!["ab".repeat(32)];
        let planned = Planned::new(parameters, keys, vec![Bytes([0x33; 20])]);
        let good = checked::seal(&planned).unwrap();
        assert_eq!(Planned::decode(&good).unwrap(), planned);
        let mut refused = 0;
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            match Planned::decode(&bad) {
                Ok(read) => assert_eq!(read, planned, "bit {bit}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 6 * good.len());
    }
}
