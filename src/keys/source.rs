//! The sources of keys: files, the environment, the configuration itself.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::bearer::Bearer;
use super::signature::{SignatureSpec, Signer};
use super::{Algorithm, Key, KeyRing, PemError};
use crate::fault::Fault;

mod encoded;
mod error;
mod signer;

use encoded::{decode_base64, decode_hex};
use error::MAX_SECRET_FILE_BYTES;
pub use error::{KeyError, SourceError};
pub use signer::signer_warnings;

/// One `[[keys]]` table.
#[derive(Clone, Debug)]
pub struct KeySpec {
    /// `id`: the `kid` of its tokens.
    pub id: Option<String>,
    /// `algorithm`
    pub algorithm: Algorithm,
    /// The source of the secret or key pair.
    pub source: Source,
    /// `secret_encoding`
    pub encoding: SecretEncoding,
    /// `allow_weak_secret`: accept a secret shorter than the hash.
    pub allow_weak_secret: bool,
    /// The line of the configuration that names the source, for messages.
    pub line: usize,
}

impl KeySpec {
    /// The files it is read from.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        let (one, other) = match &self.source {
            Source::File(path) => (Some(path), None),
            Source::Pair { private, public } => (private.as_ref(), public.as_ref()),
            Source::Env(_) | Source::Inline(_) => (None, None),
        };
        one.into_iter().chain(other).cloned()
    }
}

/// The source of a key.
#[derive(Clone)]
pub enum Source {
    /// `secret_file`
    File(PathBuf),
    /// `secret_env`: the name of an environment variable.
    Env(String),
    /// `secret`: in the configuration itself.
    Inline(Zeroizing<String>),
    /// A key pair in PEM. Without a private key it only verifies.
    Pair {
        /// `private_key_file`
        private: Option<PathBuf>,
        /// `public_key_file`
        public: Option<PathBuf>,
    },
}

/// The encoding of a symmetric secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SecretEncoding {
    /// The bytes unchanged.
    #[default]
    Utf8,
    /// RFC 4648 sections 4 and 5, padded or not; white space is ignored.
    Base64,
    /// Two digits per byte; white space is ignored.
    Hex,
}

/// Prints only the type of source. Even a file name could be a secret written there by mistake.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(_) => f.write_str("File(not shown)"),
            Self::Env(name) => write!(f, "Env({name})"),
            Self::Inline(_) => f.write_str("Inline(redacted)"),
            Self::Pair { .. } => f.write_str("Pair(not shown)"),
        }
    }
}

impl Source {
    /// An error that names the configuration key and its value.
    fn fails(&self, reason: SourceError) -> KeyError {
        match self {
            Self::File(path) => of_file("secret_file", path, reason),
            Self::Env(name) => KeyError::Variable { name: name.clone(), reason },
            Self::Inline(_) => KeyError::Inline(reason),
            Self::Pair { private: Some(path), .. } => of_file("private_key_file", path, reason),
            Self::Pair { public: Some(path), .. } => of_file("public_key_file", path, reason),
            Self::Pair { .. } => KeyError::NoHalf,
        }
    }
}

fn of_file(key: &'static str, path: &Path, reason: SourceError) -> KeyError {
    KeyError::File { key, path: path.to_owned(), reason }
}

/// Reads every key.
///
/// # Errors
/// Every fault of every key: a missing or empty file, a secret that is too short, a duplicate id.
pub fn load(specs: &[KeySpec], file: &Path) -> Result<KeyRing, Vec<Fault>> {
    load_with(specs, file, |name| std::env::var_os(name))
}

