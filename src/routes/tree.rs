//! A tree of routes by segment.

use std::collections::{BTreeMap, BTreeSet};

use super::error::RouteReason;
use super::policy::{Methods, RoutePolicy, SessionRule};
use super::reading::fold_case;

/// A segment, the routes that end with it, and its children.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Node {
    /// One element for each path; several in the lower-case tree if paths differ only in case.
    stops: Vec<Stop>,
    children: BTreeMap<Box<[u8]>, Node>,
}

/// The routes of one path, by method.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Stop {
    path: Vec<Box<[u8]>>,
    routes: Vec<Scoped>,
}

/// A policy for some methods, or for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scoped {
    pub(super) methods: Methods,
    pub(super) policy: RoutePolicy,
}

impl Node {
    /// Inserts a route. The error says that it is a duplicate.
    pub(super) fn insert(
        &mut self,
        segments: Vec<Box<[u8]>>,
        scoped: Scoped,
    ) -> Result<(), RouteReason> {
        let node = segments
            .iter()
            .fold(self, |node, segment| node.children.entry(segment.clone()).or_default());
        match node.stops.first_mut() {
            Some(stop) => stop.insert(scoped),
            None => {
                node.stops.push(Stop { path: segments, routes: vec![scoped] });
                Ok(())
            }
        }
    }

    /// Inserts all routes into the lower-case tree.
    pub(super) fn fold_into(&self, folded: &mut Self) {
        folded.stops.extend(self.stops.iter().cloned());
        for (segment, child) in &self.children {
            child.fold_into(folded.children.entry(fold_case(segment).into()).or_default());
        }
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// The policy of the longest prefix for the method. Not for the lower-case tree.
    pub(super) fn find<'a, 'p>(
        &'a self,
        method: &str,
        segments: impl Iterator<Item = &'p [u8]>,
    ) -> Option<&'a RoutePolicy> {
        self.trail(segments).filter_map(|node| node.stops.first()?.policy(method)).last()
    }

    /// The same for the lower-case tree, with one result for each spelling of the prefix: a route
    /// replaces a shorter one only if both have the same spelling.
    pub(super) fn find_each<'a, 'p>(
        &'a self,
        method: &str,
        segments: impl Iterator<Item = &'p [u8]>,
    ) -> impl Iterator<Item = &'a RoutePolicy> {
        let mut found: Vec<(&Stop, &RoutePolicy)> = Vec::new();
        for stop in self.trail(segments).flat_map(|node| &node.stops) {
            if let Some(policy) = stop.policy(method) {
                found.retain(|(above, _)| !stop.path.starts_with(&above.path));
                found.push((stop, policy));
            }
        }
        found.into_iter().map(|(_, policy)| policy)
    }

    /// The nodes along a path, as far as they exist.
    fn trail<'a, 'p>(
        &'a self,
        segments: impl Iterator<Item = &'p [u8]>,
    ) -> impl Iterator<Item = &'a Self> {
        let mut node = self;
        let below = segments.map_while(move |segment| {
            node = node.children.get(segment)?;
            Some(node)
        });
        std::iter::once(self).chain(below)
    }

    pub(super) fn collect_logins<'a>(&'a self, logins: &mut BTreeSet<&'a str>) {
        for scoped in self.stops.iter().flat_map(|stop| &stop.routes) {
            if let SessionRule::Required { login: Some(login), .. } = &scoped.policy.session {
                logins.insert(login);
            }
        }
        for child in self.children.values() {
            child.collect_logins(logins);
        }
    }
}

impl Stop {
    fn insert(&mut self, scoped: Scoped) -> Result<(), RouteReason> {
        for there in &self.routes {
            match (&there.methods, &scoped.methods) {
                (Methods::All, Methods::All) => {
                    return Err(RouteReason::Taken);
                }
                (Methods::Only(there), Methods::Only(these)) => {
                    if let Some(method) = these.iter().find(|method| there.contains(method)) {
                        return Err(RouteReason::TakenFor(method.clone()));
                    }
                }
                _ => {}
            }
        }
        self.routes.push(scoped);
        Ok(())
    }

    /// The route that names the method, or else the one without methods.
    fn policy(&self, method: &str) -> Option<&RoutePolicy> {
        let named = self.routes.iter().find(|scoped| scoped.names(method));
        let found = named.or_else(|| self.routes.iter().find(|it| it.methods == Methods::All));
        found.map(|scoped| &scoped.policy)
    }
}

impl Scoped {
    fn names(&self, method: &str) -> bool {
        match &self.methods {
            Methods::All => false,
            Methods::Only(methods) => methods.iter().any(|named| named == method),
        }
    }

    /// Whether it covers this method.
    pub(super) fn is_for(&self, method: &str) -> bool {
        self.methods == Methods::All || self.names(method)
    }
}
