//! Several directories over one store, which tell each other through a relay in memory.

use std::sync::atomic::Ordering;

use quire_persistence::{Posting, UserId};
use quire_relay::memory::Weather;
use quire_relay::{MemoryNetwork, MemoryRelay, NodeId, Relay};
use quire_sync_protocol::ClientId;
use quire_sync_protocol::wire::awareness::{AwarenessEntry, AwarenessUpdate};

use super::*;
use crate::presence::{PersonKey, Sighting};
use crate::stream::{After, Next, Source as _};

const SOON: Weather = Weather { delay: Duration::from_millis(1)..=Duration::from_millis(5), ..Weather::FAIR };

struct Nodes {
    network: MemoryNetwork,
    store: Arc<GatedStore>,
    directories: Vec<Directory>,
    ids: Vec<NodeId>,
}

impl Nodes {
    fn new(count: usize) -> Self {
        Self::with(count, &DirectoryConfig::default(), SOON)
    }

    fn with(count: usize, config: &DirectoryConfig, weather: Weather) -> Self {
        let network = MemoryNetwork::new(7, weather);
        let store = GatedStore::new();
        let mut nodes = Self { network, store, directories: Vec::new(), ids: Vec::new() };
        for _ in 0..count {
            nodes.add(config);
        }
        nodes
    }

    fn add(&mut self, config: &DirectoryConfig) {
        let (relay, events): (Arc<MemoryRelay>, _) = self.network.node();
        self.ids.push(relay.node());
        let store: Arc<dyn DocumentStore> = Arc::clone(&self.store) as _;
        self.directories.push(Directory::in_cluster(config.clone(), store, (relay, events), None).unwrap());
    }

    fn count(&self, node: usize, counter: impl Fn(&Counters) -> &std::sync::atomic::AtomicU64) -> u64 {
        counter(self.directories[node].counters()).load(Ordering::Relaxed)
    }
}

impl Nodes {
    /// Whether a node shows somebody who says this of itself.
    fn shows(&self, node: usize, name: &str) -> bool {
        let attendance = self.directories[node].whereabouts().of(&doc("a"));
        let shown = attendance.feed().snapshot();
        String::from_utf8_lossy(shown.data()).contains(name)
    }
}

async fn pair(nodes: &Nodes) -> (Editor, Editor) {
    let mut one = Editor::join(&nodes.directories[0], "a").await;
    let mut other = Editor::join(&nodes.directories[1], "a").await;
    one.until_synced().await;
    other.until_synced().await;
    (one, other)
}

#[tokio::test]
async fn an_edit_reaches_the_other_node_and_is_stored_once() {
    let nodes = Nodes::new(2);
    let (mut one, mut other) = pair(&nodes).await;
    let edits = [typed(1, 0, "hello"), typed(2, 0, "world")];
    one.edit(edits[0].clone()).await;
    other.until_it_has(&edits[..1]).await;
    other.edit(edits[1].clone()).await;
    one.until_it_has(&edits).await;
    assert_eq!(nodes.store.info(&doc("a")).unwrap().unwrap().seq, Seq(2));
    // All of it came by the relay.
    assert_eq!((nodes.count(0, |c| &c.tail_reads), nodes.count(1, |c| &c.tail_reads)), (0, 0));
}

#[tokio::test]
async fn what_is_not_stored_is_not_shown_at_other_nodes() {
    let nodes = Nodes::new(2);
    let (mut one, mut other) = pair(&nodes).await;
    nodes.store.set(|gates| gates.hold_appends = true);
    let edit = typed(1, 0, "hello");
    one.edit(edit.clone()).await;
    until(|| nodes.directories[0].unsaved().bytes > 0).await;
    assert_eq!(nodes.count(1, |c| &c.nodes_heard), 0);
    nodes.store.set(|gates| gates.hold_appends = false);
    other.until_it_has(std::slice::from_ref(&edit)).await;
    one.until_confirmed(&edit).await;
}

