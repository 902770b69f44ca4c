//! `quire gas`: what the contract costs on Ethereum.

use anyhow::Result;
use evm::gas::{Report, measure};

use crate::ui::{Ui, table};
use rollup::text::count;

/// Measures and prints every case.
///
/// # Errors
/// If the result cannot be printed.
pub fn run(ui: Ui) -> Result<()> {
    let task = ui.task("running the contract", None);
    let report = measure();
    task.done();
    ui.result(&report.rows, describe(&report))
}

fn describe(report: &Report) -> String {
    let heading = ["CASE", "GAS", "A TRANSFER"].map(str::to_owned).to_vec();
    let rows = report.rows.iter().map(|row| {
        let each = row.gas_per_transfer.map(|gas| format!("{gas:.2}"));
        vec![row.case.clone(), count(row.gas), each.unwrap_or_default()]
    });
    let mut text = table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>());
    for (name, bytes) in &report.code_bytes {
        let bytes = count(*bytes);
        text.push_str(&format!(
            "\n{name}: {bytes} bytes of code, 24,576 allowed\n"
        ));
    }
    text
}
