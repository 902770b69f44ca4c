//! The container that all of iden3's binary files share.
//!
//! `magic 4 ‖ version u32 ‖ section count u32 ‖ (id u32 ‖ size u64 ‖ contents)…`, little-endian.
//!
//! Invariant: a [`Container`] exists only if every section occurs once and lies within the file, and
//! nothing follows the last one; [`Container::open`] gives one only if every section is known. A
//! [`Section`] never reads beyond its end.

use std::io::{BufReader, Read, Seek, SeekFrom, Write};

use ark_bn254::{Fq, Fr};
use ark_ff::PrimeField;
use rayon::prelude::*;

use crate::error::{FormatError, PointFault};
use crate::points::{FIELD_BYTES, Infinity, Point, scalar_bytes};

type Result<T> = std::result::Result<T, FormatError>;

/// Most sections of a file: more than any kind of iden3's has, so that no table is long to search.
const MOST_SECTIONS: usize = 64;
/// Points that are read, checked and handed on at a time.
pub(crate) const CHUNK_POINTS: usize = 1 << 14;

/// One kind of file.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Its name, which is its magic too.
    pub name: &'static str,
    /// The version read and written.
    pub version: u32,
    /// Known sections with what they hold.
    pub sections: &'static [(u32, &'static str)],
}

/// An open file with its table of sections.
#[derive(Debug)]
pub(crate) struct Container<R> {
    input: BufReader<R>,
    kind: &'static Kind,
    table: Vec<(u32, u64, u64)>,
}

impl<R: Read + Seek> Container<R> {
    /// Reads the table of sections.
    pub(crate) fn open(input: R, kind: &'static Kind) -> Result<Self> {
        let container = Self::open_any(input, kind)?;
        container.check_known()?;
        Ok(container)
    }

    /// Reads the table of sections of a file that may be of another use of its kind:
    /// [`Container::check_known`] is left to the caller.
    pub(crate) fn open_any(input: R, kind: &'static Kind) -> Result<Self> {
        let mut input = BufReader::with_capacity(1 << 16, input);
        let mut seek = |to| input.seek(to).map_err(|error| io(kind, "read", error));
        let length = seek(SeekFrom::End(0))?;
        seek(SeekFrom::Start(0))?;
        let mut container = Self {
            input,
            kind,
            table: Vec::new(),
        };
        container.read_table(length)?;
        Ok(container)
    }

    fn read_table(&mut self, length: u64) -> Result<()> {
        let kind = self.kind;
        let mut head = Section {
            input: &mut self.input,
            kind: kind.name,
            name: "the head",
            left: length,
            at: 0,
        };
        let magic: [u8; 4] = head.array()?;
        if magic != kind.name.as_bytes() {
            return Err(FormatError::Magic {
                kind: kind.name,
                got: magic.escape_ascii().to_string(),
            });
        }
        let version = head.u32()?;
        if version != kind.version {
            return Err(FormatError::Version {
                kind: kind.name,
                expected: kind.version,
                got: version,
            });
        }
        let count = head.u32()?;
        let mut at = 12u64;
        for _ in 0..count {
            let left = length.saturating_sub(at);
            let mut entry = self.at(at, left, 0, "the table of sections")?;
            let (id, size) = (entry.u32()?, entry.u64()?);
            at += 12;
            self.check_new(id)?;
            if size > length - at {
                return Err(self.size_error("a section", size, length - at));
            }
            self.table.push((id, at, size));
            at += size;
        }
        if at == length {
            return Ok(());
        }
        Err(self.size_error("the end", 0, length - at))
    }

    fn check_new(&self, section: u32) -> Result<()> {
        let kind = self.kind.name;
        if self.has(section) {
            return Err(FormatError::DuplicateSection { kind, section });
        }
        if self.table.len() >= MOST_SECTIONS {
            return Err(FormatError::UnknownSection { kind, section });
        }
        Ok(())
    }

    /// Refuses a file with a section that this kind does not have.
    pub(crate) fn check_known(&self) -> Result<()> {
        let is_known = |id| self.kind.sections.iter().any(|(known, _)| *known == id);
        match self.table.iter().find(|(id, _, _)| !is_known(*id)) {
            None => Ok(()),
            Some(&(section, _, _)) => Err(FormatError::UnknownSection {
                kind: self.kind.name,
                section,
            }),
        }
    }

    fn size_error(&self, name: &'static str, expected: u64, got: u64) -> FormatError {
        FormatError::Size {
            kind: self.kind.name,
            name,
            expected,
            got,
        }
    }

    /// `size` bytes from `start` of the file on, which is `at` of the section.
    fn at(&mut self, start: u64, size: u64, at: u64, name: &'static str) -> Result<Section<'_, R>> {
        self.input
            .seek(SeekFrom::Start(start))
            .map_err(|error| io(self.kind, "read", error))?;
        Ok(Section {
            input: &mut self.input,
            kind: self.kind.name,
            name,
            left: size,
            at,
        })
    }

    /// Whether the file has a section.
    pub(crate) fn has(&self, id: u32) -> bool {
        self.table.iter().any(|(known, _, _)| *known == id)
    }

    /// Goes to the start of a section.
    pub(crate) fn section(&mut self, id: u32) -> Result<Section<'_, R>> {
        let (start, size, name) = self.find(id)?;
        self.at(start, size, 0, name)
    }

