//! Checks of the sources themselves: what a reader finds where, not what the code computes.
//!
//! - [`modules`]: the tree of modules of a crate, and which file defines what a path names.
//! - [`circles`]: files of one crate that use each other.
//!
//! Nothing here depends on another crate of the workspace, so these checks compile in seconds.

pub mod circles;
pub mod modules;
