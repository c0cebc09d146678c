//! Everything about a token, and exactly why it fails: for `cloakroom token decode --explain` and
//! `POST /tokens/explain`.

use std::fmt::{self, Write as _};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::dict::{Dict, DictError};
use super::lifetime::{Managed, SessionId};
use super::token::Rejection;
use super::{Outcome, Policy};
use crate::keys::{KeyIndex, KeyRing};
use crate::printable::push_json_escaped;
use crate::session;
use crate::time::Timestamp;

/// What is to be said of a token, a line each, and whether it is accepted.
#[must_use]
pub fn explain(token: &[u8], keys: &KeyRing, policy: &Policy, now: Timestamp) -> (String, bool) {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{name:<11}");
        // Whoever made the token must not write to the terminal of who looks at it. What is odd
        // here stands in JSON.
        push_json_escaped(&mut text, value);
        text.push('\n');
    };
    let bytes = policy.cookie.bytes_with(token);
    line("cookie", &format!("{bytes} bytes of {} allowed", policy.max_cookie_bytes));
    let parts = Parts::of(token);
    let read = session::payload_of(token, keys);
    let header = parts.as_ref().map(|parts| part(parts.header()));
    let payload = payload(parts.as_ref(), &read);
    let is_sealed = matches!(parts, Some(Parts::Sealed { .. }));
    if let Some(Ok(header)) = &header {
        line("header", header.as_str());
    }
    if let Ok((_, key)) = read {
        let algorithm =
            keys.iter().find(|(index, _)| *index == key).map(|(_, key)| key.algorithm());
        let algorithm = algorithm.map_or("", |algorithm| algorithm.name());
        let (name, done) = if is_sealed { ("seal", "opened") } else { ("signature", "verified") };
        line(name, &format!("{done} by key {} ({algorithm})", keys.label(key)));
    }
    if let Some(Ok(payload)) = &payload {
        line("payload", payload.as_str());
        for (claim, name) in [("iat", "issued"), ("nbf", "not before"), ("exp", "expires")] {
            if let Some(value) = payload.get(&[claim]) {
                line(name, &moment(value, now));
            }
        }
        if let Some(managed) = payload.get(&["cr"]).and_then(Managed::parse) {
            let start = at(managed.start, now);
            line("session", &format!("{}, begun {start}", managed.id.as_str()));
        }
    }
    match session::open_token(token, keys, policy, now) {
        Ok(opened) => {
            if opened.managed().is_none() {
                let mark = if is_sealed { "seal" } else { "signature" };
                line("session", &format!("{}, by its {mark}", opened.id().as_str()));
            }
            line("dict", opened.dict().as_str());
            line("verdict", "valid");
            (text, true)
        }
        Err(rejection) => {
            let label = Outcome::Rejected(rejection).label();
            let reason = reason(rejection, parts, header, payload, keys, policy);
            line("verdict", &format!("{label}: {reason}"));
            (text, false)
        }
    }
}

/// What is to be said of a token to a program. Never a key: of a ticket's payload, where the key of
/// its session is, nothing but the id and the times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether it is accepted, and if not, why.
    pub outcome: Outcome,
    /// The same in words; None where it is accepted.
    pub reason: Option<String>,
    /// How long its cookie would be: name, `=` and value.
    pub cookie_bytes: usize,
    /// `alg` in its header, as JSON.
    pub alg: Option<String>,
    /// `kid` in its header, as JSON.
    pub kid: Option<String>,
    /// The key that verified it: its id, or its number in the file.
    pub key: Option<String>,
    /// `iat`
    pub issued: Option<Timestamp>,
    /// `nbf`
    pub not_before: Option<Timestamp>,
    /// `exp`
    pub expires: Option<Timestamp>,
    /// Which session it belongs to.
    pub session: Option<SessionId>,
    /// When that was first saved.
    pub start: Option<Timestamp>,
    /// Whether the dict is in a store.
    pub is_ticket: bool,
    /// The dict, where the token is accepted and holds it.
    pub dict: Option<Dict>,
}

