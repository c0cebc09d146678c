//! Tokens: the first byte decides how the rest becomes one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom::keys::Algorithm;
use cloakroom::session::dict::Dict;
use cloakroom::session::token::Rejection;
use cloakroom::session::{self, Issuer, Policy, VerifiedToken};
use serde_json::{Map, Value};

use crate::json;
use crate::keys::{Number, OLD, PAIRS, RING, SEALED, SEALED_BY, SEALING, SIGNING, seal, sign};
use crate::policy::{NOW, policy};

/// Only tokens signed or sealed by one of our keys verify, with exactly the contents that were
/// signed or sealed.
pub fn token(data: &[u8]) {
    let [mode, bits, rest @ ..] = data else { return };
    match mode % 5 {
        0 => as_it_is(rest, &policy(*bits)),
        1 => signed(rest, *bits),
        2 => changed(rest, *bits),
        4 => sealed(rest, *bits),
        _ => claims(rest, &policy(*bits)),
    }
}

/// Any bytes.
fn as_it_is(token: &[u8], policy: &Policy) {
    let verdict = session::open_token(token, &RING, policy, NOW);
    let Ok(key) = session::signed_by(token, &RING) else {
        assert!(verdict.is_err(), "no key has signed it");
        return;
    };
    let token = str::from_utf8(token).expect("a token is ASCII");
    if key.0 == SEALED_BY {
        sealed_by_us(token);
    } else {
        signed_by_us(token, key.0);
    }
    if let Ok(verified) = verdict {
        assert_eq!(verified.key(), key);
        comes_back(&verified, policy);
    }
}

fn signed_by_us(token: &str, key: usize) {
    let [header, payload, signature] = parts(token);
    let message = format!("{header}.{payload}");
    match key {
        0 => assert_eq!(signature, sign(&message, SIGNING, Algorithm::Hs256)),
        1 => assert_eq!(signature, sign(&message, OLD, Algorithm::Hs512)),
        pair => {
            let signed = PAIRS[pair - 2].3;
            assert!(signed.starts_with(&format!("{message}.")), "nobody has signed this");
        }
    }
    check_header(header, key);
}

/// Sealed again with the same nonce, it must be identical.
fn sealed_by_us(token: &str) {
    let [header, _, nonce, _, _] = parts(token);
    let (payload, _) = session::payload_of(token.as_bytes(), &RING).expect("it has been opened");
    let nonce = URL_SAFE_NO_PAD.decode(nonce).expect("base64url");
    let nonce = nonce.try_into().expect("12 bytes");
    assert_eq!(token, seal(header, nonce, &payload, &SEALING));
    check_header(header, SEALED_BY);
}

/// Any header and payload, signed with one of our secrets or with one that an attacker knows.
fn signed(rest: &[u8], bits: u8) {
    let (header, payload) = match rest.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (&b"{\"typ\":\"JWT\",\"alg\":\"HS256\"}"[..], rest),
    };
    let (secret, algorithm) = match bits % 5 {
        0 => (SIGNING, Algorithm::Hs256),
        1 => (OLD, Algorithm::Hs512),
        // "alg": "HS256" with a public key as the secret, an attack on naive verifiers.
        2 => (PAIRS[0].2.as_bytes(), Algorithm::Hs256),
        3 => (PAIRS[2].2.trim_end().as_bytes(), Algorithm::Hs256),
        _ => (&b""[..], Algorithm::Hs256),
    };
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(header), encode(payload));
    let token = format!("{message}.{}", sign(&message, secret, algorithm));
    let verdict = session::signed_by(token.as_bytes(), &RING);
    match verdict {
        Ok(key) => {
            assert_eq!(usize::from(bits % 5), key.0, "not the key that has signed");
            as_it_is(token.as_bytes(), &policy(0));
        }
        Err(_) if bits.is_multiple_of(5) => {
            assert_ne!(header, b"{\"typ\":\"JWT\",\"alg\":\"HS256\"}", "signed by us");
        }
        Err(_) => {}
    }
}

/// The header of our own.
const SEALED_HEADER: &str = r#"{"typ":"JWT","alg":"dir","enc":"A256GCM","kid":"seals"}"#;

