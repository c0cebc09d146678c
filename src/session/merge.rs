//! JSON merge patch (RFC 7396), applied to texts.

use std::borrow::Cow;
use std::collections::HashMap;

use super::dict::{Dict, members, unescape, write_object};

/// Applies `patch` to `target`. Members of the patch replace those of the target in their place or
/// are added at the end, `null` removes, objects are merged recursively. All other text stays
/// unchanged.
#[must_use]
pub(super) fn merge(target: &Dict, patch: &Dict) -> Dict {
    let merged = merge_objects(target.as_str(), patch.as_str());
    Dict::from_members(as_texts(&merged))
}

type Members<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// The recursion is limited by the patch to [`super::dict::MAX_DEPTH`]. The keys of the patch are
/// in a hash map: the work grows with the sum of the two lengths, not with their product.
fn merge_objects<'a>(target: &'a str, patch: &'a str) -> Members<'a> {
    // Below the top level, patch and target may have duplicate keys: the last one counts, in the
    // place of the first.
    let mut changes: HashMap<Cow<'a, [u8]>, Change<'a>> = HashMap::new();
    for (index, (key, value)) in members(patch).enumerate() {
        let change = changes.entry(unescape(key)).or_default();
        (change.last, change.key, change.value) = (index, key, value);
    }
    let mut merged: Vec<Option<(&'a str, Cow<'a, str>)>> = Vec::new();
    for (key, value) in members(target) {
        match changes.get_mut(unescape(key).as_ref()) {
            None => merged.push(Some((key, value.into()))),
            Some(change) => {
                if change.place.is_none() {
                    change.place = Some(merged.len());
                    merged.push(None);
                }
                change.old = Some(value);
            }
        }
    }
    // In the order of the patch.
    let mut changes: Vec<Change<'a>> = changes.into_values().collect();
    changes.sort_unstable_by_key(|change| change.last);
    for Change { key, value, place, old, .. } in changes {
        if value == "null" {
            continue;
        }
        let value = if value.starts_with('{') {
            let old = old.filter(|old| old.starts_with('{')).unwrap_or("{}");
            Cow::Owned(write_object(as_texts(&merge_objects(old, value))))
        } else {
            Cow::Borrowed(value)
        };
        match place {
            Some(place) => merged[place] = Some((key, value)),
            None => merged.push(Some((key, value))),
        }
    }
    merged.into_iter().flatten().collect()
}

/// A change that the patch makes to one key.
#[derive(Default)]
struct Change<'a> {
    /// The last position of the key in the patch.
    last: usize,
    /// The key and the value as written in the patch.
    key: &'a str,
    value: &'a str,
    /// The first position of the key in the target.
    place: Option<usize>,
    /// The target's value.
    old: Option<&'a str>,
}

fn as_texts<'a>(members: &'a Members<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    members.iter().map(|(key, value)| (*key, value.as_ref()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    fn merged(target: &str, patch: &str) -> String {
        let dict = |text: &str| Dict::parse(text.as_bytes()).unwrap();
        merge(&dict(target), &dict(patch)).as_str().to_owned()
    }

    #[test]
    fn the_examples_of_rfc_7396_appendix_a_hold() {
        for (target, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r"{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            (r"{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(merged(target, patch), expected, "{target} {patch}");
        }
    }

    #[test]
    fn what_the_patch_does_not_name_stays_as_it_was_written() {
        let target = r#"{"z":1.10,"a":1e400,"m":{"x":-0.0,"y":1}}"#;
        let patch = r#"{"m":{"y":null,"n":[null]},"new":"\ud800"}"#;
        let expected = r#"{"z":1.10,"a":1e400,"m":{"x":-0.0,"n":[null]},"new":"\ud800"}"#;
        assert_eq!(merged(target, patch), expected);
    }

    #[test]
    fn a_key_is_the_same_however_it_is_spelled() {
        assert_eq!(merged(r#"{"a":1,"b":2}"#, r#"{"\u0061":3}"#), r#"{"\u0061":3,"b":2}"#);
    }

    #[test]
    fn a_key_that_repeats_below_the_top_is_one_after_a_merge() {
        let target = r#"{"o":{"k":{"first":1},"x":0,"k":{"last":1}}}"#;
        let patch = r#"{"o":{"k":{"new":1}}}"#;
        assert_eq!(merged(target, patch), r#"{"o":{"k":{"last":1,"new":1},"x":0}}"#);
        assert_eq!(merged(target, r#"{"o":{"k":null}}"#), r#"{"o":{"x":0}}"#);
    }

    #[test]
    fn of_a_key_that_repeats_in_the_patch_the_last_one_counts() {
        for (target, patch, expected) in [
            (r"{}", r#"{"o":{"k":{"x":1},"\u006b":{}}}"#, r#"{"o":{"\u006b":{}}}"#),
            (r"{}", r#"{"o":{"k":{"x":1},"j":2,"k":3}}"#, r#"{"o":{"j":2,"k":3}}"#),
            (r#"{"o":{"k":{"a":1}}}"#, r#"{"o":{"k":null,"k":{}}}"#, r#"{"o":{"k":{"a":1}}}"#),
            (r#"{"o":{"k":1}}"#, r#"{"o":{"k":2,"k":null}}"#, r#"{"o":{}}"#),
        ] {
            assert_eq!(merged(target, patch), expected, "{target} {patch}");
        }
    }
}
