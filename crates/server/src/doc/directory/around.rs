//! What is around documents: people, notifications, other nodes.

use std::time::Duration;

use quire_sync_protocol::DocId;

use super::Directory;
use crate::cluster::Cluster;
use crate::notify::Notifications;
use crate::presence::elsewhere::{self, Question};
use crate::presence::{Attendance, PersonKey, Sighting, Whereabouts};

/// How long the answers of other nodes are waited for. Who has not answered by then is left out.
const ANSWERS: Duration = Duration::from_millis(500);

impl Directory {
    /// The other nodes, if there may be some.
    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        self.shared.cluster.as_ref()
    }

    /// Who is where, as far as this node knows.
    pub(crate) fn whereabouts(&self) -> &Whereabouts {
        &self.shared.whereabouts
    }

    /// Notifications, which are in the same store.
    pub(crate) fn notifications(&self) -> &Notifications {
        &self.shared.notifications
    }

    /// Who is in this document. Where there are other nodes, which may have it open, it is opened here as well, and stays open as long as
    /// this is held.
    pub(crate) async fn attendance(&self, doc: &DocId) -> Attendance {
        // One that cannot be opened has nobody in it.
        let handle = match &self.shared.cluster {
            Some(_) => self.open(doc).await.ok(),
            None => None,
        };
        self.shared.whereabouts.of(doc).holding(handle)
    }

    /// Where somebody is, or was, at any node.
    pub(crate) async fn sighting(&self, person: &PersonKey) -> Sighting {
        let mut sighting = self.shared.whereabouts.sighting(person);
        if let Some(cluster) = &self.shared.cluster {
            let question = Question::Sighting { person: person.to_string() };
            for answer in cluster.ask_all(question.json(), ANSWERS).await {
                sighting.add(&answer);
            }
        }
        sighting
    }

    /// At most `limit` of those who are online at any node, behind `after`, in the order of their keys, each with its documents.
    pub(crate) async fn online(
        &self,
        after: Option<&PersonKey>,
        limit: usize,
    ) -> Vec<(PersonKey, Vec<DocId>)> {
        let here = self.shared.whereabouts.online(after, limit);
        let Some(cluster) = &self.shared.cluster else { return here };
        let question = Question::Online { after: after.map(ToString::to_string), limit };
        let answers = cluster.ask_all(question.json(), ANSWERS).await;
        elsewhere::online(here, &answers, limit)
    }
}
