//! The session cookie on the wire: found in `Cookie` and cut out of it, written to and expired by
//! `Set-Cookie` (RFC 6265bis).
//!
//! Works on bytes: a byte above 0x7F in somebody else's cookie must not hide ours.

use std::fmt;

/// A cookie name that may stand in a `Set-Cookie`: a token of RFC 9110 section 5.6.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieName(String);

impl CookieName {
    /// Checks that `name` is a token.
    ///
    /// # Errors
    /// Says what is wrong with the name.
    pub fn parse(name: &str) -> Result<Self, String> {
        if name.is_empty() {
            return Err("a cookie name, not an empty string".into());
        }
        match name.bytes().find(|&byte| !is_token_byte(byte)) {
            Some(byte) => Err(format!(
                "a token (letters, digits and !#$%&'*+-.^_`|~), but it contains {:?}",
                char::from(byte)
            )),
            None => Ok(Self(name.to_owned())),
        }
    }

    /// The name as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 9110 section 5.6.2, `tchar`.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The `SameSite` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SameSite {
    /// Sent with requests of the same site only.
    Strict,
    /// Sent also when a link or an address leads here from elsewhere.
    #[default]
    Lax,
    /// Sent always; browsers then insist on `Secure`.
    None,
    /// The attribute is left out and the browser's default applies.
    Unset,
}

/// `cookie.secure`: whether the cookie is for encrypted connections only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Secure {
    /// It is not.
    #[default]
    Never,
    /// It is.
    Always,
    /// It is where the client's own connection was encrypted.
    Auto,
}

/// How a client reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Transport {
    /// In the clear.
    #[default]
    Clear,
    /// Over TLS, here or at a proxy in front that is trusted.
    Tls,
}

/// Name and attributes of the session cookie: those it is set with are those it is deleted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieAttributes {
    name: CookieName,
    /// Everything behind the value but `Max-Age` and `Expires`, as it is written.
    suffix: String,
    /// The same for clients that came over TLS.
    suffix_over_tls: String,
}

/// The `[cookie]` table before its keys have been checked against each other.
#[derive(Clone, Debug)]
pub struct CookieParts {
    /// `cookie.name`
    pub name: CookieName,
    /// `cookie.path`
    pub path: String,
    /// `cookie.domain`
    pub domain: Option<String>,
    /// `cookie.secure`
    pub secure: Secure,
    /// `cookie.http_only`
    pub http_only: bool,
    /// `cookie.same_site`
    pub same_site: SameSite,
    /// `cookie.partitioned`
    pub partitioned: bool,
}

impl CookieParts {
    /// A cookie of that name with the default attributes.
    #[must_use]
    pub fn named(name: CookieName) -> Self {
        Self {
            name,
            path: "/".into(),
            domain: None,
            secure: Secure::Never,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
        }
    }
}

