//! `cloakroom keygen`: makes a random secret or a key pair.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::fchown;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::key_folder::{Folder, Found};
use crate::keys::Algorithm;
use crate::keys::source::SecretEncoding;

/// Makes a new key.
#[derive(clap::Args, Debug)]
pub(crate) struct KeygenArgs {
    /// The algorithm that the key is for, such as HS256, RS256, PS256, ES256, EdDSA or A256GCM
    #[arg(long, value_name = "NAME", default_value = "HS256", value_parser = algorithm)]
    algorithm: Algorithm,
    /// Write to this file, which must not exist yet, and a public key to FILE.pub, instead of
    /// standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &KeygenArgs) -> Result<ExitCode, KeygenError> {
    let key = KeyText::new(args.algorithm)?;
    match &args.out {
        Some(path) => key.write(path)?.keep(),
        None => {
            let mut out = std::io::stdout().lock();
            out.write_all(key.private.as_bytes())
                .and_then(|()| out.write_all(key.public.unwrap_or_default().as_bytes()))
                .map_err(KeygenError::StandardOutput)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A new key in its file format.
pub(super) struct KeyText {
    /// A secret and a newline, or the private key of a pair.
    private: Zeroizing<String>,
    /// None for a secret.
    public: Option<String>,
}

impl KeyText {
    /// Makes a key.
    pub(super) fn new(algorithm: Algorithm) -> Result<Self, KeygenError> {
        let (private, public) = if algorithm.takes_a_secret() {
            (secret_line(algorithm)?, None)
        } else {
            key_pair(algorithm).map(|(private, public)| (private, Some(public)))?
        };
        Ok(Self { private, public })
    }

    /// Writes it to `path` with mode 0600, and a public key to `path` plus `.pub`. Neither may
    /// exist; on an error, neither is left behind.
    pub(super) fn write(&self, path: &Path) -> Result<KeyFiles, KeygenError> {
        let (folder, name) =
            Folder::of(path).map_err(|error| KeygenError::File { path: path.to_owned(), error })?;
        let mut files = KeyFiles { folder, files: Vec::new(), kept: false };
        files.add(path, name.clone(), self.private.as_bytes(), 0o600)?;
        if let Some(public) = &self.public {
            let path = public_path(path);
            let name = public_path(Path::new(&name)).into_os_string();
            files.add(&path, name, public.as_bytes(), 0o644)?;
        }
        Ok(files)
    }
}

/// New files in one directory, for a key and what belongs to it. Removed on drop, unless kept.
#[derive(Debug)]
pub(super) struct KeyFiles {
    folder: Folder,
    files: Vec<(OsString, File)>,
    kept: bool,
}

impl KeyFiles {
    /// Writes another file to the same directory; messages name it as `path`.
    pub(super) fn add(
        &mut self,
        path: &Path,
        name: OsString,
        content: &[u8],
        mode: u32,
    ) -> Result<(), KeygenError> {
        let failed = |error| KeygenError::File { path: path.to_owned(), error };
        let mut file = self.folder.create(&name, mode).map_err(failed)?;
        let written = file.write_all(content).and_then(|()| file.sync_all());
        // Added even on an error, so that an incomplete secret is removed with the others.
        self.files.push((name, file));
        written.map_err(failed)
    }

    /// The metadata of another file in the same directory.
    pub(super) fn look_beside(&self, name: &OsStr) -> std::io::Result<Found> {
        self.folder.look(name)
    }

    /// Changes the owner, if allowed: only root may.
    pub(super) fn give_to(&self, user: u32, group: u32) {
        for (_, file) in &self.files {
            // Without root, the same user usually runs the sidecar.
            let _ = fchown(file, Some(user), Some(group));
        }
    }

    /// Keeps the files.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for KeyFiles {
    fn drop(&mut self) {
        if !self.kept {
            // An earlier error is more useful than this one.
            self.files.iter().for_each(|(name, _)| drop(self.folder.remove(name)));
        }
    }
}

/// The `secret_encoding` for a new key. The file contains base64url, whose text itself is a good
/// secret unless an exact length is required.
pub(super) fn encoding(algorithm: Algorithm) -> SecretEncoding {
    if algorithm.seals() { SecretEncoding::Base64 } else { SecretEncoding::Utf8 }
}

/// The path of the public key for the file `private`.
pub(super) fn public_path(private: &Path) -> PathBuf {
    let mut path = private.as_os_str().to_owned();
    path.push(".pub");
    path.into()
}

/// The value of an option `--algorithm`.
pub(super) fn algorithm(name: &str) -> Result<Algorithm, UnknownAlgorithm> {
    Algorithm::from_name(name).ok_or(UnknownAlgorithm)
}

/// Unknown algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownAlgorithm;

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected one of {}", Algorithm::ALL.map(Algorithm::name).join(", "))
    }
}

impl std::error::Error for UnknownAlgorithm {}

/// Why no key was made.
#[derive(Debug)]
pub(super) enum KeygenError {
    /// Its file cannot be written.
    File {
        path: PathBuf,
        error: io::Error,
    },
    StandardOutput(io::Error),
    /// The crypto library failed.
    Pair(Algorithm),
    NoRandomness(getrandom::Error),
}

impl fmt::Display for KeygenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Overwriting a key would end every session that it signed.
            Self::File { path, error } if error.kind() == io::ErrorKind::AlreadyExists => {
                write!(f, "{} exists and is not overwritten", path.display())
            }
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::StandardOutput(error) => write!(f, "standard output: {error}"),
            Self::Pair(algorithm) => write!(f, "cannot make a key for {}", algorithm.name()),
            Self::NoRandomness(error) => write!(f, "the system gives no random bytes: {error}"),
        }
    }
}

