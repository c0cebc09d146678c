//! Methods, demands, backends and access lines: what a route decides besides the session.

use super::*;
use crate::session::demand::{Demand, Scalar};
use crate::session::dict::Dict;

fn role(role: &str) -> Demand {
    Demand { path: vec!["role".into()], values: vec![Scalar::Text(role.into())] }
}

fn demands(roles: &[&str]) -> SessionRule {
    SessionRule::Required { login: None, demands: roles.iter().copied().map(role).collect() }
}

fn for_methods(methods: &[&str], route: Route) -> Route {
    Route { methods: Methods::Only(methods.iter().map(|&name| name.into()).collect()), ..route }
}

fn to(backend: usize, mut route: Route) -> Route {
    route.policy.backend = Some(backend);
    route
}

fn silent(mut route: Route) -> Route {
    route.policy.log = false;
    route
}

fn built(routes: Vec<Route>) -> Routes {
    Routes::new(routes).unwrap()
}

#[track_caller]
fn assert_rule(routes: &Routes, table: &[(&str, &str, SessionRule)]) {
    for (method, target, expected) in table {
        let rule = routes.find(method, target.as_bytes()).rule();
        assert_eq!(rule, *expected, "{method} {target}");
    }
}

#[test]
fn for_methods_that_a_route_does_not_name_the_next_shorter_one_counts() {
    let routes = built(vec![
        route("/", SessionRule::Off),
        for_methods(&["POST", "PUT"], route("/api/", required("/login"))),
        for_methods(&["GET"], route("/api/x/", SessionRule::Open)),
    ]);
    assert_rule(
        &routes,
        &[
            ("POST", "/api", required("/login")),
            ("PUT", "/api/x/y", required("/login")),
            ("GET", "/api/x/y", SessionRule::Open),
            ("HEAD", "/api/x/y", SessionRule::Off),
            ("GET", "/api/y", SessionRule::Off),
            ("DELETE", "/api/x", SessionRule::Off),
            ("POST", "/", SessionRule::Off),
        ],
    );
}

#[test]
fn of_one_path_the_route_that_names_the_method_counts() {
    let routes = built(vec![
        for_methods(&["GET", "HEAD"], route("/a", SessionRule::Off)),
        route("/a/", required("/login")),
        for_methods(&["POST"], route("/a", SessionRule::Open)),
    ]);
    assert_rule(
        &routes,
        &[
            ("GET", "/a/b", SessionRule::Off),
            ("HEAD", "/a", SessionRule::Off),
            ("POST", "/a", SessionRule::Open),
            ("PUT", "/a", required("/login")),
            // Also if the method has another case.
            ("GET", "/A", SessionRule::Open),
            ("PUT", "/A", required("/login")),
        ],
    );
    let twice = |first: &[&str]| {
        Routes::new(vec![
            for_methods(first, route("/a", SessionRule::Off)),
            for_methods(&["POST", "GET"], route("/a/", SessionRule::Open)),
        ])
    };
    assert_eq!(
        twice(&["PUT", "GET"]).unwrap_err(),
        [(1, RouteError { path: "/a/".into(), reason: RouteReason::TakenFor("GET".into()) })]
    );
    assert!(twice(&["PUT"]).is_ok());
}

#[test]
fn a_method_in_another_case_is_read_in_both_ways() {
    let routes = built(vec![
        for_methods(&["POST"], route("/guarded", required("/login"))),
        for_methods(&["GET"], route("/free", SessionRule::Off)),
        for_methods(&["POST"], route("/free", SessionRule::Off)),
    ]);
    assert_rule(
        &routes,
        &[
            ("post", "/guarded", required("/login")),
            ("Post", "/GUARDED/x", required("/login")),
            ("get", "/guarded", SessionRule::Open),
            // No route covers it as sent.
            ("get", "/free", SessionRule::Open),
        ],
    );
}

#[test]
fn a_route_opens_nothing_for_another_spelling_of_what_lies_above_it() {
    let routes = built(vec![
        route("/admin", required("/login")),
        route("/Admin/Static", SessionRule::Off),
        route("/Shop", required("/login")),
        route("/Shop/Help", SessionRule::Open),
    ]);
    assert_rule(
        &routes,
        &[
            ("GET", "/ADMIN/static", required("/login")),
            ("GET", "/Admin/Static", required("/login")),
            ("GET", "/shop/x", required("/login")),
            ("GET", "/shop/help", SessionRule::Open),
        ],
    );
}

