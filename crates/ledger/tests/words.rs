//! The words and the published bytes: one spelling for each batch, and nothing ignored.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use ledger::field::{Fr, to_be_bytes};
use ledger::operation::{
    Authorized, L1Op, OperationError, SIGNED_BYTES, Signable, Signed, Transfer, Withdraw, domain,
};
use ledger::reject::Reject;
use ledger::shape::Shape;
use ledger::transition::Transition;
use ledger::words::{
    Header, PublicWords, TransferData, WithdrawalData, WordsError, challenge, commitment,
    evaluation,
};
use support::*;

/// Two fee words beyond the header, so that every kind of word occurs.
const WIDE: Shape = Shape {
    fee_slots: 12,
    ..SHAPE
};

/// A batch with entries of every kind and unused slots in every section.
fn sample(shape: &Shape) -> PublicWords {
    let mut state = state(4, &[(1, 0, 1000), (2, 0, 1000), (4, 1, 1000)]);
    let context = context(&[(0, 2), (1, 4)]);
    let mut batch = Transition::begin(&state, shape, context).unwrap();
    batch.push_l1(&state, &create(20, 0, 50)).unwrap();
    let top_up = L1Op::TopUp {
        index: 20,
        token: 0,
        amount: 1,
    };
    batch.push_l1(&state, &top_up).unwrap();
    let exit = L1Op::ForcedExit { index: 4, token: 1 };
    batch.push_l1(&state, &exit).unwrap();
    for nonce in 0..3 {
        batch
            .push_transfer(&state, &authorize(transfer(1, 2, 10, 3, nonce)))
            .unwrap();
    }
    batch
        .push_withdraw(&state, &authorize(withdraw(2, 5, 1, 0)))
        .unwrap();
    batch.finish(&mut state).unwrap().words
}

/// Every single-bit change of the bytes is refused or read as other words.
#[test]
fn no_bit_of_the_published_bytes_is_ignored() {
    for shape in [SHAPE, WIDE] {
        let words = sample(&shape);
        let bytes = words.to_bytes(&shape).unwrap();
        let list = words.encode(&shape).unwrap();
        let (mut read, mut refused) = (0, 0);
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            match PublicWords::from_bytes(&changed, &shape) {
                Ok(other) => {
                    assert_ne!(other.encode(&shape).unwrap(), list, "bit {bit}");
                    assert_eq!(other.to_bytes(&shape).unwrap(), changed, "bit {bit}");
                    read += 1;
                }
                Err(_) => refused += 1,
            }
        }
        assert!(read > 100 && refused > 100, "{read} {refused}");
        for end in 0..bytes.len() {
            let error = PublicWords::from_bytes(&bytes[..end], &shape).unwrap_err();
            assert!(
                matches!(error, WordsError::Truncated { .. }),
                "{end}: {error}"
            );
        }
        let longer = [&bytes[..], &[0]].concat();
        let error = PublicWords::from_bytes(&longer, &shape).unwrap_err();
        assert_eq!(error, WordsError::TrailingBytes(1));
    }
}

/// Every single-bit change of a word is refused or read as another batch, with those words.
#[test]
fn no_bit_of_a_word_is_ignored() {
    for shape in [SHAPE, WIDE] {
        let words = sample(&shape).encode(&shape).unwrap();
        for at in 0..words.len() {
            for bit in 0..254 {
                let mut bytes = to_be_bytes(&words[at]);
                bytes[31 - bit / 8] ^= 1 << (bit % 8);
                let Ok(word) = ledger::field::from_be_bytes(&bytes) else {
                    continue;
                };
                let mut changed = words.clone();
                changed[at] = word;
                if let Ok(read) = PublicWords::decode(&changed, &shape) {
                    assert_eq!(read.encode(&shape).unwrap(), changed, "word {at} bit {bit}");
                }
            }
        }
    }
}

