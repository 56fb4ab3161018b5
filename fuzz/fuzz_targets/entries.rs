//! Fuzzes `regend_fuzz::entries`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| regend_fuzz::entries(data));