#[test]
fn of_two_that_demand_both_hold() {
    let routes = built(vec![
        route("/static", SessionRule::Off),
        route("/admin", demands(&["admin"])),
        route("/owner", demands(&["owner"])),
        route("/user", required("/login")),
        for_methods(&["POST"], route("/post", demands(&["poster"]))),
    ]);
    let with_login = |roles: &[&str]| SessionRule::Required {
        login: Some("/login".into()),
        demands: roles.iter().copied().map(role).collect(),
    };
    assert_rule(
        &routes,
        &[
            ("GET", "/admin/x", demands(&["admin"])),
            ("GET", "/Admin/x", demands(&["admin"])),
            // The documented reading comes first: its login is used.
            ("GET", "/user/../admin", demands(&["admin"])),
            ("GET", "/admin/../user", with_login(&["admin"])),
            ("GET", "/static/..;/admin", demands(&["admin"])),
            ("GET", "/static/x", SessionRule::Off),
            ("GET", "/admin/../owner", demands(&["owner", "admin"])),
            ("GET", "/owner%2f..%2fadmin", demands(&["admin", "owner"])),
            // A path that cannot be read.
            ("GET", "/static/%ff", {
                SessionRule::Required { login: None, demands: vec![role("admin"), role("owner")] }
            }),
            ("POST", "/static/%0a", demands(&["admin", "owner", "poster"])),
        ],
    );
    let found = routes.find("GET", b"/admin/../owner");
    let dict = |role: &str| Dict::parse(format!(r#"{{"role":{role}}}"#).as_bytes()).unwrap();
    assert!(!found.admits(&dict(r#""owner""#)));
    assert!(!found.admits(&dict(r#""admin""#)));
    assert!(found.admits(&dict(r#"["admin","owner"]"#)));
    assert!(!found.admits(&Dict::default()));
    assert!(routes.find("GET", b"/user").admits(&Dict::default()));
}

#[test]
fn the_app_is_that_of_the_documented_reading() {
    let routes = built(vec![
        to(1, route("/new/", SessionRule::Open)),
        to(2, route("/new/shop", SessionRule::Off)),
        to(0, route("/new/old", SessionRule::Open)),
        route("/guarded", required("/login")),
        for_methods(&["POST"], to(3, route("/old/", SessionRule::Open))),
    ]);
    for (method, target, backend) in [
        ("GET", "/", 0),
        ("GET", "/new", 1),
        ("GET", "/new/x", 1),
        ("GET", "/new/shop/x", 2),
        ("GET", "/new/old/x", 0),
        ("GET", "/NEW/x", 0),
        ("GET", "/new/../x", 0),
        ("GET", "/x/../new/%73hop", 2),
        ("GET", "//new//shop", 2),
        ("GET", "/new/%ff", 1),
        ("GET", "/new/%0a", 1),
        ("GET", "/guarded/../new", 1),
        ("POST", "/old/x", 3),
        ("GET", "/old/x", 0),
    ] {
        assert_eq!(routes.find(method, target.as_bytes()).backend(), backend, "{method} {target}");
    }
    let long = format!("/new/{}", ";a".repeat(MAX_READ_BYTES));
    assert_eq!(routes.find("GET", long.as_bytes()).backend(), 1);
}

#[test]
fn silence_needs_all_readings() {
    let routes = built(vec![
        silent(route("/health", SessionRule::Off)),
        route("/admin", SessionRule::Open),
        silent(route("/quiet", SessionRule::Open)),
    ]);
    for (target, logged) in [
        ("/health", false),
        ("/health/x?y", false),
        ("/health/a%20b", false),
        ("/health//x", false),
        ("/x/../health", true),
        ("/health/../admin", true),
        ("/admin/../health", true),
        ("/admin/%2e%2e/health", true),
        ("/health/%00", true),
        ("/HEALTH", true),
        ("/quiet/..;/health", false),
        ("/", true),
    ] {
        assert_eq!(routes.find("GET", target.as_bytes()).is_logged(), logged, "{target}");
    }
}

#[test]
fn what_may_surprise_is_told() {
    let get = |route| for_methods(&["GET"], route);
    assert_eq!(
        built(vec![get(route("/a", required("/login")))]).warnings(),
        [
            "\"/a\" requires a session for GET but not for HEAD, which apps answer in the same way: add HEAD to its methods"
        ]
    );
    let head = for_methods(&["HEAD"], route("/a", SessionRule::Open));
    assert_eq!(built(vec![get(route("/a", required("/l"))), head]).warnings().len(), 0);
    assert_eq!(built(vec![get(route("/a", SessionRule::Off))]).warnings().len(), 0);

    let below = |inner| built(vec![to(1, route("/new/", SessionRule::Open)), inner]).warnings();
    assert_eq!(
        below(route("/new/static", SessionRule::Off)),
        [
            "\"/new/static\" lies below \"/new/\", which has its own backend, but goes to the top-level one: routes inherit nothing. Set its backend"
        ]
    );
    assert_eq!(below(to(0, route("/new/static", SessionRule::Off))).len(), 0);
    assert_eq!(below(route("/news", SessionRule::Off)).len(), 0);
}

/// Guards of several types, side by side and nested.
fn guarded() -> Routes {
    built(vec![
        silent(route("/static/", SessionRule::Off)),
        route("/admin/", demands(&["admin"])),
        for_methods(&["POST", "PUT"], route("/admin/x", demands(&["editor"]))),
        for_methods(&["GET"], route("/admin/x", SessionRule::Open)),
        for_methods(&["POST"], route("/x/", required("/login"))),
        to(1, route("/Admin/Static", SessionRule::Open)),
    ])
}

proptest! {
    /// For every server and every case of the method.
    #[test]
    fn no_reading_of_path_and_method_escapes_a_stricter_route(
        path in odd_path(),
        method in prop::sample::select(vec!["GET", "POST", "PUT", "HEAD", "post", "pUT", "get"]),
    ) {
        let routes = guarded();
        let found = routes.find(method, path.as_bytes());
        let demanded = |rule: &SessionRule| rule.demands().to_vec();
        let ours = demanded(&found.rule());
        for reading in as_servers_read_it(path.as_bytes()) {
            for method in [method, &method.to_ascii_uppercase()] {
                let theirs = routes.look_up(method, &reading);
                let what = format!("{method} {}", reading.escape_ascii());
                prop_assert!(found.level() >= theirs.level(), "{}", what);
                prop_assert!(found.is_logged() >= theirs.is_logged(), "{}", what);
                for demand in demanded(&theirs.rule()) {
                    prop_assert!(ours.contains(&demand), "{}: {:?}", what, demand);
                }
            }
        }
    }
}
