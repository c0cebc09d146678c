//! `cloakroom token`: makes and reads tokens, like `Session.encode()` and `Session.decode()` of
//! microdot.

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::ConfigArgs;
use crate::clock;
use crate::config::file::{Overrides, load};
use crate::fault::Fault;
use crate::keys::source::{self, KeyError};
use crate::keys::{KeyRing, NONCE_BYTES, Nonce};
use crate::session::cookie::{
    CookieAttributes, CookieFault, CookieName, CookieNameError, CookieParts,
};
use crate::session::dict::{Dict, DictError};
use crate::session::directive::Broken;
use crate::session::explain;
use crate::session::fresh::Fresh;
use crate::session::lifetime::SessionId;
use crate::session::token::Rejection;
use crate::session::{self, Issuer, Policy};
use crate::time::Timestamp;

/// Makes and reads tokens.
#[derive(clap::Args, Debug)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Sign or seal a JSON object and print the token
    Encode {
        /// The object; `-` or nothing reads standard input
        json: Option<String>,
        #[command(flatten)]
        keys: KeyArgs,
    },
    /// Verify or open a token and print the object in it; if it is refused, print `{}` and the
    /// reason on standard error
    Decode {
        /// The token; `-` or nothing reads standard input
        token: Option<String>,
        /// Print everything about the token: header, key, times, session, or exactly why it fails
        #[arg(long)]
        explain: bool,
        #[command(flatten)]
        keys: KeyArgs,
    },
}

#[derive(clap::Args, Debug)]
struct KeyArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// A file with an HS256 secret, instead of any configuration
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

