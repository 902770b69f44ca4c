//! What an owner needs to leave a frozen rollup, from L1's data alone.
//!
//! Once the operator has let the queue wait too long, anyone may freeze L1. Then every account is
//! paid out against a Merkle proof of its leaf under the last root, and deposits that no batch
//! consumed are given back to who paid them (docs/protocol.md, section 6). An [`ExitPlan`] is that
//! proof and that list, as a file that can be made at any time and kept. Invariants: a plan is for
//! one deployment and one root; L1 checks everything in it again. Whoever leaves pays for no call
//! that others caused: a deposit is given back only if the owner or the caller paid it in, and after
//! all accounts are paid out.

use l1::checked::{self, CheckedError};
use l1::{Address, Exit, L1Error, NativeL1, QueueEntry};
use ledger::account::Account;
use ledger::babyjubjub::Point;
use ledger::field::{Fr, from_hex, to_hex};
use ledger::operation::L1Op;
use ledger::state::State;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::settlement::{Call, Link, Outcome, SettleError, native_call};

/// Version of the file.
pub const PLAN_VERSION: u32 = 2;
/// Most bytes of a plan that are read: more than those of an account for which a queue of 2^16
/// deposits waits, as anybody can pay in.
pub const MAX_PLAN_BYTES: usize = 1 << 24;

/// Why there is no plan.
#[derive(Debug, Error)]
pub enum PlanError {
    /// L1's file cannot be read.
    #[error(transparent)]
    L1(#[from] l1::StoreError),
    /// No account was ever assigned this index.
    #[error("account {index} is not registered on L1: give the index that the deposit returned")]
    Unregistered { index: u32 },
    /// The state is not L1's.
    #[error("the state has root {got}, L1 has {expected}: rebuild the state from L1")]
    Root {
        /// L1's root.
        expected: String,
        /// The state's.
        got: String,
    },
    /// The index is beyond the tree.
    #[error(transparent)]
    Tree(#[from] ledger::tree::TreeError),
}

/// Why a plan cannot be used.
#[derive(Debug, Error)]
pub enum LeaveError {
    /// L1 refuses, or its file cannot be read or written.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// A contract refuses, or its chain cannot be reached.
    #[error(transparent)]
    Settle(SettleError),
    /// The text is not a plan, or is damaged.
    #[error("this is not an exit plan: {0}: make it again with `quire exit plan`")]
    Json(#[from] CheckedError),
    /// Too large to be a plan.
    #[error(
        "an exit plan has at most {MAX_PLAN_BYTES} bytes, got {got}: make it again with `quire exit plan`"
    )]
    TooLarge {
        /// Its size in bytes.
        got: usize,
    },
    /// Another format version.
    #[error(
        "the plan has version {got}, this program reads {PLAN_VERSION}: make it again with `quire exit plan`"
    )]
    Version {
        /// Version found.
        got: u32,
    },
    /// A number of the plan is not one.
    #[error("the plan's {field} is not valid: {got:?}: make it again with `quire exit plan`")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What stands there.
        got: String,
    },
    /// The plan is for another deployment.
    #[error("the plan is for deployment {got}, this L1 is {expected}: name the L1 of the plan")]
    OtherDeployment {
        /// This L1.
        expected: Address,
        /// The plan's.
        got: Address,
    },
    /// The plan names another owner or token than L1 does.
    #[error(
        "the plan says that account {index} is of {got}, L1 has {expected}: make it again with `quire exit plan`"
    )]
    OtherRegistration {
        index: u32,
        /// Owner and token on L1.
        expected: String,
        /// The plan's.
        got: String,
    },
    /// L1's root moved since the plan was made.
    #[error(
        "the plan was made for root {got} after batch {batch}, L1 now has {expected}: make it again with `quire exit plan`"
    )]
    RootMoved {
        /// L1's root.
        expected: String,
        /// The plan's.
        got: String,
        /// The plan's batch.
        batch: u64,
    },
}

impl From<SettleError> for LeaveError {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::L1(error) => Self::L1(error),
            other => Self::Settle(other),
        }
    }
}

/// Everything that it takes to leave with one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitPlan {
    /// Version of the format.
    pub version: u32,
    pub contract: Address,
    /// The last finalized batch.
    pub batch: u64,
    /// The root after it, in hexadecimal.
    pub root: String,
    /// Index of the account.
    pub account: u32,
    /// Its owner, who is credited.
    pub owner: Address,
    pub token: u32,
    /// Its leaf and the proof for it; none while its deposit waits in the queue or if it has left.
    pub leaf: Option<PlannedLeaf>,
    /// Deposits and top-ups of the account that waited in the queue when the plan was made.
    pub waiting: Vec<WaitingDeposit>,
}

/// A leaf with its Merkle proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedLeaf {
    /// Coordinates of the account's key, in hexadecimal.
    pub key: [String; 2],
    /// The account's nonce.
    pub nonce: u64,
    /// The account's balance, decimal.
    pub balance: String,
    /// The three siblings of each level from the leaf up, in hexadecimal.
    pub siblings: Vec<[String; 3]>,
}

