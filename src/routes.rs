//! Which policy a path falls under: the longest prefix, on whole segments.
//!
//! Servers disagree about what a path means: whether `;` ends a segment, `\` and `%2f` separate
//! two, `..` is resolved before or after decoding. A prefix that guards one reading of a path and
//! not the backend's guards nothing, so every reading counts and the strictest answer holds.

use std::collections::{BTreeMap, BTreeSet};

mod guard;
mod reading;
mod target;

use guard::Guards;
pub use guard::{CrossSite, Guard, Guarded};
use reading::{
    Keep, STEPS, decode, escaped_byte, fold_case, has_case, has_stray_percent, is_plain, is_text,
    merge_slashes, resolve_dots, segments,
};
pub use target::login_location;
pub(crate) use target::path_of;

/// What holds for the requests of a route.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Access {
    /// `session = "off"`: the sidecar says nothing of sessions.
    Off,
    /// The ordinary case: whoever comes gets a dict.
    #[default]
    Open,
    /// `require = true`: no request without a session reaches the backend.
    Required {
        /// `login`: where navigations are sent instead of a 401.
        login: Option<String>,
    },
}

impl Access {
    fn strictness(&self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Open => 1,
            Self::Required { .. } => 2,
        }
    }
}

/// One `[[routes]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `path`: a prefix on whole segments.
    pub path: String,
    /// What holds below it.
    pub access: Access,
    /// What is asked of requests beside a session.
    pub guard: Guard,
}

/// Every route; what none of them covers is [`Access::Open`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Routes {
    root: Node,
    /// The same in lower case, the stricter of two that become one.
    folded: Node,
    /// Whether the two differ.
    has_case: bool,
    /// What holds for a path that is too much trouble to read.
    strictest: Access,
    guards: Guards,
}

/// A segment and what lies below it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Node {
    access: Option<Access>,
    children: BTreeMap<Box<[u8]>, Node>,
}

impl Routes {
    /// Checks the paths and sorts them in.
    ///
    /// # Errors
    /// The index of a route that cannot be, and what is wrong with it.
    pub fn new(routes: Vec<Route>) -> Result<Self, Vec<(usize, String)>> {
        let mut built = Self::default();
        let mut faults = Vec::new();
        for (index, Route { path, access, guard }) in routes.into_iter().enumerate() {
            let segments = match parse(&path) {
                Ok(segments) => segments,
                Err(reason) => {
                    faults.push((index, reason));
                    continue;
                }
            };
            built.guards.insert(&segments, guard);
            built.has_case |= segments.iter().any(|segment| has_case(segment));
            let folded = segments.iter().fold(&mut built.folded, |node, segment| {
                node.children.entry(fold_case(segment).into()).or_default()
            });
            if folded.access.as_ref().is_none_or(|held| held.strictness() < access.strictness()) {
                folded.access = Some(access.clone());
            }
            let node = segments
                .into_iter()
                .fold(&mut built.root, |node, segment| node.children.entry(segment).or_default());
            if node.access.is_some() {
                faults.push((
                    index,
                    format!("{path:?} is a route already: one [[routes]] for each path"),
                ));
                continue;
            }
            if access.strictness() > built.strictest.strictness() {
                built.strictest = access.clone();
            }
            node.access = Some(access);
        }
        if faults.is_empty() { Ok(built) } else { Err(faults) }
    }

    /// What holds for a request target as it was sent (origin-form, absolute-form or `*`).
    #[must_use]
    pub fn access(&self, target: &[u8]) -> &Access {
        if self.root.children.is_empty() {
            return self.look_up(b"/");
        }
        let path = path_of(target);
        if is_plain(path) {
            return if is_text(path) { self.look_up(path) } else { &self.strictest };
        }
        // uWSGI makes a NUL of a `%` that starts no escape and the two bytes behind it, whatever
        // they are, and drops what is left of one at the end.
        if path.len() > MAX_READ_BYTES || has_stray_percent(path) {
            return &self.strictest;
        }
        let sent = decode(path, Keep::Needless);
        if is_plain(&sent) {
            return if is_text(&sent) { self.look_up(&sent) } else { &self.strictest };
        }
        // The one reading that the documentation promises. Where it requires a session, its
        // `login` is the one to use.
        let decoded = decode(path, Keep::Nothing);
        let resolved = self.look_up(&resolve_dots(&merge_slashes(&decoded)));
        if matches!(resolved, Access::Required { .. }) {
            return resolved;
        }
        self.strictest_of(resolved, vec![sent, decoded])
    }

    /// What is asked of a request beside a session; `default` holds where no route says so.
    #[must_use]
    pub fn guard(&self, target: &[u8], default: CrossSite) -> Guarded {
        self.guards.find(target, default)
    }

