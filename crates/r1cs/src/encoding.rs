//! Bytes of a constraint system, for files that are loaded at the disk's speed.
//!
//! All integers are little-endian and have 32 bits: instance variables, witness variables, rows,
//! coefficients, non-zeros of A, B and C; then the coefficients, 32 bytes each; then of each matrix where
//! its rows begin and the last one ends, and its entries, column before coefficient.
//!
//! Invariant: what [`Parts::decode`] returns is canonical, whatever the bytes. They have no checksum: whoever
//! expects a certain system compares its fingerprint.

use std::collections::HashSet;

use ark_bn254::Fr;
use ark_ff::{BigInteger, BigInteger256, Field, PrimeField, Zero};

/// Bytes of the counts.
pub(crate) const HEAD_BYTES: usize = 7 * 4;
/// Bytes of a coefficient.
const COEFFICIENT_BYTES: usize = 32;
/// Bytes of an entry.
const ENTRY_BYTES: usize = 8;

/// Where the rows of a matrix begin, and the columns and coefficients of its entries.
pub(crate) type Rows = (Vec<u32>, Vec<[u32; 2]>);

/// What a system consists of.
pub(crate) struct Parts {
    pub(crate) instance: usize,
    pub(crate) witness: usize,
    pub(crate) coefficients: Vec<Fr>,
    /// A, B and C.
    pub(crate) matrices: [Rows; 3],
}

impl Parts {
    /// The parts as bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let rows = self.matrices[0].0.len() - 1;
        let [a, b, c] = self.matrices.each_ref().map(|(_, entries)| entries.len());
        for count in [
            self.instance,
            self.witness,
            rows,
            self.coefficients.len(),
            a,
            b,
            c,
        ] {
            let count = u32::try_from(count).expect("counts of a system have 32 bits");
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        for coefficient in &self.coefficients {
            bytes.extend_from_slice(&coefficient.into_bigint().to_bytes_le());
        }
        for (offsets, entries) in &self.matrices {
            for word in offsets.iter().chain(entries.as_flattened()) {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        bytes
    }

    /// Reads the parts from their bytes; the error is what is wrong with these.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let cut = "have another length than their counts announce";
        let (head, rest) = bytes.split_first_chunk().ok_or(cut)?;
        let counts: Vec<usize> = words(head).map(|word| word as usize).collect();
        let [instance, witness, rows, coefficients] = [counts[0], counts[1], counts[2], counts[3]];
        if instance == 0 || u32::try_from(instance + witness).is_err() {
            return Err("have an impossible number of variables");
        }
        if bytes.len() as u64 != announced_bytes(head) {
            return Err(cut);
        }
        let (table, mut rest) = rest.split_at(COEFFICIENT_BYTES * coefficients);
        let coefficients = table_of(table)?;
        // Coefficients are numbered by their first use: the next new one has this number.
        let mut next = 2;
        let mut matrix = |entries: usize| {
            let (offsets, entries_on) = rest.split_at(4 * (rows + 1));
            let (entries, after) = entries_on.split_at(ENTRY_BYTES * entries);
            rest = after;
            matrix_of(offsets, entries, instance + witness, &mut next)
        };
        let matrices = [matrix(counts[4])?, matrix(counts[5])?, matrix(counts[6])?];
        if next as usize != coefficients.len() {
            return Err("have a coefficient that is not used");
        }
        Ok(Self {
            instance,
            witness,
            coefficients,
            matrices,
        })
    }
}

/// Bytes of a system that begins with these.
pub(crate) fn announced_bytes(head: &[u8; HEAD_BYTES]) -> u64 {
    let counts: Vec<u64> = words(head).map(u64::from).collect();
    let [rows, coefficients] = [counts[2], counts[3]];
    HEAD_BYTES as u64
        + COEFFICIENT_BYTES as u64 * coefficients
        + 3 * 4 * (rows + 1)
        + ENTRY_BYTES as u64 * (counts[4] + counts[5] + counts[6])
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| u32::from_le_bytes(*word))
}

/// The table of coefficients: `1`, `-1`, and others, each once.
fn table_of(bytes: &[u8]) -> Result<Vec<Fr>, &'static str> {
    let mut seen = HashSet::new();
    let mut table = Vec::with_capacity(bytes.len() / COEFFICIENT_BYTES);
    for bytes in bytes.chunks_exact(COEFFICIENT_BYTES) {
        let (limbs, _) = bytes.as_chunks::<8>();
        let integer = BigInteger256::new([0, 1, 2, 3].map(|k| u64::from_le_bytes(limbs[k])));
        let value = Fr::from_bigint(integer).ok_or("have a coefficient not below the modulus")?;
        if value.is_zero() || !seen.insert(value) {
            return Err("have a coefficient that is zero or occurs twice");
        }
        table.push(value);
    }
    match table.starts_with(&[Fr::ONE, -Fr::ONE]) {
        true => Ok(table),
        false => Err("do not begin their coefficients with 1 and -1"),
    }
}

fn matrix_of(
    offsets: &[u8],
    entries: &[u8],
    variables: usize,
    next: &mut u32,
) -> Result<Rows, &'static str> {
    let offsets: Vec<u32> = words(offsets).collect();
    let (entries, _) = entries.as_chunks::<ENTRY_BYTES>();
    let entries: Vec<[u32; 2]> = (entries.iter())
        .map(|bytes| {
            let [c0, c1, c2, c3, k0, k1, k2, k3] = *bytes;
            [[c0, c1, c2, c3], [k0, k1, k2, k3]].map(u32::from_le_bytes)
        })
        .collect();
    let ends_well = offsets.first() == Some(&0)
        && offsets.last().map(|last| *last as usize) == Some(entries.len());
    if !ends_well || !offsets.is_sorted() {
        return Err("have rows that do not follow one another");
    }
    for row in offsets.windows(2) {
        let row = &entries[row[0] as usize..row[1] as usize];
        let ascending = row.windows(2).all(|pair| pair[0][0] < pair[1][0]);
        if !ascending
            || row
                .last()
                .is_some_and(|[last, _]| *last as usize >= variables)
        {
            return Err("have a row whose columns do not ascend, or go beyond the variables");
        }
    }
    for &[_, coefficient] in &entries {
        if coefficient > *next {
            return Err("have coefficients out of the order of their first use");
        }
        *next += u32::from(coefficient == *next);
    }
    Ok((offsets, entries))
}
