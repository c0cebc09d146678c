//! The JWE vectors of Wycheproof, through `cloakroom token decode --explain`. None of them uses a
//! key of 32 bytes that seals directly (`dir`, `A256GCM`), so none may open: neither with the keys
//! as they are, which every configuration refuses, nor with those of 32 bytes as A256GCM keys. The
//! changes that they make to their tokens are also made to one of ours.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::corpora::corpus;
use crate::support::token::{SEALED_HEADER, base64, seal_as, unbase64};

fn groups(file: &str) -> Vec<Value> {
    let path = corpus(&format!("wycheproof/json_web_{file}_test.json"));
    let text = std::fs::read_to_string(path).expect("the corpus is there");
    let mut vectors: Value = serde_json::from_str(&text).unwrap();
    let Value::Array(groups) = vectors["testGroups"].take() else { panic!("no groups") };
    groups
}

fn write(config: &Path, id: &Value, algorithm: &Value, secret: &str) {
    let id = if id.is_string() { format!("id = {id}\n") } else { String::new() };
    let text = format!(
        "listen = \"127.0.0.1:0\"\nbackend = \"http://127.0.0.1:1\"\n[session]\n\
         max_cookie_bytes = 65536\n[[keys]]\n{id}algorithm = {algorithm}\nsecret = \"{secret}\"\n\
         secret_encoding = \"base64\"\n"
    );
    std::fs::write(config, text).unwrap();
}

/// The exit code and the output.
fn decode(config: &Path, token: &str) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_cloakroom"))
        .args(["token", "decode", "--explain", "--config"])
        .arg(config)
        .arg("--")
        .arg(token)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn is_open(said: &str) -> bool {
    said.contains("opened by") || said.contains("verified by") || said.contains("verdict    valid")
}

/// A secret for groups whose keys do not have 32 bytes.
fn stand_in() -> String {
    base64([5; 32])
}

