//! One struct of an update: a range of a client's clocks and what was inserted there.
//!
//! The first byte holds the kind in its five low bits. 0 is GC and 10 is Skip, each followed by its length. Any
//! other is an item: bit 8 says that an origin follows, bit 7 a right origin; without either the parent follows
//! (1 and a root's name, or 0 and the id of the item that holds the type) and, with bit 6, the key under which the
//! item stands. Bit 6 is set on keyed items with an origin too, though no key follows. Then comes the content.

use super::UpdateError;
use super::content::{Content, Kind, add_var_uint};
use crate::id::{ClientId, Clock, Id};
use crate::wire::varint::{Reader, var_uint_bytes, write_id, write_var_bytes, write_var_uint};

const GC: u8 = 0;
const SKIP: u8 = 10;
const KIND: u8 = 0b0001_1111;
const KEYED: u8 = 0b0010_0000;
const RIGHT_ORIGIN: u8 = 0b0100_0000;
const ORIGIN: u8 = 0b1000_0000;

/// How much of a struct is looked at while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// All of it: the bytes come from a peer or from disk.
    Full,
    /// Only what is needed to find its end: it has been checked before.
    Known,
}

/// One struct. Its client and clock stand outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Struct<'a> {
    /// How many clocks it covers. Clients never write 0; a struct of length 0 says nothing.
    pub len: Clock,
    /// What it is.
    pub body: Body<'a>,
}

/// The kinds of struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// Deleted, and nobody needs to know any more where it stood.
    Gc,
    /// Not in this update: the writer had a gap here.
    Skip,
    /// Something inserted.
    Item(Item<'a>),
}

/// Something inserted, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Where it was inserted.
    pub place: Place<'a>,
    /// What was inserted.
    pub content: Content<'a>,
}

/// Where an item was inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// After another item, perhaps before a third.
    After {
        /// The last unit on its left at that time.
        origin: Id,
        /// The first unit on its right at that time.
        right_origin: Option<Id>,
        /// Whether it is the value of a key; the neighbour tells which.
        keyed: bool,
    },
    /// At the front, before another item.
    Before {
        /// The first unit on its right at that time.
        right_origin: Id,
        /// Whether it is the value of a key; the neighbour tells which.
        keyed: bool,
    },
    /// Without neighbours.
    Within {
        /// The type that holds it.
        parent: Parent<'a>,
        /// The key it is the value of.
        key: Option<&'a str>,
    },
}

/// The type that holds an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent<'a> {
    /// A type at the top of the document, by name.
    Root(&'a str),
    /// The type that was inserted as this item.
    Item(Id),
}

impl<'a> Place<'a> {
    /// The first unit on the right when it was inserted.
    pub fn right_origin(&self) -> Option<Id> {
        match *self {
            Self::After { right_origin, .. } => right_origin,
            Self::Before { right_origin, .. } => Some(right_origin),
            Self::Within { .. } => None,
        }
    }

    /// Whether the item is the value of a key.
    pub fn keyed(&self) -> bool {
        match *self {
            Self::After { keyed, .. } | Self::Before { keyed, .. } => keyed,
            Self::Within { key, .. } => key.is_some(),
        }
    }

    /// The items that must be known before this one can be placed.
    pub fn dependencies(&self) -> [Option<Id>; 2] {
        match *self {
            Self::After { origin, right_origin, .. } => [Some(origin), right_origin],
            Self::Before { right_origin, .. } => [None, Some(right_origin)],
            Self::Within { parent: Parent::Item(id), .. } => [Some(id), None],
            Self::Within { parent: Parent::Root(_), .. } => [None, None],
        }
    }

    /// The place of what remains of an item when its units before `id` are cut off.
    fn after_cut(&self, last_cut: Id) -> Self {
        Self::After { origin: last_cut, right_origin: self.right_origin(), keyed: self.keyed() }
    }

    /// Whether an item placed here at `clock` is what slicing the item on its left would give.
    pub(crate) fn continues(&self, client: ClientId, clock: Clock, left: &Place<'_>) -> bool {
        self.follows(client, clock)
            && self.right_origin() == left.right_origin()
            && self.keyed() == left.keyed()
    }

    /// Whether an item placed here at `clock` stands behind what its client inserted just before.
    fn follows(&self, client: ClientId, clock: Clock) -> bool {
        matches!(self, Self::After { origin, .. } if Some(origin.clock) == clock.checked_sub(1) && origin.client == client)
    }

