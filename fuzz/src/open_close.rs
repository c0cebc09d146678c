//! A browser with a session, and an app behind the sidecar that changes it.

mod model;

use std::sync::LazyLock;

use arbitrary::{Arbitrary as _, Unstructured};
use cloakroom::keys::KeyRing;
use cloakroom::session::cookie::{Rest, find};
use cloakroom::session::directive::{Control, Directive, read};
use cloakroom::session::header::{Encoding, encode};
use cloakroom::session::lifetime::LONGEST;
use cloakroom::session::token::Rejection;
use cloakroom::session::{self, CookieAction, Issuer, Opened, Outcome, Policy};
use cloakroom::time::Timestamp;

use crate::keys::{Number, RING, ROTATED, SEALED};
use crate::policy::{ABSOLUTE_TTL, NOW, TTL, policy};
use model::{Object, spaced};

/// Whatever an app saves, merges and deletes, the next request has exactly this, as long as it is
/// valid and no longer; a cookie with one changed byte never verifies.
pub fn open_close(data: &[u8]) {
    let mut data = Unstructured::new(data);
    // The visit ends when the data does.
    let _ = visit(&mut data);
}

/// The browser's cookie.
#[derive(Clone)]
struct Jar {
    token: String,
    dict: Object,
    /// In whole seconds; None: never.
    expires: Option<u64>,
    /// If the session's lifetime is managed: its first save and its own lifetime.
    managed: Option<(Timestamp, Option<u64>)>,
}

impl Jar {
    /// The expected `Max-Age`: none if it ends with the browser.
    fn max_age(&self, now: Timestamp) -> Option<u64> {
        let until_the_browser_ends = matches!(self.managed, Some((_, Some(0))));
        let expires = self.expires.filter(|_| !until_the_browser_ends);
        expires.map(|expires| expires - now.as_secs())
    }
}

