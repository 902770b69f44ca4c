//! `quire transfer`, `withdraw` and `accept`: operations that are signed, and handed to the batcher.
//!
//! Invariant: an operation is acknowledged only in the operator's data directory. Everywhere else it is
//! signed and written into a file, which the operator takes with `quire accept`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use batcher::store::FILE_NAME;
use batcher::{OperationId, Role, SignedOperation, Verdict};
use l1::NativeL1;
use ledger::account::Account;
use ledger::float::{Float16, Float40};
use ledger::operation::{
    Fields, NO_EXPIRY, OperationError, SIGNED_BYTES, Signable, Transfer, Withdraw,
};
use ledger::operation_text::SignedText;
use ledger::state::State;
use rollup::L1;
use rollup::clock::now;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use wallet::Wallet;

use crate::args::{AcceptArgs, SigningArgs, TransferArgs, WithdrawArgs};
use crate::deployment::caller;
use crate::fault::{Class, Fault};
use crate::files::refuse_byte_order_mark;
use crate::files::{Readers, write_new};
use crate::leave::request_exit;
use crate::settings::Settings;
use crate::user::collect;
use rollup::amount::{Amount, TokenFacts, Tokens, forty_bits, rule_text};
use rollup::exits::rebuild;
use rollup::operator::{open, open_operators, operator_file};
use rollup::{Deployment, DeploymentError};

/// Most bytes of a file of signed operations.
const MAX_OPERATIONS_BYTES: u64 = 1 << 26;
/// Ending of a file that gets an operation as bytes.
const BINARY: &str = "bin";

/// What a signed operation prints.
#[derive(Serialize)]
struct SignedFacts {
    id: String,
    from: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<u32>,
    #[serde(flatten)]
    token: TokenFacts,
    amount: Amount,
    fee: Amount,
    nonce: u64,
    valid_until: u64,
    acknowledged: bool,
    written: Option<PathBuf>,
}

/// The accounts that an operation is signed against.
enum Accounts {
    /// Those of the data directory's batcher.
    Batcher(Box<Deployment>),
    /// Those after L1's last final batch.
    L1(Box<L1>, State),
}

impl Accounts {
    /// The accounts of the data directory, or of L1 where there is no batcher.
    fn open(settings: &Settings) -> Result<Self> {
        let folder = settings.rollup_dir();
        let kept = folder.join(FILE_NAME).exists() || operator_file(&folder).exists();
        if kept || !settings.l1_file.exists() {
            return Ok(Self::Batcher(Box::new(open(settings)?)));
        }
        let l1 = L1::look(settings)?;
        let state = rebuild(settings, &l1)?;
        Ok(Self::L1(Box::new(l1), state))
    }

    fn l1(&self) -> &NativeL1 {
        match self {
            Self::Batcher(deployment) => &deployment.l1,
            Self::L1(l1, _) => l1,
        }
    }

    fn is_mirror(&self) -> bool {
        match self {
            Self::Batcher(deployment) => deployment.role() == Role::Mirror,
            Self::L1(..) => true,
        }
    }

    fn account(&self, index: u32) -> Result<&Account> {
        match self {
            Self::Batcher(deployment) => Ok(deployment.account(index)?),
            Self::L1(l1, state) => match state.account(index) {
                Some(account) => Ok(account),
                None if l1.registered(index)?.is_some() => bail!(
                    "account {index} waits in the L1 queue, until the operator's next batch is final"
                ),
                None => bail!("there is no account {index}"),
            },
        }
    }

    /// The nonce that an account's next operation should have, as far as is known here.
    fn next_nonce(&self, index: u32) -> Result<u64> {
        let next = match self {
            Self::Batcher(deployment) => deployment.batcher.next_nonce(index),
            Self::L1(_, state) => state.account(index).map(|account| account.nonce),
        };
        next.with_context(|| format!("there is no account {index}"))
    }

    /// Nothing is executed any more once L1 is frozen.
    fn check_not_frozen(&self) -> Result<()> {
        ensure!(!self.l1().head()?.frozen, DeploymentError::Frozen);
        Ok(())
    }

    fn tokens(&self) -> Result<Tokens> {
        Ok(Tokens::of(self.l1())?)
    }
}

/// An operation being signed: what it is signed against and with.
struct Signing<'a> {
    settings: &'a Settings,
    args: &'a SigningArgs,
    accounts: Accounts,
    wallet: Wallet,
}

/// The parts of a signed operation that were typed or follow from the account.
struct Terms {
    token: u32,
    amount: Float40,
    fee: Float16,
    nonce: u64,
    valid_until: u64,
}

