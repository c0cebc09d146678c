//! The metrics of the store, including conflicts with other writes.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::families::Families;
use crate::store::Op;
use crate::store::operation::Outage;

/// A file answers within a millisecond, a server within a few; after the last value it is
/// unavailable.
const SECONDS: [f64; 12] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

/// The result of a save or merge of a session that another request has written meanwhile: the label
/// `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The changes of the save were applied to the current dict.
    Rebased,
    /// The patch was applied to the current dict.
    Merged,
    /// The save replaced the current dict.
    Overwritten,
    /// Nothing was written; the client was told.
    Refused,
    /// Nothing was written, because the session has ended.
    Ended,
}

impl Conflict {
    /// Every result, in the order of docs/metrics.md.
    pub const ALL: [Self; 5] =
        [Self::Rebased, Self::Merged, Self::Overwritten, Self::Refused, Self::Ended];

    /// The value of the label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Rebased => "rebased",
            Self::Merged => "merged",
            Self::Overwritten => "overwritten",
            Self::Refused => "refused",
            Self::Ended => "ended",
        }
    }
}

/// The families of the store, which exist even without one.
pub(super) struct StoreFamilies {
    pub(super) conflicts: Vec<IntCounter>,
    seconds: Vec<Histogram>,
    errors: Vec<IntCounter>,
    pub(super) up: IntGauge,
    pub(super) evicts: IntGauge,
    pub(super) unreplicated: IntCounter,
    pub(super) revocations: IntGauge,
    pub(super) revocations_age: IntGauge,
}

impl StoreFamilies {
    pub(super) fn new(families: &Families<'_>) -> prometheus::Result<Self> {
        let up = families.gauges(
            "cloakroom_store_up",
            "1, or 0 while the session store that is configured does not answer.",
            &[],
        )?;
        up.set(1);
        Ok(Self {
            conflicts: families.labelled(
                "cloakroom_session_conflicts_total",
                "Saves and merges whose session others had written meanwhile, by what became of them.",
                "result",
                Conflict::ALL.map(Conflict::label),
            )?,
            seconds: families.histograms(
                "cloakroom_store_duration_seconds",
                "Time that calls to the session store took, by what they were for.",
                &SECONDS,
                "op",
                Op::ALL.map(Op::label),
            )?,
            errors: families.labelled(
                "cloakroom_store_errors_total",
                "Calls that the session store did not answer, by why.",
                "kind",
                Outage::ALL.map(Outage::label),
            )?,
            up,
            evicts: families.gauges(
                "cloakroom_store_evicts",
                "1 while the session store may remove sessions to make room.",
                &[],
            )?,
            unreplicated: families.counter(
                "cloakroom_store_unreplicated_total",
                "Ends of sessions that no replica of the session store has acknowledged.",
            )?,
            revocations: families.gauges(
                "cloakroom_revocations",
                "Revocations that are known from the store.",
                &[],
            )?,
            revocations_age: families.gauges(
                "cloakroom_revocations_age_seconds",
                "Time since the revocations in the store were last read to the end.",
                &[],
            )?,
        })
    }

    pub(super) fn answered(&self, op: Op, took: Duration, outage: Option<Outage>) {
        // Skipped calls take no time, and would make the store look fast.
        if outage != Some(Outage::OpenCircuit) {
            self.seconds[op as usize].observe(took.as_secs_f64());
        }
        if let Some(outage) = outage {
            self.errors[outage as usize].inc();
        }
    }
}
