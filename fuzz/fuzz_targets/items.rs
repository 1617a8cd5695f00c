//! Shell over [`quire_testkit::items`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_testkit::items(data));
