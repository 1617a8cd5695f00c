//! Makes envelopes of messages.

use bytes::Bytes;
use quire_sync_protocol::wire::varint::{write_var_bytes, write_var_uint};
use quire_sync_protocol::{ClientId, Clock, NodeId, PresenceEntry};

use crate::envelope::{Kind, MAX_BYTES, MAX_ENTRIES, MAX_UPDATES, VERSION};
use crate::message::Message;

/// A message that has a part which no envelope can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message to other nodes would take {bytes} bytes, at most {MAX_BYTES} are allowed")]
pub struct TooLarge {
    /// The size of an envelope that held it.
    pub bytes: usize,
}

/// The envelopes of a message, in their order: one, or several for presence and ids that do not fit into one. Updates that do not fit are left out, so
/// that they are announced only.
pub fn seal(from: NodeId, message: &Message) -> Result<Vec<Bytes>, TooLarge> {
    let sealed = match message {
        Message::Edits { epoch, first, last, updates } => {
            let size = updates.iter().map(|update| update.len() + LENGTH_BYTES).sum::<usize>();
            let updates =
                if size > MAX_BYTES - HEAD_BYTES || updates.len() > MAX_UPDATES { &[] } else { &**updates };
            let mut out = head(from, Kind::Edits, size);
            for number in [epoch, first, last] {
                out.extend_from_slice(&number.to_be_bytes());
            }
            write_var_uint(&mut out, updates.len() as u64);
            for update in updates {
                write_var_bytes(&mut out, update);
            }
            out
        }
        Message::Presence(entries) => return presence(from, entries),
        Message::Announce(ids) => return Ok(announce(from, ids)),
        Message::Broadcast { from: speaker, text } => {
            let mut out = head(from, Kind::Broadcast, text.len());
            write_optional(&mut out, speaker.as_deref());
            write_var_bytes(&mut out, text.as_bytes());
            out
        }
        Message::Hello { question } => {
            let mut out = head(from, Kind::Hello, 8);
            out.extend_from_slice(&question.to_be_bytes());
            out
        }
        Message::Settled { to, question } => {
            let mut out = head(from, Kind::Settled, 16);
            out.extend_from_slice(&to.0.to_be_bytes());
            out.extend_from_slice(&question.to_be_bytes());
            out
        }
        Message::Ended { epoch } => {
            let mut out = head(from, Kind::Ended, 8);
            out.extend_from_slice(&epoch.to_be_bytes());
            out
        }
        Message::Rung { event, says } => {
            let mut out = head(from, Kind::Rung, event.len() + says.len());
            write_var_bytes(&mut out, event.as_bytes());
            write_var_bytes(&mut out, says.as_bytes());
            out
        }
        Message::Revoked => head(from, Kind::Revoked, 0),
        Message::Alive { address } => {
            let mut out = head(from, Kind::Alive, address.len());
            write_var_bytes(&mut out, address.as_bytes());
            out
        }
        Message::Question { question, says } => {
            let mut out = head(from, Kind::Question, 8 + says.len());
            out.extend_from_slice(&question.to_be_bytes());
            write_var_bytes(&mut out, says.as_bytes());
            out
        }
        Message::Answer { to, question, says } => {
            let mut out = head(from, Kind::Answer, 16 + says.len());
            out.extend_from_slice(&to.0.to_be_bytes());
            out.extend_from_slice(&question.to_be_bytes());
            write_var_bytes(&mut out, says.as_bytes());
            out
        }
    };
    if sealed.len() > MAX_BYTES {
        return Err(TooLarge { bytes: sealed.len() });
    }
    Ok(vec![sealed.into()])
}

/// More than what stands in an envelope before its lists.
const HEAD_BYTES: usize = 64;

/// The most bytes of a length or a count.
const LENGTH_BYTES: usize = 4;

/// As few envelopes as hold all entries.
fn presence(from: NodeId, entries: &[PresenceEntry]) -> Result<Vec<Bytes>, TooLarge> {
    let mut envelopes = Vec::new();
    let (mut list, mut count) = (Vec::new(), 0u64);
    let close = |list: &mut Vec<u8>, count: &mut u64| {
        let mut out = head(from, Kind::Presence, LENGTH_BYTES + list.len());
        write_var_uint(&mut out, *count);
        out.append(list);
        *count = 0;
        Bytes::from(out)
    };
    for entry in entries {
        let mut one = Vec::with_capacity(entry.state.as_ref().map_or(0, |state| state.len()) + 64);
        write_var_uint(&mut one, entry.client.value());
        write_var_uint(&mut one, entry.clock);
        write_optional(&mut one, entry.state.as_deref());
        write_optional(&mut one, entry.identity.as_deref());
        let size = HEAD_BYTES + LENGTH_BYTES + one.len();
        if size > MAX_BYTES {
            return Err(TooLarge { bytes: size });
        }
        if list.len() + size > MAX_BYTES || count == MAX_ENTRIES as u64 {
            envelopes.push(close(&mut list, &mut count));
        }
        write_var_bytes(&mut list, &one);
        count += 1;
    }
    if count > 0 || envelopes.is_empty() {
        envelopes.push(close(&mut list, &mut count));
    }
    Ok(envelopes)
}

/// As few envelopes as hold all ids.
fn announce(from: NodeId, ids: &[(ClientId, Clock)]) -> Vec<Bytes> {
    let one = |ids: &[(ClientId, Clock)]| {
        let mut out = head(from, Kind::Announce, LENGTH_BYTES + 12 * ids.len());
        write_var_uint(&mut out, ids.len() as u64);
        for (client, clock) in ids {
            write_var_uint(&mut out, client.value());
            write_var_uint(&mut out, *clock);
        }
        Bytes::from(out)
    };
    if ids.is_empty() { vec![one(ids)] } else { ids.chunks(MAX_ENTRIES).map(one).collect() }
}

fn head(from: NodeId, kind: Kind, more: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity((HEAD_BYTES + more).min(MAX_BYTES));
    out.push(VERSION);
    out.extend_from_slice(&from.0.to_be_bytes());
    write_var_uint(&mut out, kind as u64);
    out
}

fn write_optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => {
            out.push(1);
            write_var_bytes(out, text.as_bytes());
        }
        None => out.push(0),
    }
}
