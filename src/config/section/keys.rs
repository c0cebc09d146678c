//! `[[keys]]`

use toml::Value;
use zeroize::Zeroizing;

use crate::config::expected::Expected;
use crate::config::reader::{Place, Read, Table};
use crate::config::value::{choice, file_path, truth, word};
use crate::keys::Algorithm;
use crate::keys::source::{KeySpec, SecretEncoding, Source};

/// The result of reading `[[keys]]`.
pub(in crate::config) struct KeyTables {
    /// The keys in the file.
    pub(in crate::config) specs: Read<Vec<KeySpec>>,
    /// The same number of keys, with faulty values replaced, so that the secrets can be checked
    /// nevertheless.
    pub(in crate::config) stand_ins: Vec<KeySpec>,
}

pub(in crate::config) fn keys(table: &mut Table<'_, '_>) -> KeyTables {
    let mut ids = Vec::new();
    let none = |specs| KeyTables { specs: Err(specs), stand_ins: Vec::new() };
    let keys = match table.tables("keys", |table| key(table, &mut ids)) {
        Ok(Some(keys)) if !keys.is_empty() => keys,
        Ok(_) => {
            let example =
                "at least one key, e.g. [[keys]] with secret_file = \"/run/secrets/session_key\"";
            return none(table.missing("keys", example));
        }
        Err(reported) => return none(reported),
    };
    let (specs, stand_ins): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
    KeyTables { specs: specs.into_iter().collect(), stand_ins }
}

fn key(table: &mut Table<'_, '_>, ids: &mut Vec<(String, Place)>) -> (Read<KeySpec>, KeySpec) {
    let encodings = [
        ("utf8", SecretEncoding::Utf8),
        ("base64", SecretEncoding::Base64),
        ("hex", SecretEncoding::Hex),
    ];
    let id = table.optional("id", word).and_then(|id| own_id(table, id, ids));
    let algorithm = table.or("algorithm", Algorithm::default().name(), algorithm);
    let source = source(table).and_then(|source| fitting(table, algorithm.ok(), source));
    let encoding = table.or("secret_encoding", "utf8", choice(&encodings));
    let allow_weak_secret = table.or("allow_weak_secret", false, truth);

    let named = SECRETS.into_iter().chain(HALVES).find(|key| table.has(key));
    let line = named.map_or_else(|| table.place().line(), |key| table.at(key).line());
    let faulty = || Source::Inline(Zeroizing::new("faulty".into()));
    let sound = algorithm.is_ok() && encoding.is_ok() && allow_weak_secret.is_ok();
    let stand_in = KeySpec {
        id: id.clone().unwrap_or(None),
        algorithm: match algorithm {
            // The length of the secret is unknown, but this algorithm requires an exact one.
            Ok(sealing) if sealing.seals() && !(sound && source.is_ok()) => Algorithm::default(),
            algorithm => algorithm.unwrap_or_default(),
        },
        source: match &source {
            Ok(Source::Pair { .. }) if algorithm.is_err() => faulty(),
            Ok(source) => source.clone(),
            Err(_) => faulty(),
        },
        encoding: if sound && source.is_ok() {
            encoding.unwrap_or_default()
        } else {
            SecretEncoding::Utf8
        },
        // The required length of the secret is unknown.
        allow_weak_secret: allow_weak_secret.unwrap_or(true) || !sound || source.is_err(),
        line,
    };
    let spec = || {
        Ok(KeySpec {
            id: id?,
            algorithm: algorithm?,
            source: source?,
            encoding: encoding?,
            allow_weak_secret: allow_weak_secret?,
            line,
        })
    };
    (spec(), stand_in)
}

/// Refuses a duplicate id: a `kid` must identify one key.
fn own_id(
    table: &mut Table<'_, '_>,
    id: Option<String>,
    ids: &mut Vec<(String, Place)>,
) -> Read<Option<String>> {
    let Some(id) = id else { return Ok(None) };
    let place = table.at("id");
    match ids.iter().find(|(earlier, _)| *earlier == id) {
        None => {
            ids.push((id.clone(), place));
            Ok(Some(id))
        }
        Some((_, earlier)) => {
            let expected =
                format!("duplicate id: {} has it already", earlier.path().trim_end_matches(".id"));
            Err(table.document().refuse(&place, Some(&format!("{id:?}")), &expected))
        }
    }
}

fn algorithm(value: &Value) -> Result<Algorithm, Expected> {
    let name = value.as_str().unwrap_or_default();
    Algorithm::from_name(name)
        .ok_or_else(|| Expected::OneOf(Algorithm::ALL.map(Algorithm::name).to_vec()))
}

const SECRETS: [&str; 3] = ["secret_file", "secret_env", "secret"];
const HALVES: [&str; 2] = ["private_key_file", "public_key_file"];

fn source(table: &mut Table<'_, '_>) -> Read<Source> {
    let file = table.discreet("secret_file", file_path);
    let env = table.discreet("secret_env", variable);
    let secret = table.secret("secret");
    let private = table.discreet("private_key_file", file_path);
    let public = table.discreet("public_key_file", file_path);
    let place = table.place().clone();
    let secrets: Vec<&str> = SECRETS.into_iter().filter(|key| table.has(key)).collect();
    let halves: Vec<&str> = HALVES.into_iter().filter(|key| table.has(key)).collect();
    match (secrets.as_slice(), halves.as_slice()) {
        ([], []) => Err(table.document().consequence(
            &place,
            format!(
                "{} has no secret: expected one of secret_file, secret_env and secret, or for a key pair private_key_file or public_key_file",
                place.path()
            ),
        )),
        ([_], []) => {
            let file = file?.map(Source::File);
            let env = env?.map(Source::Env);
            let secret = secret?.map(Source::Inline);
            file.or(env).or(secret).ok_or_else(|| table.missing("secret_file", "a path"))
        }
        ([], _) => Ok(Source::Pair { private: private?, public: public? }),
        _ => {
            let given = [secrets, halves].concat().join(" and ");
            let message = format!("{} has {given}: expected only one of them", place.path());
            Err(table.document().fault(&place, message))
        }
    }
}

/// Refuses a secret where a key pair is expected, and a public key as a secret.
fn fitting(
    table: &mut Table<'_, '_>,
    algorithm: Option<Algorithm>,
    source: Source,
) -> Read<Source> {
    let Some(algorithm) = algorithm else { return Ok(source) };
    let is_pair = matches!(source, Source::Pair { .. });
    if is_pair != algorithm.takes_a_secret() {
        return Ok(source);
    }
    let name = algorithm.name();
    let message = if is_pair {
        format!("= {name:?} takes a secret: expected secret_file in place of a key pair")
    } else {
        format!("= {name:?} takes a key pair: expected private_key_file in place of a secret")
    };
    let place = table.at("algorithm");
    let message = format!("{} {message}", place.path());
    Err(table.document().fault(&place, message))
}

fn variable(value: &Value) -> Result<String, Expected> {
    let name = word(value)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.bytes().all(fits) { Ok(name) } else { Err(Expected::Variable) }
}
