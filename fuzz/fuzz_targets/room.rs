//! Shell over [`quire_testkit::room`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_testkit::room(data));
