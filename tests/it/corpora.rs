//! Public collections of unusual input, read from the folder in `CLOAKROOM_CORPORA`. These tests
//! are ignored by default; `tests/run` runs them if it is set: `cargo test --test it -- --ignored
//! corpora`.

use std::path::PathBuf;

use crate::support::token::{base64, payload, unbase64};
use crate::support::{Answer, Backend, Protocol, Request, SetCookie, Sidecar, mint};

/// A file or folder of the corpora.
pub(crate) fn corpus(name: &str) -> PathBuf {
    let folder = std::env::var_os("CLOAKROOM_CORPORA");
    PathBuf::from(folder.expect("CLOAKROOM_CORPORA names the folder of the corpora")).join(name)
}

/// The parsing cases of JSONTestSuite by name: each as it is and, since a session is an object, as
/// the value of a member.
fn json_cases() -> Vec<(String, Vec<u8>)> {
    let folder = corpus("JSONTestSuite/test_parsing");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the corpus is there") {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read(&path).unwrap();
        let member = [b"{\"v\":", &text[..], b"}"].concat();
        cases.push((name.clone(), text));
        cases.push((format!("{name} as a member"), member));
    }
    assert!(cases.len() > 600, "only {} cases in {}", cases.len(), folder.display());
    cases
}

/// The result for a text on which RFC 8259 leaves the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Kept,
    Refused,
}
use Open::{Kept, Refused};

/// A verdict on each, so that a change is noticed; the manual has the rules.
const OPEN: [(&str, Open); 35] = [
    // Numbers of any size and precision are kept unchanged.
    ("i_number_double_huge_neg_exp", Kept),
    ("i_number_huge_exp", Kept),
    ("i_number_neg_int_huge_exp", Kept),
    ("i_number_pos_double_huge_exp", Kept),
    ("i_number_real_neg_overflow", Kept),
    ("i_number_real_pos_overflow", Kept),
    ("i_number_real_underflow", Kept),
    ("i_number_too_big_neg_int", Kept),
    ("i_number_too_big_pos_int", Kept),
    ("i_number_very_big_negative_int", Kept),
    // Lone surrogates, as escapes, are kept unchanged.
    ("i_object_key_lone_2nd_surrogate", Kept),
    ("i_string_1st_surrogate_but_2nd_missing", Kept),
    ("i_string_1st_valid_surrogate_2nd_invalid", Kept),
    ("i_string_incomplete_surrogate_and_escape_valid", Kept),
    ("i_string_incomplete_surrogate_pair", Kept),
    ("i_string_incomplete_surrogates_escape_valid", Kept),
    ("i_string_invalid_lonely_surrogate", Kept),
    ("i_string_invalid_surrogate", Kept),
    ("i_string_inverted_surrogates_U+1D11E", Kept),
    ("i_string_lone_second_surrogate", Kept),
    // Text that is not UTF-8 is not JSON.
    ("i_string_UTF-16LE_with_BOM", Refused),
    ("i_string_UTF-8_invalid_sequence", Refused),
    ("i_string_UTF8_surrogate_U+D800", Refused),
    ("i_string_invalid_utf-8", Refused),
    ("i_string_iso_latin_1", Refused),
    ("i_string_lone_utf8_continuation_byte", Refused),
    ("i_string_not_in_unicode_range", Refused),
    ("i_string_overlong_sequence_2_bytes", Refused),
    ("i_string_overlong_sequence_6_bytes", Refused),
    ("i_string_overlong_sequence_6_bytes_null", Refused),
    ("i_string_truncated-utf-8", Refused),
    ("i_string_utf16BE_no_BOM", Refused),
    ("i_string_utf16LE_no_BOM", Refused),
    // A byte order mark is not part of JSON.
    ("i_structure_UTF-8_BOM_empty_object", Refused),
    // The maximum is 128 levels.
    ("i_structure_500_nested_arrays", Refused),
];

fn is_kept(name: &str) -> bool {
    let bare = name.trim_end_matches(" as a member");
    let is_json = match &bare[..2] {
        "y_" => true,
        "i_" => {
            let row = OPEN.iter().find(|(open, _)| *open == bare);
            row.unwrap_or_else(|| panic!("no verdict on {bare}")).1 == Kept
        }
        _ => false,
    };
    // Valid JSON, but refused because of a duplicate key at the top level.
    let repeats = ["y_object_duplicated_key", "y_object_duplicated_key_and_value"].contains(&name);
    let is_object =
        bare != name || name.starts_with("y_object") || name == "i_object_key_lone_2nd_surrogate";
    is_json && is_object && !repeats
}

