//! Rank-1 constraint systems as compact, immutable matrices.
//!
//! An [`R1cs`] is everything a prover needs to know about a circuit: for every row `i` it states
//! `(A_i · w) * (B_i · w) = C_i · w`, where the assignment `w` lists the instance variables first
//! (`w[0]` is the constant 1) and the witness variables after them. Coefficients are interned: an
//! entry is two `u32`, a column and an index into one table whose first two values are `1` and `-1`.
//!
//! Invariant: the encoding is canonical. Entries of a row are sorted by column, each column occurs
//! at most once in a row, no coefficient is zero, and coefficients are numbered in the order of
//! their first use. Two systems are equal if and only if their [`R1cs::fingerprint`]s are.
//!
//! What the rows mean, and how an assignment comes about, is left to the circuits.

mod encoding;

use std::collections::HashMap;
use std::sync::OnceLock;

use ark_bn254::Fr;
use ark_ff::{BigInteger, Field, PrimeField, Zero};
use ark_relations::gr1cs::{
    ConstraintSynthesizer, ConstraintSystem, ConstraintSystemRef, LinearCombination,
    OptimizationGoal, R1CS_PREDICATE_LABEL, SynthesisError, SynthesisMode, Variable,
};
use rayon::prelude::*;

use encoding::Parts;

/// BLAKE3 digest of a constraint system's canonical encoding.
pub type Fingerprint = [u8; 32];

/// Label that starts the canonical encoding; it changes with the encoding.
const ENCODING_LABEL: &[u8] = b"quire/r1cs/1";

/// Why a constraint system could not be turned into an [`R1cs`], or an assignment not be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum R1csError {
    /// The circuit failed to synthesise.
    #[error("the circuit could not be synthesised: {0}")]
    Synthesis(SynthesisError),
    /// A linear combination still refers to another one.
    #[error(
        "row {row} refers to a symbolic linear combination: finalize the constraint system first"
    )]
    NotFinalised {
        /// Row of the reference.
        row: usize,
    },
    /// The constraint system has constraints that are not rank-1.
    #[error("predicate {label:?} has {count} constraints; only rank-1 constraints are supported")]
    ForeignPredicate {
        /// Label of the predicate.
        label: String,
        /// Number of its constraints.
        count: usize,
    },
    /// A row names a variable that the system does not have.
    #[error("row {row} names variable {column} of {variables}")]
    NoSuchVariable {
        /// Index of the row, from 0.
        row: usize,
        /// Index of the variable that the row names.
        column: u32,
        /// Number of variables that the system has, the constant 1 included.
        variables: usize,
    },
    /// A count does not fit the 32-bit indices of the compact form.
    #[error("{what}: {count} exceeds the supported {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is of it.
        count: usize,
        /// The greatest count that 32-bit indices allow.
        limit: usize,
    },
    /// Bytes are not those of a constraint system.
    #[error("the bytes of the constraint system {fault}: they are damaged, make them again")]
    Bytes {
        /// What is wrong with them.
        fault: &'static str,
    },
}

impl From<SynthesisError> for R1csError {
    fn from(error: SynthesisError) -> Self {
        Self::Synthesis(error)
    }
}

/// One non-zero of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Index of the variable: instance variables first, then witnesses.
    pub column: u32,
    /// Index into [`R1cs::coefficients`]; 0 is `1`, 1 is `-1`.
    pub coefficient: u32,
}

/// A sparse matrix in compressed rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    row_offsets: Vec<u32>,
    entries: Vec<Entry>,
}

impl Matrix {
    fn with_rows(rows: usize) -> Self {
        let mut row_offsets = Vec::with_capacity(rows + 1);
        row_offsets.push(0);
        Self {
            row_offsets,
            entries: Vec::new(),
        }
    }

    /// The non-zeros of row `row`, by ascending column.
    ///
    /// # Panics
    /// If `row` is not below the number of rows.
    pub fn row(&self, row: usize) -> &[Entry] {
        &self.entries[self.row_offsets[row] as usize..self.row_offsets[row + 1] as usize]
    }

    /// Number of non-zeros in all rows together.
    pub fn non_zeros(&self) -> usize {
        self.entries.len()
    }

    /// All non-zeros, row by row.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Number of rows, empty ones included.
    pub fn rows(&self) -> usize {
        self.row_offsets.len() - 1
    }