impl<'a> Signing<'a> {
    /// Opens the data directory and the wallet, unless what is signed would reach nobody.
    fn begin(settings: &'a Settings, args: &'a SigningArgs, wallet: &str) -> Result<Self> {
        if let Some(to) = &args.out {
            ensure!(
                !to.exists(),
                "{} exists and is not replaced; name another",
                to.display()
            );
        }
        let accounts = Accounts::open(settings)?;
        accounts.check_not_frozen()?;
        ensure!(
            args.out.is_some() || !accounts.is_mirror(),
            Fault::new(
                Class::Refused,
                format!(
                    "{} is a mirror of the deployment, and an operation that it acknowledged would reach nobody: write the operation into a file with --out FILE, and hand that to the operator, who takes it with `quire accept FILE`",
                    settings.data_dir.display()
                )
            )
        );
        let wallet = crate::wallet::load(settings, wallet)?;
        Ok(Self {
            settings,
            args,
            accounts,
            wallet,
        })
    }

    /// The terms of a payment from an account for which the wallet signs.
    fn terms(&self, from: u32, amount: &str) -> Result<Terms> {
        let account = self.accounts.account(from)?;
        ensure!(
            account.key == self.wallet.public,
            "account {from} is signed for by another key than this wallet's"
        );
        let nonce = match self.args.nonce {
            Some(nonce) => nonce,
            None => self.next_nonce(from)?,
        };
        let valid_until = self.args.valid_until.unwrap_or(NO_EXPIRY);
        let token = self.accounts.tokens()?.get(account.token);
        Ok(Terms {
            token: token.id,
            amount: Amount::parse(&token, amount)?.float40()?,
            fee: Amount::parse(&token, &self.args.fee)?.float16()?,
            nonce: forty_bits("--nonce", nonce)?,
            valid_until: forty_bits("--valid-until", valid_until)?,
        })
    }

    fn next_nonce(&self, from: u32) -> Result<u64> {
        let next = self.accounts.next_nonce(from)?;
        if self.accounts.is_mirror() {
            self.settings.ui.note(format!(
                "nonce {next} is the one after the last final batch: if operations of account {from} wait with the operator, name the nonce after theirs with --nonce"
            ));
        }
        Ok(next)
    }

    /// Writes the operation into its file, or hands it to the batcher.
    fn end(self, signed: &SignedOperation, to: Option<u32>) -> Result<()> {
        let Self {
            settings,
            args,
            accounts,
            ..
        } = self;
        let fields = signed.fields();
        warn_if_short(settings, &accounts, &fields)?;
        let id = signed.id(&accounts.l1().domain()).to_string();
        let tokens = accounts.tokens()?;
        let amount = tokens.amount(
            fields.token,
            fields.amount.value_u128().unwrap_or(u128::MAX),
        );
        let fee = tokens.amount(fields.token, fields.fee.value_u128().unwrap_or(u128::MAX));
        let with_fee = match fee.value() {
            0 => String::new(),
            _ => format!(" and a fee of {fee}"),
        };
        let whom = to.map_or("withdrawn to L1".to_owned(), |to| {
            format!("to account {to}")
        });
        let what = match &args.out {
            Some(file) => {
                write(file, signed)?;
                format!(
                    "signed and acknowledged by nobody yet: the operator takes it with `quire accept {}`",
                    file.display()
                )
            }
            None => {
                acknowledge(accounts, signed)?;
                "it waits for a batch".to_owned()
            }
        };
        let facts = SignedFacts {
            id,
            from: fields.from,
            to,
            token: amount.facts(),
            amount: amount.clone(),
            fee,
            nonce: fields.nonce,
            valid_until: fields.valid_until,
            acknowledged: args.out.is_none(),
            written: args.out.clone(),
        };
        let text = format!(
            "{amount}{with_fee} from account {} {whom}, nonce {}: {what}\noperation {}",
            fields.from, fields.nonce, facts.id
        );
        settings.ui.result(&facts, text)
    }
}

/// Hands an operation to the operator's batcher.
fn acknowledge(accounts: Accounts, signed: &SignedOperation) -> Result<()> {
    let Accounts::Batcher(mut deployment) = accounts else {
        bail!(batcher::Refusal::Mirror);
    };
    let time = deployment.time_to_keep(now()?)?;
    let verdict = deployment.batcher.submit(*signed, time)?;
    verdict.context("the batcher refuses")?;
    Ok(())
}

/// Writes an operation into a new file: as bytes if its name ends with `.bin`, else as JSON.
fn write(file: &Path, signed: &SignedOperation) -> Result<()> {
    let is_binary = file.extension().is_some_and(|ending| ending == BINARY);
    let bytes = match is_binary {
        true => signed.to_bytes()?,
        false => json_of(signed)?,
    };
    write_new(file, Readers::Everybody, |out| {
        out.write_all(&bytes)
            .with_context(|| format!("cannot write {}", file.display()))
    })?;
    Ok(())
}

