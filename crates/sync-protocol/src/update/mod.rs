//! The v1 update format of Yjs, with content left as bytes.
//!
//! An update is a number of clients; for each of them a number of structs, the client's id, the first clock and
//! the structs one after another; then the delete set. [`structs`] describes a struct, [`content`] what it
//! holds, [`id_set`] the delete set. Source: the `encoding`, `structs` and `DeleteSet` modules of Yjs 13, and
//! `block` of yrs for what only yrs writes.

pub mod content;
pub mod id_set;
mod json;
pub mod structs;
mod text;
mod value;

use std::cmp::Reverse;

use bytes::Bytes;

use crate::id::{ClientId, Clock, Id, MAX_SAFE_INTEGER};
use crate::wire::varint::{ReadError, Reader, write_var_uint};
use id_set::{ClockRange, IdSet};
use structs::{Check, Struct};

pub(crate) use json::check as check_json;

/// A v1 update that has been walked from end to end: everything in it can be delimited, every count is backed by
/// bytes, and no clock leaves the safe range. Cheap to clone; holds nothing but its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    bytes: Bytes,
    /// Where the delete set begins.
    deletes_at: usize,
    /// Everything is as Yjs writes it: each client stands in one block, these descend, and no struct and no range of
    /// the delete set is empty.
    regular: bool,
}

/// Why an update was refused. The sender's fault in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// A number, string or count could not be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// A struct holds a kind of content that no client writes; holds its number.
    #[error("unknown kind of content {0}")]
    UnknownContent(u8),
    /// A type has a number that no client writes; holds it.
    #[error("unknown kind of type {0}")]
    UnknownType(u64),
    /// A value has a tag that lib0 does not write; holds it.
    #[error("unknown tag {0} of a value")]
    UnknownValue(u8),
    /// Values or JSON nested more than [`crate::limits::MAX_DEPTH`] deep.
    #[error("values are nested too deep")]
    TooDeep,
    /// A format or embed is not JSON.
    #[error("a format or embed is not JSON")]
    InvalidJson,
    /// The options of a sub-document are not an object.
    #[error("the options of a sub-document are not an object")]
    InvalidDocumentOptions,
    /// A clock passes 2^53 - 1.
    #[error("a clock is out of range")]
    ClockOutOfRange,
    /// An item stands next to, or within, something that its own client inserted later, or itself.
    #[error("an item builds on a later insertion of its own client")]
    BuildsOnLater,
    /// Bytes follow the delete set.
    #[error("bytes follow the end of the update")]
    TrailingBytes,
}

impl Update {
    /// The update without structs and deletes.
    pub const fn empty() -> Self {
        Self { bytes: Bytes::from_static(&[0, 0]), deletes_at: 1, regular: true }
    }

    /// Walks an update and takes it. Reads every byte once and allocates nothing.
    pub fn parse(bytes: Bytes) -> Result<Self, UpdateError> {
        let mut reader = Reader::new(&bytes);
        let mut empty = false;
        let ordered = walk_structs(&mut reader, Check::Full, |_, _, next| empty |= next.len == 0)?;
        let deletes_at = bytes.len() - reader.rest().len();
        walk_deletes(&mut reader, |_, range| empty |= range.is_empty())?;
        if !reader.is_empty() {
            return Err(UpdateError::TrailingBytes);
        }
        Ok(Self { bytes, deletes_at, regular: ordered && !empty })
    }

    /// Like [`Self::parse`]; has `take` take the structs of each block, with all the bytes, meanwhile, and gives the delete set too. What was taken before
    /// something wrong was found has been taken.
    pub(crate) fn parse_and_take(
        bytes: Bytes,
        mut take: impl for<'a> FnMut(&mut BlockStructs<'a>, &'a Bytes),
    ) -> Result<(Self, IdSet), UpdateError> {
        let mut reader = Reader::new(&bytes);
        let (mut regular, mut before) = (true, None);
        for _ in 0..reader.count()? {
            let mut structs = BlockStructs::begin(reader, Check::Full)?;
            regular &= before.is_none_or(|before| structs.client < before);
            before = Some(structs.client);
            if structs.left > 0 {
                take(&mut structs, &bytes);
            }
            structs.by_ref().for_each(drop);
            regular &= !structs.empty;
            reader = structs.end()?;
        }
        let deletes_at = bytes.len() - reader.rest().len();
        let mut walked = Ok(());
        let deletes = IdSet::collect(|add| {
            walked = walk_deletes(&mut reader, |client, range| {
                regular &= !range.is_empty();
                add(client, range);
            });
        });
        walked?;
        if !reader.is_empty() {
            return Err(UpdateError::TrailingBytes);
        }
        Ok((Self { bytes, deletes_at, regular }, deletes))
    }