/// A combination of `[cookie]` keys that browsers would refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieFault {
    /// The key in `[cookie]` to change.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl CookieAttributes {
    /// Checks the parts against each other (RFC 6265bis sections 4.1.2 and 4.1.3).
    ///
    /// # Errors
    /// Every combination that a browser would refuse, not the first one only.
    pub fn new(parts: CookieParts) -> Result<Self, Vec<CookieFault>> {
        let faults = faults(&parts);
        if !faults.is_empty() {
            return Err(faults);
        }
        let suffix = suffix(&parts, parts.secure == Secure::Always);
        let suffix_over_tls = self::suffix(&parts, parts.secure != Secure::Never);
        Ok(Self { name: parts.name, suffix, suffix_over_tls })
    }

    fn suffix(&self, transport: Transport) -> &str {
        match transport {
            Transport::Clear => &self.suffix,
            Transport::Tls => &self.suffix_over_tls,
        }
    }

    /// The cookie's name.
    #[must_use]
    pub fn name(&self) -> &CookieName {
        &self.name
    }

    /// The length of name, `=` and value: what browsers limit to 4096 bytes.
    #[must_use]
    pub fn bytes_with(&self, token: &[u8]) -> usize {
        self.name.0.len() + 1 + token.len()
    }

    /// The `Set-Cookie` value that hands `token` to the client for `max_age` seconds, or until
    /// the browser ends.
    #[must_use]
    pub fn issue(&self, token: &str, max_age: Option<u64>, transport: Transport) -> String {
        let name = &self.name;
        let suffix = self.suffix(transport);
        match max_age {
            Some(seconds) => format!("{name}={token}{suffix}; Max-Age={seconds}"),
            None => format!("{name}={token}{suffix}"),
        }
    }

    /// The `Set-Cookie` value that makes the client forget the cookie.
    #[must_use]
    pub fn expire(&self, transport: Transport) -> String {
        self.expire_as(&self.name, transport)
    }

    /// The same for a cookie of another name.
    pub(super) fn expire_as(&self, name: &CookieName, transport: Transport) -> String {
        let suffix = self.suffix(transport);
        format!("{name}={suffix}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    }

    /// Whether a `Set-Cookie` value sets a cookie of this name.
    #[must_use]
    pub fn is_set_by(&self, set_cookie: &[u8]) -> bool {
        let pair = set_cookie.split(|&byte| byte == b';').next().unwrap_or_default();
        name_and_value(pair).is_some_and(|(name, _)| name == self.name.0.as_bytes())
    }
}

impl fmt::Display for CookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn suffix(parts: &CookieParts, secure: bool) -> String {
    let mut suffix = format!("; Path={}", parts.path);
    if let Some(domain) = &parts.domain {
        suffix.push_str("; Domain=");
        suffix.push_str(domain);
    }
    if secure {
        suffix.push_str("; Secure");
    }
    if parts.http_only {
        suffix.push_str("; HttpOnly");
    }
    suffix.push_str(match parts.same_site {
        SameSite::Strict => "; SameSite=Strict",
        SameSite::Lax => "; SameSite=Lax",
        SameSite::None => "; SameSite=None",
        SameSite::Unset => "",
    });
    if parts.partitioned {
        suffix.push_str("; Partitioned");
    }
    suffix
}

fn faults(parts: &CookieParts) -> Vec<CookieFault> {
    let mut faults = Vec::new();
    // "auto" is not enough: what a browser would refuse now and then is refused at the start.
    let secure = parts.secure == Secure::Always;
    let mut fault = |key, message: String| faults.push(CookieFault { key, message });
    // Browsers compare the prefixes without regard to case (RFC 6265bis section 5.7).
    let name = parts.name.as_str();
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("__host-") {
        if !secure {
            fault("secure", format!("a cookie named {name:?} needs cookie.secure = true"));
        }
        if parts.domain.is_some() {
            fault("domain", format!("a cookie named {name:?} must not have a domain"));
        }
        if parts.path != "/" {
            fault("path", format!("a cookie named {name:?} needs cookie.path = \"/\""));
        }
    } else if lower.starts_with("__secure-") && !secure {
        fault("secure", format!("a cookie named {name:?} needs cookie.secure = true"));
    }
    if parts.same_site == SameSite::None && !secure {
        fault("same_site", "cookie.same_site = \"none\" needs cookie.secure = true".into());
    }
    if parts.partitioned && !secure {
        fault("partitioned", "cookie.partitioned = true needs cookie.secure = true".into());
    }
    if !parts.path.starts_with('/') {
        fault("path", format!("a path that starts with \"/\", not {:?}", parts.path));
    }
    if let Some(reason) = unfit(&parts.path) {
        fault("path", format!("{:?} {reason}", parts.path));
    }
    match parts.domain.as_deref() {
        Some("") => fault("domain", "a host name, not an empty string; leave the key out".into()),
        Some(domain) => {
            if let Some(reason) = unfit(domain) {
                fault("domain", format!("{domain:?} {reason}"));
            }
        }
        None => {}
    }
    faults
}

/// Why a text cannot be the value of a cookie attribute.
fn unfit(value: &str) -> Option<&'static str> {
    if value.contains(';') {
        Some("contains a \";\", which would end the attribute")
    } else if value.chars().any(|c| c.is_control() || !c.is_ascii()) {
        Some("contains a control character or one outside ASCII")
    } else {
        None
    }
}

/// How many cookies of our name are looked at: a client may send as many as it likes, and each
/// costs a signature check.
pub const MAX_CANDIDATES: usize = 4;

/// What a request's `Cookie` fields hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<'a> {
    own: Candidates<'a>,
    old: Candidates<'a>,
    old_names: OldNames,
    rest: Rest,
}

/// Values under a name, in the order sent.
#[derive(Debug, Default, PartialEq, Eq)]
struct Candidates<'a> {
    values: [&'a [u8]; MAX_CANDIDATES],
    count: usize,
}

impl<'a> Candidates<'a> {
    fn push(&mut self, value: &'a [u8]) {
        if let Some(place) = self.values.get_mut(self.count) {
            *place = value;
            self.count += 1;
        }
    }

    fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        self.values.into_iter().take(self.count)
    }
}

/// How many names `cookie.accept_names` can have.
pub const MAX_OLD_NAMES: usize = 16;

