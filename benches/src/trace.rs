//! A long editing session as updates: the recorded one that is known as B4, or one made up.
//!
//! The recording is taken from `QUIRE_B4`, or found in `shared/data` beside the repository. Where it is not there, one is made
//! up from a fixed seed, and it is said so.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use quire_sync_protocol::wire::varint::Reader;
use quire_sync_protocol::{ClientId, Update};
use yrs::{Doc, OffsetKind, Options, Text as _, Transact as _};

/// The client that types.
pub const AUTHOR: ClientId = match ClientId::new(4_000_000_004) {
    Some(author) => author,
    None => ClientId::MAX,
};

/// Updates that the session is cut into.
pub const UPDATES: usize = 13_000;

const NAME: &str = "b4-editing-trace.bin";

/// Keystrokes of a session that is made up: as many as the recorded one has.
const KEYSTROKES: usize = 259_778;

/// One keystroke.
#[derive(Debug)]
enum Keystroke {
    Insert { at: u32, text: String },
    Remove { at: u32, length: u32 },
}

/// The session, in the updates that yrs makes of it.
pub fn updates() -> Result<Vec<Update>> {
    let keystrokes = match recording() {
        Some(path) => recorded(&std::fs::read(&path)?).with_context(|| format!("{}", path.display()))?,
        None => {
            eprintln!("B4: no recording (QUIRE_B4), a session is made up from seed 4");
            made_up()
        }
    };
    let doc = Doc::with_options(Options {
        client_id: yrs::ClientID::new(AUTHOR.value()),
        offset_kind: OffsetKind::Utf16,
        ..Options::default()
    });
    let text = doc.get_or_insert_text("text");
    let each = keystrokes.len().div_ceil(UPDATES);
    let update = |keystrokes: &[Keystroke]| {
        let mut transaction = doc.transact_mut();
        for keystroke in keystrokes {
            match keystroke {
                Keystroke::Insert { at, text: typed } => text.insert(&mut transaction, *at, typed),
                Keystroke::Remove { at, length } => text.remove_range(&mut transaction, *at, *length),
            }
        }
        Ok(Update::parse(transaction.encode_update_v1().into())?)
    };
    keystrokes.chunks(each).map(update).collect()
}

fn recording() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = ["../..", "../../..", "../../../.."].map(|up| root.join(up).join("shared/data").join(NAME));
    std::env::var_os("QUIRE_B4").map(PathBuf::from).into_iter().chain(beside).find(|path| path.exists())
}

/// A count, then for each keystroke `1 index text` or `2 index length`, in lib0's encoding.
fn recorded(bytes: &[u8]) -> Result<Vec<Keystroke>> {
    let mut reader = Reader::new(bytes);
    let count = reader.count()?;
    let next = |_| {
        let kind = reader.var_uint()?;
        let at = u32::try_from(reader.var_uint()?)?;
        Ok(if kind == 1 {
            Keystroke::Insert { at, text: reader.var_string()?.to_owned() }
        } else {
            Keystroke::Remove { at, length: u32::try_from(reader.var_uint()?)? }
        })
    };
    (0..count).map(next).collect()
}

/// Like a person at work: runs of typing, some deleting, jumps now and then.
fn made_up() -> Vec<Keystroke> {
    let mut state: u64 = 4;
    let mut random = |below: u32| {
        // Splitmix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed >> 32) as u32) % below.max(1)
    };
    let (mut keystrokes, mut length, mut at) = (Vec::with_capacity(KEYSTROKES), 0, 0);
    while keystrokes.len() < KEYSTROKES {
        if random(50) == 0 {
            at = random(length + 1);
        }
        if at > 0 && random(4) == 0 {
            at -= 1;
            length -= 1;
            keystrokes.push(Keystroke::Remove { at, length: 1 });
        } else {
            let letter = b"etaoin shrdlu,.\n"[random(16) as usize];
            keystrokes.push(Keystroke::Insert { at, text: char::from(letter).to_string() });
            at += 1;
            length += 1;
        }
    }
    keystrokes
}
