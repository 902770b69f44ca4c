//! What waits on its way to finality, and for what, in words.

use rollup::Wait;

use rollup::text::count;

/// A line for each, after what stands before.
pub fn lines(waits: &[Wait]) -> String {
    waits.iter().map(|wait| format!("\n{wait}")).collect()
}

/// Operations that were acknowledged and never execute; nothing if there are none.
pub fn dropped(operations: usize) -> String {
    match operations {
        0 => String::new(),
        _ => format!(
            "\n{} operations were dropped as invalid: `quire tx ID` says why for each",
            count(operations)
        ),
    }
}
