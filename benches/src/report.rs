//! What a run found, as JSON and as lines for people.

use std::process::Command;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Everything that one run found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) results: Vec<Outcome>,
    /// What Quire took as a multiple of what the bare server took, by medians.
    pub(crate) ratios: Vec<Ratio>,
}

/// Where it ran.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) commit: String,
}

/// One scenario with one server.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: String,
    pub(crate) server: String,
    pub(crate) round: usize,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// What was measured. What does not apply is absent.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(default)]
pub(crate) struct Figures {
    /// What the figures are divided by: edits that reached a reader, connections, or joins.
    pub(crate) count: u64,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
    /// The server's processor time for each of `count`, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_us_each: Option<f64>,
    /// From sending an edit to its arrival at a reader; of joins, from connecting to being synced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Latency>,
    /// From sending an edit to its confirmation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) confirmation: Option<Latency>,
    /// The server's memory at the end, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resident_bytes: Option<u64>,
    /// What of it came with each of `count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_each: Option<f64>,
    /// What of it came with each connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connection_bytes: Option<f64>,
    /// The size of the first sync, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sync_bytes: Option<usize>,
}

/// Times, in microseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

/// Quire's share of a figure.
#[derive(Debug, Serialize)]
pub(crate) struct Ratio {
    pub(crate) scenario: String,
    pub(crate) figure: &'static str,
    pub(crate) quire: f64,
    pub(crate) bare: f64,
    pub(crate) ratio: f64,
}

/// Collects times.
#[derive(Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Self {
        // Three digits, from a microsecond to a minute.
        let histogram = Histogram::new_with_bounds(1, 60_000_000, 3);
        Self(histogram.expect("the bounds are in order and the digits between 0 and 5"))
    }

    pub(crate) fn add(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// `None` if there are none.
    pub(crate) fn latency(&self) -> Option<Latency> {
        let at = |quantile| self.0.value_at_quantile(quantile);
        (!self.0.is_empty()).then(|| Latency {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: self.0.max(),
        })
    }
}

impl Machine {
    /// This one.
    pub(crate) fn here() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let commit = Command::new("git").args(["describe", "--always", "--dirty"]).output();
        Self {
            cpu: model.map_or_else(|| "unknown".into(), |(_, name)| name.trim().to_owned()),
            cores: std::thread::available_parallelism().map_or(0, Into::into),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            commit: commit
                .map_or_else(|_| String::new(), |out| String::from_utf8_lossy(&out.stdout).trim().into()),
        }
    }
}

impl Outcome {
    /// Says it in a line on standard error.
    pub(crate) fn tell(&self) {
        let Figures { count, seconds, cpu_us_each, latency, confirmation, bytes_each, sync_bytes, .. } =
            &self.figures;
        let connection_bytes = &self.figures.connection_bytes;
        let mut line =
            format!("{:<12} {:<6} {}: {count} in {seconds:.2} s", self.scenario, self.server, self.round);
        if let Some(cpu) = cpu_us_each {
            line += &format!(", cpu {cpu:.2} us each");
        }
        for (name, times) in [("latency", latency), ("confirmed", confirmation)] {
            if let Some(Latency { p50, p99, max, .. }) = times {
                line += &format!(", {name} p50 {p50} p99 {p99} max {max} us");
            }
        }
        if let Some(bytes) = bytes_each {
            line += &format!(", {bytes:.0} bytes each");
        }
        if let Some(bytes) = connection_bytes {
            line += &format!(", {bytes:.0} bytes for each connection");
        }
        if let Some(bytes) = sync_bytes {
            line += &format!(", sync of {bytes} bytes");
        }
        eprintln!("{line}");
    }
}

/// One figure of an outcome.
type Figure = fn(&Figures) -> Option<f64>;

/// Compares Quire with the bare server in every scenario that both were in.
pub(crate) fn ratios(results: &[Outcome]) -> Vec<Ratio> {
    let figures: [(&'static str, Figure); 5] = [
        ("cpu_us_each", |figures| figures.cpu_us_each),
        ("latency.p50", |figures| figures.latency.as_ref().map(|latency| latency.p50 as f64)),
        ("latency.p99", |figures| figures.latency.as_ref().map(|latency| latency.p99 as f64)),
        ("seconds", |figures| Some(figures.seconds)),
        ("bytes_each", |figures| figures.bytes_each),
    ];
    let mut scenarios: Vec<&str> = results.iter().map(|outcome| outcome.scenario.as_str()).collect();
    scenarios.dedup();
    let mut ratios = Vec::new();
    for scenario in scenarios {
        for (figure, take) in figures {
            let of = |server: &str| {
                let mine = results.iter().filter(|one| one.scenario == scenario && one.server == server);
                median(mine.filter_map(|one| take(&one.figures)).collect())
            };
            if let (Some(quire), Some(bare)) = (of("quire"), of("bare")) {
                ratios.push(Ratio { scenario: scenario.into(), figure, quire, bare, ratio: quire / bare });
            }
        }
    }
    ratios
}

/// The middle one, or the mean of the middle two.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn ratios_are_made_of_medians_of_the_same_scenario() {
        let outcome = |scenario: &str, server: &str, cpu| Outcome {
            scenario: scenario.into(),
            server: server.into(),
            figures: Figures { cpu_us_each: Some(cpu), seconds: 1.0, ..Figures::default() },
            ..Outcome::default()
        };
        let results = [
            outcome("a", "bare", 2.0),
            outcome("a", "quire", 9.0),
            outcome("a", "quire", 3.0),
            outcome("a", "quire", 1.0),
            outcome("b", "quire", 1.0),
        ];
        let ratios = ratios(&results);
        assert_eq!(ratios.len(), 2);
        assert_eq!((ratios[0].figure, ratios[0].ratio), ("cpu_us_each", 1.5));
    }
}
