//! Reading an archive, every byte checked.

use std::io::{self, Read};

use bytes::{Bytes, BytesMut};
use quire_sync_protocol::{DocId, StateVector};
use serde::de::DeserializeOwned;

use super::Summary;
use super::frame::{Begin, End, FORMAT, HEADER_BYTES, Head, HeadDocument, Kind, MAGIC, PART_BYTES, checksum};
use crate::inspect::{Grave, Whole};
use crate::store::{Epoch, Seq, Stored};

/// What an archive holds about one name.
#[derive(Debug)]
pub enum Item {
    /// Everything that is stored under it.
    Name {
        /// The name.
        doc: DocId,
        /// What is stored under it.
        whole: Whole,
    },
    /// It could not be read when the archive was made.
    Damaged(DocId),
}

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read at all.
    #[error("the archive cannot be read: {0}")]
    Io(io::Error),
    /// It begins with something else.
    #[error("this is no archive of quire")]
    NotAnArchive,
    /// It was written by a later version of this program.
    #[error(
        "the archive has format {found}, this program knows format {FORMAT}; use the later version that wrote it"
    )]
    Format {
        /// The format found.
        found: u32,
    },
    /// It ends before its end: making it was interrupted, or it was not copied whole.
    #[error("the archive is not whole: it ends early, after {records} records")]
    Cut {
        /// Records before the end.
        records: u64,
    },
    /// Its bytes are not those that were written.
    #[error("the archive is damaged at record {record}")]
    Damaged {
        /// The number of the record; the first is 0.
        record: u64,
    },
}

/// Reads an archive.
#[derive(Debug)]
pub struct ArchiveReader<R> {
    input: R,
    /// The number of the next record.
    number: u64,
    created: u64,
    summary: Summary,
    ended: bool,
}

impl<R: Read> ArchiveReader<R> {
    /// Reads the beginning.
    pub fn begin(mut input: R) -> Result<Self, ArchiveError> {
        let mut magic = [0; MAGIC.len()];
        match input.read_exact(&mut magic) {
            Ok(()) if magic == *MAGIC => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(ArchiveError::Io(error));
            }
            _ => return Err(ArchiveError::NotAnArchive),
        }
        let summary = Summary::default();
        let mut reader = Self { input, number: 0, created: 0, summary, ended: false };
        let (kind, payload) = reader.record()?;
        let begin: Begin = reader.decoded(&payload)?.0;
        if kind != Kind::Begin {
            return Err(reader.damaged());
        }
        if begin.format != FORMAT {
            return Err(ArchiveError::Format { found: begin.format });
        }
        reader.created = begin.created;
        Ok(reader)
    }

    /// When it was made, in seconds since 1970.
    pub fn created(&self) -> u64 {
        self.created
    }

    /// What was read so far; everything, once [`Self::next_item`] has given `None`.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The next name. `None` means that the archive was whole to its end.
    pub fn next_item(&mut self) -> Result<Option<Item>, ArchiveError> {
        if self.ended {
            return Ok(None);
        }
        let (kind, payload) = self.record()?;
        match kind {
            Kind::Name => self.name(&payload).map(Some),
            Kind::Damaged => {
                let doc = self.doc(&payload)?;
                self.summary.damaged.push(doc.clone());
                Ok(Some(Item::Damaged(doc)))
            }
            Kind::End => {
                let (end, rest) = self.decoded::<End>(&payload)?;
                let expected = End {
                    documents: self.summary.documents,
                    tombstones: self.summary.tombstones,
                    damaged: self.summary.damaged.len() as u64,
                };
                let mut behind = [0];
                if end != expected || !rest.is_empty() || self.read_some(&mut behind)? > 0 {
                    return Err(self.damaged());
                }
                self.ended = true;
                Ok(None)
            }
            Kind::Begin | Kind::Part | Kind::Last => Err(self.damaged()),
        }
    }

    fn name(&mut self, payload: &[u8]) -> Result<Item, ArchiveError> {
        let (head, name) = self.decoded::<Head>(payload)?;
        let doc = self.doc(name)?;
        let mut whole = Whole { document: None, tombstone: None };
        if let Some(HeadDocument { epoch, seq, snapshot_seq }) = head.document {
            let snapshot = match snapshot_seq {
                Some(_) => Some(self.payload()?),
                None => None,
            };
            let before = snapshot_seq.unwrap_or_default();
            if before > seq || seq == u64::MAX {
                return Err(self.damaged());
            }
            // Not by the number that the head claims: each update has to be there.
            let mut updates = Vec::new();
            for _ in before..seq {
                updates.push(self.payload()?);
            }
            let dead = StateVector::default();
            whole.document = Some(Stored { epoch: Epoch(epoch), seq: Seq(seq), snapshot, updates, dead });
            self.summary.documents += 1;
        } else {
            self.summary.tombstones += 1;
        }
        if let Some(grave) = head.tombstone {
            let clients = StateVector::decode(&self.payload()?).map_err(|_| self.damaged())?;
            whole.tombstone = Some(Grave { epoch: Epoch(grave.epoch), deleted: grave.deleted, clients });
        }
        Ok(Item::Name { doc, whole })
    }

    fn payload(&mut self) -> Result<Bytes, ArchiveError> {
        let mut whole = BytesMut::new();
        loop {
            let (kind, part) = self.record()?;
            match kind {
                Kind::Last if whole.is_empty() => return Ok(part),
                Kind::Part | Kind::Last => whole.extend_from_slice(&part),
                Kind::Begin | Kind::Name | Kind::Damaged | Kind::End => return Err(self.damaged()),
            }
            if kind == Kind::Last {
                return Ok(whole.freeze());
            }
        }
    }

    fn doc(&self, name: &[u8]) -> Result<DocId, ArchiveError> {
        let name = str::from_utf8(name).ok().and_then(|name| DocId::new(name).ok());
        name.ok_or_else(|| self.damaged())
    }

    fn decoded<'a, T: DeserializeOwned>(&self, payload: &'a [u8]) -> Result<(T, &'a [u8]), ArchiveError> {
        postcard::take_from_bytes(payload).map_err(|_| self.damaged())
    }

    fn record(&mut self) -> Result<(Kind, Bytes), ArchiveError> {
        let mut header = [0; HEADER_BYTES];
        self.read_exact(&mut header)?;
        let [kind, l0, l1, l2, l3, c0, c1, c2, c3] = header;
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        self.number += 1;
        if length > PART_BYTES {
            return Err(self.damaged());
        }
        let mut payload = vec![0; length];
        self.read_exact(&mut payload)?;
        let is_sound = checksum(self.number - 1, kind, &payload) == u32::from_be_bytes([c0, c1, c2, c3]);
        match Kind::of(kind).filter(|_| is_sound) {
            Some(kind) => Ok((kind, payload.into())),
            None => Err(self.damaged()),
        }
    }

    fn read_exact(&mut self, out: &mut [u8]) -> Result<(), ArchiveError> {
        self.input.read_exact(out).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ArchiveError::Cut { records: self.number },
            _ => ArchiveError::Io(error),
        })
    }

    fn read_some(&mut self, out: &mut [u8]) -> Result<usize, ArchiveError> {
        self.input.read(out).map_err(ArchiveError::Io)
    }

    /// The record that was read last is wrong.
    fn damaged(&self) -> ArchiveError {
        ArchiveError::Damaged { record: self.number.saturating_sub(1) }
    }
}
