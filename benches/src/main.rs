//! `load`: what Quire costs, beside a bare broadcast server in the same run.
//!
//! Starts both servers in turn, several times, and prints what it measured as JSON on standard output and as lines on
//! standard error. It ends with an error if a single edit did not reach everybody it had to reach, or was not
//! confirmed.

mod bare;
mod client;
mod edit;
mod process;
mod report;
mod scenario;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};

use report::{Machine, Outcome, Report};
use scenario::{Scenario, Subject};

#[derive(Debug, Parser)]
#[command(about = "Measures Quire beside a bare broadcast server, or any Yjs server")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure.
    Run(Run),
    /// Be the bare server.
    Bare(Bare),
}

#[derive(Debug, Args)]
struct Run {
    /// What to measure; everything but smoke if nothing is named.
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,
    /// Quire's binary, a release build.
    #[arg(long, default_value = "target/release/quire")]
    quire: PathBuf,
    /// Quire's storage engine.
    #[arg(long, default_value = "redb")]
    store: String,
    /// A folder on a real device, for Quire's data.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    data: PathBuf,
    /// How often each scenario runs with each server, in turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long clients type.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Another server that speaks y-websocket, besides: `ws://host:port/{doc}`.
    #[arg(long)]
    url: Option<String>,
    /// Its process on this machine, for its processor time and memory.
    #[arg(long, requires = "url")]
    pid: Option<u32>,
    /// Measure only these: quire, bare, other.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

#[derive(Debug, Args)]
struct Bare {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The size of the answer to a client's question for content.
    #[arg(long, default_value_t = 0)]
    answer_bytes: usize,
}

fn main() -> Result<()> {
    // As many files as there are connections.
    rlimit::increase_nofile_limit(u64::MAX).context("the limit of open files")?;
    match Cli::parse().command {
        Command::Bare(Bare { listen, answer_bytes }) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(bare::run(listen, answer_bytes))
        }
        Command::Run(run) => {
            // One thread, so that the server has the other cores.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let report = runtime.block_on(measure(&run))?;
            println!("{}", serde_json::to_string_pretty(&report)?);
            Ok(())
        }
    }
}

async fn measure(run: &Run) -> Result<Report> {
    const ALL: [Scenario; 7] = [
        Scenario::Fanout100,
        Scenario::Fanout1000,
        Scenario::Documents,
        Scenario::Idle,
        Scenario::Joins,
        Scenario::B4,
        Scenario::Watch,
    ];
    let quire = std::path::absolute(&run.quire)?;
    let mut subjects = vec![
        Subject::Bare,
        Subject::Quire { program: quire, store: run.store.clone(), data: run.data.clone() },
    ];
    subjects.extend(run.url.clone().map(|url| Subject::Other { url, pid: run.pid }));
    subjects.retain(|subject| run.only.is_empty() || run.only.iter().any(|only| only == subject.name()));
    let scenarios = if run.scenarios.is_empty() { &ALL[..] } else { &run.scenarios };
    let mut results: Vec<Outcome> = Vec::new();
    for scenario in scenarios {
        for round in 1..=run.rounds {
            for subject in &subjects {
                let server = subject.name();
                let parts = scenario.run(subject, run.seconds).await;
                let parts = parts.with_context(|| format!("{} with {server}", scenario.name()))?;
                let several = parts.len() > 1;
                for (part, figures) in parts.into_iter().enumerate() {
                    let name = scenario.name();
                    let scenario = if several { format!("{name}-{}", part + 1) } else { name.into() };
                    let outcome = Outcome { scenario, server: server.into(), round, figures };
                    outcome.tell();
                    results.push(outcome);
                }
            }
        }
    }
    let ratios = report::ratios(&results);
    for ratio in &ratios {
        eprintln!(
            "{:<12} {:<12} quire {:>10.2} bare {:>10.2} ratio {:.2}",
            ratio.scenario, ratio.figure, ratio.quire, ratio.bare, ratio.ratio
        );
    }
    Ok(Report { machine: Machine::here(), results, ratios })
}
