#![allow(clippy::unwrap_used, reason = "tests may panic")]

use proptest::prelude::*;

use super::*;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn name() -> CookieName {
    CookieName::parse("session").unwrap()
}

fn names(own: &CookieName) -> Names<'_> {
    Names { own, old: &[] }
}

fn cut(fields: &[&str]) -> (Vec<String>, Option<String>) {
    let found = find(|| fields.iter().map(|field| field.as_bytes()), names(&name()), false);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let values = found.candidates().map(text).collect();
    let rest = match found.into_rest() {
        Rest::Unchanged => fields.first().map(|&field| field.to_owned()),
        Rest::Replaced(bytes) => Some(text(&bytes)),
        Rest::Empty => None,
    };
    (values, rest)
}

#[test]
fn our_cookie_is_found_and_cut_out() {
    for (fields, values, rest) in [
        (&[][..], &[][..], None),
        (&["a=1"], &[], Some("a=1")),
        (&["session=t"], &["t"], None),
        (&["session=t; a=1"], &["t"], Some("a=1")),
        (&["a=1; session=t"], &["t"], Some("a=1")),
        (&["a=1; session=t; b=2"], &["t"], Some("a=1; b=2")),
        (&["a=1;session=t;b=2"], &["t"], Some("a=1;b=2")),
        (&["a=1 ;\tsession\t= t ;  b=2"], &["t"], Some("a=1 ;  b=2")),
        (&["session=t; "], &["t"], None),
        (&["session=;"], &[""], None),
        (&["session=x; session=y; a=1; session=z"], &["x", "y", "z"], Some("a=1")),
        (
            &["session=1; session=2; session=3; session=4; session=5; a=b"],
            &["1", "2", "3", "4"],
            Some("a=b"),
        ),
        (&["session=\"t\""], &["\"t\""], None),
        (&["session=a=b"], &["a=b"], None),
        (&["Session=t"], &[], Some("Session=t")),
        (&["xsession=t; session2=u; session"], &[], Some("xsession=t; session2=u; session")),
        (&["; ; a=1"], &[], Some("; ; a=1")),
        (&[""], &[], None),
        (&["; \t;"], &[], None),
        (&["a=1", "b=2"], &[], Some("a=1; b=2")),
        (&["a=1", "session=t", "b=2"], &["t"], Some("a=1; b=2")),
        (&["session=t", "session=u"], &["t", "u"], None),
        (&["session=t; a=1", "b=2; session=u"], &["t", "u"], Some("a=1; b=2")),
    ] {
        let expected = (values.iter().map(|&v| v.to_owned()).collect(), rest.map(str::to_owned));
        assert_eq!(cut(fields), expected, "{fields:?}");
    }
}

#[test]
fn a_byte_past_ascii_in_another_cookie_hides_nothing() {
    let field = b"a=\xFF\x80; session=t; b=\xE9";
    let found = find(|| std::iter::once(&field[..]), names(&name()), false);
    assert_eq!(found.candidates().collect::<Vec<_>>(), [b"t"]);
    assert_eq!(found.into_rest(), Rest::Replaced(b"a=\xFF\x80; b=\xE9".to_vec()));
}

#[test]
fn a_cookie_that_is_to_be_kept_is_found_all_the_same() {
    let field = b"a=1; session=t";
    let found = find(|| std::iter::once(&field[..]), names(&name()), true);
    assert_eq!(found.candidates().count(), 1);
    assert_eq!(found.into_rest(), Rest::Unchanged);
}

fn parts(name: &str) -> CookieParts {
    CookieParts::named(CookieName::parse(name).unwrap())
}

