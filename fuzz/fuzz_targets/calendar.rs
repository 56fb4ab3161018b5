//! Fuzzes `regend_fuzz::calendar`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| regend_fuzz::calendar(data));
