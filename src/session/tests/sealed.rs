//! Keys that seal: the same sessions, but only the holder of the key can read them.

use super::*;
use crate::keys::{Kind, Nonce};
use crate::session::fresh::Fresh;
use proptest::prelude::*;

const SEALING: [u8; 32] = [9; 32];
const HEADER: &str = r#"{"typ":"JWT","alg":"dir","enc":"A256GCM"}"#;

fn sealing(id: Option<&str>, secret: u8) -> Key {
    Key::sealing(id.map(str::to_owned), &[secret; 32]).unwrap()
}

fn sealed_ring() -> KeyRing {
    KeyRing::new(Key::sealing(None, &SEALING).unwrap(), vec![])
}

/// Numbers in place of random bytes, until they are used up.
struct Numbers(std::ops::Range<u8>);

impl Fresh for Numbers {
    fn id(&mut self) -> SessionId {
        id(self.0.next().unwrap())
    }

    fn nonce(&mut self) -> Option<Nonce> {
        self.0.next().map(|number| [number; 12])
    }
}

fn seal(dict: &str, ring: &KeyRing) -> String {
    let dict = Dict::parse(dict.as_bytes()).unwrap();
    encode(&dict, Issuer::new(ring, &policy(), NOW), Numbers(1..9)).unwrap()
}

fn verdict(token: &str, ring: &KeyRing) -> Result<(String, usize), &'static str> {
    open_token(token.as_bytes(), ring, &policy(), NOW)
        .map(|token| (token.dict().as_str().to_owned(), token.key().0))
        .map_err(|rejection| Outcome::Rejected(rejection).label())
}

/// The four parts after the header, sealed with [`SEALING`] or another key.
fn parts(header: &str, payload: &[u8], key: &Key) -> [String; 4] {
    let mut text = payload.to_vec();
    let tag = key.seal([7; 12], URL_SAFE_NO_PAD.encode(header).as_bytes(), &mut text).unwrap();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    [String::new(), encode(&[7; 12]), encode(&text), encode(&tag)]
}

fn forge_by(header: &str, payload: &[u8], key: &Key) -> String {
    let [wrapped, nonce, text, tag] = parts(header, payload, key);
    format!("{}.{wrapped}.{nonce}.{text}.{tag}", URL_SAFE_NO_PAD.encode(header))
}

fn forge(header: &str, payload: &[u8]) -> String {
    forge_by(header, payload, &Key::sealing(None, &SEALING).unwrap())
}