/// The JSON of an operation.
///
/// # Errors
/// Never: numbers and text are JSON.
pub fn json_of(signed: &SignedOperation) -> Result<Vec<u8>> {
    let json = match signed {
        SignedOperation::Transfer(signed) => serde_json::to_vec_pretty(signed),
        SignedOperation::Withdraw(signed) => serde_json::to_vec_pretty(signed),
    };
    let mut json = json.context("cannot write the operation as JSON")?;
    json.push(b'\n');
    Ok(json)
}

/// An operation may wait for money that is under way; without it, it will be dropped.
fn warn_if_short(settings: &Settings, accounts: &Accounts, fields: &Fields) -> Result<()> {
    let account = accounts.account(fields.from)?;
    let needed = fields.amount.value() + fields.fee.value();
    if needed > account.balance.into() {
        let balance = accounts.tokens()?.amount(fields.token, account.balance);
        settings.ui.note(format!(
            "account {} has {balance}: unless more arrives first, the operation will be dropped",
            fields.from
        ));
    }
    Ok(())
}

/// `quire transfer`.
///
/// # Errors
/// If the data directory is a mirror and no file is named, or the batcher refuses.
pub fn transfer(settings: &Settings, args: &TransferArgs) -> Result<()> {
    let signing = Signing::begin(settings, &args.signing, &args.wallet)?;
    let Terms {
        token,
        amount,
        fee,
        nonce,
        valid_until,
    } = signing.terms(args.from, &args.amount)?;
    let accounts = &signing.accounts;
    let receiver = accounts.account(args.to)?;
    let tokens = accounts.tokens()?;
    ensure!(
        receiver.token == token,
        "account {} holds {}, account {} holds {}",
        args.from,
        tokens.get(token).described(),
        args.to,
        tokens.get(receiver.token).described()
    );
    let transfer = Transfer {
        from: args.from,
        to: args.to,
        amount,
        fee,
        nonce,
        valid_until,
        token,
    };
    let signed = transfer.sign(&signing.wallet.key, &accounts.l1().domain());
    signing.end(&signed.into(), Some(args.to))
}

/// `quire withdraw`.
///
/// # Errors
/// If the data directory is a mirror and no file is named, or the batcher or L1 refuses.
pub fn withdraw(settings: &Settings, args: &WithdrawArgs) -> Result<()> {
    if args.claim {
        let l1 = L1::open(settings)?;
        let caller = caller(&l1, settings, Some(&args.wallet))?;
        return collect(settings, l1, caller, None);
    }
    let from = args.from.context("--from is missing")?;
    if args.force {
        return request_exit(settings, Some(&args.wallet), from);
    }
    let amount = args.amount.as_deref().context("--amount is missing")?;
    let signing = Signing::begin(settings, &args.signing, &args.wallet)?;
    let Terms {
        token,
        amount,
        fee,
        nonce,
        valid_until,
    } = signing.terms(from, amount)?;
    let withdraw = Withdraw {
        from,
        amount,
        fee,
        nonce,
        valid_until,
        token,
    };
    let signed = withdraw.sign(&signing.wallet.key, &signing.accounts.l1().domain());
    signing.end(&signed.into(), None)
}

/// The verdict over a signed operation that was handed in.
#[derive(Serialize)]
struct HandedIn {
    id: String,
    /// `received`, `sealed`, `finalized` or `refused`.
    status: &'static str,
    /// The batch that has it already.
    batch: Option<u64>,
    refused: Option<String>,
}

impl HandedIn {
    /// Of an operation that was acknowledged, now or before.
    fn of_acknowledged(deployment: &Deployment, id: &OperationId) -> Result<Self> {
        let (status, batch) = match deployment.batcher.verdict(id)? {
            Some(Verdict::Sealed { batch }) => ("sealed", Some(batch)),
            Some(Verdict::Finalized { batch }) => ("finalized", Some(batch)),
            Some(Verdict::Pending | Verdict::Rejected { .. }) | None => ("received", None),
        };
        Ok(Self {
            id: id.to_string(),
            status,
            batch,
            refused: None,
        })
    }
}

