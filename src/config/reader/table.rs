//! A table of the tree, with methods to read its keys.

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};
use zeroize::Zeroizing;

use super::place::{Place, join, numberless};
use super::plain::{TooLarge, judge, plain};
use super::{Document, Read, Reported, Unknown};
use crate::config::expected::Expected;

mod nested;

/// The placeholder for a secret in the effective configuration.
const REDACTED: &str = "(redacted)";

/// A table that is being read. If it is missing, its keys have their defaults.
pub(in crate::config) struct Table<'t, 'a> {
    document: &'t mut Document<'a>,
    place: Place,
    given: Option<&'t DeTable<'a>>,
    /// The keys that were read.
    known: Vec<&'static str>,
    /// Keys that are refused with their own message.
    refused: Vec<&'static str>,
    /// Whether any key is allowed.
    open: bool,
    effective: toml::Table,
}

impl<'t, 'a> Table<'t, 'a> {
    /// The whole file.
    pub(in crate::config) fn top(document: &'t mut Document<'a>, tree: &'t DeTable<'a>) -> Self {
        Self::new(document, Place::file(), Some(tree))
    }

    fn new(document: &'t mut Document<'a>, place: Place, given: Option<&'t DeTable<'a>>) -> Self {
        Self {
            document,
            place,
            given,
            known: Vec::new(),
            refused: Vec::new(),
            open: false,
            effective: toml::Table::new(),
        }
    }

    /// Reads the table, records unknown keys, and returns the effective values.
    pub(in crate::config) fn read<T>(
        mut self,
        read: impl FnOnce(&mut Self) -> T,
    ) -> (T, toml::Table) {
        let result = read(&mut self);
        let unknown = self.given.into_iter().flatten().filter(|(key, _)| {
            let key: &str = key.get_ref();
            !self.open && !self.known.contains(&key) && !self.refused.contains(&key)
        });
        for (key, _) in unknown {
            self.document.unknown.push(Unknown {
                line: self.document.line(key.span().start),
                table: self.place.path.clone(),
                key: key.get_ref().to_string(),
            });
        }
        let schema = numberless(&self.place.path);
        let known = self.known.into_iter().map(|key| (schema.clone(), key));
        self.document.known.extend(known);
        (result, self.effective)
    }

    /// A key without a default.
    pub(in crate::config) fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, Expected>,
    ) -> Read<Option<T>> {
        let Some((place, given)) = self.take(key) else {
            return Ok(None);
        };
        let value = plain(given);
        self.parse(key, &place, value, parse).map(Some)
    }

    /// A key without a default whose value is never shown, because it may be a secret written by
    /// mistake in place of a file name.
    pub(in crate::config) fn discreet<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, Expected>,
    ) -> Read<Option<T>> {
        let Some((place, given)) = self.take(key) else {
            return Ok(None);
        };
        match judge(plain(given), parse) {
            Ok((parsed, value)) => {
                self.effective.insert(key.into(), value);
                Ok(Some(parsed))
            }
            Err((_, expected)) => Err(self.document.refuse(&place, None, &expected)),
        }
    }

    /// A key with a default, which is parsed like a value in the file.
    pub(in crate::config) fn or<T>(
        &mut self,
        key: &'static str,
        default: impl Into<Value>,
        parse: impl FnOnce(&Value) -> Result<T, Expected>,
    ) -> Read<T> {
        let (place, value) = match self.take(key) {
            Some((place, given)) => (place, plain(given)),
            None => (self.at(key), Ok(default.into())),
        };
        self.parse(key, &place, value, parse)
    }

    /// A required key; the message shows `example`.
    pub(in crate::config) fn required<T>(
        &mut self,
        key: &'static str,
        example: &str,
        parse: impl FnOnce(&Value) -> Result<T, Expected>,
    ) -> Read<T> {
        self.optional(key, parse)?.ok_or_else(|| self.missing(key, example))
    }

    /// Records that a key is missing.
    pub(in crate::config) fn missing(&mut self, key: &str, example: &str) -> Reported {
        let place = self.at(key);
        self.document.consequence(&place, format!("missing key {}: {example}", place.path))
    }

    /// A known key that is not allowed here; without a message it is ignored.
    pub(in crate::config) fn refuse_key(&mut self, key: &'static str, message: Option<&str>) {
        self.refused.push(key);
        if let Some(message) = message.filter(|_| self.has(key)) {
            let place = self.at(key);
            self.document.fault(&place, message);
        }
    }

    /// A string that is never shown in messages or output.
    pub(in crate::config) fn secret(
        &mut self,
        key: &'static str,
    ) -> Read<Option<Zeroizing<String>>> {
        let Some((place, given)) = self.take(key) else {
            return Ok(None);
        };
        self.effective.insert(key.into(), REDACTED.into());
        match given.get_ref() {
            DeValue::String(secret) => Ok(Some(Zeroizing::new(secret.to_string()))),
            _ => Err(self.document.refuse(&place, None, "a string")),
        }
    }

    /// The position of a key or, if it is missing, of the table.
    pub(in crate::config) fn at(&self, key: &str) -> Place {
        let found = self.given.and_then(|table| table.get_key_value(key));
        Place {
            path: join(&self.place.path, key),
            line: found.map_or(self.place.line, |(key, _)| self.document.line(key.span().start)),
        }
    }

    /// The position of this table.
    pub(in crate::config) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the file has this key.
    pub(in crate::config) fn has(&self, key: &str) -> bool {
        self.given.is_some_and(|table| table.contains_key(key))
    }

    /// For recording faults.
    pub(in crate::config) fn document(&mut self) -> &mut Document<'a> {
        self.document
    }

    /// Sets the effective value, if it is neither that of the file nor the default.
    pub(in crate::config) fn set_effective(&mut self, key: &str, value: impl Into<Value>) {
        self.effective.insert(key.into(), value.into());
    }

    fn take(&mut self, key: &'static str) -> Option<(Place, &'t Spanned<DeValue<'a>>)> {
        self.known.push(key);
        let given = self.given?.get(key)?;
        Some((self.at(key), given))
    }

    fn parse<T>(
        &mut self,
        key: &str,
        place: &Place,
        value: Result<Value, TooLarge>,
        parse: impl FnOnce(&Value) -> Result<T, Expected>,
    ) -> Read<T> {
        match judge(value, parse) {
            Ok((parsed, value)) => {
                self.effective.insert(key.into(), value);
                Ok(parsed)
            }
            Err((written, expected)) => Err(self.document.refuse(place, Some(&written), &expected)),
        }
    }
}