#[test]
fn what_is_sealed_opens_again_and_says_nothing_to_others() {
    let token = seal(r#"{"user":"ann"}"#, &sealed_ring());
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    assert_eq!(String::from_utf8(header).unwrap(), HEADER);
    assert_eq!(verdict(&token, &sealed_ring()), Ok((r#"{"user":"ann"}"#.into(), 0)));
    for part in token.split('.') {
        let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("ann"));
    }
    assert_eq!(verdict(&token, &ring()), Err("unknown_key"));
}

#[test]
fn the_header_has_the_id_of_its_key() {
    let ring = KeyRing::new(sealing(Some("2027"), 1), vec![]);
    let token = seal("{}", &ring);
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let expected = r#"{"typ":"JWT","alg":"dir","enc":"A256GCM","kid":"2027"}"#;
    assert_eq!(String::from_utf8(header).unwrap(), expected);
}

#[test]
fn a_sealed_token_is_at_most_16_characters_longer() {
    for id in [None, Some("1"), Some("26"), Some("202"), Some("2026-11-29")] {
        let own = |key| KeyRing::new(key, vec![]);
        let signing = own(Key::hmac(id.map(str::to_owned), Algorithm::Hs256, SECRET));
        let sealing = own(sealing(id, 1));
        for length in 0..300 {
            let dict = format!("{{\"n\":\"{}\"}}", "x".repeat(length));
            let longer = seal(&dict, &sealing).len() - seal(&dict, &signing).len();
            assert!(longer <= 16, "{longer} for {id:?} and {length}");
        }
    }
}

#[test]
fn from_signed_to_sealed_and_back_nobody_is_logged_out() {
    let signing = || Key::hmac(Some("signs".into()), Algorithm::Hs256, SECRET);
    let sealing = || sealing(Some("seals"), 1);
    let rings = [
        KeyRing::new(signing(), vec![]),
        KeyRing::new(signing(), vec![sealing()]),
        KeyRing::new(sealing(), vec![signing()]),
        KeyRing::new(signing(), vec![sealing()]),
    ];
    // A token of each step is valid at the previous step and at the next one, because other
    // sidecars may be there.
    let tokens: Vec<String> = rings.iter().map(|ring| seal(r#"{"n":1}"#, ring)).collect();
    for (step, token) in tokens.iter().enumerate().skip(1) {
        for ring in &rings[1..] {
            assert!(verdict(token, ring).is_ok(), "of step {step}");
        }
    }
    assert!(verdict(&tokens[0], &rings[1]).is_ok());
    assert_eq!(verdict(&tokens[2], &rings[2]), Ok((r#"{"n":1}"#.into(), 0)));
    assert_eq!(verdict(&tokens[1], &rings[2]), Ok((r#"{"n":1}"#.into(), 1)));
}

#[test]
fn a_kid_chooses_the_key_that_opens() {
    let ring = KeyRing::new(
        sealing(Some("new"), 1),
        vec![
            sealing(Some("old"), 2),
            sealing(None, 3),
            Key::hmac(Some("signs".into()), Algorithm::Hs256, SECRET),
        ],
    );
    let header = |kid: &str| format!(r#"{{"alg":"dir","enc":"A256GCM"{kid}}}"#);
    for (kid, secret, expected) in [
        (r#","kid":"new""#, 1, Ok(0)),
        (r#","kid":"old""#, 2, Ok(1)),
        (r#","kid":"ol\u0064""#, 2, Ok(1)),
        ("", 1, Ok(0)),
        ("", 2, Ok(1)),
        ("", 3, Ok(2)),
        (r#","kid":"gone""#, 3, Ok(2)),
        (r#","kid":"gone""#, 4, Err("unknown_key")),
        ("", 4, Err("bad_signature")),
        (r#","kid":"new""#, 2, Err("bad_signature")),
        (r#","kid":"old""#, 3, Err("bad_signature")),
        (r#","kid":"signs""#, 1, Err("bad_signature")),
        (r#","kid":7"#, 1, Err("malformed")),
    ] {
        let token = forge_by(&header(kid), b"{}", &sealing(None, secret));
        let opened_by = verdict(&token, &ring).map(|(_, key)| key);
        assert_eq!(opened_by, expected, "{kid} sealed by {secret}");
    }
}

#[test]
fn every_kind_of_bad_seal_is_refused_under_its_label() {
    let good = forge(HEADER, b"{\"n\":1}");
    assert!(verdict(&good, &sealed_ring()).is_ok());
    let header = URL_SAFE_NO_PAD.encode(HEADER);
    let [_, nonce, text, tag] = parts(HEADER, b"{\"n\":1}", &Key::sealing(None, &SEALING).unwrap());
    let longer = |part: &str| {
        let mut bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
        bytes.push(0);
        URL_SAFE_NO_PAD.encode(bytes)
    };
    let shorter = |part: &str, by: usize| {
        let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
        URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() - by])
    };
    // The same 16 bytes: the last of 22 characters has four unused bits.
    let loose = |tag: &str| {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let (rest, end) = tag.split_at(tag.len() - 1);
        let index = alphabet.iter().position(|&byte| byte == end.as_bytes()[0]).unwrap();
        format!("{rest}{}", char::from(alphabet[index ^ 1]))
    };
    let with =
        |members: &str| forge(&format!(r#"{{"alg":"dir","enc":"A256GCM",{members}}}"#), b"{}");
    for (token, expected) in [
        (format!("{header}.AAAA.{nonce}.{text}.{tag}"), "malformed"),
        (format!("{header}..{}.{text}.{tag}", longer(&nonce)), "malformed"),
        (format!("{header}..{}.{text}.{tag}", shorter(&nonce, 1)), "malformed"),
        (format!("{header}..{}.{text}.{tag}", "A".repeat(22)), "malformed"),
        (format!("{header}...{text}.{tag}"), "malformed"),
        (format!("{header}..{nonce}.{text}.{}", longer(&tag)), "malformed"),
        (format!("{header}..{nonce}.{text}.{}", shorter(&tag, 1)), "malformed"),
        (format!("{header}..{nonce}.{text}.{}", shorter(&tag, 4)), "malformed"),
        (format!("{header}..{nonce}.{text}.{}", shorter(&tag, 8)), "malformed"),
        (format!("{header}..{nonce}.{text}."), "malformed"),
        (format!("{header}..{nonce}.{text}.{}", "A".repeat(2000)), "malformed"),
        (format!("{header}..{nonce}.{text}"), "malformed"),
        (format!("{header}.{nonce}.{text}.{tag}"), "malformed"),
        (format!("{header}..{nonce}.{text}.{tag}."), "malformed"),
        (format!("{good}.x"), "malformed"),
        (format!(".{nonce}.{text}.{tag}"), "malformed"),
        (format!("..{nonce}.{text}.{tag}"), "malformed"),
        (format!("{good}="), "malformed"),
        (format!("{header}=..{nonce}.{text}.{tag}"), "malformed"),
        (format!("{header}..{nonce}=.{text}.{tag}"), "malformed"),
        (format!("{header}..{nonce}.{text}=.{tag}"), "malformed"),
        (format!("{header}..{nonce}.{text} .{tag}"), "malformed"),
        (format!("{header}..{nonce}.{text}.{}", loose(&tag)), "malformed"),
        (format!("{header}..{nonce}..{tag}"), "bad_signature"),
        (format!("{header}..{nonce}.{}.{tag}", shorter(&text, 1)), "bad_signature"),
        (format!("{header}..{nonce}.{}.{tag}", longer(&text)), "bad_signature"),
        (format!("{header}..{}.{text}.{tag}", "A".repeat(16)), "bad_signature"),
        (format!("{header}..{nonce}.{text}.{}", "A".repeat(22)), "bad_signature"),
        (
            format!(
                "{}..{nonce}.{text}.{tag}",
                URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","enc":"A256GCM"}"#)
            ),
            "bad_signature",
        ),
        (with(r#""zip":"DEF""#), "malformed"),
        (with(r#""zip":null"#), "malformed"),
        (with(r#""\u007aip":"DEF""#), "malformed"),
        (with(r#""crit":["exp"]"#), "malformed"),
        (with(r#""crit":[]"#), "malformed"),
        (with(r#""b64":false"#), "malformed"),
        (with(r#""alg":"dir""#), "malformed"),
        (with(r#""enc":"A256GCM""#), "malformed"),
        (with(r#""\u0065nc":"A256GCM""#), "malformed"),
        (with(r#""kid":"a","kid":"a""#), "malformed"),
        (forge(r#"{"alg":"dir"}"#, b"{}"), "malformed"),
        (forge(r#"{"enc":"A256GCM"}"#, b"{}"), "malformed"),
        (forge(r#"{"alg":"dir","enc":256}"#, b"{}"), "malformed"),
        (forge(r#"{"alg":["dir"],"enc":"A256GCM"}"#, b"{}"), "malformed"),
        (forge(r#"{"alg":"none","enc":"A256GCM"}"#, b"{}"), "malformed"),
        (forge("[]", b"{}"), "malformed"),
        (forge("", b"{}"), "malformed"),
        (forge(r#"{"alg":"dir","enc":"A128GCM"}"#, b"{}"), "unknown_key"),
        (forge(r#"{"alg":"dir","enc":"a256gcm"}"#, b"{}"), "unknown_key"),
        (forge(r#"{"alg":"dir","enc":"A256CBC-HS512"}"#, b"{}"), "unknown_key"),
        (forge(r#"{"alg":"DIR","enc":"A256GCM"}"#, b"{}"), "unknown_key"),
        (forge(r#"{"alg":"A256KW","enc":"A256GCM"}"#, b"{}"), "unknown_key"),
        (forge(r#"{"alg":"A256GCM","enc":"A256GCM"}"#, b"{}"), "unknown_key"),
        (forge(r#"{"alg":"HS256","enc":"A256GCM"}"#, b"{}"), "unknown_key"),
        (forge(HEADER, b""), "malformed"),
        (forge(HEADER, b"[]"), "malformed"),
        (forge(HEADER, b"\xff"), "malformed"),
        (forge(HEADER, b"{\"a\":1,\"a\":1}"), "malformed"),
        (forge(HEADER, b"{\"exp\":1}"), "expired"),
        (forge(HEADER, b"{\"aud\":\"x\"}"), "wrong_claim"),
    ] {
        assert_eq!(verdict(&token, &sealed_ring()), Err(expected), "{token}");
    }
    // Unknown members are ignored.
    assert!(verdict(&with(r#""cty":"json","x":{"zip":1}"#), &sealed_ring()).is_ok());
}

/// The number of parts decides the type of a token; its header cannot change it.
#[test]
fn a_signature_is_no_seal_and_a_seal_no_signature() {
    let ring = KeyRing::new(
        Key::sealing(None, &SEALING).unwrap(),
        vec![Key::hmac(None, Algorithm::Hs256, &SEALING)],
    );
    let signed = |header: &str| {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"));
        let key = Key::hmac(None, Algorithm::Hs256, &SEALING);
        format!("{message}.{}", key.sign(message.as_bytes()).unwrap())
    };
    assert!(verdict(&signed(r#"{"typ":"JWT","alg":"HS256"}"#), &ring).is_ok());
    for header in
        [HEADER, r#"{"alg":"dir"}"#, r#"{"alg":"A256GCM"}"#, r#"{"enc":"A256GCM","alg":"dir"}"#]
    {
        assert_eq!(verdict(&signed(header), &ring), Err("unknown_key"), "{header}");
    }
    let sealed = forge(r#"{"typ":"JWT","alg":"HS256"}"#, b"{}");
    assert_eq!(verdict(&sealed, &ring), Err("unknown_key"));
}

#[test]
fn without_randomness_nothing_is_sealed_and_no_nonce_is_used_twice() {
    let mut numbers = Numbers(5..7);
    let mut once = || {
        let nonce = numbers.nonce();
        jose::write(Kind::Session, "{}", sealed_ring().signing(), || nonce)
    };
    let [first, second] = [once().unwrap(), once().unwrap()];
    assert_ne!(first, second);
    assert_eq!(once(), Err(jose::Unwritten::NoRandomness));
    let dict = Dict::parse(b"{}").unwrap();
    // A source with only ids has no nonces.
    let broken = encode(&dict, Issuer::new(&sealed_ring(), &policy(), NOW), || id(1)).unwrap_err();
    assert!(broken.reason.to_string().contains("random number generator"), "{}", broken.reason);
    let refused =
        close(&nobody(), save("{\"n\":1}"), Issuer::new(&sealed_ring(), &policy(), NOW), || id(1));
    assert!(refused.is_err());
}

#[test]
fn a_sealed_token_without_a_session_is_known_by_its_tag() {
    let [_, _, _, tag] = parts(HEADER, b"{\"n\":1}", &Key::sealing(None, &SEALING).unwrap());
    let token = forge(HEADER, b"{\"n\":1}");
    let opened = open_token(token.as_bytes(), &sealed_ring(), &policy(), NOW).unwrap();
    assert_eq!(opened.id().as_str(), tag);
    let mut revocations = Revocations::default();
    revocations.read_sessions(&tag, |_| None).unwrap();
    let policy = Policy { revocations, ..policy() };
    let revoked = open_token(token.as_bytes(), &sealed_ring(), &policy, NOW);
    assert_eq!(revoked.unwrap_err(), Rejection::Revoked);
}

#[test]
fn lifetimes_and_revocations_hold_for_sealed_sessions() {
    let ttl = Policy { ttl: Some(Duration::from_secs(60)), ..policy() };
    let dict = Dict::parse(b"{\"n\":1}").unwrap();
    let token = encode(&dict, Issuer::new(&sealed_ring(), &ttl, NOW), Numbers(1..9)).unwrap();
    let open_at = |policy: &Policy, now| open_token(token.as_bytes(), &sealed_ring(), policy, now);
    let opened = open_at(&ttl, NOW).unwrap();
    assert_eq!(opened.managed().unwrap().id, id(1));
    assert_eq!(open_at(&ttl, NOW.plus(Duration::from_secs(60))).unwrap_err(), Rejection::Expired);
    let not_before = Some(NOW.plus(Duration::from_secs(1)));
    let revoked = Policy { revocations: Revocations::since(not_before), ..ttl.clone() };
    assert_eq!(open_at(&revoked, NOW).unwrap_err(), Rejection::Revoked);
    let mut revocations = Revocations::default();
    revocations.read_sessions(id(1).as_str(), |_| None).unwrap();
    let revoked = Policy { revocations, ..ttl };
    assert_eq!(open_at(&revoked, NOW).unwrap_err(), Rejection::Revoked);
}

#[test]
fn one_secret_is_known_as_the_same_key_whatever_its_id() {
    assert!(sealing(Some("a"), 1).is_pair_of(&sealing(None, 1)));
    assert!(!sealing(None, 1).is_pair_of(&sealing(None, 2)));
    assert!(!sealing(None, 1).is_pair_of(&Key::hmac(None, Algorithm::Hs256, &[1; 32])));
    assert!(!Key::hmac(None, Algorithm::Hs256, &[1; 32]).is_pair_of(&sealing(None, 1)));
    assert!(Key::sealing(None, &[1; 31]).is_none() && Key::sealing(None, &[1; 33]).is_none());
}

proptest! {
    #[test]
    fn a_token_damaged_in_any_one_byte_never_opens(
        text in "[ -~é]{0,40}",
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let dict = serde_json::json!({ "text": text }).to_string();
        let ring = KeyRing::new(sealing(Some("a"), 1), vec![sealing(None, 2)]);
        let token = seal(&dict, &ring);
        let mut damaged = token.clone().into_bytes();
        let place = place.index(damaged.len());
        prop_assume!(damaged[place] != byte);
        damaged[place] = byte;
        prop_assert!(open_token(&damaged, &ring, &policy(), NOW).is_err(), "byte {place}");
    }
}

/// Each position with each other character of base64url and the dot.
#[test]
fn no_other_character_anywhere_opens() {
    let token = seal(r#"{"user":"ann","n":12}"#, &sealed_ring());
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=";
    let mut damaged = token.clone().into_bytes();
    for place in 0..damaged.len() {
        let whole = damaged[place];
        for &byte in alphabet.iter().filter(|byte| **byte != whole) {
            damaged[place] = byte;
            assert!(open_token(&damaged, &sealed_ring(), &policy(), NOW).is_err(), "byte {place}");
        }
        damaged[place] = whole;
    }
    assert!(open_token(&damaged, &sealed_ring(), &policy(), NOW).is_ok());
}
