//! Files of keys, written atomically. That of a verifying key holds its bytes; that of a proving key is
//! loaded in one pass and holds, with integers little-endian:
//! `"QUIRE-PK" ‖ version u32 ‖ flags u32 ‖ fingerprint 32 ‖ verifying-key bytes u64 ‖ variables u64 ‖
//! A count u64 ‖ B count u64 ‖ H count u64 ‖ L count u64 ‖ verifying key ‖ β₁ ‖ δ₁ ‖
//! A variables u32… ‖ A points ‖ B variables u32… ‖ B points ‖ B points in G2 ‖ H points ‖ L points ‖
//! BLAKE3 of all before, 32`. Flags are those of the verifying key, but not 2.
//! A query's point is packed as `msm::Bases` has it: each coordinate `x·2^260 mod p` in 32 bytes, `x` before
//! `y`, the real part first (64 bytes in G1, 128 in G2), infinity all zeros. That is what the vector path's
//! inner loop reads, so there loading is copying; elsewhere each coordinate costs a multiplication.
//! `β₁` and `δ₁` are packed in the same way. A chunk is hashed while the next one is read.
//!
//! Invariant: nothing is allocated before the counts of the header add up to the file's size, and no
//! key is returned unless the checksum of every byte matched. The verifying key is decoded with every check, and
//! `β₁` and `δ₁` are checked against its `β` and `δ`. The queries' points are checked to have reduced coordinates
//! and not to be on the curve. Sound because the checksum excludes damage, because a proof from queries that are
//! wrong in another way does not pass the prover's own verification, and because a proof that passes it is
//! blinded with a finite `δ`: A and B are uniform, and C follows from them. So a proof reveals nothing, whoever
//! made the key. Whether there is one can depend on the witness where the queries are made for it: a refusal is
//! one bit. A checksum is no signature: take keys from whom you trust, and report no refusal to others.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use ark_bn254::{g1, g2};
use files::{Draft, FileError, Readers};
use msm::{Bases, Group, Records, path};
use r1cs::Fingerprint;
use rayon::prelude::*;

use crate::bounded::{self, ReadError};
use crate::key::{
    AllowDevKeys, CHECKSUM_BYTES, KeyError, MAX_VK_BYTES, Origin, ProvingKey, Reader, Sparse,
    VERIFYING_KEY_FILE, VerifyingKey, check_blinding_points, check_digest, check_fingerprint,
    flags_of,
};

/// Version of the proving key's encoding; another version is refused.
pub const PROVING_KEY_VERSION: u32 = 2;

const MAGIC: &[u8; 8] = b"QUIRE-PK";
const KIND: &str = "proving key";
/// Bytes before the verifying key.
const HEADER_BYTES: usize = 8 + 4 + 4 + 32 + 6 * 8;
const G1_BYTES: usize = 64;
const G2_BYTES: usize = 128;
/// Bytes that are read or hashed at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// Points that are written at a time.
const POINTS_AT_ONCE: usize = 1 << 14;
/// Largest domain: the odd coset needs roots of unity of twice its order.
const MAX_DOMAIN: u64 = 1 << 27;

/// Everything in the fixed part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    origin: Origin,
    fingerprint: Fingerprint,
    verifying_bytes: u64,
    variables: u64,
    a: u64,
    b: u64,
    h: u64,
    l: u64,
}

