//! A connection to Redis, or to the servers of a Redis Cluster.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::{AsyncPushSender, ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo};
use redis::{
    AsyncConnectionConfig, Client, Pipeline, ProtocolVersion, RedisError, RedisResult, Value, cmd, pipe,
};

use crate::redis::config::Target;

/// What a message of this connection's server says on channels, and that a topic is subscribed to, goes to the push sender it was made with.
///
/// In a cluster, channels are sharded: each is held by the server that owns its slot. Otherwise every message would go to all
/// servers, and the number of receivers would be that of one server only.
#[derive(Clone)]
pub(super) enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A channel and an envelope for it.
pub(super) type Letter = (String, bytes::Bytes);

impl Wire {
    /// Connects. An answer that takes longer than the patience is an error.
    pub(super) async fn connect(
        target: &Target,
        patience: Duration,
        pushes: impl AsyncPushSender,
    ) -> RedisResult<Self> {
        match target {
            Target::One(server) => {
                // The time that answers may take is measured by the owner, who gives the whole connection up.
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(patience))
                    .set_response_timeout(None)
                    .set_push_sender(pushes);
                let client = Client::open((**server).clone())?;
                Ok(Self::One(client.get_multiplexed_async_connection_with_config(&config).await?))
            }
            Target::Cluster(servers) => {
                let client = ClusterClient::builder(servers.clone())
                    .use_protocol(ProtocolVersion::RESP3)
                    .connection_timeout(patience)
                    .response_timeout(patience)
                    .overall_response_timeout(None)
                    // Enough to follow a slot that has moved.
                    .retries(2)
                    .push_sender(pushes)
                    .build()?;
                Ok(Self::Cluster(client.get_async_connection().await?))
            }
        }
    }

    /// Subscribes to channels; resolves when the servers have confirmed them all.
    pub(super) async fn subscribe(&self, channels: Vec<String>) -> RedisResult<()> {
        match self {
            Self::One(_) if channels.is_empty() => Ok(()),
            Self::One(one) => one.clone().subscribe(channels).await,
            Self::Cluster(cluster) => {
                let each = channels.into_iter().map(|channel| {
                    let mut cluster = cluster.clone();
                    async move { cluster.ssubscribe(channel).await }
                });
                join_all(each).await.into_iter().collect()
            }
        }
    }

    /// Unsubscribes from channels; resolves when the servers have confirmed that.
    pub(super) async fn unsubscribe(&self, channels: Vec<String>) -> RedisResult<()> {
        match self {
            // Without a channel it would be from all.
            Self::One(_) if channels.is_empty() => Ok(()),
            Self::One(one) => one.clone().unsubscribe(channels).await,
            Self::Cluster(cluster) => {
                let each = channels.into_iter().map(|channel| {
                    let mut cluster = cluster.clone();
                    async move { cluster.sunsubscribe(channel).await }
                });
                join_all(each).await.into_iter().collect()
            }
        }
    }

    /// Publishes letters, those for one channel in their order; says for each how many clients have got it.
    pub(super) async fn publish(&self, letters: &[Letter]) -> RedisResult<Vec<usize>> {
        match self {
            Self::One(one) => publish(one.clone(), "PUBLISH", letters.iter()).await,
            Self::Cluster(cluster) => {
                let mut by_channel: HashMap<&str, Vec<usize>> = HashMap::new();
                for (number, (channel, _)) in letters.iter().enumerate() {
                    by_channel.entry(channel).or_default().push(number);
                }
                let each = by_channel.into_values().map(|numbers| async move {
                    let some = numbers.iter().filter_map(|number| letters.get(*number));
                    let counts = publish(cluster.clone(), "SPUBLISH", some).await?;
                    Ok::<_, RedisError>(numbers.into_iter().zip(counts))
                });
                let mut counts = vec![0; letters.len()];
                for some in join_all(each).await {
                    for (number, count) in some? {
                        if let Some(place) = counts.get_mut(number) {
                            *place = count;
                        }
                    }
                }
                Ok(counts)
            }
        }
    }

    /// Asks every server for a sign of life. One that answers something else has answered another question: it is as good as
    /// dead, since every answer of it would be taken for that to another one.
    pub(super) async fn ping(&self, word: u64) -> RedisResult<()> {
        let word = format!("{word:016x}");
        let mut ping = cmd("PING");
        ping.arg(&word);
        let answer = match self {
            Self::One(one) => one.clone().send_packed_command(&ping).await?,
            Self::Cluster(cluster) => {
                let all = (MultipleNodeRoutingInfo::AllMasters, Some(ResponsePolicy::AllSucceeded));
                cluster.clone().route_command(ping, RoutingInfo::MultiNode(all)).await?
            }
        };
        if redis::from_redis_value::<String>(answer)? == word {
            Ok(())
        } else {
            Err((redis::ErrorKind::UnexpectedReturnType, "the answer to another question").into())
        }
    }
}

async fn publish<'a>(
    mut connection: impl ConnectionLike,
    command: &str,
    letters: impl Iterator<Item = &'a Letter>,
) -> RedisResult<Vec<usize>> {
    let mut pipeline: Pipeline = pipe();
    for (channel, envelope) in letters {
        pipeline.cmd(command).arg(channel).arg(&**envelope);
    }
    let count = pipeline.len();
    let answers = connection.req_packed_commands(&pipeline, 0, count).await?;
    let counts = answers.into_iter().map(|answer| match answer {
        Value::ServerError(error) => Err(error.into()),
        answer => Ok(redis::from_redis_value(answer)?),
    });
    counts.collect()
}
