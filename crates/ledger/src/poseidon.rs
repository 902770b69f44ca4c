//! Poseidon over BN254's scalar field with circomlib's constants, widths `t` = 2 to 9 (Grassi,
//! Khovratovich, Rechberger, Roy, Schofnegger, "Poseidon", ePrint 2019/458), and `compress4`, the
//! 4-to-1 compression of the tree (ePrint 2023/323, section 3.1).
//!
//! Invariant: [`permute`] computes the plain permutation's function. It does so in the optimised
//! form below, whose constants are derived here from the plain ones (ePrint 2019/458, appendix B).
//! The plain ones are computed as the paper says (its appendix E), by a library; the vectors pin them to
//! circomlib's.
//!
//! # Plain form
//!
//! `R_F` = 8 full rounds, half before and half after `R_P` partial rounds. Round `i`:
//! `s[j] += round_constants[i][j]` for every lane `j`; the S-box `x⁵` on every lane (full round) or
//! on lane 0 only (partial round); `s = mds · s`, that is `s'[j] = Σ_k mds[j][k]·s[k]`.
//!
//! # Optimised form, in this order
//!
//! 1. First half, for `i` in `0..R_F/2`: `s[j] += first_constants[i][j]` for every lane; `s[j] =
//!    s[j]⁵` for every lane; `s = M·s` with `M = mds`, except in the half's last round, where
//!    `M = pre_sparse`.
//! 2. Partial rounds, for `i` in `0..R_P`: `x = (s[0] + partial_constants[i])⁵`; then at once
//!    `s'[0] = row[0]·x + Σ_{j≥1} row[j]·s[j]` and `s'[j] = s[j] + col[j−1]·x` for `j ≥ 1`, where
//!    `row`, `col` are those of `sparse[i]`. No constant is added to lanes 1 and up.
//! 3. Second half, for `i` in `0..R_F/2`: `s[j] += last_constants[i][j]`; `s[j] = s[j]⁵`;
//!    `s = mds·s`, the last round included.
//!
//! # Why the two agree
//!
//! Constants: in a partial round lanes 1 and up are linear, so their constants pass the round as
//! `mds·(0, c₁, …)` and join the next round's constants; what is left is one constant a round, and
//! the first round of the second half takes the remainder (`last_constants[0]`).
//!
//! Matrices: any `M = [[m, v], [w, N]]` equals `[[m, v·N⁻¹], [w, 1]] · [[1, 0], [0, N]]`. The right
//! factor leaves lane 0 alone, so it moves before the S-box and the constant of its round and is
//! multiplied into the matrix of the round before. From the last partial round backwards each
//! round keeps the sparse left factor; what arrives at the end gives `pre_sparse`.

use std::sync::OnceLock;

use ark_crypto_primitives::sponge::poseidon::find_poseidon_ark_and_mds;
use ark_ff::{Field, One, PrimeField, Zero};

use crate::field::Fr;

/// Smallest width: one input and the capacity element.
pub const MIN_WIDTH: usize = 2;
/// Largest width: eight inputs and the capacity element.
pub const MAX_WIDTH: usize = 9;
/// Most inputs of [`hash`].
pub const MAX_INPUTS: usize = MAX_WIDTH - 1;
/// Number of widths.
const WIDTHS: usize = MAX_WIDTH - MIN_WIDTH + 1;
/// `R_F`, the same for every width.
const FULL_ROUNDS: usize = 8;
/// `R_P` by width, from [`MIN_WIDTH`] on, as circomlib chose it.
const PARTIAL_ROUNDS: [usize; WIDTHS] = [56, 57, 56, 60, 60, 63, 64, 63];

/// The matrix of one partial round of the optimised form: the identity except for row 0 and
/// column 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sparse {
    /// Row 0: `t` entries, the first of which multiplies the S-box's output.
    pub row: Vec<Fr>,
    /// Column 0 from row 1 down: `t − 1` entries, `col[j − 1]` adding to lane `j`.
    pub col: Vec<Fr>,
}