/// A set of names of `cookie.accept_names`, by their place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OldNames(u16);

impl OldNames {
    fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    pub(super) fn contains(self, index: usize) -> bool {
        self.0 & 1 << index != 0
    }
}

/// The `Cookie` field for the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    /// As the client sent it: one field without our cookie, or none.
    Unchanged,
    /// This value instead of the fields sent.
    Replaced(Vec<u8>),
    /// No field: nothing is left.
    Empty,
}

impl<'a> Found<'a> {
    /// The values that may be tokens, [`MAX_CANDIDATES`] at most: those under our name first.
    pub fn candidates(&self) -> impl Iterator<Item = &'a [u8]> {
        self.own.iter().chain(self.old.iter()).take(MAX_CANDIDATES)
    }

    /// Which of the other names there were cookies of.
    #[must_use]
    pub fn old_names(&self) -> OldNames {
        self.old_names
    }

    /// What the backend gets to see.
    #[must_use]
    pub fn into_rest(self) -> Rest {
        self.rest
    }
}

/// The names that a session is read from.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// `cookie.name`
    pub own: &'a CookieName,
    /// `cookie.accept_names`, [`MAX_OLD_NAMES`] at most.
    pub old: &'a [CookieName],
}

/// Finds the session's cookies in the request's `Cookie` fields.
///
/// Names compare exactly, after trimming spaces and tabs around name and value (RFC 6265bis
/// section 5.7); quotes are part of the value. Unless `keep` is set, our cookies are cut out of
/// what remains; the others stay byte for byte. Several fields, as HTTP/2 sends them, become one
/// (RFC 9113 section 8.2.3).
pub fn find<'a, I>(fields: impl Fn() -> I, names: Names<'_>, keep: bool) -> Found<'a>
where
    I: Iterator<Item = &'a [u8]>,
{
    let mut found = Found {
        own: Candidates::default(),
        old: Candidates::default(),
        old_names: OldNames::default(),
        rest: Rest::Unchanged,
    };
    let mut any = false;
    let mut field_count = 0;
    for field in fields() {
        field_count += 1;
        for piece in pieces(field) {
            match whose(piece, names) {
                Some((Whose::Own, value)) => found.own.push(value),
                Some((Whose::Old(index), value)) => {
                    found.old.push(value);
                    found.old_names.insert(index);
                }
                None => continue,
            }
            any = true;
        }
    }
    if field_count > 1 || (any && !keep) {
        found.rest = rebuild(fields(), names, keep);
    }
    found
}

/// The fields as one, without our cookies unless they are to be kept.
fn rebuild<'a>(fields: impl Iterator<Item = &'a [u8]>, names: Names<'_>, keep: bool) -> Rest {
    let mut joined: Vec<u8> = Vec::new();
    for field in fields {
        let mut kept: Vec<u8> = Vec::with_capacity(field.len());
        let mut first = true;
        let mut cut_first = false;
        for (index, piece) in pieces(field).enumerate() {
            if !keep && whose(piece, names).is_some() {
                cut_first |= index == 0;
                continue;
            }
            if !first {
                kept.push(b';');
            }
            first = false;
            kept.extend_from_slice(piece);
        }
        // The white space that stood between our cookie and the one behind it goes with ours.
        let kept = if cut_first { trim_start(&kept) } else { &kept[..] };
        if kept.iter().all(|&byte| matches!(byte, b';' | b' ' | b'\t')) {
            continue;
        }
        if !joined.is_empty() {
            joined.extend_from_slice(b"; ");
        }
        joined.extend_from_slice(kept);
    }
    if joined.is_empty() { Rest::Empty } else { Rest::Replaced(joined) }
}

/// Under which of our names a cookie stands.
enum Whose {
    Own,
    Old(usize),
}

fn whose<'a>(piece: &'a [u8], names: Names<'_>) -> Option<(Whose, &'a [u8])> {
    let (name, value) = name_and_value(piece)?;
    if name == names.own.0.as_bytes() {
        return Some((Whose::Own, value));
    }
    let index = names.old.iter().position(|old| name == old.0.as_bytes())?;
    Some((Whose::Old(index), value))
}

fn pieces(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|&byte| byte == b';')
}

/// A `name=value` pair, trimmed. None where there is no `=`.
fn name_and_value(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = piece.iter().position(|&byte| byte == b'=')?;
    Some((trim(&piece[..equals]), trim(&piece[equals + 1..])))
}

fn trim(bytes: &[u8]) -> &[u8] {
    let mut bytes = trim_start(bytes);
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests;
