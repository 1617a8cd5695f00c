//! Shell over [`quire_testkit::envelope`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_testkit::envelope(data));
