//! A deployment in its data directory: L1 and the batcher, opened together.
//!
//! Invariant: batcher and L1 have one genesis and one domain; whatever L1 did without the batcher is
//! followed by [`Deployment::follow_l1`]. Whose wallet the operator's is, and its passphrase, are left to
//! the caller, who tells with [`Deployment::act_as`] that it has been shown.

use std::ops::{Deref, DerefMut};
use std::path::Path;

use batcher::store::FILE_NAME;
use batcher::{Batcher, Limits, Role};
use l1::bytes::Bytes;
use l1::{Address, L1Error, NOBODY, NativeL1, SubmissionRight};
use ledger::account::Account;

use crate::clock::now;
use crate::error::DeploymentError;
use crate::event::Note;
use crate::follow::Followed;
use crate::open::{L1, note_as_written};
use crate::place::Place;
use crate::right::Return;
use crate::rollup::Rollup;
use crate::shape::shape_name;

/// Seconds after which waiting operations are sealed into a batch that is not full.
const MAX_AGE: u64 = 60;
/// How much waits at most. One process holds one mempool, whose owner is the only user.
const LIMITS: Limits = Limits {
    operations: 1 << 22,
    per_account: 1 << 20,
    look_ahead: 1 << 20,
};
/// The file of the operator's wallet in the folder of a deployment.
pub const OPERATOR_FILE: &str = "operator.json";

/// L1 and the batcher of a data directory.
pub struct Deployment {
    rollup: Rollup,
    /// The operator of a native L1, once it was shown that its wallet is there.
    operator: Option<Address>,
    /// The role that the database had when it was opened.
    role: Role,
}

/// A deployment whose files are closed for a while.
pub struct Paused {
    /// What the batcher has to know.
    pub batcher: batcher::Settings,
    submitter: Option<Address>,
    operator: Option<Address>,
}

/// L1 and batcher are reached through their rollup.
impl Deref for Deployment {
    type Target = Rollup;

    fn deref(&self) -> &Rollup {
        &self.rollup
    }
}

impl DerefMut for Deployment {
    fn deref_mut(&mut self) -> &mut Rollup {
        &mut self.rollup
    }
}

impl Paused {
    /// Opens the deployment again.
    ///
    /// # Errors
    /// As [`Deployment::open`] and [`Deployment::catch_up`].
    pub fn resume(self, place: &Place) -> Result<Deployment, DeploymentError> {
        let mut deployment = Deployment::open(place)?;
        deployment.operator = self.operator;
        deployment.catch_up(place)?;
        if let Some(submitter) = self.submitter {
            deployment.work_for(submitter);
            deployment.follow_l1(place)?;
        }
        Ok(deployment)
    }
}

/// What the batcher has to know of the L1's deployment.
///
/// # Errors
/// If L1 cannot be read.
pub fn batcher_settings(l1: &NativeL1) -> Result<batcher::Settings, l1::StoreError> {
    crate::rollup::settings(l1, LIMITS, MAX_AGE)
}

impl Deployment {
    /// A deployment of an L1 and a batcher that were just made.
    pub(crate) fn of_new(l1: NativeL1, batcher: Batcher, confirmations: u64) -> Self {
        Self {
            rollup: Rollup::new(l1, batcher, confirmations),
            operator: None,
            role: Role::Operator,
        }
    }

