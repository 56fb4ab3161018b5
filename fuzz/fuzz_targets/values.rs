//! Fuzzes `regend_fuzz::values`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| regend_fuzz::values(data));
