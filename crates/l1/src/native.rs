//! The native L1: a chain of calls in one database file.
//!
//! Every call is one block in one durable transaction: it returns after the file is on disk, and an
//! error leaves everything as it was. Callers and the system's time are arguments; the embedding
//! program vouches for them. `now` is in seconds since 1970; L1's own time, which all rules use, is
//! never before the last block (see [`crate::blocks`]).
//! Invariant: the root moves only in [`NativeL1::submit_batches`], to the root that a verified
//! batch names, and with it the queue and the claims (design: Protocol, section 6).
//!
//! Verifying keys are registered after genesis, once for each shape, by the operator: making keys
//! takes minutes, and a deployment can be imported and batches sealed before. The contract takes
//! its keys in the constructor. Nothing is lost by the difference: genesis fixes the fingerprint of
//! each circuit, a key that is registered never changes, and until then no batch is accepted.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use files::FolderDraft;
use ledger::field::{Fr, to_hex};
use ledger::shape::Shape;
use ledger::words::{Header, L1Entry, PublicWords};
use prover::key::{AllowDevKeys, VerifyingKey};
use prover::proof::Proof;
use prover::verify::{verify, verify_many};
use redb::{
    Database, DatabaseError, ReadableTable, ReadableTableMetadata, StorageBackend, StorageError,
};

use crate::bytes::{Address, Bytes};
use crate::checks;
use crate::codec::{CodecError, Reader, Writer};
use crate::error::{BatchError, BatchFault, L1Error, OpenError, Refusal, StoreError};
use crate::escrow::{self, TokenTotals};
use crate::genesis::{
    Deployment, Genesis, GenesisAccount, ListedShape, Token, accounts_from_bytes, accounts_to_bytes,
};
use crate::head::Head;
use crate::queue::{self, Deposit, QueueEntry, check_deposit};
use crate::registry::{self, Registration};
use crate::store::{
    DATABASE_VERSION, DEPLOYMENT_RECORD, Db, Snapshot, Tx, VERSION_RECORD, builder, found,
    put_token_display, rehearse, transact,
};
use crate::submission::{Opened, PUBLIC_INPUTS, Submission, public_inputs};
use crate::token::TokenDisplay;

/// Name of a new database in its draft.
const DRAFT: &str = "l1.redb";

/// Genesis accounts in one record of the database, which then fills a page of 512 KiB.
const ACCOUNTS_IN_RECORD: usize = 3100;

/// A batch that L1 accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalizedBatch {
    /// Its number; the first is 1.
    pub number: u64,
    /// The block that has it.
    pub height: u64,
    /// L1's time of that block, seconds since 1970.
    pub time: u64,
    /// Who called: the operator, or whoever submitted in its absence.
    pub submitter: Address,
    /// The queue entries that it consumed.
    pub queue: Range<u64>,
    /// What was submitted: shape, published data, `c`, proof.
    pub submission: Submission,
    /// What the data say: roots, timestamp, operations.
    pub words: PublicWords,
}

/// The embedded L1.
pub struct NativeL1 {
    db: Db,
    deployment: Deployment,
    domain: Fr,
    keys: BTreeMap<u16, VerifyingKey>,
    dev_keys: AllowDevKeys,
}

/// Making and opening.
impl NativeL1 {
    /// Makes a chain from a genesis in a new file, whole or not at all, and opens it.
    ///
    /// # Errors
    /// [`OpenError::Exists`] if there is a file already; other [`OpenError`]s if it cannot be made.
    pub fn create(
        path: &Path,
        genesis: &Genesis,
        dev_keys: AllowDevKeys,
    ) -> Result<Self, OpenError> {
        if path.exists() {
            return Err(OpenError::Exists { path: path.into() });
        }
        let folder = FolderDraft::begin(path)?;
        make_database(&folder.path().join(DRAFT), genesis)?;
        folder
            .put_file_new(DRAFT)
            .map_err(|error| match error.is_taken() {
                true => OpenError::Exists { path: path.into() },
                false => error.into(),
            })?;
        Self::open(path, dev_keys)
    }

    /// Opens a chain, checking the file's integrity and its records.
    ///
    /// # Errors
    /// [`OpenError`], which says what is wrong with the file and what to do.
    pub fn open(path: &Path, dev_keys: AllowDevKeys) -> Result<Self, OpenError> {
        check_file(path)?;
        let opened = builder().set_check_integrity_on_open(true).open(path);
        let db = opened.map_err(|error| open_error(path, error))?;
        Self::on(path, Db::Writer(db), dev_keys)
    }