#[test]
fn a_transfer_takes_fifteen_bytes() {
    let mut words = sample(&SHAPE);
    let one = words.transfers[0];
    words.transfers = vec![one; 4];
    let four = words.to_bytes(&SHAPE).unwrap().len();
    words.transfers = vec![one; 8];
    assert_eq!(words.to_bytes(&SHAPE).unwrap().len() - four, 4 * 15);
}

#[test]
fn hostile_counts_are_refused_before_reading() {
    let bytes = sample(&SHAPE).to_bytes(&SHAPE).unwrap();
    let counts = 3 * 32 + 12 + 4 * 2;
    for (place, section, capacity) in [(0, "L1", 4), (2, "transfers", 4), (4, "withdrawals", 2)] {
        let mut changed = bytes.clone();
        changed[counts + place..counts + place + 2].copy_from_slice(&[0xff; 2]);
        let error = WordsError::Capacity {
            section,
            capacity,
            got: 65535,
        };
        assert_eq!(PublicWords::from_bytes(&changed, &SHAPE), Err(error));
    }
}

#[test]
fn nothing_unused_is_carried() {
    let mut words = sample(&SHAPE);
    words.l1_ops.clear();
    words.transfers.clear();
    words.withdrawals.clear();
    let bytes = words.to_bytes(&SHAPE).unwrap();
    let counts = 3 * 32 + 12 + 4 * 2;
    assert_eq!(bytes.len(), counts + 6);
    for (place, section, length) in [(1, "L1", 105), (3, "transfers", 30), (5, "withdrawals", 22)] {
        let mut changed = bytes.clone();
        changed[counts + place] = 1;
        changed.resize(bytes.len() + length, 0);
        let carried = 1;
        let error = WordsError::ZeroWordCarried { section, carried };
        assert_eq!(PublicWords::from_bytes(&changed, &SHAPE), Err(error));
    }
    let trailing = PublicWords {
        transfers: vec![TransferData::unused(); 2],
        withdrawals: vec![WithdrawalData::unused(); 2],
        ..words.clone()
    };
    assert_eq!(trailing.to_bytes(&SHAPE).unwrap(), bytes);
    assert_eq!(trailing.encode(&SHAPE), words.encode(&SHAPE));
}

/// The decoder's verdict on words changed by hand: word number and new value.
fn decode_with(changes: &[(usize, Fr)]) -> WordsError {
    let mut words = sample(&SHAPE).encode(&SHAPE).unwrap();
    for (at, word) in changes {
        words[*at] = *word;
    }
    PublicWords::decode(&words, &SHAPE).unwrap_err()
}

/// `high·2^shift`.
fn at_bit(high: u64, shift: u64) -> Fr {
    (0..shift).fold(Fr::from(high), |value, _| value + value)
}