    /// What the operator should know of routes that nevertheless work, one line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut logins = BTreeSet::new();
        self.root.collect_logins(&mut logins);
        logins
            .into_iter()
            .filter(|login| login.starts_with('/'))
            .filter(|login| matches!(self.access(login.as_bytes()), Access::Required { .. }))
            .map(|login| {
                format!(
                    "login = {login:?} lies on a route that itself requires a session, so that \
                     nobody gets there: give it a [[routes]] of its own without require"
                )
            })
            .collect()
    }

    /// The longest prefix of one reading of a path. Some frameworks do not tell cases apart: a
    /// route that requires a session does not either.
    fn look_up(&self, path: &[u8]) -> &Access {
        let exact = self.root.look_up(segments(path));
        if self.strictest.strictness() == 2 && (self.has_case || has_case(path)) {
            let lower = fold_case(path);
            let folded = self.folded.look_up(segments(&lower));
            if folded.strictness() > exact.strictness() && folded.strictness() == 2 {
                return folded;
            }
        }
        exact
    }

    /// The strictest of `found` and what holds for the readings and all that follow from them:
    /// each step that some server takes, in any order, any number of times.
    ///
    /// It ends, because each step makes a path shorter or a backslash a slash. How soon depends on
    /// the client, so there is a limit; a path past it could mean anything.
    fn strictest_of<'a>(&'a self, mut found: &'a Access, mut readings: Vec<Vec<u8>>) -> &'a Access {
        let mut bytes: usize = readings.iter().map(Vec::len).sum();
        let mut next = 0;
        while let Some(reading) = readings.get(next) {
            let access = if is_text(reading) { self.look_up(reading) } else { &self.strictest };
            if access.strictness() > found.strictness() {
                found = access;
            }
            if found.strictness() >= self.strictest.strictness() {
                return found;
            }
            let further = STEPS.map(|step| step(reading));
            for reading in further {
                if readings.contains(&reading) {
                    continue;
                }
                bytes += reading.len();
                if readings.len() >= MAX_READINGS || bytes > MAX_READ_BYTES {
                    return &self.strictest;
                }
                readings.push(reading);
            }
            next += 1;
        }
        found
    }
}

impl Node {
    fn look_up<'a>(&self, segments: impl Iterator<Item = &'a [u8]>) -> &Access {
        let mut node = self;
        let mut found = node.access.as_ref().unwrap_or(&Access::Open);
        for segment in segments {
            let Some(next) = node.children.get(segment) else {
                break;
            };
            node = next;
            if let Some(access) = &node.access {
                found = access;
            }
        }
        found
    }

    fn collect_logins<'a>(&'a self, logins: &mut BTreeSet<&'a str>) {
        if let Some(Access::Required { login: Some(login) }) = &self.access {
            logins.insert(login);
        }
        for child in self.children.values() {
            child.collect_logins(logins);
        }
    }
}

/// Enough for any path that is not built to be hard to read; the work for one path stays under
/// a millisecond.
const MAX_READINGS: usize = 64;
const MAX_READ_BYTES: usize = 64 * 1024;

/// The segments of a route's path, decoded.
fn parse(path: &str) -> Result<Vec<Box<[u8]>>, String> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err(format!("a path that starts with \"/\", not {path:?}"));
    };
    if path.contains(['?', '#']) {
        return Err(format!("{path:?}: a path only, without query or fragment"));
    }
    if path.contains('*') {
        return Err(format!(
            "{path:?}: not a pattern but a prefix, which covers all that is below it"
        ));
    }
    if path.contains([';', '\\']) {
        return Err(format!(
            "{path:?}: a path without \";\" and \"\\\", which servers disagree on"
        ));
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return if path.starts_with("//") {
            Err(format!("{path:?}: a path without empty segments"))
        } else {
            Ok(Vec::new())
        };
    }
    let parse_segment = |segment: &str| {
        let decoded = decode(segment.as_bytes(), Keep::Nothing);
        match &decoded[..] {
            b"" => Err(format!("{path:?}: a path without empty segments")),
            b"." | b".." => Err(format!("{path:?}: a path without dot segments")),
            bytes if bytes.iter().any(u8::is_ascii_control) => {
                Err(format!("{path:?}: a path without control characters"))
            }
            bytes if bytes.iter().any(|byte| b"/\\;?#".contains(byte)) => {
                Err(format!("{path:?}: a path without escaped delimiters"))
            }
            // Either it was no escape to begin with, or one within another.
            bytes if is_ambiguous(segment.as_bytes(), bytes) => {
                Err(format!("{path:?}: a \"%\" is written \"%25\" and must not start an escape"))
            }
            _ => Ok(decoded.into_boxed_slice()),
        }
    };
    rest.split('/').map(parse_segment).collect()
}

/// Whether a segment has a `%` that is no escape, or one more escape once it is decoded.
fn is_ambiguous(segment: &[u8], decoded: &[u8]) -> bool {
    has_stray_percent(segment)
        || (0..decoded.len()).any(|at| escaped_byte(&decoded[at..]).is_some())
}

#[cfg(test)]
mod tests;
