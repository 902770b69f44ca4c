//! Poseidon in constraints: twin of `ledger::poseidon`.
//!
//! An S-box `u⁵` is three constraints: `u·u = u₂`, `u₂·u₂ = u₄`, `u₄·u = C`. The variables carried
//! from round to round are the *inputs* of the S-boxes, so both factors are single variables and
//! the dense part of the permutation (the MDS matrix, which makes linear combinations of up to
//! sixty terms in the partial rounds) stands in `C` alone. The prover never multiplies by the C
//! matrix, and `u₄` stays out of B.
//!
//! Sound because: the MDS matrix and its corner entry are invertible, so the equation for `C`
//! determines the next S-box input from the ones before; every variable is determined by the
//! inputs. `compress4` costs 264 constraints, `hash` 3 fewer than the S-box count because the
//! capacity is the constant 0.

use std::sync::OnceLock;

use ark_ff::{AdditiveGroup, Field};
use ledger::{
    field::Fr,
    poseidon::{Params, params},
};

use crate::num::{Cs, Num};

/// circomlib's Poseidon of one to eight inputs: zero capacity, output the first element.
pub fn hash(cs: &Cs, inputs: &[Num]) -> Num {
    let mut state = vec![Num::zero()];
    state.extend_from_slice(inputs);
    permute_and_feed(cs, &state, &Num::zero())
}

/// `P(x0, x1, x2, x3)[0] + x0`: the compression of the tree, the leaves and the word chain.
pub fn compress4(cs: &Cs, inputs: &[Num; 4]) -> Num {
    permute_and_feed(cs, inputs, &inputs[0])
}

/// The first-round S-box of `compress4` for input `position`: `(input + constant)⁵`, where
/// `constant` is that position's round constant or a combination of them.
pub fn first_sbox(cs: &Cs, input: &Num, constant: &Num) -> Num {
    let u = input + constant;
    cs.mul(&fourth_power(cs, &u), &u)
}

/// The constant that `compress4` adds to its input at `position` before the first S-box.
pub fn first_constant(position: usize) -> Fr {
    params(4).round_constants[0][position]
}

/// `compress4` continued from the outputs of its first-round S-boxes; `feed` is input 0.
///
/// Two compressions that share inputs share those S-boxes.
pub fn compress4_after_first_sboxes(cs: &Cs, fifth: &[Num; 4], feed: &Num) -> Num {
    let plan = plan(4);
    let state = mix(plan, fifth, &plan.params.round_constants[1]);
    permute_from(cs, plan, state, 1, feed)
}

/// `P(state)[0] + feed` as one fresh variable.
fn permute_and_feed(cs: &Cs, inputs: &[Num], feed: &Num) -> Num {
    let plan = plan(inputs.len());
    let constants = &plan.params.round_constants;
    let state: Vec<Num> = inputs
        .iter()
        .zip(&constants[0])
        .map(|(x, c)| x.plus(*c))
        .collect();
    if !state.iter().any(Num::is_constant) {
        return permute_from(cs, plan, state, 0, feed);
    }
    // The S-boxes of constant inputs cost nothing; the others' fifth powers become the variables.
    let fifth: Vec<Num> = state
        .iter()
        .map(|u| cs.mul(&fourth_power(cs, u), u))
        .collect();
    permute_from(cs, plan, mix(plan, &fifth, &constants[1]), 1, feed)
}

/// The permutation from full round `round` on, the round's constants already added.
fn permute_from(cs: &Cs, plan: &Plan, mut state: Vec<Num>, round: usize, feed: &Num) -> Num {
    let p = plan.params;
    let half = p.full_rounds / 2;
    for round in round..half {
        state = full_round(cs, plan, &state, &p.round_constants[round + 1]);
    }
    state = partial_rounds(cs, plan, state);
    let rounds = p.full_rounds + p.partial_rounds;
    for round in rounds - half..rounds - 1 {
        state = full_round(cs, plan, &state, &p.round_constants[round + 1]);
    }
    last_round(cs, plan, &state, feed)
}