/// `quire accept`.
///
/// # Errors
/// If the data directory is a mirror, a file holds no operations, or one of them is refused; the others
/// stay accepted.
pub fn accept(settings: &Settings, args: &AcceptArgs) -> Result<()> {
    let mut operations = Vec::new();
    for file in &args.file {
        operations.extend(read_file(file)?);
    }
    let mut deployment = open_operators(settings)?;
    deployment.check_not_frozen()?;
    let time = deployment.time_to_keep(now()?)?;
    let verdicts = deployment.batcher.submit_many(&operations, time)?;
    let domain = deployment.l1.domain();
    let verdicts = operations.iter().zip(verdicts);
    let handed_in = verdicts.map(|(operation, verdict)| match verdict {
        Ok(id) => HandedIn::of_acknowledged(&deployment, &id),
        Err(refusal) => Ok(HandedIn {
            id: operation.id(&domain).to_string(),
            status: "refused",
            batch: None,
            refused: Some(refusal.to_string()),
        }),
    });
    let handed_in = handed_in.collect::<Result<Vec<HandedIn>>>()?;
    let mut in_batches: BTreeMap<(u64, &str), usize> = BTreeMap::new();
    for one in &handed_in {
        if let Some(batch) = one.batch {
            *in_batches.entry((batch, one.status)).or_default() += 1;
        }
    }
    let refused = handed_in.iter().filter(|verdict| verdict.refused.is_some());
    let first = refused
        .clone()
        .next()
        .and_then(|verdict| verdict.refused.clone());
    let (all, refused) = (handed_in.len(), refused.count());
    let text = format!(
        "{} operations wait for a batch, {refused} were refused",
        all - refused - in_batches.values().sum::<usize>()
    );
    let known = in_batches.iter().map(|((batch, status), number)| {
        let are = match *status {
            "finalized" => "final",
            sealed => sealed,
        };
        format!("\n{number} were handed in before and are {are} in batch {batch}")
    });
    settings
        .ui
        .result(&handed_in, text + &known.collect::<String>())?;
    match first {
        None => Ok(()),
        Some(reason) => {
            let reason = rule_text(&deployment.l1, &reason)?;
            bail!("{refused} of {all} operations were refused, the first because {reason}")
        }
    }
}

/// Reads a file of signed operations.
fn read_file(path: &Path) -> Result<Vec<SignedOperation>> {
    let shown = path.display();
    let context = || format!("cannot read {shown}");
    let mut bytes = Vec::new();
    // Why: what is not a plain file does not tell its size.
    File::open(path)
        .with_context(context)?
        .take(MAX_OPERATIONS_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(context)?;
    ensure!(
        bytes.len() as u64 <= MAX_OPERATIONS_BYTES,
        Fault::input(format!(
            "{shown} has more than {MAX_OPERATIONS_BYTES} bytes: hand the operations in with several files"
        ))
    );
    refuse_byte_order_mark(&bytes, &shown.to_string())?;
    read(&bytes).with_context(|| Fault::input(format!("{shown} holds no signed operations")))
}

/// Signed operations as bytes, one after the other, or as JSON: objects and lists of them.
///
/// # Errors
/// If there is none, or one of them is not one; its number counts from 1.
pub fn read(bytes: &[u8]) -> Result<Vec<SignedOperation>> {
    let operations = match bytes.first() {
        Some(&(Transfer::KIND | Withdraw::KIND)) => read_binary(bytes)?,
        _ => read_json(bytes)?,
    };
    ensure!(!operations.is_empty(), "there is no operation in it");
    Ok(operations)
}

fn read_binary(bytes: &[u8]) -> Result<Vec<SignedOperation>> {
    let (records, rest) = bytes.as_chunks::<SIGNED_BYTES>();
    ensure!(
        rest.is_empty(),
        "an operation has {SIGNED_BYTES} bytes; after {} of them, {} are left",
        records.len(),
        rest.len()
    );
    let read = |(place, record): (usize, &[u8; SIGNED_BYTES])| {
        SignedOperation::from_bytes(record).with_context(|| format!("operation {}", place + 1))
    };
    records.iter().enumerate().map(read).collect()
}

/// One operation of a JSON text, or a list of them.
struct Texts(Vec<SignedText>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a signed operation or a list of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            texts.push(text);
        }
        Ok(Texts(texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Texts, A::Error> {
        let text = SignedText::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Texts(vec![text]))
    }
}

fn read_json(bytes: &[u8]) -> Result<Vec<SignedOperation>> {
    let mut operations = Vec::new();
    for texts in serde_json::Deserializer::from_slice(bytes).into_iter::<Texts>() {
        for text in texts?.0 {
            let number = operations.len() + 1;
            let operation = operation_of(&text).with_context(|| format!("operation {number}"))?;
            operations.push(operation);
        }
    }
    Ok(operations)
}

fn operation_of(text: &SignedText) -> Result<SignedOperation, OperationError> {
    Ok(match text.kind() == Withdraw::KIND {
        true => text.to_signed::<Withdraw>()?.into(),
        false => text.to_signed::<Transfer>()?.into(),
    })
}