    /// Opens the deployment of the data directory. [`Self::catch_up`] is to be called next.
    ///
    /// # Errors
    /// If there is none, another process has it open, or a file is damaged or foreign.
    pub fn open(place: &Place) -> Result<Self, DeploymentError> {
        let folder = place.rollup_dir();
        check_present(place)?;
        let L1 {
            native: l1, link, ..
        } = L1::open(place)?;
        // Why: what was registered is checked against what is accepted now, with a better message.
        check_registered_keys(&l1, place)?;
        let configured = batcher_settings(&l1)?;
        let batcher = place.for_turn(|| {
            let batcher = Batcher::open(&folder, configured.clone());
            batcher.map_err(|source| DeploymentError::Batcher { source })
        })?;
        let role = batcher.role().unwrap_or_else(|| role_of_old(&folder, &l1));
        let mut deployment = Self {
            rollup: Rollup::new(l1, batcher, place.confirmations)
                .with_link(link)
                .with_clock(place.clock),
            operator: None,
            role,
        };
        if deployment.role() == Role::Taker {
            // Why: whoever takes over names itself later; until then no account takes fees.
            deployment.rollup.work_for(NOBODY);
        }
        Ok(deployment)
    }

    /// The deployment of the data directory as its files have it: it can be read while another process
    /// writes them, by a user who may not write them, without a chain and without L1's agreement.
    ///
    /// # Errors
    /// If there is none, or a file is damaged or foreign.
    pub fn read(place: &Place) -> Result<Self, DeploymentError> {
        check_present(place)?;
        let L1 {
            native: mut l1,
            link,
            ..
        } = L1::read(place)?;
        check_registered_keys(&l1, place)?;
        let (folder, configured) = (place.rollup_dir(), batcher_settings(&l1)?);
        let batcher = place.for_turn(|| {
            let batcher = Batcher::open_to_read(&folder, configured.clone());
            batcher.map_err(|source| DeploymentError::Batcher { source })
        })?;
        // Why: what L1 did before the batcher noted it is not to be missing.
        l1.renew()?;
        let role = batcher.role().unwrap_or_else(|| role_of_old(&folder, &l1));
        let mut rollup = Rollup::new(l1, batcher, place.confirmations).with_link(link);
        let behind = rollup.take_l1s_word()?;
        let deployment = Self {
            role,
            rollup,
            operator: None,
        };
        if behind > 0 {
            place.note(&Note::Behind {
                batches: behind,
                mirror: !deployment.may_acknowledge()?,
            });
        }
        Ok(deployment)
    }