/// The linear layer and the next round's constants, as combinations of the S-box outputs.
fn mix(plan: &Plan, fifth: &[Num], next_constants: &[Fr]) -> Vec<Num> {
    let row = |k: usize| fifth.iter().zip(plan.params.mds[k].iter().copied());
    (0..fifth.len())
        .map(|k| Num::linear(row(k)).plus(next_constants[k]))
        .collect()
}

/// The first two of an S-box's three constraints: `u⁴`.
fn fourth_power(cs: &Cs, u: &Num) -> Num {
    let square = cs.mul(u, u);
    cs.mul(&square, &square)
}

/// One full round whose outputs, round constants included, are fresh variables.
fn full_round(cs: &Cs, plan: &Plan, state: &[Num], next_constants: &[Fr]) -> Vec<Num> {
    let fourth: Vec<Num> = state.iter().map(|u| fourth_power(cs, u)).collect();
    let fifth: Vec<Fr> = state
        .iter()
        .zip(&fourth)
        .map(|(u, f)| u.value() * f.value())
        .collect();
    let next: Vec<Num> = (0..state.len())
        .map(|k| cs.witness(dot(&plan.params.mds[k], &fifth) + next_constants[k]))
        .collect();
    for (j, u) in state.iter().enumerate() {
        cs.enforce_with(&fourth[j], u, || {
            let constant = -dot(&plan.mds_inverse[j], next_constants);
            Num::linear(next.iter().zip(plan.mds_inverse[j].iter().copied())).plus(constant)
        });
    }
    next
}

/// All partial rounds: one S-box each, the other elements stay linear combinations.
fn partial_rounds(cs: &Cs, plan: &Plan, state: Vec<Num>) -> Vec<Num> {
    let p = plan.params;
    let first = p.full_rounds / 2;
    let mut values: Vec<Fr> = state.iter().map(Num::value).collect();
    let mut sbox = state[0].clone();
    let mut basis = vec![Num::one()];
    basis.extend_from_slice(&state[1..]);
    basis.push(sbox.clone());
    for i in 0..p.partial_rounds {
        let fourth = fourth_power(cs, &sbox);
        values[0] = fourth.value() * sbox.value();
        let constants = &p.round_constants[first + i + 1];
        values = (0..values.len())
            .map(|k| dot(&p.mds[k], &values) + constants[k])
            .collect();
        let next = cs.witness(values[0]);
        basis.push(next.clone());
        cs.enforce_with(&fourth, &sbox, || combine(&basis, &plan.fifth_powers[i]));
        follow(p, &mut values, &next);
        sbox = next;
    }
    let mut state = vec![sbox];
    state.extend(
        plan.after_partial
            .iter()
            .map(|coefficients| combine(&basis, coefficients)),
    );
    state
}

/// The state of a cheating prover whose first element is not the round's: the S-box output that goes
/// with it went into the other elements too.
fn follow(p: &Params, values: &mut [Fr], first: &Num) {
    let moved = first.value() - values[0];
    if moved == Fr::ZERO {
        return;
    }
    let output = moved / p.mds[0][0];
    for (value, row) in values.iter_mut().zip(&p.mds) {
        *value += row[0] * output;
    }
}

/// The last full round, of which only the first output (plus `feed`) is wanted.
fn last_round(cs: &Cs, plan: &Plan, state: &[Num], feed: &Num) -> Num {
    let row = &plan.params.mds[0];
    let last = state.len() - 1;
    let fourth: Vec<Num> = state.iter().map(|u| fourth_power(cs, u)).collect();
    let fifth: Vec<Num> = (0..last).map(|j| cs.mul(&fourth[j], &state[j])).collect();
    let known = Num::linear(
        fifth
            .iter()
            .zip(row.iter().copied())
            .chain([(feed, Fr::ONE)]),
    );
    let last_fifth = fourth[last].value() * state[last].value();
    let out = cs.witness(known.value() + row[last] * last_fifth);
    cs.enforce_with(&fourth[last], &state[last], || {
        (&out - &known).scale(row[last].inverse().expect("MDS entries are non-zero"))
    });
    out
}