/// The constants of one width, plain and optimised. The module head says how they are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Lanes of the state, 2 to 9.
    pub t: usize,
    /// `R_F`, rounds with every lane's S-box: 8.
    pub full_rounds: usize,
    /// `R_P`, rounds with lane 0's S-box alone: 56 to 64 by width.
    pub partial_rounds: usize,
    /// Plain form: `R_F + R_P` rows of `t` constants, added before the S-boxes.
    pub round_constants: Vec<Vec<Fr>>,
    /// Plain form, and full rounds of the optimised one: `t` rows of `t` entries.
    pub mds: Vec<Vec<Fr>>,
    /// Optimised form: `R_F/2` rows of `t` constants, those of the plain form.
    pub first_constants: Vec<Vec<Fr>>,
    /// Optimised form: the matrix after the last full round of the first half, in place of `mds`.
    pub pre_sparse: Vec<Vec<Fr>>,
    /// Optimised form: `R_P` constants, one a partial round, added to lane 0 before its S-box.
    pub partial_constants: Vec<Fr>,
    /// Optimised form: `R_P` matrices, one a partial round.
    pub sparse: Vec<Sparse>,
    /// Optimised form: `R_F/2` rows of `t` constants, the first with the partial rounds' remainder.
    pub last_constants: Vec<Vec<Fr>>,
}

/// The constants of width `t`, computed on first use.
///
/// # Panics
/// When `t` is outside [`MIN_WIDTH`]`..=`[`MAX_WIDTH`].
#[must_use]
pub fn params(t: usize) -> &'static Params {
    static ALL: [OnceLock<Params>; WIDTHS] = [const { OnceLock::new() }; WIDTHS];
    assert!(
        (MIN_WIDTH..=MAX_WIDTH).contains(&t),
        "Poseidon width: expected {MIN_WIDTH} to {MAX_WIDTH}, got {t}"
    );
    ALL[t - MIN_WIDTH].get_or_init(|| derive(t))
}

/// Applies the permutation of width `state.len()` in place.
///
/// # Panics
/// When the width is outside [`MIN_WIDTH`]`..=`[`MAX_WIDTH`].
pub fn permute(state: &mut [Fr]) {
    match state.len() {
        2 => permute_slice::<2>(state, &TABLE_2),
        3 => permute_slice::<3>(state, &TABLE_3),
        4 => permute_slice::<4>(state, &TABLE_4),
        5 => permute_slice::<5>(state, &TABLE_5),
        6 => permute_slice::<6>(state, &TABLE_6),
        7 => permute_slice::<7>(state, &TABLE_7),
        8 => permute_slice::<8>(state, &TABLE_8),
        9 => permute_slice::<9>(state, &TABLE_9),
        t => panic!("Poseidon width: expected {MIN_WIDTH} to {MAX_WIDTH}, got {t}"),
    }
}

/// Circomlib's `poseidon(inputs)`: the permutation of `(0, inputs…)`, lane 0 of the result.
///
/// # Panics
/// When there are no inputs or more than [`MAX_INPUTS`].
#[must_use]
pub fn hash(inputs: &[Fr]) -> Fr {
    assert!(
        (1..=MAX_INPUTS).contains(&inputs.len()),
        "Poseidon inputs: expected 1 to {MAX_INPUTS}, got {}",
        inputs.len()
    );
    let mut state = [Fr::zero(); MAX_WIDTH];
    let state = &mut state[..=inputs.len()];
    state[1..].copy_from_slice(inputs);
    permute(state);
    state[0]
}

/// `P(x0, x1, x2, x3)[0] + x0`, `P` the permutation of width 4: the compression of leaves, tree
/// nodes and word chains. `compress4(0, a, b, c)` equals `hash(a, b, c)`, so `hash` of three inputs
/// is not used for anything else.
#[must_use]
pub fn compress4(inputs: &[Fr; 4]) -> Fr {
    let mut state = *inputs;
    table(&TABLE_4).permute(&mut state);
    state[0] + inputs[0]
}

type Matrix = Vec<Vec<Fr>>;

/// Computes the plain constants and derives the optimised ones.
fn derive(t: usize) -> Params {
    let partial_rounds = PARTIAL_ROUNDS[t - MIN_WIDTH];
    let (round_constants, mds) = find_poseidon_ark_and_mds::<Fr>(
        Fr::MODULUS_BIT_SIZE.into(),
        t - 1,
        FULL_ROUNDS as u64,
        partial_rounds as u64,
        0,
    );
    let half = FULL_ROUNDS / 2;
    let (partial_constants, last_constants) =
        fold_constants(&round_constants[half..], &mds, partial_rounds);
    let (pre_sparse, sparse) = factor(&mds, partial_rounds);
    Params {
        t,
        full_rounds: FULL_ROUNDS,
        partial_rounds,
        first_constants: round_constants[..half].to_vec(),
        round_constants,
        mds,
        pre_sparse,
        partial_constants,
        sparse,
        last_constants,
    }
}