#[test]
fn it_is_deleted_with_the_attributes_it_is_set_with() {
    let all = CookieParts {
        path: "/app".into(),
        domain: Some("example.org".into()),
        secure: Secure::Always,
        same_site: SameSite::None,
        partitioned: true,
        ..parts("sid")
    };
    let cookie = CookieAttributes::new(all).unwrap();
    let attributes =
        "; Path=/app; Domain=example.org; Secure; HttpOnly; SameSite=None; Partitioned";
    for over in [Transport::Clear, Transport::Tls] {
        assert_eq!(
            cookie.issue("t", Some(60), NOW, over),
            format!("sid=t{attributes}; Max-Age=60; Expires=Fri, 15 Jan 2027 08:01:00 GMT")
        );
        assert_eq!(cookie.issue("t", None, NOW, over), format!("sid=t{attributes}"));
        assert_eq!(
            cookie.expire(over),
            format!("sid={attributes}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
        );
    }
    let plain = CookieParts { http_only: false, same_site: SameSite::Unset, ..parts("sid") };
    let plain = CookieAttributes::new(plain).unwrap();
    assert_eq!(plain.issue("t", None, NOW, Transport::Tls), "sid=t; Path=/");
}

#[test]
fn secure_follows_the_transport_where_it_is_asked_to() {
    let auto = CookieParts { secure: Secure::Auto, ..parts("sid") };
    let cookie = CookieAttributes::new(auto).unwrap();
    for (over, expected) in [(Transport::Clear, false), (Transport::Tls, true)] {
        for set_cookie in [cookie.issue("t", None, NOW, over), cookie.expire(over)] {
            assert_eq!(set_cookie.contains("; Secure;"), expected, "{set_cookie}");
        }
    }
}

#[test]
fn combinations_that_browsers_refuse_are_refused_all_at_once() {
    let keys = |parts: CookieParts| -> Vec<&str> {
        CookieAttributes::new(parts)
            .map_or_else(|faults| faults.iter().map(|fault| fault.key).collect(), |_| vec![])
    };
    let domain = Some("example.org".to_owned());
    assert_eq!(
        keys(CookieParts { domain: domain.clone(), path: "/a".into(), ..parts("__Host-s") }),
        ["secure", "domain", "path"]
    );
    assert_eq!(keys(CookieParts { secure: Secure::Always, ..parts("__Host-s") }), [""; 0]);
    assert_eq!(keys(CookieParts { secure: Secure::Auto, ..parts("__Host-s") }), ["secure"]);
    assert_eq!(keys(parts("__Secure-s")), ["secure"]);
    assert_eq!(keys(parts("__secure-s")), ["secure"]);
    assert_eq!(keys(CookieParts { same_site: SameSite::None, ..parts("s") }), ["same_site"]);
    assert_eq!(keys(CookieParts { partitioned: true, ..parts("s") }), ["partitioned"]);
    assert_eq!(keys(CookieParts { path: "/;a".into(), ..parts("s") }), ["path"]);
    assert_eq!(keys(CookieParts { path: "/\n".into(), ..parts("s") }), ["path"]);
    assert_eq!(keys(CookieParts { domain: Some("a;b".into()), ..parts("s") }), ["domain"]);
}

#[test]
fn prefixes_compare_without_regard_to_case() {
    let keys = |name: &str, secure, http_only| -> Vec<&str> {
        let domain = Some("example.org".to_owned());
        let parts = CookieParts { domain, path: "/a".into(), secure, http_only, ..parts(name) };
        CookieAttributes::new(parts)
            .map_or_else(|faults| faults.iter().map(|fault| fault.key).collect(), |_| vec![])
    };
    for (name, insecure, scripted) in [
        ("__Host-s", &["secure", "domain", "path"][..], &["domain", "path"][..]),
        ("__Secure-s", &["secure"], &[]),
        ("__Http-s", &["secure", "http_only"], &["http_only"]),
        (
            "__Host-Http-s",
            &["secure", "http_only", "domain", "path"],
            &["http_only", "domain", "path"],
        ),
        ("__Hosts-s", &[], &[]),
        ("_Http-s", &[], &[]),
        ("s__Http-", &[], &[]),
    ] {
        for name in [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
            assert_eq!(keys(&name, Secure::Never, false), insecure, "{name}");
            assert_eq!(keys(&name, Secure::Always, false), scripted, "{name}");
        }
    }
    assert_eq!(keys("__http-s", Secure::Always, true), [""; 0]);
}

#[test]
fn a_domain_that_no_browser_takes_is_refused_with_a_remedy() {
    let fault = |domain: &str| {
        let parts = CookieParts { domain: Some(domain.to_owned()), ..parts("s") };
        CookieAttributes::new(parts).err().map(|faults| {
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert_eq!(faults[0].key, "domain");
            faults[0].message.clone()
        })
    };
    for good in [
        "example.com",
        ".example.com",
        "localhost",
        "EXAMPLE.com",
        "a-b.example.com",
        "xn--bcher-kva.example",
        "my_host.example",
        "127.0.0.1",
    ] {
        assert_eq!(fault(good), None, "{good}");
    }
    for (bad, said) in [
        ("", "empty"),
        ("https://example.com", "scheme"),
        ("//example.com", "path"),
        ("example.com:8080", "port"),
        ("127.0.0.1:80", "port"),
        ("example.com/", "path"),
        ("example.com/app", "path"),
        ("*.example.com", "wildcard"),
        ("*", "wildcard"),
        ("example..com", "dot too many"),
        ("..example.com", "dot too many"),
        ("example.com.", "dot too many"),
        (".", "dot too many"),
        (".127.0.0.1", "IP address"),
        ("::1", "IPv6"),
        ("[::1]", "IPv6"),
        (".::1", "IPv6"),
        (" example.com", "white space"),
        ("example.com ", "white space"),
        ("a.example b.example", "white space"),
        ("user@example.com", "user name"),
        ("a;b", "\";\""),
        ("b\u{fc}cher.example", "ASCII"),
    ] {
        let message = fault(bad).unwrap_or_default();
        assert!(message.contains(said), "{bad:?}: {message:?}");
    }
}

#[test]
fn a_set_cookie_of_our_name_is_known_by_its_name() {
    let cookie = CookieAttributes::new(parts("session")).unwrap();
    for (set_cookie, ours) in [
        ("session=x", true),
        (" session\t= x; Path=/", true),
        ("session=", true),
        ("sessions=x", false),
        ("SESSION=x", false),
        ("a=session=x", false),
        ("session", false),
        ("=session=x; Path=/", true),
        (" = session = x", true),
        ("==session=x", false),
        ("=sessions=x", false),
        ("=session", false),
    ] {
        assert_eq!(cookie.is_set_by(set_cookie.as_bytes()), ours, "{set_cookie}");
    }
}

fn other_cookie() -> impl Strategy<Value = Vec<u8>> {
    // Anything that a client may send between two semicolons, except our name.
    prop::collection::vec(any::<u8>().prop_filter("separator", |byte| *byte != b';'), 1..12)
        .prop_filter("neither ours nor blank, and no leading white space of its own", |piece| {
            name_and_value(piece).is_none_or(|(found, _)| found != b"session")
                && !matches!(piece[0], b' ' | b'\t')
        })
}

proptest! {
    #[test]
    fn what_remains_is_byte_for_byte_what_was_sent_without_ours(
        cookies in prop::collection::vec((any::<bool>(), other_cookie()), 0..8),
    ) {
        let pieces = |ours: bool| -> Vec<Vec<u8>> {
            cookies
                .iter()
                .filter(|(is_ours, _)| ours || !is_ours)
                .map(|(is_ours, other)| if *is_ours { b"session=t".to_vec() } else { other.clone() })
                .collect()
        };
        let sent = pieces(true).join(&b"; "[..]);
        let expected = pieces(false).join(&b"; "[..]);
        let found = find(|| std::iter::once(&sent[..]), names(&name()), false);
        let ours = cookies.iter().filter(|(is_ours, _)| *is_ours).count();
        prop_assert_eq!(found.candidates().count(), ours.min(MAX_CANDIDATES));
        match found.into_rest() {
            Rest::Unchanged => prop_assert_eq!(ours, 0),
            Rest::Replaced(rest) => prop_assert_eq!(rest, expected),
            Rest::Empty => prop_assert!(expected.is_empty()),
        }
    }

    #[test]
    fn no_field_makes_it_panic_and_ours_never_remains(
        fields in prop::collection::vec("[ \t;=aséion\"]{0,24}|session=x;? ?", 0..4),
    ) {
        let found = find(|| fields.iter().map(|field| field.as_bytes()), names(&name()), false);
        if let Rest::Replaced(rest) = found.into_rest() {
            let again = find(|| std::iter::once(&rest[..]), names(&name()), false);
            prop_assert_eq!(again.candidates().count(), 0);
        }
    }
}
