//! Fuzzes `regend_fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| regend_fuzz::config(data));