    fn close_row(&mut self) -> Result<(), R1csError> {
        self.row_offsets
            .push(to_u32("non-zeros of a matrix", self.entries.len())?);
        Ok(())
    }
}

/// A rank-1 constraint system over BN254's scalar field; see the module's head.
#[derive(Clone, Debug)]
pub struct R1cs {
    num_instance: usize,
    num_witness: usize,
    a: Matrix,
    b: Matrix,
    c: Matrix,
    coefficients: Vec<Fr>,
    fingerprint: OnceLock<Fingerprint>,
}

impl R1cs {
    /// Copies the matrices out of a finalised arkworks constraint system, one row at a time.
    ///
    /// # Errors
    /// [`R1csError::NotFinalised`] when linear combinations have not been inlined,
    /// [`R1csError::ForeignPredicate`] when there are constraints other than rank-1 ones,
    /// [`R1csError::TooLarge`] when a count exceeds 32 bits, and
    /// [`R1csError::Synthesis`] when `cs` holds no constraint system.
    pub fn from_constraint_system(cs: &ConstraintSystemRef<Fr>) -> Result<Self, R1csError> {
        let cs = cs.borrow().ok_or(SynthesisError::MissingCS)?;
        Builder::new(&cs)?.build()
    }

    /// Synthesises `circuit` in setup mode (no values are needed) and copies its matrices.
    ///
    /// # Errors
    /// As [`R1cs::from_constraint_system`], and the circuit's own synthesis error.
    pub fn of(circuit: impl ConstraintSynthesizer<Fr>) -> Result<Self, R1csError> {
        let cs = ConstraintSystem::<Fr>::new_ref();
        cs.set_optimization_goal(OptimizationGoal::Constraints);
        cs.set_mode(SynthesisMode::Setup);
        circuit.generate_constraints(cs.clone())?;
        cs.finalize();
        Self::from_constraint_system(&cs)
    }

    /// Number of instance variables, the constant 1 included.
    pub fn num_instance(&self) -> usize {
        self.num_instance
    }

    /// Number of witness variables.
    pub fn num_witness(&self) -> usize {
        self.num_witness
    }

    /// Number of variables: the length of an assignment.
    pub fn num_variables(&self) -> usize {
        self.num_instance + self.num_witness
    }

    /// Number of constraints: the rows of each matrix.
    pub fn num_constraints(&self) -> usize {
        self.a.rows()
    }

    /// The matrix A of the left factors.
    pub fn a(&self) -> &Matrix {
        &self.a
    }

    /// The matrix B of the right factors.
    pub fn b(&self) -> &Matrix {
        &self.b
    }

    /// The matrix C of the products.
    pub fn c(&self) -> &Matrix {
        &self.c
    }

    /// Values of the coefficient indices; the first two are `1` and `-1`.
    pub fn coefficients(&self) -> &[Fr] {
        &self.coefficients
    }

    /// Inner product of a row with `assignment`.
    ///
    /// # Panics
    /// If `assignment` is shorter than [`R1cs::num_variables`].
    pub fn evaluate_row(&self, row: &[Entry], assignment: &[Fr]) -> Fr {
        row.iter().fold(Fr::zero(), |sum, entry| {
            let value = &assignment[entry.column as usize];
            match entry.coefficient {
                0 => sum + value,
                1 => sum - value,
                other => sum + self.coefficients[other as usize] * value,
            }
        })
    }

    /// Looks for the first row that `assignment` (instance first) violates, in parallel.
    ///
    /// # Errors
    /// The index of the first violated row.
    ///
    /// # Panics
    /// If the length of `assignment` is not [`R1cs::num_variables`].
    pub fn is_satisfied(&self, assignment: &[Fr]) -> Result<(), usize> {
        assert_eq!(
            assignment.len(),
            self.num_variables(),
            "length of the assignment"
        );
        let violated = |row: usize| {
            let a = self.evaluate_row(self.a.row(row), assignment);
            let b = self.evaluate_row(self.b.row(row), assignment);
            a * b != self.evaluate_row(self.c.row(row), assignment)
        };
        match (0..self.num_constraints())
            .into_par_iter()
            .with_min_len(256)
            .position_first(violated)
        {
            Some(row) => Err(row),
            None => Ok(()),
        }
    }

