//! People come, go, lose their connections and come back, in tabs that repeat what they hear, around a real room.

use std::collections::VecDeque;

use super::rng::Rng;
use super::tab::Tab;
use super::*;
use crate::room::{Output, Room, RoomConfig, To};
use crate::session::{Access, SessionSetup};
use crate::wire::Message;

const TICK: Duration = Duration::from_millis(100);

/// Something under way, and when it arrives.
type Post<T> = VecDeque<(Instant, T)>;

/// An open socket. It may outlive its tab: the server learns of a lost connection late.
#[derive(Default)]
struct Socket {
    up: Post<AwarenessUpdate>,
    down: Post<AwarenessUpdate>,
    ends: Option<Instant>,
}

struct World {
    rng: Rng,
    room: Room,
    now: Instant,
    tabs: Vec<Tab>,
    sockets: BTreeMap<SessionId, Socket>,
    /// From tab to tab, by client.
    channels: BTreeMap<u64, Post<AwarenessUpdate>>,
    next: u64,
    /// Every tab in a browser of its own.
    alone: bool,
    /// For how many ticks the first has been without the second, though both are connected, as they still are.
    unseen: BTreeMap<(SessionId, SessionId), u32>,
    /// Messages that reached the server.
    heard: u64,
}

impl World {
    fn new(seed: u64, alone: bool) -> Self {
        Self {
            alone,
            unseen: BTreeMap::new(),
            rng: Rng::new(seed),
            room: Room::new(RoomConfig::default()),
            now: Instant::now(),
            tabs: Vec::new(),
            sockets: BTreeMap::new(),
            channels: BTreeMap::new(),
            next: 1,
            heard: 0,
        }
    }

