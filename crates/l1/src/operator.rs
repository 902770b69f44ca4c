//! Who may submit batches, and who has the operator role.
//!
//! The operator alone submits batches while it serves the queue. Submitting is *open* to anybody while the
//! oldest queue entry is overdue, that is, has waited longer than [`crate::Parameters::takeover_after`].
//! Once a batch of somebody else is final, submitting stays open until the operator is back, that is, until
//! a batch of the operator leaves no entry overdue. To find out whether the operator is alive, queue an
//! entry.
//!
//! Invariants: the operator may always submit. It can always come back: [`NativeL1::return_operator`]
//! depends on no root, and gives it alone [`OPERATORS_HOUR`] seconds, at most once in `takeover_after`,
//! which is at least twice as long; a hand-over does not begin this time anew. A batch of somebody else
//! leaves no overdue entry behind for which its shape has a slot. Nobody is paid for having submitted,
//! so copying a batch gains nothing (docs/protocol.md, section 6).

use redb::ReadableTable;

use crate::bytes::{Address, NOBODY};
use crate::error::{BatchError, BatchFault, L1Error, Refusal, StoreError};
use crate::genesis::{OPERATORS_HOUR, Parameters};
use crate::head::Head;
use crate::native::NativeL1;
use crate::queue;
use crate::store::{Snapshot, Tx, l1_time, transact};

/// Who may submit batches at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmissionRight {
    /// The operator alone.
    Operator {
        /// The first second from which anybody may, if no batch comes before; none if nothing waits.
        opens_at: Option<u64>,
    },
    /// Anybody, the operator too.
    Anybody {
        /// Number of the oldest queue entry, if it is overdue.
        since_entry: Option<u64>,
        /// True if a batch of somebody else was final and the operator is not back.
        taken_over: bool,
    },
    /// The operator alone, because it has just returned; afterwards anybody, unless a batch of the
    /// operator leaves no entry overdue.
    OperatorsHour {
        /// The last second of the hour.
        until: u64,
    },
    /// Nobody: L1 is frozen.
    Nobody,
}

impl SubmissionRight {
    /// The right at L1's time `now`; `oldest` is the time of the oldest entry that waits.
    fn of(head: &Head, oldest: Option<u64>, takeover_after: u64, now: u64) -> Self {
        if head.frozen {
            return Self::Nobody;
        }
        let hour = hour_of(head);
        let since_entry = oldest
            .filter(|time| is_overdue(*time, takeover_after, now))
            .map(|_| head.queue_head);
        if since_entry.is_none() && !head.taken_over {
            let after = |time: u64| time.saturating_add(takeover_after).saturating_add(1);
            let after_hour = hour.map_or(0, |until| until.saturating_add(1));
            let opens_at = oldest.map(|time| after(time).max(after_hour));
            return Self::Operator { opens_at };
        }
        match hour.filter(|until| now <= *until) {
            Some(until) => Self::OperatorsHour { until },
            None => Self::Anybody {
                since_entry,
                taken_over: head.taken_over,
            },
        }
    }

    /// Whether this caller may submit.
    fn check(self, operator: Address, caller: Address) -> Result<(), Refusal> {
        match self {
            Self::Nobody => Err(Refusal::Frozen),
            _ if caller == operator => Ok(()),
            Self::Anybody { .. } => Ok(()),
            Self::Operator { opens_at } => Err(Refusal::NotOpen {
                operator,
                caller,
                opens_at,
            }),
            Self::OperatorsHour { until } => Err(Refusal::OperatorsHour { operator, until }),
        }
    }
}

/// The last second of the hour of an operator that returned.
fn hour_of(head: &Head) -> Option<u64> {
    let returned = head.operator_back_at;
    (returned != 0).then(|| returned.saturating_add(OPERATORS_HOUR))
}

