//! TLS for clients: loads the certificates, also on a reload, and wraps connections so that bytes
//! can be returned to them.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::protocols::l4::stream::Stream as L4Stream;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{Config, TlsFiles};
use crate::fault::Fault;
use crate::named_file;

/// The name of HTTP/2 in ALPN (RFC 9113 section 3.1).
const HTTP_2: &[u8] = b"h2";

/// The TLS settings for clients: versions 1.2 and 1.3, HTTP/2 by ALPN.
///
/// # Errors
/// A file cannot be read or is not PEM, or the key does not belong to the certificate.
pub(crate) fn load(
    files: &TlsFiles,
    configuration: &Path,
) -> Result<Arc<ServerConfig>, Vec<Fault>> {
    let fault = |message: String| Fault::new(configuration, files.line, message);
    let chain = certificates(&files.cert)
        .and_then(|chain| if chain.is_empty() { Err(Unusable::Empty) } else { Ok(chain) })
        .map_err(|reason| fault(named_file::told("tls.cert", &files.cert, reason)));
    let private = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| fault(named_file::told("tls.key", &files.key, Unusable::from(error))));
    let (chain, private) = match (chain, private) {
        (Ok(chain), Ok(private)) => (chain, private),
        (chain, private) => return Err(chain.err().into_iter().chain(private.err()).collect()),
    };
    let fault = |message| vec![fault(message)];
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth())
        .and_then(|builder| builder.with_single_cert(chain, private))
        .map_err(|error| {
            let (cert, key) = (files.cert.display(), files.key.display());
            fault(format!("tls.cert {cert} with tls.key {key}: {error}"))
        })?;
    config.alpn_protocols = [HTTP_2, b"http/1.1", b"http/1.0"].map(<[u8]>::to_vec).to_vec();
    // Stateless session tickets: the client stores the TLS session.
    config.ticketer = ring::Ticketer::new()
        .map_err(|error| fault(format!("tls: no randomness for session tickets: {error}")))?;
    Ok(Arc::new(config))
}

/// Checks that the certificate of an https backend can be verified; pingora panics if the
/// authorities cannot be read.
///
/// # Errors
/// What is wrong with `backend_tls.ca_file` or the system's certificates.
pub(super) fn check_authorities(config: &Config, path: &Path) -> Result<(), Vec<Fault>> {
    if !config.has_tls_backend() {
        return Ok(());
    }
    let backend = &config.backend_tls;
    let (is_empty, file) = match &backend.ca_file {
        Some(file) => (certificates(file).map(|found| found.is_empty()), Some(file)),
        None => (
            pingora_core::tls::load_native_certs()
                .map(|found| found.is_empty())
                .map_err(Unusable::Io),
            None,
        ),
    };
    let reason = match is_empty {
        Ok(false) => return Ok(()),
        Ok(true) => Unusable::Empty,
        Err(reason) => reason,
    };
    let message = match file {
        Some(file) => named_file::told("backend_tls.ca_file", file, reason),
        None => format!(
            "the system's certificates, for an https backend (install ca-certificates, or set \
             backend_tls.ca_file): {reason}"
        ),
    };
    Err(vec![Fault::new(path, backend.line, message)])
}

/// Every certificate in a file.
///
/// # Errors
/// Why it cannot be read.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    Ok(CertificateDer::pem_file_iter(path).and_then(Iterator::collect)?)
}

/// Why a file cannot be used for TLS; it completes a sentence about the file.
#[derive(Debug)]
enum Unusable {
    Io(std::io::Error),
    /// It contains no certificate.
    Empty,
    NoKey,
    NotPem,
}

/// The parser's error can quote the file.
impl From<PemError> for Unusable {
    fn from(error: PemError) -> Self {
        match error {
            PemError::Io(error) => Self::Io(error),
            PemError::NoItemsFound => Self::NoKey,
            _ => Self::NotPem,
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::Empty => f.write_str("has no certificate in PEM"),
            Self::NoKey => f.write_str("has no unencrypted private key in PEM"),
            Self::NotPem => f.write_str("is not PEM"),
        }
    }
}

/// Does the handshake.
///
/// # Errors
/// What the client does not support, or that it closed the connection.
pub(super) async fn accept(
    config: Arc<ServerConfig>,
    stream: Box<L4Stream>,
) -> std::io::Result<Box<TlsStream>> {
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    let digest = {
        let (_, connection) = stream.get_ref();
        let version = connection.protocol_version().and_then(|version| version.as_str());
        let suite = connection.negotiated_cipher_suite();
        let cipher = suite.and_then(|suite| suite.suite().as_str());
        SslDigest::new(cipher.unwrap_or(""), version.unwrap_or(""), None, None, Vec::new())
    };
    Ok(Box::new(TlsStream { stream, rewound: Vec::new(), digest: Arc::new(digest) }))
}

/// A client's connection over TLS.
#[derive(Debug)]
pub(super) struct TlsStream {
    stream: tokio_rustls::server::TlsStream<Box<L4Stream>>,
    /// Returned bytes, to be read first.
    rewound: Vec<u8>,
    digest: Arc<SslDigest>,
}

impl TlsStream {
    /// Returns bytes, to be read again.
    pub(super) fn rewind(&mut self, bytes: &[u8]) {
        self.rewound.splice(..0, bytes.iter().copied());
    }

    fn socket(&self) -> &L4Stream {
        self.stream.get_ref().0
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.rewound.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = self.rewound.len().min(buffer.remaining());
        buffer.put_slice(&self.rewound[..count]);
        if count == self.rewound.len() {
            self.rewound = Vec::new();
        } else {
            self.rewound.drain(..count);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[async_trait]
impl Shutdown for TlsStream {
    async fn shutdown(&mut self) {
        // An error does not matter: the client is gone.
        let _ = AsyncWriteExt::shutdown(&mut self.stream).await;
    }
}

impl UniqueID for TlsStream {
    fn id(&self) -> UniqueIDType {
        self.socket().id()
    }
}

impl Ssl for TlsStream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        Some(Arc::clone(&self.digest))
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        match self.stream.get_ref().1.alpn_protocol()? {
            HTTP_2 => Some(ALPN::H2),
            _ => Some(ALPN::H1),
        }
    }
}

impl Peek for TlsStream {}

impl GetTimingDigest for TlsStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.socket().get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.socket().get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.socket().get_write_pending_time()
    }
}

impl GetProxyDigest for TlsStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.socket().get_proxy_digest()
    }
}

impl GetSocketDigest for TlsStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.socket().get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.stream.get_mut().0.set_socket_digest(digest);
    }
}
