//! What an item holds. Only its length and its ends are understood, never what it means.

use super::structs::Check;
use super::text::Text;
use super::{UpdateError, check_json, value};
use crate::id::Clock;
use crate::wire::varint::{ReadError, Reader, var_uint_bytes, write_var_uint};

/// The kinds of content, by their numbers in the format. 11 is written by yrs alone, as are types with number 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Deleted = 1,
    Json = 2,
    Binary = 3,
    String = 4,
    Embed = 5,
    Format = 6,
    Type = 7,
    Any = 8,
    Doc = 9,
    Move = 11,
}

impl Kind {
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Deleted,
            2 => Self::Json,
            3 => Self::Binary,
            4 => Self::String,
            5 => Self::Embed,
            6 => Self::Format,
            7 => Self::Type,
            8 => Self::Any,
            9 => Self::Doc,
            11 => Self::Move,
            _ => return None,
        })
    }

    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// Whether two pieces of this kind can be put together to one.
    pub(crate) fn concatenates(self) -> bool {
        matches!(self, Self::Deleted | Self::Json | Self::String | Self::Any)
    }
}

/// What an item holds. Byte slices are encodings, without the count in front where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Something that was deleted.
    Deleted,
    /// A list of JSON texts (or `undefined`), as early versions of Yjs wrote values.
    Json(&'a [u8]),
    /// A byte array.
    Binary(&'a [u8]),
    /// Text.
    String(Text<'a>),
    /// JSON inside of text.
    Embed(&'a [u8]),
    /// A key and its JSON value: where a format begins or ends in text.
    Format(&'a [u8]),
    /// A nested type, with the name that some kinds have.
    Type(&'a [u8]),
    /// A list of values.
    Any(&'a [u8]),
    /// A sub-document: its id and options.
    Doc(&'a [u8]),
    /// A moved range of a list (written by yrs).
    Move(&'a [u8]),
}

impl<'a> Content<'a> {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Deleted => Kind::Deleted,
            Self::Json(_) => Kind::Json,
            Self::Binary(_) => Kind::Binary,
            Self::String(_) => Kind::String,
            Self::Embed(_) => Kind::Embed,
            Self::Format(_) => Kind::Format,
            Self::Type(_) => Kind::Type,
            Self::Any(_) => Kind::Any,
            Self::Doc(_) => Kind::Doc,
            Self::Move(_) => Kind::Move,
        }
    }

    /// Reads the content at the front, and its length in clocks.
    pub(super) fn read(
        kind: Kind,
        reader: &mut Reader<'a>,
        check: Check,
    ) -> Result<(Clock, Self), UpdateError> {
        let one = |content| Ok((1, content));
        match kind {
            Kind::Deleted => Ok((reader.var_uint()?, Self::Deleted)),
            Kind::Json => {
                let count = reader.count()?;
                let list = list(reader, count, |reader| json_or_undefined(reader, check))?;
                Ok((count as Clock, Self::Json(list)))
            }
            Kind::Any => {
                let count = reader.count()?;
                let list = list(reader, count, value::skip_value)?;
                Ok((count as Clock, Self::Any(list)))
            }
            Kind::String => {
                let text = Text::new(reader.var_string()?);
                Ok((text.units(), Self::String(text)))
            }
            Kind::Binary => one(Self::Binary(raw(reader, |reader| Ok(reader.var_bytes().map(drop)?))?)),
            Kind::Embed => one(Self::Embed(raw(reader, |reader| json(reader, check))?)),
            Kind::Format => one(Self::Format(raw(reader, |reader| {
                reader.var_string()?;
                json(reader, check)
            })?)),
            Kind::Type => one(Self::Type(raw(reader, skip_type)?)),
            Kind::Doc => one(Self::Doc(raw(reader, |reader| {
                reader.var_string()?;
                if !value::is_object(reader.rest()) {
                    return Err(UpdateError::InvalidDocumentOptions);
                }
                value::skip_value(reader)
            })?)),
            Kind::Move => one(Self::Move(raw(reader, skip_move)?)),
        }
    }

    pub(super) fn write(&self, len: Clock, out: &mut Vec<u8>) {
        match self {
            Self::Deleted => write_var_uint(out, len),
            Self::Json(list) | Self::Any(list) => {
                write_var_uint(out, len);
                out.extend_from_slice(list);
            }
            Self::String(text) => {
                write_var_uint(out, text.bytes() as u64);
                text.write(out);
            }
            Self::Binary(raw)
            | Self::Embed(raw)
            | Self::Format(raw)
            | Self::Type(raw)
            | Self::Doc(raw)
            | Self::Move(raw) => out.extend_from_slice(raw),
        }
    }

    /// How many bytes [`Self::write`] takes.
    pub(super) fn written_bytes(&self, len: Clock) -> usize {
        match self {
            Self::Deleted => var_uint_bytes(len),
            Self::Json(list) | Self::Any(list) => var_uint_bytes(len) + list.len(),
            Self::String(text) => var_uint_bytes(text.bytes() as u64) + text.bytes(),
            Self::Binary(raw)
            | Self::Embed(raw)
            | Self::Format(raw)
            | Self::Type(raw)
            | Self::Doc(raw)
            | Self::Move(raw) => raw.len(),
        }
    }

    /// The units from `from` up to `to` of `len`. Content of length 1 has no other slice than itself.
    pub(super) fn slice(&self, len: Clock, from: Clock, to: Clock) -> Self {
        match *self {
            Self::Json(list) => {
                Self::Json(sublist(list, len, from, to, |reader| Ok(reader.var_bytes().map(drop)?)))
            }
            Self::Any(list) => Self::Any(sublist(list, len, from, to, value::skip_value)),
            Self::String(text) => Self::String(text.slice(len, from, to)),
            Self::Deleted
            | Self::Binary(_)
            | Self::Embed(_)
            | Self::Format(_)
            | Self::Type(_)
            | Self::Doc(_)
            | Self::Move(_) => *self,
        }
    }

    /// The first unit from `at` on before which this content can be cut without harm; `len` if there is none.
    pub(super) fn cut(&self, len: Clock, at: Clock) -> Clock {
        match self {
            Self::String(text) => text.cut(len, at),
            Self::Json(_) | Self::Any(_) => at,
            Self::Deleted
            | Self::Binary(_)
            | Self::Embed(_)
            | Self::Format(_)
            | Self::Type(_)
            | Self::Doc(_)
            | Self::Move(_) => len,
        }
    }

    /// Appends this content, `len` units, to that of the encoded struct at the end of `out`, whose length or count
    /// stands at byte `count_at`. Both must be of one kind that [concatenates](Kind::concatenates).
    pub(crate) fn write_joined(
        &self,
        len: Clock,
        count_at: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), UpdateError> {
        let added = match self {
            Self::String(text) => text.bytes() as u64,
            _ => len,
        };
        add_var_uint(out, count_at, added)?;
        match self {
            Self::String(text) => text.write(out),
            Self::Json(list) | Self::Any(list) => out.extend_from_slice(list),
            Self::Deleted
            | Self::Binary(_)
            | Self::Embed(_)
            | Self::Format(_)
            | Self::Type(_)
            | Self::Doc(_)
            | Self::Move(_) => {}
        }
        Ok(())
    }
}

/// Adds to the integer at byte `at`, moving what follows if it then takes more bytes.
pub(super) fn add_var_uint(out: &mut Vec<u8>, at: usize, added: u64) -> Result<(), UpdateError> {
    let tail = out.get(at..).unwrap_or_default();
    let mut reader = Reader::new(tail);
    let value = reader.var_uint()? + added;
    let taken = tail.len() - reader.rest().len();
    let mut encoded = Vec::with_capacity(8);
    write_var_uint(&mut encoded, value);
    out.splice(at..at + taken, encoded);
    Ok(())
}

/// Skips `count` elements and gives the bytes they take.
fn list<'a>(
    reader: &mut Reader<'a>,
    count: usize,
    mut skip: impl FnMut(&mut Reader<'a>) -> Result<(), UpdateError>,
) -> Result<&'a [u8], UpdateError> {
    raw(reader, |reader| (0..count).try_for_each(|_| skip(reader)))
}

/// Runs `skip` and gives the bytes it passed.
fn raw<'a>(
    reader: &mut Reader<'a>,
    skip: impl FnOnce(&mut Reader<'a>) -> Result<(), UpdateError>,
) -> Result<&'a [u8], UpdateError> {
    let mut ahead = *reader;
    skip(&mut ahead)?;
    Ok(reader.take(reader.rest().len() - ahead.rest().len())?)
}

/// The elements from `from` up to `to` of a list of `len` that has been read before. The end of the list is found without
/// a walk: whoever cuts piece after piece off the front pays for each piece only.
fn sublist<'a>(
    list: &'a [u8],
    len: Clock,
    from: Clock,
    to: Clock,
    skip: impl Fn(&mut Reader<'a>) -> Result<(), UpdateError>,
) -> &'a [u8] {
    let mut reader = Reader::new(list);
    let skipped = (0..from).try_for_each(|_| skip(&mut reader));
    debug_assert_eq!(skipped, Ok(()));
    if to == len {
        return reader.rest();
    }
    let part = raw(&mut reader, |reader| (from..to).try_for_each(|_| skip(reader)));
    debug_assert!(part.is_ok());
    part.unwrap_or_default()
}

fn json(reader: &mut Reader<'_>, check: Check) -> Result<(), UpdateError> {
    match check {
        Check::Full => check_json(reader.var_string()?),
        Check::Known => Ok(reader.var_bytes().map(drop)?),
    }
}

fn json_or_undefined(reader: &mut Reader<'_>, check: Check) -> Result<(), UpdateError> {
    match check {
        Check::Full => match reader.var_string()? {
            "undefined" => Ok(()),
            text => check_json(text),
        },
        Check::Known => Ok(reader.var_bytes().map(drop)?),
    }
}

/// Numbers 0 to 6 are those of Yjs: array, map, text, element, fragment, hook, XML text. Elements and hooks have a
/// name. 7 is a weak link of yrs: flags, then where the linked range begins and ends.
fn skip_type(reader: &mut Reader<'_>) -> Result<(), UpdateError> {
    const QUOTE: u8 = 0b0000_0001;
    const START_UNBOUNDED: u8 = 0b0000_1000;
    const END_UNBOUNDED: u8 = 0b0001_0000;
    const PARENT_ROOT: u8 = 0b0010_0000;
    fn bound(reader: &mut Reader<'_>, root: bool) -> Result<(), ReadError> {
        if root { reader.var_string().map(drop) } else { reader.id().map(drop) }
    }
    match reader.var_uint()? {
        0 | 1 | 2 | 4 | 6 => {}
        3 | 5 => drop(reader.var_string()?),
        7 => {
            let flags = reader.byte()?;
            let root = flags & PARENT_ROOT != 0;
            bound(reader, root && flags & START_UNBOUNDED != 0)?;
            if flags & END_UNBOUNDED != 0 {
                bound(reader, root)?;
            } else if flags & QUOTE != 0 {
                bound(reader, false)?;
            }
        }
        other => return Err(UpdateError::UnknownType(other)),
    }
    Ok(())
}

/// Flags, the id where the moved range begins, and where it ends unless it is a single element.
fn skip_move(reader: &mut Reader<'_>) -> Result<(), UpdateError> {
    const COLLAPSED: u8 = 0b0000_0001;
    let flags = reader.skip_var_int()?;
    reader.id()?;
    if flags & COLLAPSED == 0 {
        reader.id()?;
    }
    Ok(())
}