    /// The system as bytes; see the head of `encoding`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let rows_of = |matrix: &Matrix| -> encoding::Rows {
            let entries = matrix.entries.iter();
            let entries = entries.map(|entry| [entry.column, entry.coefficient]);
            (matrix.row_offsets.clone(), entries.collect())
        };
        let parts = Parts {
            instance: self.num_instance,
            witness: self.num_witness,
            coefficients: self.coefficients.clone(),
            matrices: [&self.a, &self.b, &self.c].map(rows_of),
        };
        parts.encode()
    }

    /// Bytes that tell how many a system has.
    pub const HEAD_BYTES: usize = encoding::HEAD_BYTES;

    /// How many bytes a system has that begins with `head`, for whoever reads it from a file of others.
    pub fn announced_bytes(head: &[u8; Self::HEAD_BYTES]) -> u64 {
        encoding::announced_bytes(head)
    }

    /// Reads a system from its bytes.
    ///
    /// # Errors
    /// [`R1csError::Bytes`] unless they are those of a system.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, R1csError> {
        let parts = Parts::decode(bytes).map_err(|fault| R1csError::Bytes { fault })?;
        let [a, b, c] = parts.matrices.map(|(row_offsets, entries)| {
            let entry = |[column, coefficient]: [u32; 2]| Entry {
                column,
                coefficient,
            };
            let entries = entries.into_iter().map(entry).collect();
            Matrix {
                row_offsets,
                entries,
            }
        });
        Ok(Self {
            num_instance: parts.instance,
            num_witness: parts.witness,
            a,
            b,
            c,
            coefficients: parts.coefficients,
            fingerprint: OnceLock::new(),
        })
    }

    /// BLAKE3 over the canonical encoding of all counts, coefficients and entries; computed once.
    pub fn fingerprint(&self) -> Fingerprint {
        *self.fingerprint.get_or_init(|| self.compute_fingerprint())
    }

    fn compute_fingerprint(&self) -> Fingerprint {
        let mut hasher = blake3::Hasher::new();
        hasher.update(ENCODING_LABEL);
        let counts = [
            self.num_instance,
            self.num_witness,
            self.num_constraints(),
            self.coefficients.len(),
        ];
        for count in counts {
            hasher.update(&(count as u64).to_le_bytes());
        }
        for coefficient in &self.coefficients {
            hasher.update(&coefficient.into_bigint().to_bytes_le());
        }
        for matrix in [&self.a, &self.b, &self.c] {
            hash_words(&mut hasher, matrix.row_offsets.iter().copied());
            hash_words(
                &mut hasher,
                matrix
                    .entries
                    .iter()
                    .flat_map(|e| [e.column, e.coefficient]),
            );
        }
        *hasher.finalize().as_bytes()
    }
}

/// The assignment (instance variables first, then witnesses) that `circuit` makes; no matrices are
/// built and nothing is checked.
///
/// # Errors
/// The circuit's synthesis error.
pub fn assignment_of(circuit: impl ConstraintSynthesizer<Fr>) -> Result<Vec<Fr>, R1csError> {
    let cs = ConstraintSystem::<Fr>::new_ref();
    cs.set_mode(SynthesisMode::Prove {
        construct_matrices: false,
        generate_lc_assignments: false,
    });
    circuit.generate_constraints(cs.clone())?;
    let mut cs = cs.borrow_mut().ok_or(SynthesisError::MissingCS)?;
    let mut assignment = std::mem::take(&mut cs.assignments.instance_assignment);
    let witness = std::mem::take(&mut cs.assignments.witness_assignment);
    assignment.reserve_exact(witness.len());
    assignment.extend_from_slice(&witness);
    Ok(assignment)
}

fn hash_words(hasher: &mut blake3::Hasher, words: impl Iterator<Item = u32>) {
    let mut buffer = Vec::with_capacity(1 << 16);
    for word in words {
        buffer.extend_from_slice(&word.to_le_bytes());
        if buffer.len() == 1 << 16 {
            hasher.update(&buffer);
            buffer.clear();
        }
    }
    hasher.update(&buffer);
}

fn to_u32(what: &'static str, count: usize) -> Result<u32, R1csError> {
    u32::try_from(count).map_err(|_| R1csError::TooLarge {
        what,
        count,
        limit: u32::MAX as usize,
    })
}