    /// Takes an encoding that this crate has just written, without walking it.
    pub(crate) fn from_encoder(bytes: Vec<u8>, deletes_at: usize) -> Self {
        let update = Self { bytes: bytes.into(), deletes_at, regular: true };
        debug_assert_eq!(Self::parse(update.bytes.clone()).as_ref(), Ok(&update));
        update
    }

    /// The encoding.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether it holds neither structs nor deletes.
    pub fn is_empty(&self) -> bool {
        self.bytes.as_ref() == [0, 0]
    }

    /// Whether it is as Yjs writes updates. Any other is not to be handed on: Yjs reads only the last of two blocks of one
    /// client, and throws on a range of the delete set, or an item, that is empty.
    pub(crate) fn is_regular(&self) -> bool {
        self.regular
    }

    /// Calls `visit` for each struct, in the order of the encoding: clients in any order, clocks ascending within
    /// a client.
    pub fn for_each_struct(&self, visit: impl FnMut(ClientId, Clock, Struct<'_>)) {
        // A checked update reads to its end; see `parse`.
        let walked = walk_structs(&mut Reader::new(&self.bytes), Check::Known, visit);
        debug_assert!(walked.is_ok());
    }

    /// Like [`Self::for_each_struct`], with the clients descending and the blocks of one client by their first clocks.
    /// Whoever builds from it then only ever appends.
    pub(crate) fn for_each_struct_in_order(&self, mut visit: impl FnMut(ClientId, Clock, Struct<'_>)) {
        if self.regular {
            return self.for_each_struct(visit);
        }
        let mut blocks = Vec::new();
        self.blocks_in_order(&mut blocks);
        for block in blocks {
            block.for_each_struct(&mut visit);
        }
    }

    /// Adds the blocks of this update to `blocks`, in the order of [`Self::for_each_struct_in_order`].
    pub(crate) fn blocks_in_order<'a>(&'a self, blocks: &mut Vec<Block<'a>>) {
        let from = blocks.len();
        let mut reader = Reader::new(&self.bytes);
        // A checked update reads to its end; see `parse`.
        let count = reader.count().unwrap_or_default();
        for number in 1..=count {
            let at = reader;
            let Ok(first) = first_of_block(at) else { return };
            blocks.extend(first.map(|(client, clock)| Block { client, clock, reader: at }));
            // The end of the last one is of no interest, and most updates have one.
            if number < count {
                let walked = walk_block(&mut reader, Check::Known, |_, _, _| {});
                debug_assert!(walked.is_ok());
            }
        }
        if !self.regular {
            let added = blocks.get_mut(from..).unwrap_or_default();
            added.sort_by_key(|block| (Reverse(block.client), block.clock));
        }
    }

    /// Calls `visit` for each range of the delete set, in the order of the encoding. Ranges may be empty,
    /// overlap or come in any order.
    pub fn for_each_delete(&self, visit: impl FnMut(ClientId, ClockRange)) {
        let deletes = self.bytes.get(self.deletes_at..).unwrap_or_default();
        let walked = walk_deletes(&mut Reader::new(deletes), visit);
        debug_assert_eq!(walked, Ok(()));
    }

    /// The delete set.
    pub fn deletes(&self) -> IdSet {
        IdSet::collect(|add| self.for_each_delete(add))
    }
}

/// The structs of one client that stand together in an update. There is at least one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) client: ClientId,
    /// The first clock.
    clock: Clock,
    reader: Reader<'a>,
}

/// A struct of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InBlock<'a> {
    pub(crate) clock: Clock,
    pub(crate) next: Struct<'a>,
    /// The update from the first byte of the struct on.
    pub(crate) bytes: &'a [u8],
    /// What the struct takes of it.
    pub(crate) length: usize,
}

/// The structs of a block, clocks ascending. Ends early where there is something wrong.
#[derive(Debug)]
pub(crate) struct BlockStructs<'a> {
    pub(crate) client: ClientId,
    /// The clock of the next one.
    clock: Clock,
    /// How many are left.
    left: usize,
    reader: Reader<'a>,
    check: Check,
    /// There was one without a length.
    empty: bool,
    wrong: Option<UpdateError>,
}

impl<'a> BlockStructs<'a> {
    fn begin(mut reader: Reader<'a>, check: Check) -> Result<Self, UpdateError> {
        let left = reader.count()?;
        let client = reader.client()?;
        let clock = reader.var_uint()?;
        Ok(Self { client, clock, left, reader, check, empty: false, wrong: None })
    }

    /// The clock of the next one.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    fn read(&mut self) -> Result<InBlock<'a>, UpdateError> {
        let (clock, bytes) = (self.clock, self.reader.rest());
        let next = Struct::read(&mut self.reader, self.check)?;
        if self.check == Check::Full && next.builds_on_later(Id { client: self.client, clock }) {
            return Err(UpdateError::BuildsOnLater);
        }
        self.empty |= next.len == 0;
        let end = clock.checked_add(next.len).filter(|end| *end <= MAX_SAFE_INTEGER);
        self.clock = end.ok_or(UpdateError::ClockOutOfRange)?;
        Ok(InBlock { clock, next, bytes, length: bytes.len() - self.reader.rest().len() })
    }

    /// What stands behind the block, all of whose structs have been read.
    fn end(self) -> Result<Reader<'a>, UpdateError> {
        self.wrong.map_or(Ok(self.reader), Err)
    }
}

