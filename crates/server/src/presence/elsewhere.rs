//! Who is where at other nodes: what is asked, and what is answered, as JSON.

use std::collections::{BTreeMap, BTreeSet};

use quire_sync_protocol::DocId;
use serde::{Deserialize, Serialize};

use super::person::PersonKey;
use super::whereabouts::{Sighting, Whereabouts};

/// A question to every node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// Where one person is, or was.
    Sighting {
        /// Its key.
        person: String,
    },
    /// Who is online behind a person, in the order of their keys.
    Online {
        /// That person's key.
        after: Option<String>,
        /// How many, at most.
        limit: usize,
    },
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Seen {
    docs: Vec<String>,
    last: Option<(u64, String)>,
}

impl Question {
    /// As JSON.
    pub(crate) fn json(&self) -> String {
        // Strings and numbers can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What this node knows; `None` if the question is none that it knows.
    pub(crate) fn answer(json: &str, whereabouts: &Whereabouts) -> Option<String> {
        match serde_json::from_str(json).ok()? {
            Self::Sighting { person } => {
                let Sighting { docs, last } = whereabouts.sighting(&PersonKey::parse(&person)?);
                let docs = docs.iter().map(|doc| doc.as_str().to_owned()).collect();
                let last = last.map(|(at, doc)| (at, doc.as_str().to_owned()));
                serde_json::to_string(&Seen { docs, last }).ok()
            }
            Self::Online { after, limit } => {
                let after = after.as_deref().and_then(PersonKey::parse);
                let online = whereabouts.online(after.as_ref(), limit);
                let names = |docs: Vec<DocId>| docs.iter().map(|doc| doc.as_str().to_owned()).collect();
                let online: Vec<(String, Vec<String>)> =
                    online.into_iter().map(|(person, docs)| (person.to_string(), names(docs))).collect();
                serde_json::to_string(&online).ok()
            }
        }
    }
}

impl Sighting {
    /// Adds what another node has answered. What is no answer says nothing.
    pub(crate) fn add(&mut self, answer: &str) {
        let Ok(Seen { docs, last }) = serde_json::from_str::<Seen>(answer) else { return };
        let known: BTreeSet<_> =
            self.docs.drain(..).chain(docs.iter().filter_map(|doc| DocId::new(doc).ok())).collect();
        self.docs.extend(known);
        let last = last.and_then(|(at, doc)| Some((at, DocId::new(&doc).ok()?)));
        self.last = self.last.take().max(last);
    }
}

/// Who is online here and, by their answers, at other nodes: at most `limit`, in the order of their keys.
pub(crate) fn online(
    here: Vec<(PersonKey, Vec<DocId>)>,
    answers: &[impl AsRef<str>],
    limit: usize,
) -> Vec<(PersonKey, Vec<DocId>)> {
    let mut all: BTreeMap<PersonKey, BTreeSet<DocId>> =
        here.into_iter().map(|(person, docs)| (person, docs.into_iter().collect())).collect();
    for answer in answers {
        let Ok(online) = serde_json::from_str::<Vec<(String, Vec<String>)>>(answer.as_ref()) else {
            continue;
        };
        for (person, docs) in online {
            let Some(person) = PersonKey::parse(&person) else { continue };
            all.entry(person).or_default().extend(docs.iter().filter_map(|doc| DocId::new(doc).ok()));
        }
    }
    all.into_iter().take(limit).map(|(person, docs)| (person, docs.into_iter().collect())).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Moment;
    use super::super::people::Move;
    use super::*;

    fn doc(name: &str) -> DocId {
        DocId::new(name).unwrap()
    }

    fn known(name: &str) -> PersonKey {
        PersonKey::Known(name.into())
    }

    fn node(moves: &[(&str, Move)]) -> Whereabouts {
        let whereabouts = Whereabouts::new(1000, Arc::default());
        for (name, one) in moves {
            let at = Moment { now: std::time::Instant::now(), wall: 5 };
            whereabouts.note(&doc(name), std::slice::from_ref(one), at);
        }
        whereabouts
    }

    #[test]
    fn what_nodes_know_is_put_together() {
        let came = |name: &str| Move::Came(known(name));
        let here = node(&[("a", came("ada")), ("b", came("ada"))]);
        let there = node(&[
            ("b", came("ada")),
            ("c", came("bob")),
            ("d", came("ada")),
            ("d", Move::Left(known("ada"))),
        ]);
        let question = Question::Sighting { person: "user:ada".to_owned() }.json();
        let mut sighting = here.sighting(&known("ada"));
        sighting.add(&Question::answer(&question, &there).unwrap());
        assert_eq!(sighting, Sighting { docs: vec![doc("a"), doc("b")], last: Some((5, doc("d"))) });
        let question = Question::Online { after: None, limit: 10 }.json();
        let answer = Question::answer(&question, &there).unwrap();
        let all = online(here.online(None, 10), &[answer, "nonsense".to_owned()], 10);
        assert_eq!(all, [(known("ada"), vec![doc("a"), doc("b")]), (known("bob"), vec![doc("c")])]);
        assert_eq!(Question::answer("{\"what\":1}", &there), None);
    }
}
