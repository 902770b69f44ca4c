//! Leaving a frozen rollup with files of plans, whoever owns the accounts.
//!
//! Everything here reads and calls L1 alone: it works when the operator and its database are gone.
//! Invariants: every account is paid out before the first deposit is given back; a plan that fails does not
//! keep the others from being executed; only a plan is replaced by a plan.

use std::num::{ParseIntError, TryFromIntError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use files::{Class, Classified, FileError, Readers};
use l1::{Address, NativeL1};
use ledger::state::State;
use prover::bounded::{self, FileKind, ReadError};
use thiserror::Error;

use crate::amount::{Amount, Token, Tokens};
use crate::error::DeploymentError;
use crate::event::Work;
use crate::leave::{ExitPlan, LeaveError, MAX_PLAN_BYTES};
use crate::open::L1;
use crate::place::Place;
use crate::restore::{RestoreError, final_state};

const PLAN_FILE: FileKind = FileKind {
    name: "an exit plan",
    most: MAX_PLAN_BYTES as u64,
};

/// Why a plan is not written, read or executed.
#[derive(Debug, Error)]
pub enum ExitError {
    /// An address has no account.
    #[error("{owner} owns no account on this L1")]
    NoAccount { owner: Address },
    /// There are more accounts than indices.
    #[error("indices have 32 bits")]
    Indices { source: TryFromIntError },
    /// Something else has the name of a plan.
    #[error("{} exists and is not an exit plan; choose another --out", path.display())]
    NotAPlan { path: PathBuf },
    /// A plan cannot be read.
    #[error("cannot use the plan {}", path.display())]
    Unreadable { path: PathBuf, source: ReadError },
    /// An editor put a mark before the plan.
    #[error(
        "{} begins with a byte order mark, which an editor put there: save it without",
        path.display()
    )]
    ByteOrderMark { path: PathBuf },
    /// The text is no plan.
    #[error("cannot use the plan {}", path.display())]
    Unusable { path: PathBuf, source: LeaveError },
    /// L1 refuses a plan, or it is for another L1.
    #[error("cannot leave with {}", path.display())]
    Refused { path: PathBuf, source: LeaveError },
    /// L1 was paid something that is not a number.
    #[error("L1 told no amount")]
    NoAmount { source: ParseIntError },
    /// L1 cannot be asked.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    /// L1's file cannot be read.
    #[error(transparent)]
    L1Store(#[from] l1::StoreError),
    /// A plan cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Classified for ExitError {
    fn class(&self) -> Class {
        match self {
            Self::NoAccount { .. } | Self::NoAmount { .. } => Class::Refused,
            Self::Indices { .. } => Class::Bug,
            Self::NotAPlan { .. } | Self::ByteOrderMark { .. } => Class::Input,
            Self::Unreadable { source, .. } => source.class(),
            Self::Unusable { source, .. } | Self::Refused { source, .. } => source.class(),
            Self::Deployment(error) => error.class(),
            Self::L1Store(error) => error.class(),
            Self::File(error) => error.class(),
        }
    }
}

/// The state under L1's last root.
///
/// # Errors
/// If L1's data do not lead there.
pub fn rebuild(place: &Place, l1: &NativeL1) -> Result<State, RestoreError> {
    let batches = l1.head()?.next_batch - 1;
    let task = place.task(&Work::RebuildState, Some(batches));
    let state = final_state(l1, |number| task.at(number))?;
    task.done();
    Ok(state)
}

/// Appends the indices of the accounts that an address owns.
///
/// # Errors
/// [`ExitError::NoAccount`] if there are none in the list then.
pub fn append_owned(
    l1: &NativeL1,
    owner: Address,
    indices: &mut Vec<u32>,
) -> Result<(), ExitError> {
    let next = u32::try_from(l1.head()?.next_index);
    for index in 1..next.map_err(|source| ExitError::Indices { source })? {
        let registered = l1.registered(index)?;
        if registered.is_some_and(|registered| registered.owner == owner) {
            indices.push(index);
        }
    }
    match indices.is_empty() {
        true => Err(ExitError::NoAccount { owner }),
        false => Ok(()),
    }
}

