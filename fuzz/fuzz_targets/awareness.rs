//! Shell over [`quire_testkit::awareness`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_testkit::awareness(data));