#[test]
fn decoding_is_strict() {
    let zero = Fr::from(0u64);
    let words = sample(&SHAPE).encode(&SHAPE).unwrap();
    let (expected, got) = (words.len(), words.len() - 1);
    let error = PublicWords::decode(&words[1..], &SHAPE).unwrap_err();
    assert_eq!(error, WordsError::WordCount { expected, got });
    // Words: 4 of header, 4 of each of 4 L1 slots, 4 of transfers, 2 of withdrawals.
    for (word, bits) in [
        (3, 224),
        (4, 200),
        (7, 128),
        (15, 128),
        (20, 240),
        (24, 176),
    ] {
        let spare = words[word] + at_bit(1, u64::try_from(bits).unwrap());
        assert_eq!(
            decode_with(&[(word, spare)]),
            WordsError::SpareBits { word, bits }
        );
    }
    let (expected, got) = (3, 2);
    let renumbered = words[3] - at_bit(1, 208);
    let error = WordsError::ShapeId { expected, got };
    assert_eq!(decode_with(&[(3, renumbered)]), error);
    let index_unused = decode_with(&[(3, words[3] + at_bit(1, 32))]);
    let error = WordsError::UnusedNotZero {
        section: "fee indices",
        slot: 2,
    };
    assert_eq!(index_unused, error);
    let key_left = decode_with(&[(17, zero + at_bit(1, 0))]);
    let error = WordsError::UnusedNotZero {
        section: "L1",
        slot: 3,
    };
    assert_eq!(key_left, error);
    let kind = decode_with(&[(16, at_bit(4, 192) + at_bit(1, 160))]);
    assert_eq!(kind, WordsError::Kind { slot: 3, kind: 4 });
    let gap = decode_with(&[(4, zero), (5, zero), (6, zero), (7, zero)]);
    assert_eq!(gap, WordsError::NotAPrefix { slot: 1 });
    let one = Fr::from(1u64);
    for (word, slot, kind, field) in [
        (7, 0, 1, "payout"),
        (9, 1, 2, "key"),
        (10, 1, 2, "key"),
        (11, 1, 2, "payout"),
        (13, 2, 3, "key"),
        (12, 2, 3, "amount"),
    ] {
        let error = WordsError::NotOfKind { slot, kind, field };
        assert_eq!(decode_with(&[(word, words[word] + one)]), error);
    }
    let leaves = 256;
    for (section, word, slot, changed, index) in [
        ("L1", 16, 3, at_bit(2, 192) + at_bit(256, 160), 256),
        ("L1", 16, 3, at_bit(2, 192), 0),
        (
            "transfers",
            20,
            0,
            words[20] + at_bit(1 << 31, 208),
            (1 << 31) + 1,
        ),
        ("transfers", 20, 0, words[20] - at_bit(2, 176), 0),
        (
            "withdrawals",
            24,
            0,
            words[24] + at_bit(1 << 20, 144),
            (1 << 20) + 2,
        ),
        ("fee indices", 3, 1, words[3] + at_bit(256, 64), 256),
    ] {
        let error = WordsError::Index {
            section,
            slot,
            index,
            leaves,
        };
        assert_eq!(decode_with(&[(word, changed)]), error);
    }
    let from_gone = decode_with(&[(20, words[20] - at_bit(1, 208))]);
    let error = WordsError::UnusedNotZero {
        section: "transfers",
        slot: 0,
    };
    assert_eq!(from_gone, error);
    let account_gone = decode_with(&[(24, words[24] - at_bit(2, 144))]);
    let error = WordsError::UnusedNotZero {
        section: "withdrawals",
        slot: 0,
    };
    assert_eq!(account_gone, error);
}

#[test]
fn encoding_refuses_what_does_not_fit_the_shape() {
    let words = sample(&SHAPE);
    let error = |change: &dyn Fn(&mut PublicWords)| {
        let mut words = words.clone();
        change(&mut words);
        assert_eq!(
            words.encode(&SHAPE).unwrap_err(),
            words.to_bytes(&SHAPE).unwrap_err()
        );
        words.encode(&SHAPE).unwrap_err()
    };
    let value = 1 << 40;
    let field = "batch number";
    let wide = error(&|words| words.header.batch_number = value);
    assert_eq!(wide, WordsError::TooWide { field, value });
    let field = "timestamp";
    let wide = error(&|words| words.header.timestamp = value);
    assert_eq!(wide, WordsError::TooWide { field, value });
    let capacity = |section, capacity, got| WordsError::Capacity {
        section,
        capacity,
        got,
    };
    let many = error(&|words| words.header.fee_indices.push(0));
    assert_eq!(many, capacity("fee indices", 2, 3));
    let many = error(&|words| words.transfers = vec![words.transfers[0]; 9]);
    assert_eq!(many, capacity("transfers", 8, 9));
    let many = error(&|words| words.withdrawals = vec![words.withdrawals[0]; 5]);
    assert_eq!(many, capacity("withdrawals", 4, 5));
    let many = error(&|words| words.l1_ops = vec![words.l1_ops[0]; 5]);
    assert_eq!(many, capacity("L1", 4, 5));
}