fn dot(a: &[Fr], b: &[Fr]) -> Fr {
    a.iter().zip(b).map(|(x, y)| *x * y).sum()
}

fn combine(basis: &[Num], coefficients: &[Fr]) -> Num {
    Num::linear(basis.iter().zip(coefficients.iter().copied()))
}

/// What the partial rounds look like as linear combinations, worked out once per width.
///
/// The basis: the constant 1, elements `1…t−1` of the state before the first partial round, then
/// the S-box inputs of the partial rounds in order, and the first element after them.
struct Plan {
    params: &'static Params,
    mds_inverse: Vec<Vec<Fr>>,
    /// Round by round, the S-box output in the basis.
    fifth_powers: Vec<Vec<Fr>>,
    /// Elements `1…t−1` after the last partial round, in the basis.
    after_partial: Vec<Vec<Fr>>,
}

fn plan(t: usize) -> &'static Plan {
    static PLANS: [OnceLock<Plan>; 10] = [const { OnceLock::new() }; 10];
    PLANS[t].get_or_init(|| Plan::new(params(t)))
}

impl Plan {
    fn new(params: &'static Params) -> Self {
        let t = params.t;
        let size = t + params.partial_rounds + 1;
        let unit = |i: usize| {
            let mut v = vec![Fr::ZERO; size];
            v[i] = Fr::ONE;
            v
        };
        let mut rest: Vec<Vec<Fr>> = (1..t).map(unit).collect();
        let mut fifth_powers = Vec::with_capacity(params.partial_rounds);
        let corner = params.mds[0][0]
            .inverse()
            .expect("MDS entries are non-zero");
        for i in 0..params.partial_rounds {
            let constants = &params.round_constants[params.full_rounds / 2 + i + 1];
            // next = m00·fifth + Σ m0k·rest_k + constant, solved for the fifth power.
            let mut fifth = unit(t + i + 1);
            fifth[0] -= constants[0];
            for (k, element) in rest.iter().enumerate() {
                axpy(&mut fifth, -params.mds[0][k + 1], element);
            }
            fifth.iter_mut().for_each(|c| *c *= corner);
            rest = (1..t)
                .map(|j| {
                    let mut next = vec![Fr::ZERO; size];
                    next[0] = constants[j];
                    axpy(&mut next, params.mds[j][0], &fifth);
                    for (k, element) in rest.iter().enumerate() {
                        axpy(&mut next, params.mds[j][k + 1], element);
                    }
                    next
                })
                .collect();
            fifth.truncate(t + i + 2);
            fifth_powers.push(fifth);
        }
        Self {
            params,
            mds_inverse: invert(&params.mds),
            fifth_powers,
            after_partial: rest,
        }
    }
}

fn axpy(y: &mut [Fr], a: Fr, x: &[Fr]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
}

/// The inverse of a square matrix by Gauss–Jordan elimination.
fn invert(matrix: &[Vec<Fr>]) -> Vec<Vec<Fr>> {
    let n = matrix.len();
    let mut rows: Vec<Vec<Fr>> = matrix
        .iter()
        .enumerate()
        .map(|(i, row)| {
            row.iter()
                .copied()
                .chain((0..n).map(|j| Fr::from(i == j)))
                .collect()
        })
        .collect();
    for column in 0..n {
        let pivot = (column..n)
            .find(|&i| rows[i][column] != Fr::ZERO)
            .expect("an MDS matrix is invertible");
        rows.swap(column, pivot);
        let scale = rows[column][column]
            .inverse()
            .expect("the pivot is non-zero");
        rows[column].iter_mut().for_each(|c| *c *= scale);
        for i in (0..n).filter(|&i| i != column) {
            let factor = -rows[i][column];
            let source = rows[column].clone();
            axpy(&mut rows[i], factor, &source);
        }
    }
    rows.into_iter().map(|row| row[n..].to_vec()).collect()
}
