//! Files with a secret in them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::WalletError;

/// Most bytes of a file with a secret that are read.
const MAX_BYTES: usize = 1 << 16;

/// The bytes of a file with a secret, bounded, in memory that is wiped; errors say `what` it should be.
///
/// # Errors
/// If it cannot be read, is too long, or begins with a byte order mark.
pub fn read_secret(path: &Path, what: &'static str) -> Result<Zeroizing<Vec<u8>>, WalletError> {
    let failed = |source| WalletError::Read {
        path: path.to_owned(),
        what,
        source,
    };
    // Why: what is not a plain file does not tell its size.
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(1 << 17));
    file.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > MAX_BYTES {
        return Err(WalletError::TooLong {
            path: path.to_owned(),
            what,
            most: MAX_BYTES,
        });
    }
    if files::has_byte_order_mark(&bytes) {
        return Err(WalletError::ByteOrderMark {
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}
