//! The L1 queue: deposits, top-ups and exit requests, in the order of their calls.
//!
//! Entries are stored whole with their payer and block and stay after a batch consumed them. Invariant:
//! whatever enters can execute — index and token come from the registry, keys are checked, amounts
//! are in escrow — so nothing that L1 accepted blocks a batch (docs/protocol.md, section 6).
//!
//! A call is refused by the first rule that it breaks, in this order: frozen, fee, token or
//! registration, key or amount or owner, full tree, pending exit or limit, escrow.

use ledger::babyjubjub::{Point, deposit_key_is_good};
use ledger::operation::L1Op;
use redb::ReadableTable;
use storage::{CodecError, Reader, Writer};

use crate::bytes::Address;
use crate::error::{L1Error, Refusal, StoreError};
use crate::genesis::{Deployment, Parameters};
use crate::registry::{Registration, registration};
use crate::store::Tx;

/// An entry of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    /// Place in the queue; the first is 0.
    pub number: u64,
    /// What is to be done.
    pub op: L1Op,
    /// Who called, and paid the amount.
    pub payer: Address,
    /// The block that has it.
    pub height: u64,
    /// L1's time of that block, seconds since 1970.
    pub time: u64,
}

/// The arguments of a deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// Who calls: pays, and owns the account on L1.
    pub caller: Address,
    pub token: u32,
    /// Opening balance, possibly 0.
    pub amount: u128,
    /// `A`, the key that signs for the account.
    pub key: Point,
    /// `Q` with `A = 8·Q`.
    pub q: Point,
    /// Fee sent for the operation.
    pub fee: u128,
}

impl QueueEntry {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Self {
            number: _,
            op,
            payer,
            height,
            time,
        } = self;
        let [ax, ay] = op.key_words();
        let mut record = Writer::default();
        let out = record.u64(height).u64(time).u8(op.kind()).u32(op.index());
        let out = out.u32(op.token()).u128(op.amount());
        out.fr(&ax).fr(&ay).put(&payer.0).finish()
    }

    pub(crate) fn from_bytes(number: u64, bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new("a queue entry", bytes);
        let (height, time) = (reader.u64()?, reader.u64()?);
        let kind = reader.u8()?;
        let (index, token, amount) = (reader.u32()?, reader.u32()?, reader.u128()?);
        let key = reader.coordinates("key")?;
        let payer = reader.bytes()?;
        let op = L1Op::from_parts(kind, index, token, amount, key)
            .ok_or_else(|| reader.invalid("kind, or a field that it does not have", kind))?;
        reader.end()?;
        Ok(Self {
            number,
            op,
            payer,
            height,
            time,
        })
    }
}

/// The entry with this number.
pub(crate) fn entry(
    table: &impl ReadableTable<u64, &'static [u8]>,
    number: u64,
) -> Result<QueueEntry, StoreError> {
    let record = table.get(number)?.ok_or_else(|| StoreError::Missing {
        what: format!("queue entry {number}"),
    })?;
    Ok(QueueEntry::from_bytes(number, record.value())?)
}

/// True if the operation counts against the limit of pending deposits.
pub(crate) fn is_funded(op: &L1Op) -> bool {
    match op {
        L1Op::Create { .. } | L1Op::TopUp { .. } => true,
        L1Op::ForcedExit { .. } => false,
    }
}

/// Checks of a deposit that need no state but the number of tokens, which never falls.
pub(crate) fn check_deposit(
    parameters: &Parameters,
    tokens: usize,
    deposit: &Deposit,
) -> Result<(), Refusal> {
    check_fee(parameters, deposit.fee)?;
    let token = deposit.token;
    if usize::try_from(token).map_or(true, |token| token >= tokens) {
        return Err(Refusal::UnknownToken { token, tokens });
    }
    deposit_key_is_good(&deposit.key, &deposit.q)?;
    Ok(())
}

fn check_fee(parameters: &Parameters, got: u128) -> Result<(), Refusal> {
    let expected = parameters.l1_fee;
    if got == expected {
        Ok(())
    } else {
        Err(Refusal::WrongFee { expected, got })
    }
}