    fn find(&self, id: u32) -> Result<(u64, u64, &'static str)> {
        let name = (self.kind.sections.iter())
            .find_map(|(known, name)| (*known == id).then_some(*name))
            .expect("only known sections are asked for");
        let found = self.table.iter().find(|(known, _, _)| *known == id);
        found
            .map(|(_, start, size)| (*start, *size, name))
            .ok_or(FormatError::MissingSection {
                kind: self.kind.name,
                section: id,
                name,
            })
    }

    /// Refuses the file unless a section has exactly so many bytes.
    pub(crate) fn expect_size(&self, id: u32, expected: u64) -> Result<()> {
        let (_, got, name) = self.find(id)?;
        if got == expected {
            return Ok(());
        }
        Err(self.size_error(name, expected, got))
    }

    /// Part of a section, in bytes; both are within it.
    pub(crate) fn part(&mut self, id: u32, from: u64, bytes: u64) -> Result<Section<'_, R>> {
        let (start, size, name) = self.find(id)?;
        if from.checked_add(bytes).is_none_or(|end| end > size) {
            return Err(self.size_error(name, from.saturating_add(bytes), size));
        }
        self.at(start + from, bytes, from, name)
    }
}

fn io(kind: &Kind, action: &'static str, source: std::io::Error) -> FormatError {
    FormatError::Io {
        kind: kind.name,
        action,
        source,
    }
}

/// Reads within one section.
pub(crate) struct Section<'a, R> {
    input: &'a mut BufReader<R>,
    kind: &'static str,
    name: &'static str,
    left: u64,
    /// Bytes of the section before what is read next.
    at: u64,
}

impl<R: Read> Section<'_, R> {
    /// Bytes that are left.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Fills `out`.
    pub(crate) fn fill(&mut self, out: &mut [u8]) -> Result<()> {
        let wanted = out.len() as u64;
        if wanted > self.left {
            return Err(FormatError::Size {
                kind: self.kind,
                name: self.name,
                expected: self.at + wanted,
                got: self.at + self.left,
            });
        }
        self.left -= wanted;
        self.at += wanted;
        self.input
            .read_exact(out)
            .map_err(|source| FormatError::Io {
                kind: self.kind,
                action: "read",
                source,
            })
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Refuses the section if something is left of it.
    pub(crate) fn end(&self) -> Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        Err(FormatError::Size {
            kind: self.kind,
            name: self.name,
            expected: self.at,
            got: self.at + self.left,
        })
    }

    /// Reads the size and modulus of the scalar field and refuses any other field.
    pub(crate) fn scalar_field(&mut self) -> Result<()> {
        self.field("scalar field", &scalar_modulus())
    }

    /// Reads the size and modulus of the base field and refuses any other field.
    pub(crate) fn base_field(&mut self) -> Result<()> {
        self.field("base field", &base_modulus())
    }

    fn field(&mut self, what: &'static str, modulus: &[u8; FIELD_BYTES]) -> Result<()> {
        let kind = self.kind;
        if self.u32()? as usize != FIELD_BYTES || self.array::<FIELD_BYTES>()? != *modulus {
            return Err(FormatError::Field { kind, what });
        }
        Ok(())
    }

    /// One point; what a fault of it becomes is told by `refused`.
    pub(crate) fn point<P: Point>(
        &mut self,
        infinity: Infinity,
        refused: impl FnOnce(PointFault) -> FormatError,
    ) -> Result<P> {
        let mut bytes = vec![0; P::BYTES];
        self.fill(&mut bytes)?;
        P::decode(&bytes, infinity).map_err(refused)
    }

    fn point_error(&self, index: u64, fault: PointFault) -> FormatError {
        FormatError::Point {
            kind: self.kind,
            what: format!("point {index} of {}", self.name),
            fault,
        }
    }

    /// All points to the section's end, checked in parallel, in chunks.
    pub(crate) fn each_chunk<P: Point>(
        &mut self,
        infinity: Infinity,
        use_chunk: impl FnMut(Vec<P>) -> Result<()>,
    ) -> Result<()> {
        self.each_decoded_chunk(|bytes| P::decode(bytes, infinity), use_chunk)
    }

    fn each_decoded_chunk<P: Point>(
        &mut self,
        decode: impl Fn(&[u8]) -> std::result::Result<P, PointFault> + Sync,
        mut use_chunk: impl FnMut(Vec<P>) -> Result<()>,
    ) -> Result<()> {
        let mut buffer = Vec::new();
        // Why from the position: a part of a section has the section's own numbers.
        let mut first = self.at / P::BYTES as u64;
        while self.left > 0 {
            let points = (self.left / P::BYTES as u64).clamp(1, CHUNK_POINTS as u64);
            let points = usize::try_from(points).expect("at most a chunk");
            buffer.resize(points * P::BYTES, 0);
            self.fill(&mut buffer)?;
            let decoded: std::result::Result<Vec<P>, _> =
                (buffer.par_chunks_exact(P::BYTES)).map(&decode).collect();
            let decoded = decoded.or_else(|_| {
                // The first bad one, whichever thread came upon one first.
                let mut chunks = buffer.chunks_exact(P::BYTES).zip(first..);
                chunks.try_fold(Vec::new(), |mut good, (bytes, index)| {
                    let point = decode(bytes);
                    good.push(point.map_err(|fault| self.point_error(index, fault))?);
                    Ok::<_, FormatError>(good)
                })
            })?;
            first += points as u64;
            use_chunk(decoded)?;
        }
        Ok(())
    }

    /// All points to the section's end.
    pub(crate) fn points<P: Point>(&mut self, infinity: Infinity) -> Result<Vec<P>> {
        self.decoded_points(|bytes| P::decode(bytes, infinity))
    }

    /// All points to the section's end, of which only the coordinates are checked.
    pub(crate) fn points_unchecked<P: Point>(&mut self) -> Result<Vec<P>> {
        self.decoded_points(P::decode_unchecked)
    }

    fn decoded_points<P: Point>(
        &mut self,
        decode: impl Fn(&[u8]) -> std::result::Result<P, PointFault> + Sync,
    ) -> Result<Vec<P>> {
        let count = self.left / P::BYTES as u64;
        let mut all = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
        self.each_decoded_chunk(decode, |mut chunk| {
            all.append(&mut chunk);
            Ok(())
        })?;
        Ok(all)
    }
}

