//! Spending without the holder's consent.

use ark_ff::{AdditiveGroup, BigInteger256, Field, PrimeField};
use circuits::{babyjubjub::subgroup_order, eddsa::SignatureValues, transition::BatchValues};
use ledger::{
    babyjubjub::{Point, Scalar},
    eddsa::challenge,
    field::Fr,
    operation::NO_EXPIRY,
};
use num_bigint::BigUint;

use crate::{
    attack::{Attack, both_sides},
    bench::{Pair, Witness, Workbench},
    forger::{Forged, TRANSFER, message, sign},
    world::{Side, pay, thief, with_fee, world},
};

pub(crate) fn attacks() -> Vec<Attack> {
    let signature = "transfer/sender/signature_is_valid";
    let one_sided = [
        Attack {
            name: "replayed-transfer",
            rule: signature,
            rows: &["C6"],
            story: "One signature pays twice: the receiver shows the sender's transfer once more \
                    and empties the account.",
            make: replayed,
        },
        Attack {
            name: "changed-receiver",
            rule: signature,
            rows: &["C5"],
            story: "The operator sends a payment to itself: the signature stays, the receiver \
                    changes.",
            make: |bench| changed(bench, pay(2, 1, 100)),
        },
        Attack {
            name: "changed-amount",
            rule: signature,
            rows: &["C5"],
            story: "The holder signed for 100 and pays 900.",
            make: |bench| changed(bench, pay(2, 3, 900)),
        },
        Attack {
            name: "changed-fee",
            rule: signature,
            rows: &["C5"],
            story: "The operator helps itself to a fee that the holder did not sign.",
            make: |bench| changed(bench, with_fee(500, bench.fee_slot(), pay(2, 3, 100))),
        },
        Attack {
            name: "changed-expiry",
            rule: signature,
            rows: &["C5"],
            story: "A payment that the holder let expire is kept and cashed in later.",
            make: |bench| {
                changed(
                    bench,
                    Forged {
                        valid_until: NO_EXPIRY - 1,
                        ..pay(2, 3, 100)
                    },
                )
            },
        },
        Attack {
            name: "transfer-as-withdrawal",
            rule: "withdraw/sender/signature_is_valid",
            rows: &["C7"],
            story: "A signed transfer to index 0 of nobody's is executed as a withdrawal of the \
                    same amount.",
            make: other_kind,
        },
        Attack {
            name: "skipped-nonce",
            rule: signature,
            rows: &["C6"],
            story: "A payment that was signed to follow another one is executed without it.",
            make: skipped_nonce,
        },
        Attack {
            name: "respelled-amount",
            rule: signature,
            rows: &["F4"],
            story: "10 is published as 1·10^1: the published bytes are no longer what the holder \
                    signed, and nobody can check the signature from them.",
            make: respelled,
        },
    ];
    [
        one_sided.to_vec(),
        both_sides!(
            "strangers-signature",
            "/signature_is_valid",
            ["C8"],
            "Anybody's signature spends anybody's money.",
            strangers_signature
        )
        .to_vec(),
        both_sides!(
            "other-deployment",
            "/signature_is_valid",
            ["C7", "A10"],
            "What was signed for a test deployment is executed on the real one.",
            other_deployment
        )
        .to_vec(),
        both_sides!(
            "second-s",
            "/signature_is_valid/s_is_below_the_order",
            ["C1"],
            "S + l satisfies the same equation: whoever tells operations apart by their \
             signatures counts one of them twice.",
            second_s
        )
        .to_vec(),
        both_sides!(
            "false-message",
            "/message_hash",
            ["B1", "C5"],
            "The holder signed for 1 and pays 900: the prover writes the hash of what was signed \
             where the hash of what is executed belongs.",
            false_message
        )
        .to_vec(),
        both_sides!(
            "chosen-challenge",
            "/signature_is_valid/challenge_hash",
            ["B1"],
            "With a challenge of one's choice R8 = S·B − h·8A signs anything under any key: every \
             account is the prover's.",
            chosen_challenge
        )
        .to_vec(),
        both_sides!(
            "second-challenge",
            "/signature_is_valid/variable_base/challenge_is_canonical",
            ["B3"],
            "The bits of h + r stand for the same h but for another multiple: signatures that \
             every other verifier refuses pass, and L1's data cannot be checked.",
            second_challenge
        )
        .to_vec(),
        both_sides!(
            "challenge-below-zero",
            "/signature_is_valid/variable_base/challenge_is_canonical",
            ["B3"],
            "The same at the other end: the bits of h − r.",
            challenge_below_zero
        )
        .to_vec(),
        both_sides!(
            "neighbouring-challenge",
            "/signature_is_valid/variable_base/challenge_is_canonical",
            ["B3"],
            "The bits are those of h + 1: signatures that every other verifier refuses pass.",
            neighbouring_challenge
        )
        .to_vec(),
        both_sides!(
            "false-abscissa",
            "/signature_is_valid",
            ["C1", "C2"],
            "R8 has the ordinate of S·B − h·8A and another abscissa: signatures that every other \
             verifier refuses pass.",
            false_abscissa
        )
        .to_vec(),
        both_sides!(
            "false-ordinate",
            "/signature_is_valid",
            ["C1", "C2"],
            "The same with the ordinate.",
            false_ordinate
        )
        .to_vec(),
        both_sides!(
            "false-sum-abscissa",
            "/signature_is_valid",
            ["C1", "C2"],
            "The prover writes the abscissa of its R8 where that of S·B − h·8A belongs.",
            false_sum_abscissa
        )
        .to_vec(),
        both_sides!(
            "false-sum-ordinate",
            "/signature_is_valid",
            ["C1", "C2"],
            "The same with the ordinate.",
            false_sum_ordinate
        )
        .to_vec(),
        both_sides!(
            "false-multiple-of-the-key",
            "/signature_is_valid/variable_base",
            ["B1", "B8"],
            "The prover writes R8 − S·B where −h·8A belongs: every account is the prover's.",
            false_multiple_of_the_key
        )
        .to_vec(),
        both_sides!(
            "false-multiple-of-the-base",
            "/signature_is_valid/fixed_base",
            ["B1", "B8"],
            "The prover writes R8 + h·8A where S·B belongs: every account is the prover's.",
            false_multiple_of_the_base
        )
        .to_vec(),
    ]
    .concat()
}