/// Moves the constants of lanes 1 and up out of the partial rounds. `rounds` starts with the first
/// partial round. Gives one constant per partial round and the full rows that follow them.
fn fold_constants(rounds: &[Vec<Fr>], mds: &Matrix, partial_rounds: usize) -> (Vec<Fr>, Matrix) {
    let mut rounds = rounds.to_vec();
    let mut folded = Vec::with_capacity(partial_rounds);
    for i in 0..partial_rounds {
        folded.push(rounds[i][0]);
        rounds[i][0] = Fr::zero();
        let carried = times_vector(mds, &rounds[i]);
        for (constant, carry) in rounds[i + 1].iter_mut().zip(carried) {
            *constant += carry;
        }
    }
    (folded, rounds.split_off(partial_rounds))
}

/// Factors the partial rounds' matrices from the last one backwards. Gives the matrix of the full
/// round before them and the sparse ones in the order of use.
fn factor(mds: &Matrix, partial_rounds: usize) -> (Matrix, Vec<Sparse>) {
    let t = mds.len();
    let mut matrix = mds.clone();
    let mut sparse = Vec::with_capacity(partial_rounds);
    for _ in 0..partial_rounds {
        let block: Matrix = matrix[1..].iter().map(|row| row[1..].to_vec()).collect();
        let inverse = invert(&block);
        let mut row = vec![matrix[0][0]];
        row.extend((0..t - 1).map(|j| {
            (0..t - 1)
                .map(|k| matrix[0][k + 1] * inverse[k][j])
                .sum::<Fr>()
        }));
        let col = matrix[1..].iter().map(|row| row[0]).collect();
        sparse.push(Sparse { row, col });
        matrix = block_times(&block, mds);
    }
    sparse.reverse();
    (matrix, sparse)
}

/// `[[1, 0], [0, block]] · matrix`.
fn block_times(block: &Matrix, matrix: &Matrix) -> Matrix {
    let t = matrix.len();
    let mut product = vec![matrix[0].clone()];
    product.extend(block.iter().map(|row| {
        (0..t)
            .map(|j| row.iter().zip(&matrix[1..]).map(|(a, b)| *a * b[j]).sum())
            .collect()
    }));
    product
}

/// `matrix · vector`.
fn times_vector(matrix: &Matrix, vector: &[Fr]) -> Vec<Fr> {
    matrix
        .iter()
        .map(|row| row.iter().zip(vector).map(|(a, b)| *a * b).sum())
        .collect()
}

/// The inverse by Gauss-Jordan elimination. The matrices met here are invertible: every square
/// block of an MDS matrix is, and the vectors check the outcome.
fn invert(matrix: &Matrix) -> Matrix {
    let n = matrix.len();
    let mut left = matrix.clone();
    let mut right: Matrix = (0..n)
        .map(|i| {
            (0..n)
                .map(|j| if i == j { Fr::one() } else { Fr::zero() })
                .collect()
        })
        .collect();
    for pivot in 0..n {
        let found = (pivot..n)
            .find(|&i| !left[i][pivot].is_zero())
            .expect("the blocks of circomlib's matrices are invertible");
        left.swap(pivot, found);
        right.swap(pivot, found);
        let scale = left[pivot][pivot].inverse().expect("the pivot is not zero");
        scale_row(&mut left[pivot], scale);
        scale_row(&mut right[pivot], scale);
        for i in (0..n).filter(|&i| i != pivot) {
            let factor = left[i][pivot];
            subtract_row(&mut left, i, pivot, factor);
            subtract_row(&mut right, i, pivot, factor);
        }
    }
    right
}

fn scale_row(row: &mut [Fr], scale: Fr) {
    for entry in row {
        *entry *= scale;
    }
}

