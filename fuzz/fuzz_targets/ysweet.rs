//! Shell over [`quire_testkit::ysweet`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_testkit::ysweet(data));
