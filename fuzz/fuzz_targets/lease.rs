//! Fuzzes `regend_fuzz::lease`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| regend_fuzz::lease(data));
