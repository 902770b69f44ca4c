//! Who submits here: the operator, or somebody else while L1 lets anybody; and `quire operator`.
//!
//! Invariant: whoever may not submit is told so before anything is proven or sent, with who may and
//! from when on.

use anyhow::{Context, Result};
use batcher::store::FILE_NAME;
use batcher::{Batcher, Role};
use l1::bytes::Bytes;
use l1::{Address, SubmissionRight};
use rollup::Call;
use rollup::L1;
use rollup::batcher_settings;
use rollup::text::right_text;
use serde::Serialize;
use wallet::{Locked, read_secret};

use crate::args::{OperatorCommand, OperatorOfferArgs, OperatorWalletArgs};
use crate::deployment::{caller, open, operator_file};
use crate::fault::Fault;
use crate::interrupt::shield;
use crate::settings::Settings;
use crate::wallet::{find, load, unlock};
use rollup::amount::{Amount, TokenFacts, Tokens};
use rollup::place::make_folder;
use rollup::{Deployment, DeploymentError};

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
        true => deployment.link.caller(Bytes([0; 20]))?,
        false => {
            let name = wallet.with_context(|| {
                Fault::usage("name the wallet of whoever submits with --wallet")
            })?;
            load(settings, name)?.address
        }
    };
    deployment.work_for(submitter);
    deployment.follow_l1(settings)?;
    deployment.begin_turn(settings)?;
    if deployment.batcher.role() == Some(Role::Mirror) {
        deployment.batcher.set_role(Role::Taker)?;
    }
    tell_fees(settings, &deployment)?;
    Ok(deployment)
}

/// Says which operations whoever submits here does not take.
///
/// # Errors
/// If L1 cannot be read.
fn tell_fees(settings: &Settings, deployment: &Deployment) -> Result<()> {
    let named = Tokens::of(&deployment.l1)?;
    let fees = &deployment.batcher.settings().fee_accounts;
    let tokens: Vec<String> = fees
        .keys()
        .map(|token| named.get(*token).to_string())
        .collect();
    settings.ui.note(match tokens.as_slice() {
        [] => "this submitter has no account, so it takes the L1 queue and operations without a fee; a deposit makes an account for the fees of its token".to_owned(),
        tokens => format!(
            "this submitter takes the L1 queue, operations without a fee, and fees in {}; operations with fees in other tokens wait",
            tokens.join(", ")
        ),
    });
    Ok(())
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
        OperatorCommand::Return => give_back(settings),
        OperatorCommand::Offer(args) => offer(settings, args),
        OperatorCommand::Accept(args) => accept(settings, args),
    }
}

/// The operator: of a native L1 by its wallet, of a contract by its Ethereum key.
///
/// # Errors
/// If there is no such wallet or key.
pub fn operator_of(settings: &Settings, l1: &L1) -> Result<Address> {
    if l1.link.is_remote() {
        return Ok(l1.link.caller(Bytes([0; 20]))?);
    }
    let file = operator_file(&settings.rollup_dir());
    let locked = Locked::read(&file).with_context(|| {
        Fault::environment("only the operator does this, with its wallet in the data directory")
    })?;
    Ok(unlock(settings, &locked)?.address)
}

fn give_back(settings: &Settings) -> Result<()> {
    let mut l1 = L1::open(settings)?;
    let caller = operator_of(settings, &l1)?;
    l1.call(Call::ReturnOperator { caller })?;
    tell(settings, &mut l1, "the operator has returned", None)
}

fn offer(settings: &Settings, args: &OperatorOfferArgs) -> Result<()> {
    let mut l1 = L1::open(settings)?;
    let caller = operator_of(settings, &l1)?;
    let to = match args.address.as_str() {
        "none" => None,
        // L1 takes the address of zeros as nobody.
        text => Some(address(text)?).filter(|to| *to != Bytes([0; 20])),
    };
    l1.call(Call::OfferOperator { caller, to })?;
    let said = match to {
        Some(to) => format!(
            "the operator role is offered to {to}, which takes it with `quire operator accept`"
        ),
        None => "the operator role is offered to nobody".to_owned(),
    };
    tell(settings, &mut l1, &said, None)
}

fn accept(settings: &Settings, args: &OperatorWalletArgs) -> Result<()> {
    let mut l1 = L1::open(settings)?;
    let caller = caller(&l1, settings, args.wallet.as_deref())?;
    let call = Call::AcceptOperator { caller };
    // Why: an interrupted command has made the call, and not what follows.
    let is_done = l1.operator()? == caller && !l1.link.is_unacknowledged(&l1.native, call);
    let mut before = None;
    if !is_done {
        before = Some(Amount::wei(l1.head()?.operator_fees));
        l1.call(call)?;
    }
    if let Some(name) = args.wallet.as_deref().filter(|_| !l1.link.is_remote()) {
        keep_wallet(settings, name)?;
    }
    let folder = settings.rollup_dir();
    if folder.join(FILE_NAME).exists() {
        let configured = batcher_settings(&l1)?;
        let mut batcher = settings.for_turn(|| {
            let batcher = Batcher::open(&folder, configured.clone());
            batcher.map_err(|source| DeploymentError::Batcher { source })
        })?;
        batcher.set_operator(caller.0)?;
    }
    let said = match &before {
        Some(before) => format!(
            "{caller} is the operator; {before} of fees before are the former operator's to claim"
        ),
        None => format!("{caller} is the operator already"),
    };
    tell(settings, &mut l1, &said, before)
}

/// Makes a wallet that of the operator here; the one before stays beside it.
fn keep_wallet(settings: &Settings, name: &str) -> Result<()> {
    let wallet = find(settings, name)?;
    let folder = settings.rollup_dir();
    let file = operator_file(&folder);
    make_folder(&folder)?;
    let _shield = shield();
    if file.exists() {
        let former = Locked::read(&file)?.address;
        if former == wallet.address {
            return Ok(());
        }
        let kept = folder.join(format!("operator-{former}.json"));
        // Why first: killed between the two, no wallet is lost.
        ::files::replace(
            &kept,
            ::files::Readers::Owner,
            &read_secret(&file, "wallet")?,
        )?;
    }
    let secret = read_secret(&wallet.path, "wallet")?;
    Ok(::files::replace(&file, ::files::Readers::Owner, &secret)?)
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