    /// Opens a chain to read it as it is now, beside a process that may write it: every call that
    /// changes it fails with [`StoreError::ReadOnly`]. Records are checked as by [`Self::open`], pages
    /// are not.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_to_read(path: &Path, dev_keys: AllowDevKeys) -> Result<Self, OpenError> {
        check_file(path)?;
        let db = Db::reader(path).map_err(|error| match error {
            DatabaseError::RepairAborted => OpenError::Unclean { path: path.into() },
            error => open_error(path, error),
        })?;
        let store_error = |source| OpenError::Store {
            path: path.into(),
            source,
        };
        Self::on(path, db.map_err(store_error)?, dev_keys)
    }

    /// What was opened to be read is from now on what the chain is now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn renew(&mut self) -> Result<(), StoreError> {
        self.db.renew()
    }

    /// Opens a chain in storage of the caller's making, with the checks of [`Self::open`]; `path`
    /// is for messages. For tests that let storage fail.
    ///
    /// # Errors
    /// As [`Self::open`].
    #[doc(hidden)]
    pub fn open_on(
        storage: impl StorageBackend,
        path: &Path,
        dev_keys: AllowDevKeys,
    ) -> Result<Self, OpenError> {
        let mut builder = Database::builder();
        let builder = builder.set_check_integrity_on_open(true);
        let db = builder.create_with_backend(storage);
        let db = db.map_err(|error| open_error(path, error))?;
        Self::on(path, Db::Writer(db), dev_keys)
    }

    fn on(path: &Path, db: Db, dev_keys: AllowDevKeys) -> Result<Self, OpenError> {
        check_version(path, &db)?;
        let store_error = |source| OpenError::Store {
            path: path.into(),
            source,
        };
        let snapshot = Snapshot::begin(&db).map_err(store_error)?;
        let record = snapshot.meta(DEPLOYMENT_RECORD).map_err(store_error)?;
        let deployment = Deployment::from_json(&record)?;
        if deployment.canonical_bytes() != record {
            return Err(OpenError::NotAnL1 {
                path: path.into(),
                reason: "its genesis is not in canonical form".to_owned(),
            });
        }
        checks::check_chain(&snapshot, &deployment).map_err(store_error)?;
        let keys = load_keys(&snapshot, &deployment).map_err(store_error)?;
        Ok(Self {
            domain: deployment.domain(),
            db,
            deployment,
            keys,
            dev_keys,
        })
    }

    /// Opens a chain as [`Self::open`] does, if it was made from this deployment.
    ///
    /// # Errors
    /// As [`Self::open`], and [`OpenError::OtherGenesis`].
    pub fn open_expecting(
        path: &Path,
        deployment: &Deployment,
        dev_keys: AllowDevKeys,
    ) -> Result<Self, OpenError> {
        let chain = Self::open(path, dev_keys)?;
        let (expected, got) = (deployment.contract(), chain.deployment.contract());
        if expected != got {
            return Err(OpenError::OtherGenesis {
                path: path.into(),
                expected,
                got,
            });
        }
        Ok(chain)
    }
}

/// Calls of users.
impl NativeL1 {
    /// Deposits into a new account that the caller owns, and returns its index.
    ///
    /// # Errors
    /// [`Refusal`]: wrong fee, unknown token, bad key, full tree, too many pending, full escrow.
    pub fn deposit(&self, deposit: &Deposit, now: u64) -> Result<u32, L1Error> {
        self.not_frozen()?;
        check_deposit(self.deployment.parameters(), self.token_count()?, deposit)?;
        transact(&self.db, now, |tx| tx.deposit(&self.deployment, deposit))
    }

    /// Many deposits in one transaction, all or nothing; returns their indices.
    ///
    /// # Errors
    /// As [`Self::deposit`], for the first that is refused.
    pub fn deposit_all(&self, deposits: &[Deposit], now: u64) -> Result<Vec<u32>, L1Error> {
        self.not_frozen()?;
        let tokens = self.token_count()?;
        for deposit in deposits {
            check_deposit(self.deployment.parameters(), tokens, deposit)?;
        }
        transact(&self.db, now, |tx| {
            let each = deposits.iter();
            each.map(|deposit| tx.deposit(&self.deployment, deposit))
                .collect()
        })
    }

    /// Gives an ERC-20 the next token id, which is returned. A contract's tokens only: those of a
    /// native L1 are fixed by its genesis.
    ///
    /// # Errors
    /// [`Refusal::TokensFixed`], [`Refusal::TokenKnown`].
    pub fn add_token(&self, token: Address, now: u64) -> Result<u32, L1Error> {
        if !self.deployment.is_on_chain() {
            return Err(Refusal::TokensFixed { token }.into());
        }
        let tokens = self.tokens()?;
        if let Some(known) = tokens.iter().position(|known| known.address == token) {
            let (token, address) = (known, token);
            return Err(Refusal::TokenKnown { token, address }.into());
        }
        let id = u32::try_from(tokens.len()).expect("a contract has less than 2^32 tokens");
        transact(&self.db, now, |tx| {
            tx.tokens.insert(id, token.0.as_slice())?;
            Ok(id)
        })
    }

