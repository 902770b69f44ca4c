//! The head of the chain: what L1 knows besides its tables, in one record.
//!
//! Invariants: no more deposits and top-ups are pending than entries wait, and the operator role is never
//! offered to the operator.

use ledger::field::Fr;
use storage::{CodecError, Reader, Writer};

use crate::bytes::{Address, NOBODY};
use crate::error::Refusal;

/// Where the chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Root after the last batch.
    pub root: Fr,
    /// Blocks since genesis, which is block 0.
    pub height: u64,
    /// L1's time of the last block in seconds since 1970, 0 for genesis.
    pub time: u64,
    /// True once somebody froze the chain; it stays frozen.
    pub frozen: bool,
    /// Number of the next batch; the first is 1.
    pub next_batch: u64,
    /// Timestamp of the last batch, 0 before the first.
    pub timestamp: u64,
    /// Number of the oldest queue entry that no batch has consumed.
    pub queue_head: u64,
    /// Number that the next queue entry gets; the first is 0.
    pub queue_tail: u64,
    /// Index that the next deposit gets.
    pub next_index: u64,
    /// Creates and TopUps between head and tail that are not cancelled.
    pub pending_deposits: u64,
    /// Fees that the operator may collect, in ETH's smallest unit.
    pub operator_fees: u128,
    pub operator: Address,
    /// The address to which the operator has offered its role.
    pub offered_operator: Option<Address>,
    /// True if a batch of somebody else was final and the operator is not back.
    pub taken_over: bool,
    /// L1's time when an operator returned last, 0 if none did.
    pub operator_back_at: u64,
}

/// Length of an encoded head.
pub(crate) const HEAD_BYTES: usize = 32 + 9 * 8 + 2 + 16 + 2 * 20;

impl Head {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Self {
            root,
            height,
            time,
            frozen,
            next_batch,
            timestamp,
            queue_head,
            queue_tail,
            next_index,
            pending_deposits,
            operator_fees,
            operator,
            offered_operator,
            taken_over,
            operator_back_at,
        } = self;
        let numbers = [
            height,
            time,
            next_batch,
            timestamp,
            queue_head,
            queue_tail,
            next_index,
            pending_deposits,
            operator_back_at,
        ];
        let mut record = Writer::default();
        let out = record.fr(&root);
        let out = numbers.into_iter().fold(out, Writer::u64);
        let out = out.u8(frozen.into()).u8(taken_over.into());
        let out = out.u128(operator_fees).put(&operator.0);
        out.put(&offered_operator.unwrap_or(NOBODY).0).finish()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new("the head of the chain", bytes);
        let root = reader.fr("root")?;
        let mut numbers = [0; 9];
        for number in &mut numbers {
            *number = reader.u64()?;
        }
        let [
            height,
            time,
            next_batch,
            timestamp,
            queue_head,
            queue_tail,
            next_index,
            pending_deposits,
            operator_back_at,
        ] = numbers;
        let frozen = read_flag(&mut reader, "frozen")?;
        let taken_over = read_flag(&mut reader, "taken over")?;
        let waiting = queue_tail.checked_sub(queue_head);
        if waiting.is_none_or(|waiting| pending_deposits > waiting) {
            return Err(reader.invalid("pending deposits", pending_deposits));
        }
        let operator_fees = reader.u128()?;
        let operator: Address = reader.bytes()?;
        let offered_operator = Some(reader.bytes()?).filter(|offered| *offered != NOBODY);
        if offered_operator == Some(operator) {
            return Err(reader.invalid(
                "the address to which the operator role is offered",
                operator,
            ));
        }
        reader.end()?;
        Ok(Self {
            root,
            height,
            time,
            frozen,
            next_batch,
            timestamp,
            queue_head,
            queue_tail,
            next_index,
            pending_deposits,
            operator_fees,
            operator,
            offered_operator,
            taken_over,
            operator_back_at,
        })
    }
}

/// Rules that the head alone decides.
impl Head {
    pub(crate) fn not_frozen(&self) -> Result<(), Refusal> {
        if self.frozen {
            Err(Refusal::Frozen)
        } else {
            Ok(())
        }
    }

    pub(crate) fn is_frozen(&self) -> Result<(), Refusal> {
        if self.frozen {
            Ok(())
        } else {
            Err(Refusal::NotFrozen)
        }
    }

    pub(crate) fn only_operator(&self, caller: Address) -> Result<(), Refusal> {
        let operator = self.operator;
        if caller == operator {
            return Ok(());
        }
        Err(Refusal::NotOperator { operator, caller })
    }
}

fn read_flag(reader: &mut Reader<'_>, field: &'static str) -> Result<bool, CodecError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(reader.invalid(field, other)),
    }
}