/// Gathers the rows of a constraint system, interning coefficients on the way.
struct Builder<'a> {
    cs: &'a ConstraintSystem<Fr>,
    /// Lookups only; numbering follows first use, never the map's order.
    ids: HashMap<Fr, u32>,
    coefficients: Vec<Fr>,
    row: Vec<(u32, Fr)>,
}

impl<'a> Builder<'a> {
    fn new(cs: &'a ConstraintSystem<Fr>) -> Result<Self, R1csError> {
        for (label, predicate) in &cs.predicate_constraint_systems {
            let count = predicate.num_constraints();
            if label != R1CS_PREDICATE_LABEL && count > 0 {
                return Err(R1csError::ForeignPredicate {
                    label: label.clone(),
                    count,
                });
            }
        }
        to_u32("variables", cs.num_variables())?;
        let coefficients = vec![Fr::ONE, -Fr::ONE];
        let ids = coefficients.iter().copied().zip(0..).collect();
        Ok(Self {
            cs,
            ids,
            coefficients,
            row: Vec::new(),
        })
    }

    fn build(mut self) -> Result<R1cs, R1csError> {
        let columns: &[Vec<Variable>] = match self
            .cs
            .predicate_constraint_systems
            .get(R1CS_PREDICATE_LABEL)
        {
            Some(predicate) => predicate.get_constraints(),
            None => &[],
        };
        let [a, b, c] = [0, 1, 2].map(|k| columns.get(k).map_or(&[][..], Vec::as_slice));
        Ok(R1cs {
            num_instance: self.cs.num_instance_variables(),
            num_witness: self.cs.num_witness_variables(),
            a: self.matrix(a)?,
            b: self.matrix(b)?,
            c: self.matrix(c)?,
            coefficients: self.coefficients,
            fingerprint: OnceLock::new(),
        })
    }

    fn matrix(&mut self, rows: &[Variable]) -> Result<Matrix, R1csError> {
        let mut matrix = Matrix::with_rows(rows.len());
        for (row, &variable) in rows.iter().enumerate() {
            self.load_row(row, &self.cs.get_lc(variable))?;
            for k in 0..self.row.len() {
                let (column, value) = self.row[k];
                let coefficient = self.intern(value)?;
                matrix.entries.push(Entry {
                    column,
                    coefficient,
                });
            }
            matrix.close_row()?;
        }
        matrix.entries.shrink_to_fit();
        Ok(matrix)
    }

    /// Brings one linear combination into `self.row`: sorted, merged, without zeros.
    fn load_row(&mut self, row: usize, lc: &LinearCombination<Fr>) -> Result<(), R1csError> {
        self.row.clear();
        let witness_offset = self.cs.num_instance_variables();
        for &(value, variable) in lc.iter() {
            if variable.is_zero() {
                continue;
            }
            let column = variable
                .get_variable_index(witness_offset)
                .ok_or(R1csError::NotFinalised { row })?;
            self.row.push((to_u32("columns", column)?, value));
        }
        tidy(&mut self.row);
        Ok(())
    }

    fn intern(&mut self, value: Fr) -> Result<u32, R1csError> {
        if let Some(&id) = self.ids.get(&value) {
            return Ok(id);
        }
        let id = to_u32("coefficients", self.coefficients.len())?;
        self.coefficients.push(value);
        self.ids.insert(value, id);
        Ok(id)
    }
}

/// Gathers a constraint system row by row, for systems that come from elsewhere.
///
/// The result is canonical whatever the order of terms: it has the fingerprint of the same system
/// built by arkworks.
pub struct Rows {
    num_instance: usize,
    num_witness: usize,
    matrices: [Matrix; 3],
    /// Lookups only; numbering follows first use, never the map's order.
    ids: HashMap<Fr, u32>,
    values: Vec<Fr>,
    row: Vec<(u32, Fr)>,
}

impl Rows {
    /// A system without rows. `num_instance` counts the constant 1.
    ///
    /// # Errors
    /// [`R1csError::TooLarge`] for 2^32 variables or more.
    pub fn new(num_instance: usize, num_witness: usize) -> Result<Self, R1csError> {
        to_u32("variables", num_instance.saturating_add(num_witness))?;
        Ok(Self {
            num_instance,
            num_witness,
            matrices: [(); 3].map(|()| Matrix::with_rows(0)),
            ids: HashMap::new(),
            values: Vec::new(),
            row: Vec::new(),
        })
    }

