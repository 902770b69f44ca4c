//! L1 of a data directory by itself: neither the batcher's database nor the operator is needed.

use std::ops::Deref;

use l1::{Address, NOBODY, NativeL1, SubmissionRight};
use prover::key::AllowDevKeys;

use crate::clock::{Clock, now};
use crate::error::DeploymentError;
use crate::event::Note;
use crate::place::Place;
use crate::settlement::{Call, Called, Link, Outcome, SettleError};
use crate::text::message;

/// L1 by itself, to be read as a native L1.
pub struct L1 {
    /// The native L1, or the mirror of a contract.
    pub native: NativeL1,
    /// Where calls go.
    pub link: Link,
    clock: Clock,
}

impl Deref for L1 {
    type Target = NativeL1;

    fn deref(&self) -> &NativeL1 {
        &self.native
    }
}

impl L1 {
    /// Opens it, and brings a mirror in line with its contract.
    ///
    /// # Errors
    /// If there is none, another process has it open, or it is damaged.
    pub fn open(place: &Place) -> Result<Self, DeploymentError> {
        tracing::debug!(l1 = %place.l1_file.display(), "opening L1");
        if place.connect.is_some() && !place.l1_file.exists() {
            return Err(DeploymentError::NoMirror {
                data_dir: place.data_dir.clone(),
            });
        }
        // Why: a killed `quire l1 deploy` may have left its plan, with a wallet, under a draft's name.
        files::remove_drafts(&place.deploying_dir());
        let mut native = place.for_turn(|| {
            let native = NativeL1::open(&place.l1_file, AllowDevKeys::Yes);
            native.map_err(|source| DeploymentError::L1 { source })
        })?;
        let mut link = place.for_turn(|| link(place, &native))?;
        link.sync(&mut native)?;
        Ok(Self {
            native,
            link,
            clock: place.clock,
        })
    }

    /// L1 as its file has it: it can be read while another process writes it, by a user who may not write
    /// it, and without the chain.
    ///
    /// # Errors
    /// If there is none, or it is damaged.
    pub fn read(place: &Place) -> Result<Self, DeploymentError> {
        tracing::debug!(l1 = %place.l1_file.display(), "opening L1");
        let native = place.for_turn(|| {
            let native = NativeL1::open_to_read(&place.l1_file, AllowDevKeys::Yes);
            native.map_err(|source| DeploymentError::L1 { source })
        })?;
        Ok(Self {
            native,
            link: Link::default(),
            clock: place.clock,
        })
    }

    /// L1 as it is now, if it can be asked and nobody writes its file; else as its file has it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn look(place: &Place) -> Result<Self, DeploymentError> {
        if place.connect.is_none() {
            return Self::read(place);
        }
        Self::open(&place.without_waiting()).or_else(|error| {
            if !place.l1_file.exists() {
                return Err(error);
            }
            note_as_written(place, &error);
            Self::read(place)
        })
    }

    /// Makes a call. Once its outcome is printed, [`Self::acknowledge`] is to be called.
    ///
    /// # Errors
    /// If L1 refuses, or a contract's chain cannot be reached.
    pub fn call(&mut self, call: Call<'_>) -> Result<Called, DeploymentError> {
        let now = self.time_to_keep()?;
        Ok(self.link.call(&mut self.native, call, now)?)
    }

    /// As [`Self::call`], for calls that queue an entry, which is returned, with whether an earlier command
    /// had made the call.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn queue_entry(
        &mut self,
        place: &Place,
        call: Call<'_>,
    ) -> Result<(l1::QueueEntry, bool), DeploymentError> {
        let dropped = || SettleError::Dropped { what: "the entry" };
        let Called { outcome, earlier } = self.call(call)?;
        let Outcome::Entry(number) = outcome else {
            return Err(dropped().into());
        };
        let entry = self.native.queue(number, 1)?.pop();
        let entry = entry.filter(|entry| call.asks_for(entry));
        let entry = entry.ok_or_else(dropped)?;
        if earlier {
            place.note(&Note::SentEarlier { entry: number });
        }
        Ok((entry, earlier))
    }

    /// What the calls came to was printed.
    ///
    /// # Errors
    /// If that cannot be written down.
    pub fn acknowledge(&mut self) -> Result<(), SettleError> {
        self.link.acknowledge()
    }

    /// The address of the Ethereum key that calls of a contract are signed with.
    ///
    /// # Errors
    /// If no key is named, or it cannot be used.
    pub fn caller_on_chain(&self) -> Result<Address, SettleError> {
        self.link.caller(NOBODY)
    }

    /// L1's time.
    ///
    /// # Errors
    /// If L1 cannot be read.
    pub fn time_now(&self) -> Result<u64, DeploymentError> {
        Ok(self.link.time(&self.native, now()?)?)
    }

    /// Who may submit batches now.
    ///
    /// # Errors
    /// If L1 cannot be read.
    pub fn submission_right(&self) -> Result<SubmissionRight, DeploymentError> {
        let time = match self.link.is_remote() {
            true => self.time_now()?,
            false => now()?,
        };
        Ok(self.native.submission_right(time)?)
    }

    /// The system's time, for a block of a native L1: refused if it jumped. A chain keeps its own.
    ///
    /// # Errors
    /// If it jumped, or L1 cannot be read.
    pub fn time_to_keep(&self) -> Result<u64, DeploymentError> {
        let now = now()?;
        if !self.link.is_remote() {
            self.clock.time(&self.native, &self.link, 0, now)?;
        }
        Ok(now)
    }
}

/// Says that what is read may be old, and why.
pub(crate) fn note_as_written(place: &Place, error: &DeploymentError) {
    let why = message(error);
    place.note(&Note::AsWritten { why });
}

/// Where calls go: what L1's file says and what the caller says have to go together.
fn link(place: &Place, native: &NativeL1) -> Result<Link, DeploymentError> {
    let parameters = native.deployment().parameters();
    match (&place.connect, parameters.contract) {
        (None, None) => Ok(Link::default()),
        (Some(connect), Some(_)) => Ok(connect(place, native)?),
        (None, Some(contract)) => Err(DeploymentError::NoChain {
            contract,
            chain_id: parameters.chain_id,
        }),
        (Some(_), None) => Err(DeploymentError::Native {
            data_dir: place.data_dir.clone(),
        }),
    }
}
