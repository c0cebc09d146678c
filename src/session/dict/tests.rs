#![allow(clippy::unwrap_used, reason = "tests may panic")]

use proptest::prelude::*;

use super::*;

fn dict(text: &str) -> Dict {
    Dict::parse(text.as_bytes()).unwrap()
}

#[test]
fn what_is_written_stays_as_it_is_written() {
    for text in [
        "{}",
        r#"{"n":1e400,"z":-0.0,"f":1.10,"i":123456789012345678901234567890,"e":1E+2}"#,
        r#"{"s":"\ud800","t":"\/\u0041\"","":[]}"#,
        r#"{"b":[true,false,null,{}],"a":{"c":{"c":1,"c":2}}}"#,
        r#"{"ä":"€😀"}"#,
    ] {
        assert_eq!(dict(text).as_str(), text);
    }
}

#[test]
fn white_space_between_tokens_goes_and_within_strings_stays() {
    let text = " {\r\n \"a b\" :\t[ 1 , \"x  \\\" y\" ] , \"c\" : { } } \n";
    assert_eq!(dict(text).as_str(), r#"{"a b":[1,"x  \" y"],"c":{}}"#);
}

#[test]
fn what_is_no_object_says_why() {
    use DictError::{NotAnObject, NotJson, NotUtf8, RepeatedKey};
    for (bytes, expected) in [
        (&b""[..], NotJson { at: 0 }),
        (b"[1]", NotAnObject),
        (b"\"a\"", NotAnObject),
        (b"null", NotAnObject),
        (b"-1", NotAnObject),
        (b"\xEF\xBB\xBF{}", NotJson { at: 0 }),
        (b"{\"a\":\"\xFF\"}", NotUtf8),
        (b"{\"a\":\"\xED\xA0\x80\"}", NotUtf8),
        (b"{\"a\":1}x", NotJson { at: 7 }),
        (b"{\"a\":01}", NotJson { at: 6 }),
        (b"{\"a\":1.}", NotJson { at: 7 }),
        (b"{\"a\":.5}", NotJson { at: 5 }),
        (b"{\"a\":+5}", NotJson { at: 5 }),
        (b"{\"a\":1e}", NotJson { at: 7 }),
        (b"{\"a\":NaN}", NotJson { at: 5 }),
        (b"{\"a\":tru}", NotJson { at: 5 }),
        (b"{\"a\":\"\x01\"}", NotJson { at: 6 }),
        (b"{\"a\":\"\\x\"}", NotJson { at: 7 }),
        (b"{\"a\":\"\\u12g4\"}", NotJson { at: 10 }),
        (b"{\"a\":\"", NotJson { at: 6 }),
        (b"{\"a\"}", NotJson { at: 4 }),
        (b"{\"a\":1,}", NotJson { at: 7 }),
        (b"{,}", NotJson { at: 1 }),
        (b"{a:1}", NotJson { at: 1 }),
        (b"{\"a\":[1,]}", NotJson { at: 8 }),
        (b"{\"a\":[1}", NotJson { at: 7 }),
        (b"{\"a\":1]", NotJson { at: 6 }),
        (b"{\"a\":{\"b\":1}", NotJson { at: 12 }),
        (b"{\"a\":1,\"a\":2}", RepeatedKey),
        (b"{\"a\":1,\"\\u0061\":2}", RepeatedKey),
        (b"{\"\\ud83d\\ude00\":1,\"\xF0\x9F\x98\x80\":2}", RepeatedKey),
    ] {
        assert_eq!(Dict::parse(bytes), Err(expected), "{}", bytes.escape_ascii());
    }
}

#[test]
fn keys_that_only_look_alike_are_two() {
    dict(r#"{"\ud800":1,"\ud801":2,"\udc00":3,"ud800":4,"a":5,"A":6}"#);
}

#[test]
fn depth_ends_at_128_levels() {
    let nested =
        |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    assert!(Dict::parse(nested(128).as_bytes()).is_ok());
    assert_eq!(Dict::parse(nested(129).as_bytes()), Err(DictError::TooDeep));
    assert_eq!(Dict::parse(nested(100_000).as_bytes()), Err(DictError::TooDeep));
    let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert!(Dict::parse(objects(128).as_bytes()).is_ok());
    assert_eq!(Dict::parse(objects(129).as_bytes()), Err(DictError::TooDeep));
}

#[test]
fn a_header_line_is_printable_ascii() {
    let text = "{\"ä\":\"\u{7f}€😀\u{80}\u{ffff}\"}";
    assert_eq!(dict(text).to_ascii(), r#"{"\u00e4":"\u007f\u20ac\ud83d\ude00\u0080\uffff"}"#);
}

#[test]
fn a_path_leads_to_a_value() {
    let dict = dict(r#"{"user":{"name":"ann","n\u0061me2":[1],"name":"bob"},"x":null}"#);
    for (path, expected) in [
        (&["user", "name"][..], Some("\"bob\"")),
        (&["user", "name2"], Some("[1]")),
        (&["user", "absent"], None),
        (&["x"], Some("null")),
        (&["x", "y"], None),
        (&["user", "name2", "0"], None),
    ] {
        assert_eq!(dict.get(path), expected, "{path:?}");
    }
}

/// JSON values as written by serde_json.
fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Eighths, because serde_json does not read every float back exactly.
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(".*", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = serde_json::Value> {
    prop::collection::hash_map(".*", json(), 0..6)
        .prop_map(|map| serde_json::Value::Object(map.into_iter().collect()))
}

proptest! {
    /// Key positions are noted only in short texts without white space.
    #[test]
    fn members_are_the_same_noted_or_looked_for(
        members in prop::collection::vec(("[a-z\\\\n]{0,3}", "(1|\"[a,:}\\\\\"]?\"|\\[2,3\\]|\\{\"b\":4\\})"), 0..24),
        space in "[ \n]?",
    ) {
        let members: Vec<_> = members
            .iter()
            .map(|(key, value)| (key.replace('\\', "\\u005C"), value.replace("\\", "").replace("\"\"\"", "\"\"")))
            .collect();
        let text: Vec<_> =
            members.iter().map(|(key, value)| format!("\"{key}\":{space}{value}")).collect();
        let text = format!("{{{}}}", text.join(","));
        let mut keys: Vec<_> = members.iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        keys.dedup();
        match Dict::parse(text.as_bytes()) {
            Ok(dict) => {
                prop_assert_eq!(keys.len(), members.len());
                let looked_for: Vec<_> = super::members(dict.as_str()).collect();
                let expected: Vec<_> =
                    members.iter().map(|(key, value)| (format!("\"{key}\""), value.clone())).collect();
                let noted: Vec<_> = dict.members().collect();
                prop_assert_eq!(&noted, &looked_for);
                let noted: Vec<_> =
                    noted.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
                prop_assert_eq!(noted, expected);
            }
            Err(error) => {
                prop_assert_eq!(error, DictError::RepeatedKey);
                prop_assert!(keys.len() < members.len());
            }
        }
    }

    #[test]
    fn every_object_survives(value in object()) {
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let dict = Dict::parse(pretty.as_bytes()).unwrap();
        prop_assert_eq!(dict.as_str(), serde_json::to_string(&value).unwrap());
        let ascii = dict.to_ascii();
        prop_assert_eq!(dict.ascii_bytes(), ascii.len());
        prop_assert!(ascii.bytes().all(|byte| (0x20..0x7F).contains(&byte)));
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&ascii).unwrap(), value);
    }

    #[test]
    fn members_are_those_of_the_object(value in object()) {
        let dict = Dict::parse(value.to_string().as_bytes()).unwrap();
        let members: serde_json::Map<String, serde_json::Value> = dict
            .members()
            .map(|(key, value)| (serde_json::from_str(key).unwrap(), serde_json::from_str(value).unwrap()))
            .collect();
        prop_assert_eq!(serde_json::Value::Object(members), value);
    }

    /// Both parsers must accept the same texts. Short strings of the relevant bytes reach most
    /// branches.
    #[test]
    fn the_verdict_is_that_of_serde_json(text in r#"\{["a:,\[\]\{\}0-9eE+.\\ut nrf-]{0,24}\}?"#) {
        let theirs = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text);
        let ours = Dict::parse(text.as_bytes());
        match (&ours, &theirs) {
            (Ok(_), Ok(_)) | (Err(_), Err(_)) | (Err(DictError::RepeatedKey), _) => {}
            // serde_json refuses numbers outside f64 and lone surrogates.
            (Ok(_), Err(error)) => prop_assert!(
                error.to_string().contains("number out of range") || error.to_string().contains("surrogate"),
                "{text}: {error}"
            ),
            (Err(error), Ok(_)) => prop_assert!(false, "{text}: {error}"),
        }
    }

    #[test]
    fn a_key_repeats_where_fewer_are_different(keys in prop::collection::vec("[a-c]{6,9}", 0..140)) {
        let members: Vec<String> = keys.iter().map(|key| format!(r#""{key}":1"#)).collect();
        let different: std::collections::HashSet<&String> = keys.iter().collect();
        let parsed = Dict::parse(format!("{{{}}}", members.join(",")).as_bytes());
        prop_assert_eq!(parsed.is_err(), different.len() < keys.len());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Dict::parse(&bytes);
        let _ = Dict::parse(&[b"{\"a\":", &bytes[..], b"}"].concat());
    }
}

#[test]
fn a_repeated_key_is_found_among_few_and_among_many() {
    for count in [2, 20, 127, 128, 129, 3000] {
        let key = |number: usize| format!(r#""key{number}":{number}"#);
        let keys: Vec<String> = (0..count).map(key).collect();
        let dict = |extra: &str| Dict::parse(format!("{{{}{extra}}}", keys.join(",")).as_bytes());
        assert!(dict("").is_ok(), "{count}");
        for repeated in [r#","key0":1"#, r#","k\u0065y1":1"#] {
            assert_eq!(dict(repeated), Err(DictError::RepeatedKey), "{count} and {repeated}");
        }
    }
}
