//! A deployment: the parameters and the digest of the accounts, with the rules that concern them.

use ledger::field::Fr;
use serde::{Deserialize, Serialize};

use super::accounts::{AccountsDigest, GENESIS_VERSION};
use super::error::GenesisError;
use super::parameters::{ListedShape, Parameters};
use crate::bytes::{Address, Bytes};

/// A deployment's parameters with the digest of its accounts: all that L1 needs in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deployment {
    version: u32,
    parameters: Parameters,
    accounts: AccountsDigest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedDeployment {
    #[serde(rename = "version")]
    _version: u32,
    parameters: Parameters,
    accounts: AccountsDigest,
}

/// What every version of the JSON has.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

impl Deployment {
    pub(super) fn new(
        parameters: Parameters,
        accounts: AccountsDigest,
    ) -> Result<Self, GenesisError> {
        parameters.check()?;
        let (accounts_listed, tokens) = (accounts.count, parameters.tokens.len() - 1);
        if parameters.contract.is_some() && (accounts_listed != 0 || tokens != 0) {
            let accounts = accounts_listed;
            return Err(GenesisError::NotEmpty { accounts, tokens });
        }
        Ok(Self {
            version: GENESIS_VERSION,
            parameters,
            accounts,
        })
    }

    /// Reads JSON in any layout and checks all rules but those about accounts.
    pub fn from_json(json: &[u8]) -> Result<Self, GenesisError> {
        let AnyVersion { version: got } = serde_json::from_slice(json)?;
        if got != GENESIS_VERSION {
            return Err(GenesisError::Version {
                expected: GENESIS_VERSION,
                got,
            });
        }
        let raw: UncheckedDeployment = serde_json::from_slice(json)?;
        Self::new(raw.parameters, raw.accounts)
    }

    /// The canonical bytes: JSON without white space, fields in the order of the types.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("text keys and numbers are JSON")
    }

    /// The deployment's address: the contract's, or for a native L1 the first 20 bytes of BLAKE3 of
    /// the canonical bytes.
    pub fn contract(&self) -> Address {
        if let Some(contract) = self.parameters.contract {
            return contract;
        }
        let digest = blake3::hash(&self.canonical_bytes());
        let (head, _) = digest
            .as_bytes()
            .split_first_chunk()
            .expect("a digest has 32 bytes");
        Bytes(*head)
    }

    /// What operations are signed for; see [`ledger::operation::domain`].
    pub fn domain(&self) -> Fr {
        let Parameters { chain_id, salt, .. } = &self.parameters;
        ledger::operation::domain(*chain_id, &self.contract().0, &salt.0)
    }

    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Number and digest of the accounts.
    pub fn accounts(&self) -> AccountsDigest {
        self.accounts
    }

    /// True if this is a contract on an EVM, so that a native L1 made from it is its mirror.
    pub fn is_on_chain(&self) -> bool {
        self.parameters.contract.is_some()
    }

    /// Depth of the account tree.
    pub fn depth(&self) -> u8 {
        self.parameters.shapes[0].shape.depth
    }

    /// The listed shape with this id.
    pub fn shape(&self, id: u16) -> Option<&ListedShape> {
        let mut shapes = self.parameters.shapes.iter();
        shapes.find(|listed| listed.shape.id == id)
    }
}