/// The facts about a token.
#[must_use]
pub fn facts(token: &[u8], keys: &KeyRing, policy: &Policy, now: Timestamp) -> Facts {
    let parts = Parts::of(token);
    let read = session::payload_of(token, keys);
    let header = parts.as_ref().map(|parts| part(parts.header()));
    let payload = payload(parts.as_ref(), &read);
    let named = |name| Some(header.as_ref()?.as_ref().ok()?.get(&[name])?.to_owned());
    let said = |claim| payload.as_ref()?.as_ref().ok()?.get(&[claim]);
    let time = |claim| said(claim).and_then(numeric_date);
    let managed = said("cr").and_then(Managed::parse);
    let key = read.ok().map(|(_, key)| keys.label(key));
    let mut facts = Facts {
        outcome: Outcome::Valid,
        reason: None,
        cookie_bytes: policy.cookie.bytes_with(token),
        alg: named("alg"),
        kid: named("kid"),
        key,
        issued: time("iat"),
        not_before: time("nbf"),
        expires: time("exp"),
        start: managed.as_ref().map(|managed| managed.start),
        session: managed.map(|managed| managed.id),
        is_ticket: false,
        dict: None,
    };
    match session::open_token(token, keys, policy, now) {
        Ok(opened) => {
            facts.session = Some(opened.id().clone());
            facts.is_ticket = opened.is_ticket();
            facts.dict = (!opened.is_ticket()).then(|| opened.dict().clone());
        }
        Err(rejection) => {
            facts.outcome = Outcome::Rejected(rejection);
            facts.reason = Some(reason(rejection, parts, header, payload, keys, policy));
        }
    }
    facts
}

/// What stands between the dots.
enum Parts<'a> {
    Signed { header: &'a str, payload: &'a str },
    Sealed { header: &'a str, wrapped_key: &'a str, nonce: &'a str, text: &'a str, tag: &'a str },
}

impl<'a> Parts<'a> {
    fn of(token: &'a [u8]) -> Option<Self> {
        let parts: Vec<&str> = str::from_utf8(token).ok()?.split('.').collect();
        match *parts.as_slice() {
            [header, payload, _] => Some(Self::Signed { header, payload }),
            [header, wrapped_key, nonce, text, tag] => {
                Some(Self::Sealed { header, wrapped_key, nonce, text, tag })
            }
            _ => None,
        }
    }

    fn header(&self) -> &'a str {
        match self {
            Self::Signed { header, .. } | Self::Sealed { header, .. } => header,
        }
    }
}

fn payload(
    parts: Option<&Parts<'_>>,
    read: &Result<(Vec<u8>, KeyIndex), Rejection>,
) -> Option<Result<Dict, PartError>> {
    match (parts?, read) {
        (Parts::Signed { payload, .. }, _) => Some(part(payload)),
        (Parts::Sealed { .. }, Ok((payload, _))) => Some(object(payload.clone())),
        // What is sealed can be read by the holder of its key alone.
        (Parts::Sealed { .. }, Err(_)) => None,
    }
}

/// What is wrong with a part of a token: the end of a sentence about it.
#[derive(Clone, Debug)]
enum PartError {
    NotBase64Url(base64::DecodeError),
    NotADict(DictError),
}

impl fmt::Display for PartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBase64Url(error) => {
                write!(f, "is not canonical base64url without padding ({error})")
            }
            Self::NotADict(error) => write!(f, "is no object: {error}"),
        }
    }
}

/// What stands in a part, or what is wrong with it.
fn part(encoded: &str) -> Result<Dict, PartError> {
    let json = URL_SAFE_NO_PAD.decode(encoded).map_err(PartError::NotBase64Url)?;
    object(json)
}

fn object(json: Vec<u8>) -> Result<Dict, PartError> {
    Dict::from_vec(json).map_err(PartError::NotADict)
}

