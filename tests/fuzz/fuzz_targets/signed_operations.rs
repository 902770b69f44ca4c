//! `cli::decoders::operations` on any input.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    cli::decoders::operations(data);
});