    /// Appends a row from the terms of A, B and C. Terms of one variable are added up.
    ///
    /// # Errors
    /// [`R1csError::NoSuchVariable`], or [`R1csError::TooLarge`] beyond 32-bit indices.
    pub fn push(&mut self, terms: [&[(u32, Fr)]; 3]) -> Result<(), R1csError> {
        let variables = self.num_instance + self.num_witness;
        for (matrix, terms) in self.matrices.iter_mut().zip(terms) {
            let beyond = terms
                .iter()
                .find(|(column, _)| *column as usize >= variables);
            if let Some(&(column, _)) = beyond {
                let row = matrix.rows();
                return Err(R1csError::NoSuchVariable {
                    row,
                    column,
                    variables,
                });
            }
            self.row.clear();
            self.row.extend_from_slice(terms);
            tidy(&mut self.row);
            for &(column, value) in &self.row {
                let next = to_u32("coefficients", self.values.len())?;
                let coefficient = *self.ids.entry(value).or_insert(next);
                if coefficient == next {
                    self.values.push(value);
                }
                matrix.entries.push(Entry {
                    column,
                    coefficient,
                });
            }
            matrix.close_row()?;
        }
        Ok(())
    }

    /// The system.
    ///
    /// # Errors
    /// [`R1csError::TooLarge`] beyond 32-bit indices.
    pub fn finish(self) -> Result<R1cs, R1csError> {
        // Renumbered in the canonical order: all of A, then B, then C.
        let mut coefficients = vec![Fr::ONE, -Fr::ONE];
        let mut canonical: Vec<Option<u32>> = (self.values.iter())
            .map(|value| {
                [0, 1]
                    .into_iter()
                    .find(|&id| coefficients[id as usize] == *value)
            })
            .collect();
        let mut matrices = self.matrices;
        for entry in matrices.iter_mut().flat_map(|matrix| &mut matrix.entries) {
            let id = entry.coefficient as usize;
            entry.coefficient = match canonical[id] {
                Some(known) => known,
                None => {
                    let next = to_u32("coefficients", coefficients.len())?;
                    coefficients.push(self.values[id]);
                    canonical[id] = Some(next);
                    next
                }
            };
        }
        let [a, b, c] = matrices;
        Ok(R1cs {
            num_instance: self.num_instance,
            num_witness: self.num_witness,
            a,
            b,
            c,
            coefficients,
            fingerprint: OnceLock::new(),
        })
    }
}

