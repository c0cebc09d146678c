//! Changes the `[[keys]]` in the text of a configuration: adds, removes and moves whole tables. All
//! other lines stay byte for byte. In other tables only `session.not_before` is set.
//!
//! A table consists of its lines and the comments directly above or below them. A comment after a
//! blank line is about more than this key, and stays in its place.
//!
//! `toml_edit` is not used, because it would rewrite the whole file, including DOS line ends.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Why a text is not changed; it completes a sentence about the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EditError {
    NotToml {
        /// The parser's message.
        message: String,
    },
    /// There is no key with this number, from 1.
    NoKey {
        number: usize,
    },
    NoKeys,
    /// `keys = [...]`
    OddKeys,
    /// `session` in an unsupported form.
    OddSession,
}

impl EditError {
    fn not_toml(error: &toml::de::Error) -> Self {
        Self::NotToml { message: error.message().to_owned() }
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotToml { message } => write!(f, "not TOML: {message}"),
            Self::NoKey { number } => write!(f, "has no keys[{number}]"),
            Self::NoKeys => f.write_str("has no [[keys]]"),
            Self::OddKeys => f.write_str(
                "keys = [...] cannot be edited by this command: give each key a table of its \
                 own under [[keys]]",
            ),
            Self::OddSession => f.write_str(
                "session is written in a way that this command cannot edit: give it a table of \
                 its own, [session]",
            ),
        }
    }
}

/// Adds a table with these entries before all `[[keys]]`.
pub(super) fn put_first(text: &str, entries: &[(&str, &str)]) -> Result<String, EditError> {
    let (first, _) = first_and_last(text)?;
    let line_end = line_end(text);
    let (before, after) = text.split_at(first.lines.start);
    Ok(format!("{before}{}{line_end}{after}", table(entries, line_end)))
}

/// Adds a table with these entries after all `[[keys]]`.
pub(super) fn put_last(text: &str, entries: &[(&str, &str)]) -> Result<String, EditError> {
    let (_, last) = first_and_last(text)?;
    let line_end = line_end(text);
    let (before, after) = text.split_at(last.lines.end);
    let finish = missing_line_end(before, line_end);
    Ok(format!("{before}{finish}{line_end}{}{after}", table(entries, line_end)))
}

/// Moves a table, counted from 0, before all other `[[keys]]`.
pub(super) fn move_first(text: &str, index: usize) -> Result<String, EditError> {
    let (first, _) = first_and_last(text)?;
    let moved = nth(text, index)?;
    if index == 0 {
        return Ok(text.to_owned());
    }
    let line_end = line_end(text);
    let table = &text[moved.lines.clone()];
    let finish = missing_line_end(table, line_end);
    let rest = without(text, &moved);
    let (before, after) = rest.split_at(first.lines.start);
    Ok(format!("{before}{table}{finish}{line_end}{after}"))
}

/// Removes a table, counted from 0.
pub(super) fn remove(text: &str, index: usize) -> Result<String, EditError> {
    nth(text, index).map(|table| without(text, &table))
}

/// Sets `session.not_before`, in any form of `[session]`.
pub(super) fn set_not_before(text: &str, moment: &str) -> Result<String, EditError> {
    let tree = DeTable::parse(text).map_err(|error| EditError::not_toml(&error))?;
    let line_end = line_end(text);
    let value = toml::Value::from(moment).to_string();
    let session = tree.get_ref().get_key_value("session");
    let given = session.and_then(|(_, session)| session.get_ref().as_table());
    let before = given.and_then(|given| given.get("not_before"));
    let (place, new) = match (session, before) {
        (_, Some(before)) => (before.span(), value),
        (None, None) => {
            let finish = missing_line_end(text, line_end);
            let table = format!("[session]{line_end}not_before = {value}{line_end}");
            (text.len()..text.len(), format!("{finish}{line_end}{table}"))
        }
        (Some((key, session)), None) => {
            let key = key.span();
            let start = text[..key.start].rfind('\n').map_or(0, |end| end + 1);
            let own = text[start..].trim_start_matches('\u{feff}');
            let start = text.len() - own.len();
            if text[start..key.start].trim_start().starts_with('[') {
                let header = line(own);
                let finish = missing_line_end(header, line_end);
                let end = start + header.len();
                (end..end, format!("{finish}not_before = {value}{line_end}"))
            } else if text[session.span()].starts_with('{') {
                let brace = session.span().start + 1;
                let parted = if given.is_some_and(|given| given.is_empty()) { " " } else { "," };
                (brace..brace, format!(" not_before = {value}{parted}"))
            } else {
                (start..start, format!("session.not_before = {value}{line_end}"))
            }
        }
    };
    let mut changed = text.to_owned();
    changed.replace_range(place, &new);
    // Check the meaning of the result, in whatever form it is written.
    let (before, after) = (apart_from_not_before(text)?, apart_from_not_before(&changed)?);
    if before.0 == after.0 && after.1 == Some(moment.into()) {
        Ok(changed)
    } else {
        Err(EditError::OddSession)
    }
}

