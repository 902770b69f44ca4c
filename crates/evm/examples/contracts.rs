//! Writes the generated Solidity sources beside the others. `make contracts` runs it before it
//! compiles.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../l1/contracts");
    for (file, text) in evm::generated() {
        std::fs::write(folder.join(file), text)?;
    }
    Ok(())
}
