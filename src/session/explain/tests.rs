#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::keys::{Algorithm, Key, Nonce};
use crate::session::Issuer;
use crate::session::cookie::{CookieAttributes, CookieName, CookieParts};
use crate::session::fresh::Fresh;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn default_policy() -> Policy {
    let parts = CookieParts::named(CookieName::parse("session").unwrap());
    Policy::of(CookieAttributes::new(parts).unwrap())
}

fn keys() -> KeyRing {
    KeyRing::new(Key::hmac(Some("2026".into()), Algorithm::Hs256, &[7; 32]), vec![])
}

#[test]
fn a_good_token_is_told_from_header_to_session() {
    let policy = Policy { ttl: Some(Duration::from_secs(3600)), ..default_policy() };
    let dict = Dict::parse(b"{\"n\":1}").unwrap();
    let id = || SessionId::from_bytes([1; 16]);
    let token = session::encode(&dict, Issuer::new(&keys(), &policy, NOW), id).unwrap();
    let later = NOW.plus(Duration::from_secs(60));
    let (text, valid) = explain(token.as_bytes(), &keys(), &policy, later);
    assert!(valid);
    for part in [
        "header     {\"typ\":\"JWT\",\"alg\":\"HS256\",\"kid\":\"2026\"}\n",
        "signature  verified by key 2026 (HS256)\n",
        "issued     2027-01-15T08:00:00Z, 1m ago\n",
        "expires    2027-01-15T09:00:00Z, in 59m\n",
        "session    AQEBAQEBAQEBAQEBAQEBAQ, begun 2027-01-15T08:00:00Z, 1m ago\n",
        "dict       {\"n\":1}\n",
        "verdict    valid\n",
    ] {
        assert!(text.contains(part), "{part}{text}");
    }
}

fn sealing() -> KeyRing {
    KeyRing::new(Key::sealing(Some("2027".into()), &[9; 32]).unwrap(), vec![])
}

struct Drawn;

impl Fresh for Drawn {
    fn id(&mut self) -> SessionId {
        SessionId::from_bytes([1; 16])
    }

    fn nonce(&mut self) -> Option<Nonce> {
        Some([3; 12])
    }
}

#[test]
fn a_sealed_token_is_told_to_the_holder_of_its_key_alone() {
    let policy = default_policy();
    let dict = Dict::parse(b"{\"n\":1}").unwrap();
    let token = session::encode(&dict, Issuer::new(&sealing(), &policy, NOW), Drawn).unwrap();
    let (text, valid) = explain(token.as_bytes(), &sealing(), &policy, NOW);
    assert!(valid, "{text}");
    for part in [
        "header     {\"typ\":\"JWT\",\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":\"2027\"}\n",
        "seal       opened by key 2027 (A256GCM)\n",
        "payload    {\"n\":1}\n",
        ", by its seal\n",
        "dict       {\"n\":1}\n",
        "verdict    valid\n",
    ] {
        assert!(text.contains(part), "{part}{text}");
    }
    let (text, valid) = explain(token.as_bytes(), &keys(), &policy, NOW);
    assert!(!valid && !text.contains("\"n\""), "{text}");
    assert!(
        text.contains(
            "unknown_key: it has alg \"dir\", enc \"A256GCM\" and kid \"2027\"; the keys are for \
             HS256"
        ),
        "{text}"
    );
}

