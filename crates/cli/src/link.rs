//! How a mirror is connected with its contract: through the node that `--l1` names.

use std::path::PathBuf;
use std::sync::Arc;

use files::AnyClassified;
use rollup::place::Connect;

/// Connects through the node at `url`; with a key, which is read when it is needed, calls can be sent.
#[cfg(feature = "chain")]
pub fn connect(url: String, eth_key_file: Option<PathBuf>) -> Connect {
    use chain::{Access, Chain, ChainError, EthKey};
    use l1::NativeL1;
    use rollup::{Link, LinkError, Place};

    let link = move |place: &Place, native: &NativeL1| {
        let key = eth_key_file.as_deref().map(EthKey::load).transpose()?;
        let chain_id = native.deployment().parameters().chain_id;
        let access = Access::new(&url, Some(chain_id), key, &outbox(place))?;
        let chain = Chain::open(access, &place.l1_file, native)?;
        Ok(Link::to(Box::new(chain)))
    };
    Arc::new(move |place, native| {
        link(place, native).map_err(|error: ChainError| match error {
            ChainError::InUse { .. } => LinkError::InUse(AnyClassified::new(error)),
            error => LinkError::Chain(AnyClassified::new(error)),
        })
    })
}

/// Where transactions are kept until they are final.
#[cfg(feature = "chain")]
pub fn outbox(place: &rollup::Place) -> PathBuf {
    place.data_dir.join("ethereum")
}

/// This program has no client.
#[cfg(not(feature = "chain"))]
pub fn connect(_: String, _: Option<PathBuf>) -> Connect {
    use rollup::LinkError;

    use crate::fault::Fault;

    Arc::new(|_, _| {
        let fault = Fault::left_out("a client for Ethereum", "chain");
        Err(LinkError::Chain(AnyClassified::new(fault)))
    })
}
