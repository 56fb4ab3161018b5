//! Fuzzes `regend_fuzz::decision`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| regend_fuzz::decision(data));
