//! Parsers for single values. Their error follows `expected` in a message.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use toml::Value;

use super::expected::Expected;
use crate::time::Timestamp;

/// A string.
pub(super) fn text(value: &Value) -> Result<String, Expected> {
    as_str(value, Expected::String).map(str::to_owned)
}

/// A string that is not empty and has no control characters.
pub(super) fn word(value: &Value) -> Result<String, Expected> {
    match as_str(value, Expected::String)? {
        "" => Err(Expected::Filled),
        text if text.chars().any(char::is_control) => Err(Expected::NoControlCharacters),
        text => Ok(text.to_owned()),
    }
}

/// The maximum length of a file name, and of a path.
const MOST_NAME_BYTES: usize = 255;
const MOST_PATH_BYTES: usize = 4095;

/// The path of a file. Use it with `Table::discreet`, so that the message does not show an invalid
/// value.
pub(super) fn file_path(value: &Value) -> Result<PathBuf, Expected> {
    let text = value.as_str().ok_or(Expected::File)?;
    let is_content = text.contains(['\n', '\r']) || text.contains("-----BEGIN");
    let too_long =
        text.len() > MOST_PATH_BYTES || text.split('/').any(|name| name.len() > MOST_NAME_BYTES);
    if is_content || too_long {
        return Err(Expected::FileNotContent);
    }
    Ok(PathBuf::from(word(value)?))
}

/// A boolean.
pub(super) fn truth(value: &Value) -> Result<bool, Expected> {
    value.as_bool().ok_or(Expected::Boolean)
}

/// A whole number in `range`.
pub(super) fn whole(range: RangeInclusive<usize>) -> impl Fn(&Value) -> Result<usize, Expected> {
    move |value| {
        let number = value.as_integer().and_then(|number| usize::try_from(number).ok());
        number.filter(|number| range.contains(number)).ok_or_else(|| Expected::Whole(range.clone()))
    }
}

/// One of several words.
pub(super) fn choice<T: Copy>(
    words: &[(&'static str, T)],
) -> impl Fn(&Value) -> Result<T, Expected> {
    move |value| {
        let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        found
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| Expected::OneOf(words.iter().map(|(word, _)| *word).collect()))
    }
}

/// A value parsed from a string that is not empty.
pub(super) fn from_text<T: FromStr<Err: Into<Expected>>>(value: &Value) -> Result<T, Expected> {
    // A value that is not a string gets the same error as an empty one.
    value.as_str().unwrap_or_default().parse().map_err(Into::into)
}

/// A duration, zero included.
pub(super) fn duration(value: &Value) -> Result<Duration, Expected> {
    let text = as_str(value, Expected::Duration)?;
    let duration = humantime::parse_duration(text).map_err(|_| Expected::Duration)?;
    // A longer one is a wrong unit, and would make times overflow.
    if duration > MAX_DURATION {
        return Err(Expected::ShorterDuration);
    }
    Ok(duration)
}

const MAX_DURATION: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// A duration longer than zero.
pub(super) fn some_time(value: &Value) -> Result<Duration, Expected> {
    match duration(value)? {
        Duration::ZERO => Err(Expected::SomeTime),
        duration => Ok(duration),
    }
}

/// A duration in whole seconds, at least one, for a token or a `Max-Age`.
pub(super) fn seconds(value: &Value) -> Result<Duration, Expected> {
    match some_time(value)? {
        duration if duration.subsec_nanos() != 0 => Err(Expected::WholeSeconds),
        duration => Ok(duration),
    }
}

/// A time with its offset from UTC, as a string or as a TOML date-time.
pub(super) fn moment(value: &Value) -> Result<Timestamp, Expected> {
    let text = match value {
        Value::Datetime(moment) => moment.to_string(),
        _ => as_str(value, Expected::Moment)?.to_owned(),
    };
    rfc3339(&text).ok_or(Expected::Moment)
}

/// A time in RFC 3339, converted to UTC.
pub(crate) fn rfc3339(text: &str) -> Option<Timestamp> {
    let moment = humantime::parse_rfc3339(text).ok()?;
    let since_epoch = moment.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).ok()?))
}

fn as_str(value: &Value, expected: Expected) -> Result<&str, Expected> {
    value.as_str().ok_or(expected)
}

/// The value for a message: one line, not too long, without the password of a URL or terminal
/// control characters.
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
        // Formatted here, because displaying it as a `Value` panics for some invalid dates.
        Value::Datetime(moment) => moment.to_string(),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => value.to_string(),
    }
}

const MOST_SHOWN: usize = 60;

/// The same for a number as written: the parser accepts any characters after an underscore.
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
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
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
            assert_eq!(read.map_err(|error| error.to_string()), expected, "{text}");
        }
        for value in ["8", "s", "", "-8s", "8 parsecs", "99999999999999999999s"] {
            assert!(duration(&value.into()).is_err(), "{value}");
        }
        assert!(duration(&8.into()).is_err());
    }

    #[test]
    fn content_is_no_path() {
        let long = "x".repeat(256);
        let deep = "x/".repeat(2048);
        for text in ["a\nb", "a\r", "-----BEGIN PRIVATE KEY----- MIIE", &long, &deep] {
            let expected = file_path(&text.into()).unwrap_err();
            assert!(expected.to_string().contains("name the file here"), "{expected}");
        }
        assert_eq!(file_path(&"/run/key".into()), Ok("/run/key".into()));
        for value in [Value::from(5), "".into(), "a\u{1b}b".into()] {
            assert!(file_path(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn alternatives_read_as_a_sentence() {
        for (words, sentence) in [
            (&["a"][..], r#""a""#),
            (&["a", "b"], r#""a" or "b""#),
            (&["a", "b", "c"], r#""a", "b" or "c""#),
        ] {
            assert_eq!(Expected::OneOf(words.to_vec()).to_string(), sentence);
        }
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