fn visit(data: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let policy = policy(u8::arbitrary(data)? & 0b1001_1111);
    let base64url = bool::arbitrary(data)?;
    let encoding = if base64url { Encoding::Base64Url } else { Encoding::Json };
    let rings: [&LazyLock<KeyRing>; 3] = [&RING, &ROTATED, &SEALED];
    let mut ring = 0;
    let mut now = NOW;
    let mut jar: Option<Jar> = None;
    for step in 0..u8::arbitrary(data)? % 10 {
        if u8::arbitrary(data)? % 8 == 0 {
            ring = (ring + 1) % rings.len();
        }
        now = Timestamp::from_millis(now.as_millis() + u64::from(u16::arbitrary(data)?) * 8);
        let keys = rings[ring];

        let opened = request(jar.as_ref(), keys, &policy, now);
        let alive = jar.filter(|_| opened.token().is_some());
        jar = alive.clone();
        if let Some(jar) = &alive {
            tampered(&jar.token, keys, &policy, now, data)?;
            echoed(&opened, &jar.dict, encoding);
        }

        let is_due = opened.is_due(&policy, now);
        let (dict, max_age, action) = match u8::arbitrary(data)? % 8 {
            0 => (
                None,
                None,
                session::close(
                    &opened,
                    Directive::Keep,
                    Issuer::new(keys, &policy, now),
                    Number(step),
                ),
            ),
            1 => {
                let mut control = Control::default();
                control.delete.add(b"1");
                control.save.add(b"{\"not\":\"saved\"}");
                let directive = read(&control, encoding);
                let action = session::close(
                    &opened,
                    directive,
                    Issuer::new(keys, &policy, now),
                    Number(step),
                );
                assert!(matches!(action, Ok(CookieAction::Expire { .. })), "{action:?}");
                jar = None;
                continue;
            }
            2 if is_due => {
                let dict = alive.as_ref().map(|jar| jar.dict.clone());
                (
                    dict,
                    None,
                    session::refresh(&opened, Issuer::new(keys, &policy, now), Number(step)),
                )
            }
            what => {
                let before = alive.as_ref().map(|jar| jar.dict.clone()).unwrap_or_default();
                let saved = if what & 1 == 0 { Some(Object::arbitrary(data)?) } else { None };
                let patch = match saved {
                    Some(_) if what & 2 == 0 => None,
                    _ => Some(Object::arbitrary(data)?),
                };
                let max_age: Option<u32> = Option::arbitrary(data)?;
                let written = [&saved, &patch]
                    .map(|object| object.as_ref().map(|object| header(object, encoding, data)));
                let mut control = Control::default();
                let [save, merge] = &written;
                save.iter().for_each(|value| control.save.add(value));
                merge.iter().for_each(|value| control.merge.add(value));
                let digits = max_age.map(|seconds| seconds.to_string());
                digits.iter().for_each(|digits| control.max_age.add(digits.as_bytes()));
                let directive = read(&control, encoding);
                assert!(matches!(directive, Directive::Save(_)), "{directive:?}");
                let action = session::close(
                    &opened,
                    directive,
                    Issuer::new(keys, &policy, now),
                    Number(step),
                );
                let mut dict = saved.unwrap_or(before);
                patch.iter().for_each(|patch| dict.merge(patch));
                (Some(dict), max_age.map(u64::from), action)
            }
        };
        match action {
            Ok(CookieAction::Keep) => {}
            Ok(CookieAction::Issue(issued)) => {
                let dict = dict.expect("only what was saved is issued");
                let cookie = issued.set_cookie.split(';').next().unwrap_or_default();
                assert_eq!(cookie.len(), issued.cookie_bytes);
                let token = cookie.strip_prefix("session=").expect("the session's cookie");
                // An empty dict ends a login with its own lifetime.
                let is_end = issued.kind != session::IssueKind::Refreshed && dict.is_empty();
                let managed = alive.as_ref().and_then(|jar| jar.managed).filter(|_| !is_end);
                let kept = kept(token, dict, managed, max_age, &policy, now);
                let max_age = issued.set_cookie.split("; Max-Age=").nth(1);
                let max_age = max_age.and_then(|rest| rest.split("; ").next()).map(str::to_owned);
                assert_eq!(max_age, kept.max_age(now).map(|seconds| seconds.to_string()));
                jar = Some(kept);
            }
            Ok(CookieAction::Expire { .. }) => panic!("nobody has deleted it"),
            Err(broken) => {
                let dict = dict.expect("only a save can be broken");
                let too_long = broken.bytes > policy.max_cookie_bytes.min(policy.max_bytes);
                assert!(too_long || dict.has_a_claim(), "{}", broken.reason);
            }
        }
        // The answer's cookie is sent at once.
        request(jar.as_ref(), keys, &policy, now);
    }
    Ok(())
}

/// The cookie set by an answer, and its expected lifetime.
fn kept(
    token: &str,
    dict: Object,
    previous: Option<(Timestamp, Option<u64>)>,
    max_age: Option<u64>,
    policy: &Policy,
    now: Timestamp,
) -> Jar {
    let own = max_age.or(previous.and_then(|(_, own)| own));
    let ttl = policy.ttl.map(|_| TTL).or(policy.absolute_ttl.map(|_| ABSOLUTE_TTL));
    let lifetime = match own {
        Some(0) => Some(ttl.unwrap_or(LONGEST).as_secs()),
        Some(seconds) => Some(seconds.min(LONGEST.as_secs())),
        None => ttl.map(|ttl| ttl.as_secs()),
    };
    let own = own.map(|own| own.min(LONGEST.as_secs()));
    let Some(lifetime) = lifetime else {
        return Jar { token: token.into(), dict, expires: None, managed: None };
    };
    // The token keeps whole seconds.
    let start = previous.map_or(now, |(start, _)| start);
    let start = Timestamp::from_secs(start.as_secs());
    let end = start.as_secs() + ABSOLUTE_TTL.as_secs();
    let expires = now.as_secs() + lifetime;
    let expires = if policy.absolute_ttl.is_some() { expires.min(end) } else { expires };
    Jar { token: token.into(), dict, expires: Some(expires), managed: Some((start, own)) }
}

