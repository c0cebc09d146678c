//! The values of labels.

/// What an answer did with the session: the label `action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The dict was replaced.
    Saved,
    /// The dict was changed.
    Merged,
    /// The cookie was deleted.
    Deleted,
    /// The token was refreshed.
    Refreshed,
    /// A refresh was due, but a newer token was issued meanwhile.
    RefreshSkipped,
    /// A save could not be carried out.
    Rejected,
    /// The session got a new id.
    Renewed,
    /// Another write, or the end of the session, came first.
    Conflict,
}

impl Action {
    /// Every action, in the order of docs/metrics.md.
    pub const ALL: [Self; 8] = [
        Self::Saved,
        Self::Merged,
        Self::Deleted,
        Self::Refreshed,
        Self::RefreshSkipped,
        Self::Rejected,
        Self::Renewed,
        Self::Conflict,
    ];

    /// The value of the label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Saved => "saved",
            Self::Merged => "merged",
            Self::Deleted => "deleted",
            Self::Refreshed => "refreshed",
            Self::RefreshSkipped => "refresh_skipped",
            Self::Rejected => "rejected",
            Self::Renewed => "renewed",
            Self::Conflict => "conflict",
        }
    }
}

/// A failure of the backend: the label `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendError {
    /// No connection: refused, unresolvable, TLS.
    Connect,
    /// No connection or answer in time.
    Timeout,
    /// The connection was closed.
    Reset,
    /// The answer is not HTTP.
    Protocol,
}

impl BackendError {
    /// Every kind, in the order of docs/metrics.md.
    pub const ALL: [Self; 4] = [Self::Connect, Self::Timeout, Self::Reset, Self::Protocol];

    /// The value of the label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
        }
    }
}