#[test]
fn commitment_pads_the_last_triple_and_starts_from_the_shape() {
    let compress4 = ledger::poseidon::compress4;
    let [zero, one, two, three, four] = [0u64, 1, 2, 3, 4].map(Fr::from);
    let first = compress4(&[Fr::from(9u64), one, two, three]);
    assert_eq!(commitment(9, &[one, two, three]), first);
    let second = compress4(&[first, four, zero, zero]);
    assert_eq!(commitment(9, &[one, two, three, four]), second);
    assert_eq!(commitment(9, &[]), Fr::from(9u64));
}

#[test]
fn challenge_depends_on_every_word_and_on_c() {
    let words = sample(&SHAPE).encode(&SHAPE).unwrap();
    let c = commitment(SHAPE.id, &words);
    let z = challenge(&c, &words);
    let one = Fr::from(1u64);
    assert_ne!(challenge(&(c + one), &words), z);
    for at in 0..words.len() {
        let mut changed = words.clone();
        changed[at] += one;
        assert_ne!(commitment(SHAPE.id, &changed), c);
        assert_ne!(challenge(&c, &changed), z);
        let power = (0..at).fold(one, |power, _| power * z);
        let moved = evaluation(&changed, &z) - evaluation(&words, &z);
        assert_eq!(moved, power);
    }
}

#[test]
fn domain_depends_on_every_part() {
    let base = domain(1, &[2; 20], &[3; 32]);
    assert_ne!(domain(2, &[2; 20], &[3; 32]), base);
    assert_ne!(domain(1, &[1; 20], &[3; 32]), base);
    assert_ne!(domain(1, &[2; 20], &[2; 32]), base);
}

#[test]
fn header_fields_keep_their_places() {
    let mut words = sample(&WIDE);
    words.header = Header {
        batch_number: 0x01_0203_0405,
        timestamp: 0x11_1213_1415,
        fee_indices: (1..=12).collect(),
        ..words.header
    };
    let list = words.encode(&WIDE).unwrap();
    let hex = |at: usize| hex::encode(to_be_bytes(&list[at]));
    let index = |index: u32| format!("{index:08x}");
    let four: String = (1..=4).map(index).collect();
    assert_eq!(
        hex(3),
        format!("0000000000030102030405{}{four}", "1112131415")
    );
    let seven: String = (5..=11).map(index).collect();
    assert_eq!(hex(4), format!("00000000{seven}"));
    assert_eq!(hex(5), format!("00000000{}{}", index(12), "0".repeat(48)));
    assert_eq!(PublicWords::decode(&list, &WIDE).unwrap(), words);
}

fn samples() -> (Authorized<Transfer>, Authorized<Withdraw>) {
    (
        authorize(transfer(1, 2, 10, 3, 7)),
        authorize(withdraw(2, 5, 1, 9)),
    )
}

#[test]
fn signed_operations_survive_bytes_and_json() {
    fn check<T: Signable + PartialEq + std::fmt::Debug>(op: &Authorized<T>) {
        let signed = *op.signed();
        let bytes = signed.to_bytes().unwrap();
        assert_eq!(Signed::<T>::from_bytes(&bytes).unwrap(), signed);
        for end in 0..SIGNED_BYTES {
            let error = Signed::<T>::from_bytes(&bytes[..end]).unwrap_err();
            assert_eq!(error, OperationError::Length(end));
        }
        for bit in 0..8 * SIGNED_BYTES {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            let Ok(read) = Signed::<T>::from_bytes(&changed) else {
                continue;
            };
            assert_eq!(read.to_bytes().unwrap(), changed);
            assert!(matches!(
                read.verify(op.key(), op.domain()),
                Err(Reject::SignatureIsValid { .. })
            ));
        }
        let text = serde_json::to_string(&signed).unwrap();
        assert_eq!(serde_json::from_str::<Signed<T>>(&text).unwrap(), signed);
    }
    let (transfer, withdraw) = samples();
    check(&transfer);
    check(&withdraw);
    let bytes = transfer.signed().to_bytes().unwrap();
    let error = Signed::<Withdraw>::from_bytes(&bytes).unwrap_err();
    assert_eq!(
        error,
        OperationError::Kind {
            expected: 2,
            got: 1
        }
    );
    let mut bytes = withdraw.signed().to_bytes().unwrap();
    bytes[8] = 1;
    let error = Signed::<Withdraw>::from_bytes(&bytes).unwrap_err();
    assert_eq!(error, OperationError::ReceiverOfWithdrawal(1));
}

