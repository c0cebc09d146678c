//! Keys with several values: arrays, tables and arrays of tables.

use toml::de::DeValue;
use toml::{Spanned, Value};

use super::Table;
use crate::config::expected::Expected;
use crate::config::reader::plain::{judge, plain};
use crate::config::reader::{Place, Read, Reported};
use crate::config::value::shown;

/// The elements of an array, with their positions.
type Elements<T> = Vec<(Place, T)>;

impl<'a> Table<'_, 'a> {
    /// An array, empty by default. Each element is parsed; `expected` describes the whole array.
    pub(in crate::config) fn list<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl Fn(&Value) -> Result<T, Expected>,
    ) -> Read<Elements<T>> {
        let Some((place, given)) = self.take(key) else {
            self.effective.insert(key.into(), Value::Array(Vec::new()));
            return Ok(Vec::new());
        };
        match given.get_ref() {
            DeValue::Array(elements) => {
                let (parsed, values) = self.elements(&place, elements, parse)?;
                self.effective.insert(key.into(), Value::Array(values));
                Ok(parsed)
            }
            _ => Err(self.refuse_given(&place, given, expected)),
        }
    }

    /// A single value, or an array that is not empty.
    pub(in crate::config) fn one_or_more<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Value) -> Result<T, Expected>,
    ) -> Read<Option<Elements<T>>> {
        let Some((place, given)) = self.take(key) else {
            return Ok(None);
        };
        match given.get_ref() {
            DeValue::Array(elements) if elements.is_empty() => {
                Err(self.document.refuse(&place, Some("[]"), "at least one"))
            }
            DeValue::Array(elements) => {
                let (parsed, values) = self.elements(&place, elements, parse)?;
                self.effective.insert(key.into(), Value::Array(values));
                Ok(Some(parsed))
            }
            _ => {
                let value = plain(given);
                let parsed = self.parse(key, &place, value, parse)?;
                Ok(Some(vec![(place, parsed)]))
            }
        }
    }

    /// A nested table. If it is missing, `read` gets an empty one.
    pub(in crate::config) fn table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Table<'_, 'a>) -> Read<T>,
    ) -> Read<T> {
        let (place, given) = match self.take(key) {
            None => (self.at(key), None),
            Some((place, given)) => match given.get_ref() {
                DeValue::Table(table) => (place, Some(table)),
                _ => {
                    let expected = format!("a table, [{}]", place.path);
                    return Err(self.refuse_given(&place, given, &expected));
                }
            },
        };
        let (result, effective) = Table::new(self.document, place, given).read(read);
        if !effective.is_empty() {
            self.effective.insert(key.into(), Value::Table(effective));
        }
        result
    }

    /// An optional array of tables, whose values are never shown.
    pub(in crate::config) fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Table<'_, 'a>) -> T,
    ) -> Read<Option<Vec<T>>> {
        let Some((place, given)) = self.take(key) else {
            return Ok(None);
        };
        let expected = format!("a table for each, [[{}]] in two brackets", place.path);
        let DeValue::Array(elements) = given.get_ref() else {
            return Err(self.document.refuse(&place, None, &expected));
        };
        let mut results = Vec::new();
        let mut effective = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let place = place.element(index, self.document.line(element.span().start));
            let DeValue::Table(table) = element.get_ref() else {
                return Err(self.document.refuse(&place, None, &expected));
            };
            let table = Table::new(self.document, place, Some(table));
            let (result, values) = table.read(&mut read);
            results.push(result);
            effective.push(Value::Table(values));
        }
        self.effective.insert(key.into(), Value::Array(effective));
        Ok(Some(results))
    }

    /// All keys of a table that allows any, in the order of the file.
    pub(in crate::config) fn entries<T>(
        &mut self,
        parse: impl Fn(&str, &Value) -> Result<T, Expected>,
    ) -> Read<Elements<T>> {
        self.open = true;
        let mut given: Vec<_> = self.given.into_iter().flatten().collect();
        given.sort_by_key(|(key, _)| key.span().start);
        let mut all = Vec::new();
        let mut outcome = Ok(());
        for (key, value) in given {
            let key: &str = key.get_ref();
            let place = self.at(key);
            match self.parse(key, &place, plain(value), |value| parse(key, value)) {
                Ok(parsed) => all.push((place, parsed)),
                Err(reported) => outcome = Err(reported),
            }
        }
        outcome.map(|()| all)
    }

    fn elements<T>(
        &mut self,
        place: &Place,
        elements: &[Spanned<DeValue<'a>>],
        parse: impl Fn(&Value) -> Result<T, Expected>,
    ) -> Read<(Elements<T>, Vec<Value>)> {
        let mut all = Vec::new();
        let mut values = Vec::new();
        let mut outcome = Ok(());
        for (index, element) in elements.iter().enumerate() {
            let place = place.element(index, self.document.line(element.span().start));
            match judge(plain(element), &parse) {
                Ok((parsed, value)) => {
                    all.push((place, parsed));
                    values.push(value);
                }
                Err((written, expected)) => {
                    outcome = Err(self.document.refuse(&place, Some(&written), &expected));
                }
            }
        }
        outcome.map(|()| (all, values))
    }

    fn refuse_given(
        &mut self,
        place: &Place,
        given: &Spanned<DeValue<'a>>,
        expected: &str,
    ) -> Reported {
        let written = match plain(given) {
            Ok(value) => shown(&value),
            Err(number) => number.shown(),
        };
        self.document.refuse(place, Some(&written), expected)
    }
}