impl Header {
    fn of(key: &ProvingKey, verifying_bytes: usize) -> Self {
        let info = key.verifying.info();
        Self {
            origin: info.origin,
            fingerprint: info.fingerprint,
            verifying_bytes: verifying_bytes as u64,
            variables: key.num_variables as u64,
            a: key.a.points.len() as u64,
            b: key.b.points.len() as u64,
            h: key.h.len() as u64,
            l: key.l.len() as u64,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&PROVING_KEY_VERSION.to_le_bytes());
        bytes.extend_from_slice(&flags_of(self.origin).to_le_bytes());
        bytes.extend_from_slice(&self.fingerprint);
        for count in [
            self.verifying_bytes,
            self.variables,
            self.a,
            self.b,
            self.h,
            self.l,
        ] {
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut reader = Reader {
            kind: KIND,
            bytes,
            at: 0,
        };
        reader.magic(MAGIC)?;
        let origin = reader.version_and_origin(PROVING_KEY_VERSION)?;
        if origin == Origin::Unknown {
            return Err(KeyError::Flags {
                kind: KIND,
                flags: flags_of(origin),
            });
        }
        let fingerprint = reader.array()?;
        let mut next = || reader.u64();
        let (verifying_bytes, variables) = (next()?, next()?);
        let (a, b, h, l) = (next()?, next()?, next()?, next()?);
        let header = Self {
            origin,
            fingerprint,
            verifying_bytes,
            variables,
            a,
            b,
            h,
            l,
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), KeyError> {
        let at_most = |what, got: u64, limit: u64| {
            if got <= limit {
                return Ok(());
            }
            Err(KeyError::OutOfRange {
                what,
                got,
                allowed: format!("at most {limit}"),
            })
        };
        at_most(
            "length of the verifying key",
            self.verifying_bytes,
            MAX_VK_BYTES as u64,
        )?;
        at_most(
            "number of variables",
            self.variables,
            u64::from(u32::MAX) / 2,
        )?;
        at_most("number of A points", self.a, self.variables)?;
        at_most("number of B points", self.b, self.variables)?;
        at_most("number of L points", self.l, self.variables)?;
        at_most("number of H points", self.h, MAX_DOMAIN)?;
        if self.h.is_power_of_two() {
            return Ok(());
        }
        Err(KeyError::OutOfRange {
            what: "number of H points",
            got: self.h,
            allowed: "powers of two".to_owned(),
        })
    }

    /// Size of the whole file; the checked counts cannot overflow it.
    fn file_bytes(&self) -> u64 {
        let (g1, g2) = (G1_BYTES as u64, G2_BYTES as u64);
        let fixed = (HEADER_BYTES + 2 * G1_BYTES + CHECKSUM_BYTES) as u64;
        fixed
            + self.verifying_bytes
            + self.a * (4 + g1)
            + self.b * (4 + g1 + g2)
            + (self.h + self.l) * g1
    }
}

impl VerifyingKey {
    /// Reads a verifying-key file; see [`VerifyingKey::from_bytes`].
    ///
    /// # Errors
    /// [`KeyError`] naming the first fault.
    pub fn load(path: &Path, allow: AllowDevKeys) -> Result<Self, KeyError> {
        let bytes = bounded::read(path, VERIFYING_KEY_FILE).map_err(|error| match error {
            ReadError::Io { source, .. } => io_error(path, "read it", source),
            long @ ReadError::TooLong { .. } => KeyError::TooLong(long),
        })?;
        Self::from_bytes(&bytes, allow)
    }

    /// Writes a verifying-key file atomically.
    ///
    /// # Errors
    /// [`KeyError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        write_atomically(path, |out| out.write_all(&self.to_bytes()))
    }
}

impl ProvingKey {
    /// Size in bytes of a proving-key file, from the counts of its circuit: `verifying_bytes` of its
    /// verifying key, variables that occur in A and in B, the domain, and witness variables.
    pub fn file_bytes(verifying_bytes: u64, a: u64, b: u64, domain: u64, witnesses: u64) -> u64 {
        let header = Header {
            origin: Origin::Production,
            fingerprint: Fingerprint::default(),
            verifying_bytes,
            variables: 0,
            a,
            b,
            h: domain,
            l: witnesses,
        };
        header.file_bytes()
    }

    /// Writes the key atomically: a crash leaves the old file or the new one.
    ///
    /// # Errors
    /// [`KeyError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        write_atomically(path, |out| self.write(out))
    }

