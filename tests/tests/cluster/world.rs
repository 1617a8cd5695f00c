//! Everything together, driven from one event to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use quire_persistence::engines::MemoryEngine;
use quire_persistence::{Append, DocumentStore as _, Epoch, LocalStore};
use quire_relay::memory::{Network, Weather};
use quire_relay::{Event, Topic};
use quire_sync_protocol::{DocId, Message, Replica, SessionId, Update};

use crate::client::{Client, Connection};
use crate::dice::Dice;
use crate::node::{Commit, LATENCY, Node};
use crate::plan::{Fault, Plan, TROUBLE};

/// When everything has been healed, this much time passes: a presence state that nobody renews is gone by then everywhere.
const QUIET: Duration = Duration::from_secs(75);

/// More than any run takes.
const STEPS: usize = 1_000_000;

/// How often a client announces itself anew.
const RENEWAL: Duration = Duration::from_secs(15);

const FAIR: Weather =
    Weather { delay: Duration::from_micros(200)..=Duration::from_millis(8), ..Weather::FAIR };

/// What happened in a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) confirmed: usize,
    pub(crate) crashes: usize,
}

/// What happens next somewhere. Lives, serials and connections tell whether it still concerns anybody.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A client's frame arrives at its node.
    Up { client: usize, connection: u64, node: usize, life: u64, message: Message },
    /// A frame arrives at a client.
    Down { client: usize, connection: u64, message: Message },
    /// A node learns that a connection has ended.
    Ended { connection: u64, node: usize, life: u64 },
    /// A commit is over.
    Committed { node: usize, life: u64 },
    /// A document is loaded.
    Loaded { node: usize, life: u64, doc: usize, serial: u64 },
    /// Other nodes are waited for no longer.
    Waited { node: usize, life: u64, doc: usize, serial: u64 },
    /// The log has been read behind a seq.
    Read { node: usize, life: u64, doc: usize, serial: u64, after: u64 },
    /// A timer of a document is due.
    Wake { node: usize, life: u64, doc: usize, serial: u64 },
    /// A node looks how far the store is.
    Check { node: usize, life: u64 },
    /// A client does something.
    Act { client: usize },
    /// A client announces itself anew.
    Renew { client: usize },
    /// Something goes wrong.
    Fault(Fault),
    /// Something that went wrong is over.
    Mended(Fault),
    /// Everything is mended, and clients only stay.
    Healed,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) dice: Dice,
    pub(crate) now: Instant,
    start: Instant,
    agenda: BTreeMap<(Instant, u64), Happening>,
    numbers: u64,
    pub(crate) docs: Vec<DocId>,
    pub(crate) store: LocalStore<MemoryEngine>,
    /// What the store holds.
    pub(crate) stored: Vec<Replica>,
    pub(crate) network: Network,
    pub(crate) nodes: Vec<Node>,
    clients: Vec<Client>,
    is_healed: bool,
    tally: Tally,
}

impl World {
    pub(crate) fn new(seed: u64, plan: &Plan) -> Self {
        let start = Instant::now();
        let mut network = Network::new(seed, FAIR);
        let nodes = (0..plan.nodes).map(|_| Node::new(network.add(start))).collect();
        let mut world = Self {
            seed,
            dice: Dice::new(seed),
            now: start,
            start,
            agenda: BTreeMap::new(),
            numbers: 0,
            docs: (0..plan.docs)
                .map(|number| DocId::new(&format!("doc {number}")).expect("a name"))
                .collect(),
            store: LocalStore::open(MemoryEngine::new()).expect("it is in memory"),
            stored: vec![Replica::new(); plan.docs],
            network,
            nodes,
            clients: (0..plan.clients).map(|number| Client::new(number, plan.docs)).collect(),
            is_healed: false,
            tally: Tally::default(),
        };
        for node in 0..plan.nodes {
            world.begin_checks(node);
        }
        for client in 0..plan.clients {
            let wait = world.dice.ms(0, 1_000);
            world.after(wait, Happening::Act { client });
            world.after(RENEWAL + wait, Happening::Renew { client });
        }
        for (at, fault) in &plan.faults {
            world.after(*at, Happening::Fault(*fault));
        }
        world.after(TROUBLE, Happening::Healed);
        world
    }

