//! Two hundred faulty configurations are loaded under load: each is counted and changes nothing,
//! and the previous one stays in effect.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::backend::Echo;
use crate::load::Load;
use crate::pick;
use crate::reload::{FAILURE, FILE, SUCCESS, wait_for};
use crate::support::{Builder, eventually, openssl};
use crate::users::Users;

/// Every key with invalid values, separated by " | ".
const VALUES: [(&str, &str, &str); 37] = [
    ("", "shutdown_timeout", "8 | '8' | '-1s' | [] | '8 parsecs'"),
    ("", "workers", "0 | -1 | 2.5 | '2' | 1025 | 99999999999999999999"),
    ("", "trusted_proxies", "'10.0.0.0/8' | ['intranet'] | ['10.0.0.0/33'] | [1]"),
    ("cookie", "name", "'' | 'a b' | 'a;b' | '__Host-a' | '__Secure-a' | 1"),
    ("cookie", "path", "'/;' | 1 | \"/\\n\""),
    ("cookie", "domain", "'a;b' | 'https://a.example' | 'a.example:80' | '*.a.example' | 1 | true"),
    ("cookie", "secure", "'true' | 1 | ture"),
    ("cookie", "http_only", "'no' | 0"),
    ("cookie", "same_site", "'sometimes' | 'none' | 1"),
    ("cookie", "partitioned", "true | 'x'"),
    ("cookie", "accept_names", "'old' | ['a b'] | ['faulty']"),
    ("session", "ttl", "'0s' | '1500ms' | 14 | 'for ever'"),
    ("session", "refresh_after", "'1d' | 1"),
    ("session", "absolute_ttl", "'0s' | 1"),
    ("session", "require_exp", "'yes' | 1"),
    ("session", "max_cookie_bytes", "0 | '4096' | 65537"),
    ("session", "max_bytes", "0 | '8192' | 1048577"),
    ("session", "on_bad_save", "'panic' | true"),
    ("session", "issuer", "'' | 1"),
    ("session", "audience", "'' | []"),
    ("session", "not_before", "'yesterday' | 1"),
    ("session", "revoked_file", "'/no/such/file' | 1"),
    ("headers", "session", "'Content' | 'x' | 'a b' | '' | 'Host'"),
    ("headers", "save", "'X-Session-Delete' | 'set-cookie' | 1"),
    ("headers", "encoding", "'xml' | 1"),
    ("headers", "status", "'X-Session' | 'Connection'"),
    ("headers.claims", "X-User", "'a..b' | 1 | ''"),
    ("log", "level", "'INFO' | 'on' | 3"),
    ("log", "access", "'yes' | 1"),
    ("limits", "head_bytes", "0 | 1023 | '1k'"),
    ("limits", "header_fields", "7 | 251"),
    ("limits", "connections", "0 | 1000001"),
    ("limits", "body_bytes", "-1 | '1M'"),
    ("timeouts", "head", "'0s' | 10"),
    ("timeouts", "keep_alive", "'0s' | '1500ms'"),
    ("timeouts", "backend_read", "'60' | 60"),
    ("timeouts", "backend_connect", "'soon' | 3"),
];

/// Invalid tables.
const TABLES: [&str; 14] = [
    "[sesion]\nttl = '1h'",
    "[session]\ntll = '1h'",
    "[cookie]",
    "[[cookie]]",
    "cookie = 1",
    "[[routes]]\nsession = 'off'",
    "[[routes]]\npath = 'a'",
    "[[routes]]\npath = '/'\nrequire = true\nlogin = '//evil'",
    "[[routes]]\npath = '/a'\n[[routes]]\npath = '/a/'",
    "[routes]\npath = '/'",
    "[[routes]]\npath = '/'\nsession = 'off'\nrequire = true",
    "[[keys]]\nid = 'a'\nsecret_env = 'NO_SUCH_VARIABLE'",
    "[[keys]]\nsecret = 'much too short'",
    "[[keys]]\nsecret = 'a secret that is long enough for it'\nalgorithm = 'none'",
];

