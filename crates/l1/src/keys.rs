//! Verifying keys: one a shape, registered by the operator, once and for good.
//!
//! They are registered after genesis: making keys takes minutes, and a deployment can be imported and
//! batches sealed before. The contract takes its keys in the constructor. Nothing is lost by the
//! difference: genesis fixes the fingerprint of each circuit, a key that is registered never changes,
//! and until then no batch is accepted.
//!
//! Invariant: a registered key is for the circuit that the genesis lists, is not degenerate, and takes the
//! public inputs of a batch.

use std::collections::BTreeMap;

use prover::key::{AllowDevKeys, VerifyingKey};

use crate::bytes::Address;
use crate::error::{L1Error, Refusal, StoreError};
use crate::genesis::{Deployment, ListedShape};
use crate::native::NativeL1;
use crate::store::{Snapshot, transact};
use crate::submission::PUBLIC_INPUTS;

impl NativeL1 {
    /// Registers the verifying key of a shape, once and for good.
    ///
    /// # Errors
    /// [`Refusal`]: not the operator, unknown shape, a key registered already, another circuit's
    /// key, a degenerate one, or one from a development setup where none is allowed.
    pub fn register_key(
        &mut self,
        caller: Address,
        shape_id: u16,
        key: &VerifyingKey,
        now: u64,
    ) -> Result<(), L1Error> {
        self.not_frozen()?;
        self.only_operator(caller)?;
        self.key_is_good(shape_id, key)?;
        let bytes = key.to_bytes();
        transact(&self.db, now, |tx| -> Result<(), L1Error> {
            tx.head.not_frozen()?;
            tx.head.only_operator(caller)?;
            tx.keys.insert(shape_id, bytes.as_slice())?;
            Ok(())
        })?;
        self.keys.insert(shape_id, key.clone());
        Ok(())
    }

    fn key_is_good(&self, shape_id: u16, key: &VerifyingKey) -> Result<(), Refusal> {
        let listed = self.listed(shape_id)?;
        if let Some(registered) = self.keys.get(&shape_id) {
            return Err(Refusal::KeyRegistered {
                shape_id,
                id: registered.id_hex(),
            });
        }
        check_key(listed, key)?;
        Ok(key.check_origin(self.dev_keys)?)
    }

    /// The shape with this id.
    pub(crate) fn listed(&self, shape_id: u16) -> Result<&ListedShape, Refusal> {
        let listed = self.deployment.shape(shape_id);
        listed.ok_or(Refusal::UnknownShape { shape_id })
    }

    /// The shape's key; one from a development setup only if allowed at opening.
    pub(crate) fn usable_key(&self, shape_id: u16) -> Result<&VerifyingKey, Refusal> {
        let key = self.keys.get(&shape_id);
        let key = key.ok_or(Refusal::NoKey { shape_id })?;
        key.check_origin(self.dev_keys)?;
        Ok(key)
    }

    /// Takes the registered keys from the database, which may have lost some.
    pub(crate) fn load_keys(&mut self) -> Result<(), StoreError> {
        self.keys = load_keys(&Snapshot::begin(&self.db)?, &self.deployment)?;
        Ok(())
    }
}

/// All registered keys with every check but that of their origin, which depends on the caller.
pub(crate) fn load_keys(
    snapshot: &Snapshot,
    deployment: &Deployment,
) -> Result<BTreeMap<u16, VerifyingKey>, StoreError> {
    let mut keys = BTreeMap::new();
    for record in snapshot.keys()?.range::<u16>(..)? {
        let (shape_id, bytes) = record?;
        let shape_id = shape_id.value();
        let damaged = |source| StoreError::Key {
            shape_id,
            source: Box::new(source),
        };
        let key = VerifyingKey::from_bytes(bytes.value(), AllowDevKeys::Yes).map_err(damaged)?;
        let listed = deployment.shape(shape_id);
        let listed = listed.ok_or_else(|| StoreError::Missing {
            what: format!("shape {shape_id} of a verifying key"),
        })?;
        key.check_circuit(&listed.fingerprint.0).map_err(damaged)?;
        keys.insert(shape_id, key);
    }
    Ok(keys)
}

/// The key is for the listed circuit and fit to be used.
fn check_key(listed: &ListedShape, key: &VerifyingKey) -> Result<(), Refusal> {
    key.check_circuit(&listed.fingerprint.0)?;
    key.check()
        .map_err(|fault| Refusal::from(prover::key::KeyError::from(fault)))?;
    let (expected, got) = (PUBLIC_INPUTS, key.num_inputs());
    if expected == got {
        Ok(())
    } else {
        Err(Refusal::KeyInputs { expected, got })
    }
}
