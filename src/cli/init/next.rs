//! The output of `cloakroom init`: the written files and the next steps.

use std::fmt::Write as _;

use super::args::{COMPOSE, CONFIG, InitArgs, KEY, KUBERNETES, UNIT};
use crate::config::Listen;

pub(super) fn steps(args: &InitArgs) -> String {
    let mut text = String::from("Written:\n");
    let mut row = |name: &str, what: &str| {
        let _ = writeln!(text, "  {name:<18} {what}");
    };
    row(CONFIG, "the configuration");
    row(KEY, "the key that signs sessions: keep it secret, and out of version control");
    if args.compose {
        row(COMPOSE, "for Docker Compose");
    }
    if args.kubernetes {
        row(KUBERNETES, "for Kubernetes");
    }
    if args.systemd {
        row(UNIT, "for systemd");
    }
    if args.compose {
        text.push_str(COMPOSE_STEPS);
    }
    if args.kubernetes {
        text.push_str(KUBERNETES_STEPS);
    }
    if args.systemd {
        text.push_str(SYSTEMD_STEPS);
    }
    if !(args.compose || args.kubernetes || args.systemd) {
        let _ = write!(
            text,
            "\nNext:\n  1. Start the app at {}; it must not be reachable from elsewhere.\n  \
             2. cloakroom run --config {CONFIG}\n",
            args.backend
        );
        if let Listen::Tcp(address) = args.listen {
            let _ = writeln!(text, "  3. Open http://{address}/");
        }
    }
    text
}

const COMPOSE_STEPS: &str = "
Next, with Docker Compose:
  1. In a clone of cloakroom: docker build --tag cloakroom .
  2. In compose.yml, put in the image of your app.
  3. docker compose up --detach
";

const KUBERNETES_STEPS: &str = "
Next, with Kubernetes:
  1. In kubernetes.yml, put in the images and names of yours: shop is the app, cloakroom its sidecar.
  2. kubectl create configmap shop-cloakroom --from-file=cloakroom.toml
  3. kubectl create secret generic shop-cloakroom --from-file=session_key
  4. kubectl apply --filename kubernetes.yml
";

const SYSTEMD_STEPS: &str = "
Next, with systemd, as root and with the binary in /usr/local/bin:
  1. useradd --system --no-create-home --shell /usr/sbin/nologin cloakroom
  2. install -D --mode 644 --target-directory /etc/cloakroom cloakroom.toml
  3. install --mode 400 --owner cloakroom --target-directory /etc/cloakroom session_key
  4. install --mode 644 --target-directory /etc/systemd/system cloakroom.service
  5. systemctl daemon-reload && systemctl enable --now cloakroom
";
