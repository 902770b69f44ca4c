//! `quire deposit` and `claim`: what the owner of a wallet does on L1.

use anyhow::{Context, Result, bail, ensure};
use l1::{Address, Deposit};
use ledger::babyjubjub::cofactor_inverse_point;
use rollup::Draft;
use rollup::L1;
use rollup::Plan;
use rollup::shape::shapes_by_name;
use rollup::{Call, Outcome};
use serde::Serialize;
use wallet::{Sealing, Wallet};

use crate::args::{ClaimArgs, DepositArgs};
use crate::deployment::{caller, learn_token, token_named};
use crate::fault::Fault;
use crate::settings::Settings;
use rollup::OperatorKey;
use rollup::amount::{Amount, TokenFacts, Tokens};
use rollup::operator::open;
use rollup::shape::DEFAULT_SHAPE;

/// What a deposit prints.
#[derive(Serialize)]
struct Deposited {
    account: u32,
    #[serde(flatten)]
    token: TokenFacts,
    amount: Amount,
    owner: String,
    queue_entry: u64,
    earlier: bool,
}

/// What a claim prints.
#[derive(Serialize)]
struct Claimed {
    #[serde(flatten)]
    token: TokenFacts,
    amount: Amount,
}

/// `quire deposit`.
///
/// # Errors
/// If L1 refuses.
pub fn deposit(settings: &Settings, args: &DepositArgs) -> Result<()> {
    let wallet = crate::wallet::load(settings, &args.wallet)?;
    let mut l1 = match settings.has_deployment() || settings.l1_url.is_some() {
        true => {
            ensure!(
                args.shape.is_empty(),
                Fault::usage("the deployment exists and has its shapes; --shape is for a new one")
            );
            L1::open(settings)?
        }
        false => {
            // Why first: nothing is made of what cannot be deposited.
            let token = Tokens::listed(&[l1::genesis::Token::eth()]).named(&args.token)?;
            Amount::parse(&token, &args.amount)?;
            let shapes = shapes_by_name(&args.shape, DEFAULT_SHAPE)?;
            let operator = OperatorKey::of(&Wallet::random(), &Sealing::Plain)?;
            Draft::new(settings, &Plan::empty(shapes, operator))?.keep(settings)?;
            drop(open(settings)?);
            L1::open(settings)?
        }
    };
    let fee = l1.deployment().parameters().l1_fee;
    let token = token_named(&l1, &args.token)?;
    let amount = Amount::parse(&token, &args.amount)?.value();
    let caller = l1.link.caller(wallet.address)?;
    let (entry, earlier) = match args.account {
        Some(index) => {
            let registered = l1.registered(index)?;
            let held = registered
                .with_context(|| format!("there is no account {index}"))?
                .token;
            ensure!(
                held == token.id,
                "account {index} holds {}, and --token is {}",
                Tokens::of(&l1)?.get(held).described(),
                token.described()
            );
            let call = Call::TopUp {
                caller,
                index,
                amount,
            };
            l1.queue_entry(settings, call)?
        }
        None => {
            let deposit = Deposit {
                caller,
                token: token.id,
                amount,
                key: wallet.public,
                q: cofactor_inverse_point(&wallet.public),
                fee,
            };
            l1.queue_entry(settings, Call::Deposit(&deposit))?
        }
    };
    let (account, queue_entry) = (entry.op.index(), entry.number);
    let amount = Amount::of(&token, entry.op.amount());
    let facts = Deposited {
        account,
        token: token.facts(),
        amount: amount.clone(),
        owner: caller.to_string(),
        queue_entry,
        earlier,
    };
    let text = format!(
        "{amount} into account {account}, entry {queue_entry} of the L1 queue; the operator's next batch executes it"
    );
    settings.ui.result(&facts, text)?;
    Ok(l1.acknowledge()?)
}

/// `quire claim`.
///
/// # Errors
/// If there is nothing to claim or L1 refuses.
pub fn claim(settings: &Settings, args: &ClaimArgs) -> Result<()> {
    let l1 = L1::open(settings)?;
    let caller = caller(&l1, settings, args.wallet.as_deref())?;
    let token = match &args.token {
        Some(text) => Some(Tokens::of(&l1)?.named(text)?.id),
        None => None,
    };
    collect(settings, l1, caller, token)
}

/// Collects what an address may claim, of one token or of all. A token that refuses does not keep what was
/// paid of others from being told.
///
/// # Errors
/// As [`claim`].
pub fn collect(settings: &Settings, mut l1: L1, caller: Address, only: Option<u32>) -> Result<()> {
    let tokens = u32::try_from(l1.token_count()?).context("token ids have 32 bits")?;
    let (mut claimed, mut text, mut failed) = (Vec::new(), String::new(), None);
    for token in (0..tokens).filter(|token| only.is_none_or(|only| only == *token)) {
        let (amount, error) = claim_all(settings, &mut l1, caller, token);
        failed = failed.or(error);
        if amount == 0 {
            continue;
        }
        let amount = Tokens::of(&l1)?.amount(token, amount);
        text.push_str(&format!("claimed {amount}\n"));
        claimed.push(Claimed {
            token: amount.facts(),
            amount,
        });
    }
    if !claimed.is_empty() {
        settings.ui.result(&claimed, text)?;
        l1.acknowledge()?;
    }
    match failed {
        Some(error) => Err(error),
        None if claimed.is_empty() => bail!(
            "{} has nothing to claim; a withdrawal is claimable once its batch is final",
            caller
        ),
        None => Ok(()),
    }
}

/// Claims everything of a token, and returns how much was paid before an error, if there was one. What an
/// earlier claim was paid that nobody was told of counts.
fn claim_all(
    settings: &Settings,
    l1: &mut L1,
    caller: Address,
    token: u32,
) -> (u128, Option<anyhow::Error>) {
    let call = Call::Claim { caller, token };
    let mut total: u128 = 0;
    let mut once = || -> Result<bool> {
        let earlier = l1.link.is_unacknowledged(&l1.native, call);
        if !earlier && l1.claimable(caller, token)? == 0 {
            return Ok(false);
        }
        learn_token(l1, &Tokens::of(l1)?.get(token))?;
        let Outcome::Amount(amount) = l1.call(call)?.outcome else {
            bail!("the chain told no amount of the claim; look at `quire l1 status`");
        };
        total = total.saturating_add(amount);
        // Why told here: the earlier claim leaves what came since.
        if earlier {
            settings.ui.note(format!(
                "an earlier command that was interrupted has claimed {}",
                Tokens::of(l1)?.amount(token, amount)
            ));
            l1.acknowledge()?;
        }
        Ok(earlier)
    };
    let error = loop {
        match once() {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => break Some(error),
        }
    };
    (total, error)
}