/// A deposit or top-up that can be cancelled after the freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitingDeposit {
    /// Number of the queue entry.
    pub entry: u64,
    /// Who paid, and gets it back.
    pub payer: Address,
    /// Amount in the token's smallest unit, decimal.
    pub amount: String,
}

/// What executing a plan came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Amount that was credited to the owner for the leaf, decimal; none if there is no leaf.
    pub exited: Option<String>,
    /// Deposits that were given back to their payers: the account's owner and the caller.
    pub cancelled: Vec<WaitingDeposit>,
    /// Deposits into the account that others paid, and that wait on.
    pub of_others: usize,
}

impl ExitPlan {
    /// The plan of an account, from L1 and the state under its last root.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn new(l1: &NativeL1, state: &State, index: u32) -> Result<Self, PlanError> {
        let head = l1.head()?;
        if state.root() != head.root {
            let (expected, got) = (to_hex(&head.root), to_hex(&state.root()));
            return Err(PlanError::Root { expected, got });
        }
        let registered = l1.registered(index)?;
        let registered = registered.ok_or(PlanError::Unregistered { index })?;
        let leaf = match state.account(index) {
            Some(account) if !l1.exited(index)? => {
                let proof = state.prove(index)?;
                Some(PlannedLeaf::new(account, &proof.siblings))
            }
            _ => None,
        };
        Ok(Self {
            version: PLAN_VERSION,
            contract: l1.deployment().contract(),
            batch: head.next_batch - 1,
            root: to_hex(&head.root),
            account: index,
            owner: registered.owner,
            token: registered.token,
            leaf,
            waiting: waiting(l1, index)?,
        })
    }

    /// Reads a plan as JSON.
    ///
    /// # Errors
    /// [`LeaveError`] if it is not one of this version.
    pub fn from_json(bytes: &[u8]) -> Result<Self, LeaveError> {
        let got = bytes.len();
        if got > MAX_PLAN_BYTES {
            return Err(LeaveError::TooLarge { got });
        }
        let plan: Self = checked::open(bytes)?;
        if plan.version != PLAN_VERSION {
            let got = plan.version;
            return Err(LeaveError::Version { got });
        }
        plan.exit()?;
        Ok(plan)
    }

    /// The plan as JSON, with a checksum.
    pub fn to_json(&self) -> Vec<u8> {
        checked::seal(self).expect("text and numbers are JSON")
    }

    /// What L1 is called with for the leaf.
    ///
    /// # Errors
    /// [`LeaveError::Field`] if a number is not one.
    pub fn exit(&self) -> Result<Option<Exit>, LeaveError> {
        let Some(leaf) = &self.leaf else {
            return Ok(None);
        };
        Ok(Some(Exit {
            index: self.account,
            account: leaf.account(self.token)?,
            siblings: leaf.siblings()?,
        }))
    }

    /// Checks that the plan is for this L1, its last root and the account's owner.
    fn check(&self, l1: &NativeL1) -> Result<(), LeaveError> {
        let expected = l1.deployment().contract();
        if self.contract != expected {
            let got = self.contract;
            return Err(LeaveError::OtherDeployment { expected, got });
        }
        let head = l1.head().map_err(L1Error::from)?;
        let expected = to_hex(&head.root);
        if self.root != expected {
            return Err(LeaveError::RootMoved {
                expected,
                got: self.root.clone(),
                batch: self.batch,
            });
        }
        self.check_registered(l1)
    }

    /// What L1 is called with for the leaf, if it was not paid out before.
    fn exit_now(&self, l1: &NativeL1) -> Result<Option<Exit>, LeaveError> {
        self.check(l1)?;
        let exited = l1.exited(self.account).map_err(L1Error::from)?;
        Ok(self.exit()?.filter(|_| !exited))
    }

    /// Deposits into the account that wait and that the owner or the caller paid, and how many others did.
    /// Not those of the plan: more may have been paid in since it was made, and the root does not tell.
    fn refunds_now(
        &self,
        l1: &NativeL1,
        caller: Option<Address>,
    ) -> Result<(Vec<WaitingDeposit>, usize), LeaveError> {
        self.check(l1)?;
        let waiting = waiting(l1, self.account).map_err(L1Error::from)?;
        let payers = [Some(self.owner), caller];
        let (own, others): (Vec<_>, Vec<_>) =
            (waiting.into_iter()).partition(|deposit| payers.contains(&Some(deposit.payer)));
        Ok((own, others.len()))
    }

    /// Leaves a native L1: the leaf is paid out, then the deposits that wait and that the owner paid are
    /// given back, those paid in since the plan was made included, each to be claimed. What was done
    /// before, by this plan or another call, is passed over.
    ///
    /// # Errors
    /// [`LeaveError`]: L1 is not frozen, or the plan is not for its root.
    pub fn execute(&self, l1: &NativeL1, now: u64) -> Result<Left, LeaveError> {
        let mut left = Left::default();
        if let Some(exit) = self.exit_now(l1)? {
            left.exited = amount(native_call(l1, Call::Exit(&exit), now)?);
        }
        (left.cancelled, left.of_others) = self.refunds_now(l1, None)?;
        for deposit in &left.cancelled {
            native_call(l1, Call::CancelDeposit(deposit.entry), now)?;
        }
        Ok(left)
    }

    /// The first half of [`Self::execute`], on the L1 that the link leads to: pays the leaf out and returns
    /// the amount, decimal. None if there is no leaf, or it was paid out before.
    ///
    /// # Errors
    /// As [`Self::execute`], and if a contract's chain cannot be reached.
    pub fn pay_out(
        &self,
        l1: &mut NativeL1,
        link: &mut Link,
        now: u64,
    ) -> Result<Option<String>, LeaveError> {
        let Some(exit) = self.exit_now(l1)? else {
            return Ok(None);
        };
        Ok(amount(link.call(l1, Call::Exit(&exit), now)?.outcome))
    }

    /// The second half: gives the deposits back that the owner or the caller paid and that wait. Returns
    /// them, and how many of others wait on.
    ///
    /// # Errors
    /// As [`Self::pay_out`].
    pub fn take_back(
        &self,
        l1: &mut NativeL1,
        link: &mut Link,
        caller: Option<Address>,
        now: u64,
    ) -> Result<(Vec<WaitingDeposit>, usize), LeaveError> {
        let (own, of_others) = self.refunds_now(l1, caller)?;
        for deposit in &own {
            link.call(l1, Call::CancelDeposit(deposit.entry), now)?;
        }
        Ok((own, of_others))
    }

    /// Who is told to be paid is who is paid.
    fn check_registered(&self, l1: &NativeL1) -> Result<(), LeaveError> {
        let shown = |owner: Address, token: u32| format!("{owner} with token {token}");
        let registered = l1.registered(self.account).map_err(L1Error::from)?;
        let expected = registered.map_or_else(
            || "nobody".to_owned(),
            |registered| shown(registered.owner, registered.token),
        );
        let got = shown(self.owner, self.token);
        if expected == got {
            return Ok(());
        }
        let index = self.account;
        Err(LeaveError::OtherRegistration {
            index,
            expected,
            got,
        })
    }
}

