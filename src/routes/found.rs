//! The policy of a request: that of its strictest reading, with the requirements of all readings.

use super::guard::{CrossSite, Guarded};
use super::policy::{Level, RoutePolicy, SessionRule};
use crate::session::demand::Demand;
use crate::session::dict::Dict;
use crate::session::view::View;

/// The policy for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The route of the documented reading.
    policy: &'a RoutePolicy,
    level: Level,
    login: Option<&'a str>,
    demands: &'a [Demand],
    /// The demands of other readings.
    further: Vec<&'a [Demand]>,
    log: bool,
    guard: Guarded,
}

impl<'a> Found<'a> {
    pub(super) fn of(policy: &'a RoutePolicy) -> Self {
        let mut found = Self {
            policy,
            level: Level::Off,
            login: None,
            demands: &[],
            further: Vec::new(),
            log: policy.log,
            guard: Guarded::default(),
        };
        found.guard.meet(&policy.guard);
        found.meet(&policy.session);
        found
    }

    /// Adds the policy of another reading.
    pub(super) fn take(&mut self, policy: &'a RoutePolicy) {
        self.log |= policy.log;
        self.guard.meet(&policy.guard);
        self.meet(&policy.session);
    }

    /// Adds only the requirements of a policy.
    pub(super) fn meet_strict(&mut self, policy: &'a RoutePolicy) {
        self.guard.meet(&policy.guard);
        if policy.session.level() == Level::Required {
            self.meet(&policy.session);
        }
    }

    /// Adds a rule.
    fn meet(&mut self, rule: &'a SessionRule) {
        if let SessionRule::Required { login, demands } = rule {
            if self.level < Level::Required {
                self.login = login.as_deref();
            }
            self.demand(demands);
        }
        self.level = self.level.max(rule.level());
    }

    /// Adds the policy for another reading of the method.
    pub(super) fn join(&mut self, other: Self) {
        self.log |= other.log;
        self.guard.join(other.guard);
        if self.level < other.level {
            (self.level, self.login) = (other.level, other.login);
        }
        self.demand(other.demands);
        for demands in other.further {
            self.demand(demands);
        }
    }

    fn demand(&mut self, demands: &'a [Demand]) {
        if self.demands.is_empty() {
            self.demands = demands;
        } else if !demands.is_empty() && self.demands != demands && !self.further.contains(&demands)
        {
            self.further.push(demands);
        }
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// Whether sessions are used here.
    #[must_use]
    pub fn has_session(&self) -> bool {
        self.level > Level::Off
    }

    /// Whether a session is required.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.level == Level::Required
    }

    /// Where navigations without a session are redirected.
    #[must_use]
    pub fn login(&self) -> Option<&'a str> {
        self.login
    }

    /// Whether a session with this dict meets all demands.
    #[must_use]
    pub fn admits(&self, dict: &Dict) -> bool {
        let further = self.further.iter().copied().flatten();
        self.demands.iter().chain(further).all(|demand| demand.is_met(dict))
    }

    /// The backend of the request, as an index in [`crate::config::Config::backends`].
    #[must_use]
    pub fn backend(&self) -> usize {
        self.policy.backend.unwrap_or(0)
    }

    /// Whether the request has an access line: unless every reading turns it off.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        self.log
    }

    /// Whether requests from other sites are refused. `default` applies if no route says otherwise.
    #[must_use]
    pub fn refuses_cross_site(&self, default: CrossSite) -> bool {
        self.guard.refuses_cross_site(default)
    }

    /// Which keys of the dict the app can read and write; None: all.
    #[must_use]
    pub fn view(&self) -> Option<&View> {
        self.guard.view.as_ref()
    }

    /// The combined rule, for tests.
    #[cfg(test)]
    pub(super) fn rule(&self) -> SessionRule {
        match self.level {
            Level::Off => SessionRule::Off,
            Level::Open => SessionRule::Open,
            Level::Required => SessionRule::Required {
                login: self.login.map(str::to_owned),
                demands: [self.demands]
                    .iter()
                    .chain(&self.further)
                    .flat_map(|all| all.to_vec())
                    .collect(),
            },
        }
    }
}
