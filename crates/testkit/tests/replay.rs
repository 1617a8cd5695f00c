//! The kept inputs of the fuzz targets, and the recordings, held against the laws.

use quire_sync_protocol::wire::varint::write_var_bytes;
use quire_testkit::{TARGETS, corpus, vectors};

#[test]
fn every_kept_input_keeps_the_laws() {
    for (name, target) in TARGETS {
        let inputs = corpus::inputs(name);
        assert!(!inputs.is_empty(), "{name} has no inputs");
        for (file, input) in inputs {
            // Shown when the law breaks.
            println!("{name}/{file}");
            target(&input);
        }
    }
}

#[test]
fn what_the_libraries_wrote_keeps_the_laws() {
    for history in vectors::histories() {
        println!("{}", history.name);
        for updates in history.updates.windows(4).chain(history.updates.chunks(8)) {
            let mut input = Vec::new();
            for update in updates {
                write_var_bytes(&mut input, update.bytes());
            }
            assert_eq!(quire_testkit::accepted(&input), updates);
            quire_testkit::updates(&input);
        }
    }
    for frame in vectors::frames() {
        quire_testkit::frames(&frame);
    }
    for frame in vectors::hocuspocus() {
        quire_testkit::hocuspocus(&frame);
    }
    for frame in vectors::ysweet() {
        quire_testkit::ysweet(&frame);
    }
    for update in vectors::awareness() {
        quire_testkit::awareness(&update);
    }
}
