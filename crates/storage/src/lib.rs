//! Databases that survive crashes, and the bytes of the records in them.
//!
//! Every database is one `redb` file. It is created whole or not at all ([`NewDatabase`]), opened in one
//! way ([`Database`]), and one process writes it while any number read beside it. What its tables mean is
//! left to the crate whose database it is.

#![allow(
    missing_docs,
    reason = "methods of the codec are named by what they read or write"
)]

mod builder;
mod codec;
mod create;
mod database;
mod error;
mod pages;

pub use codec::{CHECKSUM_BYTES, CodecError, Reader, Writer, checksum};
pub use create::NewDatabase;
pub use database::{Database, Pages};
pub use error::{BeginError, Contents, OpenError};
