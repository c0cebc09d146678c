//! The token in the cookie when the dict is in the store. Its payload has the id of the session and
//! the key that opens its record, but no dict; its length does not depend on the session.
//!
//! ```text
//! {"typ":"JWT","alg":"HS256","crit":["cr"],"cr":1}
//! {"iat":…,"exp":…,"cr":{"id":"22 characters","start":…,"ms":…,"key":"43 characters"}}
//! ```
//!
//! Signature, `kid`, times, names, lifetime and revocation use the same code as other tokens.

use zeroize::Zeroizing;

use super::Policy;
use super::claims;
use super::dict::{Dict, members, unescape};
use super::lifetime::{LONGEST, SessionId};
use super::stamp::Stamp;
use crate::keys::jose::{self, Unwritten};
use crate::keys::{Algorithm, Key, KeyRing, Kind, Nonce};
use crate::store::record::SessionKey;
use crate::time::Timestamp;

/// Signs or seals a ticket; only a seal uses the nonce.
///
/// # Errors
/// A seal without a nonce, or an error of the crypto library, which no secret causes.
pub fn issue(
    stamp: &Stamp,
    key: &SessionKey,
    keys: &KeyRing,
    policy: &Policy,
    nonce: Option<Nonce>,
) -> Result<String, Unwritten> {
    jose::write(Kind::Ticket, &payload(stamp, key, policy), keys.signing(), || nonce)
}

/// The length of the longest cookie with a ticket: name, `=` and a ticket issued with a key of this
/// algorithm and id.
#[must_use]
pub fn longest(policy: &Policy, algorithm: Algorithm, key_id: Option<&str>) -> usize {
    // Any key with this id: the length of its signatures is known.
    let stand_in = Key::hmac(key_id.map(str::to_owned), algorithm, &[0; 64]);
    let header = stand_in.header_of(Kind::Ticket).len();
    let now = Timestamp::from_secs(4_000_000_000);
    let id = || SessionId::from_bytes([0; 16]);
    let own_max_age = Some(LONGEST.as_secs());
    let Some(stamp) = Stamp::new(policy, None, own_max_age, now, id) else { return 0 };
    let payload = payload(&stamp, &SessionKey::from_bytes([0; 32]), policy).len();
    let encoded = |bytes: usize| (bytes * 4).div_ceil(3);
    let others = match algorithm {
        // An empty key part, a nonce and a tag.
        Algorithm::A256Gcm => 2 + encoded(12) + encoded(16),
        Algorithm::Hs256 => encoded(32),
        Algorithm::Hs384 => encoded(48),
        Algorithm::Hs512 | Algorithm::Es256 | Algorithm::EdDsa => encoded(64),
        Algorithm::Es384 => encoded(96),
        // The longest common RSA keys have 4096 bits.
        _ => encoded(512),
    };
    let token = header + 1 + encoded(payload) + 1 + others;
    policy.cookie.name().as_str().len() + 1 + token
}

