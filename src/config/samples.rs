//! Tests that the files in `config/` and docs/configuration.md match the code.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use toml::de::DeTable;

use super::StoreHome;
use super::file::{Overrides, everything, parse};
use super::reader::{Document, Table};

const FULL: &str = include_str!("../../config/cloakroom.toml");
const MINIMAL: &str = include_str!("../../config/minimal.toml");
const STORE: &str = include_str!("../../config/store.toml");
const HARDENED: &str = include_str!("../../config/hardened.toml");
const REFERENCE: &str = include_str!("../../docs/configuration.md");

fn effective(text: &str) -> toml::Table {
    parse(text, Path::new("sample.toml"), &Overrides::default()).unwrap().effective
}

/// The sample with every optional key enabled: those without a space after `#`.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.is_empty() && !key.starts_with(' ') => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    FULL.lines().map(line).collect()
}

#[test]
fn the_defaults_in_the_full_sample_are_those_in_force() {
    let mut full = effective(FULL);
    let mut minimal = effective(MINIMAL);
    for table in [&mut full, &mut minimal] {
        assert!(table.remove("listen").is_some());
        assert!(table.remove("backend").is_some());
    }
    assert_eq!(full, minimal);
}

#[test]
fn the_sample_with_a_store_is_sound() {
    let store = parse(STORE, Path::new("store.toml"), &Overrides::default()).unwrap().config.store;
    let home = StoreHome::File("/var/lib/cloakroom/sessions.db".into());
    assert_eq!(store.unwrap().home, home);
}

#[test]
fn the_hardened_sample_is_sound_and_leaves_nothing_to_warn_of() {
    let hardened = parse(HARDENED, Path::new("hardened.toml"), &Overrides::default()).unwrap();
    assert_eq!(hardened.warnings, [""; 0]);
}

#[test]
fn the_full_sample_uncommented_is_sound_but_for_the_choice_of_secrets() {
    let faults = parse(&uncommented(), Path::new("f"), &Overrides::default()).unwrap_err();
    let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "keys[1] has secret_file and secret_env and secret and private_key_file and public_key_file: expected only one of them"
        ]
    );
}

/// Every key that the code reads, by its full name; `[]` stands for an index in an array.
fn known_keys() -> BTreeSet<String> {
    let text = uncommented();
    let tree = DeTable::parse(&text).unwrap();
    let mut document = Document::new(Path::new("f"), &text);
    let _ = Table::top(&mut document, tree.get_ref())
        .read(|table| everything(table, &Overrides::default()));
    document.known_keys()
}

#[test]
fn the_full_sample_has_every_key() {
    let text = uncommented();
    let mut in_sample = BTreeSet::new();
    collect("", &toml::Value::Table(text.parse().unwrap()), &mut in_sample);
    // The operator chooses the keys of this table.
    in_sample.retain(|key| !key.starts_with("headers.claims."));
    assert_eq!(known_keys(), in_sample);
}

fn collect(path: &str, value: &toml::Value, keys: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                keys.insert(path.clone());
                collect(&path, value, keys);
            }
        }
        toml::Value::Array(values) => {
            for value in values {
                collect(&format!("{path}[]"), value, keys);
            }
        }
        _ => {}
    }
}

#[test]
fn each_key_of_the_full_sample_is_explained() {
    let lines: Vec<&str> = FULL.lines().collect();
    for pair in lines.windows(2) {
        let key = pair[1].trim_start_matches('#');
        if pair[1].starts_with("# ") || !key.contains(" = ") {
            continue;
        }
        let explained = pair[0].starts_with("# ") || pair[0] == "[headers.claims]";
        assert!(explained, "{key}");
    }
}

/// The rows of docs/configuration.md: a key with its table, as in [`Document::known_keys`], and its
/// default.
fn reference() -> Vec<(String, &'static str)> {
    let mut rows = Vec::new();
    let mut table = None;
    for line in REFERENCE.lines() {
        if let Some(heading) = line.strip_prefix("##") {
            let heading = heading.trim_start_matches('#').trim();
            table = match heading.strip_prefix("`[").and_then(|name| name.strip_suffix("]`")) {
                Some(name) => {
                    Some(name.strip_prefix('[').map_or(name.to_owned(), |n| n.replace(']', "[]")))
                }
                None => (heading == "Top level").then(String::new),
            };
        }
        let (Some(table), Some(row)) = (&table, line.strip_prefix("| `")) else { continue };
        let (key, rest) = row.split_once("` | ").unwrap();
        let (default, meaning) = rest.split_once(" | ").unwrap();
        assert!(meaning.len() > 5, "{key} is not explained");
        let dot = if table.is_empty() { "" } else { "." };
        rows.push((format!("{table}{dot}{key}"), default));
    }
    rows
}

#[test]
fn the_reference_has_every_key_once() {
    let mut documented: Vec<String> = reference().into_iter().map(|(key, _)| key).collect();
    documented.retain(|key| !key.starts_with("headers.claims."));
    documented.sort();
    let all = known_keys();
    // There a table is a heading, not a row.
    let is_table = |key: &str| {
        let below = [format!("{key}."), format!("{key}[].")];
        key == "headers.claims"
            || all.iter().any(|other| below.iter().any(|b| other.starts_with(b)))
    };
    let known: Vec<String> = all.iter().filter(|key| !is_table(key)).cloned().collect();
    assert_eq!(documented, known);
}

#[test]
fn the_defaults_in_the_reference_are_those_in_force() {
    let least = toml::Value::Table(effective(&format!("{MINIMAL}[[routes]]\npath = \"/\"\n")));
    let in_words =
        ["listen", "backend", "workers", "routes[].path", "keys[].secret_file"].map(str::to_owned);
    for (key, default) in reference() {
        let mut value = Some(&least);
        for part in key.split('.') {
            value = value.and_then(|table| match part.strip_suffix("[]") {
                Some(array) => table.get(array)?.get(0),
                None => table.get(part),
            });
        }
        let written = default.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
        match written.and_then(|text| format!("v = {text}").parse::<toml::Table>().ok()) {
            Some(written) => assert_eq!(value, written.get("v"), "{key}"),
            None => assert!(value.is_none() || in_words.contains(&key), "{key} = {value:?}"),
        }
    }
}

#[test]
fn the_reference_has_every_control_header() {
    let names = &effective(MINIMAL)["headers"];
    let page = include_str!("../../docs/headers.md").split_once("## From the app").unwrap().1;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<&str> = rows.filter_map(|row| row.split([':', '`']).next()).collect();
    let keys = ["save", "merge", "delete", "max_age", "renew"];
    assert_eq!(documented, keys.map(|key| names[key].as_str().unwrap()).into());
}

proptest! {
    /// A damaged file gives either a configuration or printable faults.
    #[test]
    fn a_damaged_sample_is_read_or_has_faults(
        cut in 0..uncommented().len(),
        skip in 0..40_usize,
        put in "[\\[\\]{}=\"'#.,\n a-z0-9é]{0,6}",
    ) {
        let text = uncommented();
        let tail: String = text.chars().skip(cut + skip).collect();
        let head: String = text.chars().take(cut).collect();
        let damaged = format!("{head}{put}{tail}");
        if let Err(faults) = parse(&damaged, Path::new("f"), &Overrides::default()) {
            prop_assert!(!faults.is_empty());
            let lines = 1 + damaged.matches('\n').count();
            for fault in faults {
                prop_assert!((1..=lines).contains(&fault.line), "{fault}");
                prop_assert!(!fault.message.contains('\n'), "{fault}");
                prop_assert!(!fault.message.contains("a-secret-of"), "{fault}");
            }
        }
    }
}