#[tokio::test]
async fn who_opens_a_document_gets_what_others_have_just_written() {
    let nodes = Nodes::new(2);
    let mut one = Editor::join(&nodes.directories[0], "a").await;
    one.until_synced().await;
    nodes.store.set(|gates| gates.hold_appends = true);
    let edit = typed(1, 0, "hello");
    one.edit(edit.clone()).await;
    until(|| nodes.directories[0].unsaved().bytes > 0).await;
    // The newcomer waits for the writer: it is the store that holds it up, and not for long.
    let opening = tokio::spawn({
        let directory = nodes.directories[1].clone();
        async move { Editor::join(&directory, "a").await }
    });
    until(|| nodes.count(0, |c| &c.nodes_heard) > 0).await;
    nodes.store.set(|gates| gates.hold_appends = false);
    let mut other = opening.await.unwrap();
    other.until_synced().await;
    assert!(!other.replica.lacks(&edit));
    // So does who only reads it.
    nodes.directories[1].drain(std::time::Instant::now() + PATIENCE).await;
    let edit = typed(1, 5, "!");
    one.edit(edit.clone()).await;
    let mut nodes = nodes;
    nodes.add(&DirectoryConfig::default());
    let read = nodes.directories[2].snapshot(&doc("a")).await.unwrap().unwrap();
    let mut replica = Replica::new();
    replica.insert(&read);
    assert!(!replica.lacks(&edit));
    assert_eq!(nodes.directories[2].loaded(), 0);
}

#[tokio::test]
async fn what_the_relay_loses_is_read_from_the_store() {
    let lossy = Weather { missed_per_mille: 500, ..SOON };
    let nodes = Nodes::with(2, &DirectoryConfig::default(), lossy);
    let (mut one, mut other) = pair(&nodes).await;
    let mut edits = Vec::new();
    for clock in 0..30 {
        edits.push(typed(1, clock, "x"));
        one.edit(edits[clock].clone()).await;
        one.until_confirmed(&edits[clock]).await;
    }
    other.until_it_has(&edits).await;
    assert!(nodes.count(1, |c| &c.tail_reads) > 0);
}

#[tokio::test]
async fn what_is_lost_without_a_word_is_found_by_looking() {
    let silent = Weather { lost_per_mille: 1000, ..SOON };
    let nodes = Nodes::new(2);
    let (mut one, mut other) = pair(&nodes).await;
    nodes.network.change(|network, _| network.set_weather(silent));
    let edit = typed(1, 0, "hello");
    one.edit(edit.clone()).await;
    one.until_confirmed(&edit).await;
    // Not before: the writer's thread does not wait for this clock, which goes on as soon as nothing else does.
    tokio::time::pause();
    other.until_it_has(&[edit]).await;
    assert_eq!(nodes.count(1, |c| &c.nodes_heard), 0);
}

#[tokio::test]
async fn nodes_that_are_cut_off_go_on_alone_and_by_way_of_the_store() {
    let nodes = Nodes::new(2);
    let (mut one, mut other) = pair(&nodes).await;
    nodes.network.change(|network, now| {
        for node in &nodes.ids {
            network.cut_off(*node, "a test", now);
        }
    });
    let edits = [typed(1, 0, "hello"), typed(2, 0, "world"), typed(1, 5, "!")];
    one.edit(edits[0].clone()).await;
    other.edit(edits[1].clone()).await;
    one.until_confirmed(&edits[0]).await;
    one.until_it_has(&edits[..2]).await;
    other.until_it_has(&edits[..2]).await;
    // Whoever opens a document meanwhile waits for nobody.
    let mut third = Editor::join(&nodes.directories[1], "b").await;
    third.until_synced().await;
    nodes.network.change(|network, now| {
        for node in &nodes.ids {
            network.rejoin(*node, now);
        }
    });
    one.edit(edits[2].clone()).await;
    other.until_it_has(&edits).await;
}