    pub(crate) fn run(mut self) -> Tally {
        let end = self.start + TROUBLE + QUIET;
        for step in 0.. {
            assert!(step < STEPS, "seed {}: it does not come to rest", self.seed);
            let next = self.agenda.keys().next().map(|(at, _)| *at);
            let told = self.network.next_at();
            let Some(at) = [next, told].into_iter().flatten().min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            if let Some((node, event)) = self.network.poll(self.now) {
                if let Some(node) = self.nodes.iter().position(|one| one.id == Some(node)) {
                    self.hear(node, event);
                }
                continue;
            }
            if next.is_some_and(|next| next <= self.now)
                && let Some((_, happening)) = self.agenda.pop_first()
            {
                self.happen(happening);
            }
        }
        self.now = end;
        self.check();
        self.tally
    }

    /// Lets something happen after a time.
    pub(crate) fn after(&mut self, wait: Duration, happening: Happening) {
        self.at(self.now + wait, happening);
    }

    pub(crate) fn at(&mut self, at: Instant, happening: Happening) {
        let number = self.number();
        self.agenda.insert((at, number), happening);
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn happen(&mut self, happening: Happening) {
        let is_alive = |world: &Self, node: usize, life: u64| {
            world.nodes[node].id.is_some() && world.nodes[node].life == life
        };
        match happening {
            Happening::Up { client, connection, node, life, message } if is_alive(self, node, life) => {
                self.arrive(node, client, connection, message);
            }
            Happening::Down { client, connection, message } => self.take(client, connection, &message),
            Happening::Ended { connection, node, life } if is_alive(self, node, life) => {
                self.lose(node, connection);
            }
            Happening::Committed { node, life } if is_alive(self, node, life) => self.committed(node),
            Happening::Loaded { node, life, doc, serial } if is_alive(self, node, life) => {
                self.loaded(node, doc, serial);
            }
            Happening::Waited { node, life, doc, serial } if is_alive(self, node, life) => {
                self.waited(node, doc, serial);
            }
            Happening::Read { node, life, doc, serial, after } if is_alive(self, node, life) => {
                self.read(node, doc, serial, after);
            }
            Happening::Wake { node, life, doc, serial } if is_alive(self, node, life) => {
                self.wake(node, doc, serial);
            }
            Happening::Check { node, life } if is_alive(self, node, life) => self.look(node),
            Happening::Act { client } if !self.is_healed => self.act(client),
            Happening::Renew { client } => {
                let renewal = self.clients[client].renew();
                self.say(client, renewal);
                self.after(RENEWAL, Happening::Renew { client });
            }
            Happening::Fault(fault) if !self.is_healed => self.go_wrong(fault),
            Happening::Mended(fault) if !self.is_healed => self.mend(fault),
            Happening::Healed => self.heal(),
            // Whom it concerned is no more.
            _ => {}
        }
    }

    // --- Clients ---

    fn act(&mut self, client: usize) {
        let wait = self.dice.ms(30, 1_200);
        self.after(wait, Happening::Act { client });
        if self.clients[client].connection.is_none() {
            return self.connect(client);
        }
        match self.dice.below(100) {
            0..74 => {
                let edit = self.clients[client].edit(&mut self.dice);
                self.say(client, edit);
            }
            // It leaves in good order.
            74..80 => {
                let farewell = self.clients[client].farewell();
                self.say(client, farewell);
                self.hang_up(client, Duration::from_millis(10));
            }
            // Its connection breaks, and the node learns of it soon, or late.
            80..90 => {
                let late =
                    if self.dice.percent(50) { self.dice.ms(0, 50) } else { self.dice.ms(1_000, 20_000) };
                self.hang_up(client, late);
            }
            _ => {}
        }
    }

    fn connect(&mut self, client: usize) {
        let up: Vec<_> = (0..self.nodes.len()).filter(|node| self.nodes[*node].id.is_some()).collect();
        let Some(node) = up.get(self.dice.below(up.len())).copied() else { return };
        let (serial, now) = (self.number(), self.now);
        self.clients[client].connection = Some(Connection { serial, node, up: now, down: now });
        self.join(node, client, serial);
        for message in self.clients[client].greeting() {
            self.say(client, message);
        }
    }

    fn hang_up(&mut self, client: usize, late: Duration) {
        let Some(Connection { serial, node, up, .. }) = self.clients[client].connection else { return };
        self.clients[client].disconnect();
        let life = self.nodes[node].life;
        // After what it has said.
        self.at(up.max(self.now) + late, Happening::Ended { connection: serial, node, life });
    }

    /// A client says something.
    fn say(&mut self, client: usize, message: Message) {
        let delay = self.dice.ms(0, 6);
        let now = self.now;
        let Some(connection) = &mut self.clients[client].connection else { return };
        connection.up = connection.up.max(now + delay);
        let (up, serial, node) = (connection.up, connection.serial, connection.node);
        let life = self.nodes[node].life;
        self.at(up, Happening::Up { client, connection: serial, node, life, message });
    }

    /// A node says something to a session's client.
    pub(crate) fn tell(&mut self, node: usize, session: SessionId, message: &Message) {
        let delay = self.dice.ms(0, 6);
        let Some((client, serial)) = self.nodes[node].sessions.get(&session).copied() else { return };
        let now = self.now;
        let Some(connection) = &mut self.clients[client].connection else { return };
        if connection.serial == serial {
            connection.down = connection.down.max(now + delay);
            let at = connection.down;
            let message = message.clone();
            self.at(at, Happening::Down { client, connection: serial, message });
        }
    }

    fn take(&mut self, client: usize, connection: u64, message: &Message) {
        if self.clients[client].connection.is_none_or(|own| own.serial != connection) {
            return;
        }
        let (answer, confirmed) = self.clients[client].take(message, self.now);
        let stored = &self.stored[self.clients[client].doc];
        for edit in confirmed {
            // That a letter is deleted a client may hear through another one that has deleted it, too.
            let is_stored = edit.is_deletion() || !stored.lacks(&edit.update);
            assert!(is_stored, "seed {}: an edit was confirmed and is not stored", self.seed);
            let is_founded = edit.behind.is_none_or(|id| stored.state_vector().clock(id.client) > id.clock);
            assert!(
                is_founded,
                "seed {}: an edit was confirmed, and what it builds on is not stored",
                self.seed
            );
            self.tally.confirmed += 1;
        }
        if let Some(answer) = answer {
            self.say(client, answer);
        }
    }

    /// The document of a client.
    pub(crate) fn doc_of(&self, client: usize) -> usize {
        self.clients[client].doc
    }

    // --- What goes wrong ---

    fn go_wrong(&mut self, fault: Fault) {
        let over = match fault {
            Fault::Crash { node, down } => {
                self.crash(node);
                Some(down)
            }
            Fault::CutOff { node, lasts } => {
                if let Some(id) = self.nodes[node].id {
                    self.network.cut_off(id, "a plan", self.now);
                }
                Some(lasts)
            }
            Fault::Partition { nodes: (one, other), lasts } => {
                if let (Some(one), Some(other)) = (self.nodes[one].id, self.nodes[other].id) {
                    self.network.partition(one, other);
                }
                Some(lasts)
            }
            Fault::Storm { missed, lost, lasts } => {
                let weather = Weather {
                    delay: Duration::ZERO..=Duration::from_millis(80),
                    missed_per_mille: missed,
                    lost_per_mille: lost,
                    reorder: true,
                };
                self.network.set_weather(weather);
                Some(lasts)
            }
            Fault::Slow { node, latency, lasts } => {
                self.nodes[node].latency = latency;
                Some(lasts)
            }
            Fault::Failing { node, lasts } => {
                self.nodes[node].fails = true;
                Some(lasts)
            }
            Fault::Compact { doc } => {
                if let Some(name) = self.docs.get(doc)
                    && self.store.info(name).expect("it is in memory").is_some()
                {
                    self.store.compact(name).expect("it is sound");
                }
                None
            }
        };
        if let Some(over) = over {
            self.after(over, Happening::Mended(fault));
        }
    }

    fn mend(&mut self, fault: Fault) {
        match fault {
            Fault::Crash { node, .. } => {
                if self.nodes[node].id.is_none() {
                    self.nodes[node].id = Some(self.network.add(self.now));
                    self.begin_checks(node);
                }
            }
            Fault::CutOff { node, .. } => {
                if let Some(id) = self.nodes[node].id {
                    self.network.rejoin(id, self.now);
                }
            }
            Fault::Partition { nodes: (one, other), .. } => {
                if let (Some(one), Some(other)) = (self.nodes[one].id, self.nodes[other].id) {
                    self.network.heal(one, other);
                }
            }
            Fault::Storm { .. } => self.network.set_weather(FAIR),
            Fault::Slow { node, .. } => self.nodes[node].latency = LATENCY,
            Fault::Failing { node, .. } => self.nodes[node].fails = false,
            Fault::Compact { .. } => {}
        }
    }

    fn crash(&mut self, node: usize) {
        // What is being committed may have arrived.
        if let Some(batch) = self.nodes[node].committing.take()
            && self.dice.percent(50)
        {
            self.append(&batch);
        }
        if let Some(id) = self.nodes[node].die() {
            self.tally.crashes += 1;
            self.network.remove(id);
        }
        for client in 0..self.clients.len() {
            if self.clients[client].connection.is_some_and(|own| own.node == node) {
                self.clients[client].disconnect();
            }
        }
    }

    fn heal(&mut self) {
        self.is_healed = true;
        self.network.set_weather(FAIR);
        for node in 0..self.nodes.len() {
            let now = self.now;
            if let Some(id) = self.nodes[node].id {
                self.network.rejoin(id, now);
            } else {
                self.nodes[node].id = Some(self.network.add(now));
                self.begin_checks(node);
            }
            (self.nodes[node].latency, self.nodes[node].fails) = (LATENCY, false);
        }
        let ids: Vec<_> = self.nodes.iter().filter_map(|node| node.id).collect();
        for one in &ids {
            for other in &ids {
                self.network.heal(*one, *other);
            }
        }
        for client in 0..self.clients.len() {
            if self.clients[client].connection.is_none() {
                self.connect(client);
            }
        }
    }

    // --- The end ---

    fn check(&self) {
        let seed = self.seed;
        for (doc, stored) in self.stored.iter().enumerate() {
            for (number, node) in self.nodes.iter().enumerate() {
                if let Some(open) = node.open.get(&doc) {
                    assert!(
                        open.room.replica() == stored,
                        "seed {seed}: node {number} has something else than the store"
                    );
                    assert!(open.room.is_settled(), "seed {seed}: node {number} waits for the store");
                }
            }
            let all: BTreeSet<_> =
                self.clients.iter().filter(|client| client.doc == doc).map(|client| client.id).collect();
            for client in self.clients.iter().filter(|client| client.doc == doc) {
                let id = client.id;
                assert!(
                    &client.replica == stored,
                    "seed {seed}: client {id} has something else than the store"
                );
                assert!(!client.waits(), "seed {seed}: client {id} waits for a confirmation");
                let others: BTreeSet<_> = all.iter().copied().filter(|other| *other != id).collect();
                assert_eq!(client.sees(self.now), others, "seed {seed}: whom client {id} sees");
            }
        }
    }

    /// The store takes these; gives the last seq of each document.
    pub(crate) fn append(&mut self, batch: &Commit) -> BTreeMap<usize, u64> {
        let flat: Vec<(usize, Update)> = batch
            .iter()
            .flat_map(|(doc, updates)| updates.iter().map(|(_, update)| (*doc, update.clone())))
            .collect();
        let appends: Vec<_> = flat
            .iter()
            .map(|(doc, update)| Append {
                doc: self.docs[*doc].clone(),
                epoch: Epoch::FIRST,
                update: update.bytes().clone(),
            })
            .collect();
        let seqs = self.store.append(&appends).expect("it is in memory");
        for (doc, update) in &flat {
            self.stored[*doc].insert(update);
        }
        flat.iter().zip(seqs).map(|((doc, _), seq)| (*doc, seq.0)).collect()
    }

    /// What a node hears.
    fn hear(&mut self, node: usize, event: Event) {
        match event {
            Event::Heard { topic: Topic::Document(name), from, message } => {
                if let Some(doc) = self.docs.iter().position(|doc| *doc == name) {
                    self.heard(node, doc, from, message);
                }
            }
            Event::Subscribed(Topic::Document(name)) => {
                if let Some(doc) = self.docs.iter().position(|doc| *doc == name) {
                    self.subscribed(node, doc);
                }
            }
            Event::Missed(Topic::Document(name)) => {
                if let Some(doc) = self.docs.iter().position(|doc| *doc == name) {
                    self.missed(node, doc);
                }
            }
            Event::MissedAny => (0..self.docs.len()).for_each(|doc| self.missed(node, doc)),
            Event::State(_) | Event::Heard { .. } | Event::Subscribed(_) | Event::Missed(_) => {}
        }
    }
}