fn load_with(
    specs: &[KeySpec],
    file: &Path,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<KeyRing, Vec<Fault>> {
    let mut keys = Vec::with_capacity(specs.len());
    let mut faults = Vec::new();
    let mut fault = |line, message| {
        faults.push(Fault { file: file.to_owned(), line, message });
    };
    for (index, spec) in specs.iter().enumerate() {
        let name = name(index, spec);
        let same_id = |earlier: &KeySpec| spec.id.is_some() && earlier.id == spec.id;
        if let Some(earlier) = specs[..index].iter().position(same_id) {
            let number = earlier + 1;
            fault(spec.line, format!("{name}: duplicate id: keys[{number}] has it already"));
        }
        match read_key(spec, &environment) {
            Ok(key) if index == 0 && !key.can_sign() => {
                let error = spec.source.fails(SourceError::CannotSign);
                fault(spec.line, format!("{name}: {error}"));
            }
            Ok(key) => keys.push(key),
            Err(error) => fault(spec.line, format!("{name}: {error}")),
        }
    }
    if specs.is_empty() {
        fault(1, "no key: [[keys]] with secret_file is needed, see `cloakroom keygen`".into());
    }
    let mut keys = keys.into_iter();
    match keys.next() {
        Some(signing) if faults.is_empty() => Ok(KeyRing::new(signing, keys.collect())),
        _ => Err(faults),
    }
}

fn read_key(
    spec: &KeySpec,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Key, KeyError> {
    let Source::Pair { private, public } = &spec.source else {
        let secret = read(&spec.source, environment).and_then(|text| secret(spec, &text));
        let secret = secret.map_err(|reason| spec.source.fails(reason))?;
        if spec.algorithm.seals() {
            return Key::sealing(spec.id.clone(), &secret)
                .ok_or_else(|| spec.source.fails(not_of_length(&secret, spec)));
        }
        return Ok(Key::hmac(spec.id.clone(), spec.algorithm, &secret));
    };
    let read_pem = |key, path: &Path, parse: fn(_, _, &[u8]) -> Result<Key, PemError>| {
        read_file(path)
            .and_then(|pem| Ok(parse(spec.id.clone(), spec.algorithm, &pem)?))
            .map_err(|reason| of_file(key, path, reason))
    };
    let private = private.as_deref().map(|path| read_pem("private_key_file", path, Key::private));
    let public = public.as_deref().map(|path| read_pem("public_key_file", path, Key::public));
    match (private.transpose()?, public.transpose()?) {
        (Some(private), Some(public)) if !private.is_pair_of(&public) => Err(KeyError::NotAPair),
        (Some(key), _) | (None, Some(key)) => Ok(key),
        (None, None) => Err(KeyError::NoHalf),
    }
}

/// Reads an HS256 key from a file without a configuration. Also returns a warning, if any.
///
/// # Errors
/// Why the file does not contain a secret.
pub fn load_file(path: &Path) -> Result<(KeyRing, Option<String>), KeyError> {
    let spec = KeySpec {
        id: None,
        algorithm: Algorithm::Hs256,
        source: Source::File(path.to_owned()),
        encoding: SecretEncoding::Utf8,
        allow_weak_secret: true,
        line: 0,
    };
    let secret = read_file(path)
        .and_then(|text| secret(&spec, &text))
        .map_err(|reason| of_file("--secret-file", path, reason))?;
    let bytes = secret.len();
    let least = spec.algorithm.least_secret_bytes();
    let warning = (bytes < least).then(|| {
        format!("{}: has {bytes} bytes; HS256 needs at least {least} to be safe", path.display())
    });
    let key = Key::hmac(None, spec.algorithm, &secret);
    Ok((KeyRing::new(key, Vec::new()), warning))
}

/// Reads the secret for the signatures of requests to the app.
///
/// # Errors
/// The file is missing, or the secret is too short.
pub fn load_signer(spec: &SignatureSpec, file: &Path) -> Result<Signer, Vec<Fault>> {
    let secret = read_file(&spec.secret_file).and_then(|text| {
        if text.len() < Algorithm::Hs256.least_secret_bytes() {
            return Err(SourceError::ShortForRequests { bytes: text.len() });
        }
        Ok(text)
    });
    let secret = secret.map_err(|reason| {
        let error = of_file("headers.signature.secret_file", &spec.secret_file, reason);
        vec![Fault::new(file, spec.line, error.to_string())]
    })?;
    Ok(Signer::new(spec, &secret))
}

/// Reads the secret of the admin listener.
///
/// # Errors
/// Why the file does not contain a secret.
pub fn load_bearer(path: &Path) -> Result<Bearer, KeyError> {
    read_file(path)
        .and_then(|secret| Ok(Bearer::new(&secret)?))
        .map_err(|reason| of_file("admin.token_file", path, reason))
}

/// A warning about that file, if any.
#[must_use]
pub fn bearer_warning(path: &Path) -> Option<String> {
    is_world_readable(path).then(|| {
        format!(
            "admin.token_file: every user of this machine can read {}, and end sessions with it: run chmod o-r",
            path.display()
        )
    })
}

/// Warnings about keys that are used nevertheless, one line each.
#[must_use]
pub fn warnings(specs: &[KeySpec]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let name = name(index, spec);
        match &spec.source {
            Source::File(path) | Source::Pair { private: Some(path), .. }
                if is_world_readable(path) =>
            {
                let path = path.display();
                warnings.push(format!(
                    "{name}: every user of this machine can read {path}, and forge sessions with it: run chmod o-r"
                ));
            }
            Source::Inline(_) => warnings.push(format!(
                "{name}: the secret is in the configuration, where it is easily disclosed: use secret_file instead"
            )),
            Source::File(_) | Source::Env(_) | Source::Pair { .. } => {}
        }
        if spec.allow_weak_secret {
            warnings.push(format!(
                "{name}: allow_weak_secret = true: a short secret can be brute-forced offline from one token"
            ));
        }
    }
    warnings
}

/// `keys[1] (id "2026")`; counted from 1, as in metrics and logs.
fn name(index: usize, spec: &KeySpec) -> String {
    let number = index + 1;
    match &spec.id {
        Some(id) => format!("keys[{number}] (id {id:?})"),
        None => format!("keys[{number}]"),
    }
}

/// The secret as written, before decoding.
fn read(
    source: &Source,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Zeroizing<Vec<u8>>, SourceError> {
    match source {
        Source::File(path) => read_file(path),
        Source::Env(name) => match environment(name) {
            Some(value) => Ok(Zeroizing::new(value.into_encoded_bytes())),
            None => Err(SourceError::NotSet),
        },
        Source::Inline(text) => Ok(Zeroizing::new(text.as_bytes().to_vec())),
        // `load` reads the files of a pair.
        Source::Pair { .. } => Err(SourceError::Empty),
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, SourceError> {
    // Reserve the maximum size: growing would leave copies of the secret in memory.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_SECRET_FILE_BYTES + 64));
    let limit = u64::try_from(MAX_SECRET_FILE_BYTES + 1).unwrap_or(u64::MAX);
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut text))
        .map_err(SourceError::Io)?;
    if text.len() > MAX_SECRET_FILE_BYTES {
        return Err(SourceError::TooLarge);
    }
    // Editors and `echo` add a newline that is not part of the secret.
    if text.last() == Some(&b'\n') {
        text.pop();
        if text.last() == Some(&b'\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// Decodes the secret. Messages reveal only its length.
fn secret(spec: &KeySpec, text: &[u8]) -> Result<Zeroizing<Vec<u8>>, SourceError> {
    let secret = match spec.encoding {
        SecretEncoding::Utf8 => Zeroizing::new(text.to_vec()),
        SecretEncoding::Base64 => decode_base64(text).ok_or(SourceError::NotBase64)?,
        SecretEncoding::Hex => decode_hex(text).ok_or(SourceError::NotHex)?,
    };
    let bytes = secret.len();
    let least = spec.algorithm.least_secret_bytes();
    if bytes == 0 {
        return Err(SourceError::Empty);
    }
    if spec.algorithm.seals() {
        return if bytes == least { Ok(secret) } else { Err(not_of_length(&secret, spec)) };
    }
    if bytes < least && !spec.allow_weak_secret {
        return Err(SourceError::Short { bytes, algorithm: spec.algorithm });
    }
    Ok(secret)
}

/// The error for a cipher, which needs an exact length.
fn not_of_length(secret: &[u8], spec: &KeySpec) -> SourceError {
    let needed = spec.algorithm.least_secret_bytes();
    let is_base64 = spec.encoding == SecretEncoding::Utf8
        && decode_base64(secret).is_some_and(|decoded| decoded.len() == needed);
    SourceError::OfOtherLength { bytes: secret.len(), algorithm: spec.algorithm, is_base64 }
}

fn is_world_readable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests;
