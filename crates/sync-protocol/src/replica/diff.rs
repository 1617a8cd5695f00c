//! What another side lacks, as an update.

use super::Replica;
use super::chunk::Chunk;
use crate::id::{ClientId, Clock, Id};
use crate::state_vector::StateVector;
use crate::update::id_set::IdSet;
use crate::update::structs::Struct;
use crate::update::{Update, UpdateWriter};

/// A chunk with more bytes than this holds a long struct, such as a pasted text, which may be sent in parts.
const LONG: usize = 32 << 10;

impl Replica {
    /// What somebody at this state vector lacks: what lies at or above its clock of each client (clients
    /// descending, as Yjs writes them), Skip where something is missing, and the whole delete set.
    pub fn diff(&self, known: &StateVector) -> Update {
        let mut writer = UpdateWriter::with_capacity(self.lacking_bytes(known));
        self.for_each_client(known, |client, from, chunks| {
            write_client(&mut writer, client, from, Clock::MAX, chunks);
        });
        writer.finish(&self.deletes)
    }

    /// About how many bytes [`Self::diff`] takes, without the delete set.
    pub fn lacking_bytes(&self, known: &StateVector) -> usize {
        let mut bytes = 0;
        self.for_each_client(known, |_, from, chunks| {
            bytes += 16 + chunks.iter().map(|(_, chunk)| chunk.bytes.len()).sum::<usize>();
            // Of the first chunk perhaps only the rest is lacking; of a large one that counts.
            if let Some((start, first)) = chunks.first().filter(|(_, chunk)| chunk.bytes.len() > LONG) {
                let known =
                    u128::from(from - start) * first.bytes.len() as u128 / u128::from(first.end - start);
                bytes -= usize::try_from(known).unwrap_or(0);
            }
        });
        bytes
    }

    /// One of `parts` equal shares of what somebody at `known` lacks, without deletes, and the state vector at which
    /// it leaves them. The share is taken of every client's clocks, so that the parts come in nearly causal order
    /// and a reader keeps little waiting.
    pub fn part(&self, known: &StateVector, parts: u64) -> (Update, StateVector) {
        let mut writer = UpdateWriter::default();
        let mut reached: Vec<(ClientId, Clock)> = known.iter().collect();
        self.for_each_client(known, |client, from, chunks| {
            // What lies behind a gap waits for the diff that ends the catching up: the gap may have been filled by
            // then, and a state vector could not say so.
            let mut end = known.clock(client);
            let contiguous = chunks.iter().take_while(|(start, chunk)| {
                let follows = *start <= end;
                end = chunk.end;
                follows
            });
            let contiguous = contiguous.count();
            let chunks = chunks.get(..contiguous).unwrap_or_default();
            let Some((_, last)) = chunks.last() else { return };
            let end = last.end;
            let share = (end - from).div_ceil(parts.max(1));
            let until = part_end(chunks, from, from + share.max(1));
            write_client(&mut writer, client, from, until, chunks);
            reached.push((client, until));
        });
        (writer.finish(&IdSet::default()), reached.into_iter().collect())
    }

    /// Calls `visit` with each client of which something is lacking, descending, with the first lacking clock and the
    /// chunks that hold anything from there on, ascending.
    fn for_each_client<'a>(
        &'a self,
        known: &StateVector,
        mut visit: impl FnMut(ClientId, Clock, &[(Clock, &'a Chunk)]),
    ) {
        let mut chunks: Vec<(Clock, &Chunk)> = Vec::new();
        let mut descending = self.chunks.iter().rev().peekable();
        while let Some(((client, start), chunk)) = descending.next() {
            chunks.push((*start, chunk));
            if descending.peek().is_none_or(|((next, _), _)| next != client) {
                let from = known.clock(*client);
                chunks.retain(|(_, chunk)| chunk.end > from);
                chunks.reverse();
                if let Some((first, _)) = chunks.first() {
                    visit(*client, from.max(*first), &chunks);
                }
                chunks.clear();
            }
        }
    }
}

/// Writes one client's structs from `from` up to `until`.
fn write_client(
    writer: &mut UpdateWriter,
    client: ClientId,
    from: Clock,
    until: Clock,
    chunks: &[(Clock, &Chunk)],
) {
    let wanted = || chunks.iter().take_while(|(start, _)| *start < until);
    let mut structs = 0;
    let mut end = from;
    for (start, chunk) in wanted() {
        structs += u64::from(*start > end);
        structs += if is_whole(*start, chunk, from, until) {
            chunk.count as u64
        } else {
            structs_between(*start, chunk, from, until).count() as u64
        };
        end = chunk.end;
    }
    let out = writer.client(structs, client, from);
    let mut end = from;
    for (start, chunk) in wanted() {
        if *start > end {
            Struct::skip(start - end).write(out);
        }
        if is_whole(*start, chunk, from, until) {
            out.extend_from_slice(&chunk.bytes);
        } else {
            for (clock, next) in structs_between(*start, chunk, from, until) {
                let to = next.len.min(until - clock);
                next.slice(Id { client, clock }, from.saturating_sub(clock), to).write(out);
            }
        }
        end = chunk.end;
    }
}

/// The structs of a chunk that is wanted in part, as the first and the last may be.
fn structs_between(
    start: Clock,
    chunk: &Chunk,
    from: Clock,
    until: Clock,
) -> impl Iterator<Item = (Clock, Struct<'_>)> {
    chunk.structs(start).filter(move |(clock, next)| clock + next.len > from && *clock < until)
}

fn is_whole(start: Clock, chunk: &Chunk, from: Clock, until: Clock) -> bool {
    from <= start && chunk.end <= until
}

/// Where a part ends that is to reach about up to `clock`: behind the struct that holds the unit before it, or, if that is a
/// long one, inside of it where nothing is halved.
fn part_end(chunks: &[(Clock, &Chunk)], from: Clock, clock: Clock) -> Clock {
    let Some((start, chunk)) = chunks.iter().find(|(_, chunk)| chunk.end >= clock) else { return Clock::MAX };
    let Some((start, last)) = chunk.structs(*start).find(|(start, next)| start + next.len >= clock) else {
        return chunk.end;
    };
    if chunk.bytes.len() > LONG && start < clock {
        (start + last.cut(clock - start)).max(from + 1)
    } else {
        start + last.len
    }
}
