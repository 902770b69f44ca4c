//! `tests::decoders::signed_operation_json` on any input.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    tests::decoders::signed_operation_json(data);
});
