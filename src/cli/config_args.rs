//! The argument that names the configuration.

use std::path::PathBuf;

use clap::Args;

/// The configuration file, for every subcommand that reads one.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigArgs {
    /// The configuration file
    #[arg(
        long,
        value_name = "FILE",
        env = "CLOAKROOM_CONFIG",
        default_value = "/etc/cloakroom/cloakroom.toml"
    )]
    pub(crate) config: PathBuf,
}