/// The browser's next request: it must open what was stored, unless that has expired.
fn request(jar: Option<&Jar>, keys: &KeyRing, policy: &Policy, now: Timestamp) -> Opened {
    let field = match jar {
        Some(Jar { token, .. }) => format!("a=1; session={token};b=\"2\""),
        None => "a=1;b=\"2\"".into(),
    };
    let found = find(|| std::iter::once(field.as_bytes()), policy.names(), false);
    let opened = session::open(&found, keys, policy, now);
    let rest = found.into_rest();
    let Some(jar) = jar else {
        assert_eq!((opened.outcome(), rest), (Outcome::Absent, Rest::Unchanged));
        return opened;
    };
    assert_eq!(rest, Rest::Replaced(b"a=1;b=\"2\"".to_vec()));
    let leeway = policy.leeway.as_secs();
    let over = jar.expires.is_some_and(|expires| now.as_millis() >= (expires + leeway) * 1000);
    // No leeway for the end of a session.
    let end = jar.managed.map(|(start, _)| start.plus(ABSOLUTE_TTL));
    let ended = policy.absolute_ttl.is_some() && end.is_some_and(|end| end <= now);
    // If no lifetime is managed, an `exp` in the dict is the app's own.
    let by_itself = jar.managed.is_none() && jar.dict.has_a_claim();
    let expired = opened.outcome() == Outcome::Rejected(Rejection::Expired);
    if over || ended || (by_itself && expired) {
        assert!(expired, "{:?} past its end", opened.outcome());
    } else {
        assert_eq!(opened.outcome(), Outcome::Valid);
        let dict = opened.token().map(|token| token.dict().as_str());
        assert_eq!(dict, Some(&*jar.dict.to_string()), "what was saved");
    }
    opened
}

/// If the app sends back what it got, the dict stays the same.
fn echoed(opened: &Opened, dict: &Object, encoding: Encoding) {
    let Some(token) = opened.token() else { return };
    let value = encode(token.dict(), encoding);
    assert!(value.bytes().all(|byte| (0x20..0x7F).contains(&byte)), "{value}");
    let mut control = Control::default();
    control.save.add(value.as_bytes());
    let Directive::Save(save) = read(&control, encoding) else { panic!("{value}") };
    let again = save.dict.expect("a dict was saved");
    assert_eq!(again.to_ascii(), token.dict().to_ascii());
    if encoding == Encoding::Base64Url {
        assert_eq!(again.as_str(), dict.to_string());
    }
}

/// Changes one byte of it.
fn tampered(
    token: &str,
    keys: &KeyRing,
    policy: &Policy,
    now: Timestamp,
    data: &mut Unstructured<'_>,
) -> arbitrary::Result<()> {
    let mut bytes = token.as_bytes().to_vec();
    let at = usize::from(u16::arbitrary(data)?) % bytes.len();
    bytes[at] = bytes[at].wrapping_add(u8::arbitrary(data)?.max(1));
    assert!(session::open_token(&bytes, keys, policy, now).is_err(), "byte {at}");
    Ok(())
}

/// The object as an app may write it.
fn header(object: &Object, encoding: Encoding, data: &mut Unstructured<'_>) -> Vec<u8> {
    let text = object.to_string();
    match encoding {
        Encoding::Json => spaced(&text, data).into_bytes(),
        Encoding::Base64Url => {
            use base64::Engine as _;
            use base64::engine::general_purpose::URL_SAFE_NO_PAD;
            URL_SAFE_NO_PAD.encode(spaced(&text, data)).into_bytes()
        }
    }
}