impl<'a> Iterator for BlockStructs<'a> {
    type Item = InBlock<'a>;

    fn next(&mut self) -> Option<InBlock<'a>> {
        self.left = self.left.checked_sub(1)?;
        match self.read() {
            Ok(found) => Some(found),
            Err(wrong) => {
                self.left = 0;
                self.wrong = Some(wrong);
                None
            }
        }
    }
}

impl<'a> Block<'a> {
    /// Its structs; `None` cannot be.
    pub(crate) fn structs(self) -> Option<BlockStructs<'a>> {
        // It is part of a checked update.
        let structs = BlockStructs::begin(self.reader, Check::Known);
        debug_assert!(structs.is_ok());
        structs.ok()
    }

    /// Calls `visit` for each struct, clocks ascending.
    pub(crate) fn for_each_struct(mut self, visit: impl FnMut(ClientId, Clock, Struct<'_>)) {
        // It is part of a checked update.
        let walked = walk_block(&mut self.reader, Check::Known, visit);
        debug_assert!(walked.is_ok());
    }
}

/// Whose the block is that begins here, and its first clock; `None` if it is empty.
fn first_of_block(mut reader: Reader<'_>) -> Result<Option<(ClientId, Clock)>, UpdateError> {
    let structs = reader.count()?;
    let client = reader.client()?;
    let clock = reader.var_uint()?;
    Ok((structs > 0).then_some((client, clock)))
}

/// Says whether the clients descend.
fn walk_structs(
    reader: &mut Reader<'_>,
    check: Check,
    mut visit: impl FnMut(ClientId, Clock, Struct<'_>),
) -> Result<bool, UpdateError> {
    let mut ordered = true;
    let mut before = None;
    for _ in 0..reader.count()? {
        let client = walk_block(reader, check, &mut visit)?;
        ordered &= before.is_none_or(|before| client < before);
        before = Some(client);
    }
    Ok(ordered)
}

/// Walks the structs of one client, and gives it.
fn walk_block(
    reader: &mut Reader<'_>,
    check: Check,
    mut visit: impl FnMut(ClientId, Clock, Struct<'_>),
) -> Result<ClientId, UpdateError> {
    let structs = reader.count()?;
    let client = reader.client()?;
    let mut clock = reader.var_uint()?;
    for _ in 0..structs {
        let next = Struct::read(reader, check)?;
        if check == Check::Full && next.builds_on_later(Id { client, clock }) {
            return Err(UpdateError::BuildsOnLater);
        }
        let end = clock.checked_add(next.len).filter(|end| *end <= MAX_SAFE_INTEGER);
        let end = end.ok_or(UpdateError::ClockOutOfRange)?;
        visit(client, clock, next);
        clock = end;
    }
    Ok(client)
}

fn walk_deletes(
    reader: &mut Reader<'_>,
    mut visit: impl FnMut(ClientId, ClockRange),
) -> Result<(), UpdateError> {
    for _ in 0..reader.count()? {
        let client = reader.client()?;
        for _ in 0..reader.count()? {
            let start = reader.var_uint()?;
            let length = reader.var_uint()?;
            let end = start.checked_add(length).filter(|end| *end <= MAX_SAFE_INTEGER);
            visit(client, ClockRange { start, end: end.ok_or(UpdateError::ClockOutOfRange)? });
        }
    }
    Ok(())
}

/// Writes one update: the structs of one client after another, then the delete set.
#[derive(Debug, Default)]
pub(crate) struct UpdateWriter {
    clients: u64,
    body: Vec<u8>,
}

impl UpdateWriter {
    /// Makes room for about this many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { clients: 0, body: Vec::with_capacity(bytes) }
    }

    /// Begins the next client. Exactly `structs` structs must be appended to the result.
    pub(crate) fn client(&mut self, structs: u64, client: ClientId, clock: Clock) -> &mut Vec<u8> {
        self.clients += 1;
        write_var_uint(&mut self.body, structs);
        write_var_uint(&mut self.body, client.value());
        write_var_uint(&mut self.body, clock);
        &mut self.body
    }

    /// Ends with the delete set.
    pub(crate) fn finish(self, deletes: &IdSet) -> Update {
        let mut bytes = Vec::with_capacity(10 + self.body.len() + deletes.encoded_bytes());
        write_var_uint(&mut bytes, self.clients);
        bytes.extend_from_slice(&self.body);
        let deletes_at = bytes.len();
        deletes.write(&mut bytes);
        Update::from_encoder(bytes, deletes_at)
    }
}

#[cfg(test)]
mod tests;
