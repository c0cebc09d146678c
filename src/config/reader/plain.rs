//! Values without their places, and what becomes of them.

use toml::de::DeValue;
use toml::{Spanned, Value};

use crate::config::value::{shown, shown_number};

/// The parsed value and the value, or how it was written and what was expected.
pub(super) fn judge<T>(
    value: Result<Value, String>,
    parse: impl FnOnce(&Value) -> Result<T, String>,
) -> Result<(T, Value), (String, String)> {
    let value = value.map_err(|written| (written, "a number that fits 64 bits".to_owned()))?;
    match parse(&value) {
        Ok(parsed) => Ok((parsed, value)),
        Err(expected) => Err((shown(&value), expected)),
    }
}

/// The value without its places; a number that does not fit comes back as it was written.
pub(super) fn plain(spanned: &Spanned<DeValue<'_>>) -> Result<Value, String> {
    Ok(match spanned.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Datetime(datetime) => Value::Datetime(*datetime),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(Value::Integer)
            .map_err(|_| shown_number(&integer.to_string()))?,
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .map(Value::Float)
            .map_err(|_| shown_number(&float.to_string()))?,
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
