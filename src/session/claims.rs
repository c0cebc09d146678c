//! The registered claims of RFC 7519 section 4.1 that are checked, and those that the sidecar
//! writes itself and removes from the dict.

use std::fmt;

use super::Policy;
use super::dict::{Dict, elements, unescape};
use super::lifetime::Managed;
use super::token::Rejection;
use crate::time::Timestamp;

/// The contents of a payload.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Payload {
    /// The claim `cr`, if the sidecar manages the token's lifetime.
    pub(super) managed: Option<Managed>,
    /// The claim `iat`, if it is a valid time.
    pub(super) issued: Option<Timestamp>,
    /// The claim `exp`, in seconds since 1970.
    pub(super) expires: Option<f64>,
    /// The payload without the sidecar's own claims.
    pub(super) dict: Dict,
}

/// What ends a session in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// The `exp` of its token.
    OfToken,
    /// The expiry in the store, which the caller checks.
    OfSession,
}

/// The length of the longest key in [`Claims`], with its quotes.
const LONGEST: usize = "\"exp\"".len();

/// The claims that are checked.
#[derive(Default)]
struct Claims<'a> {
    exp: Option<&'a str>,
    nbf: Option<&'a str>,
    iss: Option<&'a str>,
    aud: Option<&'a str>,
    cr: Option<&'a str>,
    iat: Option<&'a str>,
    sub: Option<&'a str>,
    jti: Option<&'a str>,
}

impl<'a> Claims<'a> {
    fn of(payload: &'a Dict) -> Self {
        let mut claims = Self::default();
        for (key, value) in payload.members() {
            // Longer keys cannot match, unless they contain escapes: "\u0065xp" is exp too.
            if key.len() > LONGEST && !key.as_bytes().contains(&b'\\') {
                continue;
            }
            match unescape(key).as_ref() {
                b"exp" => claims.exp = Some(value),
                b"nbf" => claims.nbf = Some(value),
                b"iss" => claims.iss = Some(value),
                b"aud" => claims.aud = Some(value),
                b"iat" => claims.iat = Some(value),
                b"cr" => claims.cr = Some(value),
                b"sub" => claims.sub = Some(value),
                b"jti" => claims.jti = Some(value),
                _ => {}
            }
        }
        claims
    }

    /// The claim `cr`, if the sidecar manages the lifetime of this token. In other tokens the dict
    /// may have a key of that name.
    fn managed(&self) -> Option<Managed> {
        self.exp?;
        self.iat?;
        Managed::parse(self.cr?)
    }
}

/// Checks the claims of a verified payload and separates them from the dict.
pub(super) fn read(
    payload: Dict,
    policy: &Policy,
    now: Timestamp,
    expiry: Expiry,
) -> Result<Payload, Rejection> {
    let claims = Claims::of(&payload);
    match check_times(&claims, policy, now) {
        Err(Rejection::Expired) if expiry == Expiry::OfSession => {}
        times => times?,
    }
    check_names(&claims, policy)?;
    if policy.require_exp && claims.exp.is_none() {
        return Err(Rejection::WrongClaim);
    }
    let managed = claims.managed();
    if managed.as_ref().is_some_and(|managed| policy.is_over(managed, now)) {
        return Err(Rejection::Expired);
    }
    let issued = claims.iat.and_then(|iat| numeric_date(iat).ok()).and_then(moment);
    let expires = claims.exp.and_then(|exp| numeric_date(exp).ok());
    let own = Own { lifetime: policy.lifetime().is_some() || managed.is_some(), policy };
    let hides = own.are_any() && payload.members().any(|(key, _)| own.contains(key));
    let dict = if hides {
        Dict::from_members(payload.members().filter(|(key, _)| !own.contains(key)))
    } else {
        payload
    };
    Ok(Payload { managed, issued, expires, dict })
}

/// Checks that a saved dict would be accepted when it comes back. `exp`, `nbf` and `aud` in it are
/// the app's own and must verify; it must not contain the sidecar's keys.
pub(super) fn check_save(
    dict: &Dict,
    policy: &Policy,
    managed: bool,
    now: Timestamp,
) -> Result<(), Unsavable> {
    let own = Own { lifetime: managed, policy };
    if let Some((key, _)) = dict.members().find(|(key, _)| own.contains(key)) {
        let key = String::from_utf8_lossy(&unescape(key)).into_owned();
        return Err(Unsavable::OwnKey(key));
    }
    let claims = Claims::of(dict);
    if !managed && claims.managed().is_some() {
        return Err(Unsavable::OwnKeys);
    }
    let reason = match check_times(&claims, policy, now) {
        Err(Rejection::Expired) => "exp is in the past",
        Err(Rejection::NotYetValid) => "nbf is in the future",
        Err(_) => "exp or nbf is not a finite number",
        Ok(()) if claims.aud.is_some() => "it has an aud and session.audience is not set",
        Ok(()) if !managed && policy.require_exp && claims.exp.is_none() => {
            "session.require_exp is set and it has no exp"
        }
        Ok(()) if managed => return Ok(()),
        Ok(()) => return check_exchange(&claims, policy, now),
    };
    Err(Unsavable::WouldNotVerify(reason))
}

