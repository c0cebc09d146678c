//! Tests with whole files.

use std::path::Path;
use std::time::Duration;

use super::file::{Loaded, Overrides, parse};
use super::{Backend, Listen, OnBadSave, OnOutage, StoreConfig, StoreHome};
use crate::fault::Fault;
use crate::keys::source::Source;
use crate::routes::CrossSite;
use crate::session::dict::Dict;
use crate::session::header::ClaimEncoding;
use crate::session::{Holds, OnConflict};

mod faults;

/// Three lines; text after it starts on the fourth.
const TOP: &str = "listen = \"127.0.0.1:0\"\nbackend = \"http://app\"\n\
                   keys = [{ secret = \"0123456789abcdef0123456789abcdef\" }]\n";

fn read(text: &str) -> Result<Loaded, Vec<Fault>> {
    parse(text, Path::new("c.toml"), &Overrides::default())
}

fn loaded(below: &str) -> Loaded {
    let result = read(&format!("{TOP}{below}"));
    result.unwrap_or_else(|faults| panic!("{below}: {faults:#?}"))
}

#[test]
fn the_top_level_is_read() {
    let text = r#"
listen = ["[::]:8080", "unix:/run/c.sock"]
backend = "https://app"
workers = 3
shutdown_timeout = "0s"
[[keys]]
secret_file = "/k"
id = "new"
[[keys]]
secret_env = "OLD"
algorithm = "HS512"
"#;
    let config = read(text).unwrap().config;
    assert_eq!(
        config.listen,
        ["[::]:8080".parse::<Listen>(), "unix:/run/c.sock".parse()].map(Result::unwrap)
    );
    let backend = Backend::Tcp { host: "app".into(), port: 443, tls: true };
    assert_eq!(config.backend, backend);
    assert_eq!((config.workers, config.shutdown_timeout), (3, Duration::ZERO));
    let [new, old] = config.keys.as_slice() else { panic!("{:?}", config.keys) };
    assert!(matches!(&new.source, Source::File(path) if path == Path::new("/k")));
    assert_eq!((new.id.as_deref(), new.line), (Some("new"), 7));
    assert!(matches!(&old.source, Source::Env(name) if name == "OLD"));
    assert_eq!((old.algorithm.name(), old.line), ("HS512", 10));
}

#[test]
fn a_new_session_header_renames_those_that_have_no_name_of_their_own() {
    let headers = loaded("[headers]\nsession = 'X-User'\ndelete = 'X-Log-Out'").config.headers;
    assert_eq!(headers.session.as_str(), "X-User");
    assert_eq!(headers.save.as_str(), "X-User-Save");
    assert_eq!(headers.merge.as_str(), "X-User-Merge");
    assert_eq!(headers.max_age.as_str(), "X-User-Max-Age");
    assert_eq!(headers.delete.as_str(), "X-Log-Out");
    assert_eq!(headers.status, None);
}

