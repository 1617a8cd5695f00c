//! Where other nodes are reached over HTTP.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quire_relay::NodeId;
use serde::{Deserialize, Serialize};

use super::Cluster;

/// Addresses that are remembered. Of more, all are forgotten and asked for again.
const REMEMBERED: usize = 1024;

/// How long the answers of other nodes are waited for: without one, a session is lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where this node is reached, and others are.
#[derive(Debug)]
pub(super) struct Addresses {
    own: Option<Arc<str>>,
    others: Mutex<HashMap<NodeId, Arc<str>>>,
}

/// The question for the address of a node.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    address: String,
}

impl Addresses {
    pub(super) fn new(own: Option<Arc<str>>) -> Self {
        Self { own, others: Mutex::default() }
    }

    /// The answer to a question of another node, if it is one for an address: this node's own, or nothing.
    pub(super) fn answer(&self, node: NodeId, json: &str) -> Option<String> {
        let Question { address } = serde_json::from_str(json).ok()?;
        let own = self.own.as_deref().filter(|_| address == node.to_string());
        Some(own.unwrap_or_default().to_owned())
    }
}

impl Cluster {
    /// This node.
    pub(crate) fn node(&self) -> NodeId {
        self.0.relay.node()
    }

    /// Where another node is reached over HTTP, such as `http://10.0.0.7:1234`. `None` if it is gone, or says nothing.
    pub(crate) async fn address(&self, node: NodeId) -> Option<Arc<str>> {
        let others = &self.0.addresses.others;
        if let Some(known) = others.lock().unwrap_or_else(PoisonError::into_inner).get(&node) {
            return Some(Arc::clone(known));
        }
        let question = serde_json::to_string(&Question { address: node.to_string() }).ok()?;
        let found = self.ask_all(question, PATIENCE).await.into_iter().find(|address| !address.is_empty())?;
        let mut others = others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.len() >= REMEMBERED {
            others.clear();
        }
        others.insert(node, Arc::clone(&found));
        Some(found)
    }
}