    /// Writes the bytes of the key's file, for whoever keeps them in a larger one.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut out = Hashing {
            out,
            hasher: blake3::Hasher::new(),
        };
        let verifying = self.verifying.to_bytes();
        out.put(&Header::of(self, verifying.len()).encode())?;
        out.put(&verifying)?;
        out.points(&Bases::<g1::Config>::new(
            path(),
            &[self.beta_g1, self.delta_g1],
        ))?;
        out.variables(&self.a.variables)?;
        out.points(&self.a.points)?;
        out.variables(&self.b.variables)?;
        out.points(&self.b.points)?;
        out.points(&self.b_g2)?;
        out.points(&self.h)?;
        out.points(&self.l)?;
        let digest = out.hasher.finalize();
        out.out.write_all(digest.as_bytes())
    }

    /// Loads the key for the circuit with fingerprint `expected`.
    ///
    /// # Errors
    /// [`KeyError`] that says what is wrong and what to do; another circuit's key is refused from its
    /// header alone.
    pub fn load(
        path: &Path,
        expected: &Fingerprint,
        allow: AllowDevKeys,
    ) -> Result<Self, KeyError> {
        let mut file = File::open(path).map_err(|error| io_error(path, "open it", error))?;
        let size = file
            .metadata()
            .map_err(|error| io_error(path, "read its size", error))?
            .len();
        Self::read(&mut file, size, path, expected, allow)
    }

    /// Loads a key of `size` bytes from `input`, as [`ProvingKey::load`]; `path` appears in errors.
    ///
    /// # Errors
    /// As [`ProvingKey::load`].
    pub fn read(
        input: &mut (dyn Read + Send),
        size: u64,
        path: &Path,
        expected: &Fingerprint,
        allow: AllowDevKeys,
    ) -> Result<Self, KeyError> {
        if size < HEADER_BYTES as u64 {
            return Err(KeyError::Size {
                kind: KIND,
                expected: HEADER_BYTES as u64,
                got: size,
            });
        }
        let mut source = Source {
            input,
            path,
            hasher: blake3::Hasher::new(),
        };
        let header = Header::decode(&source.bytes(HEADER_BYTES)?)?;
        check_fingerprint(expected, &header.fingerprint)?;
        if header.file_bytes() != size {
            return Err(KeyError::Size {
                kind: KIND,
                expected: header.file_bytes(),
                got: size,
            });
        }
        source.key(&header, allow)
    }
}

/// The input of a load, hashed as it is read.
struct Source<'a> {
    input: &'a mut (dyn Read + Send),
    path: &'a Path,
    hasher: blake3::Hasher,
}

