#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod readings;
mod rules;

use super::reading::escaped_byte;
use super::reading::{backslashes_to_slashes, strip_authority, strip_parameters, strip_script};
use super::*;
use proptest::prelude::*;

fn required(login: &str) -> SessionRule {
    SessionRule::Required { login: Some(login.to_owned()), demands: Vec::new() }
}

fn route(path: &str, rule: SessionRule) -> Route {
    Route {
        path: path.to_owned(),
        methods: Methods::All,
        policy: RoutePolicy { session: rule, ..RoutePolicy::default() },
    }
}

impl Routes {
    fn rule(&self, target: &[u8]) -> SessionRule {
        self.find("GET", target).rule()
    }
}

fn routes(table: &[(&str, SessionRule)]) -> Routes {
    let table = table.iter().map(|(path, rule)| route(path, rule.clone()));
    Routes::new(table.collect()).unwrap()
}

/// A public site with static files, an area for users and one public page in that area.
fn site() -> Routes {
    routes(&[
        ("/static/", SessionRule::Off),
        ("/admin/", required("/login")),
        ("/admin/help", SessionRule::Open),
        ("/admin/root/", required("/root-login")),
        ("/caf\u{e9} 1/", SessionRule::Off),
    ])
}

#[track_caller]
fn assert_all(routes: &Routes, expected: &SessionRule, targets: &[&str]) {
    for target in targets {
        assert_eq!(routes.rule(target.as_bytes()), *expected, "{target}");
    }
}

#[test]
fn without_routes_every_path_is_open() {
    let targets = ["", "*", "/", "/a", "/%2e%2e;/\\", "http://host/a"];
    assert_all(&Routes::new(Vec::new()).unwrap(), &SessionRule::Open, &targets);
    assert_all(&Routes::default(), &SessionRule::Open, &targets);
}

#[test]
fn a_route_for_the_root_covers_everything() {
    let all = required("/login");
    let targets = ["", "*", "/", "/a", "/%2e%2e;/\\", "http://host", "host:443", "?q"];
    assert_all(&routes(&[("/", all.clone())]), &all, &targets);
}

#[test]
fn the_longest_prefix_wins_on_whole_segments() {
    let site = site();
    let admin = required("/login");
    assert_all(&site, &admin, &["/admin", "/admin/", "/admin/x", "/admin/x/y?q=/static"]);
    assert_all(&site, &admin, &["/admin?x", "/admin/?x", "/admin/helpers", "/admin/roo"]);
    assert_all(&site, &SessionRule::Open, &["/admin/help", "/admin/help/", "/admin/help/x?/y"]);
    assert_all(&site, &required("/root-login"), &["/admin/root", "/admin/root/x"]);
    assert_all(&site, &SessionRule::Off, &["/static", "/static/", "/static/a/b.css?v=1"]);
    let elsewhere = ["/", "", "*", "/x", "/administrator", "/admi", "/x/admin", "/statics"];
    assert_all(&site, &SessionRule::Open, &elsewhere);
}

#[test]
fn a_trailing_slash_in_the_configuration_makes_no_difference() {
    for path in ["/admin", "/admin/"] {
        let one = routes(&[(path, required("/login"))]);
        assert_all(&one, &required("/login"), &["/admin", "/admin/", "/admin/x"]);
        assert_all(&one, &SessionRule::Open, &["/administrator", "/admi"]);
    }
}

#[test]
fn absolute_targets_are_matched_by_their_path() {
    let site = site();
    let admin = ["http://host/admin", "https://u@host:1/admin/x?q", "HTTP://[::1]:1/admin"];
    assert_all(&site, &required("/login"), &admin);
    assert_all(&site, &required("/login"), &["http://host\\admin", "http://host/static/../admin"]);
    assert_all(&site, &SessionRule::Off, &["http://host/static/x?http://host/admin"]);
    assert_all(&site, &SessionRule::Open, &["http://host", "http://host?/admin", "http://admin/"]);
}

#[test]
fn impossible_paths_are_refused() {
    let table = [
        ("", "starts with \"/\""),
        ("admin", "starts with \"/\""),
        ("http://host/admin", "starts with \"/\""),
        ("/admin?x", "query"),
        ("/admin#x", "fragment"),
        ("/admin/*", "prefix"),
        ("/a;b", "read differently"),
        ("/a\\b", "read differently"),
        ("//", "empty"),
        ("//admin", "empty"),
        ("/a//b", "empty"),
        ("/a//", "empty"),
        ("/a/../b", "dot segments"),
        ("/a/%2e/b", "dot segments"),
        ("/a\nb", "control"),
        ("/a%00b", "control"),
        ("/a\u{7f}", "control"),
        ("/a%2fb", "delimiters"),
        ("/a%3Fb", "delimiters"),
        ("/100%", "%25"),
        ("/%zz", "%25"),
        ("/%2541", "%25"),
    ];
    for (path, expected) in table {
        let faults = Routes::new(vec![route(path, SessionRule::Off)]).unwrap_err();
        assert_eq!(faults.len(), 1, "{path}");
        assert_eq!(faults[0].0, 0, "{path}");
        assert!(faults[0].1.to_string().contains(expected), "{path}: {}", faults[0].1);
    }
}