/// Writes a plan whole or not at all. Only a plan is replaced.
///
/// # Errors
/// If something else is there, or it cannot be written.
pub fn write_plan(path: &Path, plan: &ExitPlan) -> Result<(), ExitError> {
    if path.exists() {
        let kept = read_plan(path);
        kept.map_err(|_| ExitError::NotAPlan {
            path: path.to_owned(),
        })?;
    }
    Ok(files::replace(path, Readers::Owner, &plan.to_json())?)
}

fn read_plan(path: &Path) -> Result<ExitPlan, ExitError> {
    let named = || path.to_owned();
    let bytes = bounded::read(path, PLAN_FILE).map_err(|source| ExitError::Unreadable {
        path: named(),
        source,
    })?;
    if files::has_byte_order_mark(&bytes) {
        return Err(ExitError::ByteOrderMark { path: named() });
    }
    ExitPlan::from_json(&bytes).map_err(|source| ExitError::Unusable {
        path: named(),
        source,
    })
}

/// What executing a plan came to.
#[derive(Clone, Debug)]
pub struct Executed {
    pub path: PathBuf,
    pub account: u32,
    /// Who is credited for the leaf.
    pub owner: Address,
    pub token: Arc<Token>,
    /// What was credited; none if the plan has no leaf, or the account has left before.
    pub exited: Option<Amount>,
    /// Whether it has left before.
    pub left_before: bool,
    /// Deposits that were given back.
    pub taken_back: Vec<TakenBack>,
    /// Deposits that others paid, and that wait on.
    pub of_others: usize,
}

/// A deposit that was given back.
#[derive(Clone, Debug)]
pub struct TakenBack {
    /// Number of its queue entry.
    pub entry: u64,
    pub payer: Address,
    pub amount: Amount,
}

/// Executes the plans in files for a caller, if there is one. Returns what those came to that paid out, and
/// every failure.
pub fn execute(
    l1: &mut L1,
    paths: &[PathBuf],
    caller: Option<Address>,
) -> (Vec<Executed>, Vec<ExitError>) {
    let (mut all, mut paid_out, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        match pay_out(l1, path) {
            Ok(paid) => paid_out.push(paid),
            Err(error) => failed.push(error),
        }
    }
    for (plan, mut executed) in paid_out {
        if let Err(error) = take_back(l1, &plan, caller, &mut executed) {
            failed.push(error);
        }
        all.push(executed);
    }
    (all, failed)
}

/// Pays out a plan's account.
fn pay_out(l1: &mut L1, path: &Path) -> Result<(ExitPlan, Executed), ExitError> {
    let plan = read_plan(path)?;
    let now = l1.time_to_keep()?;
    let exited = plan.pay_out(&mut l1.native, &mut l1.link, now);
    let exited = exited.map_err(|source| ExitError::Refused {
        path: path.to_owned(),
        source,
    })?;
    let token = Tokens::of(l1)?.get(plan.token);
    let exited = exited.map(|text| amount_of(&token, &text)).transpose()?;
    let executed = Executed {
        path: path.to_owned(),
        account: plan.account,
        owner: plan.owner,
        token,
        left_before: exited.is_none() && l1.exited(plan.account)?,
        exited,
        taken_back: Vec::new(),
        of_others: 0,
    };
    Ok((plan, executed))
}

/// Takes the plan's deposits back that the owner or the caller paid.
fn take_back(
    l1: &mut L1,
    plan: &ExitPlan,
    caller: Option<Address>,
    executed: &mut Executed,
) -> Result<(), ExitError> {
    let now = l1.time_to_keep()?;
    let taken = plan.take_back(&mut l1.native, &mut l1.link, caller, now);
    let (own, of_others) = taken.map_err(|source| ExitError::Refused {
        path: executed.path.clone(),
        source,
    })?;
    let taken_back = own.iter().map(|deposit| {
        Ok(TakenBack {
            entry: deposit.entry,
            payer: deposit.payer,
            amount: amount_of(&executed.token, &deposit.amount)?,
        })
    });
    executed.taken_back = taken_back.collect::<Result<_, ExitError>>()?;
    executed.of_others = of_others;
    Ok(())
}

/// An amount of a token that a plan spells.
fn amount_of(token: &Arc<Token>, text: &str) -> Result<Amount, ExitError> {
    let value = text.parse();
    let value = value.map_err(|source| ExitError::NoAmount { source })?;
    Ok(Amount::of(token, value))
}
