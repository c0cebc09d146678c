//! Finds the policy of a request: the route with the longest path prefix, in whole segments, that
//! covers its method.
//!
//! Servers disagree about the meaning of a path: whether `;` ends a segment, whether `\` and `%2f`
//! separate segments, whether `..` is resolved before or after decoding. A route would not protect
//! the app if the app read the path differently. So every reading counts, and the strictest policy
//! applies.

use std::collections::BTreeSet;

mod error;
mod found;
mod guard;
mod notes;
mod policy;
mod prefix;
mod reading;
mod target;
mod tree;

pub use error::{RouteError, RouteReason};
pub use found::Found;
pub use guard::{CrossSite, Guard};
use policy::{Level, NO_ROUTE};
pub use policy::{Methods, Route, RoutePolicy, SessionRule};
use reading::{
    Keep, STEPS, decode, fold_case, has_case, has_stray_percent, is_plain, is_text, merge_slashes,
    resolve_dots, segments,
};
pub use target::login_location;
pub(crate) use target::path_of;
use tree::{Node, Scoped};

/// All routes. [`SessionRule::Open`] applies to paths outside them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Routes {
    root: Node,
    /// The same tree in lower case, with equal paths joined.
    folded: Node,
    /// Whether the two trees differ.
    has_case: bool,
    has_methods: bool,
    has_demands: bool,
    has_backends: bool,
    has_silence: bool,
    has_guards: bool,
    /// The strictest level of all routes.
    strictest: Level,
    /// All routes with a requirement. They all apply to a path that cannot be read.
    required: Vec<Scoped>,
    /// Warnings for the operator.
    notes: Vec<String>,
}

impl Routes {
    /// Checks the paths and builds the tree.
    ///
    /// # Errors
    /// The index of each invalid route, and what is wrong with it.
    pub fn new(routes: Vec<Route>) -> Result<Self, Vec<(usize, RouteError)>> {
        let mut built = Self { notes: notes::of(&routes), ..Self::default() };
        let mut faults = Vec::new();
        for (index, Route { path, methods, policy }) in routes.into_iter().enumerate() {
            let segments = match prefix::parse(&path) {
                Ok(segments) => segments,
                Err(reason) => {
                    faults.push((index, RouteError { path, reason }));
                    continue;
                }
            };
            built.has_case |= segments.iter().any(|segment| has_case(segment));
            built.has_methods |= methods != Methods::All;
            built.has_demands |= !policy.session.demands().is_empty();
            built.has_backends |= policy.backend.is_some();
            built.has_silence |= !policy.log;
            built.has_guards |= policy.guard != Guard::NONE;
            built.strictest = built.strictest.max(policy.session.level());
            let scoped = Scoped { methods, policy };
            let is_guard = scoped.policy.guard != Guard::NONE;
            if is_guard || scoped.policy.session.level() == Level::Required {
                built.required.push(scoped.clone());
            }
            if let Err(reason) = built.root.insert(segments, scoped) {
                faults.push((index, RouteError { path, reason }));
            }
        }
        built.root.fold_into(&mut built.folded);
        if faults.is_empty() { Ok(built) } else { Err(faults) }
    }

