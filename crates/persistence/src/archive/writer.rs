//! Writing an archive.

use std::io::{self, Write};

use quire_sync_protocol::DocId;
use serde::Serialize;

use super::Summary;
use super::frame::{
    Begin, End, FORMAT, Head, HeadDocument, HeadTombstone, Kind, MAGIC, PART_BYTES, checksum,
};
use crate::inspect::Whole;

/// Writes an archive. Without [`ArchiveWriter::end`] it is no whole one, and nothing can be restored from it.
#[derive(Debug)]
pub struct ArchiveWriter<W> {
    out: W,
    /// The number of the next record.
    number: u64,
    summary: Summary,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive that is made at this time, in seconds since 1970.
    pub fn begin(mut out: W, created: u64) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        let mut writer = Self { out, number: 0, summary: Summary::default() };
        writer.record(Kind::Begin, &encoded(&Begin { format: FORMAT, created }))?;
        Ok(writer)
    }

    /// Adds everything that is stored under a name; says how many bytes of content that is.
    pub fn put(&mut self, doc: &DocId, whole: &Whole) -> io::Result<u64> {
        let head = Head {
            document: whole.document.as_ref().map(|stored| HeadDocument {
                epoch: stored.epoch.0,
                seq: stored.seq.0,
                snapshot_seq: stored.snapshot.as_ref().map(|_| stored.snapshot_seq().0),
            }),
            tombstone: whole
                .tombstone
                .as_ref()
                .map(|grave| HeadTombstone { epoch: grave.epoch.0, deleted: grave.deleted }),
        };
        let mut record = encoded(&head);
        record.extend_from_slice(doc.as_str().as_bytes());
        self.record(Kind::Name, &record)?;
        if let Some(stored) = &whole.document {
            self.summary.documents += 1;
            for payload in stored.snapshot.iter().chain(&stored.updates) {
                self.payload(payload)?;
            }
        } else {
            self.summary.tombstones += 1;
        }
        if let Some(grave) = &whole.tombstone {
            self.payload(&grave.clients.encode())?;
        }
        Ok(whole.bytes())
    }

    /// Notes that a document could not be read.
    pub fn put_damaged(&mut self, doc: &DocId) -> io::Result<()> {
        self.summary.damaged.push(doc.clone());
        self.record(Kind::Damaged, doc.as_str().as_bytes())
    }

    /// Ends the archive and flushes what it was written to.
    pub fn end(mut self) -> io::Result<Summary> {
        let end = End {
            documents: self.summary.documents,
            tombstones: self.summary.tombstones,
            damaged: self.summary.damaged.len() as u64,
        };
        self.record(Kind::End, &encoded(&end))?;
        self.out.flush()?;
        Ok(self.summary)
    }

    fn payload(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((part, rest)) = bytes.split_at_checked(PART_BYTES).filter(|(_, rest)| !rest.is_empty())
        {
            self.record(Kind::Part, part)?;
            bytes = rest;
        }
        self.record(Kind::Last, bytes)
    }

    fn record(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
        self.out.write_all(&[kind as u8])?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&checksum(self.number, kind as u8, payload).to_be_bytes())?;
        self.out.write_all(payload)?;
        self.number += 1;
        Ok(())
    }
}

#[expect(clippy::expect_used, reason = "postcard fails on maps and sequences of unknown length only")]
fn encoded(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("integers and options have an encoding")
}
