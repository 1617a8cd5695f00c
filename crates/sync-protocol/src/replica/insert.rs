//! Uniting an update with what is there.

use bytes::Bytes;

use super::Replica;
use super::chunk::{Run, Splice};
use crate::id::{ClientId, Clock, Id};
use crate::update::id_set::{ClockRange, IdSet};
use crate::update::structs::{Body, Struct};
use crate::update::{BlockStructs, InBlock, Update, UpdateError, UpdateWriter};

/// Dependencies that are not there when an item comes are looked for again at the end of its update. Beyond this
/// many the rest is taken for found.
const UNRESOLVED: usize = 1024;

/// What an insertion did.
#[derive(Clone, Debug)]
pub struct Inserted {
    /// The part that was new; `None` if nothing was.
    pub delta: Option<Update>,
    /// The new part builds on something that is missing: an earlier clock of its client, a neighbour or a parent.
    pub gap: bool,
}

impl Replica {
    /// Unites an update with what is there. Takes time linear in the update, and in a kilobyte for each place that
    /// it touches.
    pub fn insert(&mut self, update: &Update) -> Inserted {
        let incoming = update.deletes();
        let fresh_deletes = incoming.without(&self.deletes);
        let mut whole = fresh_deletes == incoming;
        self.deletes.unite(&fresh_deletes);
        self.erase(&fresh_deletes);

        let mut inserter = Inserter::new(self);
        update.for_each_struct_in_order(|client, clock, next| inserter.insert(client, clock, &next));
        let Taken { fresh, erased, complete, detached, unresolved } = inserter.finish();
        whole &= complete;
        self.deletes
            .unite(&IdSet::collect(|add| erased.into_iter().for_each(|(client, range)| add(client, range))));

        let delta = if fresh.is_empty() && fresh_deletes.is_empty() {
            None
        } else if !update.is_regular() {
            // No client writes such an update; put in order, it serves as its own delta.
            let mut sorted = Self::new();
            Inserter::fill(&mut sorted, update);
            sorted.deletes.unite(&fresh_deletes);
            Some(sorted.encode())
        } else if whole || !is_one_range_a_client(&fresh) {
            // To leave out what is known in the middle, a gap would have to be written in its place. Some readers
            // (Yjs among them) are slow to get over a gap that is none; saying it again harms nobody.
            Some(update.clone())
        } else {
            Some(select(update, &fresh, &fresh_deletes))
        };
        // Clients hardly ever have gaps; only those that had one or may have got one are looked through.
        let mut suspects: Vec<_> = fresh.iter().map(|(client, _)| *client).collect();
        suspects.retain(|client| self.torn.contains_key(client));
        suspects.extend(detached);
        suspects.dedup();
        for client in suspects {
            self.note_torn(client);
        }
        self.release_loaded();
        let behind_a_gap = |client: &ClientId, range: &ClockRange| {
            self.torn.get(client).is_some_and(|first_missing| *first_missing < range.end)
        };
        let gap = fresh.iter().any(|(client, range)| behind_a_gap(client, range))
            || unresolved.into_iter().any(|id| !self.holds(id));
        Inserted { delta, gap }
    }

    /// Unites many updates with what is there, as [`Self::insert`] would one after the other, in a fraction of the time.
    /// For loading: it does not find out what was new.
    pub fn insert_all(&mut self, updates: &[Update]) {
        let deletes = IdSet::collect(|add| {
            for update in updates {
                update.for_each_delete(&mut *add);
            }
        });
        let fresh_deletes = deletes.without(&self.deletes);
        self.deletes.unite(&fresh_deletes);
        self.erase(&fresh_deletes);

        let mut blocks = Vec::with_capacity(updates.len());
        for update in updates {
            update.blocks_in_order(&mut blocks);
        }
        // Client by client nearly everything is appended. What is there of one client does not depend on the others; of its own
        // blocks the first writer of an id wins, so they stay in the order in which they came.
        blocks.sort_by_key(|block| block.client);
        let mut inserter = Inserter::new(self);
        inserter.asks_for_dependencies = false;
        for block in blocks {
            if let Some(mut structs) = block.structs() {
                inserter.insert_block(&mut structs, None);
            }
        }
        let Taken { fresh: _, erased, complete: _, detached, unresolved: _ } = inserter.finish();
        self.deletes
            .unite(&IdSet::collect(|add| erased.into_iter().for_each(|(client, range)| add(client, range))));
        let mut suspects: Vec<_> = self.torn.keys().copied().chain(detached).collect();
        suspects.dedup();
        for client in suspects {
            self.note_torn(client);
        }
        self.release_loaded();
    }

