//! Who has to act on each error of wallets and passphrases.

use files::{Class, Classified};

use crate::error::{FileFault, PassphraseError, SeedError, WalletError};

impl Classified for WalletError {
    fn class(&self) -> Class {
        match self {
            Self::Read { .. } => Class::Environment,
            Self::TooLong { .. }
            | Self::ByteOrderMark { .. }
            | Self::NotAWallet { .. }
            | Self::Unusable { .. } => Class::Input,
            Self::Unlock { fault, .. } | Self::Encrypt(fault) => fault.class(),
        }
    }
}

impl Classified for FileFault {
    fn class(&self) -> Class {
        match self {
            Self::Derivation(_) => Class::Environment,
            Self::Version { .. }
            | Self::Fields
            | Self::PrivateKey
            | Self::PublicKeyDigits
            | Self::PublicKey(_)
            | Self::OtherKey { .. }
            | Self::OtherAddress { .. }
            | Self::Algorithms { .. }
            | Self::Costs { .. }
            | Self::Digits(_)
            | Self::Cipher
            | Self::Passphrase => Class::Input,
        }
    }
}

impl Classified for PassphraseError {
    fn class(&self) -> Class {
        match self {
            Self::Empty { .. } | Self::TooLong { .. } => Class::Input,
        }
    }
}

impl Classified for SeedError {
    fn class(&self) -> Class {
        match self {
            Self::Text | Self::Hex | Self::Base64 => Class::Input,
        }
    }
}