/// `matrix[to] -= factor · matrix[from]`.
fn subtract_row(matrix: &mut Matrix, to: usize, from: usize, factor: Fr) {
    let subtrahend = matrix[from].clone();
    for (entry, other) in matrix[to].iter_mut().zip(subtrahend) {
        *entry -= factor * other;
    }
}

/// The optimised form of one width with its size known to the compiler.
struct Table<const T: usize> {
    first_constants: Vec<[Fr; T]>,
    pre_sparse: [[Fr; T]; T],
    partial: Vec<PartialRound<T>>,
    last_constants: Vec<[Fr; T]>,
    mds: [[Fr; T]; T],
}

/// Constants of one partial round; `col[0]` is unused and zero.
struct PartialRound<const T: usize> {
    constant: Fr,
    row: [Fr; T],
    col: [Fr; T],
}

static TABLE_2: OnceLock<Table<2>> = OnceLock::new();
static TABLE_3: OnceLock<Table<3>> = OnceLock::new();
static TABLE_4: OnceLock<Table<4>> = OnceLock::new();
static TABLE_5: OnceLock<Table<5>> = OnceLock::new();
static TABLE_6: OnceLock<Table<6>> = OnceLock::new();
static TABLE_7: OnceLock<Table<7>> = OnceLock::new();
static TABLE_8: OnceLock<Table<8>> = OnceLock::new();
static TABLE_9: OnceLock<Table<9>> = OnceLock::new();

