//! What a route asks of requests beside a session. Of all readings of a path that a server is known to
//! have, each counts, as for sessions: whatever one of them refuses or hides is refused and hidden.

use super::reading::{
    Keep, STEPS, decode, fold_case, has_stray_percent, is_plain, is_text, segments,
};
use super::{MAX_READ_BYTES, MAX_READINGS, path_of};
use crate::session::view::View;

/// What becomes of requests that a page of another site has made a browser send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CrossSite {
    /// They reach the app.
    #[default]
    Allow,
    /// They get 403 where they may change something.
    Refuse,
}

/// What one route says.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Guard {
    /// `cross_site`, in the place of that of `[session]`.
    pub cross_site: Option<CrossSite>,
    /// `keys`: what the app is shown of the dict.
    pub view: Option<View>,
}

/// What holds for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// The strictest of its readings.
    pub cross_site: CrossSite,
    /// What all readings show of the dict; None where each shows all of it.
    pub view: Option<View>,
}

impl Guarded {
    fn new(cross_site: CrossSite) -> Self {
        Self { cross_site, view: None }
    }

    /// This holds as well.
    fn meet(&mut self, guard: &Guard, default: CrossSite) {
        if guard.cross_site.unwrap_or(default) == CrossSite::Refuse {
            self.cross_site = CrossSite::Refuse;
        }
        if let Some(view) = &guard.view {
            self.view = Some(match &self.view {
                Some(seen) => seen.and(view),
                None => view.clone(),
            });
        }
    }
}

/// The guards of all routes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Guards {
    /// Each route, also those that say nothing: they stand in for those above them.
    routes: Vec<Placed>,
    is_needed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Placed {
    segments: Vec<Box<[u8]>>,
    folded: Vec<Box<[u8]>>,
    guard: Guard,
}

static NOTHING: Guard = Guard { cross_site: None, view: None };

impl Guards {
    pub(super) fn insert(&mut self, segments: &[Box<[u8]>], guard: Guard) {
        self.is_needed |= guard != NOTHING;
        let folded = segments.iter().map(|segment| fold_case(segment).into()).collect();
        self.routes.push(Placed { segments: segments.to_vec(), folded, guard });
    }

    /// What holds for a request target as it was sent.
    pub(super) fn find(&self, target: &[u8], default: CrossSite) -> Guarded {
        if !self.is_needed {
            return Guarded::new(default);
        }
        let path = path_of(target);
        let mut found = Guarded::new(CrossSite::Allow);
        if path.len() > MAX_READ_BYTES || has_stray_percent(path) {
            self.meet_all(&mut found, default);
            return found;
        }
        let sent = decode(path, Keep::Needless);
        let mut readings = match is_plain(&sent) {
            true => vec![sent],
            false => vec![sent, decode(path, Keep::Nothing)],
        };
        let is_read = is_plain(&readings[0]);
        let mut bytes: usize = readings.iter().map(Vec::len).sum();
        let mut next = 0;
        while let Some(reading) = readings.get(next) {
            if !is_text(reading) {
                self.meet_all(&mut found, default);
                return found;
            }
            self.meet(reading, &mut found, default);
            let further: Vec<_> =
                if is_read { Vec::new() } else { STEPS.iter().map(|step| step(reading)).collect() };
            for reading in further {
                if readings.contains(&reading) {
                    continue;
                }
                bytes += reading.len();
                if readings.len() >= MAX_READINGS || bytes > MAX_READ_BYTES {
                    self.meet_all(&mut found, default);
                    return found;
                }
                readings.push(reading);
            }
            next += 1;
        }
        found
    }

