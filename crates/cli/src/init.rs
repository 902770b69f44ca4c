//! `quire init`: a deployment is planned and made.
//!
//! What is fixed here never changes: shapes, tokens, L1's fee and limits. The operator is the first one:
//! it can hand its role over.
//! The operator's wallet lies in the deployment, so that batches can be submitted by a program that
//! nobody watches; it is encrypted if a passphrase is given that such a program can read as well.

use anyhow::{Context, Result, ensure};
use l1::bytes::Bytes;
use l1::genesis::{Parameters, Token};
use l1::token::{MAX_DECIMALS, check_symbol};
use ledger::field::to_hex;
use ledger::time::Span;
use rollup::Draft;
use rollup::OperatorKey;
use rollup::Plan;
use rollup::create::check_absent;
use rollup::create::genesis_account;
use rollup::shape::shapes_by_name;
use serde::Serialize;
use wallet::{Cost, KeyEncryption, Locked, Protection, Wallet, read_secret};

use crate::args::InitArgs;
use crate::fault::Fault;
use crate::passphrase;
use crate::settings::Settings;
use crate::wallet::find;
use rollup::Deployment;
use rollup::amount::{Amount, TokenFacts, Tokens};
use rollup::operator::{open, operator_wallet};
use rollup::shape::DEFAULT_SHAPE;
use rollup::shape::shape_name;

/// What `init` prints.
#[derive(Serialize)]
struct InitFacts {
    data_dir: String,
    contract: String,
    domain: String,
    operator: String,
    operator_protection: Protection,
    shapes: Vec<String>,
    tokens: Vec<ListedToken>,
    fee_accounts: Vec<FeeAccount>,
    l1_fee: Amount,
    state_root: String,
}

/// A token with its address.
#[derive(Serialize)]
pub struct ListedToken {
    #[serde(flatten)]
    token: TokenFacts,
    address: String,
}

/// The tokens of a list, by id.
pub fn listed_tokens(listed: &[Token]) -> Vec<ListedToken> {
    let tokens = Tokens::listed(listed);
    let listed = tokens
        .iter()
        .zip(listed)
        .map(|(token, listed)| ListedToken {
            token: token.facts(),
            address: listed.address.to_string(),
        });
    listed.collect()
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
    plan.tokens.extend(declared(&args.token)?);
    for text in &args.fee_token {
        let token = Tokens::listed(&plan.tokens).named(text);
        let token = token
            .map_err(|error| Fault::usage(format!("--fee-token: {error:#}")))?
            .id;
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
    plan.l1_fee = Amount::parse_eth(&args.l1_fee)?.value();
    plan.pending_cap = args.pending_cap;
    plan.timestamp_slack = args.timestamp_slack;
    plan.takeover_after = args.takeover_after;
    plan.freeze_after = args.freeze_after;
    Draft::new(settings, &plan)?.keep(settings)?;
    let deployment = open(settings)?;
    let wallet = operator_wallet(settings, &deployment)?;
    let facts = facts(settings, &deployment, wallet.as_ref());
    settings.ui.result(
        &facts,
        describe(&facts, deployment.l1.deployment().parameters()),
    )
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
            file: read_secret(&locked.path, "wallet")?,
        });
    }
    let sealing = match passphrase::unattended(settings)? {
        Some(passphrase) => KeyEncryption::Encrypted(passphrase, Cost::Standard),
        None => KeyEncryption::Plain,
    };
    Ok(OperatorKey::of(&Wallet::random(), &sealing)?)
}

/// The tokens that arguments declare, each `SYMBOL:DECIMALS=ADDRESS`.
///
/// # Errors
/// If one is not spelled so, its symbol cannot stand as a unit, or two have one symbol.
pub fn declared(texts: &[String]) -> Result<Vec<Token>> {
    let tokens: Vec<Token> = texts
        .iter()
        .map(|text| token(text))
        .collect::<Result<_>>()?;
    for (place, token) in tokens.iter().enumerate() {
        let same = |other: &&Token| other.name.eq_ignore_ascii_case(&token.name);
        ensure!(
            !tokens[..place].iter().any(|other| same(&other)),
            Fault::usage(format!(
                "two tokens have the symbol {}; rename one",
                token.name
            ))
        );
    }
    Ok(tokens)
}

fn token(text: &str) -> Result<Token> {
    let spelled = || {
        Fault::usage(format!(
            "--token {text:?} is not SYMBOL:DECIMALS=ADDRESS, such as USDC:6=0x… with 40 hexadecimal digits"
        ))
    };
    let (name, digits) = text.split_once('=').with_context(spelled)?;
    let (symbol, decimals) = name.rsplit_once(':').with_context(|| {
        Fault::usage(format!(
            "--token {text:?} does not say how many decimals the token has: write {name}:6=… for a token of which 1 is 1000000 units, {name}:0=… for one that has no parts"
        ))
    })?;
    check_symbol(symbol).with_context(|| Fault::usage(format!("--token {text:?}")))?;
    let decimals: u8 = decimals.parse().with_context(spelled)?;
    ensure!(
        decimals <= MAX_DECIMALS,
        Fault::usage(format!(
            "--token {text:?}: a token has at most {MAX_DECIMALS} decimals"
        ))
    );
    let mut address = [0; 20];
    hex::decode_to_slice(digits.strip_prefix("0x").unwrap_or(digits), &mut address)
        .with_context(spelled)?;
    Ok(Token {
        name: symbol.to_owned(),
        decimals: Some(decimals),
        address: Bytes(address),
    })
}

fn facts(settings: &Settings, deployment: &Deployment, wallet: Option<&Locked>) -> InitFacts {
    let genesis = deployment.l1.deployment();
    let parameters = genesis.parameters();
    InitFacts {
        data_dir: settings.data_dir.display().to_string(),
        contract: genesis.contract().to_string(),
        domain: to_hex(&deployment.l1.domain()),
        operator: parameters.operator.address.to_string(),
        operator_protection: wallet.map_or(Protection::None, Locked::protection),
        shapes: (parameters.shapes.iter())
            .map(|listed| shape_name(&listed.shape))
            .collect(),
        tokens: listed_tokens(&parameters.tokens),
        fee_accounts: (deployment.batcher.settings().fee_accounts.iter())
            .map(|(token, account)| FeeAccount {
                token: *token,
                account: *account,
            })
            .collect(),
        l1_fee: Amount::wei(parameters.l1_fee),
        state_root: to_hex(&deployment.batcher.status().state_root),
    }
}

fn describe(facts: &InitFacts, parameters: &Parameters) -> String {
    let protection = match facts.operator_protection {
        Protection::Passphrase => "encrypted",
        Protection::None => "NOT ENCRYPTED, mode 0600",
    };
    let tokens = Tokens::listed(&parameters.tokens);
    let tokens: Vec<String> = tokens.iter().map(|token| token.to_string()).collect();
    format!(
        "deployment   {}\ndirectory    {}\noperator     {} ({protection})\nshapes       {}\n\
         tokens       {}\nL1 fee       {}\nfreezable    once the queue has waited {}\nstate root   {}\n\
         go on with `quire wallet new NAME` and `quire deposit --wallet NAME --amount A`",
        facts.contract,
        facts.data_dir,
        facts.operator,
        facts.shapes.join(", "),
        tokens.join(", "),
        facts.l1_fee,
        Span(parameters.freeze_after),
        facts.state_root,
    )
}
