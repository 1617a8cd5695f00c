//! Presence under virtual time: who owns an id, what leaves, who is asked.

#[path = "../../tests/support/rng.rs"]
pub(crate) mod rng;
mod simulation;
mod tab;
mod vector;

use super::*;

/// An entry as it goes out: client id, clock, state.
type Entry = (u64, u64, Option<String>);

/// A presence, the people who speak to it, and a clock that starts at 0.
struct Stage {
    presence: Presence,
    start: Instant,
}

impl Stage {
    fn new() -> Self {
        Self::with(16, 100)
    }

    fn with(per_session: usize, per_room: usize) -> Self {
        let (timeout, takeover) = (Duration::from_secs(30), Duration::from_secs(2));
        let config = PresenceConfig { timeout, takeover, per_session, per_room };
        Self { presence: Presence::new(config), start: Instant::now() }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    /// An entry of this session, at this second.
    fn say(&mut self, who: &Owner, client: u64, clock: u64, state: Option<&str>, seconds: u64) -> Verdict {
        let entry = AwarenessEntry { client: id(client), clock, state };
        let now = self.at(seconds);
        self.presence.apply(who, &entry, now)
    }

    fn leave(&mut self, who: &Owner, seconds: u64) {
        let now = self.at(seconds);
        let Origin::Session(session) = who.origin else { panic!("a node does not leave") };
        self.presence.leave(session, now);
    }

    fn expire(&mut self, seconds: u64) {
        let now = self.at(seconds);
        self.presence.expire(now);
    }

    /// What goes out, and the session that need not hear of it.
    fn changes(&mut self) -> Option<(Vec<Entry>, Option<u64>)> {
        let (update, except) = self.presence.take_changes()?;
        Some((entries(&update), except.map(|session| session.0)))
    }

    /// Which session is asked for which id, with which clock. Every question is one removal.
    fn questions(&mut self) -> Vec<(u64, u64, u64)> {
        let questions = self.presence.take_questions().here;
        let of = |(session, update): (SessionId, AwarenessUpdate)| match entries(&update).as_slice() {
            [(client, clock, None)] => (session.0, *client, *clock),
            other => panic!("a question is one removal, not {other:?}"),
        };
        questions.into_iter().map(of).collect()
    }

    fn everybody(&self) -> Vec<Entry> {
        self.presence.everybody().as_ref().map(entries).unwrap_or_default()
    }

    /// What has happened so far is of no interest.
    fn forget(&mut self) {
        self.changes();
        self.questions();
    }
}

fn id(value: u64) -> ClientId {
    ClientId::new(value).unwrap()
}

fn entries(update: &AwarenessUpdate) -> Vec<Entry> {
    update.entries().map(|entry| (entry.client.value(), entry.clock, entry.state.map(String::from))).collect()
}

fn entry(client: u64, clock: u64, state: &str) -> Entry {
    (client, clock, Some(state.into()))
}

fn gone(client: u64, clock: u64) -> Entry {
    (client, clock, None)
}

fn unknown(session: u64) -> Owner {
    Owner { origin: Origin::Session(SessionId(session)), identity: None }
}

fn known(session: u64, name: &str) -> Owner {
    Owner { origin: Origin::Session(SessionId(session)), identity: Some(name.into()) }
}

#[test]
fn a_first_state_with_clock_0_is_ignored() {
    let mut stage = Stage::new();
    assert_eq!(stage.say(&unknown(1), 7, 0, Some("{}"), 0), Verdict::Ignored);
    assert_eq!(stage.say(&unknown(1), 7, 0, None, 0), Verdict::Ignored);
    assert_eq!(stage.say(&unknown(1), 7, 3, None, 0), Verdict::Ignored);
    assert_eq!((stage.changes(), stage.questions(), stage.everybody()), (None, vec![], vec![]));
    assert_eq!(stage.presence.deadline_next(), None);
}

#[test]
fn the_first_state_is_asked_for_again_once_and_of_its_bringer_alone() {
    let mut stage = Stage::new();
    let ann = unknown(1);
    assert_eq!(stage.say(&ann, 7, 4, Some("1"), 0), Verdict::Taken);
    assert_eq!(stage.changes(), Some((vec![entry(7, 4, "1")], Some(1))));
    assert_eq!(stage.questions(), [(1, 7, 4)]);
    // Its answer, and all that follows, is taken without a question.
    for clock in 5..8 {
        assert_eq!(stage.say(&ann, 7, clock, Some("1"), clock), Verdict::Taken);
        assert_eq!(stage.changes(), Some((vec![entry(7, clock, "1")], Some(1))));
        assert_eq!(stage.questions(), []);
    }
    assert_eq!(stage.everybody(), [entry(7, 7, "1")]);
}

#[test]
fn a_client_that_returns_with_an_old_clock_is_asked_and_nobody_else_bothered() {
    let mut stage = Stage::new();
    stage.say(&unknown(1), 7, 4, Some("1"), 0);
    stage.say(&unknown(1), 7, 5, Some("1"), 0);
    stage.forget();
    stage.leave(&unknown(1), 1);
    assert_eq!(stage.changes(), Some((vec![gone(7, 5)], None)));
    // It comes back on another session with the clock it had, or less.
    for clock in [5, 3, 0] {
        assert_eq!(stage.say(&unknown(2), 7, clock, Some("1"), 2), Verdict::Ignored);
        assert_eq!((stage.changes(), stage.questions()), (None, vec![(2, 7, 5)]), "clock {clock}");
    }
    // The answer is newer than what its peers hold as its removal.
    assert_eq!(stage.say(&unknown(2), 7, 6, Some("1"), 2), Verdict::Taken);
    assert_eq!(stage.changes(), Some((vec![entry(7, 6, "1")], Some(2))));
}

#[test]
fn echoes_and_removals_by_others_change_nothing_and_take_nothing() {
    let mut stage = Stage::new();
    let others = [unknown(2), known(3, "ann"), known(4, "bob")];
    for ann in [unknown(1), known(1, "ann")] {
        stage.say(&ann, 7, 4, Some("1"), 0);
        stage.say(&ann, 7, 5, Some("1"), 0);
        stage.forget();
        for other in &others {
            for (clock, state) in
                [(5, Some("1")), (4, Some("1")), (0, Some("{}")), (5, None), (4, None), (9, None)]
            {
                assert_eq!(stage.say(other, 7, clock, state, 1), Verdict::Ignored);
            }
            stage.leave(other, 1);
        }
        assert_eq!((stage.changes(), stage.questions()), (None, vec![]));
        assert_eq!(stage.everybody(), [entry(7, 5, "1")]);
        // It is still hers to remove.
        stage.leave(&ann, 2);
        assert_eq!(stage.changes(), Some((vec![gone(7, 5)], None)));
        stage.expire(100);
    }
}

#[test]
fn the_owner_removes_itself_and_comes_back() {
    let mut stage = Stage::new();
    let ann = unknown(1);
    stage.say(&ann, 7, 4, Some("1"), 0);
    stage.forget();
    // With the same clock, as a provider that disconnects; with the next, as an application does.
    assert_eq!(stage.say(&ann, 7, 4, None, 1), Verdict::Taken);
    assert_eq!(stage.changes(), Some((vec![gone(7, 4)], Some(1))));
    assert_eq!(stage.say(&ann, 7, 5, Some("2"), 2), Verdict::Taken);
    stage.forget();
    assert_eq!(stage.say(&ann, 7, 3, None, 2), Verdict::Ignored);
    assert_eq!(stage.say(&ann, 7, 6, None, 3), Verdict::Taken);
    assert_eq!(stage.changes(), Some((vec![gone(7, 6)], Some(1))));
    assert_eq!((stage.everybody(), stage.questions()), (vec![], vec![]));
}

#[test]
fn one_person_takes_over_at_once_and_no_other_ever() {
    let outcomes = [
        (known(1, "ann"), known(2, "ann"), Verdict::Taken),
        (known(1, "ann"), known(2, "bob"), Verdict::Refused),
        (known(1, "ann"), unknown(2), Verdict::Refused),
        (unknown(1), known(2, "ann"), Verdict::Refused),
    ];
    for (owner, claimant, outcome) in outcomes {
        let mut stage = Stage::new();
        stage.say(&owner, 7, 4, Some("1"), 0);
        stage.forget();
        assert_eq!(stage.say(&claimant, 7, 5, Some("2"), 1), outcome, "{claimant:?} after {owner:?}");
        if outcome == Verdict::Taken {
            assert_eq!(stage.changes(), Some((vec![entry(7, 5, "2")], Some(2))));
            assert_eq!(stage.questions(), [(2, 7, 5)]);
            stage.leave(&owner, 2);
            assert_eq!(stage.changes(), None);
        } else {
            assert_eq!((stage.changes(), stage.questions()), (None, vec![]));
            stage.leave(&claimant, 2);
            assert_eq!(stage.everybody(), [entry(7, 4, "1")]);
            stage.leave(&owner, 3);
        }
        assert_eq!(stage.everybody().is_empty(), outcome == Verdict::Refused);
    }
}

/// How a contest between two sessions of which nobody is known ends.
#[test]
fn a_contested_id_is_the_owners_if_it_answers_and_else_the_claimants() {
    let contested = || {
        let mut stage = Stage::new();
        stage.say(&unknown(1), 7, 4, Some("1"), 0);
        stage.forget();
        assert_eq!(stage.say(&unknown(2), 7, 6, Some("2"), 10), Verdict::Taken);
        // Only the owner hears of it.
        assert_eq!((stage.changes(), stage.questions()), (None, vec![(1, 7, 4)]));
        assert_eq!(stage.presence.deadline_next(), Some(stage.at(12)));
        stage
    };

    let mut answers = contested();
    assert_eq!(answers.say(&unknown(1), 7, 5, Some("1"), 11), Verdict::Taken);
    answers.expire(13);
    assert_eq!((answers.everybody(), answers.questions()), (vec![entry(7, 5, "1")], vec![]));
    answers.leave(&unknown(2), 14);
    assert_eq!(answers.everybody(), [entry(7, 5, "1")]);

    let mut silent = contested();
    silent.expire(11);
    assert_eq!(silent.everybody(), [entry(7, 4, "1")]);
    silent.expire(12);
    assert_eq!(silent.changes(), Some((vec![entry(7, 6, "2")], Some(2))));
    assert_eq!(silent.questions(), [(2, 7, 6)]);
    silent.leave(&unknown(1), 13);
    assert_eq!(silent.everybody(), [entry(7, 6, "2")]);

    let mut leaves = contested();
    leaves.leave(&unknown(1), 11);
    assert_eq!(leaves.changes(), Some((vec![entry(7, 6, "2")], Some(2))));
    assert_eq!(leaves.questions(), [(2, 7, 6)]);

    let mut removes_itself = contested();
    assert_eq!(removes_itself.say(&unknown(1), 7, 4, None, 11), Verdict::Taken);
    assert_eq!(removes_itself.changes(), Some((vec![entry(7, 6, "2")], Some(2))));

    let mut claimant_leaves = contested();
    claimant_leaves.leave(&unknown(2), 11);
    claimant_leaves.expire(13);
    assert_eq!((claimant_leaves.changes(), claimant_leaves.everybody()), (None, vec![entry(7, 4, "1")]));
    claimant_leaves.leave(&unknown(1), 14);
    assert_eq!(claimant_leaves.changes(), Some((vec![gone(7, 4)], None)));

    // A claim is renewed; of several claimants the one with the newest state counts. The owner is not asked again, nor
    // has it longer.
    let mut again = contested();
    assert_eq!(again.say(&unknown(2), 7, 7, Some("3"), 11), Verdict::Taken);
    assert_eq!(again.say(&unknown(3), 7, 7, Some("4"), 11), Verdict::Ignored);
    assert_eq!(again.say(&unknown(3), 7, 9, Some("4"), 11), Verdict::Taken);
    assert_eq!(again.say(&unknown(2), 7, 8, Some("3"), 11), Verdict::Ignored);
    assert_eq!((again.changes(), again.questions()), (None, vec![]));
    again.leave(&unknown(2), 11);
    again.expire(12);
    assert_eq!(again.everybody(), [entry(7, 9, "4")]);
}

#[test]
fn the_end_of_an_old_socket_never_hides_a_living_person() {
    for (old, new) in [(unknown(1), unknown(2)), (known(1, "ann"), known(2, "ann"))] {
        // The new session comes with the clock as it was: no claim yet. Then the old socket ends.
        let mut stage = Stage::new();
        stage.say(&old, 7, 4, Some("1"), 0);
        stage.forget();
        assert_eq!(stage.say(&new, 7, 4, Some("1"), 5), Verdict::Ignored);
        stage.leave(&old, 6);
        // Everybody hears of the removal, so the living client too; it answers.
        assert_eq!(stage.changes(), Some((vec![gone(7, 4)], None)));
        assert_eq!(stage.say(&new, 7, 5, Some("1"), 6), Verdict::Taken);
        assert_eq!(stage.changes(), Some((vec![entry(7, 5, "1")], Some(2))));

        // The old socket ends only after a renewal over the new one.
        let mut stage = Stage::new();
        stage.say(&old, 7, 4, Some("1"), 0);
        stage.say(&new, 7, 5, Some("1"), 15);
        stage.expire(17);
        stage.forget();
        stage.leave(&old, 20);
        assert_eq!((stage.changes(), stage.everybody()), (None, vec![entry(7, 5, "1")]));
    }
}

#[test]
fn the_end_of_a_session_removes_only_what_it_owns() {
    let mut stage = Stage::new();
    stage.say(&unknown(1), 7, 4, Some("1"), 0);
    stage.say(&unknown(1), 8, 1, Some("2"), 0);
    stage.say(&unknown(2), 9, 1, Some("3"), 0);
    stage.say(&unknown(1), 9, 1, Some("3"), 0);
    stage.forget();
    stage.leave(&unknown(1), 1);
    assert_eq!(stage.changes(), Some((vec![gone(7, 4), gone(8, 1)], None)));
    assert_eq!(stage.everybody(), [entry(9, 1, "3")]);
    stage.leave(&unknown(1), 2);
    stage.leave(&unknown(5), 2);
    assert_eq!(stage.changes(), None);
}

#[test]
fn what_is_not_renewed_is_removed_after_30_seconds() {
    let mut stage = Stage::new();
    stage.say(&unknown(1), 7, 4, Some("1"), 0);
    stage.say(&unknown(2), 8, 1, Some("2"), 0);
    stage.say(&unknown(2), 8, 2, Some("2"), 15);
    stage.forget();
    assert_eq!(stage.presence.deadline_next(), Some(stage.at(30)));
    stage.expire(29);
    assert_eq!(stage.changes(), None);
    // The same state once more is no renewal, neither by its owner nor by others.
    stage.say(&unknown(1), 7, 4, Some("1"), 29);
    stage.say(&unknown(2), 7, 4, Some("1"), 29);
    stage.expire(30);
    assert_eq!(stage.changes(), Some((vec![gone(7, 4)], None)));
    assert_eq!(stage.everybody(), [entry(8, 2, "2")]);
    stage.expire(45);
    assert_eq!(stage.changes(), Some((vec![gone(8, 2)], None)));
    // The clocks of the departed are kept as long again, then forgotten.
    assert_eq!(stage.presence.deadline_next(), Some(stage.at(60)));
    stage.expire(60);
    assert_eq!(stage.say(&unknown(3), 7, 1, Some("1"), 60), Verdict::Taken);
    stage.forget();
    stage.expire(75);
    assert_eq!((stage.changes(), stage.presence.deadline_next()), (None, Some(stage.at(90))));
}

#[test]
fn a_session_owns_no_more_ids_than_its_limit() {
    let mut stage = Stage::with(2, 100);
    assert_eq!(stage.say(&unknown(1), 1, 1, Some("1"), 0), Verdict::Taken);
    assert_eq!(stage.say(&unknown(1), 2, 1, Some("1"), 0), Verdict::Taken);
    assert_eq!(stage.say(&unknown(1), 3, 1, Some("1"), 0), Verdict::Refused);
    assert_eq!(stage.say(&unknown(2), 3, 1, Some("1"), 0), Verdict::Taken);
    // Nor by taking over or claiming.
    assert_eq!(stage.say(&unknown(1), 3, 2, Some("1"), 0), Verdict::Refused);
    stage.say(&known(3, "ann"), 4, 1, Some("1"), 0);
    for client in [5, 6] {
        stage.say(&known(4, "ann"), client, 1, Some("1"), 0);
    }
    assert_eq!(stage.say(&known(4, "ann"), 4, 2, Some("1"), 0), Verdict::Refused);
    // What it has it may renew, and what it gives up it may replace.
    assert_eq!(stage.say(&unknown(1), 1, 2, Some("1"), 0), Verdict::Taken);
    assert_eq!(stage.say(&unknown(1), 1, 2, None, 0), Verdict::Taken);
    assert_eq!(stage.say(&unknown(1), 9, 1, Some("1"), 0), Verdict::Taken);
}

#[test]
fn only_the_newest_state_of_an_id_leaves_and_not_to_its_only_source() {
    let mut stage = Stage::new();
    for clock in 1..5 {
        stage.say(&unknown(1), 7, clock, Some("1"), 0);
    }
    assert_eq!(stage.changes(), Some((vec![entry(7, 4, "1")], Some(1))));
    // There and gone in one batch.
    stage.say(&unknown(1), 8, 1, Some("2"), 0);
    stage.say(&unknown(1), 8, 2, None, 0);
    assert_eq!(stage.changes(), Some((vec![gone(8, 2)], Some(1))));
    // Of two sources both must hear of the other.
    stage.say(&unknown(1), 7, 5, Some("1"), 0);
    stage.say(&unknown(2), 9, 1, Some("3"), 0);
    assert_eq!(stage.changes(), Some((vec![entry(7, 5, "1"), entry(9, 1, "3")], None)));
    // One source, which then ends.
    stage.say(&unknown(2), 9, 2, Some("3"), 0);
    stage.leave(&unknown(2), 0);
    assert_eq!(stage.changes(), Some((vec![gone(9, 2)], None)));
    assert_eq!(stage.changes(), None);
}

#[test]
fn what_a_session_claims_counts_as_its_own() {
    let mut stage = Stage::with(2, 100);
    for client in 1..5 {
        stage.say(&unknown(client), client, 1, Some("1"), 0);
    }
    for (client, outcome) in [(1, Verdict::Taken), (2, Verdict::Taken), (3, Verdict::Refused)] {
        assert_eq!(stage.say(&unknown(9), client, 2, Some("9"), 1), outcome, "claim of {client}");
    }
    stage.expire(3);
    assert_eq!(stage.everybody(), [entry(1, 2, "9"), entry(2, 2, "9"), entry(3, 1, "1"), entry(4, 1, "1")]);
}

#[test]
fn a_claimant_that_removes_itself_withdraws() {
    let mut stage = Stage::new();
    stage.say(&unknown(1), 7, 4, Some("1"), 0);
    stage.say(&unknown(2), 7, 6, Some("2"), 1);
    assert_eq!(stage.say(&unknown(3), 7, 6, None, 1), Verdict::Ignored);
    assert_eq!(stage.say(&unknown(2), 7, 5, None, 1), Verdict::Ignored);
    assert_eq!(stage.say(&unknown(2), 7, 6, None, 1), Verdict::Taken);
    stage.forget();
    stage.expire(3);
    assert_eq!((stage.changes(), stage.everybody()), (None, vec![entry(7, 4, "1")]));
}

#[test]
fn the_departed_make_room_for_the_living() {
    let mut stage = Stage::with(2, 3);
    for client in 1..4 {
        assert_eq!(stage.say(&unknown(client), client, 1, Some("1"), client), Verdict::Taken);
    }
    assert_eq!(stage.say(&unknown(4), 4, 1, Some("1"), 4), Verdict::Refused);
    stage.leave(&unknown(2), 5);
    stage.leave(&unknown(1), 6);
    // Not before the others have heard that they have gone.
    assert_eq!(stage.say(&unknown(4), 4, 1, Some("1"), 7), Verdict::Refused);
    assert_eq!(stage.changes(), Some((vec![gone(1, 1), gone(2, 1), entry(3, 1, "1")], None)));
    // Then the one that has been gone for longest is forgotten first.
    assert_eq!(stage.say(&unknown(4), 4, 1, Some("1"), 7), Verdict::Taken);
    assert_eq!(entries(&stage.presence.catch_up()), [gone(1, 1), entry(3, 1, "1"), entry(4, 1, "1")]);
    assert_eq!(stage.say(&unknown(5), 5, 1, Some("1"), 7), Verdict::Taken);
    assert_eq!(stage.say(&unknown(6), 6, 1, Some("1"), 7), Verdict::Refused);
}

#[test]
fn those_who_stayed_announce_themselves_to_one_who_returns() {
    let mut stage = Stage::new();
    for (session, client) in [(1, 10), (2, 20), (3, 30)] {
        stage.say(&unknown(session), client, 1, Some("{}"), 0);
        stage.say(&unknown(session), client, 2, Some("{}"), 0);
    }
    // The fourth has not answered: it may be a tab that repeats what it heard.
    stage.say(&unknown(4), 40, 1, Some("{}"), 0);
    stage.leave(&unknown(3), 1);
    stage.forget();
    // It returns with its old clock, is asked, and comes again; then the others are asked.
    stage.say(&unknown(5), 30, 2, Some("{}"), 2);
    assert_eq!(stage.questions(), [(5, 30, 2)]);
    stage.say(&unknown(5), 30, 3, Some("{}"), 2);
    assert_eq!(stage.questions(), [(5, 30, 3), (1, 10, 2), (2, 20, 2)]);
    // Who returns right after is served by the next roll call, a second later.
    stage.leave(&unknown(2), 2);
    stage.say(&unknown(6), 20, 3, Some("{}"), 2);
    assert_eq!(stage.questions(), [(6, 20, 3)]);
    assert_eq!(stage.presence.wake(), Some(stage.at(3)));
    stage.expire(3);
    assert_eq!(stage.questions(), [(1, 10, 2)]);
    stage.expire(4);
    assert_eq!(stage.questions(), []);
}

impl Presence {
    /// The first deadline. The room is woken no later.
    fn deadline_next(&self) -> Option<Instant> {
        let first = self.ids.values().map(|standing| self.deadline(standing)).min();
        if let Some(first) = first {
            assert!(self.wake().is_some_and(|wake| wake <= first));
        }
        first
    }
}