    fn later(&mut self) -> Instant {
        self.now + TICK * u32::try_from(self.rng.below(4)).unwrap()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A tab says something to the server and to the tabs beside it.
    fn say(&mut self, at: usize, update: &AwarenessUpdate) {
        let (session, client, browser) = (self.tabs[at].session, self.tabs[at].client, self.tabs[at].browser);
        if let Some(session) = session {
            self.post_up(session, update.clone());
        }
        let beside = self.tabs.iter().filter(|tab| tab.browser == browser && tab.client != client);
        for other in beside.map(|tab| tab.client).collect::<Vec<_>>() {
            let at = self.later();
            post(self.channels.entry(other).or_default(), at, update.clone());
        }
    }

    fn post_up(&mut self, session: SessionId, update: AwarenessUpdate) {
        let at = self.later();
        post(&mut self.sockets.entry(session).or_default().up, at, update);
    }

    fn open(&mut self, browser: u64, identity: Option<Arc<str>>) {
        let client = self.number();
        let browser = if self.alone { client } else { browser };
        let mut tab = Tab::new(client, browser, identity, self.now);
        for other in self.tabs.iter().filter(|other| other.browser == browser) {
            tab.take(&other.announce_all(), self.now);
        }
        self.tabs.push(tab);
        let at = self.tabs.len() - 1;
        self.connect(at);
        self.set(at, Some("0"));
    }

    fn connect(&mut self, at: usize) {
        let session = SessionId(self.number());
        self.sockets.insert(session, Socket::default());
        let setup =
            SessionSetup { access: Access::Write, presence: true, identity: self.tabs[at].identity.clone() };
        self.room.handle_connect(session, setup, self.now);
        self.tabs[at].session = Some(session);
        let own = self.tabs[at].announce(&[self.tabs[at].client]);
        self.post_up(session, own);
    }

    fn set(&mut self, at: usize, state: Option<&str>) {
        let now = self.now;
        let update = self.tabs[at].set_local(state, now);
        self.say(at, &update);
    }

    /// The connection breaks. What is under way may be lost, and the server may learn of it late.
    fn lose(&mut self, at: usize) {
        let Some(session) = self.tabs[at].session else { return };
        let late = Duration::from_secs(if self.rng.once_in(2) { self.rng.below(30) } else { 0 });
        let lost = self.rng.once_in(2);
        let socket = self.sockets.entry(session).or_default();
        socket.ends = Some(self.now + late);
        if lost {
            socket.up.clear();
        }
        if let Some(said) = self.tabs[at].disconnected() {
            self.say(at, &said);
        }
    }

    /// Something happens to somebody.
    fn disturb(&mut self, identities: u64) {
        let browser = self.rng.below(3);
        if self.tabs.len() < 3 {
            let identity = match identities {
                0 => None,
                1 => Some(format!("user {browser}").into()),
                _ => Some(format!("user {}", self.rng.below(2)).into()),
            };
            return self.open(browser, identity);
        }
        let at = usize::try_from(self.rng.below(self.tabs.len() as u64)).unwrap();
        match self.rng.below(7) {
            0 if self.tabs.len() < 7 => {
                let identity = self.tabs[at].identity.clone();
                self.open(browser, identity);
            }
            // Closed politely: the removal is the last thing that is sent.
            1 => {
                self.set(at, None);
                self.lose(at);
                self.tabs.swap_remove(at);
            }
            // Crashed.
            2 => {
                let tab = self.tabs.swap_remove(at);
                if let Some(session) = tab.session {
                    let ends = self.later() + Duration::from_secs(self.rng.below(30));
                    self.sockets.entry(session).or_default().ends = Some(ends);
                }
            }
            3 if self.tabs[at].session.is_some() => self.lose(at),
            3 => self.connect(at),
            4 => {
                self.lose(at);
                self.connect(at);
            }
            5 if self.rng.once_in(4) => self.set(at, None),
            _ => {
                let state = self.rng.below(100).to_string();
                self.set(at, Some(&state));
            }
        }
    }

    fn tick(&mut self) {
        self.now += TICK;
        let now = self.now;
        for (session, at) in self.sockets.keys().map(|session| (*session, now)).collect::<Vec<_>>() {
            let socket = self.sockets.entry(session).or_default();
            let arrived = take(&mut socket.up, at);
            let ended = socket.ends.is_some_and(|end| end <= now);
            for update in arrived {
                self.heard += 1;
                self.room.handle_message(session, Message::Awareness(update), now);
            }
            if ended {
                self.sockets.remove(&session);
                self.room.handle_disconnect(session, now);
            }
        }
        self.room.flush(now);
        while self.room.poll_timeout().is_some_and(|due| due <= now) {
            self.room.handle_timeout(now);
        }
        self.send();
        for at in 0..self.tabs.len() {
            let (client, session) = (self.tabs[at].client, self.tabs[at].session);
            let mut arrived = take(self.channels.entry(client).or_default(), now);
            if let Some(socket) = session.and_then(|session| self.sockets.get_mut(&session)) {
                arrived.extend(take(&mut socket.down, now));
            }
            for update in arrived {
                if let Some(said) = self.tabs[at].take(&update, now) {
                    self.say(at, &said);
                }
            }
            for said in self.tabs[at].check(now) {
                self.say(at, &said);
            }
        }
        self.look();
    }

    /// Counts for how long somebody has not been seen.
    fn look(&mut self) {
        let shown = self.tabs.iter().filter(|tab| tab.is_shown());
        let shown: Vec<_> = shown.filter_map(|tab| Some((tab, tab.session?))).collect();
        let mut unseen = BTreeMap::new();
        for (tab, session) in &shown {
            let others = shown.iter().filter(|(other, _)| !tab.states().contains_key(&other.client));
            for pair in others.map(|(_, other)| (*session, *other)) {
                unseen.insert(pair, self.unseen.get(&pair).map_or(1, |ticks| ticks + 1));
            }
        }
        self.unseen = unseen;
    }

    fn send(&mut self) {
        while let Some(output) = self.room.poll_output() {
            let Output::Transmit { to, message: Message::Awareness(update) } = output else { continue };
            let to = match to {
                To::One(session) => vec![session],
                To::Many(sessions) => sessions,
            };
            for session in to {
                let at = self.later();
                if let Some(socket) = self.sockets.get_mut(&session) {
                    post(&mut socket.down, at, update.clone());
                }
            }
        }
    }
}

/// Things arrive in the order in which they were sent.
fn post<T>(post: &mut Post<T>, at: Instant, what: T) {
    let at = post.back().map_or(at, |(last, _)| at.max(*last));
    post.push_back((at, what));
}

fn take<T>(post: &mut Post<T>, now: Instant) -> Vec<T> {
    let count = post.iter().take_while(|(at, _)| *at <= now).count();
    post.drain(..count).map(|(_, what)| what).collect()
}

/// Tabs that share browsers: what is left in the end.
fn run(seed: u64) {
    let mut world = World::new(seed, false);
    let identities = seed % 3;
    for _ in 0..600 {
        if world.rng.once_in(8) {
            world.disturb(identities);
        }
        world.tick();
    }
    // Everybody who is still there comes back, and shows something.
    for at in 0..world.tabs.len() {
        if world.tabs[at].session.is_none() {
            world.connect(at);
        }
        world.set(at, Some("here"));
    }
    let before = world.heard;
    for _ in 0..450 {
        world.tick();
    }
    let everybody: BTreeMap<_, _> = world.tabs.iter().map(|tab| (tab.client, "here".to_owned())).collect();
    for tab in &world.tabs {
        assert_eq!(tab.states(), &everybody, "seed {seed}: what {} sees", tab.client);
    }
    // In 45 s each of n renews three times, answers a few questions and roll calls, and each change comes back from
    // each other.
    let (heard, tabs) = (world.heard - before, world.tabs.len() as u64);
    assert!(heard <= 24 * tabs * tabs + 24, "seed {seed}: {heard} messages by {tabs}");
}

#[test]
fn the_living_are_seen_ghosts_vanish_and_echoes_die() {
    for seed in 0..300 {
        run(seed);
    }
}

/// Tabs in browsers of their own: whatever happens to somebody's connection, others see that person again after the
/// greeting, the question and the answer. One that has lost its own connection has dropped all it knew and remembers
/// the clocks, so that it takes the others when they are asked, or, as long as the server has not seen the end of its
/// old connection, when they renew themselves, every 15 to 18 s.
#[test]
fn a_living_person_is_seen_soon_after_each_mishap() {
    for seed in 0..300 {
        let mut world = World::new(seed, true);
        for tick in 0..1000 {
            if tick < 700 && world.rng.once_in(8) {
                world.disturb(seed % 3);
            }
            world.tick();
            for ((viewer, unseen), ticks) in &world.unseen {
                let lost = world.tabs.iter().any(|tab| tab.session == Some(*viewer) && tab.lost);
                let most = if lost { 190 } else { 15 };
                assert!(*ticks <= most, "seed {seed}, tick {tick}: {viewer} is without {unseen} for {ticks}");
            }
        }
    }
}