#[test]
fn json_is_strict_and_keeps_the_spelling() {
    let (transfer, _) = samples();
    let text = serde_json::to_string(transfer.signed()).unwrap();
    let fields = r#""kind":1,"from":1,"to":2,"amount":"10","amount_packed":"000000000a","fee":"3","fee_packed":"0003","nonce":7,"#;
    assert!(text.starts_with(&format!("{{{fields}")), "{text}");
    let read = |text: &str| serde_json::from_str::<Signed<Transfer>>(text);
    for (old, new) in [
        (r#""amount":"10""#, r#""amount":"11""#),
        (r#""amount":"10""#, r#""amount":"010""#),
        (r#""amount":"10""#, r#""amount":10"#),
        (
            r#""amount_packed":"000000000a""#,
            r#""amount_packed":"0000000000a""#,
        ),
        (
            r#""amount_packed":"000000000a""#,
            r#""amount_packed":"000000000A""#,
        ),
        (r#""fee":"3""#, r#""fee":"4""#),
        (r#""fee_packed":"0003""#, r#""fee_packed":"0x03""#),
        (r#""kind":1"#, r#""kind":2"#),
        (r#""nonce":7"#, r#""nonce":1099511627776"#),
        (r#""nonce":7"#, r#""nonce":-1"#),
        (r#""nonce":7"#, r#""nonce":7,"nonce":7"#),
        (r#""nonce":7"#, r#""nonce":7,"memo":7"#),
        (r#""nonce":7,"#, ""),
        (r#""to":2"#, r#""to":4294967296"#),
        (
            r#""s":""#,
            r#""s":"99999999999999999999999999999999999999999999999999999999999999999999999999999"#,
        ),
        (r#""r8":[""#, r#""r8":["0"#),
    ] {
        let changed = text.replace(old, new);
        assert_ne!(changed, text, "{old}");
        assert!(read(&changed).is_err(), "{changed}");
    }
    // Another spelling of the same amount: 1·10^1.
    let spelled = text.replace("000000000a", "0800000001");
    let other = read(&spelled).unwrap();
    assert_eq!(other.op.amount.value_u128(), Some(10));
    assert_ne!(other.op, *transfer.op());
    assert!(other.verify(transfer.key(), transfer.domain()).is_err());
    let huge = text.replace("000000000a", "f800000001");
    let huge = huge.replace(
        r#""amount":"10""#,
        &format!(r#""amount":"1{}""#, "0".repeat(31)),
    );
    assert_eq!(read(&huge).unwrap().op.amount.packed(), 0xf8_0000_0001);
}

#[test]
fn identity_is_the_operation_in_its_domain() {
    let (transfer, withdraw) = samples();
    let id = transfer.op().id(&test_domain());
    let again = transfer.op().sign(&key(5), &test_domain());
    assert_eq!(again.op.id(&test_domain()), id);
    assert_ne!(transfer.op().id(&domain(1, &[0; 20], &[0; 32])), id);
    assert_ne!(withdraw.op().id(&test_domain()), id);
    let base = *transfer.op();
    let changes = [
        Transfer { from: 9, ..base },
        Transfer { to: 9, ..base },
        Transfer {
            amount: amount(9),
            ..base
        },
        Transfer {
            fee: fee(9),
            ..base
        },
        Transfer { nonce: 9, ..base },
        Transfer {
            valid_until: 9,
            ..base
        },
        Transfer { token: 9, ..base },
    ];
    for change in changes {
        assert_ne!(change.id(&test_domain()), id);
        assert_ne!(change.message(&test_domain()), base.message(&test_domain()));
    }
}