    /// The deployment as it is now, if the chain can be asked and nobody writes the files; else as its
    /// files have it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn look(place: &Place) -> Result<Self, DeploymentError> {
        if place.connect.is_none() {
            return Self::read(place);
        }
        let opened = || {
            let place = place.without_waiting();
            let mut deployment = Self::open(&place)?;
            deployment.catch_up(&place)?;
            Ok(deployment)
        };
        opened().or_else(|error| {
            note_as_written(place, &error);
            Self::read(place)
        })
    }

    /// Closes the files, so that other processes have their turn.
    pub fn pause(self) -> Paused {
        Paused {
            batcher: self.rollup.batcher.settings().clone(),
            submitter: self.rollup.submitter(),
            operator: self.operator,
        }
    }

    /// Whether the data directory is the operator's, a taker's or a mirror.
    pub fn role(&self) -> Role {
        self.batcher.role().unwrap_or(self.role)
    }

    /// The operator whose directory it is, if it is an operator's: L1's may be another by now.
    pub fn own_operator(&self) -> Address {
        let first = self.l1.deployment().parameters().operator.address;
        self.batcher.operator().map_or(first, Bytes)
    }

    /// Follows L1 after the files were opened. Nothing is acknowledged from then on that does not reach L1.
    ///
    /// # Errors
    /// As [`Self::follow_l1`].
    pub fn catch_up(&mut self, place: &Place) -> Result<(), DeploymentError> {
        self.follow_l1(place)?;
        if !self.may_acknowledge()? {
            self.batcher.rest();
        }
        Ok(())
    }

    /// True if what is acknowledged here reaches L1: the directory is that of L1's operator, or of somebody
    /// who takes over while anybody may.
    ///
    /// # Errors
    /// If L1 cannot be read.
    pub fn may_acknowledge(&self) -> Result<bool, DeploymentError> {
        Ok(match self.role() {
            Role::Operator => self.own_operator() == self.l1.operator()?,
            Role::Taker => matches!(
                self.submission_right(now()?)?,
                SubmissionRight::Anybody { .. }
            ),
            Role::Mirror => false,
        })
    }

    /// Refuses if only L1's operator may do what is asked.
    ///
    /// # Errors
    /// [`DeploymentError::Mirror`]; [`DeploymentError::Frozen`] once nobody may.
    pub fn check_operators(&self, place: &Place) -> Result<(), DeploymentError> {
        if self.role() != Role::Mirror {
            return Ok(());
        }
        if self.l1.head()?.frozen {
            return Err(DeploymentError::Frozen);
        }
        let since = match self.role {
            Role::Taker => " since batches are its operator's again",
            Role::Operator => " since the operator role was handed over",
            Role::Mirror => "",
        };
        let data_dir = place.data_dir.clone();
        Err(DeploymentError::Mirror { data_dir, since })
    }

    /// Works for the operator of a native L1, whose wallet was shown to be there.
    pub fn act_as(&mut self, operator: Address) {
        self.operator = Some(operator);
    }

    /// The operator's address, once its wallet was shown; on a contract the Ethereum key's.
    ///
    /// # Errors
    /// If it was not, or the Ethereum key is not the operator's.
    pub fn operator(&self) -> Result<Address, DeploymentError> {
        if self.link.is_remote() {
            let (caller, operator) = (self.link.caller(NOBODY)?, self.l1.operator()?);
            return match caller == operator {
                true => Ok(caller),
                false => Err(DeploymentError::OtherKey { caller, operator }),
            };
        }
        self.operator.ok_or(DeploymentError::NoWallet)
    }

    /// Who submits: the operator, or whoever takes over.
    ///
    /// # Errors
    /// As [`Self::operator`].
    pub fn submitter(&self) -> Result<Address, DeploymentError> {
        match self.rollup.submitter() {
            Some(NOBODY) => Err(DeploymentError::NotTheOperators),
            Some(submitter) => Ok(submitter),
            None => self.operator(),
        }
    }

    /// Brings the batcher in line with L1, and tells what that changed.
    ///
    /// # Errors
    /// If the two are not of one history.
    pub fn follow_l1(&mut self, place: &Place) -> Result<(), DeploymentError> {
        let followed = self.rollup.follow(now()?)?;
        let Followed {
            finalized,
            lost,
            applied,
            reopened,
        } = followed;
        tracing::info!(
            finalized,
            lost,
            applied = applied.batches,
            reopened = reopened.is_some(),
            "followed L1"
        );
        if lost > 0 {
            place.note(&Note::Lost { batches: lost });
        }
        if let Some((reason, reopened)) = reopened {
            place.note(&Note::Reopened { reason, reopened });
            let first = reason.batch();
            (first..first + reopened.batches)
                .try_for_each(|number| remove_folder(place, number))?;
        }
        if applied.batches > 0 {
            let batches = applied.batches;
            place.note(&Note::Foreign { batches });
        }
        if applied.executed + applied.rejected > 0 {
            place.note(&Note::Overtaken {
                executed: applied.executed,
                rejected: applied.rejected,
            });
        }
        Ok(())
    }

    /// Refuses to go on if whoever submits here may not now.
    ///
    /// # Errors
    /// If somebody else has the right.
    pub fn check_turn(&self) -> Result<(), DeploymentError> {
        let (submitter, now) = (self.submitter()?, now()?);
        match self.check_right(submitter, now) {
            Err(L1Error::Refused(_)) => Err(DeploymentError::MayNotSubmit {
                submitter,
                right: self.submission_right(now)?,
            }),
            checked => Ok(checked?),
        }
    }

    /// As [`Self::check_turn`], once batches are sealed. An operator that others have taken over from calls
    /// for its hour if it has a batch, so that no batch of theirs makes its proofs worthless.
    ///
    /// # Errors
    /// If somebody else has the right, the call fails, or L1 cannot be followed after it.
    pub fn begin_turn(&mut self, place: &Place) -> Result<(), DeploymentError> {
        self.check_turn()?;
        let submitter = self.submitter()?;
        if submitter != self.l1.operator()? {
            return Ok(());
        }
        let right = self.submission_right(now()?)?;
        if let SubmissionRight::Anybody { .. } = right {
            place.note(&Note::Right(right));
        }
        match self.return_operator(submitter, now()?)? {
            Return::NotNeeded => Ok(()),
            Return::Called { until } => {
                place.note(&Note::Returned { until });
                self.link.acknowledge()?;
                // Why: a batch of somebody else may have come after what was sealed.
                self.follow_l1(place)
            }
            Return::NoBatch => {
                place.note(&Note::ReturnsWithBatch);
                Ok(())
            }
            Return::TooSoon { again } => {
                place.note(&Note::ReturnsLater { from: again });
                Ok(())
            }
        }
    }

    /// An account of the batcher's state.
    ///
    /// # Errors
    /// If there is none, with what is known of the index.
    pub fn account(&self, index: u32) -> Result<&Account, DeploymentError> {
        if let Some(account) = self.batcher.state().account(index) {
            return Ok(account);
        }
        let registered = self.l1.registered(index)?.is_some();
        let account = index;
        Err(match registered {
            true if self.role == Role::Mirror => DeploymentError::NotFinal { account },
            true => DeploymentError::NotExecuted {
                account,
                wait: self.wait_of_deposit(index)?,
            },
            false => DeploymentError::NoAccount { account },
        })
    }
}

