//! `relay-table`: what it costs to tell other nodes of an edit through one Redis, by pub/sub as the relay does it, and by streams.
//!
//! Pub/sub is measured with the relay itself: the node that speaks and those that hear are real `RedisRelay`s. For streams, each document has one; the
//! speaker appends with a bound on the length, the same number of envelopes in one go, and each listener waits for all of its
//! documents' streams with one blocking `XREAD`. Prints the table of `benches/README.md`.

mod streams;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use clap::Parser;
use quire_relay::{Capacity, Event, Events, Message, RedisConfig, RedisRelay, Relay, State, Topic};
use quire_sync_protocol::DocId;
use quire_testkit::redis::RedisServer;

/// Clock ticks of `/proc/PID/stat` in a second, on every Linux there is.
const TICKS: f64 = 100.0;

/// Envelopes that are under way at a time, at full speed: what the relay sends in one go at the most.
const AT_ONCE: u64 = 512;

/// How long a message may be under way.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Parser)]
#[command(about = "Measures pub/sub and streams of Redis side by side")]
struct Cli {
    /// Documents that every node has open.
    #[arg(long, value_delimiter = ',', default_value = "100,1000")]
    documents: Vec<u64>,
    /// Nodes that hear.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3")]
    nodes: Vec<usize>,
    /// Messages at full speed.
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
}

/// What one way does.
#[derive(Debug)]
struct Figures {
    /// Messages a second, heard by everybody.
    rate: f64,
    /// Processor time of the server for each message.
    server: Duration,
    /// Processor time of all nodes for each message.
    nodes: Duration,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    println!(
        "| documents | other nodes | way | messages a second | CPU of Redis each | CPU of all nodes each |"
    );
    println!("|---|---|---|---|---|---|");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for documents in &cli.documents {
        for nodes in &cli.nodes {
            for way in ["pub/sub", "streams"] {
                let redis = RedisServer::start();
                let figures = runtime.block_on(async {
                    match way {
                        "pub/sub" => by_pubsub(&redis, *documents, *nodes, &cli).await,
                        _ => streams::measure(&redis, *documents, *nodes, &cli).await,
                    }
                })?;
                let us = |time: Duration| time.as_nanos() as f64 / 1000.0;
                println!(
                    "| {documents} | {nodes} | {way} | {:.0} | {:.1} us | {:.1} us |",
                    figures.rate,
                    us(figures.server),
                    us(figures.nodes),
                );
            }
        }
    }
    Ok(())
}

/// An edit of 50 bytes, as a node tells others of it.
fn edit(seq: u64) -> Message {
    Message::Edits { epoch: 1, first: seq, last: seq, updates: vec![Bytes::from_static(&[7; 50])] }
}

fn name(number: u64) -> String {
    format!("team/document-{number:06}")
}

async fn by_pubsub(redis: &RedisServer, documents: u64, nodes: usize, cli: &Cli) -> Result<Figures> {
    let topics = (0..documents)
        .map(|number| Ok(Topic::Document(DocId::new(&name(number))?)))
        .collect::<Result<Vec<_>>>()?;
    let mut config = RedisConfig::parse(&redis.url())?;
    // All of it, if the listeners get no processor while the speaker speaks: what is dropped cannot be measured.
    config.events = Capacity { count: usize::MAX, bytes: usize::MAX };
    let mut listeners = Vec::new();
    for _ in 0..nodes {
        listeners.push(node(&config, &topics).await?);
    }
    // It has the documents open, too.
    let (speaker, _own) = node(&config, &topics).await?;

    let topic = |seq: u64| topics.get((seq % documents) as usize).context("a document");
    let clock = Clock::start(redis)?;
    let speaking = async {
        for seq in 0..cli.messages {
            if (seq + 1) % AT_ONCE == 0 {
                speaker.ask(topic(seq)?, &edit(seq)).await.context("the server's answer")?;
            } else {
                speaker.publish(topic(seq)?, &edit(seq));
            }
        }
        Ok::<_, anyhow::Error>(())
    };
    let hearing = listeners.iter_mut().map(|(_, events)| hear(events, cli.messages));
    let (spoken, heard) = tokio::join!(speaking, futures_util::future::try_join_all(hearing));
    spoken?;
    heard?;
    let (rate, server, nodes) = clock.stop(redis, cli.messages)?;
    Ok(Figures { rate, server, nodes })
}

/// A node that hears of all topics.
async fn node(config: &RedisConfig, topics: &[Topic]) -> Result<(Arc<RedisRelay>, Events)> {
    let (relay, mut events) = RedisRelay::start(config)?;
    for topic in topics {
        relay.subscribe(topic);
    }
    let (mut missing, mut is_connected) = (topics.len(), false);
    while missing > 0 || !is_connected {
        match tokio::time::timeout(PATIENCE, events.next()).await.context("subscriptions")? {
            Event::Subscribed(_) => missing -= 1,
            Event::State(state) => is_connected = state == State::Connected,
            Event::Heard { .. } | Event::Missed(_) | Event::MissedAny => {}
        }
    }
    Ok((relay, events))
}

/// Hears so many messages.
async fn hear(events: &mut Events, count: u64) -> Result<()> {
    let mut missing = count;
    while missing > 0 {
        match tokio::time::timeout(PATIENCE, events.next()).await.context("a message")? {
            Event::Heard { message: Message::Edits { .. }, .. } => missing -= 1,
            Event::State(_) => {}
            // From when it had connected.
            Event::MissedAny if missing == count => {}
            other => bail!("{other:?} came instead of a message"),
        }
    }
    Ok(())
}

/// Measures time and processor time.
struct Clock {
    begun: Instant,
    server: Duration,
    own: Duration,
}

impl Clock {
    fn start(redis: &RedisServer) -> Result<Self> {
        Ok(Self { begun: Instant::now(), server: cpu(redis.pid())?, own: cpu(std::process::id())? })
    }

    /// Messages a second, and the processor time of server and nodes for each.
    fn stop(&self, redis: &RedisServer, messages: u64) -> Result<(f64, Duration, Duration)> {
        let rate = messages as f64 / self.begun.elapsed().as_secs_f64();
        let each = |now: Duration, before: Duration| now.saturating_sub(before).div_f64(messages as f64);
        Ok((rate, each(cpu(redis.pid())?, self.server), each(cpu(std::process::id())?, self.own)))
    }
}

/// The processor time that a process has taken so far.
fn cpu(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; behind it are the state and 10 numbers that do not matter here.
    let (_, numbers) = stat.rsplit_once(')').context("an unknown layout of /proc/PID/stat")?;
    let ticks = numbers.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(Duration::from_secs_f64(ticks.sum::<Result<f64, _>>()? / TICKS))
}
