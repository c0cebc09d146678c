//! Parsers for single values. Their error is what was expected, to stand behind `expected`.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use toml::Value;

use crate::time::Timestamp;

/// A string.
pub(super) fn text(value: &Value) -> Result<String, String> {
    as_str(value, "a string").map(str::to_owned)
}

/// A string with something in it, all on one line.
pub(super) fn word(value: &Value) -> Result<String, String> {
    match as_str(value, "a string")? {
        "" => {
            Err("a string that is not empty; leave the key out where there is nothing to say"
                .into())
        }
        text if text.chars().any(char::is_control) => {
            Err("a string without control characters".into())
        }
        text => Ok(text.to_owned()),
    }
}

/// A boolean.
pub(super) fn truth(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "true or false, without quotes".into())
}

/// A whole number in `range`.
pub(super) fn whole(range: RangeInclusive<usize>) -> impl Fn(&Value) -> Result<usize, String> {
    move |value| {
        let number = value.as_integer().and_then(|number| usize::try_from(number).ok());
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("a whole number from {} to {}", range.start(), range.end()))
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(words: &[(&str, T)]) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        found.map(|(_, meaning)| *meaning).ok_or_else(|| alternatives(words))
    }
}

/// Whatever reads itself from a string, but not from an empty one.
pub(super) fn from_text<T: FromStr<Err = String>>(value: &Value) -> Result<T, String> {
    // What is no string is refused as the empty one is, with the same words.
    value.as_str().unwrap_or_default().parse()
}

/// A duration, zero included.
pub(super) fn duration(value: &Value) -> Result<Duration, String> {
    const EXPECTED: &str = "a duration in quotes, such as \"8s\", \"15m\" or \"14d\"";
    let duration = humantime::parse_duration(as_str(value, EXPECTED)?).map_err(|_| EXPECTED)?;
    // Past this, somebody mistook the unit, and arithmetic on moments would saturate.
    if duration > MAX_DURATION {
        return Err("a duration of at most 100 years".into());
    }
    Ok(duration)
}

const MAX_DURATION: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// A duration longer than zero.
pub(super) fn some_time(value: &Value) -> Result<Duration, String> {
    match duration(value)? {
        Duration::ZERO => Err("a duration longer than zero".into()),
        duration => Ok(duration),
    }
}

/// A duration in whole seconds, at least one: what a token or a `Max-Age` can hold.
pub(super) fn seconds(value: &Value) -> Result<Duration, String> {
    match some_time(value)? {
        duration if duration.subsec_nanos() != 0 => Err("a duration in whole seconds".into()),
        duration => Ok(duration),
    }
}

/// A moment, as a string or as TOML's own kind of value, with its offset from UTC.
pub(super) fn moment(value: &Value) -> Result<Timestamp, String> {
    const EXPECTED: &str = "a moment such as \"2026-11-22T10:00:00Z\"";
    let text = match value {
        Value::Datetime(moment) => moment.to_string(),
        _ => as_str(value, EXPECTED)?.to_owned(),
    };
    rfc3339(&text).ok_or_else(|| EXPECTED.into())
}

/// A moment of RFC 3339 in UTC.
pub(crate) fn rfc3339(text: &str) -> Option<Timestamp> {
    let moment = humantime::parse_rfc3339(text).ok()?;
    let since_epoch = moment.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).ok()?))
}

fn as_str<'a>(value: &'a Value, expected: &str) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| expected.to_owned())
}

/// `"a", "b" or "c"`
pub(super) fn alternatives<T>(words: &[(&str, T)]) -> String {
    let mut text = String::new();
    for (index, (word, _)) in words.iter().enumerate() {
        let between = match words.len() - index {
            _ if index == 0 => "",
            1 => " or ",
            _ => ", ",
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{between}{word:?}");
    }
    text
}

/// The value for a message: one line, not too long, without the password of a URL, and nothing
/// that a terminal would act on.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let text = without_password(text);
            match text.char_indices().nth(MOST_SHOWN) {
                Some((end, _)) => format!("{:?}…", &text[..end]),
                None => format!("{text:?}"),
            }
        }
        Value::Array(_) => "[…]".into(),
        Value::Table(_) => "{…}".into(),
        // Not as a value, which panics over what the parser has left of a date with a typo.
        Value::Datetime(moment) => moment.to_string(),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => value.to_string(),
    }
}

const MOST_SHOWN: usize = 60;

/// The same for a number as it was written: behind an underscore the parser takes anything for one.
pub(super) fn shown_number(text: &str) -> String {
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", text[..end].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

fn without_password(text: &str) -> Cow<'_, str> {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}").into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let table = [
            ("8s", Ok(8)),
            ("15m", Ok(900)),
            ("14d", Ok(14 * 86400)),
            ("1h 30m", Ok(5400)),
            ("0s", Err("a duration longer than zero")),
            ("1500ms", Err("a duration in whole seconds")),
            ("101y", Err("a duration of at most 100 years")),
        ];
        for (text, expected) in table {
            let read = seconds(&text.into());
            let expected = expected.map(Duration::from_secs).map_err(str::to_owned);
            assert_eq!(read, expected, "{text}");
        }
        for value in ["8", "s", "", "-8s", "8 parsecs", "99999999999999999999s"] {
            assert!(duration(&value.into()).is_err(), "{value}");
        }
        assert!(duration(&8.into()).is_err());
    }

    #[test]
    fn alternatives_read_as_a_sentence() {
        assert_eq!(alternatives(&[("a", ())]), r#""a""#);
        assert_eq!(alternatives(&[("a", ()), ("b", ())]), r#""a" or "b""#);
        assert_eq!(alternatives(&[("a", ()), ("b", ()), ("c", ())]), r#""a", "b" or "c""#);
    }

    #[test]
    fn a_value_in_a_message_stays_on_its_line() {
        assert_eq!(shown(&"a\u{1b}[2J\nb".into()), r#""a\u{1b}[2J\nb""#);
        assert!(shown(&"x".repeat(1000).into()).chars().count() < 70);
        assert_eq!(shown(&1.5.into()), "1.5");
        assert_eq!(shown_number("9\u{1b}[2J\0"), r"9\u{1b}[2J\0");
        assert!(shown_number(&"9".repeat(1000)).chars().count() < 70);
        assert_eq!(shown(&"http://me:pass@word@app:80".into()), r#""http://…@app:80""#);
    }
}
