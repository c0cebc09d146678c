//! Values without their places, and what becomes of them.

use toml::de::DeValue;
use toml::{Spanned, Value};

use crate::config::expected::Expected;
use crate::config::value::{shown, shown_number};

/// A number that does not fit, as it was written.
pub(in crate::config) struct TooLarge(String);

impl TooLarge {
    /// For a message.
    pub(super) fn shown(self) -> String {
        self.0
    }
}

/// The parsed value and the value, or how it was written and what was expected.
pub(super) fn judge<T>(
    value: Result<Value, TooLarge>,
    parse: impl FnOnce(&Value) -> Result<T, Expected>,
) -> Result<(T, Value), (String, Expected)> {
    let value = value.map_err(|number| (number.shown(), Expected::SmallerNumber))?;
    match parse(&value) {
        Ok(parsed) => Ok((parsed, value)),
        Err(expected) => Err((shown(&value), expected)),
    }
}

/// The value without its places; a number that does not fit comes back as it was written.
pub(super) fn plain(spanned: &Spanned<DeValue<'_>>) -> Result<Value, TooLarge> {
    Ok(match spanned.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Datetime(datetime) => Value::Datetime(*datetime),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(Value::Integer)
            .map_err(|_| TooLarge(shown_number(&integer.to_string())))?,
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .map(Value::Float)
            .map_err(|_| TooLarge(shown_number(&float.to_string())))?,
        DeValue::Array(elements) => {
            Value::Array(elements.iter().map(plain).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => {
            let mut plain_table = toml::Table::new();
            for (key, value) in table {
                plain_table.insert(key.get_ref().to_string(), plain(value)?);
            }
            Value::Table(plain_table)
        }
    })
}
