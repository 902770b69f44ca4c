//! A batch's witness as bytes.
//!
//! Field elements repeat: siblings near the root are shared by most updates, empty nodes by all.
//! Each distinct one is written once, in order of first use, and named by its place. Invariant:
//! what is read back equals what was written, slot for slot, has the sizes of its shape, and is
//! written with the same bytes again. That
//! the witness satisfies the circuit is not checked here; a proof made from another one fails.

use std::collections::{HashMap, HashSet};

use ledger::account::{Account, Leaf};
use ledger::babyjubjub::Point;
use ledger::field::{Fr, to_be_bytes};
use ledger::operation::{L1Op, SIGNED_BYTES, Signable, Signed};
use ledger::shape::Shape;
use ledger::tree::Update;
use ledger::witness::{
    BatchWitness, FeeSlotWitness, L1SlotWitness, TransferSlotWitness, WithdrawalSlotWitness,
};
use ledger::words::Header;
use storage::{CodecError, Reader, Writer};

const WHAT: &str = "a witness";

/// The witness as bytes, with a checksum.
pub(crate) fn encode(witness: &BatchWitness) -> Vec<u8> {
    let BatchWitness {
        shape: _,
        header,
        old_subtrees,
        l1_ops,
        transfers,
        withdrawals,
        fees,
    } = witness;
    let mut out = Encoder::default();
    out.header(header);
    old_subtrees.iter().for_each(|root| out.fr(root));
    l1_ops.iter().for_each(|slot| out.l1_slot(slot));
    transfers.iter().for_each(|slot| out.transfer(slot));
    withdrawals.iter().for_each(|slot| out.withdrawal(slot));
    fees.iter().for_each(|slot| out.fee(slot));
    out.finish()
}

/// Reads what [`encode`] writes for a batch of the shape.
pub(crate) fn decode(bytes: &[u8], shape: &Shape) -> Result<BatchWitness, CodecError> {
    let mut input = Decoder::new(bytes, shape)?;
    let header = input.header()?;
    let old_subtrees = repeat(shape.subtrees(), || input.fr())?;
    let l1_ops = repeat(usize::from(shape.l1_ops), || input.l1_slot())?;
    let transfers = repeat(usize::from(shape.transfers), || input.transfer())?;
    let withdrawals = repeat(usize::from(shape.withdrawals), || input.withdrawal())?;
    let fees = repeat(usize::from(shape.fee_slots), || input.fee())?;
    input.end()?;
    Ok(BatchWitness {
        shape: *shape,
        header,
        old_subtrees,
        l1_ops,
        transfers,
        withdrawals,
        fees,
    })
}

fn repeat<T>(
    times: usize,
    mut read: impl FnMut() -> Result<T, CodecError>,
) -> Result<Vec<T>, CodecError> {
    (0..times).map(|_| read()).collect()
}

/// Why: only looked up, never iterated; places follow the order of first use.
#[derive(Default)]
struct Encoder {
    places: HashMap<Fr, usize>,
    elements: Writer,
    body: Writer,
}

impl Encoder {
    fn fr(&mut self, element: &Fr) {
        let next = self.places.len();
        let place = *self.places.entry(*element).or_insert(next);
        if place == next {
            self.elements.put(&to_be_bytes(element));
        }
        self.body.count(place);
    }

    fn header(&mut self, header: &Header) {
        let Header {
            domain,
            old_root,
            new_root,
            shape_id,
            batch_number,
            timestamp,
            fee_indices,
        } = header;
        self.fr(domain);
        self.fr(old_root);
        self.fr(new_root);
        self.body.u16(*shape_id);
        self.body.u64(*batch_number);
        self.body.u64(*timestamp);
        for index in fee_indices {
            self.body.u32(*index);
        }
    }

    fn update(&mut self, update: &Update) {
        let Update {
            index,
            children,
            old_subtree,
            new_subtree,
        } = update;
        self.body.u32(*index);
        children.iter().flatten().for_each(|node| self.fr(node));
        self.fr(old_subtree);
        self.fr(new_subtree);
    }

