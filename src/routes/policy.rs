//! What a route says of its requests.

use super::guard::Guard;
use crate::session::demand::Demand;

/// What holds for the requests of a route.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum SessionRule {
    /// `session = "off"`: the sidecar says nothing of sessions.
    Off,
    /// The ordinary case: whoever comes gets a dict.
    #[default]
    Open,
    /// `require`: no request without a session reaches the backend.
    Required {
        /// `login`: where navigations are sent instead of a 401.
        login: Option<String>,
        /// The values that the session must have: each of these is to be met.
        demands: Vec<Demand>,
    },
}

/// How strict a rule is; of two that are required both hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Level {
    Off,
    #[default]
    Open,
    Required,
}

impl SessionRule {
    pub(super) fn level(&self) -> Level {
        match self {
            Self::Off => Level::Off,
            Self::Open => Level::Open,
            Self::Required { .. } => Level::Required,
        }
    }

    pub(super) fn demands(&self) -> &[Demand] {
        match self {
            Self::Required { demands, .. } => demands,
            Self::Off | Self::Open => &[],
        }
    }
}

/// Which methods a route is for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Methods {
    /// All that no other route of the same path names.
    #[default]
    All,
    /// `methods`: these.
    Only(Vec<String>),
}

/// What a route says of its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePolicy {
    /// Who may come.
    pub session: SessionRule,
    /// Which app they go to, as a number in [`crate::config::Config::backends`]. None: the first,
    /// as nothing else was said.
    pub backend: Option<usize>,
    /// `log`: whether they have access lines.
    pub log: bool,
    /// What is asked of them beside a session.
    pub guard: Guard,
}

/// What holds where there is no route.
pub(super) static NO_ROUTE: RoutePolicy =
    RoutePolicy { session: SessionRule::Open, backend: None, log: true, guard: Guard::NONE };

impl Default for RoutePolicy {
    fn default() -> Self {
        NO_ROUTE.clone()
    }
}

/// One `[[routes]]` table.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Route {
    /// `path`: a prefix on whole segments.
    pub path: String,
    /// Which requests below it are meant.
    pub methods: Methods,
    /// What holds for them.
    pub policy: RoutePolicy,
}
