//! Who submits here: the operator, or somebody else while L1 lets anybody; and `quire operator`.
//!
//! Invariant: whoever may not submit is told so before anything is proven or sent, with who may and
//! from when on.

use anyhow::{Context, Result};
use l1::bytes::Bytes;
use l1::{Address, NOBODY, SubmissionRight};
use ledger::time::Utc;
use rollup::amount::{Amount, TokenFacts};
use rollup::operator::{
    accept, give_back, offer, open, take_over, tell_missing_fees, wallet_to_call_with,
};
use rollup::text::right_text;
use rollup::{Deployment, L1};
use serde::Serialize;

use crate::args::{OperatorCommand, OperatorOfferArgs, OperatorWalletArgs};
use crate::deployment::caller;
use crate::fault::Fault;
use crate::settings::Settings;
use crate::wallet::{find, load, unlock};

/// Who may submit batches, and from when on.
#[derive(Serialize)]
pub struct RightFacts {
    /// `operator`, `anybody`, `operators_hour` or `nobody`.
    who: &'static str,
    /// From when on anybody may, if the oldest queue entry still waits then.
    anybody_from: Option<u64>,
    /// The last second of the operator's hour.
    operator_until: Option<u64>,
    /// The oldest queue entry, if it is overdue.
    overdue_entry: Option<u64>,
    /// Whether a batch of somebody else was final and the operator is not back.
    taken_over: bool,
}

impl RightFacts {
    /// Of the right.
    pub fn of(right: SubmissionRight) -> Self {
        let nobody = Self {
            who: "nobody",
            anybody_from: None,
            operator_until: None,
            overdue_entry: None,
            taken_over: false,
        };
        match right {
            SubmissionRight::Nobody => nobody,
            SubmissionRight::Operator { opens_at } => Self {
                who: "operator",
                anybody_from: opens_at,
                ..nobody
            },
            SubmissionRight::OperatorsHour { until } => Self {
                who: "operators_hour",
                operator_until: Some(until),
                ..nobody
            },
            SubmissionRight::Anybody {
                since_entry,
                taken_over,
            } => Self {
                who: "anybody",
                overdue_entry: since_entry,
                taken_over,
                ..nobody
            },
        }
    }
}

/// Opens the data directory for somebody who is not the operator: on a native L1 the owner of the
/// named wallet, on a contract whoever has the Ethereum key.
///
/// # Errors
/// As [`open`], and if there is no such key.
pub fn open_to_take_over(settings: &Settings, wallet: Option<&str>) -> Result<Deployment> {
    let mut deployment = open(settings)?;
    let submitter = match deployment.link.is_remote() {
        true => deployment.link.caller(NOBODY)?,
        false => {
            let name = wallet.with_context(|| {
                Fault::usage("name the wallet of whoever submits with --wallet")
            })?;
            load(settings, name)?.address
        }
    };
    take_over(settings, &mut deployment, submitter)?;
    Ok(deployment)
}

/// What `quire operator` prints.
#[derive(Serialize)]
struct OperatorFacts {
    operator: String,
    offered: Option<String>,
    submission: RightFacts,
    /// What the operator before may claim; of an acceptance.
    #[serde(skip_serializing_if = "Option::is_none")]
    fees: Option<Amount>,
    #[serde(flatten)]
    token: Option<TokenFacts>,
}

/// `quire operator …`.
///
/// # Errors
/// If L1 refuses.
pub fn run(settings: &Settings, command: &OperatorCommand) -> Result<()> {
    match command {
        OperatorCommand::Return => come_back(settings),
        OperatorCommand::Offer(args) => make_offer(settings, args),
        OperatorCommand::Accept(args) => take_role(settings, args),
    }
}

/// The operator: of a native L1 by its wallet, of a contract by its Ethereum key.
///
/// # Errors
/// If there is no such wallet or key.
pub fn operator_of(settings: &Settings, l1: &L1) -> Result<Address> {
    match l1.link.is_remote() {
        true => Ok(l1.caller_on_chain()?),
        false => Ok(unlock(settings, &wallet_to_call_with(settings)?)?.address),
    }
}

fn come_back(settings: &Settings) -> Result<()> {
    let mut l1 = L1::open(settings)?;
    let caller = operator_of(settings, &l1)?;
    give_back(&mut l1, caller)?;
    let back_at = l1.head()?.operator_back_at;
    let wait = l1.deployment().parameters().takeover_after;
    let said = format!(
        "the operator has returned: unless a batch of its own is final by {}, its hour is lost; it may return again from {} on",
        Utc(back_at.saturating_add(l1::OPERATORS_HOUR)),
        Utc(back_at.saturating_add(wait))
    );
    tell(settings, &mut l1, &said, None)
}

fn make_offer(settings: &Settings, args: &OperatorOfferArgs) -> Result<()> {
    let mut l1 = L1::open(settings)?;
    let caller = operator_of(settings, &l1)?;
    let to = match args.address.as_str() {
        "none" => None,
        text => Some(address(text)?),
    };
    let said = match offer(&mut l1, caller, to)? {
        Some(to) => format!(
            "the operator role is offered to {to}, which takes it with `quire operator accept`"
        ),
        None => "the operator role is offered to nobody".to_owned(),
    };
    tell(settings, &mut l1, &said, None)
}

fn take_role(settings: &Settings, args: &OperatorWalletArgs) -> Result<()> {
    let mut l1 = L1::open(settings)?;
    let caller = caller(&l1, settings, args.wallet.as_deref())?;
    let named = args.wallet.as_deref().filter(|_| !l1.link.is_remote());
    let wallet = named.map(|name| find(settings, name)).transpose()?;
    let before = accept(settings, &mut l1, caller, wallet.as_ref())?.map(Amount::wei);
    let said = match &before {
        Some(before) => format!(
            "{caller} is the operator; {before} of fees before are the former operator's to claim"
        ),
        None => format!("{caller} is the operator already"),
    };
    tell(settings, &mut l1, &said, before)?;
    Ok(tell_missing_fees(settings, &l1)?)
}

fn tell(settings: &Settings, l1: &mut L1, said: &str, fees: Option<Amount>) -> Result<()> {
    let right = l1.submission_right()?;
    let facts = OperatorFacts {
        operator: l1.operator()?.to_string(),
        offered: l1.offered_operator()?.map(|offered| offered.to_string()),
        submission: RightFacts::of(right),
        token: fees.as_ref().map(Amount::facts),
        fees,
    };
    let text = format!("{said}\nwho may submit batches: {}", right_text(right));
    settings.ui.result(&facts, text)?;
    Ok(l1.acknowledge()?)
}

/// An address as it was typed.
fn address(text: &str) -> Result<Address> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = [0; 20];
    hex::decode_to_slice(digits, &mut bytes)
        .ok()
        .with_context(|| {
            Fault::usage(format!(
                "{text:?} is not an address: 0x and 40 hexadecimal digits"
            ))
        })?;
    Ok(Bytes(bytes))
}
