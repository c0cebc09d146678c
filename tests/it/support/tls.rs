//! TLS: certificates as an operator makes them, and clients that only accept these.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    SupportedProtocolVersion,
};

use super::client::{Protocol, Request};
use super::h2c;
use super::message::{Message, Wire};
use super::{WAIT, openssl};

/// A certificate of its own authority, with its key, in files.
pub struct Certificate {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// For this name and 127.0.0.1.
    pub fn new(folder: &Path, name: &str) -> Self {
        let (cert, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        let arguments = format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj \
             /CN={name} -addext subjectAltName=DNS:{name},IP:127.0.0.1 -addext \
             basicConstraints=critical,CA:FALSE -keyout {} -out {}",
            key.display(),
            cert.display()
        );
        openssl(&arguments, "");
        Self { cert, key }
    }

    /// The table for a configuration.
    pub fn table(&self) -> String {
        format!("[tls]\ncert = {:?}\nkey = {:?}\n", self.cert, self.key)
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(&self.cert).unwrap().map(Result::unwrap).collect()
    }

    /// The settings of a server with it.
    pub fn server(&self) -> Arc<ServerConfig> {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain(), PrivateKeyDer::from_pem_file(&self.key).unwrap());
        Arc::new(config.unwrap())
    }

    /// The settings of a client that trusts only this certificate.
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.chain().remove(0)).unwrap();
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

/// An HTTP/1 connection over TLS.
pub struct Client {
    wire: Wire<StreamOwned<ClientConnection, TcpStream>>,
}

impl Client {
    /// Does the handshake with the server at this address, for this name.
    pub fn connect(address: SocketAddr, config: ClientConfig, name: &str) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&address, WAIT)?;
        stream.set_read_timeout(Some(WAIT))?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let mut session = ClientConnection::new(Arc::new(config), name).expect("a client");
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(Self { wire: Wire::new(StreamOwned::new(session, stream)) })
    }

    /// Sends a request and reads its answer.
    pub fn exchange(&mut self, request: &Request) -> Message {
        self.send(request.bytes(Protocol::Http11));
        self.wire.response(&request.method).expect("an answer within the time limit")
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        use std::io::Write as _;
        self.wire.stream.write_all(bytes.as_ref()).expect("the sidecar takes the request");
    }

    /// The answer to a request with this method.
    pub fn receive(&mut self, method: &str) -> Message {
        self.wire.response(method).expect("an answer within the time limit")
    }

    /// Waits for the end of the connection; false if something else comes first.
    pub fn ends(&mut self) -> bool {
        // An end without a TLS close message counts too.
        match self.wire.some() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == std::io::ErrorKind::UnexpectedEof,
        }
    }

    /// The server's certificate.
    pub fn certificate(&self) -> Vec<u8> {
        self.wire.stream.conn.peer_certificates().expect("a certificate")[0].to_vec()
    }

    /// The protocol selected by ALPN.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.wire.stream.conn.alpn_protocol()
    }
}

/// An HTTP/2 connection over TLS.
pub fn http2(address: SocketAddr, mut config: ClientConfig, name: &str) -> h2c::Connection {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    h2c::Connection::over(async move {
        let stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let stream = stream.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream
    })
}
