//! The task that owns the connection.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::memory::Chance;
use crate::redis::Shared;
use crate::redis::config::Target;
use crate::redis::outbox::Post;
use crate::redis::topics::Changes;
use crate::redis::wire::Wire;
use crate::relay::{Event, Topic};

/// How long the first attempt to connect again waits, and the later ones at most.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_millis(800);

/// A connection that has stood so long is one: the next is tried for at once.
const STOOD: Duration = Duration::from_secs(5);

/// Connects, and connects again, for as long as the relay lives.
pub(super) async fn own(shared: Arc<Shared>, target: Target, mut chance: Chance) {
    let mut wait = FIRST_WAIT;
    loop {
        let begun = Instant::now();
        let why = connection(&shared, &target, &mut chance).await;
        shared.apart(&target, &why);
        if begun.elapsed() >= STOOD {
            wait = FIRST_WAIT;
        }
        // Nodes that lost the same server do not come back in step.
        sleep(chance.time(&(wait / 2..=wait))).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Something that is done on a connection.
type Doing = Pin<Box<dyn Future<Output = Result<(), Why>> + Send>>;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("{0}")]
    Lost(&'static str),
    #[error("no answer to {0} within {1:?}")]
    Late(&'static str, Duration),
    #[error("{0}: {1}")]
    Failed(&'static str, RedisError),
}

/// What happens on a connection.
enum Step {
    /// It is of no use any more.
    Lost(&'static str),
    /// The node wants something, or there is something to send.
    Wanted,
    /// Subscriptions have been changed.
    Changed(Result<(), Why>),
    /// Messages have been sent.
    Sent(Result<(), Why>),
    /// It is time to ask for a sign of life.
    PingDue,
    /// There is one.
    Lives(Result<(), Why>),
}

/// One connection from its beginning to its end; says why it has ended.
async fn connection(shared: &Arc<Shared>, target: &Target, chance: &mut Chance) -> String {
    let (lost, mut losses) = mpsc::channel(1);
    let pushes = shared.hearing.of_connection(lost);
    let connecting = Wire::connect(target, shared.patience, pushes);
    match in_time(shared.patience, "the attempt to connect", connecting).await {
        Ok(wire) => {
            shared.hearing.topics().start_anew();
            serve(shared, target, &wire, &mut losses, chance).await.to_string()
        }
        Err(why) => why.to_string(),
    }
}

async fn serve(
    shared: &Arc<Shared>,
    target: &Target,
    wire: &Wire,
    losses: &mut mpsc::Receiver<&'static str>,
    chance: &mut Chance,
) -> Why {
    let mut changing: Option<Doing> = None;
    let mut sending: Option<Doing> = None;
    let mut pinging: Option<Doing> = None;
    let mut is_joined = false;
    let mut pings = interval(shared.ping_every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if changing.is_none() {
            let changes = shared.hearing.topics().take_changes();
            match changes {
                Some(changes) => changing = Some(change(shared, wire, changes)),
                // Everything is in force: what is missed is missed before this, and what is said from now on is heard.
                None if !is_joined => {
                    is_joined = true;
                    shared.joined(target);
                }
                None => {}
            }
        }
        if sending.is_none() && is_joined {
            let posts = shared.outbox().take();
            if !posts.is_empty() {
                sending = Some(send(shared, wire, posts));
            }
        }
        let step = tokio::select! {
            why = losses.recv() => Step::Lost(why.unwrap_or("the connection has ended")),
            result = done(&mut changing) => Step::Changed(result),
            result = done(&mut sending) => Step::Sent(result),
            result = done(&mut pinging) => Step::Lives(result),
            () = shared.wanted.notified() => Step::Wanted,
            _ = pings.tick() => Step::PingDue,
        };
        match step {
            Step::Lost(why) => return Why::Lost(why),
            Step::Wanted => {}
            Step::Changed(Ok(())) => changing = None,
            Step::Sent(Ok(())) => sending = None,
            Step::PingDue => {
                if pinging.is_none() {
                    pinging = Some(ping(shared, wire, chance.number()));
                }
            }
            Step::Lives(Ok(())) => pinging = None,
            Step::Changed(Err(why)) | Step::Sent(Err(why)) | Step::Lives(Err(why)) => return why,
        }
    }
}

/// Changes subscriptions. What is subscribed to is told to the node as the server confirms it.
fn change(shared: &Arc<Shared>, wire: &Wire, changes: Changes) -> Doing {
    let Changes { subscribe, unsubscribe, kept } = changes;
    for topic in kept {
        shared.hearing.teller.tell(Event::Subscribed(topic));
    }
    let channels = |topics: Vec<Topic>| -> Vec<String> {
        topics.iter().map(|topic| shared.hearing.channels.channel(topic)).collect()
    };
    let (subscribe, unsubscribe) = (channels(subscribe), channels(unsubscribe));
    let (wire, patience) = (wire.clone(), shared.patience);
    Box::pin(async move {
        in_time(patience, "UNSUBSCRIBE", wire.unsubscribe(unsubscribe)).await?;
        in_time(patience, "SUBSCRIBE", wire.subscribe(subscribe)).await
    })
}

/// Sends what has waited, and answers those who have asked how many nodes it reaches.
fn send(shared: &Arc<Shared>, wire: &Wire, posts: Vec<Post>) -> Doing {
    let topics = shared.hearing.topics();
    let mut letters = Vec::with_capacity(posts.len());
    let mut asked = Vec::new();
    for (number, post) in posts.into_iter().enumerate() {
        let Post { topic, envelope, answer } = post;
        letters.push((shared.hearing.channels.channel(&topic), envelope));
        if let Some(answer) = answer {
            asked.push((number, answer, topics.is_counted(&topic)));
        }
    }
    drop(topics);
    let (shared, wire) = (Arc::clone(shared), wire.clone());
    let mut under_way = UnderWay { shared: Arc::clone(&shared), letters: letters.len() };
    Box::pin(async move {
        let counts = in_time(shared.patience, "PUBLISH", wire.publish(&letters)).await?;
        let counters = &shared.hearing.counters;
        counters.published.add(under_way.sent());
        counters.published_bytes.add(letters.iter().map(|(_, envelope)| envelope.len()).sum());
        for (number, answer, is_counted) in asked {
            let others = |count: usize| Some(count.saturating_sub(usize::from(is_counted?)));
            // Whoever asked may have gone.
            let _ = answer.send(counts.get(number).copied().and_then(others));
        }
        Ok(())
    })
}

/// Letters that are being sent. They count as unsent unless they are known to have been: also if the connection is given up for another reason
/// while they wait.
struct UnderWay {
    shared: Arc<Shared>,
    letters: usize,
}

impl UnderWay {
    /// They have been sent. Gives how many.
    fn sent(&mut self) -> usize {
        std::mem::take(&mut self.letters)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.shared.hearing.counters.unsent.add(self.letters);
    }
}

fn ping(shared: &Arc<Shared>, wire: &Wire, word: u64) -> Doing {
    let (wire, patience) = (wire.clone(), shared.patience);
    Box::pin(async move { in_time(patience, "PING", wire.ping(word)).await })
}

async fn in_time<T>(
    patience: Duration,
    what: &'static str,
    doing: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, Why> {
    match timeout(patience, doing).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Why::Failed(what, error)),
        Err(_) => Err(Why::Late(what, patience)),
    }
}

/// Waits for what is under way, for ever if nothing is.
async fn done(doing: &mut Option<Doing>) -> Result<(), Why> {
    match doing {
        Some(doing) => doing.await,
        None => pending().await,
    }
}
