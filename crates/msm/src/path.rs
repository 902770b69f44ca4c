//! Which code does the work: portable, or with the vectors of this processor.

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use crate::ifma;

/// Which code does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Safe code for every processor.
    Portable,
    /// Eight field elements at a time with AVX-512 IFMA.
    Ifma,
}

impl Path {
    /// Whether this processor can run it.
    pub fn is_supported(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Ifma => ifma::supported(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Ifma => false,
        }
    }
}

static PATH: OnceLock<Path> = OnceLock::new();

/// The path to use: the one that was chosen, or the fastest that this processor supports, or
/// [`Path::Portable`] if the environment says `QUIRE_SIMD=portable`. Fixed by the first call.
pub fn path() -> Path {
    *PATH.get_or_init(|| {
        let portable = std::env::var_os("QUIRE_SIMD").is_some_and(|value| value == "portable");
        if portable || !Path::Ifma.is_supported() {
            Path::Portable
        } else {
            Path::Ifma
        }
    })
}

/// Chooses the path for the rest of the program; false if the processor does not support it or another
/// one is in use already.
#[must_use]
pub fn choose(path: Path) -> bool {
    path.is_supported() && *PATH.get_or_init(|| path) == path
}
