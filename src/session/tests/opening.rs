use super::*;
use proptest::prelude::*;

#[test]
fn tokens_of_pyjwt_open() {
    // {"alg":"HS256","typ":"JWT"}: PyJWT writes the header's members in another order.
    assert_eq!(
        open_with(&policy(), &forge(r#"{"alg":"HS256","typ":"JWT"}"#, b"{\"n\":1}")),
        Ok("{\"n\":1}".into())
    );
    assert_eq!(open_with(&policy(), &forge(r#"{"alg":"HS256"}"#, b"{}")), Ok("{}".into()));
}

#[test]
fn every_kind_of_bad_token_is_refused_under_its_label() {
    let good = token("{\"n\":1}");
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let other = Key::hmac(None, Algorithm::Hs256, b"another-secret-another-secret-32");
    let foreign = format!(
        "{header}.{payload}.{}",
        other.sign(format!("{header}.{payload}").as_bytes()).unwrap()
    );
    let last = |text: &str| {
        // The same bytes with other trailing bits: the last of 43 characters carries only four.
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let (rest, end) = text.split_at(text.len() - 1);
        let index = alphabet.iter().position(|&byte| byte == end.as_bytes()[0]).unwrap();
        format!("{rest}{}", char::from(alphabet[index ^ 1]))
    };
    let cases = [
        (String::new(), "malformed"),
        ("a".into(), "malformed"),
        (format!("{header}.{payload}"), "malformed"),
        (format!("{good}.x"), "malformed"),
        (format!("{header}.{payload}."), "bad_signature"),
        (format!("{good}="), "malformed"),
        (format!("{header}=.{payload}.{signature}"), "malformed"),
        (format!("{header}.{payload}=.{signature}"), "malformed"),
        (format!("{header}.{payload} .{signature}"), "malformed"),
        (format!("{header}.{payload}.{}", last(signature)), "malformed"),
        (
            format!("{header}.{payload}.{}", signature.replacen(&signature[..1], "+", 1)),
            "malformed",
        ),
        (format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("{\"n\":2}")), "bad_signature"),
        (foreign, "bad_signature"),
        (forge(r#"{"typ":"JWT","alg":"none"}"#, b"{}"), "malformed"),
        (forge(r#"{"typ":"JWT","alg":"NoNe"}"#, b"{}"), "malformed"),
        (forge(r#"{"typ":"JWT"}"#, b"{}"), "malformed"),
        (forge(r#"{"alg":256}"#, b"{}"), "malformed"),
        (forge(r#"{"alg":null}"#, b"{}"), "malformed"),
        (forge(r#"{"alg":"HS512"}"#, b"{}"), "unknown_key"),
        (forge(r#"{"alg":"hs256"}"#, b"{}"), "unknown_key"),
        (forge(r#"{"alg":"RS256"}"#, b"{}"), "unknown_key"),
        (forge(r#"{"alg":"HS256","alg":"HS256"}"#, b"{}"), "malformed"),
        (forge(r#"{"alg":"HS256","crit":["exp"]}"#, b"{}"), "malformed"),
        (forge(r#"{"alg":"HS256","crit":[]}"#, b"{}"), "malformed"),
        (forge(r#"{"alg":"HS256","crit":null}"#, b"{}"), "malformed"),
        (forge(r#"{"alg":"HS256","\u0063rit":["exp"]}"#, b"{}"), "malformed"),
        (forge(r#"{"alg":"HS256","b64":false}"#, b"{}"), "malformed"),
        (forge(r#"{"alg":"HS256","kid":1}"#, b"{}"), "malformed"),
        (forge(r#"["HS256"]"#, b"{}"), "malformed"),
        (forge("{\"alg\":\"HS256\"", b"{}"), "malformed"),
        (forge(r#"{"alg":"HS256"}"#, b"[]"), "malformed"),
        (forge(r#"{"alg":"HS256"}"#, b"\"x\""), "malformed"),
        (forge(r#"{"alg":"HS256"}"#, b""), "malformed"),
        (forge(r#"{"alg":"HS256"}"#, b"{\"a\":\"\xFF\"}"), "malformed"),
        (forge(r#"{"alg":"HS256"}"#, b"{\"a\":1,\"a\":2}"), "malformed"),
        (forge(&format!(r#"{{"alg":"HS256","x":"{}"}}"#, "x".repeat(65_536)), b"{}"), "too_large"),
        ("x".repeat(4096), "too_large"),
    ];
    for (token, label) in cases {
        let shown: String = token.chars().take(120).collect();
        assert_eq!(open_with(&policy(), &token), Err(label), "{shown}");
    }
}

#[test]
fn times_are_finite_numbers_and_bind() {
    let now = NOW.as_secs();
    for (payload, expected) in [
        (format!("{{\"exp\":{}}}", now + 1), Ok(())),
        (format!("{{\"exp\":{now}}}"), Err("expired")),
        (format!("{{\"exp\":{now}.5}}"), Ok(())),
        ("{\"exp\":1e300}".into(), Ok(())),
        ("{\"exp\":-5}".into(), Err("expired")),
        ("{\"\\u0065xp\":5}".into(), Err("expired")),
        ("{\"exp\":1e400}".into(), Err("wrong_claim")),
        ("{\"exp\":null}".into(), Err("wrong_claim")),
        (format!("{{\"exp\":\"{}\"}}", now + 60), Err("wrong_claim")),
        ("{\"exp\":true}".into(), Err("wrong_claim")),
        ("{\"exp\":[]}".into(), Err("wrong_claim")),
        (format!("{{\"nbf\":{now}}}"), Ok(())),
        (format!("{{\"nbf\":{}}}", now + 1), Err("not_yet_valid")),
        ("{\"nbf\":\"0\"}".into(), Err("wrong_claim")),
        ("{\"nbf\":-1e400}".into(), Err("wrong_claim")),
        ("{\"aud\":\"x\"}".into(), Err("wrong_claim")),
        ("{\"aud\":null}".into(), Err("wrong_claim")),
        ("{\"iss\":\"x\",\"sub\":5,\"jti\":null,\"iat\":\"x\"}".into(), Ok(())),
    ] {
        let opened = open_with(&policy(), &token(&payload));
        assert_eq!(
            opened.as_ref().map(|dict| assert_eq!(*dict, payload)).map_err(|e| *e),
            expected,
            "{payload}"
        );
    }
    let lenient = Policy { leeway: Duration::from_secs(60), ..policy() };
    assert!(open_with(&lenient, &token(&format!("{{\"exp\":{}}}", now - 59))).is_ok());
    assert!(open_with(&lenient, &token(&format!("{{\"exp\":{}}}", now - 60))).is_err());
    assert!(open_with(&lenient, &token(&format!("{{\"nbf\":{}}}", now + 60))).is_ok());
}

#[test]
fn issuer_and_audience_are_written_hidden_and_required() {
    let policy = Policy { issuer: Some("me".into()), audience: Some("app".into()), ..policy() };
    let issued = issued(&nobody(), save("{\"n\":1}"), &policy, NOW);
    assert_eq!(payload_of(&issued), r#"{"n":1,"iss":"me","aud":"app"}"#);
    assert_eq!(open_with(&policy, &token_of(&issued)), Ok("{\"n\":1}".into()));
    for (payload, ok) in [
        (r#"{"iss":"me","aud":["x","app"]}"#, true),
        (r#"{"iss":"me","aud":["x"]}"#, false),
        (r#"{"iss":"me","aud":[]}"#, false),
        (r#"{"iss":"me"}"#, false),
        (r#"{"aud":"app"}"#, false),
        (r#"{"iss":"you","aud":"app"}"#, false),
        (r#"{"iss":["me"],"aud":"app"}"#, false),
    ] {
        let expected = if ok { Ok("{}".to_owned()) } else { Err("wrong_claim") };
        assert_eq!(open_with(&policy, &token(payload)), expected, "{payload}");
    }
    for key in ["iss", "aud"] {
        let broken = close(
            &nobody(),
            save(&format!("{{\"{key}\":\"x\"}}")),
            Issuer::new(&ring(), &policy, NOW),
            || id(1),
        );
        assert!(broken.is_err(), "{key}");
    }
}

#[test]
fn a_kid_chooses_the_key_and_the_key_the_algorithm() {
    let secret = |n: u8| [n; 64];
    let old = || Key::hmac(Some("old".into()), Algorithm::Hs256, &secret(2));
    let ring = KeyRing::new(
        Key::hmac(Some("new".into()), Algorithm::Hs512, &secret(1)),
        vec![old(), Key::hmac(None, Algorithm::Hs256, &secret(3))],
    );
    let sign = |header: &str, key: &Key| {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"));
        format!("{message}.{}", key.sign(message.as_bytes()).unwrap())
    };
    let keys: Vec<&Key> = ring.iter().map(|(_, key)| key).collect();
    for (header, key, expected) in [
        (r#"{"typ":"JWT","alg":"HS512","kid":"new"}"#, 0, Ok(0)),
        (r#"{"kid":"old","alg":"HS256"}"#, 1, Ok(1)),
        (r#"{"alg":"HS256"}"#, 1, Ok(1)),
        (r#"{"alg":"HS256"}"#, 2, Ok(2)),
        (r#"{"alg":"HS256","kid":"gone"}"#, 2, Ok(2)),
        (r#"{"alg":"HS256","kid":"old"}"#, 2, Err("bad_signature")),
        (r#"{"alg":"HS512","kid":"old"}"#, 0, Err("bad_signature")),
        (r#"{"alg":"HS256","kid":"new"}"#, 0, Err("bad_signature")),
        (r#"{"alg":"HS384","kid":"new"}"#, 0, Err("unknown_key")),
        (r#"{"alg":"HS512","kid":"gone"}"#, 1, Err("unknown_key")),
    ] {
        let opened = open_token(sign(header, keys[key]).as_bytes(), &ring, &policy(), NOW);
        let verdict = opened.map(|token| token.key().0).map_err(|r| Outcome::Rejected(r).label());
        assert_eq!(verdict, expected, "{header} signed by {key}");
    }
}

#[test]
fn the_first_cookie_that_verifies_is_the_session() {
    let policy = policy();
    let field =
        format!("session=x; session={}; session={}", token("{\"n\":1}"), token("{\"n\":2}"));
    let found = cookie::find(|| std::iter::once(field.as_bytes()), policy.names(), false);
    let opened = open(&found, &ring(), &policy, NOW);
    assert_eq!(opened.outcome(), Outcome::Valid);
    assert_eq!(opened.token().unwrap().dict().as_str(), "{\"n\":1}");
    let field = format!("session=a; session=b; session=c; session=d; session={}", token("{}"));
    let found = cookie::find(|| std::iter::once(field.as_bytes()), policy.names(), false);
    assert_eq!(
        open(&found, &ring(), &policy, NOW).outcome(),
        Outcome::Rejected(Rejection::Malformed)
    );
}

proptest! {
    #[test]
    fn a_token_that_was_touched_does_not_open(at in any::<prop::sample::Index>(), bit in 0u8..7) {
        let token = token("{\"user\":\"ann\"}");
        let mut bytes = token.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        prop_assert!(open_token(&bytes, &ring(), &policy(), NOW).is_err());
    }

    #[test]
    fn no_bytes_open(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open_token(&bytes, &ring(), &policy(), NOW).is_err());
    }
}

#[test]
fn a_revoked_session_is_refused_and_so_is_all_that_was_issued_too_early() {
    let second = Duration::from_secs(1);
    let managed = Policy { ttl: Some(second * 100), ..policy() };
    let token = token_of(&issued(&nobody(), save("{}"), &managed, NOW));
    let later = NOW.plus(second);
    let with = |revocations: Revocations| {
        let policy = Policy { revocations, ..managed.clone() };
        open_cookie(&policy, &token, later).outcome().label()
    };
    assert_eq!(with(Revocations::since(Some(NOW))), "valid");
    assert_eq!(with(Revocations::since(Some(later))), "revoked");
    for (session, outcome) in [(id(1), "revoked"), (id(2), "valid")] {
        let mut revocations = Revocations::default();
        revocations.read_sessions(session.as_str(), |_| None).unwrap();
        assert_eq!(with(revocations), outcome);
    }
}

#[test]
fn a_token_that_does_not_say_when_it_was_issued_was_issued_too_early() {
    let policy = Policy { revocations: Revocations::since(Some(NOW)), ..policy() };
    let now = NOW.as_secs();
    for (payload, expected) in [
        ("{}".to_owned(), Err("revoked")),
        ("{\"iat\":\"x\"}".to_owned(), Err("revoked")),
        (format!("{{\"iat\":{}}}", now - 1), Err("revoked")),
        (format!("{{\"iat\":{now}}}"), Ok(())),
        (format!("{{\"iat\":{now}.5}}"), Ok(())),
    ] {
        assert_eq!(open_with(&policy, &token(&payload)).map(|_| ()), expected, "{payload}");
    }
}

#[test]
fn a_session_is_read_from_a_cookie_of_an_old_name_too() {
    let old = |name: &str| CookieName::parse(name).unwrap();
    let policy = Policy { accept_names: vec![old("sid"), old("jwt")], ..policy() };
    let (one, two) = (token("{\"n\":1}"), token("{\"n\":2}"));
    for (field, dict, expired) in [
        (format!("a=b; jwt={one}; sid={two}"), "{\"n\":1}", vec!["sid", "jwt"]),
        (format!("jwt={one}; session={two}"), "{\"n\":2}", vec!["jwt"]),
        (format!("jwt={one}; session=bad"), "{\"n\":1}", vec!["jwt"]),
        (format!("session={one}; jwt2={two}"), "{\"n\":1}", vec![]),
    ] {
        let found = cookie::find(|| std::iter::once(field.as_bytes()), policy.names(), false);
        let opened = open(&found, &ring(), &policy, NOW);
        assert_eq!(opened.token().unwrap().dict().as_str(), dict, "{field}");
        let names: Vec<String> = opened
            .expire_old_names(&policy)
            .map(|set_cookie| set_cookie.split('=').next().unwrap().to_owned())
            .collect();
        assert_eq!(names, expired, "{field}");
        assert!(opened.expire_old_names(&policy).all(|value| value.contains("=; Path=/")));
        match found.into_rest() {
            cookie::Rest::Replaced(rest) => assert!(!rest.starts_with(b"jwt=") && !rest.is_empty()),
            rest => assert_eq!(rest, cookie::Rest::Empty),
        }
    }
}

#[test]
fn what_may_be_revoked_says_when_it_was_issued_and_whose_it_is() {
    let mut revocations = Revocations::default();
    revocations.read_sessions("", |_| None).unwrap();
    for revocations in [Revocations::since(Some(NOW)), revocations] {
        let policy = Policy { revocations, ..policy() };
        let first = issued(&nobody(), save("{\"n\":1}"), &policy, NOW);
        assert!(!first.set_cookie.contains("Max-Age"), "{}", first.set_cookie);
        let opened = open_cookie(&policy, &token_of(&first), NOW);
        assert_eq!(opened.token().unwrap().dict().as_str(), "{\"n\":1}");
        let second = issued(&opened, save("{\"n\":2}"), &policy, NOW);
        assert_eq!((first.session, second.session), (Some(id(1)), Some(id(1))));
    }
}