    #[inline]
    fn read(info: u8, reader: &mut Reader<'a>) -> Result<Self, UpdateError> {
        let keyed = info & KEYED != 0;
        let origin = if info & ORIGIN != 0 { Some(reader.id()?) } else { None };
        let right_origin = if info & RIGHT_ORIGIN != 0 { Some(reader.id()?) } else { None };
        Ok(match (origin, right_origin) {
            (Some(origin), right_origin) => Self::After { origin, right_origin, keyed },
            (None, Some(right_origin)) => Self::Before { right_origin, keyed },
            (None, None) => {
                // Yjs takes any number but 1 for "not a root".
                let parent = if reader.var_uint()? == 1 {
                    Parent::Root(reader.var_string()?)
                } else {
                    Parent::Item(reader.id()?)
                };
                Self::Within { parent, key: if keyed { Some(reader.var_string()?) } else { None } }
            }
        })
    }

    /// How many bytes [`Self::write`] takes.
    fn written_bytes(&self) -> usize {
        let id = |id: Id| var_uint_bytes(id.client.value()) + var_uint_bytes(id.clock);
        let string = |text: &str| var_uint_bytes(text.len() as u64) + text.len();
        match *self {
            Self::After { origin, right_origin, .. } => id(origin) + right_origin.map_or(0, id),
            Self::Before { right_origin, .. } => id(right_origin),
            Self::Within { parent, key } => {
                let parent = match parent {
                    Parent::Root(name) => string(name),
                    Parent::Item(item) => id(item),
                };
                1 + parent + key.map_or(0, string)
            }
        }
    }

    fn info(&self) -> u8 {
        let keyed = if self.keyed() { KEYED } else { 0 };
        keyed
            | match self {
                Self::After { right_origin: Some(_), .. } => ORIGIN | RIGHT_ORIGIN,
                Self::After { right_origin: None, .. } => ORIGIN,
                Self::Before { .. } => RIGHT_ORIGIN,
                Self::Within { .. } => 0,
            }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::After { origin, right_origin, .. } => {
                write_id(out, origin);
                if let Some(right_origin) = right_origin {
                    write_id(out, right_origin);
                }
            }
            Self::Before { right_origin, .. } => write_id(out, right_origin),
            Self::Within { parent, key } => {
                match parent {
                    Parent::Root(name) => {
                        out.push(1);
                        write_var_bytes(out, name.as_bytes());
                    }
                    Parent::Item(id) => {
                        out.push(0);
                        write_id(out, id);
                    }
                }
                if let Some(key) = key {
                    write_var_bytes(out, key.as_bytes());
                }
            }
        }
    }
}

impl<'a> Struct<'a> {
    /// Reads the struct at the front.
    pub(crate) fn read(reader: &mut Reader<'a>, check: Check) -> Result<Self, UpdateError> {
        let info = reader.byte()?;
        Ok(match info & KIND {
            GC => Self { len: reader.var_uint()?, body: Body::Gc },
            SKIP => Self { len: reader.var_uint()?, body: Body::Skip },
            kind => {
                let kind = Kind::from_number(kind).ok_or(UpdateError::UnknownContent(kind))?;
                let place = Place::read(info, reader)?;
                let (len, content) = Content::read(kind, reader, check)?;
                Self { len, body: Body::Item(Item { place, content }) }
            }
        })
    }

    /// Whether it names, as its place, something that its own client inserted no earlier. Nobody can have, and Yjs, which
    /// takes earlier insertions of the same client for known, throws.
    pub(crate) fn builds_on_later(&self, own: Id) -> bool {
        let Body::Item(item) = &self.body else { return false };
        let mut named = item.place.dependencies().into_iter().flatten();
        named.any(|id| id.client == own.client && id.clock >= own.clock)
    }

    /// A gap of this length.
    pub(crate) fn skip(len: Clock) -> Self {
        Self { len, body: Body::Skip }
    }

