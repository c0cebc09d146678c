//! `cloakroom run`: nothing starts without a sound configuration and a secret for every key.

use clap::Args;

use super::{ConfigArgs, Failure};
use crate::config::file::Overrides;
use crate::keys::source;
use crate::logging;
use crate::server::{Origin, Server};

#[derive(Args, Debug)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where to listen, instead of what the file says; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Where the app is, instead of what the file says
    #[arg(long, value_name = "URL")]
    backend: Option<String>,
}

pub(super) fn run(args: RunArgs) -> Result<(), Failure> {
    let overrides = Overrides { listen: args.listen, backend: args.backend };
    let origin = Origin { path: args.config.config, overrides };
    let (loaded, watch) = origin.load();
    let (loaded, keys) = loaded.map_err(Failure::Configuration)?;
    logging::init(loaded.config.log);
    for warning in loaded.warnings.into_iter().chain(source::warnings(&loaded.config.keys)) {
        log::warn!("{warning}");
    }
    let server = Server::bind(loaded.config, keys).map_err(Failure::Runtime)?;
    server.with_reload(origin, watch).run().map_err(Failure::Runtime)
}