    /// Adds to an account, whoever owns it, and returns the number of the queue entry.
    ///
    /// # Errors
    /// [`Refusal`]: wrong fee, unregistered index, nothing added, too many pending, full escrow.
    pub fn top_up(
        &self,
        caller: Address,
        index: u32,
        amount: u128,
        fee: u128,
        now: u64,
    ) -> Result<u64, L1Error> {
        transact(&self.db, now, |tx| {
            tx.top_up(&self.deployment, caller, index, amount, fee)
        })
    }

    /// Asks for the whole balance of the caller's account and returns the number of the queue
    /// entry. Never refused for the number of pending entries.
    ///
    /// # Errors
    /// [`Refusal`]: wrong fee, unregistered index, another owner, an exit that is pending already.
    pub fn request_exit(
        &self,
        caller: Address,
        index: u32,
        fee: u128,
        now: u64,
    ) -> Result<u64, L1Error> {
        transact(&self.db, now, |tx| {
            tx.request_exit(&self.deployment, caller, index, fee)
        })
    }

    /// Pays the caller everything claimable of a token and returns the amount. Once: then the
    /// claim is zero.
    ///
    /// # Errors
    /// [`Refusal::NothingToClaim`].
    pub fn claim(&self, caller: Address, token: u32, now: u64) -> Result<u128, L1Error> {
        transact(&self.db, now, |tx| tx.claim(&caller, token))
    }
}

/// Calls of the operator, and batches.
impl NativeL1 {
    /// Registers the verifying key of a shape, once and for good.
    ///
    /// # Errors
    /// [`Refusal`]: not the operator, unknown shape, a key registered already, another circuit's
    /// key, a degenerate one, or one from a development setup where none is allowed.
    pub fn register_key(
        &mut self,
        caller: Address,
        shape_id: u16,
        key: &VerifyingKey,
        now: u64,
    ) -> Result<(), L1Error> {
        self.not_frozen()?;
        self.only_operator(caller)?;
        self.key_is_good(shape_id, key)?;
        let bytes = key.to_bytes();
        transact(&self.db, now, |tx| -> Result<(), L1Error> {
            tx.head.not_frozen()?;
            tx.head.only_operator(caller)?;
            tx.keys.insert(shape_id, bytes.as_slice())?;
            Ok(())
        })?;
        self.keys.insert(shape_id, key.clone());
        Ok(())
    }

    fn key_is_good(&self, shape_id: u16, key: &VerifyingKey) -> Result<(), Refusal> {
        let listed = self.listed(shape_id)?;
        if let Some(registered) = self.keys.get(&shape_id) {
            return Err(Refusal::KeyRegistered {
                shape_id,
                id: registered.id_hex(),
            });
        }
        check_key(listed, key)?;
        Ok(key.check_origin(self.dev_keys)?)
    }

    /// Pays the operator all fees kept so far and returns their amount in ETH's smallest unit.
    ///
    /// # Errors
    /// [`Refusal::NotOperator`].
    pub fn collect_fees(&self, caller: Address, now: u64) -> Result<u128, L1Error> {
        transact(&self.db, now, |tx| {
            tx.head.only_operator(caller)?;
            Ok(std::mem::take(&mut tx.head.operator_fees))
        })
    }

    /// Finalizes the next batch; see [`Self::submit_batches`].
    ///
    /// # Errors
    /// As [`Self::submit_batches`].
    pub fn submit_batch(
        &self,
        caller: Address,
        submission: &Submission,
        now: u64,
    ) -> Result<FinalizedBatch, L1Error> {
        let batches = self.submit_batches(caller, std::slice::from_ref(submission), now)?;
        Ok(batches
            .into_iter()
            .next()
            .expect("one batch was submitted and accepted"))
    }

    /// Finalizes the next batches, which have one shape and chain onto each other: all or nothing.
    /// Several proofs are verified in one check. Whoever [`Self::submission_right`] names may call; the
    /// rule is applied to each batch as those before it left L1.
    ///
    /// # Errors
    /// [`Refusal`]: not the caller's right, no batch, unknown shape, no key, a batch that is malformed or
    /// not the next, or proofs that do not hold.
    pub fn submit_batches(
        &self,
        caller: Address,
        submissions: &[Submission],
        now: u64,
    ) -> Result<Vec<FinalizedBatch>, L1Error> {
        self.check_right(caller, now)?;
        let shape_id = one_shape(submissions)?;
        let shape = &self.listed(shape_id)?.shape;
        let key = self.usable_key(shape_id)?;
        let execute_all = |tx: &mut Tx<'_>| self.execute_all(tx, caller, submissions, shape);
        // Why twice: no lock is held while proofs are verified, which takes all threads.
        // Sound because: what L1 rebuilds equals what was submitted, or the execution fails. So
        // both executions have the same public inputs, though the chain may move in between.
        let rehearsed = rehearse(&self.db, now, execute_all)?;
        let proofs: Vec<ProofToVerify> = rehearsed.into_iter().map(|(_, proof)| proof).collect();
        verify_proofs(key, &proofs)?;
        let executed = transact(&self.db, now, execute_all)?;
        Ok(executed.into_iter().map(|(batch, _)| batch).collect())
    }

