//! Prints what each call costs.

fn main() {
    let report = evm::gas::measure();
    for row in report.rows {
        println!("{:28} {:>9} {:?}", row.case, row.gas, row.gas_per_transfer);
    }
    println!("{:?}", report.code_bytes);
}
