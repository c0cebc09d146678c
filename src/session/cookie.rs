//! The session cookie on the wire: found in `Cookie` and cut out of it, written to and expired by
//! `Set-Cookie` (RFC 6265bis).
//!
//! Works on bytes: a byte above 0x7F in somebody else's cookie must not hide ours.

mod attributes;
mod name;

pub use attributes::{CookieAttributes, CookieFault, CookieParts, SameSite, Secure, Transport};
pub(crate) use name::is_token_byte;
pub(super) use name::is_token_char;
pub use name::{CookieName, CookieNameError};

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
    /// As the client sent it: one field with cookies and none of ours, or none.
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
/// (RFC 9113 section 8.2.3); one without any cookie goes.
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

/// Whether there is no cookie in a field.
fn is_blank(field: &[u8]) -> bool {
    field.iter().all(|&byte| matches!(byte, b';' | b' ' | b'\t'))
}

/// Under which of our names a cookie stands.
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
