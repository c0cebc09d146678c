//! The key sets of Wycheproof and its mixed JOSE vectors, through `cloakroom token decode
//! --explain`: each set becomes the `[[keys]]` of a configuration, with their `kid` and `alg`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::corpora::corpus;
use crate::support::jwk::pem;

/// The result for a token under a set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Verifies,
    DoesNot,
    /// The keys are refused at the start, with exit code 2.
    KeysRefused,
}

/// Rejected by Wycheproof for a reason that does not apply to a configuration: file, number, why.
const NOT_A_QUESTION_HERE: [(&str, u64, &str); 3] = [
    ("key", 1, "a ring may hold secrets and key pairs: each key has its one algorithm"),
    ("key", 21, "a PEM file says nothing of a use"),
    ("crypto", 47, "a ring may hold secrets and key pairs: each key has its one algorithm"),
];

fn groups(file: &str) -> Vec<Value> {
    let path = corpus(&format!("wycheproof/json_web_{file}_test.json"));
    let text = std::fs::read_to_string(path).expect("the corpus is there");
    let mut vectors: Value = serde_json::from_str(&text).unwrap();
    let Value::Array(groups) = vectors["testGroups"].take() else { panic!("no groups") };
    groups
}

/// The keys of a group; their public keys are enough.
fn keys(group: &Value) -> Vec<Value> {
    let set = if group["public"].is_object() { &group["public"] } else { &group["private"] };
    set["keys"].as_array().cloned().unwrap_or_else(|| vec![set.clone()])
}

/// A configuration with an unrelated signing key, followed by the keys of the group. None if a key
/// lacks parts of its type.
fn configuration(folder: &Path, keys: &[Value]) -> Option<String> {
    let mut text = String::from(
        "listen = \"127.0.0.1:0\"\nbackend = \"http://127.0.0.1:1\"\n\
         [[keys]]\nid = \"own\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n",
    );
    for (number, key) in keys.iter().enumerate() {
        writeln!(text, "[[keys]]\nid = {}\nalgorithm = {}", key["kid"], key["alg"]).unwrap();
        if let Some(secret) = key["k"].as_str() {
            writeln!(text, "secret = \"{secret}\"\nsecret_encoding = \"base64\"").unwrap();
        } else {
            let file = folder.join(format!("{number}.pem"));
            std::fs::write(&file, pem(key)?).unwrap();
            writeln!(text, "public_key_file = {:?}", file.display().to_string()).unwrap();
        }
    }
    Some(text)
}

fn verdict(config: &Path, token: &str) -> Verdict {
    let output = Command::new(env!("CARGO_BIN_EXE_cloakroom"))
        .args(["token", "decode", "--explain", "--config"])
        .arg(config)
        .arg("--")
        .arg(token)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let why = String::from_utf8_lossy(&output.stderr);
    if told.contains("signature  verified by key") {
        return Verdict::Verifies;
    }
    match output.status.code() {
        Some(1) if told.contains("verdict") => Verdict::DoesNot,
        Some(2) if why.contains("keys[") => Verdict::KeysRefused,
        code => panic!("{code:?}: {told}{why}"),
    }
}

/// Tests every token of a file. Returns how many were tested; prints which were not.
fn judge(file: &str) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("cloakroom.toml");
    let (mut tried, mut faults) = (0, Vec::new());
    for group in groups(file) {
        let text = configuration(folder.path(), &keys(&group));
        std::fs::write(&config, text.as_deref().unwrap_or_default()).unwrap();
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let name = format!("{file} {id}, {}, {}", group["comment"], test["comment"]);
            if test["jwe"] != Value::Null {
                // Tested by `corpora_jwe`.
                continue;
            }
            if text.is_none() {
                assert_eq!(test["result"], "invalid", "{name}");
                println!("not tried, no file can hold the key: {name}");
                continue;
            }
            // A token in JSON serialization is tested as its text.
            let token = test["jws"].as_str().map_or_else(|| test["jws"].to_string(), str::to_owned);
            let verdict = verdict(&config, &token);
            tried += 1;
            let other =
                NOT_A_QUESTION_HERE.iter().find(|(of, number, _)| (*of, *number) == (file, id));
            if let Some((.., why)) = other {
                println!("judged otherwise ({verdict:?}), {why}: {name}");
            }
            let expected = test["result"] == "valid" || other.is_some();
            if (verdict == Verdict::Verifies) != expected {
                faults.push(format!("{name}: {}, but {verdict:?}", test["result"]));
            }
        }
    }
    assert!(faults.is_empty(), "{} of {tried} faults:\n{}", faults.len(), faults.join("\n"));
    tried
}

#[test]
#[ignore = "reads the folder that CLOAKROOM_CORPORA names"]
fn corpora_jwk_sets_are_taken_where_they_are_good() {
    let tried = judge("key");
    assert_eq!(tried, 25);
}

#[test]
#[ignore = "reads the folder that CLOAKROOM_CORPORA names"]
fn corpora_jose_verifies_where_it_is_valid_and_nowhere_else() {
    let tried = judge("crypto");
    assert_eq!(tried, 49);
}