/// A private key (PKCS #8) and its public key (SubjectPublicKeyInfo), in PEM.
fn key_pair(algorithm: Algorithm) -> Result<(Zeroizing<String>, String), KeygenError> {
    let failed = |_| KeygenError::Pair(algorithm);
    let ecdsa = |curve| {
        let pair = EcdsaKeyPair::generate(curve).map_err(failed)?;
        let private = pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec();
        let public = pair.public_key().as_der().map_err(failed)?.as_ref().to_vec();
        Ok::<_, KeygenError>((private, public))
    };
    let (private, public) = match algorithm {
        Algorithm::Es256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)?,
        Algorithm::Es384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING)?,
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::generate().map_err(failed)?;
            let private: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
            let public = pair.public_key().as_der().map_err(failed)?.as_ref().to_vec();
            (private.as_ref().to_vec(), public)
        }
        _ => {
            let pair = RsaKeyPair::generate(KeySize::Rsa3072).map_err(failed)?;
            let private: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
            let public = pair.public_key().as_der().map_err(failed)?.as_ref().to_vec();
            (private.as_ref().to_vec(), public)
        }
    };
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let encode = |label, der| pem::encode_config(&pem::Pem::new(label, der), config);
    Ok((Zeroizing::new(encode("PRIVATE KEY", private)), encode("PUBLIC KEY", public)))
}

