//! A participant who writes any file, with hashes that hold.

use ark_bn254::{Fr, G1Affine, G2Affine};
use ark_ec::CurveGroup;
use ark_ff::Field;
use interop::points::{Infinity, Point};
use interop::transcript::{Contribution, Source, Transcript, challenge_point};
use interop::zkey::Zkey;

use crate::sample::open;

/// Where `δ` is in the header, after sizes, moduli, counts, α, β, β and γ.
pub const DELTA: usize = 2 * 36 + 12 + 2 * 64 + 2 * 128;

pub fn point<P: Point>(bytes: &[u8]) -> P {
    P::decode(&bytes[..P::BYTES], Infinity::Allowed).unwrap()
}

/// Maps the points from `start` to `end`.
pub fn map<P: Point>(file: &mut [u8], start: usize, end: usize, each: impl Fn(P) -> P) {
    for at in (start..end).step_by(P::BYTES) {
        let mut bytes = Vec::new();
        each(point(&file[at..])).encode(&mut bytes);
        file[at..at + P::BYTES].copy_from_slice(&bytes);
    }
}

/// Number, start and end of each section.
pub fn sections(file: &[u8]) -> Vec<(u32, usize, usize)> {
    let mut at = 12;
    let mut all = Vec::new();
    while at < file.len() {
        let id = u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        let size = u64::from_le_bytes(file[at + 4..at + 12].try_into().unwrap());
        let end = at + 12 + usize::try_from(size).unwrap();
        all.push((id, at + 12, end));
        at = end;
    }
    all
}

/// Start and end of a section.
pub fn section(file: &[u8], id: u32) -> (usize, usize) {
    let all = sections(file);
    let (_, start, end) = all.into_iter().find(|(found, ..)| *found == id).unwrap();
    (start, end)
}

/// The key with another transcript.
pub fn with_transcript(key: &[u8], transcript: &Transcript) -> Vec<u8> {
    let word = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let mut record = transcript.circuit.to_vec();
    record.extend(word(transcript.contributions.len()));
    for one in &transcript.contributions {
        for point in [one.delta_after, one.s, one.s_x] {
            point.encode(&mut record);
        }
        one.p_x.encode(&mut record);
        record.extend(one.transcript);
        let mut parameters = Vec::new();
        let short = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
        if let Some(name) = &one.name {
            parameters.extend([1, short(name.as_bytes())]);
            parameters.extend(name.as_bytes());
        }
        let mut kind = 0;
        if let Source::Beacon {
            iterations_exp,
            value,
        } = &one.source
        {
            kind = 1;
            parameters.extend([2, *iterations_exp, 3, short(value)]);
            parameters.extend(value);
        }
        record.extend(word(kind));
        record.extend(word(parameters.len()));
        record.extend(parameters);
    }
    let (start, end) = section(key, 10);
    assert_eq!(end, key.len(), "contributions come last");
    let mut forged = key[..start - 8].to_vec();
    forged.extend((record.len() as u64).to_le_bytes());
    forged.extend(record);
    forged
}

/// The key with `δ` times `x`, and L and H divided by it.
pub fn scaled(key: &[u8], x: Fr) -> Vec<u8> {
    let mut forged = key.to_vec();
    let delta = section(key, 2).0 + DELTA;
    map(&mut forged, delta, delta + 64, |p: G1Affine| {
        (p * x).into_affine()
    });
    map(&mut forged, delta + 64, delta + 192, |p: G2Affine| {
        (p * x).into_affine()
    });
    let inverse = x.inverse().unwrap();
    for id in [8, 9] {
        let (start, end) = section(key, id);
        map(&mut forged, start, end, |p: G1Affine| {
            (p * inverse).into_affine()
        });
    }
    forged
}

/// A record of secret `x` after those of `before`, which holds.
pub fn record(before: &Transcript, delta: G1Affine, x: Fr, s: G1Affine) -> Contribution {
    let s_x = (s * x).into_affine();
    let hash = before.next_hash(&s, &s_x);
    Contribution {
        delta_after: (delta * x).into_affine(),
        s,
        s_x,
        p_x: (challenge_point(&hash) * x).into_affine(),
        transcript: hash,
        source: Source::Person,
        name: None,
    }
}

/// The key after a contribution of `x` that holds.
pub fn contributed(key: &[u8], x: Fr, s: G1Affine, source: Source) -> Vec<u8> {
    let zkey = Zkey::open(open(key)).unwrap();
    let mut transcript = zkey.transcript().clone();
    let mut added = record(&transcript, zkey.header().delta_g1, x, s);
    added.source = source;
    transcript.contributions.push(added);
    with_transcript(&scaled(key, x), &transcript)
}