#[tokio::test]
async fn a_document_that_another_node_deletes_ends_here() {
    let nodes = Nodes::new(2);
    let (mut one, mut other) = pair(&nodes).await;
    let edit = typed(1, 0, "hello");
    one.edit(edit.clone()).await;
    other.until_it_has(&[edit]).await;
    within(nodes.directories[0].delete(&doc("a"))).await.unwrap();
    assert_eq!(one.until_closed().await, CloseReason::Deleted);
    assert_eq!(other.until_closed().await, CloseReason::Deleted);
    until(|| nodes.directories[1].loaded() == 0).await;
    // Made anew, it is another one; nothing of the old one comes back.
    nodes.directories[1].create(&doc("a")).await.unwrap();
    let (mut one, mut other) = pair(&nodes).await;
    assert_eq!(other.replica, Replica::new());
    let edit = typed(3, 0, "new");
    one.edit(edit.clone()).await;
    other.until_it_has(&[edit]).await;
}

#[tokio::test]
async fn a_node_without_the_document_hears_nothing_of_it() {
    let nodes = Nodes::with(3, &eager(), SOON);
    let (mut one, mut other) = pair(&nodes).await;
    let handle = within(nodes.directories[2].open(&doc("b"))).await.unwrap();
    let edits: Vec<_> = (0..10).map(|clock| typed(1, clock, "x")).collect();
    for edit in &edits {
        one.edit(edit.clone()).await;
    }
    other.until_it_has(&edits).await;
    assert!(nodes.count(1, |c| &c.nodes_heard) > 0);
    assert_eq!(nodes.count(2, |c| &c.nodes_heard), 0);
    // Nor does one where nobody has it open any more.
    drop((other, handle));
    until(|| nodes.directories[1].loaded() == 0).await;
    let heard = nodes.count(1, |c| &c.nodes_heard);
    let last = typed(1, 10, "x");
    one.edit(last.clone()).await;
    one.until_confirmed(&last).await;
    assert_eq!(nodes.count(1, |c| &c.nodes_heard), heard);
}

#[tokio::test]
async fn a_committed_batch_is_one_message() {
    let nodes = Nodes::new(2);
    let (mut one, mut other) = pair(&nodes).await;
    nodes.store.set(|gates| gates.hold_appends = true);
    let edits: Vec<_> = (0..50).map(|clock| typed(1, clock, "x")).collect();
    one.edit(edits[0].clone()).await;
    until(|| nodes.directories[0].unsaved().bytes > 0).await;
    for edit in &edits[1..] {
        one.edit(edit.clone()).await;
    }
    until(|| nodes.count(0, |c| &c.messages) > 50).await;
    let told = nodes.count(0, |c| &c.nodes_told);
    nodes.store.set(|gates| gates.hold_appends = false);
    other.until_it_has(&edits).await;
    let commits = nodes.count(0, |c| &c.commits);
    assert!(nodes.count(0, |c| &c.nodes_told) - told <= commits, "{commits} commits");
}

#[tokio::test]
async fn who_is_at_another_node_is_seen_and_goes_with_its_session() {
    let nodes = Nodes::new(2);
    let (one, _other) = pair(&nodes).await;
    let client = ClientId::new(7).unwrap();
    let present = AwarenessEntry { client, clock: 1, state: Some("{\"user\":{\"name\":\"Ada\"}}") };
    within(one.seat.deliver(vec![Message::Awareness(AwarenessUpdate::encode([present]))])).await.unwrap();
    let seen = |node: usize| nodes.shows(node, "Ada");
    until(|| seen(0) && seen(1)).await;
    drop(one);
    until(|| !seen(0) && !seen(1)).await;
}

