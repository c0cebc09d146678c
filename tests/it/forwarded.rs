//! `X-Forwarded-*`: what is set, and who is trusted.

use crate::support::{Backend, Protocol, Request, Sidecar, contains, mint};

/// What the app gets: `X-Forwarded-For`, `-Proto`, `-Host`, and `Host`, each once.
fn told(backend: &Backend) -> [String; 4] {
    let received = backend.last();
    ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Host"].map(|name| {
        received.value(name).unwrap_or_else(|| panic!("no {name}: {:?}", received.fields))
    })
}

fn claim(target: &str) -> Request {
    Request::get(target)
        .with("Host", "shop.test:8443")
        .with("X-Forwarded-For", "6.6.6.6, 7.7.7.7")
        .with("X-Forwarded-Proto", "https")
        .with("X-Forwarded-Host", "public.test")
}

#[test]
fn client_is_named() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for protocol in Protocol::ALL {
        sidecar.send_over(protocol, &Request::get("/").with("Host", "shop.test:8443"));
        assert_eq!(
            told(&backend),
            ["127.0.0.1", "http", "shop.test:8443", "shop.test:8443"],
            "{protocol:?}"
        );
    }
}

#[test]
fn nobody_is_believed_by_default() {
    let backend = Backend::plain();
    for config in ["", "trusted_proxies = [\"10.0.0.0/8\", \"2001:db8::/32\"]"] {
        let sidecar = Sidecar::before(&backend).top(config).start();
        for protocol in Protocol::ALL {
            sidecar.send_over(protocol, &claim("/"));
            assert_eq!(
                told(&backend),
                ["127.0.0.1", "http", "shop.test:8443", "shop.test:8443"],
                "{protocol:?}"
            );
        }
    }
}

#[test]
fn forwarded_is_a_trusted_proxys_or_nobodys() {
    let backend = Backend::plain();
    let request = Request::get("/")
        .with("Forwarded", "for=6.6.6.6;proto=https;host=public.test")
        .with("x_forwarded", "for=7.7.7.7");
    for (trusted, told_for, added) in
        [("[]", "127.0.0.1", false), ("[\"127.0.0.1\"]", "6.6.6.6, 127.0.0.1", true)]
    {
        let sidecar =
            Sidecar::before(&backend).top(&format!("trusted_proxies = {trusted}")).start();
        for protocol in Protocol::ALL {
            sidecar.send_over(protocol, &request);
            assert_eq!(told(&backend)[0], told_for, "{protocol:?}");
            let forwarded = backend.last().value("Forwarded");
            let expected = "for=6.6.6.6;proto=https;host=public.test, for=127.0.0.1;proto=http;host=\"app.test\"";
            assert_eq!(forwarded.as_deref(), added.then_some(expected), "{protocol:?}");
        }
    }
}

#[test]
fn trusted_proxy_is_believed() {
    let backend = Backend::plain();
    for trusted in ["127.0.0.0/8", "127.0.0.1/32", "0.0.0.0/0"] {
        let config = format!("trusted_proxies = [\"{trusted}\"]");
        let sidecar = Sidecar::before(&backend).top(&config).start();
        for protocol in Protocol::ALL {
            sidecar.send_over(protocol, &claim("/"));
            let expected =
                ["6.6.6.6, 7.7.7.7, 127.0.0.1", "https", "public.test", "shop.test:8443"];
            assert_eq!(told(&backend), expected, "{protocol:?}");
            sidecar.send_over(protocol, &Request::get("/").with("Host", "shop.test"));
            assert_eq!(
                told(&backend),
                ["127.0.0.1", "http", "shop.test", "shop.test"],
                "{protocol:?}"
            );
        }
    }
}

#[test]
fn several_fields_of_a_client_are_replaced_too() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let request = claim("/")
        .with("x-forwarded-for", "8.8.8.8")
        .with("X-FORWARDED-PROTO", "wss")
        .with("x-forwarded-host", "other.test");
    sidecar.send(&request);
    assert_eq!(told(&backend), ["127.0.0.1", "http", "shop.test:8443", "shop.test:8443"]);
}

#[test]
fn connection_cannot_drop_them() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for connection in ["X-Forwarded-For", "close, x-forwarded-proto", "X-Forwarded-Host", "Host"] {
        let response = sidecar.send(&claim("/").with("Connection", connection));
        // It may be refused; a request that arrives is complete.
        if response.status() == 400 {
            assert!(backend.received().is_empty());
        } else {
            let expected = ["127.0.0.1", "http", "shop.test:8443", "shop.test:8443"];
            assert_eq!(told(&backend), expected, "{connection}");
        }
    }
}