/// Why a token is malformed.
fn malformed(
    parts: Option<Parts<'_>>,
    header: Option<Result<Dict, PartError>>,
    payload: Option<Result<Dict, PartError>>,
) -> String {
    let (Some(parts), Some(header)) = (parts, header) else {
        return "a token has three parts with a dot between them, or five where it is sealed"
            .into();
    };
    let header = match header {
        Ok(header) => header,
        Err(reason) => return format!("the header {reason}"),
    };
    if let Some(Err(reason)) = payload {
        return format!("the payload {reason}");
    }
    let has = |member: &str| header.get(&[member]).is_some();
    match header.get(&["alg"]) {
        None => return "the header has no alg".into(),
        Some(alg) if alg.eq_ignore_ascii_case("\"none\"") => return "alg is none".into(),
        Some(_) => {}
    }
    for extension in ["crit", "b64"] {
        if has(extension) {
            return format!("the header has a {extension}");
        }
    }
    match parts {
        Parts::Signed { .. } => "alg or kid is no string, or the signature is not base64url".into(),
        Parts::Sealed { .. } if has("zip") => "the header has a zip".into(),
        Parts::Sealed { .. } if !has("enc") => "the header has no enc".into(),
        Parts::Sealed { wrapped_key, nonce, text, tag, .. } => {
            let bytes = |part| URL_SAFE_NO_PAD.decode(part).map(|bytes| bytes.len());
            match (bytes(wrapped_key), bytes(nonce), bytes(text), bytes(tag)) {
                (Ok(0), Ok(12), Ok(_), Ok(16)) => "alg, enc or kid is no string".into(),
                (Ok(key), Ok(nonce), Ok(_), Ok(tag)) => format!(
                    "its parts have {key} bytes of key, {nonce} of nonce and {tag} of tag; \
                     expected 0, 12 and 16"
                ),
                _ => "a part is not canonical base64url without padding".into(),
            }
        }
    }
}

fn reason(
    rejection: Rejection,
    parts: Option<Parts<'_>>,
    header: Option<Result<Dict, PartError>>,
    payload: Option<Result<Dict, PartError>>,
    keys: &KeyRing,
    policy: &Policy,
) -> String {
    let said = |dict: &Option<Result<Dict, PartError>>, claim: &str| {
        let value = dict.as_ref()?.as_ref().ok()?.get(&[claim])?;
        Some(value.to_owned())
    };
    match rejection {
        Rejection::Malformed => malformed(parts, header, payload),
        Rejection::UnknownKey => {
            let known: Vec<&str> = keys.iter().map(|(_, key)| key.algorithm().name()).collect();
            let ids: Vec<&str> = keys.iter().filter_map(|(_, key)| key.id()).collect();
            let alg = said(&header, "alg").unwrap_or_default();
            let enc = said(&header, "enc").map(|enc| format!(", enc {enc}")).unwrap_or_default();
            let kid =
                said(&header, "kid").map_or_else(|| "no kid".into(), |kid| format!("kid {kid}"));
            format!(
                "it has alg {alg}{enc} and {kid}; the keys are for {} and have the ids [{}]",
                known.join(", "),
                ids.join(", ")
            )
        }
        Rejection::BadSignature => {
            let mark =
                if matches!(parts, Some(Parts::Sealed { .. })) { "seal" } else { "signature" };
            match said(&header, "kid") {
                Some(kid) => format!("the {mark} is not that of the key {kid}"),
                None => format!("the {mark} is not that of any key"),
            }
        }
        Rejection::WrongClaim => {
            let has = |claim| said(&payload, claim).unwrap_or_else(|| "none".into());
            let wants = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
            format!(
                "exp is {}, nbf is {} (numbers where present), iss is {} (wanted: {}), aud is {} \
                 (wanted: {})",
                has("exp"),
                has("nbf"),
                has("iss"),
                wants(&policy.issuer),
                has("aud"),
                wants(&policy.audience)
            )
        }
        other => other.to_string(),
    }
}

/// A NumericDate in words.
fn moment(json: &str, now: Timestamp) -> String {
    match numeric_date(json) {
        Some(moment) => at(moment, now),
        None => format!("{json}, which is no moment"),
    }
}

/// The moment that a NumericDate is, to the second; None outside the years 1970 to 9999.
fn numeric_date(json: &str) -> Option<Timestamp> {
    let seconds = json.parse::<f64>().ok()?;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the range that is checked"
    )]
    (0.0..=253_402_300_799.0).contains(&seconds).then(|| Timestamp::from_secs(seconds as u64))
}

fn at(moment: Timestamp, now: Timestamp) -> String {
    let written = moment.to_rfc3339();
    let (whole, behind) =
        if moment <= now { (now.since(moment), " ago") } else { (moment.since(now), "") };
    let before = if behind.is_empty() { "in " } else { "" };
    let whole = Duration::from_secs(whole.as_secs());
    format!("{written}, {before}{}{behind}", humantime::format_duration(whole))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

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
            (forge(plain, "[]"), "malformed: the payload is no object: not a JSON object"),
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
}