/// Erased from memory after signing, because it contains the key.
fn payload(stamp: &Stamp, key: &SessionKey, policy: &Policy) -> Zeroizing<String> {
    let [issued, expires, (name, mut managed)] = stamp.claims();
    // Reserve enough space: growing would leave a copy of the key in memory.
    let mut text = Zeroizing::new(String::with_capacity(512));
    for (name, value) in claims::names(policy).chain([issued, expires]) {
        let before = if text.is_empty() { '{' } else { ',' };
        text.push(before);
        text.push_str(name);
        text.push(':');
        text.push_str(&value);
    }
    // The key is the last member of `cr`.
    managed.pop();
    text.reserve_exact(name.len() + managed.len() + SessionKey::TEXT_LENGTH + 16);
    text.push(',');
    text.push_str(name);
    text.push(':');
    text.push_str(&managed);
    text.push_str(r#","key":""#);
    key.write_to(&mut text);
    text.push_str(r#""}}"#);
    text
}

/// The key in a ticket's payload; None if there is none.
pub(super) fn session_key(payload: &Dict) -> Option<SessionKey> {
    let object = payload.get(&["cr"]).filter(|object| object.starts_with('{'))?;
    let (_, key) = members(object).filter(|(key, _)| *unescape(key) == *b"key").last()?;
    SessionKey::parse(key.strip_prefix('"')?.strip_suffix('"')?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::super::cookie::{CookieAttributes, CookieName, CookieParts};
    use super::super::lifetime::{self, SessionId};
    use super::super::revocation::Revocations;
    use super::super::{Home, VerifiedToken, open_token, recheck_token, signed_by};
    use super::*;
    use crate::keys::{Algorithm, Key, KeyIndex};
    use crate::session::token::Rejection;
    use crate::time::Timestamp;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn policy() -> Policy {
        let parts = CookieParts::named(CookieName::parse("session").unwrap());
        let policy = Policy::of(CookieAttributes::new(parts).unwrap());
        Policy { ttl: Some(DAY), ..policy }
    }

    fn ring() -> KeyRing {
        KeyRing::new(Key::hmac(None, Algorithm::Hs256, SECRET), vec![])
    }

    fn key() -> SessionKey {
        SessionKey::from_bytes([2; 32])
    }

    fn stamp(policy: &Policy, own_max_age: Option<u64>) -> Stamp {
        Stamp::new(policy, None, own_max_age, NOW, || SessionId::from_bytes([1; 16])).unwrap()
    }

    fn ticket(policy: &Policy) -> String {
        issue(&stamp(policy, None), &key(), &ring(), policy, None).unwrap()
    }

    fn part(token: &str, index: usize) -> String {
        let part = token.split('.').nth(index).unwrap();
        String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    fn forge(header: &str, payload: &str) -> String {
        let parts = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
        let message = parts.join(".");
        let signature = ring().signing().sign(message.as_bytes()).unwrap();
        format!("{message}.{signature}")
    }

    fn open(
        token: &[u8],
        keys: &KeyRing,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<VerifiedToken, Rejection> {
        let opened = open_token(token, keys, policy, now)?;
        if opened.is_ticket() { Ok(opened) } else { Err(Rejection::Malformed) }
    }

    fn parts(opened: &VerifiedToken) -> (lifetime::Managed, SessionKey) {
        let Home::Store { key, .. } = &opened.home else { panic!("no ticket") };
        (opened.managed().unwrap().clone(), key.clone())
    }

    #[test]
    fn a_ticket_has_one_form_and_one_length() {
        let token = ticket(&policy());
        assert_eq!(part(&token, 0), r#"{"typ":"JWT","alg":"HS256","crit":["cr"],"cr":1}"#);
        let (id, key) = ("AQEBAQEBAQEBAQEBAQEBAQ", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI");
        let expected = format!(
            r#"{{"iat":1800000000,"exp":1800086400,"cr":{{"id":"{id}","start":1800000000,"ms":1800000000000,"key":"{key}"}}}}"#
        );
        assert_eq!(part(&token, 1), expected);
        assert_eq!(token.len(), 325);
    }

    #[test]
    fn no_ticket_is_longer_than_the_longest() {
        for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512, Algorithm::A256Gcm]
        {
            for id in [None, Some("a \"quoted\" id")] {
                let names =
                    Policy { issuer: Some("me".into()), audience: Some("you".into()), ..policy() };
                for policy in [policy(), names] {
                    let own = id.map(str::to_owned);
                    let key = match algorithm {
                        Algorithm::A256Gcm => Key::sealing(own, &[7; 32]).unwrap(),
                        _ => Key::hmac(own, algorithm, &[7; 64]),
                    };
                    let stamp = stamp(&policy, Some(LONGEST.as_secs()));
                    let ring = KeyRing::new(key, vec![]);
                    let token = issue(&stamp, &self::key(), &ring, &policy, Some([3; 12])).unwrap();
                    let cookie = policy.cookie.bytes_with(token.as_bytes());
                    assert_eq!(cookie, longest(&policy, algorithm, id));
                }
            }
        }
    }

    #[test]
    fn a_ticket_opens_with_all_that_it_was_issued_with() {
        let policy =
            Policy { issuer: Some("me".into()), audience: Some("you \"two\"".into()), ..policy() };
        let stamp = stamp(&policy, Some(3600));
        let keys = KeyRing::new(
            Key::hmac(Some("new".into()), Algorithm::Hs512, &[7; 64]),
            vec![Key::hmac(None, Algorithm::Hs256, SECRET)],
        );
        let token = issue(&stamp, &key(), &keys, &policy, None).unwrap();
        let opened = open(token.as_bytes(), &keys, &policy, NOW).unwrap();
        assert_eq!(parts(&opened), (stamp.managed, key()));
        assert_eq!(opened.expires, Some(1_800_003_600.0));
        assert_eq!(opened.key(), KeyIndex(0));
        // `iss` is checked as in other tokens.
        let other = Policy { issuer: Some("other".into()), ..policy };
        assert_eq!(open(token.as_bytes(), &keys, &other, NOW).err(), Some(Rejection::WrongClaim));
    }

    #[test]
    fn a_ticket_ends_as_a_session_does() {
        let policy = policy();
        let token = ticket(&policy);
        let at = |policy: &Policy, now| open(token.as_bytes(), &ring(), policy, now).err();
        assert_eq!(at(&policy, NOW), None);
        assert_eq!(at(&policy, NOW.plus(DAY)), Some(Rejection::Expired));
        let absolute = Policy { absolute_ttl: Some(DAY / 2), ..policy.clone() };
        assert_eq!(at(&absolute, NOW.plus(DAY / 2)), Some(Rejection::Expired));
        let not_before = Some(NOW.plus(Duration::from_millis(1)));
        let revoked = Policy { revocations: Revocations::since(not_before), ..policy.clone() };
        assert_eq!(at(&revoked, NOW), Some(Rejection::Revoked));
        let short = Policy { max_cookie_bytes: 300, ..policy };
        assert_eq!(at(&short, NOW), Some(Rejection::TooLarge));
    }

    /// The session of an open answer may have been extended, but all else ends it.
    #[test]
    fn an_expired_ticket_does_not_end_an_open_answer() {
        let policy = policy();
        let token = ticket(&policy);
        let at = |policy: &Policy, token: &str, now| {
            recheck_token(token.as_bytes(), &ring(), policy, now)
        };
        let later = NOW.plus(DAY * 2);
        assert_eq!(at(&policy, &token, later), Ok(()));
        let absolute = Policy { absolute_ttl: Some(DAY), ..policy.clone() };
        assert_eq!(at(&absolute, &token, later), Err(Rejection::Expired));
        let revoked = Policy { revocations: Revocations::since(Some(later)), ..policy.clone() };
        assert_eq!(at(&revoked, &token, later), Err(Rejection::Revoked));
        let other = Policy { issuer: Some("other".into()), ..policy.clone() };
        assert_eq!(at(&other, &token, later), Err(Rejection::WrongClaim));
        // Nobody extends a session in a cookie.
        let in_cookie = part(&token, 1);
        let in_cookie = jose::write(Kind::Session, &in_cookie, ring().signing(), || None).unwrap();
        assert_eq!(at(&policy, &in_cookie, NOW), Ok(()));
        assert_eq!(at(&policy, &in_cookie, later), Err(Rejection::Expired));
    }

    #[test]
    fn a_ticket_is_told_from_a_session() {
        let policy = policy();
        let ticket = ticket(&policy);
        assert!(open_token(ticket.as_bytes(), &ring(), &policy, NOW).unwrap().is_ticket());
        assert_eq!(signed_by(ticket.as_bytes(), &ring()), Ok(KeyIndex(0)));
        let payload = part(&ticket, 1);
        let session = jose::write(Kind::Session, &payload, ring().signing(), || None).unwrap();
        assert!(!open_token(session.as_bytes(), &ring(), &policy, NOW).unwrap().is_ticket());
    }

    #[test]
    fn a_sealed_ticket_is_a_ticket_and_shows_no_key() {
        let policy = policy();
        let keys = KeyRing::new(Key::sealing(None, &[9; 32]).unwrap(), vec![]);
        let stamp = stamp(&policy, None);
        let ticket = issue(&stamp, &key(), &keys, &policy, Some([3; 12])).unwrap();
        let opened = open(ticket.as_bytes(), &keys, &policy, NOW).unwrap();
        assert!(opened.is_ticket());
        assert_eq!(parts(&opened), (stamp.managed.clone(), key()));
        assert_eq!(
            part(&ticket, 0),
            r#"{"typ":"JWT","alg":"dir","enc":"A256GCM","crit":["cr"],"cr":1}"#
        );
        let without = issue(&stamp, &key(), &keys, &policy, None);
        assert_eq!(without, Err(Unwritten::NoRandomness));
    }

    #[test]
    fn no_other_extension_is_understood() {
        let policy = policy();
        let payload = part(&ticket(&policy), 1);
        let opens = |header: &str| {
            let token = forge(header, &payload);
            open_token(token.as_bytes(), &ring(), &policy, NOW).map(|opened| opened.is_ticket())
        };
        // In another order, and with white space.
        assert_eq!(opens(r#"{"cr":1, "crit":[ "cr" ],"alg":"HS256"}"#), Ok(true));
        for header in [
            r#"{"alg":"HS256","crit":["cr"]}"#,
            r#"{"alg":"HS256","crit":["cr"],"cr":2}"#,
            r#"{"alg":"HS256","crit":["cr"],"cr":"1"}"#,
            r#"{"alg":"HS256","crit":["cr"],"cr":1.0}"#,
            r#"{"alg":"HS256","crit":["cr"],"cr":null}"#,
            r#"{"alg":"HS256","crit":["cr","exp"],"cr":1,"exp":1}"#,
            r#"{"alg":"HS256","crit":["cr","cr"],"cr":1}"#,
            r#"{"alg":"HS256","crit":[],"cr":1}"#,
            r#"{"alg":"HS256","crit":"cr","cr":1}"#,
            r#"{"alg":"HS256","crit":null,"cr":1}"#,
            r#"{"alg":"HS256","crit":["CR"],"cr":1}"#,
            r#"{"alg":"HS256","crit":["cr"],"cr":1,"b64":false}"#,
            r#"{"alg":"HS256","crit":["b64"],"b64":false,"cr":1}"#,
            r#"{"alg":"HS256","\u0063rit":["b64"],"cr":1}"#,
            r#"{"alg":"none","crit":["cr"],"cr":1}"#,
        ] {
            assert_eq!(opens(header), Err(Rejection::Malformed), "{header}");
        }
    }

    #[test]
    fn a_payload_without_what_a_ticket_needs_is_malformed() {
        let header = r#"{"alg":"HS256","crit":["cr"],"cr":1}"#;
        let good = part(&ticket(&policy()), 1);
        let opens = |payload: &str| {
            open(forge(header, payload).as_bytes(), &ring(), &policy(), NOW).map(|_| ())
        };
        assert_eq!(opens(&good), Ok(()));
        // Members added by a later version are ignored.
        assert_eq!(opens(&good.replace(r#","key""#, r#","new":{"key":1},"key""#)), Ok(()));
        for (from, to) in [
            (r#","key":"Ag"#, r#","yek":"Ag"#),
            (r#""key":"Ag"#, r#""key":"="#),
            (r#""key":"Ag"#, r#""key":"AAg"#),
            (r#""id":"AQ"#, r#""id":"A"#),
            (r#""iat":1800000000,"#, ""),
            (r#""exp":1800086400,"#, ""),
            (r#""cr":{"#, r#""rc":{"#),
            (r#""cr":{"#, r#""cr":[],"rc":{"#),
        ] {
            let edited = good.replacen(from, to, 1);
            assert_ne!(edited, good);
            assert_eq!(opens(&edited), Err(Rejection::Malformed), "{edited}");
        }
    }

    #[test]
    fn a_ticket_shows_nothing_of_its_key() {
        let opened = open(ticket(&policy()).as_bytes(), &ring(), &policy(), NOW).unwrap();
        assert!(!format!("{:?}", opened.home).contains("AgIC"));
    }

    proptest! {
        #[test]
        fn no_ticket_opens_that_was_edited(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let token = ticket(&policy()).into_bytes();
            let mut edited = token.clone();
            edited[at.index(token.len())] = byte;
            prop_assume!(edited != token);
            prop_assert!(open(&edited, &ring(), &policy(), NOW).is_err());
            let cut = &token[..cut.index(token.len())];
            prop_assert!(open(cut, &ring(), &policy(), NOW).is_err());
        }

        #[test]
        fn every_ticket_that_is_issued_opens(id: [u8; 16], key: [u8; 32], own in prop::option::of(0..99_999_999u64)) {
            let policy = policy();
            let stamp = Stamp::new(&policy, None, own, NOW, || SessionId::from_bytes(id)).unwrap();
            let key = SessionKey::from_bytes(key);
            let token = issue(&stamp, &key, &ring(), &policy, None).unwrap();
            let opened = open(token.as_bytes(), &ring(), &policy, NOW).unwrap();
            prop_assert_eq!(parts(&opened), (stamp.managed, key));
        }
    }
}