/// The contents of a text without `session.not_before`, and this value.
fn apart_from_not_before(text: &str) -> Result<(toml::Table, Option<toml::Value>), EditError> {
    let mut tree: toml::Table = text.parse().map_err(|error| EditError::not_toml(&error))?;
    let session = tree.get_mut("session").and_then(toml::Value::as_table_mut);
    let not_before = session.and_then(|session| session.remove("not_before"));
    if tree.get("session").and_then(toml::Value::as_table).is_some_and(toml::Table::is_empty) {
        tree.remove("session");
    }
    Ok((tree, not_before))
}

/// The position of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lines {
    /// From the comment directly above it to the one directly below it, with the last line end.
    lines: Range<usize>,
    /// The end of the blank lines after it.
    next: usize,
}

fn nth(text: &str, index: usize) -> Result<Lines, EditError> {
    places(text)?.into_iter().nth(index).ok_or(EditError::NoKey { number: index + 1 })
}

fn first_and_last(text: &str) -> Result<(Lines, Lines), EditError> {
    let places = places(text)?;
    let (first, last) = (places.first().cloned(), places.last().cloned());
    first.zip(last).ok_or(EditError::NoKeys)
}

fn places(text: &str) -> Result<Vec<Lines>, EditError> {
    let tree = DeTable::parse(text).map_err(|error| EditError::not_toml(&error))?;
    let mut ends = Vec::new();
    tree.get_ref().values().for_each(|value| note_ends(value, &mut ends));
    let keys = tree.get_ref().get("keys").and_then(|keys| keys.get_ref().as_array());
    keys.into_iter().flatten().map(|key| place(text, key, &ends)).collect()
}

/// The ends of all values and table headers: no comment contains one.
fn note_ends(value: &Spanned<DeValue<'_>>, ends: &mut Vec<usize>) {
    ends.push(value.span().end);
    match value.get_ref() {
        DeValue::Table(table) => table.values().for_each(|value| note_ends(value, ends)),
        DeValue::Array(array) => array.iter().for_each(|value| note_ends(value, ends)),
        _ => {}
    }
}

fn place(text: &str, key: &Spanned<DeValue<'_>>, ends: &[usize]) -> Result<Lines, EditError> {
    let header = key.span();
    if !text[header.clone()].starts_with("[[") {
        return Err(EditError::OddKeys);
    }
    let mut own = Vec::new();
    note_ends(key, &mut own);
    let last = own.into_iter().max().unwrap_or(header.end);
    let end = last + line(&text[last..]).len();
    let end = end + comments_below(&text[end..]);
    let blank = text[end..].split_inclusive('\n').take_while(|line| line.trim().is_empty());
    let next = end + blank.map(str::len).sum::<usize>();

    let above = match ends.iter().filter(|end| **end <= header.start).max() {
        Some(end) => end + line(&text[*end..]).len(),
        None => text.len() - text.trim_start_matches('\u{feff}').len(),
    };
    Ok(Lines { lines: header.start - comment_above(&text[above..header.start])..end, next })
}

/// The length of the comment at the end of `text`, with the indent after it.
fn comment_above(text: &str) -> usize {
    let indent = text.rsplit('\n').next().unwrap_or_default().len();
    let lines = text[..text.len() - indent].split_inclusive('\n').rev();
    indent + lines.take_while(|line| is_comment(line)).map(str::len).sum::<usize>()
}

/// The length of the comment at the start of `text`, unless it belongs to a table below.
fn comments_below(text: &str) -> usize {
    let lines = text.split_inclusive('\n').take_while(|line| is_comment(line));
    let comment = lines.map(str::len).sum();
    if line(&text[comment..]).trim_start().starts_with('[') { 0 } else { comment }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// The first line with its line end.
fn line(text: &str) -> &str {
    text.split_inclusive('\n').next().unwrap_or_default()
}

/// The text without a table and the blank lines after it or, at the end of the text, before it.
fn without(text: &str, table: &Lines) -> String {
    let (before, after) = (&text[..table.lines.start], &text[table.next..]);
    if !after.is_empty() {
        return format!("{before}{after}");
    }
    let used = before.trim_end().len();
    before[..used + line(&before[used..]).len()].to_owned()
}

fn table(entries: &[(&str, &str)], line_end: &str) -> String {
    let mut table = format!("[[keys]]{line_end}");
    for (key, value) in entries {
        let value = toml::Value::from(*value);
        table.push_str(&format!("{key} = {value}{line_end}"));
    }
    table
}

/// The line end of this text, taken from its first line.
fn line_end(text: &str) -> &'static str {
    if line(text).ends_with("\r\n") { "\r\n" } else { "\n" }
}

fn missing_line_end<'a>(text: &str, line_end: &'a str) -> &'a str {
    if text.ends_with('\n') { "" } else { line_end }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests;