    /// As [`Self::submit_batches`], in a transaction that is open.
    pub(crate) fn submit_in(
        &self,
        tx: &mut Tx<'_>,
        caller: Address,
        submissions: &[Submission],
    ) -> Result<Vec<FinalizedBatch>, L1Error> {
        let shape_id = one_shape(submissions)?;
        let (shape, key) = (&self.listed(shape_id)?.shape, self.usable_key(shape_id)?);
        let executed = self.execute_all(tx, caller, submissions, shape)?;
        let (batches, proofs): (Vec<_>, Vec<_>) = executed.into_iter().unzip();
        verify_proofs(key, &proofs)?;
        Ok(batches)
    }

    /// Executes batches of one shape; their proofs are still to be verified.
    fn execute_all(
        &self,
        tx: &mut Tx<'_>,
        caller: Address,
        submissions: &[Submission],
        shape: &Shape,
    ) -> Result<Vec<(FinalizedBatch, ProofToVerify)>, L1Error> {
        tx.check_right(caller, self.deployment.parameters())?;
        let each = submissions.iter().enumerate();
        each.map(|(position, submission)| {
            let executed = self.execute(tx, caller, submission, shape);
            executed.map_err(|error| error.at(position))
        })
        .collect()
    }

    /// Refuses a frozen chain before anything costly is done. The transaction checks it again.
    fn not_frozen(&self) -> Result<(), L1Error> {
        Ok(self.head()?.not_frozen()?)
    }

    fn listed(&self, shape_id: u16) -> Result<&ListedShape, Refusal> {
        let listed = self.deployment.shape(shape_id);
        listed.ok_or(Refusal::UnknownShape { shape_id })
    }

    /// The shape's key; one from a development setup only if allowed at opening.
    fn usable_key(&self, shape_id: u16) -> Result<&VerifyingKey, Refusal> {
        let key = self.keys.get(&shape_id);
        let key = key.ok_or(Refusal::NoKey { shape_id })?;
        key.check_origin(self.dev_keys)?;
        Ok(key)
    }

    /// Checks everything about a batch but its proof, and executes it in the transaction.
    fn execute(
        &self,
        tx: &mut Tx<'_>,
        caller: Address,
        submission: &Submission,
        shape: &Shape,
    ) -> Result<(FinalizedBatch, ProofToVerify), BatchError> {
        let Opened { words, c, proof } = submission.open(shape)?;
        let parameters = self.deployment.parameters();
        let words = rebuild(tx, self.domain, words, parameters.timestamp_slack)?;
        tx.check_turn(caller, words.header.timestamp, parameters)?;
        let inputs = public_inputs(&words, shape, c)?;
        let batch = FinalizedBatch {
            number: words.header.batch_number,
            height: tx.head.height,
            time: tx.head.time,
            submitter: caller,
            queue: tx.head.queue_head..tx.head.queue_head,
            submission: submission.clone(),
            words,
        };
        let batch = apply(tx, batch)?;
        let slots = (usize::from(shape.l1_ops), batch.words.l1_ops.len());
        tx.end_turn(caller, slots, parameters)?;
        Ok((batch, (inputs, proof)))
    }
}

/// Public inputs and the proof for them.
type ProofToVerify = ([Fr; PUBLIC_INPUTS], Proof);

fn one_shape(submissions: &[Submission]) -> Result<u16, Refusal> {
    let expected = submissions.first().ok_or(Refusal::NoBatch)?.shape_id;
    let ids = submissions.iter().map(|submission| submission.shape_id);
    match ids.enumerate().find(|(_, got)| *got != expected) {
        None => Ok(expected),
        Some((position, got)) => Err(Refusal::MixedShapes {
            position,
            expected,
            got,
        }),
    }
}

fn verify_proofs(key: &VerifyingKey, proofs: &[ProofToVerify]) -> Result<(), Refusal> {
    match proofs {
        [(inputs, proof)] => verify(key, inputs, proof)?,
        _ => verify_many(key, proofs)?,
    }
    Ok(())
}

