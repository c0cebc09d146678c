//! The options of `cloakroom init`, and the names of the files that it writes.

use clap::Args;

use crate::config::{Backend, Listen};

pub(super) const CONFIG: &str = "cloakroom.toml";
pub(super) const KEY: &str = "session_key";
pub(super) const COMPOSE: &str = "compose.yml";
pub(super) const KUBERNETES: &str = "kubernetes.yml";
pub(super) const UNIT: &str = "cloakroom.service";

#[derive(Args, Debug)]
pub(in crate::cli) struct InitArgs {
    /// Where the app is: http://HOST:PORT, https://HOST:PORT or unix:/PATH
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000")]
    pub(super) backend: Backend,
    /// The address that clients connect to
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(super) listen: Listen,
    /// Also write compose.yml, for Docker Compose
    #[arg(long)]
    pub(super) compose: bool,
    /// Also write kubernetes.yml, which runs the app and cloakroom in one pod
    #[arg(long)]
    pub(super) kubernetes: bool,
    /// Also write cloakroom.service, for systemd
    #[arg(long)]
    pub(super) systemd: bool,
}

impl InitArgs {
    /// Whether the app is on this machine or in this pod.
    pub(super) fn is_beside(&self) -> bool {
        match &self.backend {
            Backend::Tcp { host, .. } => {
                host == "localhost"
                    || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
            }
            Backend::Unix(_) => true,
        }
    }
}
