//! Shell over [`quire_testkit::frames`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_testkit::frames(data));