/// Sorts and merges the terms of a row; zeros go.
fn tidy(row: &mut Vec<(u32, Fr)>) {
    row.sort_by_key(|&(column, _)| column);
    row.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    row.retain(|(_, value)| !value.is_zero());
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_relations::lc;

    /// `x * y = out`, `(2x + y) * (x - y) = w`, with `out` public.
    struct Small {
        x: u64,
        y: u64,
        factor: u64,
    }

    impl ConstraintSynthesizer<Fr> for Small {
        fn generate_constraints(self, cs: ConstraintSystemRef<Fr>) -> Result<(), SynthesisError> {
            let (x, y) = (Fr::from(self.x), Fr::from(self.y));
            let factor = Fr::from(self.factor);
            let out = cs.new_input_variable(|| Ok(x * y))?;
            let vx = cs.new_witness_variable(|| Ok(x))?;
            let vy = cs.new_witness_variable(|| Ok(y))?;
            let w = cs.new_witness_variable(|| Ok((factor * x + y) * (x - y)))?;
            cs.enforce_r1cs_constraint(|| lc!() + vx, || lc!() + vy, || lc!() + out)?;
            cs.enforce_r1cs_constraint(
                || lc!() + (factor, vx) + vy,
                || lc!() + vx - vy,
                || lc!() + w + (Fr::zero(), vx),
            )
        }
    }

    fn small(factor: u64) -> Small {
        Small { x: 7, y: 3, factor }
    }

    #[test]
    fn rows_are_copied_in_canonical_form() {
        let r1cs = R1cs::of(small(2)).expect("the circuit synthesises");
        assert_eq!(
            (
                r1cs.num_instance(),
                r1cs.num_witness(),
                r1cs.num_constraints()
            ),
            (2, 3, 2)
        );
        assert_eq!(
            (
                r1cs.a().non_zeros(),
                r1cs.b().non_zeros(),
                r1cs.c().non_zeros()
            ),
            (3, 3, 2)
        );
        assert_eq!(
            r1cs.coefficients(),
            [Fr::from(1), -Fr::from(1), Fr::from(2)]
        );
        let entry = |column, coefficient| Entry {
            column,
            coefficient,
        };
        assert_eq!(r1cs.a().row(1), [entry(2, 2), entry(3, 0)]);
        assert_eq!(r1cs.b().row(1), [entry(2, 0), entry(3, 1)]);
        assert_eq!(r1cs.c().row(1), [entry(4, 0)]);
    }

    #[test]
    fn the_first_violated_row_is_found() {
        let r1cs = R1cs::of(small(2)).expect("the circuit synthesises");
        let assignment = assignment_of(small(2)).expect("the circuit synthesises");
        assert_eq!(r1cs.is_satisfied(&assignment), Ok(()));
        let mut bad_product = assignment.clone();
        bad_product[4] += Fr::from(1);
        assert_eq!(r1cs.is_satisfied(&bad_product), Err(1));
        let mut bad_factor = assignment;
        bad_factor[2] += Fr::from(1);
        assert_eq!(r1cs.is_satisfied(&bad_factor), Err(0));
    }

    #[test]
    fn the_fingerprint_depends_on_coefficients_and_not_on_values() {
        let of = |circuit: Small| {
            R1cs::of(circuit)
                .expect("the circuit synthesises")
                .fingerprint()
        };
        assert_eq!(
            of(small(2)),
            of(Small {
                x: 1,
                y: 9,
                factor: 2
            })
        );
        assert_ne!(of(small(2)), of(small(3)));
    }

    #[test]
    fn an_unfinalised_system_is_refused() {
        let cs = ConstraintSystem::<Fr>::new_ref();
        let x = cs.new_witness_variable(|| Ok(Fr::from(2))).unwrap();
        let twice = cs.new_lc(|| lc!() + x + x).unwrap();
        cs.enforce_r1cs_constraint(|| lc!() + twice + x, || lc!() + x, || lc!() + twice + twice)
            .unwrap();
        let error = R1cs::from_constraint_system(&cs).expect_err("a symbolic combination is left");
        assert_eq!(error, R1csError::NotFinalised { row: 0 });
    }

    fn sample() -> R1cs {
        let (one, seven) = (Fr::ONE, Fr::from(7u64));
        let mut rows = Rows::new(2, 3).unwrap();
        rows.push([&[(2, one), (3, seven)], &[(0, -one)], &[(1, one)]])
            .unwrap();
        rows.push([&[], &[], &[(4, Fr::from(9u64)), (2, -seven)]])
            .unwrap();
        rows.finish().unwrap()
    }

    #[test]
    fn a_system_comes_back_from_its_bytes() {
        let empty = Rows::new(1, 0).unwrap().finish().unwrap();
        for system in [sample(), empty] {
            let back = R1cs::from_bytes(&system.to_bytes()).unwrap();
            assert_eq!(back.fingerprint(), system.fingerprint());
            assert_eq!(back.coefficients(), system.coefficients());
            assert_eq!(back.to_bytes(), system.to_bytes());
        }
    }

    /// Any byte changed gives another system or none; what is no canonical system is none.
    #[test]
    fn other_bytes_are_another_system_or_none() {
        let good = sample().to_bytes();
        for at in 0..good.len() {
            for flip in [1, 2, 0x80] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                if let Ok(other) = R1cs::from_bytes(&bad) {
                    assert_ne!(other.fingerprint(), sample().fingerprint(), "byte {at}");
                    assert_eq!(other.to_bytes(), bad, "byte {at}");
                }
            }
        }
        for cut in 0..good.len() {
            assert!(R1cs::from_bytes(&good[..cut]).is_err(), "{cut} bytes");
        }
        let mut longer = good;
        longer.push(0);
        assert!(R1cs::from_bytes(&longer).is_err());
    }
}