/// Any header and payload, sealed with our secret or with one that an attacker knows.
fn sealed(rest: &[u8], bits: u8) {
    let (header, payload) = match rest.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (SEALED_HEADER.as_bytes(), rest),
    };
    let secret = match bits % 3 {
        0 => &SEALING,
        1 => &[0; 32],
        _ => SIGNING.first_chunk().expect("64 bytes"),
    };
    let token = seal(&URL_SAFE_NO_PAD.encode(header), [bits; 12], payload, secret);
    match session::payload_of(token.as_bytes(), &RING) {
        Ok((opened, key)) => {
            assert_eq!((secret, key.0), (&SEALING, SEALED_BY), "not the key that has sealed");
            assert_eq!(opened, payload);
            as_it_is(token.as_bytes(), &policy(0));
        }
        Err(_) => assert!(
            !bits.is_multiple_of(3) || header != SEALED_HEADER.as_bytes(),
            "sealed by us, and not opened"
        ),
    }
}

/// A valid token of each key, with a few bytes replaced, inserted or removed.
fn changed(edits: &[u8], bits: u8) {
    let key = usize::from(bits) % 6;
    let message = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJuIjoxfQ";
    let old = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiIsImtpZCI6Im9sZCJ9.eyJuIjoxfQ";
    let sound = match key {
        0 => format!("{message}.{}", sign(message, SIGNING, Algorithm::Hs256)),
        1 => format!("{old}.{}", sign(old, OLD, Algorithm::Hs512)),
        SEALED_BY => {
            seal(&URL_SAFE_NO_PAD.encode(SEALED_HEADER), [bits; 12], b"{\"n\":1}", &SEALING)
        }
        pair => PAIRS[pair - 2].3.to_owned(),
    };
    assert_eq!(session::signed_by(sound.as_bytes(), &RING).map(|key| key.0), Ok(key));

    let mut token = sound.clone().into_bytes();
    for edit in edits.chunks_exact(4).take(8) {
        let [kind, high, low, byte] = *edit else { continue };
        let at = usize::from(u16::from_be_bytes([high, low])) % (token.len() + 1);
        match kind % 4 {
            0 if at < token.len() => token[at] = byte,
            1 => token.insert(at, byte),
            2 if at < token.len() => drop(token.remove(at)),
            3 => token.truncate(at),
            _ => {}
        }
    }
    if token == sound.as_bytes() {
        return;
    }
    if session::signed_by(&token, &RING).is_ok() {
        // An ECDSA signature has a second valid form, for the same contents.
        let signature = sound.rfind('.').expect("a token has two dots");
        assert_eq!(key, 2, "a changed token verifies");
        assert_eq!(&token[..=signature], &sound.as_bytes()[..=signature], "what is signed");
    }
}

/// Any payload, validly signed, to test its claims.
fn claims(payload: &[u8], policy: &Policy) {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode("{\"typ\":\"JWT\",\"alg\":\"HS256\"}"),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let token = format!("{message}.{}", sign(&message, SIGNING, Algorithm::Hs256));
    let verdict = session::open_token(token.as_bytes(), &RING, policy, NOW);
    if policy.cookie.bytes_with(token.as_bytes()) > policy.max_cookie_bytes {
        assert_eq!(verdict.err(), Some(Rejection::TooLarge));
        return;
    }
    let dict = Dict::parse(payload);
    let value = json::checked(payload, &dict);
    let Ok(dict) = dict else {
        assert_eq!(verdict.err(), Some(Rejection::Malformed));
        return;
    };
    json::sound(&dict);
    if let Some(value) = value {
        agrees(&verdict, &value, policy);
    }
    if let Ok(verified) = verdict {
        comes_back(&verified, policy);
    }
}

