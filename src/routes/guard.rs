//! What a route requires besides a session. As for sessions, every reading of a path counts: what
//! one of them refuses is refused, what one of them hides is hidden.

use crate::session::view::View;

/// What happens to requests that a page of another site makes a browser send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CrossSite {
    /// They reach the app.
    #[default]
    Allow,
    /// They get 403 if they can change data.
    Refuse,
}

/// The guard of one route.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Guard {
    /// `cross_site`; overrides that of `[session]`.
    pub cross_site: Option<CrossSite>,
    /// `keys`: which keys of the dict the app can see.
    pub view: Option<View>,
}

impl Guard {
    /// No restrictions.
    pub const NONE: Self = Self { cross_site: None, view: None };
}

/// The combined guards of all readings of a request.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Guarded {
    /// Whether one of them refuses requests from other sites.
    refuses: bool,
    /// Whether one of them has no `cross_site`, so that `[session]` decides.
    is_silent: bool,
    /// The keys that all of them show; None if they show everything.
    pub(super) view: Option<View>,
}

impl Guarded {
    /// Adds a guard.
    pub(super) fn meet(&mut self, guard: &Guard) {
        match guard.cross_site {
            Some(CrossSite::Refuse) => self.refuses = true,
            Some(CrossSite::Allow) => {}
            None => self.is_silent = true,
        }
        self.show(guard.view.as_ref());
    }

    /// Adds the guards for another reading of the method.
    pub(super) fn join(&mut self, other: Self) {
        self.refuses |= other.refuses;
        self.is_silent |= other.is_silent;
        self.show(other.view.as_ref());
    }

    fn show(&mut self, view: Option<&View>) {
        let Some(view) = view else { return };
        self.view = Some(match &self.view {
            Some(seen) => seen.and(view),
            None => view.clone(),
        });
    }

    pub(super) fn refuses_cross_site(&self, default: CrossSite) -> bool {
        self.refuses || (self.is_silent && default == CrossSite::Refuse)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::super::{Methods, Route, RoutePolicy, Routes};
    use super::*;

    fn of(guard: Guard) -> RoutePolicy {
        RoutePolicy { guard, ..RoutePolicy::default() }
    }

    fn routes(table: &[(&str, Option<CrossSite>)]) -> Routes {
        let route = |(path, cross_site): &(&str, Option<CrossSite>)| Route {
            path: (*path).into(),
            policy: of(Guard { cross_site: *cross_site, view: None }),
            ..Route::default()
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
            let found = routes.find("POST", target.as_bytes());
            assert_eq!(found.refuses_cross_site(default), expected == Refuse, "{target}");
        }
    }

    #[test]
    fn a_path_that_can_be_read_in_several_ways_shows_what_each_of_them_does() {
        let route = |(path, keys): (&str, Option<&[&str]>)| Route {
            path: path.into(),
            policy: of(Guard { cross_site: None, view: keys.map(view) }),
            ..Route::default()
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
            let found = routes.find("GET", target.as_bytes());
            assert_eq!(found.view(), expected.map(view).as_ref(), "{target}");
        }
    }

    fn view(keys: &[&str]) -> View {
        View::new(keys.iter().map(|&key| key.to_owned()))
    }

    #[test]
    fn a_guard_is_for_the_methods_of_its_route() {
        let only = |method: &str, guard| Route {
            path: "/x".into(),
            methods: Methods::Only(vec![method.into()]),
            policy: of(guard),
        };
        let refuse = Guard { cross_site: Some(CrossSite::Refuse), view: None };
        let shows = Guard { cross_site: None, view: Some(view(&["user"])) };
        let routes = Routes::new(vec![only("POST", refuse), only("GET", shows)]).unwrap();
        for (method, target, refuses, hides) in [
            ("POST", "/x", true, false),
            ("post", "/x", true, false),
            ("GET", "/x", false, true),
            ("PUT", "/x", false, false),
            ("PUT", "/%00", false, false),
            ("POST", "/%00", true, false),
        ] {
            let found = routes.find(method, target.as_bytes());
            assert_eq!(found.refuses_cross_site(CrossSite::Allow), refuses, "{method} {target}");
            assert_eq!(found.view().is_some(), hides, "{method} {target}");
        }
    }
}
