//! The servers of a store, how they are reached, and the files this needs.
//!
//! Also built without the client for them, because the configuration is always read.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// `store.url` of Redis or Valkey, and the related keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSpec {
    /// The servers, the sentinels, or some nodes of a cluster.
    pub nodes: Vec<Node>,
    /// The type of these nodes.
    pub topology: Topology,
    /// Whether to use TLS.
    pub tls: bool,
    /// The number of the database.
    pub database: u16,
    /// `store.username`
    pub username: Option<String>,
    /// `store.password_file`
    pub password_file: Option<PathBuf>,
    /// `store.sentinel_username`
    pub sentinel_username: Option<String>,
    /// `store.sentinel_password_file`
    pub sentinel_password_file: Option<PathBuf>,
    /// `store.ca_file`: accepted authorities in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// `store.client_cert` and `store.client_key`: the client certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The line of the url in the configuration.
    pub line: usize,
}

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// A name, or an address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// The type of a set of servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// A single server.
    Single,
    /// Sentinels, which know the current master.
    Sentinel {
        /// The name of the master.
        master: String,
    },
    /// A cluster, in which each server has a part of the keys.
    Cluster,
}

impl Topology {
    /// The name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Sentinel { .. } => "sentinel",
            Self::Cluster => "cluster",
        }
    }
}

/// The content of the files that a [`ServerSpec`] names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// From `password_file`.
    pub password: Option<Zeroizing<String>>,
    /// From `sentinel_password_file`.
    pub sentinel_password: Option<Zeroizing<String>>,
    /// From `ca_file`, in PEM.
    pub authorities: Option<Vec<u8>>,
    /// From `client_cert` and `client_key`, in PEM.
    pub client: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

/// Does not print them.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

/// A file that cannot be used.
#[derive(Debug)]
pub struct Unusable {
    /// The configuration key that names it.
    pub key: &'static str,
    /// Its path.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a file.
#[derive(Debug)]
pub enum Reason {
    /// It cannot be read.
    Unreadable(io::Error),
    /// A password that is not UTF-8.
    NotUtf8,
    /// It is empty.
    Empty,
    /// It contains no certificate.
    NoCertificate,
    /// It contains no unencrypted key.
    NoKey,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::NotUtf8 => f.write_str("is not UTF-8"),
            Self::Empty => f.write_str("is empty"),
            Self::NoCertificate => f.write_str("has no certificate in PEM"),
            Self::NoKey => f.write_str("has no unencrypted private key in PEM"),
        }
    }
}

impl ServerSpec {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let (cert, key) = self.client.as_ref().map(|(cert, key)| (cert, key)).unzip();
        let Self { password_file, sentinel_password_file, ca_file, .. } = self;
        let own = [password_file, sentinel_password_file, ca_file].map(Option::as_ref);
        own.into_iter().chain([cert, key]).flatten()
    }

    /// Reads the files that it names.
    ///
    /// # Errors
    /// Every file that cannot be used.
    pub fn read(&self) -> Result<Secrets, Vec<Unusable>> {
        let mut unusable = Vec::new();
        let mut take = |key, path: Option<&PathBuf>, judge: fn(&[u8]) -> Option<Reason>| {
            let path = path?;
            match read(path, judge) {
                Ok(bytes) => Some(bytes),
                Err(reason) => {
                    unusable.push(Unusable { key, path: path.clone(), reason });
                    None
                }
            }
        };
        let password = take("store.password_file", self.password_file.as_ref(), is_no_password);
        let sentinel = self.sentinel_password_file.as_ref();
        let sentinel = take("store.sentinel_password_file", sentinel, is_no_password);
        let authorities = take("store.ca_file", self.ca_file.as_ref(), is_no_certificate);
        let (cert, key) = self.client.as_ref().map(|(cert, key)| (cert, key)).unzip();
        let cert = take("store.client_cert", cert, is_no_certificate);
        let key = take("store.client_key", key, is_no_key);
        if !unusable.is_empty() {
            return Err(unusable);
        }
        let text = |bytes: Zeroizing<Vec<u8>>| {
            Zeroizing::new(String::from_utf8_lossy(bytes.trim_ascii()).into_owned())
        };
        Ok(Secrets {
            password: password.map(text),
            sentinel_password: sentinel.map(text),
            authorities: authorities.map(|pem| pem.to_vec()),
            client: cert.map(|pem| pem.to_vec()).zip(key),
        })
    }
}

fn read(path: &Path, judge: fn(&[u8]) -> Option<Reason>) -> Result<Zeroizing<Vec<u8>>, Reason> {
    let bytes = std::fs::read(path).map_err(Reason::Unreadable)?;
    let bytes = Zeroizing::new(bytes);
    judge(&bytes).map_or(Ok(bytes), Err)
}

fn is_no_password(text: &[u8]) -> Option<Reason> {
    match str::from_utf8(text).map(str::trim_ascii) {
        Err(_) => Some(Reason::NotUtf8),
        Ok("") => Some(Reason::Empty),
        Ok(_) => None,
    }
}

fn is_no_certificate(text: &[u8]) -> Option<Reason> {
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    match CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => None,
        _ => Some(Reason::NoCertificate),
    }
}

fn is_no_key(text: &[u8]) -> Option<Reason> {
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(_) => None,
        Err(_) => Some(Reason::NoKey),
    }
}