fn replayed(bench: &Workbench) -> Pair {
    let mut batch = world(bench);
    let paid = pay(2, 3, 100);
    Side::Transfer.append_two(bench, &mut batch, [&paid, &paid]);
    let honest = batch.finish();
    let mut forged = honest.clone();
    let second = Side::Transfer.second(bench);
    forged.transfers[second].debit.signature = forged.transfers[second - 1].debit.signature;
    pair(honest, forged)
}

/// What was signed is a transfer of 100 from 2 to 3; what is executed is `executed`.
fn changed(bench: &Workbench, executed: Forged) -> Pair {
    let mut signed = Side::Transfer.batch(bench, &pay(2, 3, 100));
    let mut forged = Side::Transfer.batch(bench, &executed);
    Side::Transfer.slot(bench, &mut forged).signature =
        Side::Transfer.slot(bench, &mut signed).signature;
    pair(signed, forged)
}

fn other_kind(bench: &Workbench) -> Pair {
    let honest = Side::Withdrawal.batch(bench, &pay(2, 0, 100));
    let mut forged = honest.clone();
    let slot = Side::Withdrawal.slot(bench, &mut forged);
    let message = message(&honest.domain, TRANSFER, slot, Fr::ZERO);
    slot.signature = sign(world(bench).key(2), &message);
    pair(honest, forged)
}

fn skipped_nonce(bench: &Workbench) -> Pair {
    let honest = Side::Transfer.batch(bench, &pay(2, 3, 100));
    let mut forged = honest.clone();
    let mut later = honest.clone();
    Side::Transfer.slot(bench, &mut later).account.nonce += Fr::ONE;
    Side::Transfer.sign(bench, &mut later, world(bench).key(2));
    let signature = Side::Transfer.slot(bench, &mut later).signature;
    Side::Transfer.slot(bench, &mut forged).signature = signature;
    pair(honest, forged)
}

fn respelled(bench: &Workbench) -> Pair {
    let spelled = |packed| Forged {
        amount: ledger::float::Float40::from_packed(packed).expect("40 bits"),
        ..pay(2, 3, 0)
    };
    let honest = Side::Transfer.batch(bench, &spelled(10));
    let mut forged = Side::Transfer.batch(bench, &spelled(1 << 35 | 1));
    let slot = bench.slot("transfer");
    forged.transfers[slot].debit.signature = honest.transfers[slot].debit.signature;
    pair(honest, forged)
}

fn strangers_signature(bench: &Workbench, side: Side) -> Pair {
    let honest = side.batch(bench, &pay(2, 3, 100));
    let mut forged = honest.clone();
    side.sign(bench, &mut forged, &thief());
    pair(honest, forged)
}

fn other_deployment(bench: &Workbench, side: Side) -> Pair {
    let honest = side.batch(bench, &pay(2, 3, 100));
    let mut forged = honest.clone();
    let mut elsewhere = honest.clone();
    elsewhere.domain += Fr::ONE;
    side.sign(bench, &mut elsewhere, world(bench).key(2));
    side.slot(bench, &mut forged).signature = side.slot(bench, &mut elsewhere).signature;
    pair(honest, forged)
}

