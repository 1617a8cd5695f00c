//! Shell over [`quire_testkit::records`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_testkit::records(data));
