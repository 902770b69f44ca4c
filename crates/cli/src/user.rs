//! `quire deposit` and `claim`: what the owner of a wallet does on L1.

use anyhow::{Result, ensure};
use l1::Address;
use rollup::amount::{Amount, TokenFacts, Tokens};
use rollup::operator::open;
use rollup::shape::{DEFAULT_SHAPE, shapes_by_name};
use rollup::user::{self, token_named};
use rollup::{Draft, L1, OperatorKey, Plan};
use serde::Serialize;
use wallet::{KeyEncryption, Wallet};

use crate::args::{ClaimArgs, DepositArgs};
use crate::deployment::caller;
use crate::fault::Fault;
use crate::settings::Settings;

/// What a deposit prints.
#[derive(Serialize)]
struct Deposited {
    account: u32,
    #[serde(flatten)]
    token: TokenFacts,
    amount: Amount,
    /// What was sent, of which a token may pay out less or more.
    sent: Amount,
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
            let operator = OperatorKey::of(&Wallet::random(), &KeyEncryption::Plain)?;
            Draft::new(settings, &Plan::empty(shapes, operator))?.keep(settings)?;
            drop(open(settings)?);
            L1::open(settings)?
        }
    };
    let token = token_named(&l1, &args.token)?;
    let amount = Amount::parse(&token, &args.amount)?;
    let made = user::deposit(settings, &mut l1, &wallet, &amount, args.account)?;
    let (account, queue_entry) = (made.entry.op.index(), made.entry.number);
    let (sent, amount) = (amount, made.amount);
    let facts = Deposited {
        account,
        token: amount.facts(),
        amount: amount.clone(),
        sent: sent.clone(),
        owner: made.owner.to_string(),
        queue_entry,
        earlier: made.earlier,
    };
    let text = format!(
        "{amount} into account {account}, entry {queue_entry} of the L1 queue; the operator's next batch executes it{}",
        arrived(&sent, &amount)
    );
    settings.ui.result(&facts, text)?;
    Ok(l1.acknowledge()?)
}

/// Says if something else arrived than was sent.
fn arrived(sent: &Amount, amount: &Amount) -> String {
    match sent == amount {
        true => String::new(),
        false => {
            format!("\nsent were {sent}, of which the token let {amount} arrive: that is credited")
        }
    }
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

/// Collects what an address may claim, of one token or of all, and prints it before an error.
///
/// # Errors
/// As [`claim`].
pub fn collect(settings: &Settings, mut l1: L1, caller: Address, only: Option<u32>) -> Result<()> {
    let user::Claimed { amounts, failed } = user::claim(settings, &mut l1, caller, only)?;
    if !amounts.is_empty() {
        let text: String = (amounts.iter())
            .map(|amount| format!("claimed {amount}\n"))
            .collect();
        let claimed: Vec<Claimed> = amounts.into_iter().map(Claimed::of).collect();
        settings.ui.result(&claimed, text)?;
        l1.acknowledge()?;
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

impl Claimed {
    fn of(amount: Amount) -> Self {
        Self {
            token: amount.facts(),
            amount,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deposit_of_which_less_arrives_says_what_was_sent() {
        let [sent, nothing] = [7, 0].map(Amount::wei);
        assert_eq!(arrived(&sent, &sent), "");
        let said = arrived(&sent, &nothing);
        assert!(said.contains(&sent.to_string()) && said.contains(&nothing.to_string()));
    }
}
