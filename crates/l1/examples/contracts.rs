//! Writes the generated Solidity sources into `contracts/src`. `make contracts` runs it before it
//! compiles.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts/src");
    std::fs::write(
        sources.join("PathHasher.sol"),
        l1::evm::path_hasher::solidity(),
    )
}
