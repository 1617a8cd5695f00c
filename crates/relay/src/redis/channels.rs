//! The channels of topics.

use std::sync::Arc;

use quire_sync_protocol::DocId;

use crate::relay::Topic;

/// Makes channels of topics and back. A channel is the prefix, which has no slash, then `/doc/` or `/user/` and the name as it is, or
/// `/cluster`: so no two prefixes share a channel. Channels are never used as patterns.
#[derive(Debug)]
pub(super) struct Channels {
    prefix: String,
}

impl Channels {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub(super) fn channel(&self, topic: &Topic) -> String {
        let (kind, name) = match topic {
            Topic::Document(doc) => ("/doc/", doc.as_str()),
            Topic::User(user) => ("/user/", &**user),
            Topic::Cluster => ("/cluster", ""),
        };
        [&self.prefix, kind, name].concat()
    }

    /// The topic of a channel; `None` for one of somebody else.
    pub(super) fn topic(&self, channel: &[u8]) -> Option<Topic> {
        let channel = std::str::from_utf8(channel).ok()?.strip_prefix(&self.prefix)?;
        if let Some(name) = channel.strip_prefix("/doc/") {
            return DocId::new(name).ok().map(Topic::Document);
        }
        if let Some(name) = channel.strip_prefix("/user/") {
            return Some(Topic::User(Arc::from(name)));
        }
        (channel == "/cluster").then_some(Topic::Cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_have_their_channels() {
        let channels = Channels::new("quire");
        let odd = "*?[^a]{x}\\/doc/ \u{e9}\u{1f600}";
        let topics = [
            (Topic::Document(DocId::new(odd).unwrap()), format!("quire/doc/{odd}")),
            (Topic::User(odd.into()), format!("quire/user/{odd}")),
            (Topic::User("".into()), "quire/user/".to_owned()),
            (Topic::Cluster, "quire/cluster".to_owned()),
        ];
        for (topic, channel) in topics {
            assert_eq!(channels.channel(&topic), channel);
            assert_eq!(channels.topic(channel.as_bytes()), Some(topic));
        }
    }

    #[test]
    fn other_channels_are_of_somebody_else() {
        let channels = Channels::new("quire");
        for channel in ["quire2/doc/a", "quir", "quire/doc/", "quire/cluster/", "quire/docs/a", "doc/a"] {
            assert_eq!(channels.topic(channel.as_bytes()), None, "{channel}");
        }
        assert_eq!(channels.topic(b"quire/doc/\xff"), None);
    }
}
