//! How far somebody knows each client's insertions.

use bytes::Bytes;

use crate::id::{ClientId, Clock};
use crate::wire::varint::{ReadError, Reader, write_var_uint};

/// For each client the first clock that is not known. Clients at 0 are left out. Ascending by client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateVector(Vec<(ClientId, Clock)>);

impl StateVector {
    /// Reads the v1 encoding: a number of clients, then for each its id and clock. Of a client that is named
    /// twice the last clock counts, as it does in Yjs.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(bytes);
        // Two bytes an entry at the least.
        let count = reader.count()?;
        if count > reader.rest().len() / 2 {
            return Err(ReadError::CountExceedsInput);
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push((reader.client()?, reader.var_uint()?));
        }
        Ok(entries.into_iter().collect())
    }

    /// The v1 encoding, clients descending as Yjs writes them.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(4 + self.0.len() * 8);
        write_var_uint(&mut out, self.0.len() as u64);
        for (client, clock) in self.0.iter().rev() {
            write_var_uint(&mut out, client.value());
            write_var_uint(&mut out, *clock);
        }
        out.into()
    }

    /// The first unknown clock of this client; 0 if nothing of it is known.
    pub fn clock(&self, client: ClientId) -> Clock {
        let found = self.0.binary_search_by_key(&client, |entry| entry.0).ok();
        found.and_then(|at| self.0.get(at)).map_or(0, |entry| entry.1)
    }

    /// Lowers the clock of this client to at most `clock`.
    pub fn lower(&mut self, client: ClientId, clock: Clock) {
        if let Ok(at) = self.0.binary_search_by_key(&client, |entry| entry.0) {
            if clock == 0 {
                self.0.remove(at);
            } else if let Some(entry) = self.0.get_mut(at) {
                entry.1 = entry.1.min(clock);
            }
        }
    }

    /// The clients, ascending, with their clocks.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (ClientId, Clock)> {
        self.0.iter().copied()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(ClientId, Clock)> for StateVector {
    /// Takes entries in any order; of a client that comes twice the last one counts.
    fn from_iter<I: IntoIterator<Item = (ClientId, Clock)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        if !entries.is_sorted_by(|left, right| left.0 < right.0) {
            // Stable, reversed: of equals the last one comes first and is kept.
            entries.reverse();
            entries.sort_by_key(|entry| entry.0);
            entries.dedup_by_key(|entry| entry.0);
        }
        entries.retain(|entry| entry.1 > 0);
        Self(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_survives_in_the_order_of_yjs() {
        let client = |id| ClientId::new(id).unwrap();
        let vector: StateVector = [(client(1), 5), (client(300), 2), (client(7), 0)].into_iter().collect();
        assert_eq!(vector.encode().as_ref(), [2, 0xac, 0x02, 2, 1, 5]);
        assert_eq!(StateVector::decode(&vector.encode()), Ok(vector.clone()));
        assert_eq!((vector.clock(client(1)), vector.clock(client(7)), vector.clock(client(300))), (5, 0, 2));
        assert_eq!(StateVector::decode(&[2, 1, 5, 1, 6]).unwrap().clock(client(1)), 6);
    }

    #[test]
    fn a_lying_count_allocates_nothing() {
        for count in 21..53 {
            let mut bytes = Vec::new();
            write_var_uint(&mut bytes, 1 << count);
            assert_eq!(StateVector::decode(&bytes), Err(ReadError::CountExceedsInput));
        }
        assert_eq!(StateVector::decode(&[]), Err(ReadError::EndsEarly));
        assert_eq!(StateVector::decode(&[1]), Err(ReadError::CountExceedsInput));
    }
}