/// True if an entry of time `since` has waited longer than `takeover_after` at `at`.
pub fn is_overdue(since: u64, takeover_after: u64, at: u64) -> bool {
    at.saturating_sub(since) > takeover_after
}

/// True if a batch, whose shape has so many L1 slots and which used so many, leaves an entry behind that
/// is `overdue` at its timestamp: L1 takes such a batch of nobody but the operator. One that used all its
/// slots serves the queue as well as it can.
pub fn leaves_behind((slots, used): (usize, usize), overdue: bool) -> bool {
    let full = slots != 0 && used == slots;
    overdue && !full
}

/// Time of the oldest entry that waits.
fn oldest(
    head: &Head,
    table: &impl ReadableTable<u64, &'static [u8]>,
) -> Result<Option<u64>, StoreError> {
    let waits = head.queue_head < head.queue_tail;
    let entry = waits.then(|| queue::entry(table, head.queue_head));
    Ok(entry.transpose()?.map(|entry| entry.time))
}

impl NativeL1 {
    /// The operator now; the deployment names the first one.
    pub fn operator(&self) -> Result<Address, StoreError> {
        Ok(self.head()?.operator)
    }

    /// The address to which the operator has offered its role, until it accepts or the offer is withdrawn.
    pub fn offered_operator(&self) -> Result<Option<Address>, StoreError> {
        Ok(self.head()?.offered_operator)
    }

    /// Who may submit batches, when the system's clock says `now`.
    pub fn submission_right(&self, now: u64) -> Result<SubmissionRight, StoreError> {
        let snapshot = Snapshot::begin(&self.db)?;
        let head = snapshot.head()?;
        let now = l1_time(&head, snapshot.clock()?, now);
        let takeover_after = self.deployment().parameters().takeover_after;
        let oldest = oldest(&head, &snapshot.queue()?)?;
        Ok(SubmissionRight::of(&head, oldest, takeover_after, now))
    }

    /// Refuses whoever may not submit before anything costly is done. The transaction checks it again.
    ///
    /// # Errors
    /// [`Refusal::NotOpen`], [`Refusal::OperatorsHour`], [`Refusal::Frozen`].
    pub fn check_right(&self, caller: Address, now: u64) -> Result<(), L1Error> {
        let right = self.submission_right(now)?;
        Ok(right.check(self.operator()?, caller)?)
    }

    pub(crate) fn only_operator(&self, caller: Address) -> Result<(), L1Error> {
        Ok(self.head()?.only_operator(caller)?)
    }

    /// The operator returns: for [`OPERATORS_HOUR`] seconds from now it alone may submit. Depends on
    /// no root, so that no batch of somebody else can keep it out.
    ///
    /// # Errors
    /// [`Refusal`]: frozen, not the operator, batches are not open to anybody, or the last return was
    /// less than [`crate::Parameters::takeover_after`] ago.
    pub fn return_operator(&self, caller: Address, now: u64) -> Result<(), L1Error> {
        let takeover_after = self.deployment().parameters().takeover_after;
        transact(&self.db, now, |tx| {
            tx.return_operator(caller, takeover_after)
        })
    }

    /// The operator offers its role to an address, which has it once it accepts. No address, or
    /// that of zeros, withdraws the offer.
    ///
    /// # Errors
    /// [`Refusal`]: frozen, not the operator, or offered to itself.
    pub fn offer_operator(
        &self,
        caller: Address,
        to: Option<Address>,
        now: u64,
    ) -> Result<(), L1Error> {
        transact(&self.db, now, |tx| Ok(tx.offer_operator(caller, to)?))
    }

    /// Takes the operator role that was offered to the caller. What the operator before could collect
    /// becomes claimable by it, and its amount is returned.
    ///
    /// # Errors
    /// [`Refusal`]: frozen, nothing was offered to the caller, or the escrow of ETH is full.
    pub fn accept_operator(&self, caller: Address, now: u64) -> Result<u128, L1Error> {
        transact(&self.db, now, |tx| tx.accept_operator(caller))
    }
}