fn table<const T: usize>(cell: &'static OnceLock<Table<T>>) -> &'static Table<T> {
    cell.get_or_init(|| Table::new(params(T)))
}

fn permute_slice<const T: usize>(state: &mut [Fr], cell: &'static OnceLock<Table<T>>) {
    let state: &mut [Fr; T] = state.try_into().expect("the caller matched the length");
    table(cell).permute(state);
}

impl<const T: usize> Table<T> {
    fn new(params: &Params) -> Self {
        let partial = params.partial_constants.iter().zip(&params.sparse);
        Self {
            first_constants: rows(&params.first_constants),
            pre_sparse: square(&params.pre_sparse),
            partial: partial
                .map(|(constant, sparse)| PartialRound {
                    constant: *constant,
                    row: row(&sparse.row),
                    col: std::array::from_fn(|j| {
                        if j == 0 {
                            Fr::zero()
                        } else {
                            sparse.col[j - 1]
                        }
                    }),
                })
                .collect(),
            last_constants: rows(&params.last_constants),
            mds: square(&params.mds),
        }
    }

    fn permute(&self, state: &mut [Fr; T]) {
        let before_last = self.first_constants.len() - 1;
        for constants in &self.first_constants[..before_last] {
            full_round(state, constants, &self.mds);
        }
        full_round(state, &self.first_constants[before_last], &self.pre_sparse);
        for round in &self.partial {
            round.apply(state);
        }
        for constants in &self.last_constants {
            full_round(state, constants, &self.mds);
        }
    }
}

impl<const T: usize> PartialRound<T> {
    #[inline]
    fn apply(&self, state: &mut [Fr; T]) {
        let x = sbox(state[0] + self.constant);
        state[0] = x;
        let lane_0 = Fr::sum_of_products(&self.row, state);
        for (lane, col) in state[1..].iter_mut().zip(&self.col[1..]) {
            *lane += *col * x;
        }
        state[0] = lane_0;
    }
}

#[inline]
fn full_round<const T: usize>(state: &mut [Fr; T], constants: &[Fr; T], matrix: &[[Fr; T]; T]) {
    for (lane, constant) in state.iter_mut().zip(constants) {
        *lane = sbox(*lane + constant);
    }
    *state = std::array::from_fn(|j| Fr::sum_of_products(&matrix[j], state));
}

/// `x⁵`.
#[inline]
fn sbox(x: Fr) -> Fr {
    x.square().square() * x
}

fn row<const T: usize>(entries: &[Fr]) -> [Fr; T] {
    entries.try_into().expect("a row has T entries")
}

fn rows<const T: usize>(matrix: &Matrix) -> Vec<[Fr; T]> {
    matrix.iter().map(|entries| row(entries)).collect()
}

fn square<const T: usize>(matrix: &Matrix) -> [[Fr; T]; T] {
    std::array::from_fn(|j| row(&matrix[j]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::UniformRand;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    /// The plain form of the module head.
    fn permute_plain(params: &Params, state: &mut Vec<Fr>) {
        let half = params.full_rounds / 2;
        for (i, constants) in params.round_constants.iter().enumerate() {
            let full = i < half || i >= half + params.partial_rounds;
            for (j, lane) in state.iter_mut().enumerate() {
                *lane += constants[j];
                if full || j == 0 {
                    *lane = lane.pow([5]);
                }
            }
            *state = times_vector(&params.mds, state);
        }
    }

    /// The optimised form of the module head, written from [`Params`] alone.
    fn permute_optimised(params: &Params, state: &mut Vec<Fr>) {
        let full = |state: &mut Vec<Fr>, constants: &[Fr], matrix: &Matrix| {
            for (lane, constant) in state.iter_mut().zip(constants) {
                *lane = (*lane + constant).pow([5]);
            }
            *state = times_vector(matrix, state);
        };
        for (i, constants) in params.first_constants.iter().enumerate() {
            let last = i + 1 == params.first_constants.len();
            full(
                state,
                constants,
                if last {
                    &params.pre_sparse
                } else {
                    &params.mds
                },
            );
        }
        for (constant, sparse) in params.partial_constants.iter().zip(&params.sparse) {
            let x = (state[0] + constant).pow([5]);
            let mut next = vec![sparse.row[0] * x];
            for (j, lane) in state.iter().enumerate().skip(1) {
                next[0] += sparse.row[j] * lane;
                next.push(*lane + sparse.col[j - 1] * x);
            }
            *state = next;
        }
        for constants in &params.last_constants {
            full(state, constants, &params.mds);
        }
    }

    #[test]
    fn optimised_form_equals_plain_form_at_every_width() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for t in MIN_WIDTH..=MAX_WIDTH {
            for _ in 0..20 {
                let state: Vec<Fr> = (0..t).map(|_| Fr::rand(&mut rng)).collect();
                let (mut fast, mut plain, mut by_params) = (state.clone(), state.clone(), state);
                permute(&mut fast);
                permute_plain(params(t), &mut plain);
                permute_optimised(params(t), &mut by_params);
                assert_eq!(fast, plain, "t = {t}");
                assert_eq!(by_params, plain, "t = {t}");
            }
        }
    }

    #[test]
    fn params_have_the_shapes_they_claim() {
        for t in MIN_WIDTH..=MAX_WIDTH {
            let p = params(t);
            let is_table = |matrix: &Matrix, rows: usize| {
                matrix.len() == rows && matrix.iter().all(|row| row.len() == t)
            };
            assert_eq!((p.t, p.full_rounds), (t, 8));
            assert!(is_table(
                &p.round_constants,
                p.full_rounds + p.partial_rounds
            ));
            assert!(is_table(&p.mds, t) && is_table(&p.pre_sparse, t));
            assert!(is_table(&p.first_constants, 4) && is_table(&p.last_constants, 4));
            assert_eq!(p.partial_constants.len(), p.partial_rounds);
            assert_eq!(p.sparse.len(), p.partial_rounds);
            assert!(
                p.sparse
                    .iter()
                    .all(|s| s.row.len() == t && s.col.len() == t - 1)
            );
        }
        let partial: Vec<usize> = (MIN_WIDTH..=MAX_WIDTH)
            .map(|t| params(t).partial_rounds)
            .collect();
        assert_eq!(partial, [56, 57, 56, 60, 60, 63, 64, 63]);
    }

    #[test]
    fn compress4_feeds_its_first_input_forward() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let x: [Fr; 4] = std::array::from_fn(|_| Fr::rand(&mut rng));
        let mut state = x;
        permute(&mut state);
        assert_eq!(compress4(&x), state[0] + x[0]);
        let zero_first = [Fr::zero(), x[1], x[2], x[3]];
        assert_eq!(compress4(&zero_first), hash(&x[1..]));
    }

    #[test]
    #[should_panic(expected = "expected 1 to 8, got 9")]
    fn hash_refuses_nine_inputs() {
        assert!(hash(&[Fr::zero(); 9]).is_zero());
    }

    #[test]
    #[should_panic(expected = "expected 2 to 9, got 1")]
    fn permute_refuses_one_lane() {
        permute(&mut [Fr::zero()]);
    }
}
