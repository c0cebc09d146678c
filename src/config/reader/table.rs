//! One table of the tree, and the ways to read a key of it.

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};
use zeroize::Zeroizing;

use super::place::{Place, join, numberless};
use super::plain::{TooLarge, judge, plain};
use super::{Document, Read, Reported, Unknown};
use crate::config::expected::Expected;

mod nested;

/// What a secret looks like in the effective configuration.
const REDACTED: &str = "(redacted)";

/// A table that is being read; one that is not there has defaults all the same.
pub(in crate::config) struct Table<'t, 'a> {
    document: &'t mut Document<'a>,
    place: Place,
    given: Option<&'t DeTable<'a>>,
    /// The keys that were asked for.
    known: Vec<&'static str>,
    /// The keys that are refused in words of their own.
    refused: Vec<&'static str>,
    /// Whether any key may stand here.
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

    /// Reads the table, notes the keys that nobody asked for, and hands back what is in force.
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

    /// A key without a default, whose value is in no message: it may be a secret that went astray,
    /// such as one in the place of the name of its file.
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

    /// A key with a default, which is written as in the file and goes through the same parser.
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

    /// A key without which nothing works; `example` says how it may look.
    pub(in crate::config) fn required<T>(
        &mut self,
        key: &'static str,
        example: &str,
        parse: impl FnOnce(&Value) -> Result<T, Expected>,
    ) -> Read<T> {
        self.optional(key, parse)?.ok_or_else(|| self.missing(key, example))
    }

    /// Notes that a key is missing.
    pub(in crate::config) fn missing(&mut self, key: &str, example: &str) -> Reported {
        let place = self.at(key);
        self.document.consequence(&place, format!("missing key {}: {example}", place.path))
    }

    /// A key that is known and cannot stand here; without a message it is passed over.
    pub(in crate::config) fn refuse_key(&mut self, key: &'static str, message: Option<&str>) {
        self.refused.push(key);
        if let Some(message) = message.filter(|_| self.has(key)) {
            let place = self.at(key);
            self.document.fault(&place, message);
        }
    }

    /// A string that no message and no output shows.
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

    /// Where a key stands; where it does not, the table.
    pub(in crate::config) fn at(&self, key: &str) -> Place {
        let found = self.given.and_then(|table| table.get_key_value(key));
        Place {
            path: join(&self.place.path, key),
            line: found.map_or(self.place.line, |(key, _)| self.document.line(key.span().start)),
        }
    }

    /// Where this table stands.
    pub(in crate::config) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the file has this key, whatever its value.
    pub(in crate::config) fn has(&self, key: &str) -> bool {
        self.given.is_some_and(|table| table.contains_key(key))
    }

    /// Where to note faults.
    pub(in crate::config) fn document(&mut self) -> &mut Document<'a> {
        self.document
    }

    /// Says what is in force where that is neither the value in the file nor a default.
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
