//! EdDSA-Poseidon in constraints: twin of `ledger::eddsa`.
//!
//! `S·Base8 = R8 + h·8·A` with `h = Poseidon(R8x, R8y, Ax, Ay, M)`, `S < l` and `h` canonical.
//! `A` comes from a leaf, and every leaf's key is in the prime subgroup (L1 has checked `A = 8Q`).

use ark_ff::BigInteger256;
use ledger::field::Fr;

use crate::{
    babyjubjub::{Edwards, ScalarDigits, mul_base8, mul_by_challenge},
    num::{Cs, Num},
    poseidon,
};

/// A signature as the witness gives it; nothing about it is trusted.
#[derive(Clone, Copy, Debug)]
pub struct SignatureValues {
    /// The two coordinates of the point R8.
    pub r8: (Fr, Fr),
    /// The integer S; only its lowest 251 bits are used.
    pub s: BigInteger256,
}

/// Constrains `signature` to be valid for `message` under `key`.
///
/// Sound because: R8 is forced to equal `S·Base8 − h·8A`, a point of the prime subgroup by
/// construction, so neither torsion nor a point off the curve can satisfy the equation.
pub fn verify(cs: &Cs, key: &Edwards, message: &Num, signature: &SignatureValues) {
    let _scope = cs.rule("signature_is_valid");
    let r8 = Edwards {
        x: cs.witness(signature.r8.0),
        y: cs.witness(signature.r8.1),
    };
    let s = {
        let _scope = cs.rule("s_is_below_the_order");
        ScalarDigits::below_the_order(cs, &signature.s)
    };
    let challenge = {
        let _scope = cs.rule("challenge_hash");
        poseidon::hash(
            cs,
            &[
                r8.x.clone(),
                r8.y.clone(),
                key.x.clone(),
                key.y.clone(),
                message.clone(),
            ],
        )
    };
    let minus_ha = {
        let _scope = cs.rule("variable_base");
        mul_by_challenge(cs, key, &challenge).negated_edwards(cs)
    };
    let sb = {
        let _scope = cs.rule("fixed_base");
        mul_base8(cs, &s)
    };
    let expected = sb.add(cs, &minus_ha);
    cs.enforce_equal(&expected.x, &r8.x);
    cs.enforce_equal(&expected.y, &r8.y);
}