/// Rules of submitting, in a transaction.
impl Tx<'_> {
    fn right(&self, takeover_after: u64) -> Result<SubmissionRight, StoreError> {
        let (head, now) = (&self.head, self.head.time);
        let oldest = oldest(head, &*self.queue)?;
        Ok(SubmissionRight::of(head, oldest, takeover_after, now))
    }

    /// Whether the caller may submit at all.
    pub(crate) fn check_right(
        &self,
        caller: Address,
        parameters: &Parameters,
    ) -> Result<(), L1Error> {
        let right = self.right(parameters.takeover_after)?;
        Ok(right.check(self.head.operator, caller)?)
    }

    /// Whether the caller may submit the next batch if it has this timestamp.
    pub(crate) fn check_turn(
        &self,
        caller: Address,
        timestamp: u64,
        parameters: &Parameters,
    ) -> Result<(), BatchError> {
        if caller == self.head.operator || self.head.taken_over {
            return Ok(());
        }
        let takeover_after = parameters.takeover_after;
        let oldest = oldest(&self.head, &*self.queue)?;
        if oldest.is_some_and(|since| is_overdue(since, takeover_after, timestamp)) {
            return Ok(());
        }
        Err(BatchFault::NotOpen { timestamp }.into())
    }

    /// What follows from the batch that the caller has just submitted, whose shape has so many L1 slots
    /// and which used so many.
    pub(crate) fn end_turn(
        &mut self,
        caller: Address,
        (slots, used): (usize, usize),
        parameters: &Parameters,
    ) -> Result<(), BatchError> {
        let takeover_after = parameters.takeover_after;
        let next = oldest(&self.head, &*self.queue)?;
        let overdue = |at| next.is_some_and(|since| is_overdue(since, takeover_after, at));
        if caller == self.head.operator {
            self.head.taken_over = self.head.taken_over && overdue(self.head.time);
            return Ok(());
        }
        if leaves_behind((slots, used), overdue(self.head.timestamp)) {
            let entry = self.head.queue_head;
            return Err(BatchFault::OverdueLeftBehind { entry, slots, used }.into());
        }
        self.head.taken_over = true;
        Ok(())
    }

    pub(crate) fn return_operator(
        &mut self,
        caller: Address,
        takeover_after: u64,
    ) -> Result<(), L1Error> {
        self.head.not_frozen()?;
        self.head.only_operator(caller)?;
        let (now, last) = (self.head.time, self.head.operator_back_at);
        if let SubmissionRight::Operator { opens_at } = self.right(takeover_after)? {
            return Err(Refusal::NothingToReturnTo { opens_at }.into());
        }
        let again = last.saturating_add(takeover_after);
        if last != 0 && now < again {
            return Err(Refusal::ReturnTooSoon { last, again }.into());
        }
        self.head.operator_back_at = now;
        Ok(())
    }

    pub(crate) fn offer_operator(
        &mut self,
        caller: Address,
        to: Option<Address>,
    ) -> Result<(), Refusal> {
        self.head.not_frozen()?;
        self.head.only_operator(caller)?;
        if to == Some(caller) {
            return Err(Refusal::OfferedToItself { operator: caller });
        }
        self.head.offered_operator = to.filter(|to| *to != NOBODY);
        Ok(())
    }

    pub(crate) fn accept_operator(&mut self, caller: Address) -> Result<u128, L1Error> {
        self.head.not_frozen()?;
        let offered = self.head.offered_operator;
        if offered != Some(caller) {
            return Err(Refusal::NotOffered { offered, caller }.into());
        }
        let (before, fees) = (self.head.operator, self.head.operator_fees);
        self.fees_to_claimable(&before, fees)?;
        self.head.operator_fees = 0;
        self.head.operator = caller;
        self.head.offered_operator = None;
        Ok(fees)
    }
}
