//! Shell over [`quire_testkit::hocuspocus`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_testkit::hocuspocus(data));