    /// Appends the encoding.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match &self.body {
            Body::Gc => {
                out.push(GC);
                write_var_uint(out, self.len);
            }
            Body::Skip => {
                out.push(SKIP);
                write_var_uint(out, self.len);
            }
            Body::Item(item) => {
                out.push(item.content.kind().number() | item.place.info());
                item.place.write(out);
                item.content.write(self.len, out);
            }
        }
    }

    /// Whether `read`, which it was read from, is what [`Self::write`] writes. It is but for integers that were padded, and for what
    /// stands for "not a root", which may be any number.
    pub(crate) fn is_written_as(&self, read: &[u8]) -> bool {
        let bytes = match &self.body {
            Body::Gc | Body::Skip => var_uint_bytes(self.len),
            Body::Item(item) => {
                let not_a_root = matches!(item.place, Place::Within { parent: Parent::Item(_), .. });
                if not_a_root && read.get(1) != Some(&0) {
                    return false;
                }
                item.place.written_bytes() + item.content.written_bytes(self.len)
            }
        };
        let info = match &self.body {
            Body::Gc => GC,
            Body::Skip => SKIP,
            Body::Item(item) => item.content.kind().number() | item.place.info(),
        };
        read.first() == Some(&info) && read.len() == 1 + bytes
    }

    /// The part from `from` up to `to` (both counted from its own start, `from < to <= len`). `start` is the id of
    /// its first unit.
    pub(crate) fn slice(&self, start: Id, from: Clock, to: Clock) -> Self {
        debug_assert!(from < to && to <= self.len);
        if from == 0 && to == self.len {
            return *self;
        }
        let body = match &self.body {
            Body::Gc => Body::Gc,
            Body::Skip => Body::Skip,
            Body::Item(item) => {
                let place = match from.checked_sub(1) {
                    Some(last_cut) => {
                        item.place.after_cut(Id { client: start.client, clock: start.clock + last_cut })
                    }
                    None => item.place,
                };
                Body::Item(Item { place, content: item.content.slice(self.len, from, to) })
            }
        };
        Self { len: to - from, body }
    }

    /// The first clock from `at` on (counted from its own start) before which it can be cut without halving a
    /// surrogate pair; its length if there is none or if nothing is gained by a cut.
    pub(crate) fn cut(&self, at: Clock) -> Clock {
        match &self.body {
            Body::Item(item) if 0 < at && at < self.len => item.content.cut(self.len, at).min(self.len),
            Body::Item(_) | Body::Gc | Body::Skip => self.len,
        }
    }

    /// Takes the first `len` clocks off the front, fewer than there are, and leaves the rest. `start` is the id of the first
    /// unit, and becomes that of the rest. Takes time linear in what is taken: cut piece by piece, a struct costs no more
    /// than its length.
    pub(crate) fn split_front(&mut self, start: &mut Id, len: Clock) -> Self {
        let front = self.slice(*start, 0, len);
        *self = self.slice(*start, len, self.len);
        start.clock += len;
        front
    }

    /// The same struct with its content deleted. It keeps its place: others may stand next to it.
    pub(crate) fn deleted(&self) -> Self {
        match &self.body {
            Body::Gc | Body::Skip => *self,
            Body::Item(item) => Self {
                len: self.len,
                body: Body::Item(Item { place: item.place, content: Content::Deleted }),
            },
        }
    }

    /// Whether there can be a struct that it [joins](Head::joins), which takes less than to look at that one: nearly none has one.
    pub(crate) fn may_join(&self, client: ClientId, clock: Clock) -> bool {
        match &self.body {
            Body::Gc => true,
            Body::Skip => false,
            Body::Item(item) => item.place.follows(client, clock) && item.content.kind().concatenates(),
        }
    }

    /// Whether it says by itself that its range is deleted.
    pub(crate) fn is_deleted(&self) -> bool {
        match &self.body {
            Body::Gc | Body::Item(Item { content: Content::Deleted, .. }) => true,
            Body::Skip | Body::Item(_) => false,
        }
    }
}

impl Struct<'_> {
    /// Appends this struct to the encoded one at the end of `out`, whose length or count stands at byte `count_at`.
    /// It must [join](Head::joins) it.
    pub(crate) fn write_joined(&self, count_at: usize, out: &mut Vec<u8>) -> Result<(), UpdateError> {
        match &self.body {
            Body::Item(item) => item.content.write_joined(self.len, count_at, out),
            Body::Gc | Body::Skip => add_var_uint(out, count_at, self.len),
        }
    }
}

/// The front of an encoded struct: what is needed to put another one behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    body: HeadBody<'a>,
    /// Where the length or count of the content stands, from the beginning of the struct.
    count_at: usize,
}

#[derive(Clone, Copy, Debug)]
enum HeadBody<'a> {
    Gc,
    Skip,
    Item(Place<'a>, Kind),
}

impl<'a> Head<'a> {
    /// Reads the front of a struct in constant time, however long its content is.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, UpdateError> {
        let mut reader = Reader::new(bytes);
        let info = reader.byte()?;
        let body = match info & KIND {
            GC => HeadBody::Gc,
            SKIP => HeadBody::Skip,
            kind => {
                let kind = Kind::from_number(kind).ok_or(UpdateError::UnknownContent(kind))?;
                HeadBody::Item(Place::read(info, &mut reader)?, kind)
            }
        };
        Ok(Self { body, count_at: bytes.len() - reader.rest().len() })
    }

    /// Whether `right`, which begins at `clock` where this one ends, is what slicing one longer struct would give.
    pub(crate) fn joins(&self, client: ClientId, clock: Clock, right: &Struct<'_>) -> bool {
        match (self.body, &right.body) {
            (HeadBody::Gc, Body::Gc) => true,
            (HeadBody::Item(place, kind), Body::Item(item)) => {
                item.place.continues(client, clock, &place)
                    && kind == item.content.kind()
                    && kind.concatenates()
                    // Of the values of one key a reader deletes all but the last; of one struct it would delete none.
                    && (kind == Kind::Deleted || !place.keyed())
            }
            _ => false,
        }
    }

    /// Where the length or count of the content stands, from the beginning of the struct.
    pub(crate) fn count_at(&self) -> usize {
        self.count_at
    }
}