pub(super) fn run(args: &TokenArgs) -> Result<ExitCode, TokenError> {
    let print = |line: &str| {
        writeln!(std::io::stdout().lock(), "{line}")
            .map_err(|error| TokenError::Io { what: "standard output", error })
    };
    match &args.action {
        Action::Encode { json, keys } => {
            let (keys, policy) = keys.load()?;
            let json = argument(json.as_deref(), std::io::stdin().lock())?;
            print(&encode(&json, Issuer::new(&keys, &policy, clock::now()), Drawn::new()?)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Decode { token, explain, keys } => {
            let (keys, policy) = keys.load()?;
            let token = argument(token.as_deref(), std::io::stdin().lock())?;
            if *explain {
                let (text, valid) =
                    explain::explain(token.trim_ascii(), &keys, &policy, clock::now());
                print(text.trim_end())?;
                return Ok(if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            match decode(&token, &keys, &policy, clock::now()) {
                Ok(dict) => {
                    print(dict.as_str())?;
                    Ok(ExitCode::SUCCESS)
                }
                Err(reason) => {
                    print("{}")?;
                    eprintln!("cloakroom: {reason}");
                    Ok(ExitCode::FAILURE)
                }
            }
        }
    }
}

impl KeyArgs {
    fn load(&self) -> Result<(KeyRing, Policy), TokenError> {
        match &self.secret_file {
            Some(path) => {
                let (keys, warning) = source::load_file(path).map_err(TokenError::Key)?;
                if let Some(warning) = warning {
                    eprintln!("cloakroom: {warning}");
                }
                Ok((keys, default_policy()?))
            }
            None => load_config(&self.config.config),
        }
    }
}

fn load_config(file: &Path) -> Result<(KeyRing, Policy), TokenError> {
    // The sidecar may get these from its command line instead of the file; tokens do not depend on
    // them.
    let overrides = Overrides {
        listen: vec!["127.0.0.1:8080".into()],
        backend: Some("http://127.0.0.1:5000".into()),
    };
    let mut config = load(file, &overrides).map_err(TokenError::Configuration)?.config;
    config.read_revoked().map_err(TokenError::Configuration)?;
    let keys = source::load(&config.keys, file).map_err(TokenError::Configuration)?;
    Ok((keys, config.session))
}

/// The defaults, which match microdot.
fn default_policy() -> Result<Policy, TokenError> {
    let parts = CookieParts::named(CookieName::parse("session").map_err(TokenError::CookieName)?);
    CookieAttributes::new(parts).map(Policy::of).map_err(TokenError::Cookie)
}

/// More than any token or dict that fits in a cookie.
const MAX_INPUT_BYTES: u64 = 1024 * 1024;

fn argument(argument: Option<&str>, input: impl Read) -> Result<Vec<u8>, TokenError> {
    match argument {
        Some(text) if text != "-" => Ok(text.as_bytes().to_vec()),
        _ => {
            let mut text = Vec::new();
            input
                .take(MAX_INPUT_BYTES)
                .read_to_end(&mut text)
                .map_err(|error| TokenError::Io { what: "standard input", error })?;
            Ok(text)
        }
    }
}

fn encode(json: &[u8], issuer: Issuer<'_>, fresh: impl Fresh) -> Result<String, TokenError> {
    let dict = Dict::parse(json).map_err(TokenError::NoDict)?;
    session::encode(&dict, issuer, fresh).map_err(TokenError::Broken)
}

/// The random values for one token, drawn first so that an error can be reported.
struct Drawn {
    id: [u8; 16],
    nonce: Option<Nonce>,
}

impl Drawn {
    fn new() -> Result<Self, TokenError> {
        let (mut id, mut nonce) = ([0; 16], [0; NONCE_BYTES]);
        getrandom::fill(&mut id)
            .and_then(|()| getrandom::fill(&mut nonce))
            .map_err(TokenError::NoRandomness)?;
        Ok(Self { id, nonce: Some(nonce) })
    }
}

impl Fresh for Drawn {
    fn id(&mut self) -> SessionId {
        SessionId::from_bytes(self.id)
    }

    fn nonce(&mut self) -> Option<Nonce> {
        self.nonce.take()
    }
}

fn decode(
    token: &[u8],
    keys: &KeyRing,
    policy: &Policy,
    now: Timestamp,
) -> Result<Dict, Rejection> {
    // Piped input ends with a newline.
    let token = session::open_token(token.trim_ascii(), keys, policy, now)?;
    Ok(token.dict().clone())
}

/// Why there is no token, or no keys to read one.
#[derive(Debug)]
pub(super) enum TokenError {
    Configuration(Vec<Fault>),
    /// The file of `--secret-file`.
    Key(KeyError),
    CookieName(CookieNameError),
    Cookie(Vec<CookieFault>),
    Io {
        what: &'static str,
        error: std::io::Error,
    },
    NoDict(DictError),
    Broken(Broken),
    NoRandomness(getrandom::Error),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(faults) => {
                let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                f.write_str(&faults.join("\n"))
            }
            Self::Key(error) => error.fmt(f),
            Self::CookieName(error) => error.fmt(f),
            Self::Cookie(faults) => faults.iter().try_for_each(|fault| f.write_str(&fault.message)),
            Self::Io { what, error } => write!(f, "{what}: {error}"),
            Self::NoDict(error) => write!(f, "not a dict: {error}"),
            Self::Broken(broken) => broken.reason.fmt(f),
            Self::NoRandomness(error) => write!(f, "the system gives no random bytes: {error}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::keys::{Algorithm, Key};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    /// PyJWT: `jwt.encode({"n": 1, "name": "Zo\u{eb}"}, "0123456789abcdef0123456789abcdef")`.
    const OF_MICRODOT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
        eyJuIjoxLCJuYW1lIjoiWm9cdTAwZWIifQ.\
        TKIZ98MXs-KcE4qjFQoQ2RN9Xm8tDPoygLZzbTsYdgc";

    fn keys(secret: &[u8]) -> KeyRing {
        KeyRing::new(Key::hmac(None, Algorithm::Hs256, secret), Vec::new())
    }

    fn encode_now(json: &[u8], policy: &Policy) -> Result<String, String> {
        let id = SessionId::from_bytes([7; 16]);
        let token = encode(json, Issuer::new(&keys(SECRET), policy, NOW), || id.clone());
        token.map_err(|error| error.to_string())
    }

    fn decode_at(token: &str, policy: &Policy, now: Timestamp) -> Result<String, String> {
        let dict = decode(token.as_bytes(), &keys(SECRET), policy, now);
        dict.map(|dict| dict.as_str().to_owned()).map_err(|rejection| rejection.to_string())
    }

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    #[test]
    fn what_is_encoded_decodes_to_the_same_text() {
        let policy = default_policy().unwrap();
        let table = [
            ("{}", "{}"),
            (" { \"b\" : 1.10 , \"a\" : [ ] }\n", r#"{"b":1.10,"a":[]}"#),
            (r#"{"n":123456789012345678901234567890,"u":"é\u00e9"}"#, ""),
        ];
        for (json, expected) in table {
            let token = encode_now(json.as_bytes(), &policy).unwrap();
            let expected = if expected.is_empty() { json } else { expected };
            assert_eq!(decode_at(&token, &policy, NOW).unwrap(), expected);
            assert_eq!(decode_at(&format!("{token}\n"), &policy, NOW).unwrap(), expected);
        }
    }

    #[test]
    fn a_token_of_microdot_decodes() {
        let policy = default_policy().unwrap();
        assert_eq!(decode_at(OF_MICRODOT, &policy, NOW).unwrap(), r#"{"n":1,"name":"Zo\u00eb"}"#);
    }

    #[test]
    fn what_is_no_dict_is_not_encoded() {
        let policy = default_policy().unwrap();
        for json in ["", "[1]", "{", r#"{"a":1,"a":2}"#, r#"{"exp":1}"#, r#"{"aud":"x"}"#] {
            assert!(encode_now(json.as_bytes(), &policy).is_err(), "{json}");
        }
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(4096));
        assert!(encode_now(large.as_bytes(), &policy).unwrap_err().contains("max_cookie_bytes"));
        let wide = format!("{{\"a\":\"{}\"}}", "é".repeat(1450));
        assert!(encode_now(wide.as_bytes(), &policy).unwrap_err().contains("session.max_bytes"));
    }

    #[test]
    fn a_token_that_does_not_verify_says_why() {
        let policy = default_policy().unwrap();
        let token = encode_now(b"{}", &policy).unwrap();
        let other = keys(b"another-secret-of-thirty-two-bytes");
        let refused = decode(token.as_bytes(), &other, &policy, NOW).unwrap_err();
        assert_eq!(refused, Rejection::BadSignature);
        for broken in ["", "x", "a.b.c"] {
            assert!(decode_at(broken, &policy, NOW).unwrap_err().contains("well-formed"));
        }
    }

    #[test]
    fn a_configured_lifetime_and_issuer_hold_here_too() {
        let policy = Policy {
            ttl: Some(Duration::from_secs(60)),
            issuer: Some("cloakroom".into()),
            require_exp: true,
            ..default_policy().unwrap()
        };
        let token = encode_now(b"{\"n\":1}", &policy).unwrap();
        assert_eq!(decode_at(&token, &policy, NOW).unwrap(), "{\"n\":1}");
        let later = NOW.plus(Duration::from_secs(60));
        assert!(decode_at(&token, &policy, later).unwrap_err().contains("expired"));
        let plain = encode_now(b"{\"n\":1}", &default_policy().unwrap()).unwrap();
        assert!(decode_at(&plain, &policy, NOW).unwrap_err().contains("iss"));
    }

    #[test]
    fn a_dash_or_nothing_reads_standard_input() {
        for (given, expected) in [(None, "piped"), (Some("-"), "piped"), (Some("{}"), "{}")] {
            assert_eq!(argument(given, &b"piped"[..]).unwrap(), expected.as_bytes());
        }
    }

    #[test]
    fn a_secret_file_needs_no_configuration() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), SECRET).unwrap();
        let args = KeyArgs {
            config: ConfigArgs { config: "/nowhere/cloakroom.toml".into() },
            secret_file: Some(file.path().to_owned()),
        };
        let (keys, policy) = args.load().unwrap();
        assert!(decode(OF_MICRODOT.as_bytes(), &keys, &policy, NOW).is_ok());
    }
}
