//! The 4-ary state tree in constraints: twin of `ledger::tree`.
//!
//! An update recomputes the old and the new subtree root from *one* path: the children that the
//! witness gives for a level are the old ones, the old node must stand among them at the index's
//! position, and the new children differ there only. The top `K` levels are a list of `4^K` cached
//! subtree roots that updates read and write in order; they are hashed once at the start and once
//! at the end of the batch.

use ark_ff::{AdditiveGroup, Field};
use ledger::field::Fr;

use crate::{
    num::{Bit, Cs, Num, bilinear},
    poseidon::{compress4, compress4_after_first_sboxes, first_constant, first_sbox},
};

/// What becomes of the cached subtree roots after an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// They stay linear combinations of the old roots and of the change: 32 constraints less,
    /// right when another update of the same slot follows.
    Combined,
    /// They become fresh variables, so that combinations never grow from slot to slot.
    Fresh,
}

/// Replaces `old_leaf` by `new_leaf` at the index behind `index` (2 bits a level, lowest first) and
/// updates the cached roots.
///
/// `children` are the four old children of each hashed level, from the leaves up.
pub fn update(
    cs: &Cs,
    index: &[Bit],
    children: &[[Fr; 4]],
    leaves: (&Num, &Num),
    roots: &mut Vec<Num>,
    written: Written,
) {
    let (path, top) = index.split_at(2 * children.len());
    let top = &top[..roots.len().ilog2() as usize];
    let (mut old, mut new) = (leaves.0.clone(), leaves.1.clone());
    {
        let _scope = cs.rule("leaf_is_in_tree");
        for (bits, values) in path.chunks_exact(2).zip(children) {
            (old, new) = level(cs, bits, values, &old, &new);
        }
    }
    let _scope = cs.rule("cached_root_is_current");
    enforce_selected(cs, top, roots, &old);
    *roots = write(cs, top, roots, &(&new - &old), written);
}

/// One level: the old node stands among `values` at the position behind two bits; returns the old
/// and the new parent.
///
/// The two compressions differ in one input, so the new one reuses the old one's first S-boxes and
/// adds, at the position only, the difference between the new node's S-box and the old one's.
fn level(cs: &Cs, bits: &[Bit], values: &[Fr; 4], old: &Num, new: &Num) -> (Num, Num) {
    cs.named("children");
    let children = values.map(|value| cs.witness(value));
    enforce_selected(cs, bits, &children, old);

    let constants: [Fr; 4] = std::array::from_fn(first_constant);
    let fifth: [Num; 4] =
        std::array::from_fn(|i| first_sbox(cs, &children[i], &Num::constant(constants[i])));
    let (low, high) = (bits[0].num(), bits[1].num());
    let both = cs.mul(low, high);
    let constant = bilinear(&constants, low, high, &both);
    let change = &first_sbox(cs, new, &constant) - &selected(cs, bits, &fifth);
    let changed: [Num; 4] = {
        let shares = spread(cs, bits, change);
        std::array::from_fn(|i| &fifth[i] + &shares[i])
    };
    let first = bilinear(&[Fr::ONE, Fr::ZERO, Fr::ZERO, Fr::ZERO], low, high, &both);
    let new_first = &children[0] + &cs.mul(&(new - old), &first);
    (
        compress4_after_first_sboxes(cs, &fifth, &children[0]),
        compress4_after_first_sboxes(cs, &changed, &new_first),
    )
}

/// `items[index]` for the index behind `bits`, lowest first.
fn selected(cs: &Cs, bits: &[Bit], items: &[Num]) -> Num {
    let mut layer = items.to_vec();
    for bit in bits {
        layer = fold_pairs(cs, bit, &layer);
    }
    layer.swap_remove(0)
}

/// Of each pair the first item where `bit` is 0, the second where it is 1.
fn fold_pairs(cs: &Cs, bit: &Bit, items: &[Num]) -> Vec<Num> {
    items
        .chunks_exact(2)
        .map(|pair| &pair[0] + &cs.mul(&(&pair[1] - &pair[0]), bit.num()))
        .collect()
}

/// `2^n` numbers for `n` bits (lowest first): `share` at the index behind them, elsewhere 0.
fn spread(cs: &Cs, bits: &[Bit], share: Num) -> Vec<Num> {
    bits.iter().rev().fold(vec![share], |shares, bit| {
        shares
            .iter()
            .flat_map(|share| {
                let set = cs.mul(share, bit.num());
                [share - &set, set]
            })
            .collect()
    })
}

/// Constrains `items[index] = expected` for the index behind `bits`, lowest first.
fn enforce_selected(cs: &Cs, bits: &[Bit], items: &[Num], expected: &Num) {
    let Some((last, lower)) = bits.split_last() else {
        return cs.enforce_equal(&items[0], expected);
    };
    let mut layer = items.to_vec();
    for bit in lower {
        layer = fold_pairs(cs, bit, &layer);
    }
    cs.enforce(
        &(&layer[1] - &layer[0]),
        last.num(),
        &(expected - &layer[0]),
    );
}

/// The roots after adding `change` at the index behind `bits`, lowest first.
fn write(cs: &Cs, bits: &[Bit], roots: &[Num], change: &Num, written: Written) -> Vec<Num> {
    let Some((last, upper)) = bits.split_first() else {
        return vec![&roots[0] + change];
    };
    if written == Written::Combined {
        let shares = spread(cs, bits, change.clone());
        return roots
            .iter()
            .zip(&shares)
            .map(|(root, share)| root + share)
            .collect();
    }
    let shares = spread(cs, upper, change.clone());
    shares
        .iter()
        .zip(roots.chunks_exact(2))
        .flat_map(|(share, pair)| {
            let even = fresh_sum(cs, &pair[0], share, &last.not());
            let odd = fresh_sum(cs, &pair[1], share, last);
            [even, odd]
        })
        .collect()
}

/// `root + share·bit` as a fresh variable.
fn fresh_sum(cs: &Cs, root: &Num, share: &Num, bit: &Bit) -> Num {
    let sum = cs.witness(root.value() + share.value() * bit.num().value());
    cs.enforce_with(share, bit.num(), || &sum - root);
    sum
}

/// The root above the cached roots.
pub fn root_of(cs: &Cs, roots: &[Num]) -> Num {
    let mut layer = roots.to_vec();
    while layer.len() > 1 {
        layer = layer
            .chunks_exact(4)
            .map(|group| compress4(cs, group.try_into().expect("chunks of four")))
            .collect();
    }
    layer.swap_remove(0)
}