/// The words of the next batch, with everything that L1 knows taken from L1.
fn rebuild(
    tx: &Tx<'_>,
    domain: Fr,
    claimed: PublicWords,
    slack: u64,
) -> Result<PublicWords, BatchError> {
    let PublicWords {
        header,
        l1_ops,
        transfers,
        withdrawals,
    } = claimed;
    let Header {
        domain: claimed_domain,
        old_root,
        new_root,
        shape_id,
        batch_number,
        timestamp,
        fee_indices,
    } = header;
    let head = &tx.head;
    let now = head.time;
    same_place(head, domain, claimed_domain, batch_number, old_root)?;
    let earliest = head.timestamp.max(now.saturating_sub(slack));
    if timestamp < earliest || timestamp > now {
        let fault = BatchFault::Timestamp {
            earliest,
            latest: now,
            got: timestamp,
        };
        return Err(fault.into());
    }
    Ok(PublicWords {
        header: Header {
            domain,
            old_root: head.root,
            new_root,
            shape_id,
            batch_number: head.next_batch,
            timestamp,
            fee_indices,
        },
        l1_ops: next_entries(tx, &l1_ops)?,
        transfers,
        withdrawals,
    })
}

fn same_place(
    head: &Head,
    domain: Fr,
    claimed_domain: Fr,
    batch_number: u64,
    old_root: Fr,
) -> Result<(), BatchFault> {
    if claimed_domain != domain {
        return Err(BatchFault::Domain {
            expected: to_hex(&domain),
            got: to_hex(&claimed_domain),
        });
    }
    if batch_number != head.next_batch {
        return Err(BatchFault::Number {
            expected: head.next_batch,
            got: batch_number,
        });
    }
    if old_root != head.root {
        return Err(BatchFault::OldRoot {
            expected: to_hex(&head.root),
            got: to_hex(&old_root),
        });
    }
    Ok(())
}

/// The next queue entries, as many as the batch has, with the amounts that it pays out.
fn next_entries(tx: &Tx<'_>, claimed: &[L1Entry]) -> Result<Vec<L1Entry>, BatchError> {
    let pending = tx.head.queue_tail - tx.head.queue_head;
    let got = claimed.len();
    if u64::try_from(got).map_or(true, |got| got > pending) {
        return Err(BatchFault::QueueTooShort { pending, got }.into());
    }
    let numbers = tx.head.queue_head..;
    let slots = numbers.zip(claimed).enumerate();
    slots
        .map(|(slot, (number, claimed))| {
            let op = queue::entry(&*tx.queue, number)?.op;
            if op != claimed.op {
                let entry = number;
                return Err(BatchFault::NotTheQueueEntry { slot, entry }.into());
            }
            let paid_out = claimed.paid_out;
            Ok(L1Entry { op, paid_out })
        })
        .collect()
}

/// Moves the root, consumes the queue, credits payouts and stores the batch.
fn apply(tx: &mut Tx<'_>, mut batch: FinalizedBatch) -> Result<FinalizedBatch, BatchError> {
    for entry in &batch.words.l1_ops {
        tx.consume(&entry.op)?;
        tx.pay(entry.op.index(), entry.paid_out)?;
    }
    for (slot, data) in batch.words.withdrawals.iter().enumerate() {
        if data.is_unused() {
            continue;
        }
        let amount = data.amount.value_u128();
        let amount = amount.ok_or(BatchFault::WithdrawalTooLarge { slot })?;
        let index = data.index;
        if registry::registration(&*tx.registry, index)?.is_none() {
            return Err(BatchFault::WithdrawalUnregistered { slot, index }.into());
        }
        tx.pay(index, amount)?;
    }
    batch.queue.end = tx.head.queue_head;
    tx.head.root = batch.words.header.new_root;
    tx.head.timestamp = batch.words.header.timestamp;
    tx.head.next_batch += 1;
    let record = batch.to_bytes();
    tx.batches.insert(batch.number, record.as_slice())?;
    Ok(batch)
}

/// Tokens of a deployment to which so many were added.
fn count_tokens(on: &Deployment, added: u64) -> Result<usize, StoreError> {
    let listed = on.parameters().tokens.len();
    let count = usize::try_from(added)
        .ok()
        .and_then(|added| listed.checked_add(added));
    count.ok_or_else(|| StoreError::Missing {
        what: format!("the addresses of {added} tokens"),
    })
}

/// The address of a token that was added.
fn token_address(record: &[u8]) -> Result<Address, CodecError> {
    let mut reader = Reader::new("a token", record);
    let address = reader.bytes()?;
    reader.end()?;
    Ok(address)
}

impl Tx<'_> {
    /// Number of tokens.
    pub(crate) fn token_count(&self, on: &Deployment) -> Result<usize, StoreError> {
        count_tokens(on, self.tokens.len()?)
    }

    /// Ids of all tokens.
    pub(crate) fn tokens_by_address(
        &self,
        on: &Deployment,
    ) -> Result<BTreeMap<Address, u32>, StoreError> {
        let listed = on.parameters().tokens.iter();
        let mut tokens: BTreeMap<Address, u32> =
            listed.map(|token| token.address).zip(0..).collect();
        for record in self.tokens.range::<u32>(..)? {
            let (id, address) = record?;
            tokens.insert(token_address(address.value())?, id.value());
        }
        Ok(tokens)
    }

    /// Makes an amount claimable for the owner of an index, which is registered.
    fn pay(&mut self, index: u32, amount: u128) -> Result<(), BatchError> {
        let registered = registry::registration(&*self.registry, index)?;
        let Registration { owner, token } = registered.ok_or_else(|| StoreError::Missing {
            what: format!("the registration of account {index}"),
        })?;
        let credited = self.balances_to_claimable(&owner, token, amount)?;
        Ok(credited.map_err(|balances| BatchFault::PaysTooMuch {
            token,
            balances,
            amount,
        })?)
    }
}

