//! Makes messages of envelopes.

use std::sync::Arc;

use bytes::Bytes;
use quire_sync_protocol::wire::varint::{ReadError, Reader};
use quire_sync_protocol::{NodeId, PresenceEntry};

use crate::envelope::{Kind, MAX_BYTES, MAX_ENTRIES, MAX_UPDATES, Opened, VERSION};
use crate::message::Message;

/// Why bytes are no envelope: the sender is no node of this cluster, or broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It has more than [`MAX_BYTES`]; holds how many.
    #[error("it has {0} bytes, at most {MAX_BYTES} are allowed")]
    TooLarge(usize),
    /// It has more updates or entries than [`MAX_UPDATES`] or [`MAX_ENTRIES`]; holds how many.
    #[error("it has {0} parts, which is more than is allowed")]
    TooMany(usize),
    /// A text that may lack is announced by something else than 0 or 1.
    #[error("the byte before a text that may lack is {0}, neither 0 nor 1")]
    NoChoice(u8),
    /// What it says of edits contradicts itself: there is not one update for each seq.
    #[error("it has {updates} updates for the seqs from {first} to {last}")]
    Seqs {
        /// The first seq.
        first: u64,
        /// The last seq.
        last: u64,
        /// How many updates there are.
        updates: usize,
    },
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What an envelope holds. Updates stay slices of it; nothing is allocated that the bytes present do not account for.
pub fn open(envelope: &Bytes) -> Result<Opened, OpenError> {
    if envelope.len() > MAX_BYTES {
        return Err(OpenError::TooLarge(envelope.len()));
    }
    let mut reader = Reader::new(envelope);
    if reader.byte()? != VERSION {
        return Ok(Opened::Unknown);
    }
    let from = NodeId(number(&mut reader)?);
    let Some(kind) = Kind::of(reader.var_uint()?) else { return Ok(Opened::Unknown) };
    let message = match kind {
        Kind::Edits => edits(&mut reader, envelope)?,
        Kind::Presence => {
            let count = parts(&mut reader, MAX_ENTRIES)?;
            let mut entries = Vec::with_capacity(count);
            for _ in 0..count {
                entries.push(entry(&mut Reader::new(reader.var_bytes()?))?);
            }
            Message::Presence(entries)
        }
        Kind::Announce => {
            let count = parts(&mut reader, MAX_ENTRIES)?;
            let mut ids = Vec::with_capacity(count);
            for _ in 0..count {
                ids.push((reader.client()?, reader.var_uint()?));
            }
            Message::Announce(ids)
        }
        Kind::Broadcast => {
            Message::Broadcast { from: optional(&mut reader)?, text: reader.var_string()?.into() }
        }
        Kind::Hello => Message::Hello { question: number(&mut reader)? },
        Kind::Settled => {
            Message::Settled { to: NodeId(number(&mut reader)?), question: number(&mut reader)? }
        }
        Kind::Ended => Message::Ended { epoch: number(&mut reader)? },
        Kind::Rung => Message::Rung { event: reader.var_string()?.into(), says: reader.var_string()?.into() },
        Kind::Revoked => Message::Revoked,
        Kind::Alive => Message::Alive { address: reader.var_string()?.into() },
        Kind::Question => {
            Message::Question { question: number(&mut reader)?, says: reader.var_string()?.into() }
        }
        Kind::Answer => Message::Answer {
            to: NodeId(number(&mut reader)?),
            question: number(&mut reader)?,
            says: reader.var_string()?.into(),
        },
    };
    Ok(Opened::Message(from, message))
}

fn edits(reader: &mut Reader<'_>, envelope: &Bytes) -> Result<Message, OpenError> {
    let (epoch, first, last) = (number(reader)?, number(reader)?, number(reader)?);
    let count = parts(reader, MAX_UPDATES)?;
    let seqs = last.checked_sub(first).and_then(|more| more.checked_add(1));
    if seqs.is_none() || (count > 0 && seqs != Some(count as u64)) {
        return Err(OpenError::Seqs { first, last, updates: count });
    }
    let mut updates = Vec::with_capacity(count);
    for _ in 0..count {
        updates.push(envelope.slice_ref(reader.var_bytes()?));
    }
    Ok(Message::Edits { epoch, first, last, updates })
}

fn entry(reader: &mut Reader<'_>) -> Result<PresenceEntry, OpenError> {
    Ok(PresenceEntry {
        client: reader.client()?,
        clock: reader.var_uint()?,
        state: optional(reader)?,
        identity: optional(reader)?,
    })
}

fn number(reader: &mut Reader<'_>) -> Result<u64, ReadError> {
    let bytes = reader.take(8)?.first_chunk().ok_or(ReadError::EndsEarly)?;
    Ok(u64::from_be_bytes(*bytes))
}

/// A count of things of which each takes a byte at the least.
fn parts(reader: &mut Reader<'_>, most: usize) -> Result<usize, OpenError> {
    let count = reader.count()?;
    if count > most { Err(OpenError::TooMany(count)) } else { Ok(count) }
}

fn optional(reader: &mut Reader<'_>) -> Result<Option<Arc<str>>, OpenError> {
    match reader.byte()? {
        0 => Ok(None),
        1 => Ok(Some(reader.var_string()?.into())),
        other => Err(OpenError::NoChoice(other)),
    }
}
