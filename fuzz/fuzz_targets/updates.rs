//! Shell over [`quire_testkit::updates`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_testkit::updates(data));
