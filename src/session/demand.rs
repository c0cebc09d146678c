//! What a route requires of a session: values at paths of its dict.

use super::dict::{Dict, elements, unescape};

/// One path of `require` and the accepted values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The path to the value: one key for each level.
    pub path: Vec<String>,
    /// One of these must be there; if the dict has an array, one element must match.
    pub values: Vec<Scalar>,
}

/// A single JSON value. `7` and `"7"` are different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A string, unescaped.
    Text(String),
    /// A number, as JSON text.
    Number(String),
    /// A boolean.
    Truth(bool),
}

impl Demand {
    /// Whether the dict has one of the values at the path.
    #[must_use]
    pub fn is_met(&self, dict: &Dict) -> bool {
        let is_one = |json: &str| self.values.iter().any(|value| value.is_written(json));
        dict.get(&self.path).is_some_and(|json| match json.starts_with('[') {
            true => elements(json).any(is_one),
            false => is_one(json),
        })
    }
}

impl Scalar {
    /// Whether a JSON text is this value.
    fn is_written(&self, json: &str) -> bool {
        match self {
            Self::Text(text) => json.starts_with('"') && *unescape(json) == *text.as_bytes(),
            Self::Number(number) => json == number || is_same_number(json, number),
            Self::Truth(truth) => json == if *truth { "true" } else { "false" },
        }
    }
}

/// Whether two texts are the same number, such as `1`, `1.0` and `10e-1`.
fn is_same_number(one: &str, other: &str) -> bool {
    match (Decimal::parse(one), Decimal::parse(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// A JSON number of any length: its digits without zeros at either end, and its exponent.
#[derive(PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    digits: Vec<u8>,
    /// The power of ten of the last digit.
    exponent: i64,
}

impl Decimal {
    /// None if it is not a number or its exponent is out of range.
    fn parse(json: &str) -> Option<Self> {
        let (is_negative, rest) = match json.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, json),
        };
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let places = i64::try_from(fraction.len()).ok()?;
        let mut exponent = exponent.parse::<i64>().ok()?.checked_sub(places)?;
        let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        digits.truncate(digits.len() - zeros);
        exponent = exponent.checked_add(i64::try_from(zeros).ok()?)?;
        let leading = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..leading);
        Some(match digits.is_empty() {
            true => Self { is_negative: false, digits, exponent: 0 },
            false => Self { is_negative, digits, exponent },
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn scalars_compare_as_json() {
        let role = Scalar::Text("admin".into());
        let level = Scalar::Number("7".into());
        let table = [
            (&role, r#""admin""#, true),
            (&role, r#""\u0061dmin""#, true),
            (&role, r#""Admin""#, false),
            (&role, r#"" admin""#, false),
            (&role, r#""admin2""#, false),
            (&role, "null", false),
            (&role, r#"{"admin":"admin"}"#, false),
            (&role, r#"["user","admin"]"#, true),
            (&role, r#"["user",["admin"]]"#, false),
            (&role, r#"["user",{"a":"admin"}]"#, false),
            (&role, "[]", false),
            (&level, "7", true),
            (&level, "7.0", true),
            (&level, "70e-1", true),
            (&level, "0.7E+1", true),
            (&level, "[1,7]", true),
            (&level, r#""7""#, false),
            (&level, "-7", false),
            (&level, "7.0000000000000000000001", false),
            (&level, "7e99999999999999999999", false),
            (&level, "true", false),
            (&Scalar::Text("7".into()), "7", false),
            (&Scalar::Number("0".into()), "-0.0", true),
            (&Scalar::Number("0".into()), "0e5", true),
            (&Scalar::Number("1000".into()), "1e3", true),
            (&Scalar::Truth(true), "true", true),
            (&Scalar::Truth(true), "false", false),
            (&Scalar::Truth(true), r#""true""#, false),
            (&Scalar::Truth(false), "false", true),
            (&Scalar::Truth(false), "null", false),
        ];
        for (value, json, met) in table {
            let dict = Dict::parse(format!(r#"{{"user":{{"x":{json}}}}}"#).as_bytes()).unwrap();
            let path = vec!["user".into(), "x".into()];
            let demand = Demand { path, values: vec![value.clone()] };
            assert_eq!(demand.is_met(&dict), met, "{value:?} {json}");
        }
    }

    #[test]
    fn one_of_several_values_is_enough_and_a_missing_path_is_none() {
        let values = vec![Scalar::Text("a".into()), Scalar::Truth(true)];
        let demand = |path: &[&str]| Demand {
            path: path.iter().map(|&key| key.into()).collect(),
            values: values.clone(),
        };
        let dict = Dict::parse(br#"{"x":true,"y":{"z":"a"},"u.v":"a"}"#).unwrap();
        assert!(demand(&["x"]).is_met(&dict));
        assert!(demand(&["y", "z"]).is_met(&dict));
        assert!(demand(&["u.v"]).is_met(&dict));
        assert!(!demand(&["y"]).is_met(&dict));
        assert!(!demand(&["u", "v"]).is_met(&dict));
        assert!(!demand(&["x", "z"]).is_met(&dict));
    }
}