    /// What holds for one reading, for those who tell cases apart and for those who do not.
    fn meet(&self, path: &[u8], found: &mut Guarded, default: CrossSite) {
        let exact: Vec<&[u8]> = segments(path).collect();
        let covers = |route: &&Placed| is_prefix(&route.segments, &exact);
        let longest = self.routes.iter().filter(covers).max_by_key(|route| route.segments.len());
        found.meet(longest.map_or(&NOTHING, |route| &route.guard), default);

        let folded: Vec<Vec<u8>> = exact.iter().map(|segment| fold_case(segment)).collect();
        let folded: Vec<&[u8]> = folded.iter().map(Vec::as_slice).collect();
        let alike = || self.routes.iter().filter(|route| is_prefix(&route.folded, &folded));
        // A route stands in for those above it only if it is spelled as they are.
        let is_covered = |route: &Placed| {
            alike().any(|below| {
                below.segments.len() > route.segments.len()
                    && below.segments.starts_with(&route.segments)
            })
        };
        for route in alike().filter(|route| !is_covered(route)) {
            found.meet(&route.guard, default);
        }
    }

    /// What holds for a path that could mean anything.
    fn meet_all(&self, found: &mut Guarded, default: CrossSite) {
        found.meet(&NOTHING, default);
        for route in &self.routes {
            found.meet(&route.guard, default);
        }
    }
}

fn is_prefix(route: &[Box<[u8]>], path: &[&[u8]]) -> bool {
    route.len() <= path.len() && route.iter().zip(path).all(|(route, path)| **route == **path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::super::{Access, Route, Routes};
    use super::*;

    fn routes(table: &[(&str, Option<CrossSite>)]) -> Routes {
        let route = |(path, cross_site): &(&str, Option<CrossSite>)| Route {
            path: (*path).into(),
            access: Access::Open,
            guard: Guard { cross_site: *cross_site, view: None },
        };
        Routes::new(table.iter().map(route).collect()).unwrap()
    }

    #[test]
    fn the_routes_value_wins_and_the_strictest_reading_holds() {
        use CrossSite::{Allow, Refuse};
        let routes =
            routes(&[("/hook/", Some(Allow)), ("/hook/strict", Some(Refuse)), ("/hook/as", None)]);
        for (target, default, expected) in [
            ("/", Allow, Allow),
            ("/", Refuse, Refuse),
            ("/hook", Refuse, Allow),
            ("/hook/x?y", Refuse, Allow),
            ("/hooks", Refuse, Refuse),
            ("/hook/strict", Allow, Refuse),
            ("/hook/as", Refuse, Refuse),
            ("/hook/as", Allow, Allow),
            // Some servers read another path.
            ("/hook/../transfer", Refuse, Refuse),
            ("/hook/..%2ftransfer", Refuse, Refuse),
            ("/transfer/../hook", Refuse, Refuse),
            ("/hook//strict", Allow, Refuse),
            ("/hook/STRICT", Allow, Refuse),
            ("/HOOK", Refuse, Refuse),
            ("/hook/%", Refuse, Refuse),
            ("/hook/%00", Allow, Refuse),
        ] {
            assert_eq!(routes.guard(target.as_bytes(), default).cross_site, expected, "{target}");
        }
    }

    #[test]
    fn a_path_that_can_be_read_in_several_ways_shows_what_each_of_them_does() {
        let route = |(path, keys): (&str, Option<&[&str]>)| Route {
            path: path.into(),
            access: Access::Open,
            guard: Guard { cross_site: None, view: keys.map(view) },
        };
        let routes = Routes::new(
            [
                ("/shop/", Some(&["user", "cart"][..])),
                ("/shop/blog/", Some(&["user", "lang"])),
                ("/shop/all", None),
                ("/none", Some(&[])),
            ]
            .map(route)
            .into(),
        )
        .unwrap();
        for (target, expected) in [
            ("/", None),
            ("/shop", Some(&["user", "cart"][..])),
            ("/shop/blog/x", Some(&["user", "lang"])),
            ("/shop/all", None),
            ("/none", Some(&[])),
            ("/shop/x/../blog", Some(&["user"])),
            ("/SHOP/BLOG/x", Some(&["user", "lang"])),
            ("/%2e%2e/shop", Some(&["user", "cart"])),
            ("/%", Some(&[])),
        ] {
            let found = routes.guard(target.as_bytes(), CrossSite::Allow).view;
            assert_eq!(found, expected.map(view), "{target}");
        }
    }

    fn view(keys: &[&str]) -> View {
        View::new(keys.iter().map(|&key| key.to_owned()))
    }
}
