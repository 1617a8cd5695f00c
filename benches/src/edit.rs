//! What clients send, and what they find in what they get.

use bytes::Bytes;
use quire_sync_protocol::update::structs::Body;
use quire_sync_protocol::wire::varint::{Reader, write_var_bytes, write_var_uint};
use quire_sync_protocol::{ClientId, Clock, Update};

/// The number of the first client that types; the others follow.
const FIRST_WRITER: u64 = 1000;

/// A message with one typed letter: the `clock`-th of this writer, behind the one before it, as yjs would write it.
pub(crate) fn typed(writer: usize, clock: Clock) -> Bytes {
    let client = FIRST_WRITER + writer as u64;
    let mut update = vec![1, 1];
    write_var_uint(&mut update, client);
    write_var_uint(&mut update, clock);
    match clock.checked_sub(1) {
        // A string after an origin.
        Some(before) => {
            update.push(0x84);
            write_var_uint(&mut update, client);
            write_var_uint(&mut update, before);
        }
        // A string in the root "text".
        None => {
            update.extend([0x04, 1]);
            write_var_bytes(&mut update, b"text");
        }
    }
    let letter = b'a' + (clock % 26) as u8;
    write_var_bytes(&mut update, &[letter]);
    update.push(0);
    frame(2, &update)
}

/// A message that brings this update.
pub(crate) fn brought(update: &[u8]) -> Bytes {
    frame(2, update)
}

/// The question for everything, of a client that has nothing.
pub(crate) fn question() -> Bytes {
    frame(0, &[0])
}

/// The answer of a client that has nothing.
pub(crate) fn nothing() -> Bytes {
    frame(1, &[0, 0])
}

/// An answer of this many bytes, with one long text.
pub(crate) fn answer(bytes: usize) -> Bytes {
    if bytes == 0 { nothing() } else { frame(1, &long_text(bytes)) }
}

/// The same as an edit.
pub(crate) fn content(bytes: usize) -> Bytes {
    frame(2, &long_text(bytes))
}

fn long_text(bytes: usize) -> Vec<u8> {
    // One client, one struct, client 1, clock 0, a string in the root "t".
    let mut update = vec![1, 1, 1, 0, 0x04, 1, 1, b't'];
    write_var_bytes(&mut update, &vec![b'x'; bytes]);
    update.push(0);
    update
}

fn frame(kind: u8, payload: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(payload.len() + 8);
    frame.extend([0, kind]);
    write_var_bytes(&mut frame, payload);
    frame.into()
}

/// Whether a message is a question for content.
pub(crate) fn is_question(frame: &[u8]) -> bool {
    frame.starts_with(&[0, 0])
}

/// What a message means to a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// The server asks for what the client has.
    Question,
    /// The answer to the client's question.
    Answer(Update),
    /// Edits.
    Edits(Update),
    /// Presence and signs of life.
    Other,
}

/// Reads a message. An error is the server's fault.
pub(crate) fn read(frame: &Bytes) -> anyhow::Result<Received> {
    let update = |frame: &Bytes| {
        let payload = Reader::new(&frame[2..]).var_bytes()?;
        anyhow::Ok(Update::parse(frame.slice_ref(payload))?)
    };
    Ok(match frame.as_ref() {
        [0, 0, ..] => Received::Question,
        [0, 1, ..] => Received::Answer(update(frame)?),
        [0, 2, ..] => Received::Edits(update(frame)?),
        _ => Received::Other,
    })
}

/// Calls `visit` with each run of letters typed by a writer: its number and the clocks from `start` up to `end`.
pub(crate) fn for_each_typed(update: &Update, mut visit: impl FnMut(usize, Clock, Clock)) {
    update.for_each_struct(|client, clock, next| {
        if next.body != Body::Skip
            && let Some(writer) = writer(client)
        {
            visit(writer, clock, clock + next.len);
        }
    });
}

fn writer(client: ClientId) -> Option<usize> {
    client.value().checked_sub(FIRST_WRITER).map(|writer| writer as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_found_again() {
        for clock in [0, 1, 500] {
            let Received::Edits(update) = read(&typed(7, clock)).unwrap() else { panic!("no edits") };
            let mut found = Vec::new();
            for_each_typed(&update, |writer, start, end| found.push((writer, start, end)));
            assert_eq!(found, [(7, clock, clock + 1)]);
        }
    }

    #[test]
    fn an_answer_has_the_size_asked_for() {
        let Received::Answer(update) = read(&answer(5000)).unwrap() else { panic!("no answer") };
        assert!((5000..5050).contains(&update.bytes().len()));
        assert!(matches!(read(&answer(0)), Ok(Received::Answer(update)) if update.is_empty()));
        assert!(is_question(&question()) && !is_question(&nothing()));
    }
}
