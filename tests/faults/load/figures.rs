//! The results of a load.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use super::EXAMPLES;

/// Why a request failed, as its client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// No connection.
    Refused,
    /// The connection was reset.
    Reset,
    /// The connection ended before the end of the answer.
    Closed,
    TimedOut,
    /// The answer cannot be parsed.
    Unreadable,
    /// Not the expected answer.
    Wrong,
}

impl From<&std::io::Error> for Failure {
    fn from(error: &std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Self::Reset,
            ErrorKind::UnexpectedEof => Self::Closed,
            ErrorKind::InvalidData => Self::Unreadable,
            ErrorKind::TimedOut => Self::TimedOut,
            // After connecting, no other errors occur.
            _ => Self::Refused,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Closed => "closed before an answer",
            Self::TimedOut => "timed out",
            Self::Unreadable => "unreadable",
            Self::Wrong => "wrong answer",
        })
    }
}

/// The results of all requests.
#[derive(Default)]
pub struct Figures {
    pub sent: u64,
    /// Connections that the server had closed between two requests.
    pub reopened: u64,
    pub took: Duration,
    answered: BTreeMap<u16, u64>,
    failed: BTreeMap<Failure, u64>,
    /// In microseconds; sorted at the end.
    latencies: Vec<u32>,
    examples: Vec<String>,
}

impl Figures {
    pub(super) fn answered(&mut self, status: u16, taken: Duration) {
        *self.answered.entry(status).or_default() += 1;
        self.latencies.push(u32::try_from(taken.as_micros()).unwrap_or(u32::MAX));
    }

    pub(super) fn failed(&mut self, kind: Failure, why: String) {
        let count = self.failed.entry(kind).or_default();
        *count += 1;
        if *count <= EXAMPLES {
            self.examples.push(why);
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.reopened += other.reopened;
        for (status, count) in other.answered {
            *self.answered.entry(status).or_default() += count;
        }
        for (kind, count) in other.failed {
            *self.failed.entry(kind).or_default() += count;
        }
        self.latencies.extend(other.latencies);
        self.examples.extend(other.examples);
    }

    pub(super) fn end(&mut self, took: Duration) {
        self.took = took;
        self.latencies.sort_unstable();
    }

    /// How many answers had this status.
    pub fn status(&self, status: u16) -> u64 {
        self.answered.get(&status).copied().unwrap_or(0)
    }

    /// Answers by their status.
    pub fn statuses(&self) -> &BTreeMap<u16, u64> {
        &self.answered
    }

    /// How many requests failed in this way.
    pub fn of(&self, kind: Failure) -> u64 {
        self.failed.get(&kind).copied().unwrap_or(0)
    }

    /// How many requests failed.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Examples of failures.
    pub fn examples(&self) -> &[String] {
        &self.examples
    }

    /// The latency of this share of all answers: 0.99, or 1 for the slowest.
    pub fn latency(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let at = (last as f64 * share).ceil() as usize;
        Duration::from_micros(self.latencies.get(at).copied().unwrap_or(0).into())
    }

    /// Fails with the reasons unless every request was answered correctly.
    pub fn assert_none_failed(&self) {
        assert!(self.sent > 0, "nothing was sent");
        assert_eq!(self.failures(), 0, "{self}\n{}", self.examples.join("\n"));
    }
}

/// `60000 requests in 60.0 s, 0 failed, p50 0.3 ms, p99 1.2 ms, max 15.1 ms`
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = self.took.as_secs_f64();
        write!(f, "{} requests in {took:.1} s, {} failed", self.sent, self.failures())?;
        if !self.failed.is_empty() {
            let kinds: Vec<_> =
                self.failed.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            write!(f, " ({})", kinds.join(", "))?;
        }
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            write!(f, ", {name} {:.1} ms", self.latency(share).as_secs_f64() * 1000.0)?;
        }
        Ok(())
    }
}
