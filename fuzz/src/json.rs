//! Comparison with another JSON parser.

use cloakroom::session::dict::{Dict, DictError};
use serde_json::{Map, Value};

/// The value that `serde_json` reads from a dict; None if it accepts less, which concerns numbers
/// outside f64, lone surrogates and the deepest nesting.
///
/// Panics if the two disagree about what an object is.
pub(crate) fn checked(bytes: &[u8], dict: &Result<Dict, DictError>) -> Option<Map<String, Value>> {
    let theirs = serde_json::from_slice::<Map<String, Value>>(bytes);
    match (dict, theirs) {
        (Ok(_), Ok(theirs)) => Some(theirs),
        (Ok(_), Err(error)) => {
            let reads_less = ["out of range", "surrogate", "end of hex escape", "recursion limit"];
            let error = error.to_string();
            assert!(reads_less.iter().any(|reason| error.contains(reason)), "a dict, but {error}");
            None
        }
        (Err(DictError::RepeatedKey | DictError::TooDeep), _) | (Err(_), Err(_)) => None,
        (Err(error), Ok(_)) => panic!("an object, but {error}"),
    }
}

/// Properties of every dict.
pub(crate) fn sound(dict: &Dict) {
    let text = dict.as_str();
    let again = Dict::parse(text.as_bytes()).expect("a dict is a dict");
    assert_eq!(again.as_str(), text, "as it was written");
    let members: Vec<String> =
        dict.members().map(|(key, value)| format!("{key}:{value}")).collect();
    assert_eq!(format!("{{{}}}", members.join(",")), text, "the members are all there is");
    assert_eq!(dict.is_empty(), members.is_empty());

    let ascii = dict.to_ascii();
    assert_eq!(dict.ascii_bytes(), ascii.len(), "counted as it is written");
    assert!(ascii.bytes().all(|byte| (0x20..0x7F).contains(&byte)), "one line of printable ASCII");
    let escaped = Dict::parse(ascii.as_bytes()).expect("escaped, it is a dict");
    assert_eq!(escaped.to_ascii(), ascii, "escaped once, escaped for good");
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        let escaped = serde_json::from_str::<Value>(&ascii).expect("as readable as it was");
        assert_eq!(escaped, value, "escapes mean what they stand for");
    }
}