impl Source<'_> {
    fn key(mut self, header: &Header, allow: AllowDevKeys) -> Result<ProvingKey, KeyError> {
        let verifying_bytes = self.bytes(count(
            "length of the verifying key",
            header.verifying_bytes,
        )?)?;
        let variables = count("number of variables", header.variables)?;
        let fixed: Bases<g1::Config> = self.points("beta and delta in G1", 2)?;
        let a = self.sparse(("A variables", "A points"), header.a, variables)?;
        let b = self.sparse(("B variables", "B points"), header.b, variables)?;
        let b_g2: Bases<g2::Config> = self.points("B points in G2", header.b)?;
        let h = self.points("H points", header.h)?;
        let l = self.points("L points", header.l)?;
        let computed = *self.hasher.finalize().as_bytes();
        let mut stored = [0; CHECKSUM_BYTES];
        self.input
            .read_exact(&mut stored)
            .map_err(|error| io_error(self.path, "read its checksum", error))?;
        check_digest(KIND, &stored, &computed)?;

        let verifying = VerifyingKey::from_bytes(&verifying_bytes, allow)?;
        check_fingerprint(&header.fingerprint, &verifying.info().fingerprint)?;
        let witnesses = header
            .variables
            .saturating_sub(verifying.num_inputs() as u64 + 1);
        if header.l != witnesses {
            return Err(KeyError::Inconsistent {
                what: "number of witness variables",
            });
        }
        if header.origin != verifying.info().origin {
            return Err(KeyError::Inconsistent { what: "origin" });
        }
        let (beta_g1, delta_g1) = (fixed.point(0), fixed.point(1));
        check_blinding_points(&verifying, &beta_g1, &delta_g1)?;
        Ok(ProvingKey {
            verifying,
            beta_g1,
            delta_g1,
            num_variables: variables,
            a,
            b,
            b_g2,
            h,
            l,
        })
    }

    fn sparse(
        &mut self,
        names: (&'static str, &'static str),
        length: u64,
        variables: usize,
    ) -> Result<Sparse, KeyError> {
        let bytes = self.bytes(4 * count("number of records", length)?)?;
        let (words, _) = bytes.as_chunks::<4>();
        let list: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let ascending = list.par_windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || list.last().is_some_and(|&last| last as usize >= variables) {
            return Err(KeyError::VariableList {
                section: names.0,
                variables,
            });
        }
        Ok(Sparse {
            variables: list,
            points: self.points(names.1, length)?,
        })
    }

    fn points<P: Group>(
        &mut self,
        section: &'static str,
        length: u64,
    ) -> Result<Bases<P>, KeyError> {
        let mut records = Records::zeroed::<P>(count("number of records", length)?);
        self.fill(records.bytes_mut())?;
        Bases::from_records(path(), records).map_err(|bad| KeyError::RawPoint {
            section,
            index: bad.index,
        })
    }

    fn bytes(&mut self, length: usize) -> Result<Vec<u8>, KeyError> {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads and hashes; a chunk is hashed while the next one is read.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), KeyError> {
        let (input, hasher) = (&mut self.input, &mut self.hasher);
        let mut done: &[u8] = &[];
        for chunk in bytes.chunks_mut(CHUNK_BYTES) {
            if done.is_empty() {
                input.read_exact(chunk)
            } else {
                rayon::join(|| input.read_exact(chunk), || hasher.update(done)).0
            }
            .map_err(|error| io_error(self.path, "read it", error))?;
            done = chunk;
        }
        hasher.update(done);
        Ok(())
    }
}

fn count(what: &'static str, value: u64) -> Result<usize, KeyError> {
    let allowed = || format!("at most {}", usize::MAX);
    usize::try_from(value).map_err(|_| KeyError::OutOfRange {
        what,
        got: value,
        allowed: allowed(),
    })
}

/// A writer that hashes what it writes.
struct Hashing<'a> {
    out: &'a mut dyn Write,
    hasher: blake3::Hasher,
}

impl Hashing<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }

    fn variables(&mut self, all: &[u32]) -> io::Result<()> {
        for variables in all.chunks(POINTS_AT_ONCE) {
            let bytes: Vec<u8> = variables.iter().flat_map(|v| v.to_le_bytes()).collect();
            self.put(&bytes)?;
        }
        Ok(())
    }

    fn points<P: Group>(&mut self, all: &Bases<P>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for start in (0..all.len()).step_by(POINTS_AT_ONCE) {
            bytes.clear();
            let end = all.len().min(start + POINTS_AT_ONCE);
            all.append_records(start..end, &mut bytes);
            self.put(&bytes)?;
        }
        Ok(())
    }
}

fn io_error(path: &Path, action: &'static str, source: std::io::Error) -> KeyError {
    if source.kind() == std::io::ErrorKind::NotFound && action != "create it" {
        return KeyError::Missing {
            path: path.to_path_buf(),
        };
    }
    KeyError::Io {
        path: path.to_path_buf(),
        action,
        source,
    }
}

/// Writes a file whole, in the stead of one that is there.
fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), KeyError> {
    let draft = Draft::begin(path, Readers::Everybody)?;
    let mut out = BufWriter::new(draft.file());
    let written = write(&mut out).and_then(|()| out.flush());
    written.map_err(|error| io_error(path, "write it", error))?;
    drop(out);
    Ok(draft.replace()?)
}

impl From<FileError> for KeyError {
    fn from(error: FileError) -> Self {
        let FileError {
            path,
            action,
            source,
        } = error;
        Self::Io {
            path,
            action,
            source,
        }
    }
}