    fn account(&mut self, account: &Account) {
        let Account {
            key,
            token,
            nonce,
            balance,
        } = account;
        self.fr(&key.x);
        self.fr(&key.y);
        self.body.u32(*token);
        self.body.u64(*nonce);
        self.body.u128(*balance);
    }

    fn signed<T: Signable>(&mut self, signed: Signed<T>) {
        let bytes = signed.to_bytes();
        self.body
            .put(&bytes.expect("an executed operation has fields of 40 bits"));
    }

    fn fee_slot(&mut self, slot: Option<usize>) {
        self.body.count(slot.map_or(0, |slot| slot + 1));
    }

    fn l1_slot(&mut self, slot: &L1SlotWitness) {
        let L1SlotWitness {
            op,
            paid_out,
            old,
            update,
        } = slot;
        self.body.u8(op.map_or(0, |op| op.kind()));
        if let Some(op) = op {
            self.body.u32(op.index());
            self.body.u32(op.token());
            self.body.u128(op.amount());
            op.key_words().iter().for_each(|word| self.fr(word));
        }
        self.body.u128(*paid_out);
        self.body.u8(u8::from(old.is_some()));
        if let Some(Leaf {
            ax,
            ay,
            lane,
            balance,
        }) = old
        {
            for element in [ax, ay, lane, balance] {
                self.fr(element);
            }
        }
        self.update(update);
    }

    fn transfer(&mut self, slot: &TransferSlotWitness) {
        let TransferSlotWitness {
            transfer,
            signature,
            sender,
            sender_update,
            receiver,
            receiver_update,
            fee_slot,
        } = slot;
        self.signed(Signed {
            op: *transfer,
            signature: *signature,
        });
        self.account(sender);
        self.update(sender_update);
        self.account(receiver);
        self.update(receiver_update);
        self.fee_slot(*fee_slot);
    }

    fn withdrawal(&mut self, slot: &WithdrawalSlotWitness) {
        let WithdrawalSlotWitness {
            withdraw,
            signature,
            account,
            update,
            fee_slot,
        } = slot;
        self.signed(Signed {
            op: *withdraw,
            signature: *signature,
        });
        self.account(account);
        self.update(update);
        self.fee_slot(*fee_slot);
    }

    fn fee(&mut self, slot: &FeeSlotWitness) {
        let FeeSlotWitness {
            account,
            credited,
            update,
        } = slot;
        self.body.u8(u8::from(account.is_some()));
        if let Some(account) = account {
            self.account(account);
        }
        self.body.u128(*credited);
        self.update(update);
    }

    fn finish(mut self) -> Vec<u8> {
        let mut out = Writer::default();
        out.count(self.places.len());
        out.put(&self.elements.finish());
        out.put(&self.body.finish());
        out.finish_with_checksum()
    }
}

struct Decoder<'a> {
    shape: &'a Shape,
    elements: Vec<Fr>,
    /// Elements that were named so far: the first ones.
    named: usize,
    body: Reader<'a>,
}

impl<'a> Decoder<'a> {
    fn new(bytes: &'a [u8], shape: &'a Shape) -> Result<Self, CodecError> {
        let mut body = Reader::with_checksum(WHAT, bytes)?;
        let count = body.count("number of field elements")?;
        if count > body.left() / 32 {
            return Err(CodecError::Truncated {
                what: WHAT,
                needed: count.saturating_mul(32),
                left: body.left(),
            });
        }
        let elements = repeat(count, || body.fr("field element"))?;
        let distinct: HashSet<&Fr> = elements.iter().collect();
        if distinct.len() < elements.len() {
            return Err(body.invalid("field elements", "one is there twice"));
        }
        Ok(Self {
            shape,
            elements,
            named: 0,
            body,
        })
    }

    fn fr(&mut self) -> Result<Fr, CodecError> {
        let place = self.body.count("place of a field element")?;
        let element = self.elements.get(place).filter(|_| place <= self.named);
        let element = element.ok_or_else(|| self.body.invalid("place of a field element", place));
        self.named = self.named.max(place + 1);
        element.copied()
    }

