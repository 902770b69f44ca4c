//! `quire init`: a deployment is planned and made.
//!
//! What is fixed here never changes: shapes, tokens, L1's fee and limits. The operator is the first one:
//! it can hand its office over.
//! The operator's wallet lies in the deployment, so that batches can be submitted by a program that
//! nobody watches; it is encrypted if a passphrase is given that such a program can read as well.

use anyhow::{Context, Result, ensure};
use l1::bytes::Bytes;
use l1::genesis::Token;
use ledger::field::to_hex;
use serde::Serialize;

use crate::amount::{ETH, parse, show};
use crate::args::{InitArgs, KdfCost};
use crate::deployment::{
    Draft, Node, OperatorKey, Plan, check_absent, genesis_account, shapes_by_name,
};
use crate::exit::Fault;
use crate::keys::shape_name;
use crate::keystore::{Protection, Sealing, read_bytes};
use crate::passphrase;
use crate::settings::Settings;
use crate::wallet::{Wallet, find};

/// Shape of a deployment for which none is named.
pub const DEFAULT_SHAPE: &str = "t18";

/// What `init` prints.
#[derive(Serialize)]
struct InitFacts {
    data_dir: String,
    contract: String,
    domain: String,
    operator: String,
    operator_protection: Protection,
    shapes: Vec<String>,
    tokens: Vec<TokenFacts>,
    fee_accounts: Vec<FeeAccount>,
    l1_fee: String,
    state_root: String,
}

/// A token.
#[derive(Serialize)]
struct TokenFacts {
    id: usize,
    name: String,
    address: String,
}

/// An account that takes fees.
#[derive(Serialize)]
struct FeeAccount {
    token: u32,
    account: u32,
}

/// `quire init`.
///
/// # Errors
/// If there is a deployment, or the plan breaks a rule.
pub fn run(settings: &Settings, args: &InitArgs) -> Result<()> {
    check_absent(settings)?;
    let shapes = shapes_by_name(&args.shape, DEFAULT_SHAPE)?;
    let mut plan = Plan::empty(shapes, operator(settings, args.operator.as_deref())?);
    for text in &args.token {
        plan.tokens.push(token(text)?);
    }
    for text in &args.fee_token {
        let token = token_id(&plan.tokens, text)?;
        let taken = plan.accounts.iter().any(|account| account.token == token);
        ensure!(
            !taken,
            Fault::usage(format!(
                "token {text:?} has a fee account already; name it once"
            ))
        );
        let (owner, key) = (plan.operator.address, plan.operator.public);
        plan.accounts.push(genesis_account(owner, token, &key, 0));
    }
    plan.l1_fee = parse(&args.l1_fee)?;
    plan.pending_cap = args.pending_cap;
    plan.timestamp_slack = args.timestamp_slack;
    plan.takeover_after = args.takeover_after;
    plan.freeze_after = args.freeze_after;
    let node = Draft::new(settings, plan)?.keep(settings)?;
    let facts = facts(settings, &node);
    settings.ui.result(&facts, describe(&facts, args)?)
}

/// The named wallet as its file is, or a new one.
///
/// # Errors
/// If it cannot be read or made.
pub fn operator(settings: &Settings, named: Option<&str>) -> Result<OperatorKey> {
    if let Some(name) = named {
        let locked = find(settings, name)?;
        return Ok(OperatorKey {
            public: locked.public,
            address: locked.address,
            file: read_bytes(&locked.path, "wallet")?,
        });
    }
    let sealing = match passphrase::unattended(settings)? {
        Some(passphrase) => Sealing::Encrypted(passphrase, KdfCost::Standard),
        None => Sealing::Plain,
    };
    OperatorKey::of(&Wallet::random(), &sealing)
}

/// Reads `NAME=0x…`.
fn token(text: &str) -> Result<Token> {
    let spelled = || {
        Fault::usage(format!(
            "--token {text:?} is not NAME=ADDRESS with an address of 40 hexadecimal digits"
        ))
    };
    let (name, digits) = text.split_once('=').with_context(spelled)?;
    let mut address = [0; 20];
    hex::decode_to_slice(digits.strip_prefix("0x").unwrap_or(digits), &mut address)
        .with_context(spelled)?;
    Ok(Token {
        name: name.to_owned(),
        address: Bytes(address),
    })
}

/// The id of a planned token by name or id.
fn token_id(tokens: &[Token], text: &str) -> Result<u32> {
    let named = tokens
        .iter()
        .position(|token| token.name.eq_ignore_ascii_case(text));
    let numbered = || text.parse().ok().filter(|id| *id < tokens.len());
    let id = named
        .or_else(numbered)
        .and_then(|id| u32::try_from(id).ok());
    id.with_context(|| Fault::usage(format!("--fee-token {text:?} is none of the tokens")))
}

fn facts(settings: &Settings, node: &Node) -> InitFacts {
    let deployment = node.l1.deployment();
    let parameters = deployment.parameters();
    InitFacts {
        data_dir: settings.data_dir.display().to_string(),
        contract: deployment.contract().to_string(),
        domain: to_hex(&node.l1.domain()),
        operator: parameters.operator.address.to_string(),
        operator_protection: node.operator_protection(),
        shapes: (parameters.shapes.iter())
            .map(|listed| shape_name(&listed.shape))
            .collect(),
        tokens: (parameters.tokens.iter().enumerate())
            .map(|(id, token)| TokenFacts {
                id,
                name: token.name.clone(),
                address: token.address.to_string(),
            })
            .collect(),
        fee_accounts: (node.batcher.settings().fee_accounts.iter())
            .map(|(token, account)| FeeAccount {
                token: *token,
                account: *account,
            })
            .collect(),
        l1_fee: parameters.l1_fee.to_string(),
        state_root: to_hex(&node.batcher.status().state_root),
    }
}

fn describe(facts: &InitFacts, args: &InitArgs) -> Result<String> {
    let protection = match facts.operator_protection {
        Protection::Passphrase => "encrypted",
        Protection::None => "NOT ENCRYPTED, mode 0600",
    };
    let tokens: Vec<&str> = facts
        .tokens
        .iter()
        .map(|token| token.name.as_str())
        .collect();
    Ok(format!(
        "deployment   {}\ndirectory    {}\noperator     {} ({protection})\nshapes       {}\n\
         tokens       {}\nL1 fee       {}\nstate root   {}\n\
         go on with `quire wallet new NAME` and `quire deposit --wallet NAME --amount A`",
        facts.contract,
        facts.data_dir,
        facts.operator,
        facts.shapes.join(", "),
        tokens.join(", "),
        show(ETH, "ETH", parse(&args.l1_fee)?),
        facts.state_root,
    ))
}
