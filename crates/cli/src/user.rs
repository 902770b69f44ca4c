//! `quire deposit`, `transfer`, `withdraw` and `claim`: what the owner of a wallet does.

use anyhow::{Context, Result, bail, ensure};
use batcher::SignedOperation;
use l1::{Deposit, NativeL1};
use ledger::account::Account;
use ledger::babyjubjub::cofactor_inverse_point;
use ledger::float::{Float16, Float40};
use ledger::operation::{Fields, NO_EXPIRY, Signable, Transfer, Withdraw};
use serde::Serialize;

use crate::amount::{float16, float40, forty_bits, parse, show};
use crate::args::{ClaimArgs, DepositArgs, SigningArgs, TransferArgs, WithdrawArgs};
use crate::deployment::{
    Draft, Node, OperatorKey, Plan, exists, now, open_l1, shapes_by_name, token_id, token_name,
};
use crate::exit::Fault;
use crate::init::DEFAULT_SHAPE;
use crate::keystore::Sealing;
use crate::leave::request_exit;
use crate::settings::Settings;
use crate::wallet::Wallet;

/// What a deposit prints.
#[derive(Serialize)]
struct Deposited {
    account: u32,
    token: u32,
    amount: String,
    owner: String,
    queue_entry: u64,
}

/// What a signed operation prints.
#[derive(Serialize)]
struct Accepted {
    id: String,
    from: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<u32>,
    token: u32,
    amount: String,
    fee: String,
    nonce: u64,
    valid_until: u64,
}

/// What a claim prints.
#[derive(Serialize)]
struct Claimed {
    token: u32,
    amount: String,
}

/// `quire deposit`.
///
/// # Errors
/// If L1 refuses.
pub fn deposit(settings: &Settings, args: &DepositArgs) -> Result<()> {
    let wallet = Wallet::load(settings, &args.wallet)?;
    let amount = parse(&args.amount)?;
    let l1 = match exists(settings) {
        true => {
            ensure!(
                args.shape.is_empty(),
                Fault::usage("the deployment exists and has its shapes; --shape is for a new one")
            );
            open_l1(settings)?
        }
        false => {
            let shapes = shapes_by_name(&args.shape, DEFAULT_SHAPE)?;
            let operator = OperatorKey::of(&Wallet::random(), &Sealing::Plain)?;
            drop(Draft::new(settings, Plan::empty(shapes, operator))?.keep(settings)?);
            open_l1(settings)?
        }
    };
    let fee = l1.deployment().parameters().l1_fee;
    let token = token_id(&l1, &args.token)?;
    let (account, queue_entry) = match args.account {
        Some(index) => {
            let registered = l1.registered(index)?;
            let held = registered
                .with_context(|| format!("there is no account {index}"))?
                .token;
            ensure!(
                held == token,
                "account {index} holds {}; name it with --token",
                token_name(&l1, held)
            );
            (
                index,
                l1.top_up(wallet.address, index, amount, fee, now()?)?,
            )
        }
        None => {
            let index = l1.deposit(
                &Deposit {
                    caller: wallet.address,
                    token,
                    amount,
                    key: wallet.public,
                    q: cofactor_inverse_point(&wallet.public),
                    fee,
                },
                now()?,
            )?;
            (index, l1.head()?.queue_tail - 1)
        }
    };
    let facts = Deposited {
        account,
        token,
        amount: amount.to_string(),
        owner: wallet.address.to_string(),
        queue_entry,
    };
    let text = format!(
        "{} into account {account}, entry {queue_entry} of the L1 queue; the next batch executes it: `quire run`",
        show(token, &token_name(&l1, token), amount)
    );
    settings.ui.result(&facts, text)
}

/// The parts of a signed operation that were typed or follow from the account.
struct Signing {
    amount: Float40,
    fee: Float16,
    nonce: u64,
    valid_until: u64,
}

impl Signing {
    fn resolve(node: &Node, index: u32, amount: &str, args: &SigningArgs) -> Result<Self> {
        let next = node.batcher.next_nonce(index);
        let nonce = args
            .nonce
            .or(next)
            .with_context(|| format!("there is no account {index}"))?;
        let valid_until = args.valid_until.unwrap_or(NO_EXPIRY);
        Ok(Self {
            amount: float40(parse(amount)?)?,
            fee: float16(parse(&args.fee)?)?,
            nonce: forty_bits("--nonce", nonce)?,
            valid_until: forty_bits("--valid-until", valid_until)?,
        })
    }
}

/// The account, if the wallet signs for it.
fn own_account(node: &Node, wallet: &Wallet, index: u32) -> Result<Account> {
    let account = *node.account(index)?;
    ensure!(
        account.key == wallet.public,
        "account {index} is signed for by another key than this wallet's"
    );
    Ok(account)
}