    /// The policy for a method and a request target as sent (origin-form, absolute-form or `*`).
    #[must_use]
    pub fn find(&self, method: &str, target: &[u8]) -> Found<'_> {
        let mut found = self.find_method(method, target);
        // Some servers ignore the case of methods.
        if self.has_methods && method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            found.join(self.find_method(&method.to_ascii_uppercase(), target));
        }
        found
    }

    /// Whether any route names a backend.
    pub(crate) fn name_backends(&self) -> bool {
        self.has_backends
    }

    fn find_method(&self, method: &str, target: &[u8]) -> Found<'_> {
        if self.root.is_leaf() {
            return self.look_up(method, b"/");
        }
        let path = path_of(target);
        if is_plain(path) {
            return self.look_up_text(method, path);
        }
        // uWSGI replaces an invalid escape, `%` and the two bytes after it, by a NUL, and drops an
        // incomplete one at the end.
        if path.len() > MAX_READ_BYTES || has_stray_percent(path) {
            return self.unreadable(method, path);
        }
        let sent = decode(path, Keep::Needless);
        if is_plain(&sent) {
            return self.look_up_text(method, &sent);
        }
        // The reading that is documented: it decides on the backend and, if it requires a session,
        // on the `login` page.
        let decoded = decode(path, Keep::Nothing);
        let resolved = resolve_dots(&merge_slashes(&decoded));
        let mut found = self.look_up(method, &resolved);
        if !self.is_settled(&found) {
            self.read_further(method, &mut found, vec![sent, decoded]);
        }
        found
    }

    /// Warnings about valid routes, one line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut logins = BTreeSet::new();
        self.root.collect_logins(&mut logins);
        let behind_itself = logins
            .into_iter()
            .filter(|login| login.starts_with('/'))
            .filter(|login| self.find("GET", login.as_bytes()).is_required())
            .map(|login| {
                format!(
                    "login = {login:?} is on a route that requires a session itself, so nobody can log in: add a [[routes]] for it without require"
                )
            });
        behind_itself.chain(self.notes.iter().cloned()).collect()
    }

    /// The policy for one reading of a path. Some frameworks ignore case, so a route that requires
    /// a session does too.
    fn look_up(&self, method: &str, path: &[u8]) -> Found<'_> {
        let mut found = Found::of(self.exact(method, path));
        self.meet_folded(method, path, &mut found);
        found
    }

    fn look_up_text(&self, method: &str, path: &[u8]) -> Found<'_> {
        if is_text(path) { self.look_up(method, path) } else { self.unreadable(method, path) }
    }

    /// The route with the longest prefix of one reading.
    fn exact(&self, method: &str, path: &[u8]) -> &RoutePolicy {
        self.root.find(method, segments(path)).unwrap_or(&NO_ROUTE)
    }

    fn meet_folded<'a>(&'a self, method: &str, path: &[u8], found: &mut Found<'a>) {
        let is_strict = self.strictest == Level::Required || self.has_guards;
        if is_strict && (self.has_case || has_case(path)) {
            let lower = fold_case(path);
            for policy in self.folded.find_each(method, segments(&lower)) {
                found.meet_strict(policy);
            }
        }
    }

    /// The policy for a path that cannot be read: all requirements for this method.
    fn unreadable(&self, method: &str, path: &[u8]) -> Found<'_> {
        let mut found = Found::of(if self.has_backends {
            self.exact(method, &resolve_dots(&merge_slashes(&decode(path, Keep::Nothing))))
        } else {
            &NO_ROUTE
        });
        self.meet_all(method, &mut found);
        found
    }

    fn meet_all<'a>(&'a self, method: &str, found: &mut Found<'a>) {
        found.take(&NO_ROUTE);
        for scoped in self.required.iter().filter(|scoped| scoped.is_for(method)) {
            found.meet_strict(&scoped.policy);
        }
    }

    /// Whether other readings cannot make it stricter.
    fn is_settled(&self, found: &Found<'_>) -> bool {
        found.level() >= self.strictest
            && !self.has_demands
            && !self.has_guards
            && (found.is_logged() || !self.has_silence)
    }

    /// Adds the policies of the readings, and of all readings derived from them by any sequence of
    /// [`STEPS`].
    ///
    /// It ends because each step shortens a path or turns a backslash into a slash. The client
    /// decides how long that takes, so there is a limit; a path beyond it cannot be read.
    fn read_further<'a>(&'a self, method: &str, found: &mut Found<'a>, mut readings: Vec<Vec<u8>>) {
        let mut bytes: usize = readings.iter().map(Vec::len).sum();
        let mut next = 0;
        while let Some(reading) = readings.get(next) {
            if is_text(reading) {
                found.take(self.exact(method, reading));
                self.meet_folded(method, reading, found);
            } else {
                self.meet_all(method, found);
            }
            if self.is_settled(found) {
                return;
            }
            let further = STEPS.map(|step| step(reading));
            for reading in further {
                if readings.contains(&reading) {
                    continue;
                }
                bytes += reading.len();
                if readings.len() >= MAX_READINGS || bytes > MAX_READ_BYTES {
                    self.meet_all(method, found);
                    return;
                }
                readings.push(reading);
            }
            next += 1;
        }
    }
}

/// Enough for any path that is not made to be hard to read; one path takes less than a millisecond.
const MAX_READINGS: usize = 64;
const MAX_READ_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests;