/// The faulty configurations. Each has another cookie name: if one were applied, the users would
/// lose their sessions.
fn faults(url: &str, folder: &TempDir) -> Vec<Vec<u8>> {
    let sound = |tables: &str| {
        let cookie = if tables.contains("[cookie]\n") { "" } else { "[cookie]\nname = 'faulty'\n" };
        Builder::new(url).with(cookie).with(tables).text()
    };
    let with = |table: &str, line: &str| match table {
        "" => format!("{line}\n{}", sound("")),
        "log" => sound("").replace("format = \"json\"", line),
        "cookie" if line.starts_with("name ") => sound(&format!("[cookie]\n{line}")),
        "cookie" => sound(&format!("[cookie]\nname = 'faulty'\n{line}")),
        _ => sound(&format!("[{table}]\n{line}")),
    };
    let mut faults = Vec::new();
    for (table, key, values) in VALUES {
        faults.extend(values.split(" | ").map(|value| with(table, &format!("{key} = {value}"))));
        if table != "headers.claims" {
            // The key without its last letter.
            faults.push(with(table, &format!("{} = 1", &key[..key.len() - 1])));
        }
    }
    // `[cookie]` is already used.
    let named = "[cookie]\nname = 'faulty'\n";
    faults.extend(TABLES.map(|table| Builder::new(url).with(named).with(table).text()));
    // An incomplete copy, which ends before the key.
    let whole = sound("");
    let end = whole.find("secret = ").expect("a key") + 20;
    let mut cuts: Vec<_> = (0..40).map(|step| whole[..end * step / 40].to_owned()).collect();
    faults.append(&mut cuts);
    faults.extend(key_files(folder).map(|keys| Builder::new(url).with(named).keys(&keys).text()));
    let mut faults: Vec<Vec<u8>> = faults.into_iter().map(String::into_bytes).collect();
    // Bytes that are not text, or too much text.
    faults.push(vec![0; 4096]);
    faults.push((0..=255).cycle().take(100_000).collect());
    faults.push([whole.as_bytes(), b"# \xff\n"].concat());
    faults.push([whole.as_bytes(), b"\0"].concat());
    faults.push([b"\xff\xfe".as_slice(), whole.as_bytes()].concat());
    faults.push([b"x = ".to_vec(), vec![b'['; 100_000]].concat());
    faults.push(b"a.".repeat(100_000));
    faults.push(b"[[keys]]\n".repeat(500));
    faults.push(b"x = 1\n".repeat(500));
    faults
}

/// Keys with faulty files.
fn key_files(folder: &TempDir) -> impl Iterator<Item = String> {
    let pem = openssl("genpkey -algorithm ed25519", "");
    let files: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("newline", b"\n"),
        ("short", b"much too short"),
        ("random.pem", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ("ed25519.pem", pem.as_bytes()),
        ("half.pem", &pem.as_bytes()[..pem.len() / 2]),
    ];
    for (name, contents) in files {
        fs::write(folder.path().join(name), contents).unwrap();
    }
    let folder = folder.path().display().to_string();
    let keys = [
        "secret_file = 'empty'",
        "secret_file = 'newline'",
        "secret_file = 'short'",
        "secret_file = 'missing'",
        "secret_file = ''",
        "secret_file = '.'",
        "algorithm = 'EdDSA'\nprivate_key_file = 'random.pem'",
        "algorithm = 'EdDSA'\nprivate_key_file = 'half.pem'",
        "algorithm = 'EdDSA'\nprivate_key_file = 'missing'",
        "algorithm = 'ES256'\nprivate_key_file = 'ed25519.pem'",
        "algorithm = 'RS256'\nprivate_key_file = 'ed25519.pem'",
        "algorithm = 'EdDSA'\npublic_key_file = 'ed25519.pem'",
        "algorithm = 'HS256'\nprivate_key_file = 'ed25519.pem'",
    ];
    keys.into_iter().map(move |key| {
        let key = key.replace("file = '", &format!("file = '{folder}/"));
        format!("[[keys]]\n{key}\n")
    })
}

#[test]
fn bad_config() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Echo::start();
    let path = folder.path().join(FILE);
    // The file is complete at any time.
    let put = |contents: &[u8]| {
        let new = folder.path().join("new");
        fs::write(&new, contents).unwrap();
        fs::rename(new, &path).unwrap();
    };
    put(Builder::new(&backend.url()).text().as_bytes());
    let sidecar = Builder::new(&backend.url()).file(path.clone()).forget_access().start();
    let all = faults(&backend.url(), &folder);
    assert!(all.len() >= 200, "{}", all.len());
    let some: Vec<_> = all.iter().step_by(pick(25, 1)).collect();

    let users = Arc::new(Users::new(pick(50, 200)));
    let load = Load::on(sidecar.address()).connections(50).rate(pick(200.0, 1000.0));
    let load = users.load(load);
    for (number, fault) in some.iter().enumerate() {
        let seen = sidecar.count(FAILURE) as u64;
        put(fault);
        if number % 2 == 0 {
            sidecar.signal("HUP");
        }
        let shown = String::from_utf8_lossy(&fault[..fault.len().min(2000)]);
        let refused = || sidecar.count(FAILURE) as u64 > seen;
        eventually(&format!("refusal of {shown}"), || refused().then_some(()));
        assert_eq!(sidecar.count(SUCCESS), 0.0, "it was taken: {shown}");
    }
    let failures = sidecar.count(FAILURE);
    // A valid configuration is applied again.
    put(Builder::new(&backend.url()).text().as_bytes());
    wait_for(&sidecar, SUCCESS, 1);
    let due = Instant::now() + Duration::from_millis(200);
    thread::sleep(due.saturating_duration_since(Instant::now()));
    let figures = load.stop();

    println!(
        "bad_config: {figures}, {} faulty configurations, {failures} counted, {} logged out, {} \
         mixed up",
        some.len(),
        users.lost(),
        users.mixed_up()
    );
    figures.assert_none_failed();
    assert!(failures >= some.len() as f64);
    assert_eq!((users.mixed_up(), users.lost()), (0, 0));
}