/// The amount that a call came to, decimal.
fn amount(outcome: Outcome) -> Option<String> {
    match outcome {
        Outcome::Amount(amount) => Some(amount.to_string()),
        Outcome::Entry(_) | Outcome::Done => None,
    }
}

impl PlannedLeaf {
    fn new(account: &Account, siblings: &[[Fr; 3]]) -> Self {
        let Account {
            key,
            token: _,
            nonce,
            balance,
        } = account;
        Self {
            key: [to_hex(&key.x), to_hex(&key.y)],
            nonce: *nonce,
            balance: balance.to_string(),
            siblings: (siblings.iter())
                .map(|level| level.map(|node| to_hex(&node)))
                .collect(),
        }
    }

    fn account(&self, token: u32) -> Result<Account, LeaveError> {
        let [x, y] = &self.key;
        let balance = self.balance.parse().map_err(|_| LeaveError::Field {
            field: "balance",
            got: self.balance.clone(),
        })?;
        Ok(Account {
            key: Point {
                x: field("key", x)?,
                y: field("key", y)?,
            },
            token,
            nonce: self.nonce,
            balance,
        })
    }

    fn siblings(&self) -> Result<Vec<[Fr; 3]>, LeaveError> {
        let level = |[a, b, c]: &[String; 3]| {
            let node = |text: &String| field("siblings", text);
            Ok([node(a)?, node(b)?, node(c)?])
        };
        self.siblings.iter().map(level).collect()
    }
}

fn field(field: &'static str, text: &str) -> Result<Fr, LeaveError> {
    from_hex(text).map_err(|_| LeaveError::Field {
        field,
        got: text.to_owned(),
    })
}

/// The account's deposits and top-ups that no batch consumed and nobody cancelled.
fn waiting(l1: &NativeL1, index: u32) -> Result<Vec<WaitingDeposit>, l1::StoreError> {
    let mut waiting = Vec::new();
    for entry in l1.pending(usize::MAX)? {
        let QueueEntry {
            number, op, payer, ..
        } = entry;
        let funded = matches!(op, L1Op::Create { .. } | L1Op::TopUp { .. });
        if funded && op.index() == index && !l1.cancelled(number)? {
            waiting.push(WaitingDeposit {
                entry: number,
                payer,
                amount: op.amount().to_string(),
            });
        }
    }
    Ok(waiting)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// Whoever fills the queue with top-ups of somebody's account does not keep its owner in.
    #[test]
    fn a_plan_with_a_full_queue_can_be_read() {
        let deposit = WaitingDeposit {
            entry: u64::MAX,
            payer: l1::bytes::Bytes([0xff; 20]),
            amount: u128::MAX.to_string(),
        };
        let plan = ExitPlan {
            version: PLAN_VERSION,
            contract: deposit.payer,
            batch: 1,
            root: to_hex(&Fr::from(1u64)),
            account: 7,
            owner: deposit.payer,
            token: 0,
            leaf: None,
            waiting: vec![deposit; 1 << 16],
        };
        assert_eq!(ExitPlan::from_json(&plan.to_json()).unwrap(), plan);
    }
}
