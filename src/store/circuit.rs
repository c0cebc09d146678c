//! Saves callers the wait for an unavailable store. Pure: time and jitter are arguments.
//!
//! ```text
//! closed ──5 failures in a row──> open ──1 s ± 20 %──> one probe ──it fails──> open
//!    └───────────────────────────────────────────────────── └──it succeeds──> closed
//! ```

use std::time::Duration;

/// The number of consecutive failures that open the circuit.
const FAILURES: u32 = 5;

/// How long it stays open, in milliseconds, and the maximum deviation, so that not all sidecars
/// return at the same time.
const OPEN: u64 = 1000;
const SPREAD: u64 = 200;

/// How long a probe may take. After that another one may try, since its caller may be gone.
const PROBE: Duration = Duration::from_secs(1);

/// Whether calls are allowed. Times are durations since a fixed point of a monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Calls are allowed; the last ones failed.
    Closed { failures: u32 },
    /// No calls are allowed until then.
    Open { until: Duration },
    /// A probe is running; another one may start after that.
    Probing { until: Duration },
}

impl Default for Circuit {
    fn default() -> Self {
        Self { state: State::Closed { failures: 0 } }
    }
}

impl Circuit {
    /// Whether a call is allowed now. If so, its result must be reported.
    pub fn admits(&mut self, now: Duration) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until } | State::Probing { until } if now < until => false,
            State::Open { .. } | State::Probing { .. } => {
                self.state = State::Probing { until: now.saturating_add(PROBE) };
                true
            }
        }
    }

    /// Reports a call that was answered, with any result.
    pub fn succeeded(&mut self) {
        // An answer to an older call proves as much as a probe.
        self.state = State::Closed { failures: 0 };
    }

    /// Reports a call that was not answered. `jitter` is a random byte.
    pub fn failed(&mut self, now: Duration, jitter: u8) {
        match &mut self.state {
            State::Closed { failures } if *failures + 1 < FAILURES => *failures += 1,
            State::Closed { .. } | State::Probing { .. } => {
                let spread = 2 * SPREAD * u64::from(jitter) / u64::from(u8::MAX);
                let open = Duration::from_millis(OPEN - SPREAD + spread);
                self.state = State::Open { until: now.saturating_add(open) };
            }
            // A call from before the circuit opened does not extend the wait.
            State::Open { .. } => {}
        }
    }

    /// Whether the last call was answered.
    #[must_use]
    pub fn has_answered(&self) -> bool {
        self.state == State::Closed { failures: 0 }
    }

    /// Whether calls are allowed without a probe.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: u8 = 128;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn open(jitter: u8) -> Circuit {
        let mut circuit = Circuit::default();
        for _ in 0..5 {
            assert!(circuit.admits(at(0)));
            circuit.failed(at(0), jitter);
        }
        circuit
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_not_four() {
        let mut circuit = Circuit::default();
        for _ in 0..3 {
            for _ in 0..4 {
                circuit.failed(at(0), MIDDLE);
            }
            assert!(circuit.admits(at(0)) && circuit.is_closed() && !circuit.has_answered());
            circuit.succeeded();
            assert!(circuit.has_answered());
        }
        assert!(!open(MIDDLE).admits(at(0)));
        assert!(!open(MIDDLE).is_closed());
    }

    #[test]
    fn it_is_open_for_a_second_more_or_less() {
        for (jitter, millis) in [(0, 800), (MIDDLE, 1000), (255, 1200)] {
            let mut circuit = open(jitter);
            assert!(!circuit.admits(at(millis - 1)), "{jitter}");
            assert!(circuit.admits(at(millis)), "{jitter}");
        }
    }

    #[test]
    fn one_probe_tries_and_says_how_it_goes_on() {
        let mut circuit = open(0);
        assert!(circuit.admits(at(800)));
        assert!(!circuit.admits(at(801)));
        circuit.failed(at(900), 0);
        // It opens again at once.
        assert!(!circuit.admits(at(1699)));
        assert!(circuit.admits(at(1700)));
        circuit.succeeded();
        assert!(circuit.is_closed());
        assert!(circuit.admits(at(1700)) && circuit.admits(at(1700)));
        // It takes five failures again.
        circuit.failed(at(1700), 0);
        assert!(circuit.is_closed());
    }

    #[test]
    fn a_probe_that_nobody_hears_of_again_is_followed_by_another() {
        let mut circuit = open(0);
        assert!(circuit.admits(at(800)));
        assert!(!circuit.admits(at(1799)));
        assert!(circuit.admits(at(1800)));
        assert!(!circuit.admits(at(1801)));
    }

    #[test]
    fn late_failures_do_not_keep_it_open_for_longer() {
        let mut circuit = open(0);
        circuit.failed(at(799), 255);
        assert!(circuit.admits(at(800)));
    }

    #[test]
    fn a_late_answer_closes_it() {
        let mut circuit = open(0);
        circuit.succeeded();
        assert!(circuit.admits(at(1)) && circuit.is_closed());
    }
}
