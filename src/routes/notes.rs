//! Warnings about valid routes.

use super::policy::{Level, Methods, Route};
use super::prefix::parse;

/// Surprising effects of combined routes.
pub(super) fn of(routes: &[Route]) -> Vec<String> {
    let mut notes = Vec::new();
    let has = |route: &Route, method: &str| match &route.methods {
        Methods::All => true,
        Methods::Only(methods) => methods.iter().any(|named| named == method),
    };
    for route in routes {
        let is_guard = route.policy.session.level() == Level::Required;
        let is_covered = || {
            let mut others = routes.iter().filter(|other| other.path == route.path);
            others.any(|other| has(other, "HEAD"))
        };
        if is_guard && has(route, "GET") && !has(route, "HEAD") && !is_covered() {
            notes.push(format!(
                "{:?} requires a session for GET but not for HEAD, which apps answer in the same way: add HEAD to its methods",
                route.path
            ));
        }
        if route.policy.backend.is_some() {
            continue;
        }
        let Ok(path) = parse(&route.path) else { continue };
        let is_above = |above: &&Route| {
            above.policy.backend.is_some_and(|backend| backend > 0)
                && parse(&above.path).is_ok_and(|above| path.starts_with(&above))
        };
        if let Some(above) = routes.iter().find(is_above) {
            notes.push(format!(
                "{:?} lies below {:?}, which has its own backend, but goes to the top-level one: routes inherit nothing. Set its backend",
                route.path, above.path
            ));
        }
    }
    notes
}