/// Refuses a data directory that follows L1 without a batcher's database: nobody works in it.
///
/// # Errors
/// As [`Deployment::check_operators`].
pub fn check_not_bare(place: &Place) -> Result<(), DeploymentError> {
    let folder = place.rollup_dir();
    let has = |name: &str| folder.join(name).exists();
    if !has("l1.redb") || has(FILE_NAME) || has(OPERATOR_FILE) {
        return Ok(());
    }
    if L1::read(place)?.head()?.frozen {
        return Err(DeploymentError::Frozen);
    }
    let data_dir = place.data_dir.clone();
    Err(DeploymentError::Mirror {
        data_dir,
        since: "",
    })
}

/// Refuses if the data directory has no deployment, or L1 alone.
fn check_present(place: &Place) -> Result<(), DeploymentError> {
    let path = place.rollup_dir().join(FILE_NAME);
    match (path.exists(), place.l1_file.exists()) {
        (true, _) => Ok(()),
        (false, true) => Err(DeploymentError::NoDatabase { path }),
        (false, false) if place.has_deployment() => Ok(()),
        (false, false) => Err(DeploymentError::Missing {
            data_dir: place.data_dir.clone(),
        }),
    }
}

/// The role of a database that was made before roles were kept: of those that were restored from a chain,
/// only the operator's have its wallet.
fn role_of_old(folder: &Path, l1: &NativeL1) -> Role {
    match l1.deployment().is_on_chain() && !folder.join(OPERATOR_FILE).exists() {
        true => Role::Mirror,
        false => Role::Operator,
    }
}

/// Removes the export of a batch that was reopened: another one gets its number.
fn remove_folder(place: &Place, number: u64) -> Result<(), DeploymentError> {
    let folder = place.batch_folder(number);
    match folder.exists() {
        true => Ok(files::remove_folder(&folder)?),
        false => Ok(()),
    }
}

/// A deployment whose keys come from a seeded setup is used only if that is allowed.
fn check_registered_keys(l1: &NativeL1, place: &Place) -> Result<(), DeploymentError> {
    for listed in &l1.deployment().parameters().shapes {
        if let Some(key) = l1.key(listed.shape.id) {
            key.check_origin(place.dev_keys)
                .map_err(|source| DeploymentError::InsecureKey {
                    shape: shape_name(&listed.shape),
                    source,
                })?;
        }
    }
    Ok(())
}