/// Random bytes, as many as the hash or the cipher needs, base64url-encoded with a newline.
fn secret_line(algorithm: Algorithm) -> Result<Zeroizing<String>, KeygenError> {
    let mut bytes = Zeroizing::new(vec![0; algorithm.least_secret_bytes()]);
    getrandom::fill(&mut bytes).map_err(KeygenError::NoRandomness)?;
    // Reserve the full size: growing would leave copies of the secret in memory.
    let mut line = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    URL_SAFE_NO_PAD.encode_string(&*bytes, &mut line);
    line.push('\n');
    Ok(line)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use crate::keys::source::Source;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    #[test]
    fn a_secret_is_long_enough_for_its_algorithm() {
        for (algorithm, characters) in [
            (Algorithm::Hs256, 43),
            (Algorithm::Hs384, 64),
            (Algorithm::Hs512, 86),
            (Algorithm::A256Gcm, 43),
        ] {
            let line = secret_line(algorithm).unwrap();
            let secret = line.strip_suffix('\n').unwrap();
            assert_eq!(secret.len(), characters);
            assert!(secret.len() >= algorithm.least_secret_bytes());
            assert_eq!(
                URL_SAFE_NO_PAD.decode(secret).unwrap().len(),
                algorithm.least_secret_bytes()
            );
        }
    }

    #[test]
    fn no_two_secrets_are_the_same() {
        let line = || secret_line(Algorithm::Hs256).unwrap();
        assert_ne!(line(), line());
    }

    #[test]
    fn a_file_is_made_for_its_owner_only_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let key = KeyText::new(Algorithm::Hs256).unwrap();
        key.write(&path).unwrap().keep();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = KeyText::new(Algorithm::Hs256).unwrap().write(&path).unwrap_err().to_string();
        assert!(again.ends_with("exists and is not overwritten"), "{again}");
        assert_eq!(fs::read(&path).unwrap(), key.private.as_bytes());
        let nowhere = key.write(&directory.path().join("no/such")).unwrap_err().to_string();
        assert!(nowhere.contains("no/such"), "{nowhere}");
    }

    /// The owner of the directory replaces the files by symlinks as soon as they exist.
    #[test]
    fn nothing_beyond_a_symlink_is_given_away_or_removed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for folder in ["keys", "other"] {
            fs::create_dir(at(folder)).unwrap();
        }
        for file in ["other/key", "other/key.pub", "victim"] {
            fs::write(at(file), "untouched").unwrap();
        }
        let owner = fs::metadata(at("victim")).unwrap().uid();
        let key = KeyText::new(Algorithm::EdDsa).unwrap();
        let files = key.write(&at("keys/key")).unwrap();
        fs::rename(at("keys/key"), at("keys/moved")).unwrap();
        symlink(at("victim"), at("keys/key")).unwrap();
        fs::rename(at("keys"), at("renamed")).unwrap();
        symlink(at("other"), at("keys")).unwrap();
        files.give_to(owner + 1000, owner + 1000);
        if nix::unistd::geteuid().is_root() {
            for own in ["renamed/moved", "renamed/key.pub"] {
                assert_eq!(fs::metadata(at(own)).unwrap().uid(), owner + 1000, "{own}");
            }
        }
        drop(files);
        for file in ["other/key", "other/key.pub", "victim"] {
            assert_eq!(fs::read(at(file)).unwrap(), b"untouched", "{file}");
            assert_eq!(fs::metadata(at(file)).unwrap().uid(), owner, "{file}");
        }
        assert!(fs::symlink_metadata(at("renamed/key")).is_err());
        assert!(!at("renamed/key.pub").exists());

        symlink(at("nowhere"), at("link")).unwrap();
        let refused = key.write(&at("link")).unwrap_err().to_string();
        assert!(refused.ends_with("link exists and is not overwritten"), "{refused}");
        assert!(!at("nowhere").exists());
    }

    #[test]
    fn a_new_key_is_one_that_starts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        for algorithm in Algorithm::ALL {
            run(&KeygenArgs { algorithm, out: Some(path.clone()) }).unwrap();
            let public = directory.path().join("key.pub");
            let source = if algorithm.takes_a_secret() {
                Source::File(path.clone())
            } else {
                Source::Pair { private: Some(path.clone()), public: Some(public.clone()) }
            };
            let spec = crate::keys::source::KeySpec {
                id: None,
                algorithm,
                source,
                encoding: encoding(algorithm),
                allow_weak_secret: false,
                line: 1,
            };
            assert!(crate::keys::source::load(std::slice::from_ref(&spec), &path).is_ok());
            assert!(crate::keys::source::warnings(&[spec]).is_empty());
            fs::remove_file(&path).unwrap();
            if !algorithm.takes_a_secret() {
                fs::remove_file(&public).unwrap();
            }
        }
    }

    #[test]
    fn a_pair_is_written_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(public_path(&path), "another").unwrap();
        let refused = KeyText::new(Algorithm::EdDsa).unwrap().write(&path).unwrap_err().to_string();
        assert!(refused.ends_with("key.pub exists and is not overwritten"), "{refused}");
        assert!(!path.exists());
    }

    #[test]
    fn an_unknown_algorithm_is_refused_with_those_known() {
        assert_eq!(algorithm("HS512"), Ok(Algorithm::Hs512));
        for name in ["hs256", "none", ""] {
            assert!(algorithm(name).unwrap_err().to_string().contains("HS256, HS384, HS512"));
        }
    }
}
