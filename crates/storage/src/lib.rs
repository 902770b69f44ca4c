//! The bytes of records that are stored.

#![allow(
    missing_docs,
    reason = "methods of the codec are named by what they read or write"
)]

mod codec;

pub use codec::{CHECKSUM_BYTES, CodecError, Reader, Writer, checksum};