/// `quire transfer`.
///
/// # Errors
/// If the batcher refuses.
pub fn transfer(settings: &Settings, args: &TransferArgs) -> Result<()> {
    let wallet = Wallet::load(settings, &args.wallet)?;
    let mut node = Node::open(settings)?;
    let account = own_account(&node, &wallet, args.from)?;
    let receiver = *node.account(args.to)?;
    ensure!(
        receiver.token == account.token,
        "account {} holds {}, account {} holds {}",
        args.from,
        node.token_name(account.token),
        args.to,
        node.token_name(receiver.token)
    );
    let signing = Signing::resolve(&node, args.from, &args.amount, &args.signing)?;
    let Signing {
        amount,
        fee,
        nonce,
        valid_until,
    } = signing;
    let transfer = Transfer {
        from: args.from,
        to: args.to,
        amount,
        fee,
        nonce,
        valid_until,
        token: account.token,
    };
    let signed = transfer.sign(&wallet.key, &node.l1.domain());
    hand_in(settings, &mut node, signed.into(), Some(args.to))
}

/// `quire withdraw`.
///
/// # Errors
/// If the batcher or L1 refuses.
pub fn withdraw(settings: &Settings, args: &WithdrawArgs) -> Result<()> {
    let wallet = Wallet::load(settings, &args.wallet)?;
    if args.claim {
        return collect(settings, &open_l1(settings)?, &wallet, None);
    }
    let index = args.from.context("--from is missing")?;
    if args.force {
        return request_exit(settings, &wallet, index);
    }
    let mut node = Node::open(settings)?;
    let account = own_account(&node, &wallet, index)?;
    let amount = args.amount.as_deref().context("--amount is missing")?;
    let signing = Signing::resolve(&node, index, amount, &args.signing)?;
    let Signing {
        amount,
        fee,
        nonce,
        valid_until,
    } = signing;
    let withdraw = Withdraw {
        from: index,
        amount,
        fee,
        nonce,
        valid_until,
        token: account.token,
    };
    let signed = withdraw.sign(&wallet.key, &node.l1.domain());
    hand_in(settings, &mut node, signed.into(), None)
}

/// Gives a signed operation to the batcher and prints its verdict.
fn hand_in(
    settings: &Settings,
    node: &mut Node,
    signed: SignedOperation,
    to: Option<u32>,
) -> Result<()> {
    let fields = signed.fields();
    node.check_not_frozen()?;
    let id = node
        .batcher
        .submit(signed, now()?)?
        .context("the batcher refuses")?;
    warn_if_short(settings, node, &fields)?;
    let facts = Accepted {
        id: id.to_string(),
        from: fields.from,
        to,
        token: fields.token,
        amount: fields.amount.value().to_string(),
        fee: fields.fee.value().to_string(),
        nonce: fields.nonce,
        valid_until: fields.valid_until,
    };
    let amount = fields.amount.value_u128().unwrap_or(u128::MAX);
    let shown = show(fields.token, &node.token_name(fields.token), amount);
    let whom = to.map_or("withdrawn to L1".to_owned(), |to| {
        format!("to account {to}")
    });
    let text = format!(
        "{shown} from account {} {whom}, nonce {}: it waits for a batch\noperation {id}",
        fields.from, fields.nonce
    );
    settings.ui.result(&facts, text)
}

/// An operation may wait for money that is under way; without it, it will be dropped.
fn warn_if_short(settings: &Settings, node: &Node, fields: &Fields) -> Result<()> {
    let account = node.account(fields.from)?;
    let needed = fields.amount.value() + fields.fee.value();
    if needed > account.balance.into() {
        let has = show(
            fields.token,
            &node.token_name(fields.token),
            account.balance,
        );
        settings.ui.note(format!(
            "account {} has {has}: unless more arrives first, the operation will be dropped",
            fields.from
        ));
    }
    Ok(())
}

/// `quire claim`.
///
/// # Errors
/// If there is nothing to claim or L1 refuses.
pub fn claim(settings: &Settings, args: &ClaimArgs) -> Result<()> {
    let wallet = Wallet::load(settings, &args.wallet)?;
    let l1 = open_l1(settings)?;
    let token = args.token.as_deref().map(|text| token_id(&l1, text));
    collect(settings, &l1, &wallet, token.transpose()?)
}

/// Collects what the wallet's address may claim, of one token or of all.
fn collect(settings: &Settings, l1: &NativeL1, wallet: &Wallet, only: Option<u32>) -> Result<()> {
    let tokens = l1.deployment().parameters().tokens.len();
    let tokens = u32::try_from(tokens).context("token ids have 32 bits")?;
    let mut claimed = Vec::new();
    let mut text = String::new();
    for token in (0..tokens).filter(|token| only.is_none_or(|only| only == *token)) {
        if l1.claimable(wallet.address, token)? == 0 {
            continue;
        }
        let amount = l1.claim(wallet.address, token, now()?)?;
        let shown = show(token, &token_name(l1, token), amount);
        text.push_str(&format!("claimed {shown}\n"));
        claimed.push(Claimed {
            token,
            amount: amount.to_string(),
        });
    }
    if claimed.is_empty() {
        bail!(
            "{} has nothing to claim; a withdrawal is claimable once its batch is final",
            wallet.address
        );
    }
    settings.ui.result(&claimed, text)
}
