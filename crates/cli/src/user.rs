//! `quire deposit`, `transfer`, `withdraw` and `claim`: what the owner of a wallet does.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use batcher::SignedOperation;
use l1::{Address, Deposit};
use ledger::account::Account;
use ledger::babyjubjub::cofactor_inverse_point;
use ledger::float::{Float16, Float40};
use ledger::operation::{Fields, NO_EXPIRY, Signable, Signed, Transfer, Withdraw};
use node::{Call, Outcome};
use serde::Serialize;

use crate::amount::{float16, float40, forty_bits, parse, show};
use crate::args::{AcceptArgs, ClaimArgs, DepositArgs, SigningArgs, TransferArgs, WithdrawArgs};
use crate::deployment::{
    Draft, L1, Node, OperatorKey, Plan, exists, now, open_l1, shapes_by_name, token_id, token_name,
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
    earlier: bool,
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
    let mut l1 = match exists(settings) || settings.l1_url.is_some() {
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
    let caller = l1.link.caller(wallet.address)?;
    let (entry, earlier) = match args.account {
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
                token,
                amount,
                key: wallet.public,
                q: cofactor_inverse_point(&wallet.public),
                fee,
            };
            l1.queue_entry(settings, Call::Deposit(&deposit))?
        }
    };
    let (account, queue_entry, amount) = (entry.op.index(), entry.number, entry.op.amount());
    let facts = Deposited {
        account,
        token,
        amount: amount.to_string(),
        owner: caller.to_string(),
        queue_entry,
        earlier,
    };
    let text = format!(
        "{} into account {account}, entry {queue_entry} of the L1 queue; the next batch executes it: `quire run`",
        show(token, &token_name(&l1, token), amount)
    );
    settings.ui.result(&facts, text)?;
    l1.told()
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

/// Most bytes of a file of signed operations.
const MAX_OPERATIONS_BYTES: u64 = 1 << 26;

/// The verdict over a signed operation that was handed in.
#[derive(Serialize)]
struct HandedIn {
    id: Option<String>,
    refused: Option<String>,
}

/// `quire accept`.
///
/// # Errors
/// If the file holds no operations, or one of them is refused; the others stay accepted.
pub fn accept(settings: &Settings, args: &AcceptArgs) -> Result<()> {
    let operations = read_operations(&args.file)?;
    let mut node = Node::open(settings)?;
    node.check_not_frozen()?;
    let verdicts = node.batcher.submit_many(&operations, now()?)?;
    let handed_in = verdicts.into_iter().map(|verdict| match verdict {
        Ok(id) => HandedIn {
            id: Some(id.to_string()),
            refused: None,
        },
        Err(refusal) => HandedIn {
            id: None,
            refused: Some(refusal.to_string()),
        },
    });
    let handed_in: Vec<HandedIn> = handed_in.collect();
    let refused = handed_in.iter().filter(|verdict| verdict.refused.is_some());
    let first = refused
        .clone()
        .next()
        .and_then(|verdict| verdict.refused.clone());
    let (all, refused) = (handed_in.len(), refused.count());
    let text = format!(
        "{} operations wait for a batch, {refused} were refused",
        all - refused
    );
    settings.ui.result(&handed_in, text)?;
    match first {
        None => Ok(()),
        Some(reason) => {
            bail!("{refused} of {all} operations were refused, the first because {reason}")
        }
    }
}

/// Reads a JSON list of signed operations.
fn read_operations(path: &Path) -> Result<Vec<SignedOperation>> {
    let context = || {
        Fault::input(format!(
            "{} holds no list of signed operations",
            path.display()
        ))
    };
    let mut text = Vec::new();
    let file = std::fs::File::open(path);
    let file = file.with_context(|| format!("cannot read {}", path.display()))?;
    file.take(MAX_OPERATIONS_BYTES + 1)
        .read_to_end(&mut text)
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(text.len() as u64 <= MAX_OPERATIONS_BYTES, context());
    let values: Vec<serde_json::Value> = serde_json::from_slice(&text).with_context(context)?;
    let operation = |value: serde_json::Value| -> Result<SignedOperation> {
        let is_withdrawal = value.get("kind").and_then(serde_json::Value::as_u64) == Some(2);
        Ok(match is_withdrawal {
            true => serde_json::from_value::<Signed<Withdraw>>(value)?.into(),
            false => serde_json::from_value::<Signed<Transfer>>(value)?.into(),
        })
    };
    let numbered = values.into_iter().map(operation).enumerate();
    numbered
        .map(|(place, read)| {
            read.with_context(|| format!("operation {place}"))
                .with_context(context)
        })
        .collect()
}

/// `quire withdraw`.
///
/// # Errors
/// If the batcher or L1 refuses.
pub fn withdraw(settings: &Settings, args: &WithdrawArgs) -> Result<()> {
    if args.claim {
        let l1 = open_l1(settings)?;
        let caller = l1.caller(settings, Some(&args.wallet))?;
        return collect(settings, l1, caller, None);
    }
    let index = args.from.context("--from is missing")?;
    if args.force {
        return request_exit(settings, Some(&args.wallet), index);
    }
    let wallet = Wallet::load(settings, &args.wallet)?;
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
    let l1 = open_l1(settings)?;
    let caller = l1.caller(settings, args.wallet.as_deref())?;
    let token = args.token.as_deref().map(|text| token_id(&l1, text));
    collect(settings, l1, caller, token.transpose()?)
}

/// Collects what an address may claim, of one token or of all. A token that refuses does not keep what was
/// paid of others from being told.
fn collect(settings: &Settings, mut l1: L1, caller: Address, only: Option<u32>) -> Result<()> {
    let tokens = u32::try_from(l1.token_count()?).context("token ids have 32 bits")?;
    let (mut claimed, mut text, mut failed) = (Vec::new(), String::new(), None);
    for token in (0..tokens).filter(|token| only.is_none_or(|only| only == *token)) {
        let (amount, error) = claim_all(settings, &mut l1, caller, token);
        failed = failed.or(error);
        if amount == 0 {
            continue;
        }
        let shown = show(token, &token_name(&l1, token), amount);
        text.push_str(&format!("claimed {shown}\n"));
        claimed.push(Claimed {
            token,
            amount: amount.to_string(),
        });
    }
    if !claimed.is_empty() {
        settings.ui.result(&claimed, text)?;
        l1.told()?;
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
        let earlier = l1.link.is_unsettled(&l1.native, call);
        if !earlier && l1.claimable(caller, token)? == 0 {
            return Ok(false);
        }
        let Outcome::Amount(amount) = l1.call(call)?.outcome else {
            bail!("the chain told no amount of the claim; look at `quire l1 status`");
        };
        total = total.saturating_add(amount);
        // Why told here: the earlier claim leaves what came since.
        if earlier {
            settings.ui.note(format!(
                "an earlier command that was interrupted has claimed {}",
                show(token, &token_name(l1, token), amount)
            ));
            l1.told()?;
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