#[test]
#[ignore = "reads the folder that CLOAKROOM_CORPORA names"]
fn corpora_jwe_open_under_no_key_that_a_configuration_takes() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("cloakroom.toml");
    let (mut tried, mut with_their_key, mut faults) = (0, 0, Vec::new());
    for file in ["encryption", "crypto", "key"] {
        for group in groups(file) {
            let jwk = &group["private"];
            for test in group["tests"].as_array().unwrap() {
                if test["jwe"].is_null() {
                    continue;
                }
                let token =
                    test["jwe"].as_str().map_or_else(|| test["jwe"].to_string(), str::to_owned);
                let name = format!("{file} {} ({})", test["tcId"], test["comment"]);
                let secret = jwk["k"].as_str().filter(|k| unbase64(k).len() == 32);
                with_their_key += usize::from(secret.is_some());
                for id in [&Value::Null, &jwk["kid"]] {
                    let secret = secret.map_or_else(stand_in, str::to_owned);
                    write(&config, id, &json!("A256GCM"), &secret);
                    let (code, said) = decode(&config, &token);
                    tried += 1;
                    if code != Some(1) || is_open(&said) || !said.contains("verdict") {
                        faults.push(format!("{name}: {said}"));
                    }
                }
                // The JWK names its algorithm, which is not one of our keys'.
                if let (Some(k), true) = (jwk["k"].as_str(), jwk["alg"].is_string()) {
                    write(&config, &jwk["kid"], &jwk["alg"], k);
                    let (code, said) = decode(&config, &token);
                    if code != Some(2) || !said.contains("keys[1].algorithm") {
                        faults.push(format!("{name} as {}: {said}", jwk["alg"]));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} of {tried} faults:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(tried, 2 * (139 + 34), "vectors");
    assert!(with_their_key > 50, "only {with_their_key}");
}

/// Applies the change in a vector's name to a token of ours; None for other vectors.
fn likewise(comment: &str, good: &str) -> Option<String> {
    let [header, key, nonce, text, tag] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let flipped = |part: &str, last: bool| {
        let mut bytes = unbase64(part);
        let at = if last { bytes.len() - 1 } else { 0 };
        bytes[at] ^= 1;
        base64(bytes)
    };
    let shorter = |by: usize| {
        let bytes = unbase64(tag);
        base64(&bytes[..bytes.len() - by])
    };
    let longer = || base64([unbase64(tag), vec![0]].concat());
    Some(match comment {
        "rejectsModifiedAuthenticationTag" => {
            format!("{header}.{key}.{nonce}.{text}.{}", flipped(tag, false))
        }
        "rejectsModifiedAuthenticationTagAtEnd" | "ModifiedHmac" => {
            format!("{header}.{key}.{nonce}.{text}.{}", flipped(tag, true))
        }
        "rejectsAuthenticationTagTooLong" | "rejectsGhashTooLong" => {
            format!("{header}.{key}.{nonce}.{text}.{}", longer())
        }
        "rejectsTruncatedAuthenticationTagBy1Byte"
        | "rejectsTruncatedGhashBy1Byte"
        | "tagTruncatedBy1" => format!("{header}.{key}.{nonce}.{text}.{}", shorter(1)),
        "rejectsTruncatedAuthenticationTagBy4Bytes"
        | "rejectsTruncatedGhashBy4Bytes"
        | "tagTruncatedBy4" => format!("{header}.{key}.{nonce}.{text}.{}", shorter(4)),
        "rejectsTruncatedAuthenticationTagBy8Bytes"
        | "rejectsTruncatedGhashBy8Bytes"
        | "tagTruncatedBy8" => format!("{header}.{key}.{nonce}.{text}.{}", shorter(8)),
        "rejectsMissingAuthenticationTag" => format!("{header}.{key}.{nonce}.{text}."),
        "rejectsMissingAuthenticationTagAndSeparator" => format!("{header}.{key}.{nonce}.{text}"),
        "rejectsModifiedCiphertext" | "ModifiedCiphertext" => {
            format!("{header}.{key}.{nonce}.{}.{tag}", flipped(text, false))
        }
        "rejectsMissingCiphertext" => format!("{header}.{key}.{nonce}..{tag}"),
        "rejectsMissingCiphertextAndSeparator" => format!("{header}.{key}.{nonce}.{tag}"),
        "rejectsModifiedIv" | "ModifiedIV" => {
            format!("{header}.{key}.{}.{text}.{tag}", flipped(nonce, false))
        }
        "rejectsMissingIv" => format!("{header}.{key}..{text}.{tag}"),
        "rejectsMissingIvAndSeparator" => format!("{header}.{key}.{text}.{tag}"),
        // Our tokens have an empty part here; a key in it is the corresponding fault.
        "rejectsModifiedEncryptedKey" => format!("{header}.{tag}.{nonce}.{text}.{tag}"),
        "rejectsMissingEncryptedKeyAndSeparator" => format!("{header}.{nonce}.{text}.{tag}"),
        "rejectsModifiedHeader" => {
            let other = base64(SEALED_HEADER.replace("JWT", "jwt"));
            format!("{other}.{key}.{nonce}.{text}.{tag}")
        }
        "rejectsMissingHeader" => format!(".{key}.{nonce}.{text}.{tag}"),
        "rejectsMissingHeaderAndSeparator" => format!("{key}.{nonce}.{text}.{tag}"),
        "rejectsValidJsonSerialization" => json!({
            "protected": header, "iv": nonce, "ciphertext": text, "tag": tag,
        })
        .to_string(),
        _ => return None,
    })
}

#[test]
#[ignore = "reads the folder that CLOAKROOM_CORPORA names"]
fn corpora_jwe_damage_is_refused_when_done_to_a_sealed_session() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("cloakroom.toml");
    let (mut tried, mut faults) = (0, Vec::new());
    for file in ["encryption", "crypto"] {
        for group in groups(file) {
            let secret = group["private"]["k"].as_str().filter(|k| unbase64(k).len() == 32);
            let secret = secret.map_or_else(stand_in, str::to_owned);
            let key: [u8; 32] = unbase64(&secret).try_into().unwrap();
            let good = seal_as(SEALED_HEADER, r#"{"foo":1}"#, &key);
            write(&config, &Value::Null, &json!("A256GCM"), &secret);
            let (code, said) = decode(&config, &good);
            assert!(code == Some(0) && is_open(&said), "{said}");
            for test in group["tests"].as_array().unwrap() {
                let comment = test["comment"].as_str().unwrap();
                if test["jwe"].is_null() || test["result"] == "valid" {
                    continue;
                }
                let Some(token) = likewise(comment, &good) else { continue };
                tried += 1;
                let (code, said) = decode(&config, &token);
                if code != Some(1) || is_open(&said) {
                    faults.push(format!("{file} {} ({comment}): {said}", test["tcId"]));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} of {tried} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(tried > 60, "only {tried}");
}
