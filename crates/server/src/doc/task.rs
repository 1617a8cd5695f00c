//! One task drives one document through its [life](super::lifecycle): it loads a room, serves it, makes everything
//! durable, and ends.
//!
//! The task is the only owner of the room, so there is no lock around a document. What it does between two awaits is a
//! [batch](super::batch); this file says when batches run and what follows from them.

mod deletion;

use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use quire_sync_protocol::Room;
use tokio::sync::watch;

use super::batch::{Batch, Desk};
use super::counters::Counters;
use super::directory::Place;
use super::error::{CloseReason, JoinError, OpenError};
use super::lifecycle::{Event, Failure, Life, Phase};
use super::mailbox::{Command, Mailbox};
use super::queue::Receiver;
use super::readiness::Loading;
use crate::heavy;
use crate::seldom::{Rare, Seldom};
use crate::shards::Shard;
use crate::store::reader::LoadError;

/// Drives one document.
#[derive(Debug)]
pub(crate) struct Task {
    place: Place,
    commands: Receiver<Command>,
    loading: Loading,
    draining: watch::Receiver<bool>,
    pressure: watch::Receiver<bool>,
    /// Somebody wanted it when it was about to make room: it waits for that.
    was_kept: bool,
    life: Life,
    desk: Desk,
}

impl Task {
    pub(crate) fn new(
        place: Place,
        mailbox: Mailbox,
        commands: Receiver<Command>,
        loading: Loading,
        shard: Shard,
    ) -> Self {
        let draining = place.shared.draining.subscribe();
        let pressure = place.shared.memory.pressure();
        let life = Life::new(place.shared.config.idle_unload);
        let desk = Desk::new(&place.shared, &place.doc, mailbox, shard);
        Self { place, commands, loading, draining, pressure, was_kept: false, life, desk }
    }

