//! Presence states on the wire.
//!
//! A number of entries; each a client id, a clock and the state as JSON, `null` for a client that has gone.
//! Source: the `awareness` module of y-protocols.

use bytes::Bytes;

use crate::id::{ClientId, Clock};
use crate::limits::Limits;
use crate::update::{UpdateError, check_json};
use crate::wire::varint::{ReadError, Reader, write_var_bytes, write_var_uint};

/// An awareness update that has been walked from end to end. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwarenessUpdate {
    bytes: Bytes,
}

/// One entry of an awareness update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwarenessEntry<'a> {
    /// Whose state it is.
    pub client: ClientId,
    /// Counts that client's states; the higher one is newer.
    pub clock: Clock,
    /// The state as JSON; `None` for a client that has gone.
    pub state: Option<&'a str>,
}

/// Why an awareness update was refused. The sender's fault in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AwarenessError {
    /// A number, string or count could not be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// The message is larger than [`Limits::awareness_bytes`].
    #[error("an awareness message is larger than {0} bytes")]
    TooLarge(usize),
    /// A state is larger than [`Limits::presence_state_bytes`].
    #[error("a presence state is larger than {0} bytes")]
    StateTooLarge(usize),
    /// A state is not JSON, or nested too deep.
    #[error("a presence state is not JSON: {0}")]
    InvalidState(UpdateError),
    /// Bytes follow the last entry.
    #[error("bytes follow the last presence state")]
    TrailingBytes,
}

impl AwarenessUpdate {
    /// An update without entries, which clients take for a sign of life.
    pub const fn empty() -> Self {
        Self { bytes: Bytes::from_static(&[0]) }
    }

    /// Walks an update and takes it.
    pub fn parse(bytes: Bytes, limits: &Limits) -> Result<Self, AwarenessError> {
        if bytes.len() > limits.awareness_bytes {
            return Err(AwarenessError::TooLarge(limits.awareness_bytes));
        }
        let mut reader = Reader::new(&bytes);
        for _ in 0..reader.count()? {
            let entry = read_entry(&mut reader)?;
            let Some(state) = entry.state else { continue };
            if state.len() > limits.presence_state_bytes {
                return Err(AwarenessError::StateTooLarge(limits.presence_state_bytes));
            }
            check_json(state).map_err(AwarenessError::InvalidState)?;
        }
        if !reader.is_empty() {
            return Err(AwarenessError::TrailingBytes);
        }
        Ok(Self { bytes })
    }

    /// Writes an update. States must be JSON.
    pub fn encode<'a>(entries: impl IntoIterator<Item = AwarenessEntry<'a>>) -> Self {
        let mut count = 0;
        let mut body = Vec::new();
        for entry in entries {
            count += 1;
            write_var_uint(&mut body, entry.client.value());
            write_var_uint(&mut body, entry.clock);
            write_var_bytes(&mut body, entry.state.unwrap_or("null").as_bytes());
        }
        let mut bytes = Vec::with_capacity(body.len() + 4);
        write_var_uint(&mut bytes, count);
        bytes.append(&mut body);
        Self { bytes: bytes.into() }
    }

    /// The encoding.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The entries.
    pub fn entries(&self) -> impl Iterator<Item = AwarenessEntry<'_>> {
        let mut reader = Reader::new(&self.bytes);
        // A checked update reads to its end; see `parse`.
        let count = reader.count().unwrap_or_default();
        (0..count).map_while(move |_| read_entry(&mut reader).ok())
    }
}

fn read_entry<'a>(reader: &mut Reader<'a>) -> Result<AwarenessEntry<'a>, ReadError> {
    let id = reader.id()?;
    let state = Some(reader.var_string()?).filter(|state| *state != "null");
    Ok(AwarenessEntry { client: id.client, clock: id.clock, state })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive() {
        let client = |id| ClientId::new(id).unwrap();
        let update = AwarenessUpdate::encode([
            AwarenessEntry { client: client(1001), clock: 1, state: Some(r#"{"u":1}"#) },
            AwarenessEntry { client: client(2), clock: 9, state: None },
        ]);
        assert_eq!(update.bytes()[..12], [2, 0xe9, 0x07, 1, 7, b'{', b'"', b'u', b'"', b':', b'1', b'}']);
        let parsed = AwarenessUpdate::parse(update.bytes().clone(), &Limits::default()).unwrap();
        assert_eq!(parsed.entries().collect::<Vec<_>>(), update.entries().collect::<Vec<_>>());
        assert_eq!(AwarenessUpdate::encode([]), AwarenessUpdate::empty());
    }

    #[test]
    fn lies_are_refused() {
        let limits = Limits { presence_state_bytes: 4, ..Limits::default() };
        let parse = |bytes: &[u8]| AwarenessUpdate::parse(Bytes::copy_from_slice(bytes), &limits);
        assert_eq!(parse(&[0xff, 0xff, 0xff, 0x7f]), Err(ReadError::CountExceedsInput.into()));
        assert_eq!(parse(&[1, 1, 1, 2, b'{', b'}', 0]), Err(AwarenessError::TrailingBytes));
        assert_eq!(parse(&[1, 1, 1, 1, b'{']), Err(AwarenessError::InvalidState(UpdateError::InvalidJson)));
        assert_eq!(parse(&[1, 1, 1, 5, b'"', b'a', b'b', b'c', b'"']), Err(AwarenessError::StateTooLarge(4)));
        assert!(parse(&[1, 1, 1, 2, b'{', b'}']).is_ok());
        let deep = "[".repeat(100_000);
        let deep =
            AwarenessUpdate::encode([AwarenessEntry { client: ClientId::MIN, clock: 1, state: Some(&deep) }]);
        let parsed =
            AwarenessUpdate::parse(deep.bytes().clone(), &Limits { presence_state_bytes: 1 << 20, ..limits });
        assert_eq!(parsed, Err(AwarenessError::InvalidState(UpdateError::TooDeep)));
    }
}