    /// What is stored of a document: an update that stands for most of it, checked as [`Update::parse`] would and taken in one go,
    /// and those that came after it. Gives the first as well, if it is all.
    ///
    /// # Errors
    ///
    /// The first is no update.
    pub fn from_stored(
        snapshot: Option<Bytes>,
        updates: &[Update],
    ) -> Result<(Self, Option<Update>), UpdateError> {
        let mut replica = Self::new();
        let mut whole = None;
        if let Some(snapshot) = snapshot {
            replica.loaded = snapshot.len();
            let mut inserter = Inserter::new(&mut replica);
            inserter.asks_for_dependencies = false;
            let (snapshot, deletes) = Update::parse_and_take(snapshot, |structs, source| {
                inserter.insert_block(structs, Some(source));
            })?;
            let Taken { erased, detached, .. } = inserter.finish();
            // Nearly always all of them say so by themselves.
            replica.deletes =
                IdSet::collect(|add| erased.into_iter().for_each(|(client, range)| add(client, range)));
            replica.erase(&deletes.without(&replica.deletes));
            replica.deletes.unite(&deletes);
            for client in detached {
                replica.note_torn(client);
            }
            replica.release_loaded();
            whole = Some(snapshot);
        }
        if !updates.is_empty() {
            replica.insert_all(updates);
            whole = None;
        }
        Ok((replica, whole))
    }

    /// Whether an update holds anything that is not there yet. Changes nothing.
    pub fn lacks(&self, update: &Update) -> bool {
        let mut lacks = !update.deletes().without(&self.deletes).is_empty();
        update.for_each_struct(|client, clock, next| {
            let end = clock + if next.body == Body::Skip { 0 } else { next.len };
            let mut at = clock;
            while at < end && !lacks {
                let found = self.chunks.range((client, 0)..=(client, at)).next_back();
                match found.map(|(_, chunk)| chunk.end).filter(|held| at < *held) {
                    Some(held) => at = held,
                    None => lacks = true,
                }
            }
        });
        lacks
    }

    /// Whether this unit is there, deleted or not.
    pub fn holds(&self, id: Id) -> bool {
        let found = self.chunks.range((id.client, 0)..=(id.client, id.clock)).next_back();
        found.is_some_and(|(_, chunk)| id.clock < chunk.end)
    }

    /// Notes whether something is missing between the clocks of this client.
    fn note_torn(&mut self, client: ClientId) {
        let mut end = 0;
        for ((_, start), chunk) in self.chunks.range((client, 0)..=(client, Clock::MAX)) {
            if *start != end {
                self.torn.insert(client, end);
                return;
            }
            end = chunk.end;
        }
        self.torn.remove(&client);
    }

    /// Deletes the content of items in these ranges.
    fn erase(&mut self, ranges: &IdSet) {
        for (client, ranges) in ranges.iter() {
            let mut done = 0;
            for range in ranges {
                let mut at = range.start.max(done);
                while at < range.end {
                    let Some(start) = self.chunk_at_or_after(client, at).filter(|start| *start < range.end)
                    else {
                        break;
                    };
                    let Some(chunk) = self.chunks.remove(&(client, start)) else { break };
                    let mut splice = Splice::open(&mut self.chunks, client, start);
                    // Every range that reaches into this chunk is dealt with at once.
                    let from = ranges.partition_point(|other| other.end <= start);
                    let reaching = ranges.get(from..).unwrap_or_default();
                    let mut skipped = 0;
                    for (clock, next) in chunk.structs(start) {
                        while reaching.get(skipped).is_some_and(|other| other.end <= clock) {
                            skipped += 1;
                        }
                        splice.push_cut(&mut self.chunks, &next, reaching.get(skipped..).unwrap_or_default());
                    }
                    splice.close(&mut self.chunks);
                    done = chunk.end;
                    at = chunk.end;
                }
            }
        }
    }

    /// The first clock of the chunk that holds this clock, or else of the next one.
    fn chunk_at_or_after(&self, client: ClientId, clock: Clock) -> Option<Clock> {
        let before = self.chunks.range((client, 0)..=(client, clock)).next_back();
        let holding = before.filter(|(_, chunk)| clock < chunk.end);
        let found = holding.or_else(|| self.chunks.range((client, clock)..=(client, Clock::MAX)).next());
        found.map(|(key, _)| key.1)
    }
}