/// The scalar modulus, little-endian.
pub(crate) fn scalar_modulus() -> [u8; FIELD_BYTES] {
    // r = (r - 1) + 1, and r - 1 is even.
    let mut bytes = scalar_bytes(&-Fr::from(1u64));
    bytes[0] += 1;
    bytes
}

/// The base modulus, little-endian.
pub(crate) fn base_modulus() -> [u8; FIELD_BYTES] {
    let mut bytes = [0; FIELD_BYTES];
    for (out, limb) in bytes.chunks_exact_mut(8).zip(Fq::MODULUS.0) {
        out.copy_from_slice(&limb.to_le_bytes());
    }
    bytes
}

/// Writes a file section by section; sizes are announced beforehand and kept.
pub(crate) struct Writer<W> {
    out: W,
    kind: &'static Kind,
    left: u64,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W, kind: &'static Kind, sections: u32) -> Result<Self> {
        let mut writer = Self {
            out,
            kind,
            left: 12,
        };
        writer.put(kind.name.as_bytes())?;
        writer.u32(kind.version)?;
        writer.u32(sections)?;
        Ok(writer)
    }

    /// Begins the next section, of `size` bytes.
    pub(crate) fn begin(&mut self, id: u32, size: u64) -> Result<()> {
        assert_eq!(self.left, 0, "the section before has the size announced");
        self.left = 12;
        self.u32(id)?;
        self.put(&size.to_le_bytes())?;
        self.left = size;
        Ok(())
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let length = bytes.len() as u64;
        assert!(length <= self.left, "a section has the size announced");
        self.left -= length;
        (self.out.write_all(bytes)).map_err(|error| io(self.kind, "written", error))
    }

    pub(crate) fn u32(&mut self, value: u32) -> Result<()> {
        self.put(&value.to_le_bytes())
    }

    /// Size and modulus of the scalar field.
    pub(crate) fn scalar_field(&mut self) -> Result<()> {
        self.field(&scalar_modulus())
    }

    /// Size and modulus of the base field.
    pub(crate) fn base_field(&mut self) -> Result<()> {
        self.field(&base_modulus())
    }

    fn field(&mut self, modulus: &[u8; FIELD_BYTES]) -> Result<()> {
        self.u32(u32::try_from(FIELD_BYTES).expect("32"))?;
        self.put(modulus)
    }

    pub(crate) fn points<P: Point>(&mut self, points: &[P]) -> Result<()> {
        let mut buffer = Vec::with_capacity(points.len().min(CHUNK_POINTS) * P::BYTES);
        for chunk in points.chunks(CHUNK_POINTS) {
            buffer.clear();
            chunk.iter().for_each(|point| point.encode(&mut buffer));
            self.put(&buffer)?;
        }
        Ok(())
    }

    /// A section that holds points alone.
    pub(crate) fn point_section<P: Point>(&mut self, id: u32, points: &[P]) -> Result<()> {
        self.begin(id, (points.len() * P::BYTES) as u64)?;
        self.points(points)
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> Result<()> {
        assert_eq!(self.left, 0, "the last section has the size announced");
        (self.out.flush()).map_err(|error| io(self.kind, "written", error))
    }
}
