//! The expected form of a value, for error messages.

use std::fmt;
use std::ops::RangeInclusive;

use super::address::AddressError;
use crate::session::cookie::{CookieNameError, MAX_OLD_NAMES};
use crate::session::header::FieldNameError;
use crate::visit::cross_site::NoOrigin;

/// The expected form of a value. Follows `expected` in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Any string.
    String,
    /// A string that is not empty.
    Filled,
    /// A string on a single line.
    NoControlCharacters,
    Boolean,
    Whole(RangeInclusive<usize>),
    /// One of these words.
    OneOf(Vec<&'static str>),
    /// A number that fits in 64 bits.
    SmallerNumber,
    Duration,
    ShorterDuration,
    SomeTime,
    WholeSeconds,
    Moment,
    /// The path of a file.
    File,
    /// The path of a file, not its content.
    FileNotContent,
    Address(AddressError),
    Origin(NoOrigin),
    CookieName(CookieNameError),
    CookieNames,
    Secure,
    FieldName(FieldNameError),
    /// A field name without another meaning.
    UntakenField(&'static str),
    /// A field name that requests do not need.
    NeedlessField(&'static str),
    /// Text that is valid between quotes (RFC 9651 section 3.3.3).
    KeyId,
    DictPath,
    DictPathWithoutGaps,
    DictPathOrKeys,
    DictPathOrTable,
    /// The table of a claim, without this key.
    ClaimTableWithout(String),
    ClaimTableWithPath,
    SomeKeys,
    Separator,
    SeparatorOfEncoded,
    Variable,
    DictKeys,
    Methods,
    PassedOnMethods,
    MethodsInCapitals,
    SomeMethods,
    Require,
    SomeValues,
    ValueOrArray,
    Scalars,
    RoutePath,
    LocalPath,
    UrlPath,
    /// A file or a server.
    Store,
    StoreFile,
    StoreServer,
    StoreServerWithDatabase,
    StoreServerWithoutCredentials,
    /// Several servers of one type.
    StoreServersAlike,
    /// A file, because this program was built without a client for servers.
    StoreFileAsBuilt,
    /// A string without braces, which decide about the place of keys in a cluster.
    NoBraces,
    StoreFileWithoutHost,
    StoreFileWithoutEscapes,
    SocketMode,
    SocketPath,
    ServerName,
    Target,
    /// The same, or the word `off`.
    OrOff(Box<Self>),
    /// The part with this name.
    As(&'static str, Box<Self>),
    /// The demand on the value at this path.
    For(String, Box<Self>),
}

const A_PATH: &str = "a path into the dict, such as \"user.name\"";
const A_TABLE: &str = "such as { path = \"roles\", join = \",\", encoding = \"percent\" }";
const A_FILE: &str = "the path of a file";
const METHODS: &str = "an array of methods such as \"GET\"";
const A_STORE: &str = "a file, such as \"file:/var/lib/cloakroom/sessions.db\"";
const A_SERVER: &str = "a server, such as \"redis://cache:6379/0\" or \"rediss://cache\"";

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(range) => {
                return write!(f, "a whole number from {} to {}", range.start(), range.end());
            }
            Self::OneOf(words) => return alternatives(f, words),
            Self::FileNotContent => {
                return write!(
                    f,
                    "{A_FILE}, found what seems to be its content: put that into a file and name \
                     the file here"
                );
            }
            Self::Address(error) => return error.fmt(f),
            Self::Origin(error) => return error.fmt(f),
            Self::CookieName(error) => return error.fmt(f),
            Self::CookieNames => {
                return write!(f, "an array of at most {MAX_OLD_NAMES} cookie names");
            }
            Self::FieldName(error) => return error.fmt(f),
            Self::UntakenField(name) => {
                return write!(f, "another header name: {name} already has a meaning");
            }
            Self::NeedlessField(name) => {
                return write!(f, "a header that may be removed from every request; {name} may not");
            }
            Self::DictPathWithoutGaps => {
                return write!(f, "{A_PATH}, with a key on each side of a dot");
            }
            Self::DictPathOrTable => return write!(f, "{A_PATH}, or a table {A_TABLE}"),
            Self::ClaimTableWithout(key) => {
                return write!(f, "a table {A_TABLE}; it has nothing named {key:?}");
            }
            Self::ClaimTableWithPath => return write!(f, "a table {A_TABLE}: path is missing"),
            Self::MethodsInCapitals => return write!(f, "{METHODS}, in capitals"),
            Self::SomeMethods => {
                return write!(f, "{METHODS}, at least one; remove the key for all methods");
            }
            Self::Store => {
                return write!(f, "{A_STORE}, or a server, such as \"redis://cache:6379\"");
            }
            Self::StoreServerWithDatabase => {
                return write!(f, "{A_SERVER}: after host and port, only the database's number");
            }
            Self::StoreFileAsBuilt => {
                return write!(
                    f,
                    "{A_STORE}: this cloakroom was built without the feature \"redis\", which Redis \
                     and Valkey take"
                );
            }
            Self::StoreServer => A_SERVER,
            Self::StoreServerWithoutCredentials => {
                "a URL without user and password: they are in store.username and store.password_file"
            }
            Self::StoreServersAlike => {
                "servers with TLS or servers without, all with the same database"
            }
            Self::NoBraces => "a string without { and }",
            Self::StoreFileWithoutHost => return write!(f, "{A_STORE}, without a host"),
            Self::StoreFileWithoutEscapes => return write!(f, "{A_STORE}, without ?, # and %"),
            Self::OrOff(expected) => return write!(f, "{expected}, or \"off\""),
            Self::As(part, expected) => return write!(f, "as {part} {expected}"),
            Self::For(path, expected) => return write!(f, "for {path:?} {expected}"),
            Self::String => "a string",
            Self::Filled => {
                "must not be empty; remove the key to disable it"
            }
            Self::NoControlCharacters => "a string without control characters",
            Self::Boolean => "true or false, without quotes",
            Self::SmallerNumber => "a number that fits 64 bits",
            Self::Duration => "a duration in quotes, such as \"8s\", \"15m\" or \"14d\"",
            Self::ShorterDuration => "a duration of at most 100 years",
            Self::SomeTime => "a duration longer than zero",
            Self::WholeSeconds => "a duration in whole seconds",
            Self::Moment => "a moment such as \"2026-11-22T10:00:00Z\"",
            Self::File => A_FILE,
            Self::Secure => "true, false or \"auto\"",
            Self::KeyId => "printable ASCII without quotes and backslashes",
            Self::DictPath => A_PATH,
            Self::DictPathOrKeys => {
                "a path into the dict, such as \"user.id\", or an array of its keys"
            }
            Self::SomeKeys => "an array of at least one key",
            Self::Separator => "printable ASCII, such as \",\"",
            Self::SeparatorOfEncoded => {
                "something that is not in percent-encoded text, such as \",\""
            }
            Self::Variable => "the name of an environment variable",
            Self::DictKeys => "an array of keys of the dict, such as [\"user\"]",
            Self::Methods => METHODS,
            Self::PassedOnMethods => "methods that are passed on, and not TRACE, TRACK or CONNECT",
            Self::Require => {
                "true, false, or a table such as { \"user.role\" = [\"admin\", \"owner\"] }"
            }
            Self::SomeValues => "at least one value",
            Self::ValueOrArray => {
                "a value or an array of them; a path with dots stands in quotes, as in \
                 \"user.role\""
            }
            Self::Scalars => "strings, numbers and booleans only",
            Self::RoutePath => "a path that starts with \"/\"",
            Self::LocalPath => "a path on this host, such as \"/login\"",
            Self::UrlPath => "a path as it stands in a URL: printable ASCII, everything else as %XX",
            Self::StoreFile => A_STORE,
            Self::SocketMode => "the mode of a file in quotes, such as \"0660\"",
            Self::SocketPath => "an absolute path of at most 107 bytes",
            Self::ServerName => "a host name or an IP address, without a port",
            Self::Target => "a path such as \"/healthz\"",
        })
    }
}

/// `"a", "b" or "c"`
fn alternatives(f: &mut fmt::Formatter<'_>, words: &[&str]) -> fmt::Result {
    for (index, word) in words.iter().enumerate() {
        let between = match words.len() - index {
            _ if index == 0 => "",
            1 => " or ",
            _ => ", ",
        };
        write!(f, "{between}{word:?}")?;
    }
    Ok(())
}

impl From<AddressError> for Expected {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

impl From<NoOrigin> for Expected {
    fn from(error: NoOrigin) -> Self {
        Self::Origin(error)
    }
}

impl From<CookieNameError> for Expected {
    fn from(error: CookieNameError) -> Self {
        Self::CookieName(error)
    }
}

impl From<FieldNameError> for Expected {
    fn from(error: FieldNameError) -> Self {
        Self::FieldName(error)
    }
}