impl FinalizedBatch {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let Self {
            number: _,
            height,
            time,
            submitter,
            queue,
            submission,
            words: _,
        } = self;
        let out = Writer::default().u64(*height).u64(*time);
        let out = out.u64(queue.start).u64(queue.end).put(&submitter.0);
        out.put(&submission.to_bytes()).finish()
    }

    pub(crate) fn from_bytes(
        number: u64,
        bytes: &[u8],
        on: &Deployment,
    ) -> Result<Self, StoreError> {
        let mut reader = Reader::new("a finalized batch", bytes);
        let (height, time) = (reader.u64()?, reader.u64()?);
        let queue = reader.u64()?..reader.u64()?;
        let submitter = reader.bytes()?;
        let submission = Submission::read(&mut reader)?;
        reader.end()?;
        let shape_id = submission.shape_id;
        let listed = on.shape(shape_id).ok_or_else(|| StoreError::Missing {
            what: format!("shape {shape_id} of batch {number}"),
        })?;
        let opened = submission.open(&listed.shape);
        let words = opened
            .map_err(|source| StoreError::Batch { number, source })?
            .words;
        Ok(Self {
            number,
            height,
            time,
            submitter,
            queue,
            submission,
            words,
        })
    }
}

/// For the neighbouring modules.
impl NativeL1 {
    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    /// Takes the registered keys from the database, which may have lost some.
    pub(crate) fn load_keys(&mut self) -> Result<(), StoreError> {
        self.keys = load_keys(&Snapshot::begin(&self.db)?, &self.deployment)?;
        Ok(())
    }
}

/// Reading.
impl NativeL1 {
    /// What the chain was made from, accounts aside.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// The accounts that genesis made, index 1 first.
    ///
    /// # Errors
    /// [`StoreError`], also if they are not those that the deployment names.
    pub fn genesis_accounts(&self) -> Result<Vec<GenesisAccount>, StoreError> {
        let table = Snapshot::begin(&self.db)?.genesis_accounts()?;
        let mut accounts = Vec::new();
        for record in table.range::<u32>(..)? {
            accounts.extend(accounts_from_bytes(record?.1.value())?);
        }
        let expected = self.deployment.accounts().blake3;
        let got = Bytes(*blake3::hash(&accounts_to_bytes(&accounts)).as_bytes());
        checks::agree("the digest of the genesis accounts", &expected, &got)?;
        Ok(accounts)
    }