/// Where the insertion stands among the chunks of one client.
#[derive(Debug)]
enum Position {
    /// Not looked up yet.
    Unknown,
    /// Everything between these clocks is there.
    Held { client: ClientId, from: Clock, until: Clock },
    /// Nothing is there from the splice up to this clock.
    Missing { splice: Splice, client: ClientId, until: Clock },
}

struct Inserter<'r> {
    replica: &'r mut Replica,
    position: Position,
    /// Whether `Taken::unresolved` is wanted: looking for what each item builds on takes most of the time.
    asks_for_dependencies: bool,
    taken: Taken,
}

/// What an insertion took from its update.
#[derive(Debug)]
struct Taken {
    /// What was missing, in the order of the update if that is in order.
    fresh: Vec<(ClientId, ClockRange)>,
    /// What of it says by itself that it is deleted.
    erased: Vec<(ClientId, ClockRange)>,
    /// Nothing in the update was known before.
    complete: bool,
    /// Clients that got something which does not follow on what was there.
    detached: Vec<ClientId>,
    /// Dependencies that were not there when asked for.
    unresolved: Vec<Id>,
}

impl<'r> Inserter<'r> {
    fn new(replica: &'r mut Replica) -> Self {
        let taken = Taken {
            fresh: Vec::new(),
            erased: Vec::new(),
            complete: true,
            detached: Vec::new(),
            unresolved: Vec::new(),
        };
        Self { replica, position: Position::Unknown, asks_for_dependencies: true, taken }
    }

    fn fill(replica: &mut Replica, update: &Update) {
        let mut inserter = Inserter::new(replica);
        inserter.asks_for_dependencies = false;
        update.for_each_struct_in_order(|client, clock, next| inserter.insert(client, clock, &next));
        inserter.finish();
    }

    fn finish(mut self) -> Taken {
        self.leave();
        self.taken
    }