/// Compares the verdict with the claims as read by `serde_json`.
fn agrees(verdict: &Result<VerifiedToken, Rejection>, value: &Map<String, Value>, policy: &Policy) {
    let is_number = |name: &str| value.get(name).is_none_or(Value::is_number);
    let time = |name: &str| value.get(name).and_then(Value::as_f64);
    let (now, leeway) = (NOW.as_secs_f64(), policy.leeway.as_secs_f64());
    // serde_json rounds a float to within one unit of its last place.
    let near = |time: f64, limit: f64| (time - limit).abs() < 1e-3;
    if time("exp").is_some_and(|exp| near(exp, now - leeway))
        || time("nbf").is_some_and(|nbf| near(nbf, now + leeway))
    {
        return;
    }
    let is = |one: &Value, wanted: &str| one.as_str() == Some(wanted);
    let issuer_fits = policy
        .issuer
        .as_ref()
        .is_none_or(|issuer| value.get("iss").is_some_and(|iss| is(iss, issuer)));
    let audience_fits = match (&policy.audience, value.get("aud")) {
        (None, aud) => aud.is_none(),
        (Some(wanted), Some(Value::Array(all))) => all.iter().any(|one| is(one, wanted)),
        (Some(wanted), Some(one)) => is(one, wanted),
        (Some(_), None) => false,
    };
    let typed = is_number("exp") && is_number("nbf");
    let named = issuer_fits && audience_fits && (!policy.require_exp || value.contains_key("exp"));
    let past = time("exp").is_some_and(|exp| exp <= now - leeway);
    let to_come = time("nbf").is_some_and(|nbf| nbf > now + leeway);
    match verdict {
        Ok(verified) => {
            assert!(typed && named && !past && !to_come, "accepted in spite of a claim");
            let hides_lifetime = policy.lifetime().is_some() || verified.managed().is_some();
            let mut expected = value.clone();
            expected.retain(|key, _| match key.as_str() {
                "iat" | "exp" | "cr" => !hides_lifetime,
                "iss" => policy.issuer.is_none(),
                "aud" => policy.audience.is_none(),
                _ => true,
            });
            let dict: Map<String, Value> =
                serde_json::from_str(verified.dict().as_str()).expect("the dict is JSON");
            assert_eq!(dict, expected, "the dict is what is not the sidecar's own");
        }
        // The end of a session is in "cr", if that is valid.
        Err(Rejection::Expired) => {
            let over = policy.absolute_ttl.is_some() && value.contains_key("cr");
            assert!(past || over, "not expired");
        }
        Err(Rejection::NotYetValid) => assert!(to_come, "valid already"),
        Err(Rejection::WrongClaim) => assert!(!typed || !named, "no claim is wrong"),
        Err(Rejection::Revoked) => assert!(policy.revocations.are_in_use(), "not revoked"),
        Err(other) => panic!("no reason for {other:?}"),
    }
}

/// An accepted dict can be saved, and comes back unchanged.
fn comes_back(verified: &VerifiedToken, policy: &Policy) {
    let dict = verified.dict();
    json::sound(dict);
    // A managed session need not have an expiry after lifetimes are no longer managed.
    let policy = &Policy { require_exp: false, ..policy.clone() };
    for ring in [&RING, &SEALED] {
        match session::encode(dict, Issuer::new(ring, policy, NOW), Number(7)) {
            Ok(token) => {
                let again = session::open_token(token.as_bytes(), &RING, policy, NOW);
                let again = again.expect("what is signed now verifies now");
                assert_eq!(again.dict().as_str(), dict.as_str(), "as it was written");
            }
            Err(broken) => {
                let too_long = broken.bytes > policy.max_cookie_bytes.min(policy.max_bytes);
                // Other readers may refuse what is accepted here.
                let elsewhere =
                    policy.lifetime().is_none() && broken.reason.to_string().contains("PyJWT");
                assert!(too_long || elsewhere, "{}", broken.reason);
            }
        }
    }
}

fn check_header(encoded: &str, key: usize) {
    let json = URL_SAFE_NO_PAD.decode(encoded).expect("base64url");
    // If serde_json accepts less than RFC 8259 allows, there is no comparison.
    let Ok(header) = serde_json::from_slice::<Map<String, Value>>(&json) else { return };
    let (algorithm, id) = match key {
        0 => ("HS256", None),
        1 => ("HS512", Some("old")),
        SEALED_BY => ("dir", Some("seals")),
        pair => (PAIRS[pair - 2].0.name(), PAIRS[pair - 2].1),
    };
    assert_eq!(header.get("alg").and_then(Value::as_str), Some(algorithm), "the key decides");
    assert!(!header.contains_key("crit") && !header.contains_key("b64"), "not understood");
    if key == SEALED_BY {
        let encryption = header.get("enc").and_then(Value::as_str);
        assert_eq!(encryption, Some("A256GCM"), "the key decides");
        assert!(!header.contains_key("zip"), "not compressed");
    }
    if let Some(kid) = header.get("kid") {
        let kid = kid.as_str().expect("a kid is a string");
        let known = ["old", "ec", "rsa", "seals"].contains(&kid);
        assert!(!known || Some(kid) == id, "another key's id");
    }
}

fn parts<const COUNT: usize>(token: &str) -> [&str; COUNT] {
    let parts: Vec<&str> = token.split('.').collect();
    let canonical = |part: &&str| {
        URL_SAFE_NO_PAD.decode(part).is_ok_and(|bytes| URL_SAFE_NO_PAD.encode(bytes) == **part)
    };
    assert!(parts.iter().all(canonical), "canonical base64url");
    parts.try_into().expect("so many parts")
}
