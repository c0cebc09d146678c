//! Public collections of odd input, read from the folder that `CLOAKROOM_CORPORA` names. Without
//! it these tests do nothing, and `tests/run` says so.

use std::path::PathBuf;

use crate::support::token::{base64, payload};
use crate::support::{Answer, Backend, Protocol, Request, SetCookie, Sidecar, mint};

fn folder(name: &str) -> Option<PathBuf> {
    std::env::var_os("CLOAKROOM_CORPORA").map(|folder| PathBuf::from(folder).join(name))
}

/// The parsing cases of JSONTestSuite by name, each as it is and, since a session is an object, as
/// the value of a member.
fn json_cases() -> Vec<(String, Vec<u8>)> {
    let Some(folder) = folder("JSONTestSuite/test_parsing") else { return Vec::new() };
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

/// What RFC 8259 leaves open: numbers of any size and lone surrogates as escapes are kept as they
/// are written; what is not UTF-8 is not JSON, a byte order mark is none of it, and 500 levels are
/// too deep.
fn is_kept(name: &str) -> bool {
    const REFUSED: [&str; 14] = [
        "i_string_UTF-16LE_with_BOM",
        "i_string_UTF-8_invalid_sequence",
        "i_string_UTF8_surrogate_U+D800",
        "i_string_invalid_utf-8",
        "i_string_iso_latin_1",
        "i_string_lone_utf8_continuation_byte",
        "i_string_not_in_unicode_range",
        "i_string_overlong_sequence_2_bytes",
        "i_string_overlong_sequence_6_bytes",
        "i_string_overlong_sequence_6_bytes_null",
        "i_string_truncated-utf-8",
        "i_string_utf16BE_no_BOM",
        "i_string_utf16LE_no_BOM",
        "i_structure_500_nested_arrays",
    ];
    let bare = name.trim_end_matches(" as a member");
    let is_json = match &bare[..2] {
        "y_" => true,
        "i_" => !REFUSED.contains(&bare) && bare != "i_structure_UTF-8_BOM_empty_object",
        _ => false,
    };
    // A key that stands twice at the top is refused, though it is JSON.
    let repeats = ["y_object_duplicated_key", "y_object_duplicated_key_and_value"].contains(&name);
    let is_object =
        bare != name || name.starts_with("y_object") || name == "i_object_key_lone_2nd_surrogate";
    is_json && is_object && !repeats
}

/// A text without the white space between its tokens.
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
                // Beside what was there; a null takes away what was not.
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

fn merged(name: &str, patch: &str) -> Option<String> {
    match patch {
        // Merging a value that is an object leaves one of a key that stands twice in it.
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
