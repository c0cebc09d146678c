//! What holds for a request: that of the strictest of its readings, and of all that require a
//! session.

use super::guard::{CrossSite, Guarded};
use super::policy::{Level, RoutePolicy, SessionRule};
use crate::session::demand::Demand;
use crate::session::dict::Dict;
use crate::session::view::View;

/// What the routes say of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// That of the documented reading.
    policy: &'a RoutePolicy,
    level: Level,
    login: Option<&'a str>,
    demands: &'a [Demand],
    /// Those of other readings.
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

    /// Another reading falls under this.
    pub(super) fn take(&mut self, policy: &'a RoutePolicy) {
        self.log |= policy.log;
        self.guard.meet(&policy.guard);
        self.meet(&policy.session);
    }

    /// What is strict in this holds as well.
    pub(super) fn meet_strict(&mut self, policy: &'a RoutePolicy) {
        self.guard.meet(&policy.guard);
        if policy.session.level() == Level::Required {
            self.meet(&policy.session);
        }
    }

    /// This holds as well.
    fn meet(&mut self, rule: &'a SessionRule) {
        if let SessionRule::Required { login, demands } = rule {
            if self.level < Level::Required {
                self.login = login.as_deref();
            }
            self.demand(demands);
        }
        self.level = self.level.max(rule.level());
    }

    /// All that holds for another reading of the method holds as well.
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

    /// Whether the sidecar has anything to say of sessions here.
    #[must_use]
    pub fn has_session(&self) -> bool {
        self.level > Level::Off
    }

    /// Whether no request without a session may go on.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.level == Level::Required
    }

    /// Where navigations without a session are sent.
    #[must_use]
    pub fn login(&self) -> Option<&'a str> {
        self.login
    }

    /// Whether a session of this dict may go on: all that is demanded is met.
    #[must_use]
    pub fn admits(&self, dict: &Dict) -> bool {
        let further = self.further.iter().copied().flatten();
        self.demands.iter().chain(further).all(|demand| demand.is_met(dict))
    }

    /// The app that the request goes to, as a number in [`crate::config::Config::backends`].
    #[must_use]
    pub fn backend(&self) -> usize {
        self.policy.backend.unwrap_or(0)
    }

    /// Whether the request has an access line: unless each of its readings goes without.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        self.log
    }

    /// Whether what other sites make browsers send is refused, where `default` holds unless a route
    /// says otherwise.
    #[must_use]
    pub fn refuses_cross_site(&self, default: CrossSite) -> bool {
        self.guard.refuses_cross_site(default)
    }

    /// What the app is shown of the dict, and may write; None: all.
    #[must_use]
    pub fn view(&self) -> Option<&View> {
        self.guard.view.as_ref()
    }

    /// Everything that is demanded, for tests.
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