#[tokio::test]
async fn who_opens_a_document_sees_who_is_at_other_nodes() {
    let nodes = Nodes::new(2);
    let one = Editor::join(&nodes.directories[0], "a").await;
    let client = ClientId::new(7).unwrap();
    let present = AwarenessEntry { client, clock: 1, state: Some("{\"user\":{\"name\":\"Ada\"}}") };
    within(one.seat.deliver(vec![Message::Awareness(AwarenessUpdate::encode([present]))])).await.unwrap();
    until(|| nodes.count(0, |c| &c.messages) > 1).await;
    let handle = within(nodes.directories[1].open(&doc("a"))).await.unwrap();
    until(|| nodes.shows(1, "Ada")).await;
    drop(handle);
}

#[tokio::test]
async fn a_broadcast_reaches_other_nodes_from_wherever_it_is_said() {
    let mut nodes = Nodes::new(2);
    nodes.add(&DirectoryConfig::default());
    let (one, _other) = pair(&nodes).await;
    let heard = |nodes: &Nodes, node: usize| nodes.count(node, |c| &c.broadcasts);
    within(nodes.directories[0].broadcast(&doc("a"), "ding".into())).await.unwrap();
    until(|| heard(&nodes, 1) == 1).await;
    // From a node that does not have the document.
    within(nodes.directories[2].broadcast(&doc("a"), "dong".into())).await.unwrap();
    until(|| heard(&nodes, 0) == 2 && heard(&nodes, 1) == 2).await;
    drop(one);
}

#[tokio::test]
async fn who_is_online_is_known_at_every_node() {
    let nodes = Nodes::new(3);
    let setup = SessionSetup { identity: Some("ada".into()), ..SessionSetup::anonymous(Access::Write) };
    let handle = within(nodes.directories[0].open(&doc("a"))).await.unwrap();
    let seat = within(handle.join(setup)).await.unwrap();
    let client = ClientId::new(7).unwrap();
    let present = AwarenessEntry { client, clock: 1, state: Some("{}") };
    within(seat.deliver(vec![Message::Awareness(AwarenessUpdate::encode([present]))])).await.unwrap();
    let ada = PersonKey::Known("ada".into());
    until(|| nodes.directories[0].whereabouts().sighting(&ada) != Sighting::default()).await;
    for directory in &nodes.directories {
        assert_eq!(within(directory.sighting(&ada)).await.docs, [doc("a")]);
        assert_eq!(within(directory.online(None, 10)).await, [(ada.clone(), vec![doc("a")])]);
    }
    // A listener at another node has the document opened there.
    let attendance = within(nodes.directories[1].attendance(&doc("a"))).await;
    until(|| nodes.directories[1].whereabouts().sighting(&ada).docs == [doc("a")]).await;
    assert_eq!(nodes.directories[1].loaded(), 1);
    drop((attendance, seat));
    until(|| nodes.directories[1].whereabouts().sighting(&ada).docs.is_empty()).await;
}

#[tokio::test]
async fn a_notification_posted_at_another_node_rings_here() {
    let nodes = Nodes::new(2);
    let user = UserId::new("ada").unwrap();
    let [here, there] = [0, 1].map(|node| nodes.directories[node].notifications().clone());
    let mut delivery = here.listen(&user, After::Beginning);
    let posting = |body: &'static [u8]| Posting {
        key: None,
        posted: 1,
        expires: u64::MAX,
        body: Bytes::from_static(body),
    };
    for body in [&b"\"one\""[..], b"\"two\""] {
        within(there.post(user.clone(), posting(body))).await.unwrap();
        let word = String::from_utf8_lossy(&body[1..4]).into_owned();
        within(std::future::poll_fn(|cx| {
            loop {
                match delivery.poll_event(cx) {
                    std::task::Poll::Ready(Next::Event(event)) => {
                        if String::from_utf8_lossy(event.data()).contains(&word) {
                            return std::task::Poll::Ready(());
                        }
                    }
                    std::task::Poll::Ready(Next::End(why)) => panic!("{why:?}"),
                    std::task::Poll::Pending => return std::task::Poll::Pending,
                }
            }
        }))
        .await;
    }
}
