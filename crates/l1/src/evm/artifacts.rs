//! The compiled contracts, as committed: nobody needs a Solidity compiler to deploy or to test.
//!
//! Invariant: the JSON files are what `make contracts` writes from the sources beside them;
//! `make contracts-check` compares. Each has `abi`, `bytecode` (to deploy) and `deployedBytecode`.

use serde::Deserialize;

/// A compiled contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Artifact {
    pub name: &'static str,
    /// The whole file, for tools that read ABIs.
    pub json: &'static str,
}

/// The rollup. Its constructor takes what [`super::abi::constructor`] encodes.
pub const ROLLUP: Artifact = Artifact {
    name: "Rollup",
    json: include_str!("../../contracts/artifacts/Rollup.json"),
};

/// The contract that hashes tree paths; deployed first, without arguments.
pub const PATH_HASHER: Artifact = Artifact {
    name: "PathHasher",
    json: include_str!("../../contracts/artifacts/PathHasher.json"),
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Code {
    bytecode: String,
    deployed_bytecode: String,
}

impl Artifact {
    /// The code that deploys the contract, without constructor arguments.
    pub fn bytecode(&self) -> Vec<u8> {
        bytes(&self.code().bytecode)
    }

    /// The code of the deployed contract, immutables 0.
    pub fn deployed_bytecode(&self) -> Vec<u8> {
        bytes(&self.code().deployed_bytecode)
    }

    fn code(&self) -> Code {
        serde_json::from_str(self.json).expect("the committed artifact is what build.js wrote")
    }
}

fn bytes(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits).expect("the committed artifact has hexadecimal code")
}
