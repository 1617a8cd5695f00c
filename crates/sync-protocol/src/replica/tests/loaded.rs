//! What is loaded stays in the memory of what was stored until it changes.

use super::*;

const LETTERS: u64 = 3000;

/// Letters that were each put before the one before, so that none joins another.
fn letters(by: u64) -> Update {
    let letter = |clock: u64| {
        let mut letter = match clock.checked_sub(1) {
            None => vec![4, 1, 1, b't'],
            Some(before) => {
                let mut letter = vec![0x44];
                crate::wire::varint::write_id(&mut letter, crate::Id { client: client(by), clock: before });
                letter
            }
        };
        letter.extend([1, b'x']);
        letter
    };
    many(&[1, LETTERS, by, 0], (0..LETTERS).map(letter), &[0])
}

fn deletion(by: u64, ranges: &[(Clock, Clock)]) -> Update {
    let mut deletes = IdSet::default();
    for (start, end) in ranges {
        deletes.insert(client(by), ClockRange { start: *start, end: *end });
    }
    crate::update::UpdateWriter::default().finish(&deletes)
}

fn shared(replica: &Replica) -> usize {
    replica.chunks.values().filter(|chunk| chunk.bytes.own_bytes() == 0).count()
}

#[test]
fn only_what_changes_is_copied() {
    let mut edited = filled(&[letters(1), letters(2)]);
    let snapshot = edited.encode();
    let (mut loaded, whole) = Replica::from_stored(Some(snapshot.bytes().clone()), &[]).unwrap();
    assert_eq!(whole.as_ref(), Some(&snapshot));
    assert_eq!(loaded, edited);
    let chunks = loaded.chunks.len();
    assert!(chunks > 30 && shared(&loaded) >= chunks - 2, "{} of {chunks}", shared(&loaded));
    assert!(loaded.heap_bytes() < snapshot.bytes().len() * 5 / 4);

    let edits = [
        deletion(1, &[(0, 1), (1500, 1502), (LETTERS - 1, LETTERS)]),
        // Behind the last one, and by somebody new.
        unhex("010101b8174401b717017900"),
        unhex("0101070084020502616200"),
        letters(1),
    ];
    for edit in &edits {
        edited.insert(edit);
        loaded.insert(edit);
        is_like(&loaded, &edited).unwrap();
    }
    assert!(shared(&loaded) >= chunks - 8);
    assert!(loaded.heap_bytes() < snapshot.bytes().len() * 3 / 2);
    // What is handed out is not changed by it.
    assert_eq!(whole, Some(snapshot));

    let everywhere: Vec<_> = (0..LETTERS / 2).map(|pair| (2 * pair, 2 * pair + 1)).collect();
    for by in [1, 2] {
        edited.insert(&deletion(by, &everywhere));
        loaded.insert(&deletion(by, &everywhere));
    }
    is_like(&loaded, &edited).unwrap();
    assert_eq!(shared(&loaded), 0);
    assert!(loaded.heap_bytes() < edited.heap_bytes() * 5 / 4);
}

#[test]
fn what_was_loaded_goes_when_less_than_half_of_it_is_in_use() {
    let snapshot = filled(&[letters(1), letters(2)]).encode();
    let (mut loaded, _) = Replica::from_stored(Some(snapshot.bytes().clone()), &[]).unwrap();
    let size = snapshot.bytes().len();
    loaded.insert(&deletion(1, &[(0, LETTERS * 9 / 10)]));
    assert!(loaded.chunks.shared_bytes() > size / 2 && loaded.heap_bytes() > size);
    loaded.insert(&deletion(2, &[(0, LETTERS / 5)]));
    assert_eq!((loaded.chunks.shared_bytes(), shared(&loaded)), (0, 0));
    // Letters that are deleted keep their places, and so take nearly as much as before.
    let now = loaded.encode().bytes().len();
    assert!(loaded.heap_bytes() < now * 3 / 2, "{} of {now}", loaded.heap_bytes());
    let (again, _) = Replica::from_stored(Some(loaded.encode().bytes().clone()), &[]).unwrap();
    assert_eq!(again, loaded);
}
