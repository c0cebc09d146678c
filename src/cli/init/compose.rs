//! compose.yml. An app on a loopback address shares its network with cloakroom, as in a pod. An app
//! with its own name is a service on a network with only these two.

use super::args::InitArgs;
use crate::config::{Backend, Listen};

/// The user of the image, as in its Dockerfile.
const IMAGE_USER: u32 = 65532;

/// The user who runs cloakroom in the container and owns the key: the current user, unless it is
/// root.
pub(super) fn user() -> (u32, u32) {
    match (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()) {
        (0, _) => (IMAGE_USER, IMAGE_USER),
        user => user,
    }
}

/// # Errors
/// The address cannot be reached from a container, or published by one.
pub(super) fn file(args: &InitArgs) -> Result<String, String> {
    let Listen::Tcp(published) = args.listen else {
        return Err(
            "--compose publishes a port: expected --listen with an IP address and a port, \
                    such as 127.0.0.1:8080"
                .into(),
        );
    };
    let Backend::Tcp { host, port, .. } = &args.backend else {
        return Err("--compose needs an app with a port: expected --backend http://app:5000. \
                    deploy/compose.unix-socket.yml shows how to share a unix socket"
            .into());
    };
    let shared = args.is_beside();
    if !shared && host.parse::<std::net::IpAddr>().is_ok() {
        return Err(format!(
            "--compose names the app's service after the host in --backend: expected a name, such \
             as http://app:{port}, instead of {host}"
        ));
    }
    let app = if shared { "app" } else { host };
    let ports = format!("    ports: [\"{published}:8080\"]");
    let (cloakroom_network, app_network, networks) = match shared {
        true => (
            format!(
                "    # The app's network: both have one loopback interface.\n    network_mode: service:{app}"
            ),
            format!(
                "    # Those of cloakroom. The app listens on 127.0.0.1:{port}, and only cloakroom can connect to it.\n{ports}"
            ),
            "",
        ),
        false => (
            format!("{ports}\n    networks: [inside, outside]"),
            format!(
                "    # It listens on 0.0.0.0:{port}; only cloakroom is on its network, and no port is published.\n    networks: [inside]"
            ),
            "\nnetworks:\n  inside: { internal: true }\n  outside: {}\n",
        ),
    };
    let (user, group) = self::user();
    Ok(include_str!("compose.yml")
        .replace("{published}", &published.to_string())
        .replace("{cloakroom_network}", &cloakroom_network)
        .replace("{app_network}", &app_network)
        .replace("{user}", &format!("{user}:{group}"))
        .replace("{app}", app)
        .replace("{networks}\n", networks))
}