    /// All tokens by id: those of the genesis, then those that were added.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let mut tokens = self.deployment.parameters().tokens.clone();
        let snapshot = Snapshot::begin(&self.db)?;
        let (table, shown) = (snapshot.tokens()?, snapshot.token_displays()?);
        for record in table.range::<u32>(..)? {
            let (id, address) = record?;
            let address = token_address(address.value())?;
            let display = shown.as_ref().map(|table| table.get(&address.0));
            let display = match display.transpose()?.flatten() {
                Some(record) => TokenDisplay::from_record(record.value())?,
                None => TokenDisplay::default(),
            };
            let name = display.symbol().map(str::to_owned);
            tokens.push(Token {
                name: name.unwrap_or_else(|| format!("token {}", id.value())),
                decimals: display.decimals(),
                address,
            });
        }
        Ok(tokens)
    }

    /// What a token of a contract said of itself when it was asked; none if it was not asked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn token_display(&self, token: Address) -> Result<Option<TokenDisplay>, StoreError> {
        let Some(table) = Snapshot::begin(&self.db)?.token_displays()? else {
            return Ok(None);
        };
        let record = table.get(&token.0)?;
        let display = record.map(|record| TokenDisplay::from_record(record.value()));
        Ok(display.transpose()?)
    }

    /// Keeps what a token says of itself, in the stead of what it said before. It is no part of the chain:
    /// no block has it, and no reorganization drops it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_token_display(
        &self,
        token: Address,
        display: &TokenDisplay,
    ) -> Result<(), StoreError> {
        put_token_display(&self.db, &token, &display.to_record())
    }

    /// Number of tokens.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn token_count(&self) -> Result<usize, StoreError> {
        let added = Snapshot::begin(&self.db)?.tokens()?.len()?;
        count_tokens(&self.deployment, added)
    }

    /// What operations of this deployment are signed for.
    pub fn domain(&self) -> Fr {
        self.domain
    }

    /// Where the chain stands: root, next batch, queue, fees.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn head(&self) -> Result<Head, StoreError> {
        Snapshot::begin(&self.db)?.head()
    }

    /// Up to `limit` queue entries from number `from` on, consumed or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn queue(&self, from: u64, limit: usize) -> Result<Vec<QueueEntry>, StoreError> {
        let snapshot = Snapshot::begin(&self.db)?;
        let (tail, table) = (snapshot.head()?.queue_tail, snapshot.queue()?);
        let numbers = (from..tail).take(limit);
        numbers.map(|number| queue::entry(&table, number)).collect()
    }

    /// Up to `limit` queue entries that no batch has consumed, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn pending(&self, limit: usize) -> Result<Vec<QueueEntry>, StoreError> {
        self.queue(self.head()?.queue_head, limit)
    }

    /// Owner and token of an account, if the index is assigned.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn registered(&self, index: u32) -> Result<Option<Registration>, StoreError> {
        registry::registration(&Snapshot::begin(&self.db)?.registry()?, index)
    }

    /// For each token the first account that a deposit of this owner opened. Those that genesis made are
    /// not among them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn deposited(&self, owner: Address) -> Result<BTreeMap<u32, u32>, StoreError> {
        let table = Snapshot::begin(&self.db)?.deposited()?;
        let mut accounts = BTreeMap::new();
        for record in table.range((&owner.0, 0)..=(&owner.0, u32::MAX))? {
            let (key, index) = record?;
            accounts.insert(key.value().1, index.value());
        }
        Ok(accounts)
    }

    /// The finalized batch with this number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn batch(&self, number: u64) -> Result<Option<FinalizedBatch>, StoreError> {
        let table = Snapshot::begin(&self.db)?.batches()?;
        let record = table.get(number)?;
        let read = |bytes: &[u8]| FinalizedBatch::from_bytes(number, bytes, &self.deployment);
        record.map(|record| read(record.value())).transpose()
    }

    /// Up to `limit` finalized batches from number `from` on, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn batches(&self, from: u64, limit: usize) -> Result<Vec<FinalizedBatch>, StoreError> {
        let table = Snapshot::begin(&self.db)?.batches()?;
        let mut batches = Vec::new();
        for record in table.range(from..)?.take(limit) {
            let (number, record) = record?;
            let (number, bytes) = (number.value(), record.value());
            batches.push(FinalizedBatch::from_bytes(number, bytes, &self.deployment)?);
        }
        Ok(batches)
    }

    /// The verifying key of a shape, if one is registered.
    pub fn key(&self, shape_id: u16) -> Option<&VerifyingKey> {
        self.keys.get(&shape_id)
    }

    /// Everything that may be claimed: owner, token, amount, in this order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn claims(&self) -> Result<Vec<(Address, u32, u128)>, StoreError> {
        let table = Snapshot::begin(&self.db)?.claimable()?;
        let mut claims = Vec::new();
        for record in table.range::<(&[u8; 20], u32)>(..)? {
            let (key, amount) = record?;
            let (owner, token) = key.value();
            claims.push((Bytes(*owner), token, amount.value()));
        }
        Ok(claims)
    }

    /// What an owner may claim of a token.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn claimable(&self, owner: Address, token: u32) -> Result<u128, StoreError> {
        escrow::claimable(&Snapshot::begin(&self.db)?.claimable()?, &owner, token)
    }

    /// Escrow, claimable and pending of a token.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn totals(&self, token: u32) -> Result<TokenTotals, StoreError> {
        escrow::totals(&Snapshot::begin(&self.db)?.totals()?, token)
    }

    /// Escrow, claimable and pending of every token that was ever deposited. Claims and waiting
    /// entries that are not cancelled are added up and compared with the totals kept; `balances()`
    /// of each is to be compared with the accounts that have not exited. What [`Self::deposited`] tells
    /// is compared with the registry.
    ///
    /// # Errors
    /// [`StoreError::Inconsistent`] if the sums differ from the totals.
    pub fn audit(&self) -> Result<BTreeMap<u32, TokenTotals>, StoreError> {
        let snapshot = Snapshot::begin(&self.db)?;
        checks::audit_deposited(&snapshot, &self.deployment)?;
        checks::audit(&snapshot)
    }
}

/// A file that can be a database.
fn check_file(path: &Path) -> Result<(), OpenError> {
    let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => OpenError::Missing { path: path.into() },
        _ => io_error(path, "read its size")(source),
    })?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Err(OpenError::NotAnL1 {
            path: path.into(),
            reason: format!("a file of {} bytes or no file", metadata.len()),
        });
    }
    Ok(())
}

