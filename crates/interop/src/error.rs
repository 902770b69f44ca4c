//! Why a file is not what it should be.

use std::io;

use r1cs::R1csError;

/// Why a file could not be read or written. Every message says which part of which kind of file.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Reading or writing failed.
    #[error("the {kind} file cannot be {action}: {source}; check the disk and the path")]
    Io {
        /// Kind of file by its ending, as `zkey`.
        kind: &'static str,
        /// What was attempted, as a participle.
        action: &'static str,
        /// The reason that the operating system gave.
        source: io::Error,
    },
    /// Another kind of file.
    #[error("this is no {kind} file: it starts with {got:?}; hand in a {kind} file")]
    Magic {
        /// Kind of file that was expected.
        kind: &'static str,
        /// What the file starts with.
        got: String,
    },
    /// Another version of the format.
    #[error("the {kind} file has version {got}, this program reads {expected}; export it again")]
    Version {
        /// Kind of file by its ending, as `zkey`.
        kind: &'static str,
        /// Version read by this program.
        expected: u32,
        /// Version that the file has.
        got: u32,
    },
    /// A section that this kind of file does not have, or that this program does not understand.
    #[error(
        "the {kind} file has a section {section}, which this program does not know; export it without that section"
    )]
    UnknownSection {
        /// Kind of file by its ending, as `zkey`.
        kind: &'static str,
        /// Number of the section in the format.
        section: u32,
    },
    /// A section occurs twice.
    #[error("the {kind} file has section {section} twice; export it again")]
    DuplicateSection {
        /// Kind of file by its ending, as `zkey`.
        kind: &'static str,
        /// Number of the section in the format.
        section: u32,
    },
    /// A section is missing.
    #[error("the {kind} file has no section {section} ({name}); export it again")]
    MissingSection {
        /// Kind of file by its ending, as `zkey`.
        kind: &'static str,
        /// Number of the section in the format.
        section: u32,
        /// What the section holds.
        name: &'static str,
    },
    /// A length does not fit what it describes.
    #[error(
        "{name} of the {kind} file has {got} bytes where {expected} are announced or needed: it is cut off or damaged; copy it again"
    )]
    Size {
        /// Kind of file by its ending, as `zkey`.
        kind: &'static str,
        /// Part of the file.
        name: &'static str,
        /// Bytes announced or needed.
        expected: u64,
        /// Number of bytes that the section has.
        got: u64,
    },
    /// Another field or curve.
    #[error("the {kind} file is not for BN254 (bn128): its {what} is another; make it for bn128")]
    Field {
        /// Kind of file by its ending, as `zkey`.
        kind: &'static str,
        /// Name of the value that is not BN254's.
        what: &'static str,
    },
    /// Another proof system.
    #[error(
        "the {kind} file is for {got}, this program reads those of Groth16: make it with Groth16"
    )]
    Protocol {
        /// Kind of file by its ending, as `zkey`.
        kind: &'static str,
        /// Name of the proof system that the file is for.
        got: String,
    },
    /// A circuit that is not rank-1 constraints alone.
    #[error(
        "the circuit of the r1cs file uses custom gates ({count}), which Groth16 does not prove: compile it without custom templates"
    )]
    CustomGates {
        /// Number of custom gates that the circuit uses.
        count: u32,
    },
    /// A number is outside its range.
    #[error("{what} of the {kind} file is {got}; allowed is {allowed}")]
    OutOfRange {
        /// Kind of file by its ending, as `zkey`.
        kind: &'static str,
        /// Name of the number that is out of its range.
        what: &'static str,
        /// The value that the file has.
        got: u64,
        /// The allowed range, in words.
        allowed: String,
    },
    /// A field element is not below the field's modulus.
    #[error("{name} of the {kind} file: element {index} is not below the modulus; export it again")]
    NotCanonical {
        /// Kind of file by its ending, as `zkey`.
        kind: &'static str,
        /// Part of the file.
        name: &'static str,
        /// Position in that part.
        index: u64,
    },
    /// `τ`, `α` or `β` of a ptau file is ±1, as before anybody contributed.
    #[error(
        "{what} of the ptau file is ±1: nobody contributed to these powers, so anybody can forge proofs; take a finished ceremony's"
    )]
    Uncontributed {
        /// Which of `τ`, `α` and `β` it is.
        what: &'static str,
    },
    /// A point cannot be used.
    #[error("{what} in the {kind} file {fault}; do not use the file")]
    Point {
        /// Kind of file by its ending, as `zkey`.
        kind: &'static str,
        /// Its name, or its number in a part of the file.
        what: String,
        /// What is wrong with it.
        fault: PointFault,
    },
    /// A linear combination names a wire twice, with no number of the field, or one that does not
    /// exist.
    #[error("constraint {row} of the r1cs file: wire {wire} {fault}; export it again")]
    Row {
        /// Index of the constraint, from 0.
        row: u64,
        /// Number of the wire that the constraint names.
        wire: u32,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A contribution's record is malformed.
    #[error("contribution {index} of the zkey file {fault}; do not use the file")]
    Contribution {
        /// Number of the contribution, from 1.
        index: usize,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The constraint system is too large.
    #[error(transparent)]
    R1cs(#[from] R1csError),
    /// The text is not JSON of the expected form.
    #[error("this is no {kind}: {source}; export it again")]
    Json {
        /// What the JSON text should hold, as a proof.
        kind: &'static str,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A part of the JSON has another form.
    #[error("{what} in the {kind} is {got}; expected is {expected}")]
    Form {
        /// What the JSON text should hold, as a proof.
        kind: &'static str,
        /// Name of the part.
        what: String,
        /// What stands there instead.
        got: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A number in JSON is not one of the field, or spelled in a way that programs read differently.
    #[error("{what} in the {kind} is {got}, which {fault}")]
    Number {
        /// What the JSON text should hold, as a proof.
        kind: &'static str,
        /// Name of the number.
        what: String,
        /// How it is spelled there.
        got: String,
        /// What is wrong with it and what to do.
        fault: &'static str,
    },
    /// A value in JSON contradicts another one.
    #[error("{what} in the {kind} is {got:?}, expected {expected:?}")]
    Disagree {
        /// What the JSON text should hold, as a proof.
        kind: &'static str,
        /// Name of the value.
        what: &'static str,
        /// What it should be.
        expected: String,
        /// What stands there instead.
        got: String,
    },
}

/// What is wrong with a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointFault {
    /// A coordinate is not below the base modulus.
    #[error("has a coordinate that is not below the base modulus")]
    Coordinate,
    /// The coordinates satisfy no curve equation.
    #[error("is not on the curve")]
    NotOnCurve,
    /// The point is outside the subgroup of order r.
    #[error("is not in the subgroup of order r")]
    NotInSubgroup,
    /// The point is at infinity where it must not be.
    #[error("is at infinity")]
    Infinity,
}
