#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use http::HeaderMap;
use proptest::prelude::*;

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";
const X_FORWARDED_HOST: &str = "x-forwarded-host";
const FORWARDED: &str = "forwarded";

fn forward(
    trusted: &TrustedProxies,
    peer: Option<IpAddr>,
    scheme: Scheme,
    host: Option<&[u8]>,
    received: &HeaderMap,
) -> Forwarding {
    // An invalid value is refused earlier.
    let host = host.and_then(|host| HeaderValue::from_bytes(host).ok());
    super::forward(trusted, peer, scheme, host, Some(received))
}

fn trusted(entries: &[&str]) -> TrustedProxies {
    let entries: Vec<String> = entries.iter().map(|&entry| entry.to_owned()).collect();
    TrustedProxies::new(&entries).unwrap()
}

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

type Fields<'a> = &'a [(&'static str, &'a str)];

fn fields(list: Fields<'_>) -> HeaderMap {
    list.iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect()
}

/// For, Proto and Host as text; "-" if the field is not sent.
fn summary(forwarding: &Forwarding) -> [String; 3] {
    let text = |value: Option<&HeaderValue>| match value {
        Some(value) => value.to_str().unwrap().to_owned(),
        None => "-".to_owned(),
    };
    let Forwarding { for_, proto, host, .. } = forwarding;
    [text(for_.as_ref()), text(Some(proto)), text(host.as_ref())]
}