impl Tx<'_> {
    /// Queues a Create for the next index; [`check_deposit`] has passed.
    pub(crate) fn deposit(&mut self, on: &Deployment, deposit: &Deposit) -> Result<u32, L1Error> {
        self.head.not_frozen()?;
        let Deposit {
            caller,
            token,
            amount,
            key,
            q: _,
            fee,
        } = *deposit;
        let leaves = ledger::shape::leaves(on.depth());
        if self.head.next_index >= leaves {
            return Err(Refusal::TreeFull { leaves }.into());
        }
        self.check_pending(on.parameters())?;
        self.take_pending(token, amount)?;
        let owner = caller;
        let index = self.register(Registration { owner, token })?;
        self.note_deposited(&owner, token, index)?;
        let op = L1Op::Create {
            index,
            token,
            amount,
            key,
        };
        self.append(op, caller, fee)?;
        Ok(index)
    }

    /// Queues a TopUp.
    pub(crate) fn top_up(
        &mut self,
        on: &Deployment,
        caller: Address,
        index: u32,
        amount: u128,
        fee: u128,
    ) -> Result<u64, L1Error> {
        self.head.not_frozen()?;
        check_fee(on.parameters(), fee)?;
        let token = self.registered(index)?.token;
        if amount == 0 {
            return Err(Refusal::ZeroTopUp.into());
        }
        self.check_pending(on.parameters())?;
        self.take_pending(token, amount)?;
        let op = L1Op::TopUp {
            index,
            token,
            amount,
        };
        self.append(op, caller, fee)
    }

    /// Queues a ForcedExit.
    pub(crate) fn request_exit(
        &mut self,
        on: &Deployment,
        caller: Address,
        index: u32,
        fee: u128,
    ) -> Result<u64, L1Error> {
        self.head.not_frozen()?;
        check_fee(on.parameters(), fee)?;
        let Registration { owner, token } = self.registered(index)?;
        if owner != caller {
            return Err(Refusal::NotOwner {
                index,
                owner,
                caller,
            }
            .into());
        }
        if let Some(entry) = self.pending_exits.get(index)?.map(|entry| entry.value()) {
            return Err(Refusal::ExitPending { index, entry }.into());
        }
        self.pending_exits.insert(index, self.head.queue_tail)?;
        self.append(L1Op::ForcedExit { index, token }, caller, fee)
    }

    pub(crate) fn registered(&self, index: u32) -> Result<Registration, L1Error> {
        let registered = registration(&*self.registry, index)?;
        Ok(registered.ok_or(Refusal::Unregistered { index })?)
    }

    fn check_pending(&self, parameters: &Parameters) -> Result<(), Refusal> {
        let (pending, cap) = (self.head.pending_deposits, parameters.pending_cap);
        if pending < cap {
            Ok(())
        } else {
            Err(Refusal::TooManyPending { pending, cap })
        }
    }

    /// Appends an entry, keeps its fee and returns its number.
    fn append(&mut self, op: L1Op, payer: Address, fee: u128) -> Result<u64, L1Error> {
        let number = self.head.queue_tail;
        let fees = self.head.operator_fees;
        let total = fees.checked_add(fee);
        self.head.operator_fees = total.ok_or(Refusal::FeesFull { fees, amount: fee })?;
        let entry = QueueEntry {
            number,
            op,
            payer,
            height: self.head.height,
            time: self.head.time,
        };
        self.queue.insert(number, entry.to_bytes().as_slice())?;
        self.head.queue_tail += 1;
        self.head.pending_deposits += u64::from(is_funded(&op));
        Ok(number)
    }

    /// Takes the oldest entry off the queue, which a batch has executed.
    pub(crate) fn consume(&mut self, op: &L1Op) -> Result<(), StoreError> {
        self.head.queue_head += 1;
        self.head.pending_deposits -= u64::from(is_funded(op));
        if is_funded(op) {
            self.pending_to_balances(op.token(), op.amount())
        } else {
            self.pending_exits.remove(op.index())?;
            Ok(())
        }
    }
}