/// A text without white space between tokens.
fn compact(text: &[u8]) -> String {
    let text = String::from_utf8(text.to_vec()).expect("what is kept is UTF-8");
    let mut within = false;
    let mut escaped = false;
    text.chars()
        .filter(|&c| {
            let keep = within || !c.is_ascii_whitespace();
            within = if escaped || c != '"' { within } else { !within };
            escaped = within && c == '\\' && !escaped;
            keep
        })
        .collect()
}

#[test]
#[ignore = "reads the folder that CLOAKROOM_CORPORA names"]
fn corpora_json_is_saved_exactly_or_refused_with_the_old_session_intact() {
    let backend = Backend::plain();
    let tables = "[headers]\nencoding = \"base64url\"";
    let sidecar = Sidecar::before(&backend).with(tables).start();
    let mut client = sidecar.connect();
    let old = Request::get("/").session(&mint(r#"{"old":1}"#));
    let mut faults = Vec::new();
    for (name, text) in json_cases() {
        for header in ["X-Session-Save", "X-Session-Merge"] {
            backend.will(Answer::ok(&[(header, &base64(&text))]));
            client.send(old.bytes(Protocol::Http11));
            let response = client.receive("GET");
            let saved = SetCookie::of(&response).map(|cookie| payload(&cookie.value));
            let expected = match (is_kept(&name), header) {
                (false, _) => None,
                (true, "X-Session-Save") => Some(compact(&text)),
                // Merged with the existing members; a null removes a member, even if it does not
                // exist.
                (true, _) => merged(&name, &compact(&text)),
            };
            let status = if expected.is_some() { 200 } else { 502 };
            if response.status() != status || saved != expected {
                faults.push(format!("{name}, {header}: {}, {saved:?}", response.status()));
            }
            if response.status() != 200 {
                client = sidecar.connect();
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// The other direction, in tokens signed by others.
#[test]
#[ignore = "reads the folder that CLOAKROOM_CORPORA names"]
fn corpora_json_in_a_token_is_handed_on_exactly_or_is_no_session() {
    let backend = Backend::plain();
    let tables = "[headers]\nencoding = \"base64url\"\n[session]\nmax_cookie_bytes = 65536";
    let sidecar = Sidecar::before(&backend).with(tables).start();
    let mut client = sidecar.connect();
    let mut faults = Vec::new();
    for (name, text) in json_cases() {
        let token = mint(&text);
        if token.len() > 100_000 {
            println!("not tried, no cookie is that long: {name}");
            continue;
        }
        let expected = if is_kept(&name) { compact(&text) } else { "{}".into() };
        assert_eq!(client.exchange(&Request::get("/").session(&token)).status(), 200, "{name}");
        let arrived = backend.last().value("X-Session").map(|value| unbase64(&value));
        if arrived.as_deref() != Some(expected.as_bytes()) {
            let arrived =
                String::from_utf8_lossy(arrived.as_deref().unwrap_or_default()).into_owned();
            faults.push(format!("{name}: {arrived:.200?}, not {expected:.200?}"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
#[ignore = "reads the folder that CLOAKROOM_CORPORA names"]
fn corpora_json_has_a_verdict_on_each_open_case_and_no_other() {
    let cases = json_cases();
    for (name, verdict) in OPEN {
        assert!(cases.iter().any(|(case, _)| case == name), "{name} ({verdict:?}) is not there");
    }
}

fn merged(name: &str, patch: &str) -> Option<String> {
    match patch {
        // Merging an object value removes duplicate keys in it.
        _ if name == "y_object_duplicated_key as a member" => {
            Some(r#"{"old":1,"v":{"a":"c"}}"#.into())
        }
        _ if name == "y_object_duplicated_key_and_value as a member" => {
            Some(r#"{"old":1,"v":{"a":"b"}}"#.into())
        }
        "{}" | r#"{"v":null}"# => Some(r#"{"old":1}"#.into()),
        _ => Some(format!(r#"{{"old":1,{}"#, &patch[1..])),
    }
}
