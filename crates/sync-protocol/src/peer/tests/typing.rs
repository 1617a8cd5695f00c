//! Two people type into one text and between each other's characters: whatever the replica joins and cuts, a reader sees what
//! the two see. The two and the readers are yrs documents, on text that yrs gets right.

use proptest::prelude::*;
use yrs::{GetString as _, Text as _, Transact as _, WriteTxn as _};

use crate::peer::Peer;
use crate::{ClientId, Message, Replica, Update};

/// What one of the two does next.
#[derive(Clone, Debug)]
enum Step {
    /// Writes so many characters here, as one insertion each or all at once.
    Type {
        who: usize,
        at: prop::sample::Index,
        letters: u8,
        singly: bool,
    },
    Delete {
        who: usize,
        at: prop::sample::Index,
        letters: u32,
    },
    /// Hears what the other has done.
    Look {
        who: usize,
    },
}

/// As many cases as `QUIRE_PROPERTY_CASES` says.
fn config() -> ProptestConfig {
    let cases = std::env::var("QUIRE_PROPERTY_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(256), ..ProptestConfig::default() }
}

fn client(id: u64) -> ClientId {
    ClientId::new(id).unwrap()
}

fn filled(updates: &[Update]) -> Replica {
    let mut replica = Replica::new();
    for update in updates {
        replica.insert(update);
    }
    replica
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..2usize, any::<prop::sample::Index>(), 1..5u8, any::<bool>())
            .prop_map(|(who, at, letters, singly)| Step::Type { who, at, letters, singly }),
        1 => (0..2usize, any::<prop::sample::Index>(), 1..4u32)
            .prop_map(|(who, at, letters)| Step::Delete { who, at, letters }),
        3 => (0..2usize).prop_map(|who| Step::Look { who }),
    ];
    proptest::collection::vec(step, 1..40)
}

fn text(peer: &Peer) -> String {
    let mut transaction = peer.doc().transact_mut();
    transaction.get_or_insert_text("text").get_string(&transaction)
}

fn sent(peer: &mut Peer) -> Vec<Update> {
    std::iter::from_fn(|| peer.poll_transmit())
        .filter_map(|message| if let Message::Update(update) = message { Some(update) } else { None })
        .collect()
}

/// Carries out the steps, and then lets the two hear of each other. Returns what they see and what was sent, in order.
fn written(steps: &[Step]) -> (String, Vec<Update>) {
    let mut peers = [1, 2].map(|id| Peer::new(client(id)));
    let mut unseen: [Vec<Update>; 2] = Default::default();
    let mut all = Vec::new();
    let look = |peer: &mut Peer, unseen: &mut Vec<Update>| {
        for update in unseen.drain(..) {
            peer.handle_message(&Message::Update(update)).unwrap();
        }
    };
    for step in steps {
        let (&Step::Type { who, .. } | &Step::Delete { who, .. } | &Step::Look { who }) = step;
        let peer = &mut peers[who];
        let length = text(peer).len();
        match *step {
            Step::Look { .. } => look(peer, &mut unseen[who]),
            Step::Type { at, letters, singly, .. } => {
                let at = u32::try_from(at.index(length + 1)).unwrap();
                let letters = &"abcdefgh"[..usize::from(letters)];
                let pieces = if singly { letters.split_inclusive(|_| true).collect() } else { vec![letters] };
                for (n, piece) in (0..).zip(pieces) {
                    peer.edit(|edit| edit.get_or_insert_text("text").insert(edit, at + n, piece)).unwrap();
                }
            }
            Step::Delete { at, letters, .. } if length > 0 => {
                let at = u32::try_from(at.index(length)).unwrap();
                let letters = letters.min(u32::try_from(length).unwrap() - at);
                peer.edit(|edit| edit.get_or_insert_text("text").remove_range(edit, at, letters)).unwrap();
            }
            Step::Delete { .. } => {}
        }
        for update in sent(peer) {
            unseen[1 - who].push(update.clone());
            all.push(update);
        }
    }
    for (peer, unseen) in peers.iter_mut().zip(&mut unseen) {
        look(peer, unseen);
    }
    let [one, two] = peers.map(|peer| text(&peer));
    assert_eq!(one, two, "the two see the same");
    (one, all)
}

fn read(updates: &[Update]) -> String {
    let mut reader = Peer::new(client(9));
    for update in updates {
        reader.handle_message(&Message::Update(update.clone())).unwrap();
    }
    text(&reader)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn insertions_between_consecutive_ones_of_another_stay_there(steps in steps(), split in any::<prop::sample::Index>()) {
        let (text, updates) = written(&steps);
        let all = filled(&updates);
        prop_assert_eq!(read(&[all.encode()]), &*text, "everything at once");

        // Folded in the middle and again at the end, as compaction does.
        let (early, late) = updates.split_at(split.index(updates.len() + 1));
        let early = filled(early);
        let folded = filled(&[early.encode(), filled(late).encode()]);
        prop_assert_eq!(&folded, &all);
        prop_assert_eq!(read(&[folded.encode()]), &*text, "folded twice");

        // A reader who left in the middle.
        prop_assert_eq!(read(&[early.encode(), all.diff(&early.state_vector())]), &*text, "half informed");
    }
}