/// Writes a genesis into a new database file and closes it.
fn make_database(path: &Path, genesis: &Genesis) -> Result<(), OpenError> {
    let db = Database::create(path).map_err(|error| open_error(path, error))?;
    let head = Head {
        root: genesis.state().root(),
        height: 0,
        time: 0,
        frozen: false,
        next_batch: 1,
        timestamp: 0,
        queue_head: 0,
        queue_tail: 0,
        next_index: 1,
        pending_deposits: 0,
        operator_fees: 0,
        operator: genesis.deployment().parameters().operator.address,
        offered_operator: None,
        taken_over: false,
        operator_back_at: 0,
    };
    let written = found(&db, head, |tx| write_genesis(tx, genesis));
    written.map_err(|error| {
        let source = match error {
            L1Error::Store(source) => source,
            L1Error::Refused(refusal) => StoreError::Inconsistent {
                what: "the genesis".to_owned(),
                expected: "balances below 2^128".to_owned(),
                got: refusal.to_string(),
            },
        };
        OpenError::Store {
            path: path.into(),
            source,
        }
    })
}

fn write_genesis(tx: &mut Tx<'_>, genesis: &Genesis) -> Result<(), L1Error> {
    let deployment = genesis.deployment().canonical_bytes();
    let version = DATABASE_VERSION.to_be_bytes();
    tx.meta.insert(VERSION_RECORD, version.as_slice())?;
    tx.meta.insert(DEPLOYMENT_RECORD, deployment.as_slice())?;
    for (number, accounts) in (0..).zip(genesis.accounts().chunks(ACCOUNTS_IN_RECORD)) {
        let record = accounts_to_bytes(accounts);
        tx.genesis_accounts.insert(number, record.as_slice())?;
    }
    let mut balances: BTreeMap<u32, u128> = BTreeMap::new();
    for account in genesis.accounts() {
        let GenesisAccount {
            owner,
            token,
            balance,
            ..
        } = *account;
        tx.register(Registration { owner, token })?;
        *balances.entry(token).or_default() += balance;
    }
    for (token, amount) in balances {
        tx.take_balance(token, amount)?;
    }
    Ok(())
}

fn check_version(path: &Path, db: &Db) -> Result<(), OpenError> {
    let foreign = |reason: String| OpenError::NotAnL1 {
        path: path.into(),
        reason,
    };
    let snapshot = Snapshot::begin(db).map_err(|error| foreign(error.to_string()))?;
    let record = snapshot
        .meta(VERSION_RECORD)
        .map_err(|error| foreign(error.to_string()))?;
    let version: [u8; 4] = record
        .try_into()
        .map_err(|_| foreign("its version record is malformed".to_owned()))?;
    let (expected, got) = (DATABASE_VERSION, u32::from_be_bytes(version));
    if got == expected {
        return Ok(());
    }
    Err(OpenError::Version {
        path: path.into(),
        expected,
        got,
    })
}

/// All registered keys with every check but that of their origin, which depends on the caller.
fn load_keys(
    snapshot: &Snapshot,
    deployment: &Deployment,
) -> Result<BTreeMap<u16, VerifyingKey>, StoreError> {
    let mut keys = BTreeMap::new();
    for record in snapshot.keys()?.range::<u16>(..)? {
        let (shape_id, bytes) = record?;
        let shape_id = shape_id.value();
        let damaged = |source| StoreError::Key {
            shape_id,
            source: Box::new(source),
        };
        let key = VerifyingKey::from_bytes(bytes.value(), AllowDevKeys::Yes).map_err(damaged)?;
        let listed = deployment.shape(shape_id);
        let listed = listed.ok_or_else(|| StoreError::Missing {
            what: format!("shape {shape_id} of a verifying key"),
        })?;
        key.check_circuit(&listed.fingerprint.0).map_err(damaged)?;
        keys.insert(shape_id, key);
    }
    Ok(keys)
}

/// The key is for the listed circuit and fit to be used.
fn check_key(listed: &ListedShape, key: &VerifyingKey) -> Result<(), Refusal> {
    key.check_circuit(&listed.fingerprint.0)?;
    key.check()
        .map_err(|fault| Refusal::from(prover::key::KeyError::from(fault)))?;
    let (expected, got) = (PUBLIC_INPUTS, key.num_inputs());
    if expected == got {
        Ok(())
    } else {
        Err(Refusal::KeyInputs { expected, got })
    }
}

fn io_error<'p>(path: &'p Path, action: &'static str) -> impl Fn(std::io::Error) -> OpenError + 'p {
    move |source| OpenError::Io {
        path: path.into(),
        action,
        source,
    }
}

fn open_error(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::InUse { path: path.into() }
        }
        DatabaseError::Storage(StorageError::Io(source))
            if !matches!(
                source.kind(),
                std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData
            ) =>
        {
            io_error(path, "open it for writing")(source)
        }
        other => OpenError::NotAnL1 {
            path: path.into(),
            reason: other.to_string(),
        },
    }
}
