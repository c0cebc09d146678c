//! Every fault is found with its position, and nothing else is reported.

use super::{TOP, loaded, read};

mod values;

/// The faults as `line: message`.
fn faults(text: &str) -> Vec<String> {
    let Err(faults) = read(text) else { panic!("no fault: {text}") };
    faults.iter().map(|fault| format!("{}: {}", fault.line, fault.message)).collect()
}

/// Each text, after [`TOP`], has exactly this fault.
fn each_has_one_fault(table: &[(&str, &str)]) {
    for (below, expected) in table {
        assert_eq!(faults(&format!("{TOP}{below}")), [*expected], "{below}");
    }
}

#[test]
fn seven_faults_are_seven_messages() {
    let text = r#"listen = "8080"
workers = 0
[[keys]]
secret_env = "SESSION_KEY"
algorithm = "RS256"
[session]
tll = "14d"
refresh_after = "1d"
[cookie]
same_site = "none"
"#;
    assert_eq!(
        faults(text),
        [
            r#"1: listen = "8080": expected an IP address or localhost, with a port, such as "0.0.0.0:8080" or "[::]:8080", or "unix:/run/cloakroom.sock""#,
            r#"1: missing key backend: the address of the app, e.g. backend = "http://app:5000""#,
            "2: workers = 0: expected a whole number from 1 to 1024",
            r#"5: keys[1].algorithm = "RS256" takes a key pair: expected private_key_file in place of a secret"#,
            "7: unknown key session.tll; did you mean session.ttl?",
            "8: session.refresh_after needs session.ttl: only a session that expires can be refreshed",
            r#"10: cookie.same_site = "none" needs cookie.secure = true"#,
        ]
    );
}

#[test]
fn a_fault_names_file_and_line() {
    let faults = read(&format!("{TOP}worker = 1")).unwrap_err();
    assert_eq!(faults[0].to_string(), "c.toml:4: unknown key worker; did you mean workers?");
}

#[test]
fn an_empty_file_lacks_three_things() {
    let missing: Vec<String> =
        faults("").iter().map(|fault| fault.split(':').take(2).collect()).collect();
    assert_eq!(missing, ["1 missing key listen", "1 missing key backend", "1 missing key keys"]);
}