#[test]
fn claims_keep_the_order_of_the_file() {
    let headers =
        loaded("[headers.claims]\nZ = 'a.b'\nA = 'c'\n\"X-Session-M\" = 'd'").config.headers;
    let claims: Vec<(&str, Vec<&str>)> = headers
        .claims
        .iter()
        .map(|claim| (claim.field.as_str(), claim.path.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(claims, [("Z", vec!["a", "b"]), ("A", vec!["c"]), ("X-Session-M", vec!["d"])]);
}

#[test]
fn claims_are_tables_where_a_path_is_not_enough() {
    let below = "[headers.claims]\nA = { path = 'a.b', join = '; ' }\n\
                 B = { path = ['https://example.com/roles', 'x'], encoding = 'base64url' }\n\
                 [headers.claims.C]\npath = 'c'\njoin = ','\nencoding = 'percent'";
    let headers = loaded(below).config.headers;
    let claims: Vec<_> = headers
        .claims
        .iter()
        .map(|claim| (claim.path.join("|"), claim.join.as_deref(), claim.encoding))
        .collect();
    assert_eq!(
        claims,
        [
            ("a|b".into(), Some("; "), ClaimEncoding::Plain),
            ("https://example.com/roles|x".into(), None, ClaimEncoding::Base64Url),
            ("c".into(), Some(","), ClaimEncoding::Percent),
        ]
    );
}

#[test]
fn lifetimes_are_read() {
    let below = "[session]\nttl = '14d'\nrefresh_after = '1500ms'\nabsolute_ttl = '14d'\n\
                 require_exp = true\non_bad_save = 'ignore'\nleeway = '2s'\naudience = 'shop'";
    let config = loaded(below).config;
    let fortnight = Duration::from_secs(14 * 86400);
    assert_eq!(config.session.ttl, Some(fortnight));
    assert_eq!(config.session.refresh_after, Some(Duration::from_millis(1500)));
    assert_eq!(config.session.absolute_ttl, Some(fortnight));
    assert_eq!(config.session.leeway, Duration::from_secs(2));
    assert_eq!(config.session.audience.as_deref(), Some("shop"));
    assert_eq!(config.session.issuer, None);
    assert!(config.session.require_exp);
    assert_eq!(config.on_bad_save, OnBadSave::Ignore);
}

#[test]
fn routes_are_read() {
    let below = "[[routes]]\npath = '/static/'\nsession = 'off'\n\
                 [[routes]]\npath = '/admin/'\nrequire = true\nlogin = '/login'\n";
    let routes = loaded(below).config.routes;
    let admin = routes.find("GET", b"/admin");
    assert_eq!((admin.is_required(), admin.login()), (true, Some("/login")));
    assert!(!routes.find("GET", b"/static/x").has_session());
    let login = routes.find("GET", b"/login");
    assert!(login.has_session() && !login.is_required());
}

#[test]
fn rules_of_routes_are_read() {
    let below = "[[routes]]\npath = '/a'\nmethods = ['GET', 'HEAD']\nlog = false\n\
                 require = { 'user.role' = ['admin', 7], active = true, level = 1.5 }\n\
                 [[routes]]\npath = '/b'\nbackend = 'https://new'\n\
                 [[routes]]\npath = '/c'\nbackend = 'http://app:80'\n\
                 [[routes]]\npath = '/d'\nbackend = 'unix:/d'\n\
                 [[routes]]\npath = '/e'\nbackend = 'https://new:443'\n";
    let config = loaded(below).config;
    let backends: Vec<String> = config.backends().map(ToString::to_string).collect();
    assert_eq!(backends, ["http://app:80", "https://new:443", "unix:/d"]);
    assert!(config.has_tls_backend());
    let numbers = ["/", "/b", "/c", "/d", "/e"];
    let numbers = numbers.map(|path| config.routes.find("GET", path.as_bytes()).backend());
    assert_eq!(numbers, [0, 1, 0, 2, 1]);

    let guarded = config.routes.find("HEAD", b"/a");
    assert!(guarded.is_required() && !guarded.is_logged());
    let dict = |text: &str| Dict::parse(text.as_bytes()).unwrap();
    assert!(guarded.admits(&dict(r#"{"user":{"role":7},"active":true,"level":1.50}"#)));
    assert!(!guarded.admits(&dict(r#"{"user":{"role":"7"},"active":true,"level":1.5}"#)));
    assert!(!guarded.admits(&dict(r#"{"user":{"role":7},"active":true}"#)));
    assert!(!config.routes.find("POST", b"/a").is_required());
}

#[test]
fn cross_site_is_read_and_a_route_has_its_own() {
    let below = "[session]\ncross_site = 'refuse'\ntrusted_origins = ['https://Pay.example:443']\n\
                 [[routes]]\npath = '/hook/'\ncross_site = 'allow'\n";
    let config = loaded(below).config;
    assert_eq!(config.trusted_origins, ["https://pay.example".parse().unwrap()]);
    assert_eq!(config.cross_site, CrossSite::Refuse);
    let refuses = |path: &str| {
        config.routes.find("POST", path.as_bytes()).refuses_cross_site(config.cross_site)
    };
    assert!(refuses("/") && !refuses("/hook/"));
}

#[test]
fn flags_override_the_file_and_are_checked_like_it() {
    let overrides = |listen: &[&str], backend: &str| Overrides {
        listen: listen.iter().map(|&text| text.to_owned()).collect(),
        backend: Some(backend.to_owned()),
    };
    let keys = "[[keys]]\nsecret_env = 'K'\n";
    let path = Path::new("c.toml");

    let loaded = parse(keys, path, &overrides(&["[::1]:0", "unix:/a"], "http://b:1")).unwrap();
    assert_eq!(loaded.config.listen.len(), 2);
    assert_eq!(loaded.config.backend.to_string(), "http://b:1");
    assert_eq!(loaded.effective["backend"].as_str(), Some("http://b:1"));

    let faults = parse(keys, path, &overrides(&["8080"], "http://me:hunter2@b")).unwrap_err();
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(faults[0].starts_with("--listen \"8080\": expected an IP address"), "{faults:?}");
    assert_eq!(faults[1], "--backend \"http://…@b\": expected a URL without user or password");
}

#[test]
fn an_open_listener_without_secure_is_worth_a_warning() {
    let warnings = |listen: &str, secure: &str| {
        let text =
            format!("{listen}\nbackend = 'http://b'\nkeys = [{{ secret_env = 'K' }}]\n{secure}");
        read(&text).unwrap().warnings
    };
    let open = "listen = ['127.0.0.1:0', '0.0.0.0:8080']";
    let [warning] = &warnings(open, "")[..] else { panic!("one warning") };
    assert!(warning.contains("0.0.0.0:8080"), "{warning}");
    assert_eq!(warnings(open, "[cookie]\nsecure = true").len(), 0);
    assert_eq!(warnings("listen = ['[::1]:80', 'unix:/a']", "").len(), 0);
}

#[test]
fn a_store_is_read() {
    let store = |below: &str| loaded(below).config.store;
    assert_eq!(store(""), None);
    assert_eq!(store("[store]\ntimeout = '0.25s'"), None);
    let below = "[session]\nttl = '1d'\nsubject = 'user.id'\n[store]\nurl = 'file:/a/b'";
    let config = loaded(below).config;
    let of_file = |path: &str| StoreConfig {
        home: StoreHome::File(path.into()),
        holds: Holds::Sessions,
        on_outage: OnOutage::Refuse,
        timeout: Duration::from_millis(250),
        prefix: "cloakroom:".into(),
    };
    assert_eq!(config.store, Some(of_file("/a/b")));
    assert_eq!(config.session.store, Some(Holds::Sessions));
    assert_eq!(config.session.subject, Some(vec!["user".into(), "id".into()]));
    assert_eq!(config.session.on_conflict, OnConflict::Rebase);

    let below = "[session]\nsubject = ['https://a.example/id']\non_conflict = 'fail'\n[store]\n\
                 url = 'file:///a'\nholds = 'revocations'\non_outage = 'pass'\ntimeout = '1s'\n\
                 prefix = 'p'";
    let config = loaded(below).config;
    let expected = StoreConfig {
        holds: Holds::Revocations,
        on_outage: OnOutage::Pass,
        timeout: Duration::from_secs(1),
        prefix: "p".into(),
        ..of_file("/a")
    };
    assert_eq!(config.store, Some(expected));
    assert_eq!(config.session.subject, Some(vec!["https://a.example/id".into()]));
    assert_eq!(config.session.on_conflict, OnConflict::Fail);
    // Its tokens must contain their session.
    assert_eq!(config.session.lifetime(), Some(crate::session::lifetime::LONGEST));
    let below = "session.ttl = '1d'\nstore.url = 'file:b'";
    assert_eq!(store(below), Some(of_file("b")));
}

#[cfg(feature = "redis")]
#[test]
fn the_servers_of_a_store_are_read() {
    use crate::store::server::{Node, Topology};
    let spec = |below: &str| {
        let config = loaded(&format!("session.ttl = '1d'\n[store]\n{below}")).config;
        let Some(StoreConfig { home: StoreHome::Server(spec), .. }) = config.store else {
            panic!("no server")
        };
        spec
    };
    let nodes = |named: &[(&str, u16)]| -> Vec<Node> {
        named.iter().map(|(host, port)| Node { host: (*host).into(), port: *port }).collect()
    };
    let plain = spec("url = 'redis://cache'");
    assert_eq!(plain.nodes, nodes(&[("cache", 6379)]));
    assert_eq!((plain.topology, plain.tls, plain.database), (Topology::Single, false, 0));
    let other = spec("url = ['valkeys://[::1]:7000/3']");
    assert_eq!(other.nodes, nodes(&[("::1", 7000)]));
    assert_eq!(
        (other.tls, other.database, other.nodes[0].to_string().as_str()),
        (true, 3, "[::1]:7000")
    );
    let cluster = spec("url = ['redis://a', 'redis://b:1']\ntopology = 'cluster'");
    assert_eq!(cluster.nodes, nodes(&[("a", 6379), ("b", 1)]));
    assert_eq!(cluster.topology, Topology::Cluster);
    let all = spec(
        "url = ['rediss://a', 'rediss://b']\ntopology = 'sentinel'\nmaster = 'm'\nusername = 'u'\n\
         password_file = '/p'\nsentinel_username = 's'\nsentinel_password_file = '/q'\n\
         ca_file = '/ca'\nclient_cert = '/cert'\nclient_key = '/key'",
    );
    assert_eq!(all.nodes, nodes(&[("a", 26379), ("b", 26379)]));
    assert_eq!(all.topology, Topology::Sentinel { master: "m".into() });
    let files: Vec<&str> = all.files().filter_map(|file| file.to_str()).collect();
    assert_eq!(files, ["/p", "/q", "/ca", "/cert", "/key"]);
    assert_eq!((all.username.as_deref(), all.sentinel_username.as_deref()), (Some("u"), Some("s")));
}
