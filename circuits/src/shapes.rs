//! The shapes that come with the project, and what a shape costs.

use std::collections::BTreeMap;

use ark_relations::gr1cs::{ConstraintSystem, SynthesisMode};
use ledger::{
    field::Fr,
    shape::Shape,
    state::State,
    transition::{BatchContext, Transition},
};
use r1cs::{R1cs, R1csError};

use crate::{
    num::RuleMap,
    transition::{BatchCircuit, BatchValues},
};

/// The named shapes. `tN` has transfers and fees only, `mN` all operations, `qN` what L1 asks for (its
/// queue, and withdrawals); they fill a domain of `2^N` as far as even capacities allow. `tiny` is for tests and small enough for any machine.
///
/// Ids are part of every deployment that lists the shape: append, never change.
pub const SHAPES: [(&str, Shape); 10] = [
    ("tiny", shape(1, 4, 1, [2, 2, 2], 2)),
    ("t16", shape(16, 12, 3, [0, 2, 0], 4)),
    ("m16", shape(17, 12, 3, [4, 0, 2], 2)),
    ("t18", shape(18, 12, 3, [0, 16, 0], 2)),
    ("m18", shape(19, 12, 3, [16, 6, 6], 2)),
    ("t20", shape(20, 12, 3, [0, 70, 0], 2)),
    ("m20", shape(21, 12, 3, [100, 24, 8], 2)),
    ("t22", shape(22, 12, 3, [0, 284, 0], 4)),
    ("m22", shape(24, 12, 3, [162, 188, 48], 4)),
    ("q18", shape(25, 12, 3, [36, 0, 2], 2)),
];

/// The shape with these sizes; `slots` are those of L1 operations, transfers and withdrawals. Nothing is
/// checked: see [`Shape::validate`].
pub const fn shape(id: u16, depth: u8, cached_levels: u8, slots: [u16; 3], fee_slots: u8) -> Shape {
    let [l1_ops, transfers, withdrawals] = slots;
    Shape {
        id,
        depth,
        l1_ops,
        transfers,
        withdrawals,
        fee_slots,
        cached_levels,
    }
}

/// The named shape called `name`.
pub fn by_name(name: &str) -> Option<Shape> {
    SHAPES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, shape)| *shape)
}

/// The name of a shape, if it is one of [`SHAPES`].
pub fn name_of(shape: &Shape) -> Option<&'static str> {
    SHAPES
        .iter()
        .find(|(_, known)| known == shape)
        .map(|(name, _)| *name)
}

/// A shape's matrices and the rule behind each row.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The matrices of the circuit.
    pub r1cs: R1cs,
    /// The rule that each row belongs to.
    pub rules: RuleMap,
}

/// Values of a batch of `shape` without operations, on an empty tree.
///
/// The circuit does not depend on values: this is what setup synthesises.
pub fn padding(shape: &Shape) -> BatchValues {
    let mut state = State::new(shape.depth);
    let context = BatchContext {
        domain: Fr::from(0u64),
        batch_number: 1,
        timestamp: 0,
        fee_accounts: BTreeMap::new(),
    };
    let applied = Transition::begin(&state, shape, context)
        .expect("a valid shape can be begun on an empty state of its depth")
        .finish(&mut state)
        .expect("an empty batch can be finished");
    BatchValues::of(&applied.witness).expect("the witness has the shape's lengths")
}

/// The matrices of the circuit for `shape`.
///
/// # Errors
/// [`R1csError::TooLarge`] for shapes beyond 32-bit indices.
pub fn compile(shape: &Shape) -> Result<Compiled, R1csError> {
    let cs = ConstraintSystem::<Fr>::new_ref();
    cs.set_mode(SynthesisMode::Setup);
    let rules = BatchCircuit(padding(shape)).synthesize(cs.clone());
    Ok(Compiled {
        r1cs: R1cs::from_constraint_system(&cs)?,
        rules,
    })
}