#[test]
fn keys_that_do_not_go_together_are_refused() {
    each_has_one_fault(&[
        (
            "[cookie]\nname = '__Host-s'",
            r#"5: cookie.secure: a cookie named "__Host-s" needs cookie.secure = true"#,
        ),
        ("[cookie]\npartitioned = true", "5: cookie.partitioned = true needs cookie.secure = true"),
        (
            "[cookie]\nsecure = true\nname = '__Host-s'\ndomain = 'a'",
            r#"7: cookie.domain: a cookie named "__Host-s" must not have a domain"#,
        ),
        (
            "[session]\nttl = '1d'\nrefresh_after = '24h'",
            "6: session.refresh_after must be shorter than session.ttl: no token gets older than that",
        ),
        (
            "[headers]\nsave = 'X-A'\nmerge = 'x_a'",
            r#"6: headers.merge = "x_a": duplicate name: headers.save has it already"#,
        ),
        (
            "[headers]\nsave = 'X-Session-Delete'",
            r#"5: headers.save = "X-Session-Delete": duplicate name: headers.delete has it already"#,
        ),
        (
            "[headers]\nsession = 'Content'",
            r#"5: headers.session = "Content" would strip every request header that starts with "Content-", such as Content-Encoding"#,
        ),
        (
            "[headers]\nsession = 'x'",
            r#"5: headers.session = "x" would strip every request header that starts with "x-", such as X-Forwarded-For"#,
        ),
        (
            "[headers.claims]\nX-Session = 'a'",
            "5: headers.claims.X-Session: duplicate name: headers.session has it already",
        ),
        (
            "[[routes]]\npath = '/'\nsession = 'off'\nrequire = true",
            r#"7: routes[1].require = true does not go with session = "off""#,
        ),
        (
            "[[routes]]\npath = '/a'\nlogin = '/l'",
            "6: routes[1].login needs require = true, or require with values",
        ),
        (
            "[admin]\nlisten = 'unix:/a'\n[log]\nlevel = 'on'",
            r#"7: log.level = "on": expected "off", "error", "warn", "info", "debug" or "trace""#,
        ),
    ]);
    let text = TOP.replace("127.0.0.1:0", "127.0.0.1:81") + "[admin]\nlisten = 'localhost:81'";
    assert_eq!(
        faults(&text),
        [r#"5: admin.listen = "127.0.0.1:81": duplicate address: listen has it already"#]
    );
}

#[test]
fn paths_and_networks_that_cannot_be_are_refused() {
    each_has_one_fault(&[
        (
            "[[routes]]\npath = '/a'\n[[routes]]\npath = '/a/'",
            r#"7: routes[2].path: duplicate path "/a/": another [[routes]] has it already"#,
        ),
        (
            "trusted_proxies = [\n'10.0.0.0/8',\n'intranet']",
            r#"6: trusted_proxies[2]: expected an address, a network such as "10.0.0.0/8", or "unix", not "intranet""#,
        ),
    ]);
}

#[test]
fn a_login_that_itself_needs_a_login_is_warned_of() {
    let text = "[[routes]]\npath = '/'\nrequire = true\nlogin = '/login'\n";
    let warnings = loaded(text).warnings;
    assert!(
        warnings[0].contains("\"/login\" is on a route that requires a session itself"),
        "{warnings:?}"
    );
    let exempt = format!("{text}[[routes]]\npath = '/login'");
    assert!(loaded(&exempt).warnings.is_empty());
}

#[test]
fn each_key_has_one_secret_and_an_id_of_its_own() {
    let top = "listen = '[::1]:0'\nbackend = 'http://app'\n";
    let table = [
        ("keys = 'hunter2'", "3: keys: expected a table for each, [[keys]] in two brackets"),
        (
            "[keys]\nsecret = 'hunter2'",
            "3: keys: expected a table for each, [[keys]] in two brackets",
        ),
        ("keys = ['hunter2']", "3: keys[1]: expected a table for each, [[keys]] in two brackets"),
        (
            "keys = []",
            r#"3: missing key keys: at least one key, e.g. [[keys]] with secret_file = "/run/secrets/session_key""#,
        ),
        (
            "[[keys]]\nid = 'a'",
            "3: keys[1] has no secret: expected one of secret_file, secret_env and secret, or for a key pair private_key_file or public_key_file",
        ),
        (
            "[[keys]]\nsecret = 'hunter2'\nsecret_env = 'A'",
            "3: keys[1] has secret_env and secret: expected only one of them",
        ),
        ("[[keys]]\nsecret = ['hunter2']", "4: keys[1].secret: expected a string"),
        (
            "[[keys]]\nsecret_env = 'hunter2!'",
            "4: keys[1].secret_env: expected the name of an environment variable",
        ),
        (
            "[[keys]]\nsecrett = 'hunter2'\nsecret_env = 'A'",
            "4: unknown key keys[1].secrett; did you mean keys[1].secret?",
        ),
        (
            "[[keys]]\nsecret_env = 'A'\nalgorithm = 'hs256'",
            r#"5: keys[1].algorithm = "hs256": expected "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA" or "A256GCM""#,
        ),
        (
            "[[keys]]\nsecret_env = 'A'\nalgorithm = 'ES256'",
            r#"5: keys[1].algorithm = "ES256" takes a key pair: expected private_key_file in place of a secret"#,
        ),
        (
            "[[keys]]\npublic_key_file = 'A'",
            r#"3: keys[1].algorithm = "HS256" takes a secret: expected secret_file in place of a key pair"#,
        ),
        (
            "[[keys]]\npublic_key_file = 'A'\nalgorithm = 'A256GCM'",
            r#"5: keys[1].algorithm = "A256GCM" takes a secret: expected secret_file in place of a key pair"#,
        ),
        (
            "[[keys]]\nsecret_env = 'A'\nid = 'a'\n[[keys]]\nsecret_env = 'B'\nid = 'a'",
            r#"8: keys[2].id = "a": duplicate id: keys[1] has it already"#,
        ),
        (
            "[[keys]]\nsecret_env = 'A'\ntrusted_proxies = []",
            "5: unknown key keys[1].trusted_proxies; trusted_proxies goes to the top of the file, above the first [table]",
        ),
        (
            "[[keys]]\nsecret = \"hunter2\nid = 'a'",
            r#"4: not TOML: invalid basic string, expected `"`"#,
        ),
    ];
    for (below, expected) in table {
        let found = faults(&format!("{top}{below}"));
        assert_eq!(found, [expected], "{below}");
        assert!(!found.concat().contains("hunter2"), "{found:?}");
    }
}

#[test]
fn broken_syntax_hides_no_fault_on_other_lines_and_invents_none() {
    let text = r#"listen = "127.0.0.1:0
workers = many
[cookie]
secure = ture
same_site = "none"
name = "a b"
[cookie]
"#;
    let faults = faults(text);
    let lines: Vec<&str> = faults.iter().map(|fault| &fault[..2]).collect();
    assert_eq!(lines, ["1:", "2:", "4:", "6:", "7:"], "{faults:#?}");
    assert_eq!(faults[4], "7: duplicate key cookie");
    assert_eq!(self::faults("listen = [\n'a',\nworkers = 1\n").len(), 1);
}

#[test]
fn a_broken_date_is_a_fault_wherever_it_stands() {
    for key in ["workers", "shutdown_timeout", "session.not_before", "cookie.secure", "log.level"] {
        for date in ["2026-11-22T10", "2026-13-01", "1979-02-30", "25:00:00", "2026-11-22T10:00Z9"]
        {
            let faults = faults(&format!("{TOP}{key} = {date}\n"));
            assert!(faults[0].starts_with("4: not TOML: "), "{key} = {date}: {faults:?}");
            assert_eq!(faults.len(), 1, "{key} = {date}: {faults:?}");
        }
    }
}

#[test]
fn a_number_in_a_message_is_nothing_that_a_terminal_would_act_on() {
    each_has_one_fault(&[
        ("workers = 9_9\u{1b}c", r"4: workers = 99\u{1b}c: expected a number that fits 64 bits"),
        ("log.access = 1_0\0", r"4: log.access = 10\0: expected a number that fits 64 bits"),
    ]);
}

#[cfg(feature = "redis")]
#[test]
fn a_store_is_a_file_or_a_server_and_nothing_else() {
    const FILE: &str = "a file, such as \"file:/var/lib/cloakroom/sessions.db\"";
    const ANY: &str = "a file, such as \"file:/var/lib/cloakroom/sessions.db\", or a server, such as \"redis://cache:6379\"";
    const SERVER: &str = "a server, such as \"redis://cache:6379/0\" or \"rediss://cache\"";
    const KIND: &str = "servers with TLS or servers without, all with the same database";
    for (url, what, expected) in [
        ("'sessions.db'", ANY, ""),
        ("'file:'", FILE, ""),
        ("'file:/var/lib/'", FILE, ""),
        ("'file:/a\\nb'", ANY, ""),
        ("1", ANY, ""),
        ("[]", ANY, ""),
        ("['file:/a']", ANY, ""),
        ("'sqlite:/a'", ANY, ""),
        ("'file://host/a'", FILE, ", without a host"),
        ("'file:/a?mode=ro'", FILE, ", without ?, # and %"),
        (
            "'redis://:hunter2@cache:6379/0'",
            "a URL without user and password: they are in store.username and store.password_file",
            "",
        ),
        ("'rediss://'", "a host name or an IP address after \"://\"", ""),
        ("'redis://a:0'", "a port from 1 to 65535", ""),
        ("'redis:/a'", SERVER, ""),
        ("'redis://a/99999'", SERVER, ""),
        ("'redis://a/b'", SERVER, ": after host and port, only the database's number"),
        ("'redis://a?b=c'", SERVER, ""),
        ("['redis://a', 'file:/b']", SERVER, ""),
        ("['valkey://a', 'valkeys://b']", KIND, ""),
        ("['valkey://a/1', 'redis://b/2']", KIND, ""),
    ] {
        let url = url.replace("\\\\n", "\\n").replace('\'', "\"");
        let found = faults(&format!("{TOP}[store]\nurl = {url}\n"));
        let [fault] = &found[..] else { panic!("{url}: {found:?}") };
        assert!(fault.starts_with("5: store.url = "), "{fault}");
        assert!(fault.ends_with(&format!(": expected {what}{expected}")), "{fault}");
        assert!(!fault.contains("hunter2"), "{fault}");
    }
}

#[test]
fn a_store_has_what_it_needs() {
    each_has_one_fault(&[
        (
            "[store]\nurl = 'file:/a'",
            "4: store.holds = \"sessions\" needs session.ttl: sessions that never end would fill the store",
        ),
        (
            "session.ttl = '1d'\nsession.max_cookie_bytes = 300\n[store]\nurl = 'file:/a'\nholds = 'sessions'",
            "8: store.holds = \"sessions\" needs session.max_cookie_bytes = 359 at least: its cookies are that long",
        ),
        (
            "session.ttl = '1d'\n[store]\nurl = 'file:/a'\nusername = 'me'",
            "7: store.username is for a server: remove it, because store.url is a file",
        ),
        (
            "[store]\nholds = 'revocations'",
            "4: missing key store.url: where the sessions are stored, e.g. url = \"file:/var/lib/cloakroom/sessions.db\"",
        ),
        (
            "[store]\nholds = 'all'",
            r#"5: store.holds = "all": expected "sessions" or "revocations""#,
        ),
        (
            "[store]\non_outage = 'ignore'",
            r#"5: store.on_outage = "ignore": expected "refuse" or "pass""#,
        ),
        (
            "[store]\ntimeout = '0s'",
            r#"5: store.timeout = "0s": expected a duration longer than zero"#,
        ),
        (
            "[store]\nprefix = ''",
            r#"5: store.prefix = "": must not be empty; remove the key to disable it"#,
        ),
        (
            "[store]\nprefix = '{a}'",
            r#"5: store.prefix = "{a}": expected a string without { and }"#,
        ),
        (
            "[session]\non_conflict = 'merge'",
            r#"5: session.on_conflict = "merge": expected "rebase", "fail" or "overwrite""#,
        ),
        (
            "[session]\nsubject = 'user..id'",
            r#"5: session.subject = "user..id": expected a path into the dict, such as "user.id", or an array of its keys"#,
        ),
        (
            "[session]\nsubject = []",
            r#"5: session.subject = […]: expected a path into the dict, such as "user.id", or an array of its keys"#,
        ),
    ]);
}

#[cfg(feature = "redis")]
#[test]
fn the_servers_of_a_store_have_what_they_need() {
    each_has_one_fault(&[
        (
            "session.ttl = '1d'\n[store]\nurl = 'redis://a'\ntopology = 'sentinel'",
            "5: missing key store.master: the name that the sentinels know it by",
        ),
        (
            "session.ttl = '1d'\n[store]\nurl = 'redis://a'\nmaster = 'm'",
            "7: store.master is for store.topology = \"sentinel\"",
        ),
        (
            "session.ttl = '1d'\n[store]\nurl = 'redis://a'\nca_file = '/ca'",
            "7: store.ca_file is for TLS: store.url = \"rediss://…\" or \"valkeys://…\"",
        ),
        (
            "session.ttl = '1d'\n[store]\nurl = 'rediss://a'\nclient_cert = '/cert'",
            "5: missing key store.client_key: the file that belongs to store.client_cert",
        ),
        (
            "session.ttl = '1d'\n[store]\nurl = 'redis://a'\nusername = 'me'",
            "5: missing key store.password_file: the file with the password of store.username",
        ),
        (
            "session.ttl = '1d'\n[store]\nurl = ['redis://a', 'redis://b']",
            "6: store.url names several servers: store.topology has to say whether they are sentinels (\"sentinel\") or nodes of a cluster (\"cluster\")",
        ),
        (
            "session.ttl = '1d'\n[store]\nurl = 'redis://a/1'\ntopology = 'cluster'",
            "6: store.url names a database, and a cluster has none but 0",
        ),
    ]);
}

#[cfg(not(feature = "redis"))]
#[test]
fn without_their_client_servers_are_refused() {
    each_has_one_fault(&[(
        "session.ttl = '1d'\n[store]\nurl = 'redis://a'\ntopology = 'single'",
        "6: store.url = \"redis://a\": expected a file, such as \"file:/var/lib/cloakroom/sessions.db\": this cloakroom was built without the feature \"redis\", which Redis and Valkey take",
    )]);
}
