//! The policy of a route.

use super::guard::Guard;
use crate::session::demand::Demand;

/// Whether the requests of a route use a session.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum SessionRule {
    /// `session = "off"`: no sessions.
    Off,
    /// The default: the app always gets a dict.
    #[default]
    Open,
    /// `require`: requests without a session do not reach the app.
    Required {
        /// `login`: where navigations are redirected, instead of a 401.
        login: Option<String>,
        /// The required values; the session must meet every demand.
        demands: Vec<Demand>,
    },
}

/// How strict a rule is. Two required rules are combined.
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

/// The methods of a route.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Methods {
    /// All methods that no other route of the same path names.
    #[default]
    All,
    /// `methods`: only these.
    Only(Vec<String>),
}

/// The policy of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePolicy {
    /// Whether a session is used or required.
    pub session: SessionRule,
    /// The backend, as an index in [`crate::config::Config::backends`]. None: the first one, as the
    /// default.
    pub backend: Option<usize>,
    /// `log`: whether its requests have access lines.
    pub log: bool,
    /// The requirements besides a session.
    pub guard: Guard,
}

/// The policy of paths without a route.
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
    /// `path`: a prefix in whole segments.
    pub path: String,
    /// The methods that it covers.
    pub methods: Methods,
    /// The policy of its requests.
    pub policy: RoutePolicy,
}
