//! The files under `config/` say what the code does.

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

fn effective(text: &str) -> toml::Table {
    parse(text, Path::new("sample.toml"), &Overrides::default()).unwrap().effective
}

/// The sample with every optional key: whatever has no space behind its `#`.
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

#[test]
fn the_full_sample_has_every_key() {
    let text = uncommented();
    let tree = DeTable::parse(&text).unwrap();
    let mut document = Document::new(Path::new("f"), &text);
    let _ = Table::top(&mut document, tree.get_ref())
        .read(|table| everything(table, &Overrides::default()));
    let known = document.known_keys();

    let mut in_sample = BTreeSet::new();
    collect("", &toml::Value::Table(text.parse().unwrap()), &mut in_sample);
    // The entries of this table are the operator's own.
    in_sample.retain(|key| !key.starts_with("headers.claims."));
    assert_eq!(known, in_sample);
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

proptest! {
    /// Whatever becomes of a file: a configuration, or faults that can be shown.
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
