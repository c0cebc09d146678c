//! `cloakroom run`: starts only with a valid configuration and a secret for every key.

use clap::Args;

use super::{ConfigArgs, Failure};
use crate::config::file::Overrides;
use crate::logging;
use crate::server::{CannotStart, Inherited, Origin, Process, Server};

#[derive(Args, Debug)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Listen on this address instead of those in the file; can be repeated
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Use this app instead of the one in the file
    #[arg(long, value_name = "URL")]
    backend: Option<String>,
    /// Take over from the running process, which finishes its requests; both need upgrade_socket
    /// in the configuration
    #[arg(long)]
    upgrade: bool,
}

pub(super) fn run(args: RunArgs) -> Result<(), Failure> {
    let overrides = Overrides { listen: args.listen, backend: args.backend };
    let origin = Origin { path: args.config.config, overrides };
    let (ready, watch) = origin.load();
    let ready = ready.map_err(Failure::Configuration)?;
    logging::init(ready.loaded.config.log);
    for warning in ready.warnings() {
        log::warn!("{warning}");
    }
    let inherited = match args.upgrade {
        true => Inherited::receive(&ready.loaded.config).map_err(Failure::runtime)?,
        false => Inherited::default(),
    };
    let process = Process::new().map_err(Failure::runtime)?;
    let server = Server::bind(ready, inherited, &process).map_err(|error| match error {
        CannotStart::Store(_) | CannotStart::Carrier { .. } => Failure::usage(error),
        _ => Failure::runtime(error),
    })?;
    server.with_reload(origin, watch).run(process).map_err(Failure::runtime)
}
