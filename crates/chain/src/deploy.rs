//! Deploying a rollup's contract.

use std::collections::BTreeMap;

use l1::Address;
use l1::bytes::Bytes;
use l1::evm::abi;
use l1::evm::artifacts::{PATH_HASHER, ROLLUP};
use l1::genesis::Parameters;
use ledger::shape::Shape;
use prover::key::VerifyingKey;

use crate::access::{Access, Found, constructed};
use crate::blocks::Mined;
use crate::error::ChainError;
use crate::outbox::Intent;

impl Access {
    /// Creates a contract, and returns its address and the number of its block.
    fn create(&mut self, what: &'static str, code: &[u8]) -> Result<(Address, u64), ChainError> {
        let intent = Intent {
            what,
            to: None,
            value: 0,
            data: code,
            acknowledge: true,
            gas_bound: 0,
        };
        let Mined {
            receipt, number, ..
        } = self.send(&intent)?.mined;
        let address = receipt.contract_address.ok_or(ChainError::NotTheContract {
            contract: Bytes([0; 20]),
            chain_id: self.chain_id,
            reason: format!("the receipt of {what} names no address"),
        })?;
        Ok((Bytes(address.into_array()), number))
    }

    /// Deploys a rollup: `parameters` without chain and contract, shapes with their keys. The caller is
    /// the operator. Called again it continues the same deployment, until [`Self::acknowledge_deployment`].
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn deploy(
        &mut self,
        parameters: Parameters,
        keys: BTreeMap<u16, VerifyingKey>,
    ) -> Result<Found, ChainError> {
        let (path_hasher, _) = self.create("the path hasher", &PATH_HASHER.bytecode())?;
        let listed = parameters.shapes.iter();
        let shapes: Vec<(Shape, &VerifyingKey)> = listed
            .filter_map(|listed| Some((listed.shape, keys.get(&listed.shape.id)?)))
            .collect();
        let depth = parameters.shapes[0].shape.depth;
        let config = constructed(&parameters, depth, path_hasher);
        let mut code = ROLLUP.bytecode();
        code.extend(abi::constructor(&config, &shapes));
        let (contract, block) = self.create("the deployment", &code)?;
        let before = self.anchor(contract, block)?;
        let parameters = Parameters {
            chain_id: self.chain_id,
            contract: Some(contract),
            ..parameters
        };
        Ok(Found {
            parameters,
            keys,
            before,
            block,
        })
    }

    /// Acknowledges the deployment: the caller has recorded its address. Called again, [`Self::deploy`] makes
    /// another one.
    ///
    /// # Errors
    /// [`ChainError::Io`].
    pub fn acknowledge_deployment(&mut self) -> Result<(), ChainError> {
        self.sending()?.1.drop_creations()
    }
}