    /// Runs to the end of the document's life.
    #[expect(
        clippy::manual_async_fn,
        reason = "the future of an async function has room for its arguments twice"
    )]
    pub(crate) fn run(mut self) -> impl Future<Output = ()> + Send {
        async move {
            while self.life.phase == Phase::Loading {
                // In boxes, as all that is done at times only: their room would be part of the task for as long as it lives.
                if let Some(room) = Box::pin(self.load()).await {
                    self.serve(room).await;
                }
                self.end_sessions();
                Box::pin(self.settle()).await;
            }
            self.place.remove();
            self.turn_all_away();
        }
    }

    /// Loads the room, unless the server goes down meanwhile.
    async fn load(&mut self) -> Option<Box<Room>> {
        let draining = self.draining.clone();
        if let Some(member) = self.desk.member() {
            tokio::select! {
                () = member.enter() => {}
                // Seen again below.
                () = going_down(draining) => {}
            }
        }
        let config = Arc::clone(&self.place.shared.room);
        let load = self.place.shared.reader.load(self.place.doc.clone(), move |content| {
            // In a box: it is handed on, and each place on its way would have room for it for as long as the task lives.
            let mut room = Box::new(Room::new(config));
            room.load_dead(content.dead);
            room.load_replica(content.replica, content.whole);
            let seq = content.exists.then_some(content.seq);
            (room, content.epoch, seq, content.bytes, content.updates)
        });
        let outcome = tokio::select! {
            outcome = load => outcome,
            () = going_down(self.draining.clone()) => {
                self.loading.has_failed(OpenError::Draining);
                self.advance(Event::Drain);
                return None;
            }
        };
        let doc = &self.place.doc;
        match outcome {
            Ok((room, epoch, seq, bytes, updates)) => {
                Counters::add(&self.place.shared.counters.loads, 1);
                tracing::debug!(%doc, %epoch, ?seq, bytes, updates, "loaded");
                self.desk.restart(epoch, seq, bytes, updates);
                self.loading.is_ready();
                self.advance(Event::Loaded);
                Some(room)
            }
            Err(error) => {
                Counters::add(&self.place.shared.counters.load_failures, 1);
                if error == LoadError::Deleted {
                    tracing::debug!(%doc, "a deleted document was asked for");
                } else {
                    tracing::error!(%doc, ?error, "a document could not be loaded");
                }
                let error = OpenError::from(error);
                // Removed first: whoever hears of the failure and asks again gets another load.
                self.place.remove();
                self.loading.has_failed(error.clone());
                self.advance(Event::LoadFailed(error));
                None
            }
        }
    }

    /// Runs batches until the document retires, fails or the server goes down.
    async fn serve(&mut self, mut room: Box<Room>) {
        let mut timeout = None;
        let mut stop = Seldom::new(going_down(self.draining.clone()));
        while matches!(self.life.phase, Phase::Active | Phase::Idle { .. } | Phase::Retiring) {
            let due = earliest([timeout, self.idle_until(), self.desk.due()]).map(Into::into);
            let mut pressed = self.may_make_room().then(|| Box::pin(pressed(&mut self.pressure)));
            let (desk, commands) = (&mut self.desk, &mut self.commands);
            let wake = poll_fn(|cx| {
                let rare = stop.poll_until(cx, due);
                if let Poll::Ready(Rare::Happened(())) = rare {
                    return Poll::Ready(Wake::GoingDown);
                }
                if let Poll::Ready(batch) = desk.poll_batch(cx, commands) {
                    return Poll::Ready(Wake::Batch(batch));
                }
                if rare.is_ready()
                    || pressed.as_mut().is_some_and(|pressed| pressed.as_mut().poll(cx).is_ready())
                {
                    return Poll::Ready(Wake::Due);
                }
                Poll::Pending
            })
            .await;
            drop(pressed);
            let batch = match wake {
                Wake::Batch(batch) => batch,
                Wake::Due => Batch::default(),
                Wake::GoingDown => {
                    self.take_the_rest(&mut room);
                    self.advance(Event::Drain);
                    return;
                }
            };
            let Ok(wanted) = self.run_batch(&mut room, batch) else {
                self.advance(Event::Panicked);
                return;
            };
            timeout = wanted;
            if self.desk.is_outdated() {
                tracing::error!(doc = %self.place.doc, "the stored document has another history by now, its editors are turned away");
                self.advance(Event::Outdated);
                return;
            }
            if self.desk.is_deleted_elsewhere() {
                tracing::info!(doc = %self.place.doc, "deleted by another server, its editors are turned away");
                self.advance(Event::Deleted);
                return;
            }
            if self.desk.is_to_be_deleted() {
                if let Err(error) = Box::pin(self.delete(&mut room)).await {
                    self.desk.answer_deletions(&Err(error));
                }
                continue;
            }
            if !self.commands.is_empty() {
                // Taking what waits needs no await, so that a busy document would never let others run.
                tokio::task::yield_now().await;
            }
            let is_vacant = self.desk.is_vacant();
            // Most of the time neither means anything.
            if is_vacant || self.life.phase != Phase::Active {
                self.advance(if is_vacant { Event::Vacant } else { Event::Occupied });
                self.advance(Event::Tick);
            }
            self.was_kept &= self.life.phase != Phase::Active;
            if self.may_make_room() && *self.pressure.borrow() {
                self.advance(Event::Pressed);
            }
            if self.life.phase == Phase::Retiring && self.desk.is_settled() {
                let Self { place, desk, commands, .. } = self;
                if place.release(|| commands.is_empty() && !desk.has_aside()) {
                    desk.retire();
                    self.advance(Event::Released);
                } else {
                    self.was_kept = true;
                    self.advance(Event::Wanted);
                }
            }
        }
    }

    /// Runs one batch and returns when the room wants to be called again.
    fn run_batch(&mut self, room: &mut Room, batch: Batch) -> Result<Option<Instant>, Panicked> {
        let now = now();
        let weight = self.desk.weight(&batch);
        let work = || {
            // A room that panicked is never used again, and the desk's own state does not depend on it.
            panic::catch_unwind(AssertUnwindSafe(|| {
                self.desk.process(room, batch, now);
                room.poll_timeout()
            }))
        };
        heavy::work_on(weight, work).map_err(|_| {
            Counters::add(&self.place.shared.counters.panics, 1);
            tracing::error!(doc = %self.place.doc, "a room met an internal error and is thrown away");
            Panicked
        })
    }

    /// Before the sessions end because the server goes down: what they have delivered is taken.
    fn take_the_rest(&mut self, room: &mut Room) {
        // Not what comes in meanwhile, or this might never end.
        let mut left = self.commands.len();
        while left > 0 {
            let batch = self.desk.waiting_batch(&mut self.commands);
            left = if batch.len() == 0 { 0 } else { left.saturating_sub(batch.len()) };
            if self.run_batch(room, batch).is_err() {
                return;
            }
        }
    }

    /// At the end: nobody is left to wait for an answer.
    fn turn_all_away(&mut self) {
        let reason = match (&self.life.phase, *self.draining.borrow()) {
            (Phase::Failed(Failure::Quarantined), _) => JoinError::Quarantined,
            (Phase::Deleted, _) => JoinError::Deleted,
            (_, true) => JoinError::Draining,
            (_, false) => JoinError::Rebuilding,
        };
        if self.life.phase == Phase::Deleted {
            self.desk.answer_deletions(&Ok(()));
        }
        self.commands.close();
        while let Some(command) = self.desk.take_aside().or_else(|| self.commands.try_recv()) {
            self.desk.turn_away(command, reason);
        }
    }

    /// Ends the sessions of a room that is no more, with a reason that tells their clients what to do.
    fn end_sessions(&mut self) {
        let doc = &self.place.doc;
        let reason = match &self.life.phase {
            Phase::Draining => CloseReason::Restart,
            Phase::Deleted => CloseReason::Deleted,
            Phase::Outdated => CloseReason::DeadEpoch,
            Phase::Failed(Failure::Quarantined) => {
                tracing::error!(%doc, "a second internal error: the document is quarantined, its log stays as it is");
                self.place.quarantine();
                CloseReason::Quarantined
            }
            // In the last three there are none.
            Phase::Rebuilding
            | Phase::Loading
            | Phase::Active
            | Phase::Idle { .. }
            | Phase::Retiring
            | Phase::Failed(Failure::Load(_))
            | Phase::Gone => CloseReason::Rebuilding,
        };
        self.desk.end_sessions(reason);
    }

    /// Waits, without a room, until everything is durable. Who wants to join a document that is being rebuilt waits;
    /// others are turned away.
    async fn settle(&mut self) {
        while !self.desk.is_settled() {
            let command = tokio::select! {
                command = self.commands.recv() => command,
                () = going_down(self.draining.clone()), if self.is_to_be_loaded_again() => {
                    self.advance(Event::Drain);
                    continue;
                }
            };
            match (&self.life.phase, command) {
                (Phase::Rebuilding | Phase::Outdated, command) => self.desk.defer(command),
                (Phase::Failed(Failure::Quarantined), command) => {
                    self.desk.turn_away(command, JoinError::Quarantined);
                }
                (_, command) => self.desk.turn_away(command, JoinError::Draining),
            }
        }
        self.advance(Event::Settled);
    }

    fn advance(&mut self, event: Event) {
        let before = self.life.phase.clone();
        self.life = self.life.clone().on(event, now());
        if std::mem::discriminant(&before) != std::mem::discriminant(&self.life.phase) {
            tracing::debug!(doc = %self.place.doc, from = ?before, to = ?self.life.phase, "document");
        }
    }

    fn may_make_room(&self) -> bool {
        matches!(self.life.phase, Phase::Idle { .. }) && !self.was_kept
    }

    fn is_to_be_loaded_again(&self) -> bool {
        matches!(self.life.phase, Phase::Rebuilding | Phase::Outdated)
    }

    fn idle_until(&self) -> Option<Instant> {
        if let Phase::Idle { until } = self.life.phase { Some(until) } else { None }
    }
}

/// Why a serving task wakes up.
#[derive(Debug)]
enum Wake {
    /// There are commands.
    Batch(Batch),
    /// A timer of the room, of the document's life or of compaction is due.
    Due,
    /// The server goes down.
    GoingDown,
}

/// The room met an error of ours.
#[derive(Debug)]
struct Panicked;

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn earliest(times: [Option<Instant>; 3]) -> Option<Instant> {
    times.into_iter().flatten().min()
}

/// Waits until the server goes down. Cancel safe.
async fn going_down(mut draining: watch::Receiver<bool>) {
    // An error would mean that the directory is gone, which this task holds.
    let _ = draining.wait_for(|draining| *draining).await;
}

/// Waits until others need room. Cancel safe.
async fn pressed(pressure: &mut watch::Receiver<bool>) {
    // An error would mean that the directory is gone, which this task holds.
    let _ = pressure.wait_for(|pressed| *pressed).await;
}