#[test]
fn every_fault_is_found_with_its_index() {
    let faults = Routes::new(vec![
        route("/a/", SessionRule::Off),
        route("b", SessionRule::Off),
        route("/a", SessionRule::Open),
        route("/%61", SessionRule::Open),
        route("/c?", SessionRule::Off),
    ]);
    let indices: Vec<usize> = faults.unwrap_err().into_iter().map(|(index, _)| index).collect();
    assert_eq!(indices, [1, 2, 3, 4]);
}

#[test]
fn a_login_page_behind_itself_is_warned_of() {
    let all = |login: &str| ("/", required(login));
    assert_eq!(routes(&[all("/login?x")]).warnings().len(), 1);
    assert_eq!(routes(&[all("/login"), ("/login", SessionRule::Open)]).warnings().len(), 0);
    assert_eq!(routes(&[all("https://id.example/")]).warnings().len(), 0);
    assert_eq!(site().warnings().len(), 0);
}

#[test]
fn the_login_location_leads_back() {
    let table: &[(&str, &[u8], &str)] = &[
        ("/login", b"/", "/login?next=%2F"),
        ("/login", b"/a/b", "/login?next=%2Fa%2Fb"),
        ("/login", b"/a?b=c&d=%20", "/login?next=%2Fa%3Fb%3Dc%26d%3D%2520"),
        ("/login?lang=de", b"/a", "/login?lang=de&next=%2Fa"),
        ("/app#/login", b"/a", "/app?next=%2Fa#/login"),
        ("https://id.example/", b"/a-._~1", "https://id.example/?next=%2Fa-._~1"),
        ("/login", b"http://host/a?b", "/login?next=%2Fa%3Fb"),
        ("/login", b"http://host?b", "/login?next=%2F%3Fb"),
        ("/login", b"http://host", "/login?next=%2F"),
        ("/login", b"*", "/login?next=%2F"),
        ("/login", b"", "/login?next=%2F"),
        ("/login", b"//evil.example", "/login?next=%2Fevil.example"),
        ("/login", b"/\\evil.example", "/login?next=%2Fevil.example"),
        ("/login", b"/\t/evil.example", "/login?next=%2Fevil.example"),
        ("/login", b"/%2f%5Cevil.example", "/login?next=%2Fevil.example"),
        ("/login", b"http://host//evil.example", "/login?next=%2Fevil.example"),
        ("/login", b"/\r\nX: \xff", "/login?next=%2FX%3A%20%FF"),
        ("/login", b"/a/../b", "/login?next=%2Fa%2F..%2Fb"),
        ("/login", b"/a//b", "/login?next=%2Fa%2F%2Fb"),
        ("/login", b"/a/./?next=/.//b%09", "/login?next=%2Fa%2F.%2F%3Fnext%3D%2F.%2F%2Fb%2509"),
        ("/login", b"/caf%c3%a9", "/login?next=%2Fcaf%25c3%25a9"),
        // Becomes another site when resolved, or when decoded once too often.
        ("/login", b"/.//evil.example", "/login?next=%2F"),
        ("/login", b"/.\\/evil.example", "/login?next=%2F"),
        ("/login", b"/a/..//evil.example?b", "/login?next=%2F"),
        ("/login", b"/%2e//evil.example", "/login?next=%2F"),
        ("/login", b"/%2e%2F%2fevil.example", "/login?next=%2F"),
        ("/login", b"/%252e/%5cevil.example", "/login?next=%2F"),
        ("/login", b"/%2e//evil.example/a%2f..%2f..%2f..%2fx", "/login?next=%2F"),
        ("/login", b"/%252fevil.example", "/login?next=%2F"),
        ("/login", b"/%09/evil.example", "/login?next=%2F"),
        ("/login", b"/%0a/evil.example", "/login?next=%2F"),
        ("/login", b"/%0D%0ALocation:x", "/login?next=%2F"),
        ("/login", b"/a%7f", "/login?next=%2F"),
        ("/login", b"/a\tb", "/login?next=%2F"),
        ("/login", b"/%25252525252561", "/login?next=%2F"),
    ];
    for (login, target, expected) in table {
        assert_eq!(login_location(login, target), *expected, "{}", target.escape_ascii());
    }
}