/// Only S below `2^251 − l` has a second spelling in the circuit's bits: some amount gives one.
fn second_s(bench: &Workbench, side: Side) -> Pair {
    (1..)
        .find_map(|amount| {
            let honest = side.batch(bench, &pay(2, 3, amount));
            let mut forged = honest.clone();
            let s = &mut side.slot(bench, &mut forged).signature.s;
            let second = BigUint::from(*s) + subgroup_order();
            *s = (second.bits() <= 251).then(|| second.try_into().expect("251 bits fit"))?;
            Some(pair(honest, forged))
        })
        .expect("the search does not end without one")
}

fn false_message(bench: &Workbench, side: Side) -> Pair {
    let mut signed = side.batch(bench, &pay(2, 3, 1));
    let mut executed = side.batch(bench, &pay(2, 3, 900));
    side.slot(bench, &mut executed).signature = side.slot(bench, &mut signed).signature;
    let hash = side.message(bench, &signed);
    let forged = Witness::of(executed).set(bench.last(&side.rule("message_hash")), hash);
    Pair {
        honest: Witness::of(signed),
        forged,
    }
}

/// The key that a first slot is paid by.
fn key_of(bench: &Workbench, side: Side, values: &mut BatchValues) -> Point {
    let account = side.slot(bench, values).account;
    Point {
        x: account.ax,
        y: account.ay,
    }
}

fn signature(r8: &Point, s: u64) -> SignatureValues {
    SignatureValues {
        r8: (r8.x, r8.y),
        s: BigInteger256::from(s),
    }
}

fn times_base(scalar: u64) -> Point {
    Point::base8().mul(&Scalar::from(scalar))
}

fn chosen_challenge(bench: &Workbench, side: Side) -> Pair {
    let honest = side.batch(bench, &pay(2, 3, 100));
    let mut forged = honest.clone();
    let key = key_of(bench, side, &mut forged).mul_by_cofactor();
    let r8 = times_base(5).add(&key.mul(&Scalar::from(7u64)).neg());
    side.slot(bench, &mut forged).signature = signature(&r8, 5);
    let challenge = bench.last(&side.rule("signature_is_valid/challenge_hash"));
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged).set(challenge, Fr::from(7u64)),
    }
}

/// A batch in which account 2 has a key whose secret is known, and a signature of it for another
/// multiple than the challenge's, if there is room for one: `alias` says for which integer `h + δ`
/// the circuit's bits are to stand.
fn other_multiple(
    bench: &Workbench,
    side: Side,
    amount: u128,
    alias: impl Fn(&BigUint) -> Option<BigUint>,
) -> Option<Pair> {
    let secret = Scalar::from(987_654_321u64);
    let r8 = times_base(77);
    let key = Point::base8().mul(&secret);
    let sign = |values: &mut BatchValues, multiple: &BigUint| {
        let multiple = Scalar::from(multiple % subgroup_order());
        let s = Scalar::from(77u64) + multiple * secret * Scalar::from(8u64);
        side.slot(bench, values).signature = SignatureValues {
            r8: (r8.x, r8.y),
            s: s.into_bigint(),
        };
    };
    let mut batch = world(bench);
    let mut leaf = *batch.leaf(2);
    (leaf.ax, leaf.ay) = (key.x, key.y);
    batch.set_up(2, leaf);
    side.append(bench, &mut batch, &pay(2, 3, amount));
    let mut honest = batch.finish();
    let h = challenge(&r8, &key, &side.message(bench, &honest));
    let h = BigUint::from(h.into_bigint());
    // The circuit's bits are those of the challenge plus 11·l − 2^254.
    let lowest = subgroup_order() * 11u8 - (BigUint::from(1u8) << 254);
    let bits = alias(&(&h + &lowest)).filter(|bits| bits.bits() <= 254)?;
    let mut values = honest.clone();
    sign(&mut honest, &h);
    // bits − lowest, which may be below 0.
    sign(&mut values, &(&bits + subgroup_order() * 16u8 - &lowest));
    let rule = side.rule("signature_is_valid/variable_base/challenge_is_canonical");
    let first = bench.wire(&rule, "challenge");
    let forged = (0..254).fold(Witness::of(values), |witness, i| {
        witness.set(first + i, Fr::from(bits.bit(i as u64)))
    });
    let honest = Witness::of(honest);
    Some(Pair { honest, forged })
}

/// Only few challenges leave room for the bits of `h + r`, so amounts are tried.
fn second_challenge(bench: &Workbench, side: Side) -> Pair {
    let modulus = BigUint::from(Fr::MODULUS);
    (1..)
        .find_map(|amount| other_multiple(bench, side, amount, |bits| Some(bits + &modulus)))
        .expect("the search does not end without one")
}