#[test]
fn a_bad_sealed_token_is_told_exactly_why() {
    let policy = default_policy();
    let forge = |header: &str, rest: &str| format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
    let plain = r#"{"alg":"dir","enc":"A256GCM"}"#;
    let (nonce, tag) = ("A".repeat(16), "A".repeat(22));
    let good = format!(".{nonce}.AAAA.{tag}");
    for (token, verdict) in [
        (forge(plain, &good), "bad_signature: the seal is not that of any key"),
        (
            forge(r#"{"alg":"dir","enc":"A256GCM","kid":"2027"}"#, &good),
            "bad_signature: the seal is not that of the key \"2027\"",
        ),
        (
            forge(r#"{"alg":"dir","enc":"A128GCM"}"#, &good),
            "unknown_key: it has alg \"dir\", enc \"A128GCM\" and no kid; the keys are for A256GCM",
        ),
        (forge(r#"{"alg":"dir"}"#, &good), "malformed: the header has no enc"),
        (
            forge(r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#, &good),
            "malformed: the header has a zip",
        ),
        (
            forge(plain, &format!("AA.{nonce}.AAAA.{tag}")),
            "malformed: its parts have 1 bytes of key, 12 of nonce and 16 of tag; expected 0, 12",
        ),
        (
            forge(plain, &format!(".{nonce}.AAAA=.{tag}")),
            "malformed: a part is not canonical base64url",
        ),
    ] {
        let (text, valid) = explain(token.as_bytes(), &sealing(), &policy, NOW);
        assert!(!valid && text.contains(&format!("verdict    {verdict}")), "{verdict}\n{text}");
    }
}

#[test]
fn what_a_token_says_does_not_reach_the_terminal_as_it_is() {
    let odd = "\u{7f}\u{9b}2J\u{2028}\u{202e}\u{feff}";
    let header = format!(r#"{{"alg":"HS256","kid":"{odd}"}}"#);
    let payload = format!(r#"{{"n{odd}":"{odd}","exp":"{odd}"}}"#);
    let token =
        format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let (text, valid) = explain(token.as_bytes(), &keys(), &default_policy(), NOW);
    assert!(!valid);
    assert!(text.contains(r"\u007f\u009b2J\u2028\u202e\ufeff"), "{}", text.escape_debug());
    let unprintable = |line: &str| line.contains(crate::printable::is_unprintable);
    assert!(!text.lines().any(unprintable), "{}", text.escape_debug());
}

#[test]
fn a_bad_token_is_told_exactly_why() {
    let policy = default_policy();
    let forge = |header: &str, payload: &str| {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature =
            Key::hmac(None, Algorithm::Hs256, &[7; 32]).sign(message.as_bytes()).unwrap();
        format!("{message}.{signature}")
    };
    let plain = r#"{"alg":"HS256"}"#;
    for (token, verdict) in [
        ("x".to_owned(), "malformed: a token has three parts with a dot between them, or five"),
        ("e30=.e30.e30".into(), "malformed: the header is not canonical base64url"),
        (forge(plain, "[]"), "malformed: the payload is not an object: not a JSON object"),
        (forge(r#"{"alg":"none"}"#, "{}"), "malformed: alg is none"),
        (forge(r#"{"alg":"HS256","crit":[]}"#, "{}"), "malformed: the header has a crit"),
        (
            forge(r#"{"alg":"HS512","kid":"x"}"#, "{}"),
            "unknown_key: it has alg \"HS512\" and kid \"x\"; the keys are for HS256 and have \
             the ids [2026]",
        ),
        (
            forge(plain, "{}").replace("e30", "e31"),
            "malformed: the payload is not canonical base64url",
        ),
        (
            forge(plain, "{}").replace(".e30.", ".eyJhIjoxfQ."),
            "bad_signature: the signature is not that of any key",
        ),
        (forge(plain, "{\"aud\":\"x\"}"), "wrong_claim: exp is none, nbf is none (numbers"),
        (forge(plain, "{\"exp\":5}"), "expired: the token has expired"),
    ] {
        let (text, valid) = explain(token.as_bytes(), &keys(), &policy, NOW);
        assert!(!valid && text.contains(&format!("verdict    {verdict}")), "{verdict}\n{text}");
    }
}

#[test]
fn facts_say_the_same_to_a_program_and_no_more_than_the_holder_could_read() {
    let policy = Policy { ttl: Some(Duration::from_secs(3600)), ..default_policy() };
    let dict = Dict::parse(b"{\"n\":1}").unwrap();
    let id = || SessionId::from_bytes([1; 16]);
    let token = session::encode(&dict, Issuer::new(&keys(), &policy, NOW), id).unwrap();
    let later = NOW.plus(Duration::from_secs(60));
    let found = facts(token.as_bytes(), &keys(), &policy, later);
    assert_eq!((found.outcome, found.reason), (Outcome::Valid, None));
    assert_eq!(found.alg.as_deref(), Some("\"HS256\""));
    assert_eq!((found.kid.as_deref(), found.key.as_deref()), (Some("\"2026\""), Some("2026")));
    assert_eq!((found.issued, found.start), (Some(NOW), Some(NOW)));
    assert_eq!(found.expires, Some(NOW.plus(Duration::from_secs(3600))));
    assert_eq!(found.session, Some(id()));
    assert_eq!(found.dict.unwrap().as_str(), "{\"n\":1}");

    let forged = token.replacen('.', ".x", 1);
    let found = facts(forged.as_bytes(), &keys(), &policy, later);
    assert_ne!(found.outcome, Outcome::Valid);
    assert_eq!((found.key, found.dict), (None, None));
    assert!(found.reason.is_some());
}
