//! The session cookie in HTTP: finds it in `Cookie` and cuts it out, sets and expires it with
//! `Set-Cookie` (RFC 6265bis).
//!
//! Works on bytes, so that a byte above 0x7F in another cookie cannot hide the session cookie.

mod attributes;
mod name;

pub use attributes::{CookieAttributes, CookieFault, CookieParts, SameSite, Secure, Transport};
pub(crate) use name::is_token_byte;
pub(super) use name::is_token_char;
pub use name::{CookieName, CookieNameError};

/// How many cookies of our name are tried: a client can send any number, and each costs a signature
/// check.
pub const MAX_CANDIDATES: usize = 4;

/// What a request's `Cookie` fields contain.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<'a> {
    own: Candidates<'a>,
    old: Candidates<'a>,
    old_names: OldNames,
    rest: Rest,
}

/// The values under a name, in the order sent.
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

/// The maximum number of names in `cookie.accept_names`.
pub const MAX_OLD_NAMES: usize = 16;

/// A set of names of `cookie.accept_names`, by their index.
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
    /// Unchanged: the client sent one field without the session cookie, or none.
    Unchanged,
    /// This value replaces the fields that the client sent.
    Replaced(Vec<u8>),
    /// No field: no cookie is left.
    Empty,
}

impl<'a> Found<'a> {
    /// The values to try as tokens, at most [`MAX_CANDIDATES`]: those under the current name first.
    pub fn candidates(&self) -> impl Iterator<Item = &'a [u8]> {
        self.own.iter().chain(self.old.iter()).take(MAX_CANDIDATES)
    }

    /// The old names under which there were cookies.
    #[must_use]
    pub fn old_names(&self) -> OldNames {
        self.old_names
    }

    /// The `Cookie` field for the backend.
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
/// Names must match exactly, after trimming spaces and tabs around name and value (RFC 6265bis
/// section 5.7); quotes are part of the value. Unless `keep` is set, our cookies are cut out; the
/// others stay byte for byte. Several fields, as HTTP/2 sends them, become one (RFC 9113 section
/// 8.2.3). A field without any cookie is dropped.
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
    let mut blank = false;
    let mut field_count = 0;
    for field in fields() {
        field_count += 1;
        blank |= is_blank(field);
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
    if field_count > 1 || blank || (any && !keep) {
        found.rest = rebuild(fields(), names, keep);
    }
    found
}

/// Joins the fields and cuts out our cookies, unless `keep` is set.
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
        // Also cut the white space between our cookie and the next one.
        let kept = if cut_first { trim_start(&kept) } else { &kept[..] };
        if is_blank(kept) {
            continue;
        }
        if !joined.is_empty() {
            joined.extend_from_slice(b"; ");
        }
        joined.extend_from_slice(kept);
    }
    if joined.is_empty() { Rest::Empty } else { Rest::Replaced(joined) }
}

/// Whether a field contains no cookie.
fn is_blank(field: &[u8]) -> bool {
    field.iter().all(|&byte| matches!(byte, b';' | b' ' | b'\t'))
}

/// Which of our names a cookie has.
enum Whose {
    Own,
    Old(usize),
}

fn whose<'a>(piece: &'a [u8], names: Names<'_>) -> Option<(Whose, &'a [u8])> {
    let (name, value) = name_and_value(piece)?;
    if name == names.own.as_str().as_bytes() {
        return Some((Whose::Own, value));
    }
    let index = names.old.iter().position(|old| name == old.as_str().as_bytes())?;
    Some((Whose::Old(index), value))
}

fn pieces(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(field);
    std::iter::from_fn(move || {
        let field = rest?;
        match memchr::memchr(b';', field) {
            Some(end) => {
                rest = Some(&field[end + 1..]);
                Some(&field[..end])
            }
            None => rest.take(),
        }
    })
}

/// A `name=value` pair, trimmed; None without a `=`.
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
