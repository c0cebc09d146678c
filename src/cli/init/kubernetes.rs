//! kubernetes.yml: the manifests of deploy/kubernetes in one file, with the configuration and the
//! key from the files that `cloakroom init` writes.

use super::args::InitArgs;
use crate::config::Backend;

const MANIFESTS: [&str; 3] = [
    include_str!("../../../deploy/kubernetes/deployment.yml"),
    include_str!("../../../deploy/kubernetes/service.yml"),
    include_str!("../../../deploy/kubernetes/networkpolicy.yml"),
];

/// The differences from these manifests: they have a ConfigMap with another path for the key, while
/// here both files are in one directory next to kubernetes.yml, and they use Redis.
const CHANGES: [(&str, &str); 3] = [
    (
        "          restartPolicy: Always\n",
        "          restartPolicy: Always\n          # The relative path of session_key starts here.\n          workingDir: /etc/cloakroom\n",
    ),
    (
        "            - { name: config, mountPath: /etc/cloakroom, readOnly: true }\n            \
         - { name: keys, mountPath: /run/secrets/cloakroom, readOnly: true }\n            \
         - { name: redis, mountPath: /run/secrets/redis, readOnly: true }\n",
        "            - { name: cloakroom, mountPath: /etc/cloakroom, readOnly: true }\n",
    ),
    (
        "        - name: config\n          configMap: { name: shop-cloakroom }\n        - name: keys\n          \
         secret: { secretName: shop-cloakroom, defaultMode: 0440 }\n        \
         # Only for redis/configmap.yml; otherwise empty.\n        \
         - name: redis\n          \
         secret: { secretName: shop-redis, defaultMode: 0440, optional: true }\n",
        "        - name: cloakroom\n          projected:\n            defaultMode: 0440\n            sources:\n              \
         - configMap: { name: shop-cloakroom }\n              - secret: { name: shop-cloakroom }\n",
    ),
];

/// # Errors
/// The app cannot run in the same pod.
pub(super) fn file(args: &InitArgs) -> Result<String, String> {
    let Backend::Tcp { port, .. } = args.backend else {
        return Err("--kubernetes needs an app with a port: expected a --backend such as \
                    http://127.0.0.1:5000"
            .into());
    };
    if !args.is_beside() {
        return Err(format!(
            "--kubernetes puts the app and cloakroom into one pod: expected --backend \
             http://127.0.0.1:{port} instead of {}",
            args.backend
        ));
    }
    let mut text = MANIFESTS.join("---\n");
    for (from, to) in CHANGES {
        text = text.replace(from, to);
    }
    Ok(text.replace("value: \"5000\"", &format!("value: \"{port}\"")))
}