#[test]
fn routes_without_sessions_are_no_exception() {
    let backend = Backend::plain();
    let sidecar =
        Sidecar::before(&backend).with("[[routes]]\npath = \"/off/\"\nsession = \"off\"").start();
    sidecar.send(&claim("/off/"));
    assert_eq!(told(&backend), ["127.0.0.1", "http", "shop.test:8443", "shop.test:8443"]);
}

#[test]
fn host_is_passed_on_unchanged() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for host in ["Shop.Example", "shop.example:8443", "127.0.0.1", "[::1]:80"] {
        sidecar.send(&Request::get("/").with("Host", host));
        assert_eq!(backend.last().values("Host"), [host]);
    }
}

/// Fields by which frameworks believe a proxy.
const HEARSAY: &[&str] = &[
    "X-Forwarded",
    "X-Forwarded-Ssl",
    "X-Forwarded-Scheme",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Anything",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "Client-IP",
    "X-Scheme",
    "X-Url-Scheme",
    "Front-End-Https",
    "True-Client-IP",
    "X-Original-URL",
    "X-Original-Host",
    "X-Rewrite-URL",
    "X-Host",
];

#[test]
fn other_words_of_a_proxy_are_a_trusted_ones_or_nobodys() {
    let backend = Backend::plain();
    for (trusted, arrives) in [("[]", false), ("[\"127.0.0.1\"]", true)] {
        let top = format!("trusted_proxies = {trusted}\nodd_header_names = \"pass\"");
        let sidecar = Sidecar::before(&backend).top(&top).start();
        for protocol in Protocol::ALL {
            for name in HEARSAY {
                for spelling in [name.to_string(), name.replace('-', "_"), name.replace('-', ".")] {
                    let what = format!("{spelling} over {protocol:?}, trusted: {trusted}");
                    sidecar.send_over(protocol, &Request::get("/").with(&spelling, "hearsay"));
                    assert_eq!(contains(&backend.last().raw, "hearsay"), arrives, "{what}");
                }
            }
            sidecar.send_over(protocol, &Request::get("/").with("Proxy", "hearsay"));
            assert!(!contains(&backend.last().raw, "hearsay"), "{protocol:?}");
            for other in ["X-Real-IPs", "X-Hosts", "Proxy-Id", "X-Forward", "Client", "From"] {
                sidecar.send_over(protocol, &Request::get("/").with(other, "mine"));
                assert_eq!(backend.last().values(other), ["mine"], "{other} over {protocol:?}");
            }
        }
    }
}

#[test]
fn claims_may_stand_under_such_a_name() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend)
        .with("[headers.claims]\n\"X-Forwarded-User\" = \"user\"\n\"X-Real-IP\" = \"ip\"")
        .start();
    for protocol in Protocol::ALL {
        let request = Request::get("/").session(&mint(r#"{"user":"ann","ip":"1.1.1.1"}"#));
        let request = request.with("X-Forwarded-User", "forged").with("X-Real-IP", "forged");
        sidecar.send_over(protocol, &request);
        assert_eq!(backend.last().values("X-Forwarded-User"), ["ann"], "{protocol:?}");
        assert_eq!(backend.last().values("X-Real-IP"), ["1.1.1.1"], "{protocol:?}");
    }
    sidecar.counts("cloakroom_spoofed_headers_total", (2 * Protocol::ALL.len()) as f64);
}

#[test]
fn operator_can_have_others_stripped() {
    let backend = Backend::plain();
    let top = "strip = [\"X-Remote-User\"]\ntrusted_proxies = [\"127.0.0.1\"]";
    let sidecar = Sidecar::before(&backend).top(top).start();
    let spellings = ["X-Remote-User", "x_remote_user", "X.Remote-User"];
    for protocol in Protocol::ALL {
        for name in spellings {
            sidecar.send_over(protocol, &Request::get("/").with(name, "forged"));
            assert!(!contains(&backend.last().raw, "forged"), "{name} over {protocol:?}");
        }
        sidecar.send_over(protocol, &Request::get("/").with("X-Remote-Users", "mine"));
        assert_eq!(backend.last().values("X-Remote-Users"), ["mine"], "{protocol:?}");
    }
    let sent = spellings.len() * Protocol::ALL.len();
    sidecar.counts("cloakroom_spoofed_headers_total", sent as f64);
    sidecar.counts("cloakroom_odd_headers_removed_total", 0.0);
}
