//! Deploying a rollup's contract.

use std::collections::BTreeMap;

use alloy::primitives::Address as EthAddress;
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
use crate::sender::Included;

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
        let Included { id, mined } = self.send(&intent)?;
        let Mined {
            receipt, number, ..
        } = mined;
        let (rpc, sender) = self.sending()?;
        let record = sender.outbox.get(id);
        let nonce = record.map_or(0, |record| record.call.nonce);
        // Why computed: the contract at another address would be somebody else's.
        let made = EthAddress::from(sender.address().0).create(nonce);
        if receipt.contract_address != Some(made) {
            let told = receipt.contract_address;
            let told = told.map_or("no address".to_owned(), |told| {
                format!("the address {told}")
            });
            let reason = format!("{told} for {what}, whose transaction makes {made}");
            return Err(rpc.bad_answer("eth_getTransactionReceipt", reason));
        }
        Ok((Bytes(made.into_array()), number))
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
