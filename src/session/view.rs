//! Which top-level keys of a dict the app on a route can read and write.

use std::sync::Arc;

use super::dict::{Dict, unescape};

/// The top-level keys that an app can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The unescaped keys, sorted.
    keys: Arc<[Box<[u8]>]>,
}

impl View {
    /// Takes unescaped keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = String>) -> Self {
        let mut keys: Vec<Box<[u8]>> =
            keys.into_iter().map(|key| key.into_bytes().into_boxed_slice()).collect();
        keys.sort_unstable();
        keys.dedup();
        Self { keys: keys.into() }
    }

    /// The keys that are visible in both views.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let both = self.keys.iter().filter(|key| other.keys.binary_search(key).is_ok());
        Self { keys: both.cloned().collect() }
    }

    /// Whether a key is visible. It is given as written in the dict, with its quotes, since a key
    /// can be spelled in several ways.
    pub(super) fn shows(&self, key: &str) -> bool {
        let name = unescape(key);
        self.keys.binary_search_by(|shown| (**shown).cmp(&name)).is_ok()
    }

    /// The visible part of a dict.
    #[must_use]
    pub fn of(&self, dict: &Dict) -> Dict {
        Dict::from_members(dict.members().filter(|(key, _)| self.shows(key)))
    }

    /// `current` with its visible part replaced by `seen`. Hidden members come first, as written.
    #[must_use]
    pub(super) fn put(&self, seen: &Dict, current: &Dict) -> Dict {
        let hidden = current.members().filter(|(key, _)| !self.shows(key));
        Dict::from_members(hidden.chain(seen.members()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::directive::{Directive, Save};
    use super::super::rebase::rebase;
    use super::*;

    fn dict(text: &str) -> Dict {
        Dict::parse(text.as_bytes()).unwrap()
    }

    fn view(keys: &[&str]) -> View {
        View::new(keys.iter().map(|&key| key.to_owned()))
    }

    fn save(save: Option<&str>, patch: Option<&str>) -> Directive {
        Directive::Save(Save { dict: save.map(dict), patch: patch.map(dict), ..Save::default() })
    }

    #[test]
    fn keys_are_seen_however_they_are_spelled() {
        let all = dict(r#"{"user":{"id":1},"l\u0061ng":"de","cart":[1],"é":1,"\u00e9e":2,"":0}"#);
        for (keys, seen) in [
            (&["user", "lang"][..], r#"{"user":{"id":1},"l\u0061ng":"de"}"#),
            (&["é"], r#"{"é":1}"#),
            (&["ée"], r#"{"\u00e9e":2}"#),
            (&["id", "User"], "{}"),
            (&[], "{}"),
        ] {
            assert_eq!(view(keys).of(&all).as_str(), seen, "{keys:?}");
        }
        assert_eq!(view(&["a", "b"]).and(&view(&["b", "c"])), view(&["b"]));
    }

    #[test]
    fn a_save_leaves_what_is_hidden_as_it_is() {
        let view = view(&["a", "b"]);
        let current = dict(r#"{"a":1,"x":1.0,"b":2,"\u0079":[ ]}"#);
        assert_eq!(
            view.put(&dict(r#"{"b":3}"#), &current).as_str(),
            r#"{"x":1.0,"\u0079":[],"b":3}"#
        );
        assert_eq!(view.put(&dict("{}"), &dict(r#"{"a":1}"#)).as_str(), "{}");
    }

    #[test]
    fn what_names_a_hidden_key_is_broken() {
        let view = view(&["a"]);
        for (saved, patch, is_broken) in [
            (Some(r#"{"a":1}"#), None, false),
            (Some("{}"), Some(r#"{"\u0061":null}"#), false),
            (None, None, false),
            (Some(r#"{"a":1,"x":1}"#), None, true),
            (None, Some(r#"{"x":null}"#), true),
            (Some(r#"{"a":1}"#), Some(r#"{"x":null}"#), true),
        ] {
            let limited = save(saved, patch).within(&view);
            let found = matches!(limited, Directive::Broken(_));
            assert_eq!(found, is_broken, "{saved:?} {patch:?}");
        }
        let delete = Directive::Delete { all: true, beside_a_save: false };
        assert_eq!(delete.clone().within(&view), delete);
    }

    const KEYS: [&str; 6] = ["a", "b", "c", "d", "é", ""];

    fn members(dict: &Dict) -> BTreeMap<Vec<u8>, String> {
        let members = dict.members();
        members.map(|(key, value)| (unescape(key).into_owned(), value.to_owned())).collect()
    }

    /// The hidden members, as written.
    fn hidden(view: &View, dict: &Dict) -> Vec<(String, String)> {
        let hidden = dict.members().filter(|(key, _)| !view.shows(key));
        hidden.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    prop_compose! {
        /// Few keys, some in another spelling, and few values, so that many are equal.
        fn small_dict()(members in prop::collection::vec((0..KEYS.len(), any::<bool>(), 0..4usize), 0..7)) -> Dict {
            let mut texts = BTreeMap::new();
            for (key, escaped, value) in members {
                let mut spelled = String::new();
                for unit in KEYS[key].encode_utf16() {
                    spelled.push_str(&format!("\\u{unit:04x}"));
                }
                let spelled = if escaped { &spelled } else { KEYS[key] };
                let value = ["1", "null", r#"{"x":[1]}"#, r#"{"y":null}"#][value];
                texts.insert(key, format!("\"{spelled}\":{value}"));
            }
            let texts: Vec<String> = texts.into_values().collect();
            dict(&format!("{{{}}}", texts.join(",")))
        }
    }

    prop_compose! {
        fn any_view()(keys in prop::collection::vec(0..KEYS.len(), 0..5)) -> View {
            View::new(keys.into_iter().map(|key| KEYS[key].to_owned()))
        }
    }

    proptest! {
        #[test]
        fn what_a_view_hides_is_never_sent_and_never_changed(
            whole in small_dict(), theirs in small_dict(), view in any_view(),
            saved in proptest::option::of(small_dict()), patch in proptest::option::of(small_dict()),
        ) {
            let seen = view.of(&whole);
            prop_assert!(hidden(&view, &seen).is_empty());
            prop_assert!(seen.members().eq(whole.members().filter(|(key, _)| view.shows(key))));

            let asked = Save { dict: saved.clone(), patch: patch.clone(), ..Save::default() };
            let names_hidden = [&saved, &patch]
                .into_iter()
                .flatten()
                .any(|dict| !hidden(&view, dict).is_empty());
            match Directive::Save(asked).within(&view) {
                Directive::Broken(_) => prop_assert!(names_hidden),
                Directive::Save(save) => {
                    prop_assert!(!names_hidden);
                    let mine = save.apply(&whole);
                    prop_assert_eq!(hidden(&view, &mine), hidden(&view, &whole));
                    // The result is a valid dict, and the app sees the same as without a view.
                    prop_assert_eq!(&dict(mine.as_str()), &mine);
                    let plain = Save { dict: saved, patch, ..Save::default() };
                    prop_assert_eq!(members(&view.of(&mine)), members(&plain.apply(&seen)));
                    // On top of what others wrote meanwhile, in both ways.
                    for rebased in [save.apply(&theirs), rebase(&whole, &mine, &theirs)] {
                        let (left, there) = (hidden(&view, &rebased), hidden(&view, &theirs));
                        prop_assert_eq!(left.len(), there.len());
                        let as_members = |all: Vec<(String, String)>| -> BTreeMap<Vec<u8>, String> {
                            all.into_iter().map(|(k, v)| (unescape(&k).into_owned(), v)).collect()
                        };
                        prop_assert_eq!(as_members(left), as_members(there));
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