/// How some servers read a path, implemented independently.
pub(super) fn as_servers_read_it(path: &[u8]) -> Vec<Vec<u8>> {
    let nginx = resolve_dots(&merge_slashes(&decode(path, Keep::Nothing)));
    let tomcat = resolve_dots(&merge_slashes(&decode(&strip_parameters(path), Keep::Slashes)));
    let windows =
        resolve_dots(&merge_slashes(&backslashes_to_slashes(&decode(path, Keep::Nothing))));
    let twice = resolve_dots(&decode(&nginx, Keep::Nothing));
    let late = strip_parameters(&decode(&resolve_dots(path), Keep::Nothing));
    let node = strip_authority(path);
    let php = strip_script(&nginx);
    let express = nginx.to_ascii_lowercase();
    // Ignores a newline at the end, and drops invalid UTF-8.
    let starlette = nginx.strip_suffix(b"\n").unwrap_or(&nginx).to_vec();
    let bottle = String::from_utf8_lossy(&nginx).replace('\u{fffd}', "").into_bytes();
    let mut readings = vec![path.to_vec(), nginx, tomcat, windows, twice, late, node, php];
    readings.extend([express, starlette, bottle, as_uwsgi_reads_it(path)]);
    readings
}

/// Treats the two bytes after a `%` as an escape, even slashes.
fn as_uwsgi_reads_it(path: &[u8]) -> Vec<u8> {
    let mut decoded: Vec<Vec<u8>> = vec![Vec::new()];
    let mut rest = path.split(|&byte| byte == b'#').next().unwrap();
    while let [first, behind @ ..] = rest {
        let last = decoded.last_mut().unwrap();
        rest = behind;
        match (*first, behind) {
            (b'%', [b'%', ..]) => {
                last.push(b'%');
                rest = &behind[1..];
            }
            (b'%', [_, _, ..]) => {
                last.push(escaped_byte(&[b'%', behind[0], behind[1]]).unwrap_or(0));
                rest = &behind[2..];
            }
            (b'%', _) => rest = b"",
            (b'/', _) => decoded.push(Vec::new()),
            (byte, _) => last.push(byte),
        }
    }
    resolve_dots(&decoded.join(&b'/'))
}

pub(super) fn odd_path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/",
        "/",
        "//",
        "admin",
        "static",
        "x",
        "..",
        ".",
        "/../",
        "%2e",
        "%2F",
        "%5c",
        "\\",
        ";",
        ";x=1",
        "%3b",
        "%25",
        "%61dmin",
        "%252f",
        "#",
        "%00",
        "%",
        "ADMIN",
        "%0a",
        "%ff",
        "index.php",
        "\\/",
    ]);
    prop::collection::vec(piece, 0..10).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn no_server_reads_a_guarded_path_where_we_see_none(path in odd_path()) {
        let site = site();
        let rule = site.rule(path.as_bytes());
        for reading in as_servers_read_it(path.as_bytes()) {
            let theirs = site.look_up("GET", &reading).rule();
            prop_assert!(rule.level() >= theirs.level(), "{}", reading.escape_ascii());
        }
    }

    #[test]
    fn any_bytes_are_a_path(target in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = site().rule(&target);
        let location = login_location("/login", &target);
        let next = location.strip_prefix("/login?next=%2F").unwrap();
        let starts_with_slash = next.starts_with("%2F") || next.starts_with("%5C");
        prop_assert!(location.is_ascii() && !starts_with_slash, "{}", location);
    }

    #[test]
    fn the_way_back_is_never_another_site(path in odd_path(), host in any::<bool>()) {
        let target = path + if host { "//evil.example/%09/x" } else { "" };
        let location = login_location("/login", target.as_bytes());
        let next = location.strip_prefix("/login?next=").unwrap();
        let mut text = next.as_bytes().to_vec();
        // Apps decode once; faulty ones twice.
        for _ in 0..2 {
            text = decode(&text, Keep::Nothing);
            let path = text.split(|byte| *byte == b'?').next().unwrap();
            let seen: Vec<u8> = backslashes_to_slashes(path)
                .into_iter()
                .filter(|byte| !matches!(byte, b'\t' | b'\n' | b'\r'))
                .collect();
            for reading in [resolve_dots(&seen), seen] {
                prop_assert!(!reading.starts_with(b"//"), "{}", reading.escape_ascii());
            }
        }
    }

    #[test]
    fn plain_paths_need_no_second_reading(path in "(/[a-z]{1,3}){0,4}/?") {
        let site = site();
        prop_assert!(is_plain(path.as_bytes()));
        let readings = as_servers_read_it(path.as_bytes());
        for reading in readings {
            prop_assert_eq!(site.rule(path.as_bytes()), site.look_up("GET", &reading).rule());
        }
    }
}