/// The client as in the access log.
#[test]
fn the_client_is_the_nearest_address_that_is_no_trusted_proxys() {
    let trusted = trusted(&["10.0.0.0/8", "2001:db8::/32"]);
    let table: &[(&str, Fields<'_>, &str)] = &[
        ("10.0.0.2", &[], "10.0.0.2"),
        ("10.0.0.2", &[(X_FORWARDED_FOR, "6.6.6.6")], "6.6.6.6"),
        ("10.0.0.2", &[(X_FORWARDED_FOR, "6.6.6.6, 7.7.7.7")], "7.7.7.7"),
        ("10.0.0.2", &[(X_FORWARDED_FOR, "6.6.6.6,7.7.7.7 ,,10.1.1.1, ")], "7.7.7.7"),
        ("10.0.0.2", &[(X_FORWARDED_FOR, "10.1.1.1, 10.2.2.2")], "10.1.1.1"),
        (
            "10.0.0.2",
            &[(X_FORWARDED_FOR, "6.6.6.6"), (X_FORWARDED_FOR, "7.7.7.7, 10.3.3.3")],
            "7.7.7.7",
        ),
        ("10.0.0.2", &[(X_FORWARDED_FOR, "6.6.6.6, unknown, 10.1.1.1")], "10.1.1.1"),
        ("10.0.0.2", &[(X_FORWARDED_FOR, "not an address")], "10.0.0.2"),
        ("10.0.0.2", &[(X_FORWARDED_FOR, "7.7.7.7:4711, [2001:db8::7]:80")], "7.7.7.7"),
        ("10.0.0.2", &[(X_FORWARDED_FOR, "2001:db9::7")], "2001:db9::7"),
        ("10.0.0.2", &[(X_FORWARDED_FOR, "::ffff:7.7.7.7")], "7.7.7.7"),
        ("::ffff:10.0.0.2", &[(X_FORWARDED_FOR, "::ffff:10.0.0.3")], "10.0.0.3"),
        ("10.0.0.2", &[(FORWARDED, "for=6.6.6.6, for=\"[2001:db8::7]:80\"")], "6.6.6.6"),
        ("10.0.0.2", &[(FORWARDED, "for=6.6.6.6, for=7.7.7.7")], "7.7.7.7"),
        ("10.0.0.2", &[(FORWARDED, "for=6.6.6.6, proto=https")], "10.0.0.2"),
        ("10.0.0.2", &[(FORWARDED, "for=\"6.6.6.6")], "10.0.0.2"),
        ("10.0.0.2", &[(FORWARDED, "for=6.6.6.6"), (X_FORWARDED_FOR, "7.7.7.7")], "7.7.7.7"),
        // The peer is not trusted.
        ("9.9.9.9", &[(X_FORWARDED_FOR, "6.6.6.6")], "9.9.9.9"),
        ("9.9.9.9", &[(FORWARDED, "for=6.6.6.6")], "9.9.9.9"),
        ("::ffff:9.9.9.9", &[], "9.9.9.9"),
    ];
    for (peer, sent, client) in table {
        let forwarding = forward(&trusted, address(peer), Scheme::Http, None, &fields(sent));
        assert_eq!(forwarding.client, address(client), "{peer} {sent:?}");
    }
    let sent = fields(&[(X_FORWARDED_FOR, "6.6.6.6")]);
    let by_socket = |entries: &[&str]| {
        let trusted = self::trusted(entries);
        forward(&trusted, None, Scheme::Http, None, &sent).client
    };
    assert_eq!(by_socket(&["unix"]), address("6.6.6.6"));
    assert_eq!(by_socket(&["6.6.6.6"]), None);
}

#[test]
fn networks_addresses_and_unix_are_trusted_as_configured() {
    let all = trusted(&["10.0.0.0/8", "192.168.1.7", "2001:db8::/32", "::1", "unix"]);
    for yes in ["10.0.0.1", "10.255.255.255", "192.168.1.7", "2001:db8::5", "::1"] {
        assert!(all.trusts(address(yes)), "{yes}");
    }
    for yes in ["::ffff:10.1.2.3", "::ffff:192.168.1.7"] {
        assert!(all.trusts(address(yes)), "{yes}");
    }
    for no in ["11.0.0.1", "192.168.1.8", "2001:db9::1", "::2", "::ffff:11.0.0.1"] {
        assert!(!all.trusts(address(no)), "{no}");
    }
    assert!(all.trusts(None));
    assert!(!trusted(&["0.0.0.0/0", "::/0"]).trusts(None));
}

#[test]
fn nobody_is_trusted_by_default() {
    for peer in [address("127.0.0.1"), address("::1"), None] {
        assert!(!TrustedProxies::default().trusts(peer));
    }
}

#[test]
fn mapped_networks_cover_the_addresses_they_mean() {
    let mapped = trusted(&["::ffff:10.0.0.0/104", "::ffff:192.0.2.1"]);
    for yes in ["10.1.2.3", "::ffff:10.1.2.3", "192.0.2.1"] {
        assert!(mapped.trusts(address(yes)), "{yes}");
    }
    assert!(!mapped.trusts(address("11.0.0.1")));
}

#[test]
fn every_entry_that_is_no_network_is_a_fault() {
    let entries = ["10.0.0.0/8", "10.0.0.0/33", "", "proxy.example", "10.0.0.1:80", "Unix"];
    let entries: Vec<String> = entries.iter().map(|&entry| entry.to_owned()).collect();
    let faults = TrustedProxies::new(&entries).unwrap_err();
    let indices: Vec<usize> = faults.iter().map(|(index, _)| *index).collect();
    assert_eq!(indices, [1, 2, 3, 4, 5]);
    assert!(faults[2].1.to_string().contains("\"proxy.example\""), "{}", faults[2].1);
}

#[test]
fn a_stranger_is_not_believed() {
    let sent = fields(&[
        (X_FORWARDED_FOR, "1.1.1.1"),
        (X_FORWARDED_PROTO, "https"),
        (X_FORWARDED_HOST, "evil.example"),
    ]);
    let forwarding = forward(
        &trusted(&["10.0.0.0/8", "unix"]),
        address("203.0.113.9"),
        Scheme::Http,
        Some(b"app.example:8080"),
        &sent,
    );
    assert_eq!(summary(&forwarding), ["203.0.113.9", "http", "app.example:8080"]);
    assert_eq!(forwarding.forwarded, None);
}

#[test]
fn a_trusted_proxy_is_believed_and_added() {
    let peer = address("::ffff:10.0.0.2");
    let table: &[(Fields, [&str; 3])] = &[
        (&[], ["10.0.0.2", "http", "app.example"]),
        (&[(X_FORWARDED_FOR, "1.1.1.1")], ["1.1.1.1, 10.0.0.2", "http", "app.example"]),
        (
            &[(X_FORWARDED_FOR, "1.1.1.1, 2.2.2.2"), (X_FORWARDED_FOR, " 3.3.3.3 ")],
            ["1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.2", "http", "app.example"],
        ),
        (&[(X_FORWARDED_FOR, "")], ["10.0.0.2", "http", "app.example"]),
        (&[(X_FORWARDED_PROTO, "HTTPS")], ["10.0.0.2", "https", "app.example"]),
        (&[(X_FORWARDED_PROTO, "https, http")], ["10.0.0.2", "http", "app.example"]),
        (&[(X_FORWARDED_PROTO, "javascript")], ["10.0.0.2", "http", "app.example"]),
        (
            &[(X_FORWARDED_PROTO, "https"), (X_FORWARDED_PROTO, "https")],
            ["10.0.0.2", "http", "app.example"],
        ),
        (&[(X_FORWARDED_HOST, "a.example:1")], ["10.0.0.2", "http", "a.example:1"]),
        (&[(X_FORWARDED_HOST, "[::1]:1")], ["10.0.0.2", "http", "[::1]:1"]),
        (&[(X_FORWARDED_HOST, "a, b")], ["10.0.0.2", "http", "app.example"]),
        (&[(X_FORWARDED_HOST, "a/b")], ["10.0.0.2", "http", "app.example"]),
        (&[(X_FORWARDED_HOST, "")], ["10.0.0.2", "http", "app.example"]),
    ];
    for (sent, expected) in table {
        let trusted = trusted(&["10.0.0.0/8"]);
        let host = Some(&b"app.example"[..]);
        let forwarding = forward(&trusted, peer, Scheme::Http, host, &fields(sent));
        assert_eq!(summary(&forwarding), *expected, "{sent:?}");
        assert_eq!(forwarding.forwarded, None, "{sent:?}");
    }
}

#[test]
fn forwarded_of_a_trusted_proxy_is_believed_and_added_to() {
    let sent = fields(&[(FORWARDED, "for=1.1.1.1;proto=https;host=a.example, for=\"[::2]\"")]);
    let told = |sent: &HeaderMap, entries: &[&str]| {
        let host = Some(&b"app.example"[..]);
        forward(&trusted(entries), address("10.0.0.2"), Scheme::Http, host, sent)
    };
    let believed = told(&sent, &["10.0.0.0/8"]);
    assert_eq!(summary(&believed), ["1.1.1.1, ::2, 10.0.0.2", "https", "a.example"]);
    assert_eq!(
        believed.forwarded.unwrap(),
        "for=1.1.1.1;proto=https;host=a.example, for=\"[::2]\", \
         for=10.0.0.2;proto=http;host=\"app.example\""
    );
    let ours = ["10.0.0.2", "http", "app.example"];
    // Fields of an untrusted peer, and malformed ones, are ignored.
    let stranger = told(&sent, &[]);
    assert_eq!((summary(&stranger), stranger.forwarded), (ours.map(String::from), None));
    let broken = fields(&[(FORWARDED, "for=1.1.1.1;proto=gopher")]);
    let broken = told(&broken, &["10.0.0.0/8"]);
    assert_eq!((summary(&broken), broken.forwarded), (ours.map(String::from), None));
}

#[test]
fn forwarded_beside_x_forwarded_is_the_clients_own() {
    let sent = fields(&[(FORWARDED, "for=6.6.6.6;proto=https"), (X_FORWARDED_FOR, "1.1.1.1")]);
    let forwarding =
        forward(&trusted(&["10.0.0.0/8"]), address("10.0.0.2"), Scheme::Http, Some(b"h"), &sent);
    assert_eq!(summary(&forwarding), ["1.1.1.1, 10.0.0.2", "http", "h"]);
    assert_eq!(forwarding.forwarded, None);
}

#[test]
fn a_unix_socket_has_no_address_to_add() {
    let sent = fields(&[(X_FORWARDED_FOR, "1.1.1.1"), (X_FORWARDED_PROTO, "https")]);
    let by_unix = |trusted: &TrustedProxies, sent: &HeaderMap| {
        summary(&forward(trusted, None, Scheme::Http, Some(b"h"), sent))
    };
    assert_eq!(by_unix(&TrustedProxies::default(), &sent), ["-", "http", "h"]);
    assert_eq!(by_unix(&trusted(&["unix"]), &sent), ["1.1.1.1", "https", "h"]);
    assert_eq!(by_unix(&trusted(&["unix"]), &HeaderMap::new()), ["-", "http", "h"]);
}

#[test]
fn a_host_that_is_none_is_not_passed_on() {
    let bad: [Option<&[u8]>; 5] =
        [None, Some(b""), Some(b"a b"), Some(b"a\r\nX: 1"), Some(b"\xff")];
    for host in bad {
        let forwarding = forward(
            &TrustedProxies::default(),
            address("192.0.2.1"),
            Scheme::Https,
            host,
            &HeaderMap::new(),
        );
        assert_eq!(summary(&forwarding), ["192.0.2.1", "https", "-"]);
    }
}

#[test]
fn only_the_fields_that_are_to_be_sent_are_listed() {
    let none = HeaderMap::new();
    let forwarding = forward(&TrustedProxies::default(), None, Scheme::Http, None, &none);
    let names: Vec<&str> = forwarding.fields().map(|(name, _)| name).collect();
    assert_eq!(names, ["X-Forwarded-Proto"]);
}

#[test]
fn every_spelling_that_servers_fold_is_an_alias() {
    let yes = [
        "X-Forwarded-For",
        "x_forwarded_for",
        "X.Forwarded~Proto",
        "x-FORWARDED_host",
        "Forwarded",
    ];
    for name in yes {
        assert!(is_alias(name.as_bytes()), "{name}");
    }
    let no = ["Forwarde", "X-Forwarded-Fo", "X-Forwarded-For-", "XForwardedFor", "Host", ""];
    for name in no {
        assert!(!is_alias(name.as_bytes()), "{name}");
    }
}

proptest! {
    #[test]
    fn no_value_can_end_its_line(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..4),
        host in prop::collection::vec(any::<u8>(), 0..30),
        trust in any::<bool>(),
    ) {
        let mut received = HeaderMap::new();
        for value in values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()) {
            for name in [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, FORWARDED] {
                received.append(name, value.clone());
            }
        }
        let trusted = trusted(if trust { &["10.0.0.0/8"] } else { &[] });
        let forwarding =
            forward(&trusted, address("10.0.0.1"), Scheme::Http, Some(&host), &received);
        prop_assert!(forwarding.for_.as_ref().unwrap().as_bytes().ends_with(b"10.0.0.1"));
        for (_, value) in forwarding.fields() {
            prop_assert!(!value.as_bytes().iter().any(|byte| b"\r\n\0".contains(byte)));
        }
    }
}

#[test]
fn the_reference_names_what_is_believed_of_proxies_only() {
    let page = include_str!("../../../docs/headers.md");
    let (names, _) = page.split_once(" | unless it comes from `trusted_proxies`").unwrap();
    let row = names.lines().last().unwrap().to_ascii_lowercase();
    for name in super::BY_PROXIES.iter().chain(&["forwarded", "x-forwarded-*"]) {
        assert!(row.contains(&format!("`{name}`")), "{name}");
    }
}
