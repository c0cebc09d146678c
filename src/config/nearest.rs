//! Suggests existing keys for unknown ones.

use std::collections::BTreeSet;

use super::reader::place::{join, numberless};

/// The message about an unknown key `key` in the table `table`. `known` has all valid keys; `[]`
/// stands for an index in an array of tables.
pub(super) fn unknown_key(
    table: &str,
    key: &str,
    known: &BTreeSet<(String, &'static str)>,
) -> String {
    let unknown = format!("unknown key {}", join(table, key));
    let schema = numberless(table);
    let here = known.iter().filter(|(table, _)| *table == schema).map(|(_, key)| *key);
    if let Some(near) = here.clone().filter_map(|known| near(key, known)).min() {
        return format!("{unknown}; did you mean {}?", join(table, near.1));
    }
    // The key exists in another table; most often a top-level key was written below a header.
    let elsewhere = known.iter().find(|(_, known)| fold(known) == fold(key));
    if let Some((table, key)) = elsewhere {
        return match table.strip_suffix("[]") {
            None if table.is_empty() => {
                format!("{unknown}; {key} goes to the top of the file, above the first [table]")
            }
            None => format!("{unknown}; did you mean {}?", join(table, key)),
            Some(array) => format!("{unknown}; did you mean {key} in [[{array}]]?"),
        };
    }
    let expected: Vec<&str> = here.collect();
    format!("{unknown}; known here: {}", expected.join(", "))
}

/// The edit distance, if it is small enough to be a typing error.
pub(super) fn near<'a>(written: &str, known: &'a str) -> Option<(usize, &'a str)> {
    let distance = strsim::damerau_levenshtein(&fold(written), &fold(known));
    (distance <= known.len().div_ceil(4)).then_some((distance, known))
}

/// `sameSite`, `same-site` and `SAME_SITE` are all `same_site`.
fn fold(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_named_wherever_it_belongs() {
        let known: BTreeSet<(String, &'static str)> = [
            ("", "listen"),
            ("", "cookie"),
            ("", "keys"),
            ("cookie", "same_site"),
            ("cookie", "name"),
            ("session", "ttl"),
            ("session", "vary"),
            ("keys[]", "secret_file"),
            ("keys[]", "id"),
        ]
        .map(|(table, key)| (table.to_owned(), key))
        .into();
        let table = [
            ("", "lisen", "unknown key lisen; did you mean listen?"),
            ("", "Cookies", "unknown key Cookies; did you mean cookie?"),
            ("cookie", "sameSite", "unknown key cookie.sameSite; did you mean cookie.same_site?"),
            ("session", "tll", "unknown key session.tll; did you mean session.ttl?"),
            ("cookie", "ttl", "unknown key cookie.ttl; did you mean session.ttl?"),
            ("", "id", "unknown key id; did you mean id in [[keys]]?"),
            (
                "keys[2]",
                "secret-files",
                "unknown key keys[2].secret-files; did you mean keys[2].secret_file?",
            ),
            (
                "keys[2]",
                "listen",
                "unknown key keys[2].listen; listen goes to the top of the file, above the first \
                 [table]",
            ),
            ("session", "a b", r#"unknown key session."a b"; known here: ttl, vary"#),
        ];
        for (table, key, message) in table {
            assert_eq!(unknown_key(table, key, &known), message);
        }
    }
}