/// Why a dict cannot be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsavable {
    /// The dict has a key that the sidecar writes itself.
    OwnKey(String),
    /// The dict has the keys by which the sidecar recognizes its own tokens.
    OwnKeys,
    /// The sidecar would not verify the token, for this reason.
    WouldNotVerify(&'static str),
    /// PyJWT would not verify the token, for this reason.
    NotForPyJwt(&'static str),
}

impl fmt::Display for Unsavable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnKey(key) => write!(f, "the key {key:?} is the sidecar's own here"),
            Self::OwnKeys => {
                f.write_str("the keys \"iat\", \"exp\" and \"cr\" together are the sidecar's own")
            }
            Self::WouldNotVerify(reason) => {
                write!(f, "it would not verify when it comes back: {reason}")
            }
            Self::NotForPyJwt(reason) => {
                write!(f, "PyJWT and microdot would not accept the token: {reason}")
            }
        }
    }
}

/// What PyJWT, and therefore microdot, also refuses: the sidecar would accept the token and
/// microdot would not. Not checked if the sidecar manages the lifetime, since such tokens are not
/// exchanged.
fn check_exchange(claims: &Claims<'_>, policy: &Policy, now: Timestamp) -> Result<(), Unsavable> {
    let is_string = |claim: Option<&str>| claim.is_none_or(|json| json.starts_with('"'));
    // PyJWT compares whole seconds.
    let exp = claims.exp.and_then(|exp| numeric_date(exp).ok()).map(f64::trunc);
    let reason = match claims.iat.map(numeric_date).transpose() {
        Err(_) => "iat is not a finite number",
        Ok(Some(iat)) if is_to_come(iat.trunc(), policy, now) => "iat is in the future",
        Ok(_) if exp.is_some_and(|exp| is_past(exp, policy, now)) => "exp is in the past",
        Ok(_) if !is_string(claims.sub) => "sub is not a string",
        Ok(_) if !is_string(claims.jti) => "jti is not a string",
        Ok(_) => return Ok(()),
    };
    Err(Unsavable::NotForPyJwt(reason))
}

/// The keys that are removed from the dict.
struct Own<'a> {
    /// Whether the sidecar manages the lifetime.
    lifetime: bool,
    policy: &'a Policy,
}

impl Own<'_> {
    fn are_any(&self) -> bool {
        self.lifetime || self.policy.issuer.is_some() || self.policy.audience.is_some()
    }

    fn contains(&self, key: &str) -> bool {
        match unescape(key).as_ref() {
            b"iat" | b"exp" | b"cr" => self.lifetime,
            b"iss" => self.policy.issuer.is_some(),
            b"aud" => self.policy.audience.is_some(),
            _ => false,
        }
    }
}

/// Checks `exp` and `nbf` (sections 4.1.4 and 4.1.5): each must be a NumericDate if present.
fn check_times(claims: &Claims<'_>, policy: &Policy, now: Timestamp) -> Result<(), Rejection> {
    let exp = claims.exp.map(numeric_date).transpose()?;
    let nbf = claims.nbf.map(numeric_date).transpose()?;
    if exp.is_some_and(|exp| is_past(exp, policy, now)) {
        return Err(Rejection::Expired);
    }
    if nbf.is_some_and(|nbf| is_to_come(nbf, policy, now)) {
        return Err(Rejection::NotYetValid);
    }
    Ok(())
}

/// Whether a token with this `exp` has expired.
pub(super) fn is_past(exp: f64, policy: &Policy, now: Timestamp) -> bool {
    exp <= now.as_secs_f64() - policy.leeway.as_secs_f64()
}

fn is_to_come(seconds: f64, policy: &Policy, now: Timestamp) -> bool {
    seconds > now.as_secs_f64() + policy.leeway.as_secs_f64()
}

/// The f64 is only for comparison; the text is forwarded unchanged.
fn numeric_date(json: &str) -> Result<f64, Rejection> {
    let is_number = json.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let value = if is_number { json.parse::<f64>().ok() } else { None };
    value.filter(|value| value.is_finite()).ok_or(Rejection::WrongClaim)
}

/// None before 1970 and after the year 10889.
fn moment(seconds: f64) -> Option<Timestamp> {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the range that is checked"
    )]
    (0.0..2f64.powi(48))
        .contains(&seconds)
        .then(|| Timestamp::from_millis((seconds * 1000.0) as u64))
}

/// Checks `iss` and `aud` (sections 4.1.1 and 4.1.3): a token for another recipient is refused.
fn check_names(claims: &Claims<'_>, policy: &Policy) -> Result<(), Rejection> {
    let issuer_fits = match &policy.issuer {
        Some(issuer) => claims.iss.is_some_and(|iss| is_string(iss, issuer)),
        None => true,
    };
    let audience_fits = match (&policy.audience, claims.aud) {
        (Some(audience), Some(aud)) => {
            is_string(aud, audience) || elements(aud).any(|one| is_string(one, audience))
        }
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => true,
    };
    if issuer_fits && audience_fits { Ok(()) } else { Err(Rejection::WrongClaim) }
}

fn is_string(json: &str, wanted: &str) -> bool {
    json.starts_with('"') && *unescape(json) == *wanted.as_bytes()
}

/// The members to add to a payload for `session.issuer` and `session.audience`.
pub(super) fn names(policy: &Policy) -> impl Iterator<Item = (&'static str, String)> {
    let string = |text: &String| serde_json::to_string(text).unwrap_or_default();
    let issuer = policy.issuer.as_ref().map(|issuer| (r#""iss""#, string(issuer)));
    let audience = policy.audience.as_ref().map(|audience| (r#""aud""#, string(audience)));
    issuer.into_iter().chain(audience)
}
