//! Applies the changes of one save to a dict that another save has written meanwhile.

use std::borrow::Cow;
use std::collections::HashMap;

use super::dict::{Dict, unescape};

/// `theirs` with the changes from `base` to `mine`: the top-level keys that were added, changed or
/// removed. Values are compared as text.
///
/// Existing keys keep the order of `theirs`; new keys follow in the order of `mine`. If both
/// changed a key, `mine` wins, since it is the later save. Keys are in a hash map: the work grows
/// with the sum of the lengths, not with their product.
#[must_use]
pub fn rebase(base: &Dict, mine: &Dict, theirs: &Dict) -> Dict {
    if theirs == base {
        return mine.clone();
    }
    let mut changes = changes(base, mine);
    if changes.is_empty() {
        return theirs.clone();
    }
    let mut rebased: Vec<(&str, &str)> = Vec::new();
    for (key, value) in theirs.members() {
        match changes.remove(unescape(key).as_ref()) {
            None => rebased.push((key, value)),
            Some(Change::Set { key, value, .. }) => rebased.push((key, value)),
            Some(Change::Removed) => {}
        }
    }
    let mut added: Vec<(usize, &str, &str)> = changes
        .into_values()
        .filter_map(|change| match change {
            Change::Set { place, key, value } => Some((place, key, value)),
            Change::Removed => None,
        })
        .collect();
    added.sort_unstable();
    rebased.extend(added.into_iter().map(|(_, key, value)| (key, value)));
    Dict::from_members(rebased.into_iter())
}

/// The change of one key.
enum Change<'a> {
    /// It was added or has another value.
    Set {
        /// Its position among the members.
        place: usize,
        /// The key as written, with its quotes.
        key: &'a str,
        value: &'a str,
    },
    /// It was removed.
    Removed,
}

/// The changes by unescaped key, since a key can be spelled in several ways.
fn changes<'a>(base: &'a Dict, mine: &'a Dict) -> HashMap<Cow<'a, [u8]>, Change<'a>> {
    let mut before: HashMap<_, _> =
        base.members().map(|(key, value)| (unescape(key), value)).collect();
    let mut changes = HashMap::new();
    for (place, (key, value)) in mine.members().enumerate() {
        let name = unescape(key);
        if before.remove(&name) != Some(value) {
            changes.insert(name, Change::Set { place, key, value });
        }
    }
    changes.extend(before.into_keys().map(|name| (name, Change::Removed)));
    changes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn dict(text: &str) -> Dict {
        Dict::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_a_save_changed_is_put_into_what_is_there_now() {
        for (base, mine, theirs, expected) in [
            // Keys added, changed and removed, next to other changes.
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#, r#"{"a":1,"c":3}"#, r#"{"a":1,"c":3,"b":2}"#),
            (r#"{"a":1}"#, r#"{"a":2}"#, r#"{"c":3,"a":1}"#, r#"{"c":3,"a":2}"#),
            (r#"{"a":1,"b":2}"#, r#"{"b":2}"#, r#"{"a":1,"b":3}"#, r#"{"b":3}"#),
            // Keys that this save did not change keep the value of the other save.
            (r#"{"a":1,"b":2}"#, r#"{"a":9,"b":2}"#, r#"{"a":1}"#, r#"{"a":9}"#),
            // Both changed the key: the later save wins.
            (r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#, r#"{"a":2}"#),
            (r#"{"a":1}"#, "{}", r#"{"a":3,"b":1}"#, r#"{"b":1}"#),
            (r#"{"a":1}"#, r#"{"a":2}"#, "{}", r#"{"a":2}"#),
            // Values are compared as text and keep their digits.
            (r#"{"n":1.0}"#, r#"{"n":1.00}"#, r#"{"n":1.0,"m":1e400}"#, r#"{"n":1.00,"m":1e400}"#),
            (
                r#"{"o":{"x":1,"y":1}}"#,
                r#"{"o":{"x":2,"y":1}}"#,
                r#"{"o":{"x":1,"y":2}}"#,
                r#"{"o":{"x":2,"y":1}}"#,
            ),
            // The same key in another spelling.
            (r#"{"a":1}"#, r#"{"\u0061":1}"#, r#"{"a":2}"#, r#"{"a":2}"#),
            (r#"{"a":1}"#, r#"{"\u0061":2}"#, r#"{"b":1,"a":1}"#, r#"{"b":1,"\u0061":2}"#),
        ] {
            let rebased = rebase(&dict(base), &dict(mine), &dict(theirs));
            assert_eq!(rebased.as_str(), expected, "{base} {mine} {theirs}");
        }
    }

    #[test]
    fn new_keys_come_in_the_order_of_the_save() {
        let keys: Vec<String> = (0..50).rev().map(|n| format!(r#""k{n}":{n}"#)).collect();
        let mine = format!("{{{}}}", keys.join(","));
        let rebased = rebase(&dict("{}"), &dict(&mine), &dict(r#"{"z":1}"#));
        assert_eq!(rebased.as_str(), format!(r#"{{"z":1,{}}}"#, keys.join(",")));
    }

    fn members(dict: &Dict) -> BTreeMap<Vec<u8>, String> {
        let members = dict.members();
        members.map(|(key, value)| (unescape(key).into_owned(), value.to_owned())).collect()
    }

    prop_compose! {
        /// Few keys, some in another spelling, and few values, so that many are equal.
        fn small_dict()(members in prop::collection::vec((0..6usize, any::<bool>(), 0..3usize), 0..6)) -> Dict {
            let mut texts = BTreeMap::new();
            for (key, escaped, value) in members {
                let spelled = match escaped {
                    true => format!("\"\\u006{}\"", key + 1),
                    false => format!("\"{}\"", ["a", "b", "c", "d", "e", "f"][key]),
                };
                texts.insert(key, format!("{spelled}:{}", ["1", "null", r#"{"x":[1]}"#][value]));
            }
            let texts: Vec<String> = texts.into_values().collect();
            dict(&format!("{{{}}}", texts.join(",")))
        }
    }

    proptest! {
        #[test]
        fn where_nobody_else_wrote_it_is_the_save(base in small_dict(), mine in small_dict()) {
            prop_assert_eq!(rebase(&base, &mine, &base), mine);
        }

        #[test]
        fn a_save_that_changes_nothing_changes_nothing(base in small_dict(), theirs in small_dict()) {
            prop_assert_eq!(rebase(&base, &base, &theirs), theirs);
        }

        #[test]
        fn each_key_is_mine_where_i_changed_it_and_else_theirs(
            base in small_dict(), mine in small_dict(), theirs in small_dict()
        ) {
            let rebased = rebase(&base, &mine, &theirs);
            // The result is a valid, compact dict.
            prop_assert_eq!(&dict(rebased.as_str()), &rebased);
            let [base, mine, theirs, rebased] = [&base, &mine, &theirs, &rebased].map(members);
            for key in base.keys().chain(mine.keys()).chain(theirs.keys()) {
                let changed = mine.get(key) != base.get(key);
                let expected = if changed { mine.get(key) } else { theirs.get(key) };
                prop_assert_eq!(rebased.get(key), expected);
            }
            prop_assert!(rebased.keys().all(|key| mine.contains_key(key) || theirs.contains_key(key)));
        }

        #[test]
        fn a_second_time_changes_nothing_more(
            base in small_dict(), mine in small_dict(), theirs in small_dict()
        ) {
            let once = rebase(&base, &mine, &theirs);
            prop_assert_eq!(members(&rebase(&base, &mine, &once)), members(&once));
        }
    }
}
