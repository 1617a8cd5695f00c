//! What a session has sent and what has not been stored is kept out of what it is sent: getting its edit back in
//! whatever message tells a client that it is stored. So are deletions that others have brought in answers, since they may be
//! its own of an earlier connection. (Insertions of its own it does not ask for.)

use super::Room;
use crate::id::{ClientId, Clock, Id, SessionId};
use crate::update::id_set::{ClockRange, IdSet};
use crate::update::structs::{Body, Struct};
use crate::update::{Update, UpdateWriter};

impl Room {
    /// What is kept out of what this session is sent.
    pub(super) fn unstored_for(&self, session: SessionId) -> Unstored {
        let own = self.confirmations.waiting_for(session).chain(self.batch.of(session));
        let brought =
            self.confirmations.held_from_others(session).chain(self.batch.answers_of_others(session));
        Unstored { own: own.cloned().collect(), brought: brought.cloned().collect() }
    }
}

/// What has not been stored and is kept out of what a session is sent.
pub(super) struct Unstored {
    /// What it has sent itself.
    own: Vec<Update>,
    /// Of this, only the deletions.
    brought: Vec<Update>,
}

impl Unstored {
    /// The update without all that.
    pub(super) fn left_out_of(&self, update: Update) -> Update {
        if self.own.is_empty() && self.brought.is_empty() {
            update
        } else {
            without(&update, &self.own, &self.brought)
        }
    }
}

/// An update, whose clients stand in one block each, without what `own` holds and without what `brought` deletes.
fn without(update: &Update, own: &[Update], brought: &[Update]) -> Update {
    let inserts = IdSet::collect(|add| {
        for update in own {
            update.for_each_struct(|client, clock, next| {
                if next.body != Body::Skip {
                    add(client, ClockRange { start: clock, end: clock + next.len });
                }
            });
        }
    });
    let deletes = IdSet::collect(|add| {
        own.iter().chain(brought).for_each(|update| update.for_each_delete(&mut *add));
    });
    let mut writer = UpdateWriter::with_capacity(update.bytes().len());
    let mut block = Block::default();
    update.for_each_struct(|client, clock, next| {
        if block.client != Some(client) {
            std::mem::take(&mut block).write(&mut writer);
            block.client = Some(client);
        }
        let (mut at, end) = (clock, clock + next.len);
        for held in inserts.ranges_from(client, clock).iter().take_while(|held| held.start < end) {
            block.push(client, clock, &next, at, held.start.max(at));
            at = held.end.min(end);
        }
        block.push(client, clock, &next, at, end);
    });
    block.write(&mut writer);
    writer.finish(&update.deletes().without(&deletes))
}

/// The structs of one client that are kept.
#[derive(Default)]
struct Block {
    client: Option<ClientId>,
    start: Clock,
    end: Clock,
    count: u64,
    body: Vec<u8>,
}

impl Block {
    /// Takes the clocks from `from` up to `to` of a struct that begins at `clock`.
    fn push(&mut self, client: ClientId, clock: Clock, whole: &Struct<'_>, from: Clock, to: Clock) {
        if from >= to || whole.body == Body::Skip {
            return;
        }
        if self.count == 0 {
            self.start = from;
        } else if self.end < from {
            Struct::skip(from - self.end).write(&mut self.body);
            self.count += 1;
        }
        whole.slice(Id { client, clock }, from - clock, to - clock).write(&mut self.body);
        self.count += 1;
        self.end = to;
    }

    fn write(mut self, writer: &mut UpdateWriter) {
        if let Some(client) = self.client.filter(|_| self.count > 0) {
            writer.client(self.count, client, self.start).append(&mut self.body);
        }
    }
}
