//! `tests::decoders::iden3_sym` on any input.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    tests::decoders::iden3_sym(data);
});