/// Only the highest challenges leave room for the bits of `h − r`.
fn challenge_below_zero(bench: &Workbench, side: Side) -> Pair {
    let modulus = BigUint::from(Fr::MODULUS);
    let below = |bits: &BigUint| (*bits >= modulus).then(|| bits - &modulus);
    (1..)
        .find_map(|amount| other_multiple(bench, side, amount, below))
        .expect("the search does not end without one")
}

fn neighbouring_challenge(bench: &Workbench, side: Side) -> Pair {
    other_multiple(bench, side, 100, |bits| Some(bits + 1u8)).expect("there is room for one more")
}

/// A signature whose R8 is another point than `S·B − h·8A`: the secret of the key is known.
fn other_r8(bench: &Workbench, side: Side, edit: impl Fn(&mut Point)) -> Pair {
    let secret = Scalar::from(987_654_321u64);
    let key = Point::base8().mul(&secret);
    let batch = |r8: &Point| {
        let mut batch = world(bench);
        let mut leaf = *batch.leaf(2);
        (leaf.ax, leaf.ay) = (key.x, key.y);
        batch.set_up(2, leaf);
        side.append(bench, &mut batch, &pay(2, 3, 100));
        let mut values = batch.finish();
        let h = challenge(r8, &key, &side.message(bench, &values));
        let h = Scalar::from(BigUint::from(h.into_bigint()));
        let s = Scalar::from(77u64) + h * secret * Scalar::from(8u64);
        side.slot(bench, &mut values).signature = SignatureValues {
            r8: (r8.x, r8.y),
            s: s.into_bigint(),
        };
        Witness::of(values)
    };
    let r8 = times_base(77);
    let mut other = r8;
    edit(&mut other);
    Pair {
        honest: batch(&r8),
        forged: batch(&other),
    }
}

fn false_abscissa(bench: &Workbench, side: Side) -> Pair {
    other_r8(bench, side, |r8| r8.x += Fr::ONE)
}

fn false_ordinate(bench: &Workbench, side: Side) -> Pair {
    other_r8(bench, side, |r8| r8.y += Fr::ONE)
}

/// The sum's coordinates are the last variables of the rule.
fn false_sum_abscissa(bench: &Workbench, side: Side) -> Pair {
    let pair = false_abscissa(bench, side);
    let abscissa = bench.last(&side.rule("signature_is_valid")) - 1;
    Pair {
        forged: pair.forged.add(abscissa, Fr::ONE),
        ..pair
    }
}

fn false_sum_ordinate(bench: &Workbench, side: Side) -> Pair {
    let pair = false_ordinate(bench, side);
    let ordinate = bench.last(&side.rule("signature_is_valid"));
    Pair {
        forged: pair.forged.add(ordinate, Fr::ONE),
        ..pair
    }
}

fn set_point(witness: Witness, bench: &Workbench, rule: &str, point: &Point) -> Witness {
    let variables = bench.variables(rule);
    let [.., x, y] = variables.as_slice() else {
        unreachable!("the rule ends with the coordinates of a point");
    };
    witness.set(*x, point.x).set(*y, point.y)
}

fn false_multiple_of_the_key(bench: &Workbench, side: Side) -> Pair {
    let honest = side.batch(bench, &pay(2, 3, 100));
    let mut forged = honest.clone();
    let r8 = times_base(11);
    side.slot(bench, &mut forged).signature = signature(&r8, 5);
    let rule = side.rule("signature_is_valid/variable_base");
    let multiple = r8.add(&times_base(5).neg());
    Pair {
        honest: Witness::of(honest),
        forged: set_point(Witness::of(forged), bench, &rule, &multiple),
    }
}

fn false_multiple_of_the_base(bench: &Workbench, side: Side) -> Pair {
    let honest = side.batch(bench, &pay(2, 3, 100));
    let mut forged = honest.clone();
    let (r8, key) = (times_base(11), key_of(bench, side, &mut forged));
    side.slot(bench, &mut forged).signature = signature(&r8, 5);
    let h = challenge(&r8, &key, &side.message(bench, &forged));
    let h = Scalar::from(BigUint::from(h.into_bigint()));
    let multiple = r8.add(&key.mul_by_cofactor().mul(&h));
    let rule = side.rule("signature_is_valid/fixed_base");
    Pair {
        honest: Witness::of(honest),
        forged: set_point(Witness::of(forged), bench, &rule, &multiple),
    }
}

fn pair(honest: BatchValues, forged: BatchValues) -> Pair {
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged),
    }
}