    fn end(self) -> Result<(), CodecError> {
        let unused = self.elements.len() - self.named;
        if unused > 0 {
            let text = format!("{unused} are used nowhere");
            return Err(self.body.invalid("field elements", text));
        }
        self.body.end()
    }

    fn header(&mut self) -> Result<Header, CodecError> {
        Ok(Header {
            domain: self.fr()?,
            old_root: self.fr()?,
            new_root: self.fr()?,
            shape_id: self.body.u16()?,
            batch_number: self.body.u64()?,
            timestamp: self.body.u64()?,
            fee_indices: repeat(usize::from(self.shape.fee_slots), || self.body.u32())?,
        })
    }

    fn update(&mut self) -> Result<Update, CodecError> {
        let index = self.body.u32()?;
        let level = |input: &mut Self| -> Result<[Fr; 4], CodecError> {
            Ok([input.fr()?, input.fr()?, input.fr()?, input.fr()?])
        };
        Ok(Update {
            index,
            children: repeat(self.shape.path_levels(), || level(self))?,
            old_subtree: self.fr()?,
            new_subtree: self.fr()?,
        })
    }

    fn account(&mut self) -> Result<Account, CodecError> {
        let key = Point {
            x: self.fr()?,
            y: self.fr()?,
        };
        Ok(Account {
            key,
            token: self.body.u32()?,
            nonce: self.body.u64()?,
            balance: self.body.u128()?,
        })
    }

    fn signed<T: Signable>(&mut self) -> Result<Signed<T>, CodecError> {
        let bytes = self.body.slice(SIGNED_BYTES)?;
        Signed::from_bytes(bytes).map_err(|error| self.body.invalid("signed operation", error))
    }

    fn fee_slot(&mut self) -> Result<Option<usize>, CodecError> {
        let slot = self.body.count("fee slot")?;
        Ok(slot.checked_sub(1))
    }

    fn is_some(&mut self, field: &'static str) -> Result<bool, CodecError> {
        match self.body.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(self.body.invalid(field, tag)),
        }
    }

    fn l1_op(&mut self) -> Result<Option<L1Op>, CodecError> {
        let kind = self.body.u8()?;
        if kind == 0 {
            return Ok(None);
        }
        let (index, token, amount) = (self.body.u32()?, self.body.u32()?, self.body.u128()?);
        let key = Point {
            x: self.fr()?,
            y: self.fr()?,
        };
        match L1Op::from_parts(kind, index, token, amount, key) {
            Some(op) => Ok(Some(op)),
            None => Err(self
                .body
                .invalid("kind of an L1 slot, or a field that it does not have", kind)),
        }
    }

    fn l1_slot(&mut self) -> Result<L1SlotWitness, CodecError> {
        let op = self.l1_op()?;
        let paid_out = self.body.u128()?;
        let old = match self.is_some("leaf")? {
            false => None,
            true => Some(Leaf {
                ax: self.fr()?,
                ay: self.fr()?,
                lane: self.fr()?,
                balance: self.fr()?,
            }),
        };
        Ok(L1SlotWitness {
            op,
            paid_out,
            old,
            update: self.update()?,
        })
    }

    fn transfer(&mut self) -> Result<TransferSlotWitness, CodecError> {
        let Signed { op, signature } = self.signed()?;
        Ok(TransferSlotWitness {
            transfer: op,
            signature,
            sender: self.account()?,
            sender_update: self.update()?,
            receiver: self.account()?,
            receiver_update: self.update()?,
            fee_slot: self.fee_slot()?,
        })
    }

    fn withdrawal(&mut self) -> Result<WithdrawalSlotWitness, CodecError> {
        let Signed { op, signature } = self.signed()?;
        Ok(WithdrawalSlotWitness {
            withdraw: op,
            signature,
            account: self.account()?,
            update: self.update()?,
            fee_slot: self.fee_slot()?,
        })
    }

    fn fee(&mut self) -> Result<FeeSlotWitness, CodecError> {
        let account = match self.is_some("fee account")? {
            false => None,
            true => Some(self.account()?),
        };
        Ok(FeeSlotWitness {
            account,
            credited: self.body.u128()?,
            update: self.update()?,
        })
    }
}
