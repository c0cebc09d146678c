//! The JWS vectors of Wycheproof, through `cloakroom token decode --explain`: no invalid signature
//! is accepted, and every valid one of a supported algorithm is.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::Value;

use crate::corpora::corpus;
use crate::support::jwk::pem;

/// The supported algorithms; ES512 on P-521 is not.
const ALGORITHMS: [&str; 11] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
    "ES384",
];

/// Valid for Wycheproof, refused here: characters outside base64url are not skipped.
const STRICTER: [u64; 2] = [372, 373];

/// Invalid for Wycheproof, but identical to the valid token 357: the padding in their name was
/// lost.
const SAME_AS_VALID: [u64; 2] = [367, 370];

fn vectors() -> Value {
    let path = corpus("wycheproof/json_web_signature_test.json");
    let text = std::fs::read_to_string(path).expect("the corpus is there");
    serde_json::from_str(&text).unwrap()
}

/// A configuration with an unrelated signing key, followed by the key of the group.
fn configuration(folder: &std::path::Path, group: &Value, algorithm: &str) -> Option<String> {
    let mut text = String::from(
        "listen = \"127.0.0.1:0\"\nbackend = \"http://127.0.0.1:1\"\n[session]\n\
         max_cookie_bytes = 65536\n[[keys]]\nid = \"own\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n\
         [[keys]]\n",
    );
    writeln!(text, "algorithm = \"{algorithm}\"").unwrap();
    if let Some(secret) = group["private"]["k"].as_str() {
        writeln!(
            text,
            "secret = \"{secret}\"\nsecret_encoding = \"base64\"\nallow_weak_secret = true"
        )
        .unwrap();
    } else {
        let file = folder.join("key.pem");
        std::fs::write(&file, pem(&group["public"])?).unwrap();
        writeln!(text, "public_key_file = {:?}", file.display().to_string()).unwrap();
    }
    Some(text)
}

fn verifies(config: &std::path::Path, token: &str) -> bool {
    let output = Command::new(env!("CARGO_BIN_EXE_cloakroom"))
        .args(["token", "decode", "--explain", "--config"])
        .arg(config)
        .arg(token)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("verdict"), "{told}{}", String::from_utf8_lossy(&output.stderr));
    told.contains("signature  verified by key 2")
}

#[test]
#[ignore = "reads the folder that CLOAKROOM_CORPORA names"]
fn corpora_jws_verify_where_they_are_valid_and_nowhere_else() {
    let vectors = vectors();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("cloakroom.toml");
    let (mut tried, mut faults) = (0, Vec::new());
    for group in vectors["testGroups"].as_array().unwrap() {
        let jwk = if group["public"].is_object() { &group["public"] } else { &group["private"] };
        // These only test usage fields of a JWK, which a PEM file does not have.
        let algorithm = jwk["alg"].as_str().unwrap_or_default();
        for test in group["tests"].as_array().unwrap() {
            let (Some(token), Some(id)) = (test["jws"].as_str(), test["tcId"].as_u64()) else {
                continue;
            };
            // RFC 7520 uses PS384 with a key marked for PS256.
            let algorithm = if test["comment"] == "Figure20" { "PS384" } else { algorithm };
            if !ALGORITHMS.contains(&algorithm) {
                continue;
            }
            let text = configuration(folder.path(), group, algorithm).unwrap();
            std::fs::write(&config, text).unwrap();
            let is_valid = test["result"] == "valid" || SAME_AS_VALID.contains(&id);
            let expected = is_valid && !STRICTER.contains(&id);
            tried += 1;
            if verifies(&config, token) != expected {
                faults.push(format!("{id} ({}): {}", test["comment"], test["result"]));
            }
        }
    }
    assert!(faults.is_empty(), "{} of {tried} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(tried > 380, "only {tried} vectors");
}
