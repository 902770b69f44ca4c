//! The shapes of a deployment, by name.

use circuits::shapes::{SHAPES, by_name, name_of};
use ledger::shape::Shape;
use thiserror::Error;

/// Shape of a deployment for which none is named.
pub const DEFAULT_SHAPE: &str = "t18";
/// Shape with L1 slots that joins shapes without any.
const COMPANION: &str = "q18";

/// Why names are not the shapes of a deployment.
#[derive(Debug, Error)]
pub enum ShapesError {
    /// There is no such shape.
    #[error("there is no shape {name:?}; the shapes are {}", SHAPES.map(|(name, _)| name).join(", "))]
    Unknown { name: String },
    /// A shape is named twice.
    #[error("shape {name} is named twice")]
    Twice { name: String },
    /// The accounts of a deployment are one tree.
    #[error(
        "all shapes of a deployment have one depth: shape {first} has {expected}, shape {other} has {got}"
    )]
    Depth {
        /// The first shape.
        first: String,
        expected: u8,
        /// A shape that differs.
        other: String,
        got: u8,
    },
}

/// A shape by its name.
///
/// # Errors
/// [`ShapesError::Unknown`].
pub fn named(name: &str) -> Result<Shape, ShapesError> {
    by_name(name).ok_or_else(|| ShapesError::Unknown {
        name: name.to_owned(),
    })
}

/// The name under which the keys of a shape are kept.
pub fn shape_name(shape: &Shape) -> String {
    name_of(shape).map_or_else(|| format!("shape-{}", shape.id), str::to_owned)
}

/// Shapes by name, with one that has L1 slots.
///
/// # Errors
/// [`ShapesError`] if a name is unknown or the shapes differ in depth.
pub fn shapes_by_name(names: &[String], default: &str) -> Result<Vec<Shape>, ShapesError> {
    let names: Vec<&str> = match names {
        [] => vec![default],
        names => names.iter().map(String::as_str).collect(),
    };
    let mut chosen: Vec<Shape> = Vec::new();
    for name in names {
        let shape = named(name)?;
        if chosen.contains(&shape) {
            let name = name.to_owned();
            return Err(ShapesError::Twice { name });
        }
        chosen.push(shape);
    }
    if chosen.iter().all(|shape| shape.l1_ops == 0) {
        chosen.push(named(COMPANION)?);
    }
    let first = chosen[0].depth;
    match chosen.iter().find(|shape| shape.depth != first) {
        None => Ok(chosen),
        Some(other) => Err(ShapesError::Depth {
            first: shape_name(&chosen[0]),
            expected: first,
            other: shape_name(other),
            got: other.depth,
        }),
    }
}
