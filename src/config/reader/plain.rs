//! TOML values without their positions.

use toml::de::DeValue;
use toml::{Spanned, Value};

use crate::config::expected::Expected;
use crate::config::value::{shown, shown_number};

/// A number that is out of range, as written.
pub(in crate::config) struct TooLarge(String);

impl TooLarge {
    /// The text for a message.
    pub(super) fn shown(self) -> String {
        self.0
    }
}

/// The parsed and the plain value, or the text of an invalid one with what was expected.
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

/// The value without positions, or a number that is out of range.
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
