//! `cloakroom demo`: a real sidecar with its own key in front of a small built-in shop, to try in a
//! browser.

use std::fs::DirBuilder;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;

use super::{Failure, print};
use crate::config::Listen;
use crate::config::file::{self, Overrides};
use crate::keys::source;
use crate::logging;
use crate::server::{Inherited, Process, Ready, Server};

mod app;
mod article;
mod diary;
mod form;
mod page;
mod reply;
mod visitor;

use app::App;

#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// The address to listen on; port 0 is any free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: Listen,

    /// Keep the sessions in a file in a temporary directory instead of in cookies
    #[arg(long)]
    store: bool,
}

pub(super) fn run(args: DemoArgs) -> Result<(), Failure> {
    let (backend, port) = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr().map(|address| (listener, address.port())))
        .map_err(|error| Failure::Runtime(format!("no port for the demo's app: {error}")))?;
    let no_random = |error| Failure::Runtime(format!("no random bytes for a key: {error}"));
    let secret = random_text().map_err(no_random)?;
    let folder = match args.store {
        true => Some(Folder::new(&random_text().map_err(no_random)?)?),
        false => None,
    };

    let here = Path::new("demo");
    let overrides = Overrides { listen: vec![args.listen.to_string()], backend: None };
    let loaded = file::parse(&config(port, &secret, folder.as_ref()), here, &overrides)
        .map_err(Failure::Configuration)?;
    let keys = source::load(&loaded.config.keys, here).map_err(Failure::Configuration)?;
    logging::init(loaded.config.log);
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    let ready = Ready::without_tls(loaded, keys);
    let process = Process::new().map_err(Failure::runtime)?;
    let server = Server::bind(ready, Inherited::default(), &process).map_err(|reason| {
        Failure::Runtime(format!("{reason}; try --listen 127.0.0.1:0 for any free port"))
    })?;
    let urls: Vec<String> = server.addresses().iter().map(|address| url(address)).collect();
    print(&format!("The cloakroom demo is at {}\nCtrl-C stops it.\n", urls.join(" and ")))?;
    let server = server.with_app(backend, App::new(args.store)).map_err(Failure::runtime)?;
    server.run(process).map_err(Failure::runtime)
}

/// Like an operator's configuration, except that it contains the secret itself.
fn config(port: u16, secret: &str, folder: Option<&Folder>) -> String {
    let store = folder.map(|folder| {
        format!(
            r#"
[store]
url = "file:{}/sessions.db"

[session]
ttl = "30d"
subject = "name"
max_bytes = 65536
"#,
            folder.0.display()
        )
    });
    let store = store.unwrap_or_default();
    format!(
        r#"
backend = "http://127.0.0.1:{port}"
shutdown_timeout = "2s"

[[keys]]
secret = "{secret}"

[[routes]]
path = "/style.css"
session = "off"

[log]
format = "text"
{store}"#
    )
}

/// A private temporary directory, removed when the demo ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("cloakroom-demo-{name}"));
        let made = DirBuilder::new().mode(0o700).create(&path);
        let failed = |error| Failure::Runtime(format!("cannot create {}: {error}", path.display()));
        made.map_err(failed)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// 32 random bytes, base64url-encoded.
fn random_text() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The address for a browser: a wildcard address cannot be opened.
fn url(address: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(socket) if socket.ip().is_unspecified() => {
            format!("http://localhost:{}/ (listening on {address})", socket.port())
        }
        Ok(_) => format!("http://{address}/"),
        Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_can_be_typed_into_a_browser() {
        for (address, expected) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("[::1]:9", "http://[::1]:9/"),
            ("0.0.0.0:80", "http://localhost:80/ (listening on 0.0.0.0:80)"),
            ("[::]:80", "http://localhost:80/ (listening on [::]:80)"),
            ("unix:/run/demo.sock", "unix:/run/demo.sock"),
        ] {
            assert_eq!(url(address), expected);
        }
    }

    #[test]
    fn each_key_is_another_one() {
        let (one, other) = (random_text(), random_text());
        assert_eq!(one.as_ref().map(String::len), Ok(43));
        assert_ne!(one, other);
    }
}
