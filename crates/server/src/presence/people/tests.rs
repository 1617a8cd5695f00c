use quire_sync_protocol::{Origin, SessionId};

use super::*;

/// People, and the events that came of them.
struct Scene {
    people: People,
    start: Instant,
    ms: u64,
}

impl Scene {
    fn new() -> Self {
        Self { people: People::default(), start: Instant::now(), ms: 0 }
    }

    fn moment(&self) -> Moment {
        Moment { now: self.start + Duration::from_millis(self.ms), wall: self.ms }
    }

    /// What comes of these changes: of each `client identity state`; a state of `-` is one that has gone.
    fn see(&mut self, changes: &[(u64, Option<&str>, &str)]) -> (Vec<String>, Vec<Move>) {
        let changes: Vec<_> = changes
            .iter()
            .map(|(client, identity, state)| PresenceChange {
                client: ClientId::new(*client).unwrap(),
                now: (*state != "-").then(|| Present {
                    origin: Origin::Session(SessionId(1)),
                    identity: identity.map(Into::into),
                    state: (*state).into(),
                }),
            })
            .collect();
        let mut news = News::default();
        let moves = self.people.apply(&changes, self.moment(), &mut news);
        (events(news), moves)
    }

    fn tick(&mut self, ms: u64) -> Vec<String> {
        self.ms = ms;
        let mut news = News::default();
        self.people.tick(self.moment(), &mut news);
        events(news)
    }
}

fn events(news: News) -> Vec<String> {
    news.into_events().into_iter().map(|(name, json)| format!("{name} {json}")).collect()
}

const ADA: Option<&str> = Some("ada");

#[test]
fn several_tabs_are_one_person() {
    let mut scene = Scene::new();
    let (events, moves) = scene.see(&[(1, ADA, r#"{"user":{"name":"Ada"}}"#)]);
    assert_eq!(
        events,
        [
            r#"join {"person":"user:ada","verified":true,"user":{"name":"Ada"},"clients":[1],"since":0,"typing":false}"#
        ]
    );
    assert_eq!(moves, [Move::Came(PersonKey::Known("ada".into()))]);
    let (events, moves) = scene.see(&[(2, ADA, r#"{"user":{"name":"Ada"}}"#)]);
    assert!(
        events.len() == 1 && events[0].starts_with("change") && events[0].contains("[1,2]"),
        "{events:?}"
    );
    assert_eq!(moves, []);
    let (events, moves) = scene.see(&[(1, None, "-")]);
    assert!(events[0].starts_with("change") && moves.is_empty(), "{events:?}");
    let (events, moves) = scene.see(&[(2, None, "-")]);
    assert_eq!(events, [r#"leave {"last_seen":0,"person":"user:ada"}"#]);
    assert_eq!(moves, [Move::Left(PersonKey::Known("ada".into()))]);
    assert!(scene.people.is_empty() && scene.people.persons.is_empty());
}

#[test]
fn who_comes_back_in_the_same_breath_has_not_left() {
    let mut scene = Scene::new();
    scene.see(&[(1, ADA, "{}")]);
    let (events, moves) = scene.see(&[(1, None, "-"), (2, ADA, "{}")]);
    assert!(events.len() == 1 && events[0].starts_with("change"), "{events:?}");
    assert_eq!(moves, []);
    let (events, moves) = scene.see(&[(3, None, "{}"), (3, None, "-")]);
    assert_eq!((events, moves), (vec![], vec![]));
}

#[test]
fn a_client_that_says_it_is_somebody_else_is_somebody_else() {
    let mut scene = Scene::new();
    scene.see(&[(1, None, "{}")]);
    let (_, moves) = scene.see(&[(1, None, r#"{"user":{"id":"x"}}"#)]);
    assert_eq!(moves, [Move::Came(PersonKey::Claimed("x".into())), Move::Left(PersonKey::Client(1))]);
    let (_, moves) = scene.see(&[(1, ADA, r#"{"user":{"id":"x"}}"#)]);
    assert_eq!(
        moves,
        [Move::Came(PersonKey::Known("ada".into())), Move::Left(PersonKey::Claimed("x".into()))]
    );
    // A cursor that moves is no news.
    assert_eq!(scene.see(&[(1, ADA, r#"{"user":{"id":"x"},"cursor":1}"#)]), (vec![], vec![]));
}

#[test]
fn typing_ends_after_its_last_sign_of_life() {
    let mut scene = Scene::new();
    scene.see(&[(1, ADA, "{}"), (2, ADA, "{}")]);
    let typing = |is: bool| vec![format!(r#"typing {{"person":"user:ada","typing":{is}}}"#)];
    assert_eq!(scene.see(&[(1, ADA, r#"{"typing":1}"#)]).0, typing(true));
    scene.ms = 1000;
    assert_eq!(scene.see(&[(1, ADA, r#"{"typing":2}"#)]).0, Vec::<String>::new());
    scene.ms = 2000;
    // A renewal says the same again.
    assert_eq!(scene.see(&[(1, ADA, r#"{"typing":2}"#)]).0, Vec::<String>::new());
    assert_eq!(scene.people.wake(), Some(scene.start + Duration::from_millis(4500)));
    assert_eq!(scene.tick(4499), Vec::<String>::new());
    assert_eq!(scene.tick(4500), typing(false));
    assert_eq!(scene.people.wake(), None);
    assert_eq!(scene.see(&[(1, ADA, r#"{"typing":2}"#)]).0, Vec::<String>::new());
    assert_eq!(scene.see(&[(1, ADA, r#"{"typing":3}"#)]).0, typing(true));
    assert_eq!(scene.see(&[(1, ADA, r#"{"typing":null}"#)]).0, typing(false));
    // One tab of two that types is enough.
    assert_eq!(scene.see(&[(1, ADA, r#"{"typing":4}"#), (2, ADA, r#"{"typing":4}"#)]).0, typing(true));
    assert_eq!(scene.see(&[(1, ADA, r#"{"typing":null}"#)]).0, Vec::<String>::new());
    let (events, _) = scene.see(&[(2, ADA, "-")]);
    assert!(events.len() == 1 && events[0].ends_with(r#""typing":false}"#), "{events:?}");
}

#[test]
fn the_whole_is_the_sum_of_the_events() {
    let mut scene = Scene::new();
    scene.see(&[(1, ADA, "{}"), (2, None, r#"{"user":{"id":"b","name":"B"}}"#)]);
    let all: serde_json::Value = serde_json::from_str(&scene.people.snapshot()).unwrap();
    let keys: Vec<_> = all["people"].as_array().unwrap().iter().map(|person| &person["person"]).collect();
    assert_eq!(keys, ["user:ada", "claimed:b"]);
    let mut news = News::default();
    let moves = scene.people.clear(scene.moment(), &mut news);
    assert_eq!((moves.len(), events(news).len()), (2, 2));
    assert_eq!(scene.people.snapshot(), r#"{"people":[]}"#);
}
