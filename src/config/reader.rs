//! Reads a TOML tree key by key. Each key is named once, with its default and its parser. The
//! reader records known keys, effective values and all faults, and continues after a fault.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use super::nearest;
use crate::fault::Fault;

pub(super) mod place;
mod plain;
mod table;

pub(super) use place::Place;
pub(super) use table::Table;

/// Stands for a value that could not be read. Only the reader makes it, after recording a fault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported(());

/// A value, or the proof that a fault was recorded.
pub(super) type Read<T> = Result<T, Reported>;

/// A file that is being read.
pub(super) struct Document<'a> {
    file: &'a Path,
    text: &'a str,
    faults: Vec<Fault>,
    /// Faults that may result from a syntax error, such as a missing key, which may be on the
    /// broken line.
    consequences: Vec<Fault>,
    /// Every key that was read, with its table; `[]` stands for an index in an array.
    known: BTreeSet<(String, &'static str)>,
    unknown: Vec<Unknown>,
}

struct Unknown {
    line: usize,
    table: String,
    key: String,
}

impl<'a> Document<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Self {
            file,
            text,
            faults: Vec::new(),
            consequences: Vec::new(),
            known: BTreeSet::new(),
            unknown: Vec::new(),
        }
    }

    /// Records an invalid value.
    pub(super) fn refuse(
        &mut self,
        place: &Place,
        value: Option<&str>,
        expected: impl fmt::Display,
    ) -> Reported {
        let expected = sentence(&expected.to_string());
        let message = match value {
            Some(value) if place.line == 0 => format!("{value}: {expected}"),
            Some(value) => format!("{} = {value}: {expected}", place.path),
            None => format!("{}: {expected}", place.path),
        };
        self.fault(place, message)
    }

    /// Records a fault. The message names the key, because a line may have several.
    pub(super) fn fault(&mut self, place: &Place, message: impl Into<String>) -> Reported {
        let fault = match place.line {
            0 => Fault::of_flag(&place.path, message),
            line => Fault::new(self.file, line, message),
        };
        self.faults.push(fault);
        Reported(())
    }

    /// Records several faults, at least one.
    pub(super) fn faults(&mut self, faults: impl IntoIterator<Item = (Place, String)>) -> Reported {
        for (place, message) in faults {
            self.fault(&place, message);
        }
        Reported(())
    }

    /// Records that a key is missing or conflicts with another one.
    pub(super) fn consequence(&mut self, place: &Place, message: impl Into<String>) -> Reported {
        let reported = self.fault(place, message);
        self.consequences.extend(self.faults.pop());
        reported
    }

    /// All faults in the order of the file, including syntax errors. Empty if there are none.
    pub(super) fn finish(mut self, syntax: Vec<Fault>) -> Vec<Fault> {
        for Unknown { line, table, key } in self.unknown {
            let message = nearest::unknown_key(&table, &key, &self.known);
            self.faults.push(Fault::new(self.file, line, message));
        }
        if syntax.is_empty() {
            self.faults.append(&mut self.consequences);
        } else {
            // Values on a broken line are not reliable.
            let broken: BTreeSet<usize> = syntax.iter().map(|fault| fault.line).collect();
            self.faults.retain(|fault| !broken.contains(&fault.line));
            self.faults.extend(syntax);
        }
        self.faults.sort_by_key(|fault| fault.line);
        self.faults
    }

    /// Every key that was read, as `cookie.same_site` or `keys[].secret_file`.
    #[cfg(test)]
    pub(super) fn known_keys(&self) -> BTreeSet<String> {
        self.known.iter().map(|(table, key)| place::join(table, key)).collect()
    }

    fn line(&self, offset: usize) -> usize {
        line_of(self.text, offset)
    }
}

/// Most messages start with "expected"; forbidden and duplicate values have their own wording.
fn sentence(expected: &str) -> String {
    let is_whole = ["must ", "duplicate "].iter().any(|start| expected.starts_with(start));
    if is_whole { expected.to_owned() } else { format!("expected {expected}") }
}

/// The line of a byte offset, from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}
