//! A range of the table with the changes of the [journal](super::journal) over it.

use std::cmp::Ordering;
use std::iter::Peekable;

use ::redb::{AccessGuard, Error, StorageError};
use bytes::Bytes;

type Stored<'a> = Result<(AccessGuard<'a, &'static [u8]>, AccessGuard<'a, &'static [u8]>), StorageError>;

/// An entry, wherever it is.
pub(super) enum Found<'s, 'p> {
    InPlace(AccessGuard<'s, &'static [u8]>, AccessGuard<'s, &'static [u8]>),
    Pending(&'p Bytes, &'p Bytes),
}

/// The entries of a range.
pub(super) struct Walk<S: Iterator, P: Iterator> {
    stored: Peekable<S>,
    pending: Peekable<P>,
    backward: bool,
}

impl<'s, 'p, S, P> Walk<S, P>
where
    S: Iterator<Item = Stored<'s>>,
    P: Iterator<Item = (&'p Bytes, &'p Option<Bytes>)>,
{
    /// Both in the order of their keys.
    pub(super) fn forward(stored: S, pending: P) -> Self {
        Self { stored: stored.peekable(), pending: pending.peekable(), backward: false }
    }

    /// Both from the last key to the first.
    pub(super) fn backward(stored: S, pending: P) -> Self {
        Self { stored: stored.peekable(), pending: pending.peekable(), backward: true }
    }
}

impl<'s, 'p, S, P> Iterator for Walk<S, P>
where
    S: Iterator<Item = Stored<'s>>,
    P: Iterator<Item = (&'p Bytes, &'p Option<Bytes>)>,
{
    type Item = Result<Found<'s, 'p>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.stored.peek(), self.pending.peek()) {
                (None, None) => return None,
                (Some(Err(_) | Ok(_)), None) | (Some(Err(_)), Some(_)) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(Ok((stored, _))), Some((pending, _))) => {
                    let order = stored.value().cmp(pending);
                    if self.backward { order.reverse() } else { order }
                }
            };
            if order.is_le() {
                let stored = self.stored.next()?;
                if order.is_lt() {
                    return Some(stored.map(|(key, value)| Found::InPlace(key, value)).map_err(Error::from));
                }
                // What is pending stands for it.
            }
            if let (key, Some(value)) = self.pending.next()? {
                return Some(Ok(Found::Pending(key, value)));
            }
        }
    }
}

impl Found<'_, '_> {
    pub(super) fn key(&self) -> Bytes {
        match self {
            Self::InPlace(key, _) => Bytes::copy_from_slice(key.value()),
            Self::Pending(key, _) => Bytes::clone(key),
        }
    }

    pub(super) fn value(&self) -> Bytes {
        match self {
            Self::InPlace(_, value) => Bytes::copy_from_slice(value.value()),
            Self::Pending(_, value) => Bytes::clone(value),
        }
    }
}