    /// Inserts the structs of a block, without asking for dependencies. Where it goes on at the end of what there is of its client, as
    /// nearly always when a document is loaded, runs of structs are taken as they are: in the memory of their update, if that is given.
    fn insert_block<'a>(&mut self, structs: &mut BlockStructs<'a>, source: Option<&'a Bytes>) {
        let client = structs.client;
        if matches!(self.look(client, structs.clock()), Found::Missing(Clock::MAX)) {
            let Position::Missing { splice, .. } = &mut self.position else { return };
            let Replica { chunks, deletes, .. } = &mut *self.replica;
            let mut deleted = deletes.ranges_from(client, splice.at());
            let mut run = Run::of(source);
            let mut left = None;
            for found in structs.by_ref() {
                let InBlock { clock, next, .. } = found;
                if next.len == 0 || next.body == Body::Skip {
                    // What stands behind it is looked for anew.
                    left = Some((clock, next));
                    break;
                }
                let range = ClockRange { start: clock, end: clock + next.len };
                while let [first, rest @ ..] = deleted
                    && first.end <= clock
                {
                    deleted = rest;
                }
                let is_deleted = next.is_deleted();
                if is_deleted {
                    extend(&mut self.taken.erased, client, range);
                }
                let is_cut = !is_deleted && deleted.first().is_some_and(|first| first.start < range.end);
                if is_cut || !splice.extend_run(chunks, &mut run, &found) {
                    splice.append(chunks, &mut run);
                    splice.push_cut(chunks, &next, if is_cut { deleted } else { &[] });
                }
            }
            splice.append(chunks, &mut run);
            if let Some((clock, next)) = left {
                self.insert(client, clock, &next);
            }
        }
        for InBlock { clock, next, .. } in structs {
            self.insert(client, clock, &next);
        }
    }

    fn insert(&mut self, client: ClientId, clock: Clock, next: &Struct<'_>) {
        if next.len == 0 {
            self.taken.complete = false;
            return;
        }
        if next.body == Body::Skip {
            return;
        }
        let mut at = Id { client, clock };
        let end = clock + next.len;
        let mut rest = *next;
        loop {
            let (until, missing) = match self.look(client, at.clock) {
                Found::Held(until) => (until, false),
                Found::Missing(until) => (until, true),
            };
            self.taken.complete &= missing;
            let from = at.clock;
            let is_last = until >= end;
            let piece = if is_last { rest } else { rest.split_front(&mut at, until - from) };
            if missing {
                self.take(client, from, &piece);
            }
            if is_last {
                return;
            }
        }
    }

    /// Finds out what is there at this clock.
    fn look(&mut self, client: ClientId, at: Clock) -> Found {
        match &self.position {
            Position::Held { client: here, from, until }
                if *here == client && (*from..*until).contains(&at) =>
            {
                return Found::Held(*until);
            }
            Position::Missing { client: here, splice, until }
                if *here == client && splice.at() == at && at < *until =>
            {
                return Found::Missing(*until);
            }
            Position::Unknown | Position::Held { .. } | Position::Missing { .. } => self.leave(),
        }
        let chunks = &mut self.replica.chunks;
        let before = chunks.range((client, 0)..=(client, at)).next_back().map_or(0, |(_, chunk)| chunk.end);
        if at < before {
            self.position = Position::Held { client, from: at, until: before };
            return Found::Held(before);
        }
        if before < at && self.taken.detached.last() != Some(&client) {
            self.taken.detached.push(client);
        }
        let after = chunks.range((client, at)..=(client, Clock::MAX)).next();
        let until = after.map_or(Clock::MAX, |(key, _)| key.1);
        self.position = Position::Missing { splice: Splice::open(chunks, client, at), client, until };
        Found::Missing(until)
    }

    /// Takes a struct into the gap where [`Self::look`] has just found it missing.
    fn take(&mut self, client: ClientId, at: Clock, piece: &Struct<'_>) {
        let range = ClockRange { start: at, end: at + piece.len };
        extend(&mut self.taken.fresh, client, range);
        if piece.is_deleted() {
            extend(&mut self.taken.erased, client, range);
        }
        if self.asks_for_dependencies {
            self.note_dependencies(client, at, piece);
        }
        let replica = &mut *self.replica;
        if let Position::Missing { splice, .. } = &mut self.position {
            splice.push_cut(&mut replica.chunks, piece, replica.deletes.ranges_from(client, at));
        }
    }

    fn note_dependencies(&mut self, client: ClientId, at: Clock, piece: &Struct<'_>) {
        let Body::Item(item) = &piece.body else { return };
        for id in item.place.dependencies().into_iter().flatten() {
            let here = id.client == client
                && matches!(&self.position, Position::Missing { splice, .. } if splice.holds(id.clock));
            // What should stand directly before it is there, or the gap in the client's clocks tells.
            let before = id.client == client && id.clock + 1 == at;
            if !here && !before && self.taken.unresolved.len() < UNRESOLVED && !self.replica.holds(id) {
                self.taken.unresolved.push(id);
            }
        }
    }

    fn leave(&mut self) {
        if let Position::Missing { splice, .. } = std::mem::replace(&mut self.position, Position::Unknown) {
            splice.close(&mut self.replica.chunks);
        }
    }
}

/// Adds a range, to the last one if it follows on that.
fn extend(ranges: &mut Vec<(ClientId, ClockRange)>, client: ClientId, range: ClockRange) {
    match ranges.last_mut() {
        Some((last, known)) if *last == client && known.end == range.start => known.end = range.end,
        _ => ranges.push((client, range)),
    }
}

/// What is there from a clock on, and up to where.
enum Found {
    Held(Clock),
    Missing(Clock),
}

fn is_one_range_a_client(fresh: &[(ClientId, ClockRange)]) -> bool {
    fresh.windows(2).all(|pair| matches!(pair, [(one, _), (other, _)] if one != other))
}

/// The part of an update in these ranges, one a client in the order of the update, with these deletes.
fn select(update: &Update, fresh: &[(ClientId, ClockRange)], deletes: &IdSet) -> Update {
    let mut writer = UpdateWriter::with_capacity(update.bytes().len());
    let mut wanted = fresh.iter().peekable();
    let mut structs = 0;
    let mut body = Vec::new();
    update.for_each_struct(|client, clock, next| {
        let Some((_, range)) = wanted.peek().filter(|(of, _)| *of == client) else { return };
        let end = clock + next.len;
        let (from, to) = (range.start.max(clock), range.end.min(end));
        if from < to {
            next.slice(Id { client, clock }, from - clock, to - clock).write(&mut body);
            structs += 1;
        }
        if range.end <= end {
            writer.client(structs, client, range.start).append(&mut body);
            structs = 0;
            wanted.next();
        }
    });
    writer.finish(deletes)
}
