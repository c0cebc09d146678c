"""The manifests, as far as that can be seen without a cluster: what Kubernetes takes, what cloakroom
takes, and what must agree between the two."""

import re
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

import kubernetes_validate
import yaml

from support import BINARY, DEPLOY, replaced, tool

# Those with sidecars and preStop.sleep.
VERSIONS = [f"1.{minor}.0" for minor in range(30, 38)]

ENTRIES = [entry for file in sorted((DEPLOY / "kubernetes").glob("*.yml")) for entry in yaml.safe_load_all(file.read_text())]


def one(kind, name="shop"):
    found, = (entry for entry in ENTRIES if (entry["kind"], entry["metadata"]["name"]) == (kind, name))
    return found


POD = one("Deployment")["spec"]["template"]
SIDECAR, = POD["spec"]["initContainers"]
CONFIG = one("ConfigMap", "shop-cloakroom")["data"]["cloakroom.toml"]
SETTINGS = tomllib.loads(CONFIG)
SECRET_FILE = SETTINGS["keys"][0]["secret_file"]
WITH_REDIS = yaml.safe_load((DEPLOY / "kubernetes/redis/configmap.yml").read_text())


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


class Manifests(unittest.TestCase):
    def test_every_version_of_kubernetes_takes_them(self):
        builtin = [entry for entry in ENTRIES if not entry["apiVersion"].startswith("monitoring.")]
        self.assertEqual(len(ENTRIES) - len(builtin), 1)
        for version in VERSIONS:
            for entry in builtin:
                with self.subTest(version, kind=entry["kind"]):
                    kubernetes_validate.validate(entry, version, strict=True)

    def test_the_schemas_would_notice(self):
        broken = {**one("Service"), "spec": {"port": 80}}
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)

    def test_cloakroom_takes_its_configuration_with_a_secret_and_not_without(self):
        with tempfile.TemporaryDirectory() as folder:
            secret = Path(folder, "session_key")
            config = Path(folder, "cloakroom.toml")
            config.write_text(replaced(CONFIG, {SECRET_FILE: str(secret)}))
            tool(BINARY, "keygen", "--out", secret)
            tool(BINARY, "check", "--config", config)
            # As it is applied it has no key, and so takes none away from one that is there.
            manifest = one("Secret", "shop-cloakroom")
            self.assertEqual({**manifest.get("data", {}), **manifest.get("stringData", {})}, {})
            secret.unlink()
            done = subprocess.run(
                [BINARY, "check", "--config", config], capture_output=True, text=True, check=False
            )
            self.assertEqual(done.returncode, 2)
            self.assertIn(str(secret), done.stderr)

    def test_with_redis_only_the_configuration_is_another(self):
        kubernetes_validate.validate(WITH_REDIS, VERSIONS[-1], strict=True)
        self.assertEqual(WITH_REDIS["metadata"], one("ConfigMap", "shop-cloakroom")["metadata"])
        config = WITH_REDIS["data"]["cloakroom.toml"]
        settings = tomllib.loads(config)
        store = settings.pop("store")
        self.assertEqual(settings["session"].pop("subject"), "user.id")
        self.assertEqual(settings, SETTINGS)
        # Its files are those of a Secret that need not be there.
        mount, = (mount for mount in SIDECAR["volumeMounts"] if mount["name"] == "redis")
        volume, = (volume for volume in POD["spec"]["volumes"] if volume["name"] == "redis")
        self.assertEqual(volume["secret"], {"secretName": "shop-redis", "defaultMode": 0o440, "optional": True})
        with tempfile.TemporaryDirectory() as folder:
            secret, path, password, authority = (
                Path(folder, name) for name in ("session_key", "cloakroom.toml", "password", "ca.crt")
            )
            tool(BINARY, "keygen", "--out", secret)
            password.write_text("secret\n")
            tool("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", "/CN=redis", "-keyout", Path(folder, "key"), "-out", authority)
            files = {SECRET_FILE: str(secret)}
            for key, file in (("password_file", password), ("ca_file", authority)):
                self.assertEqual(store[key], f"{mount['mountPath']}/{file.name}")
                files[store[key]] = str(file)
            path.write_text(replaced(config, files))
            tool(BINARY, "check", "--config", path)

    def test_files_are_where_the_configuration_looks(self):
        mounts = {mount["name"]: mount for mount in SIDECAR["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in POD["spec"]["volumes"]}
        self.assertEqual(mounts["config"]["mountPath"], "/etc/cloakroom")
        self.assertEqual(str(Path(SECRET_FILE).parent), mounts["keys"]["mountPath"])
        self.assertFalse(any("subPath" in mount for mount in mounts.values()))
        self.assertEqual(volumes["config"]["configMap"]["name"], "shop-cloakroom")
        self.assertEqual(volumes["keys"]["secret"]["secretName"], "shop-cloakroom")
        # For the group only, which is the sidecar's.
        self.assertEqual(volumes["keys"]["secret"]["defaultMode"], 0o440)
        self.assertEqual(POD["spec"]["securityContext"]["fsGroup"], 65532)

    def test_ports_are_those_that_it_listens_on(self):
        ports = {port["name"]: port["containerPort"] for port in SIDECAR["ports"]}
        self.assertEqual(f"0.0.0.0:{ports['http']}", SETTINGS["listen"])
        self.assertEqual(f"0.0.0.0:{ports['admin']}", SETTINGS["admin"]["listen"])
        targets = {port["targetPort"] for e in ENTRIES if e["kind"] == "Service" for port in e["spec"]["ports"]}
        self.assertEqual(targets, {ports["http"], ports["admin"]})
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            self.assertEqual(SIDECAR[name]["httpGet"]["port"], "admin")
        rules = one("NetworkPolicy")["spec"]["ingress"]
        self.assertEqual([rule["ports"] for rule in rules], [[{"port": ports["http"]}], [{"port": ports["admin"]}]])
        self.assertTrue(all(rule["from"] for rule in rules))

    def test_the_app_is_reached_through_the_sidecar_only(self):
        app, = POD["spec"]["containers"]
        environment = {entry["name"]: entry["value"] for entry in app["env"]}
        self.assertEqual(f"http://{environment['HOST']}:{environment['PORT']}", SETTINGS["backend"])
        self.assertEqual(environment["HOST"], "127.0.0.1")
        self.assertNotIn("ports", app)

    def test_it_is_a_sidecar_and_the_app_does_not_wait_for_itself(self):
        self.assertEqual(SIDECAR["restartPolicy"], "Always")
        self.assertEqual(SIDECAR["startupProbe"]["httpGet"]["path"], "/healthz")
        self.assertEqual(SIDECAR["livenessProbe"]["httpGet"]["path"], "/healthz")
        self.assertEqual(SIDECAR["readinessProbe"]["httpGet"]["path"], "/readyz")

    def test_nobody_is_root(self):
        pod = POD["spec"]["securityContext"]
        self.assertEqual((pod["runAsNonRoot"], pod["runAsUser"]), (True, 65532))
        self.assertEqual(pod["seccompProfile"], {"type": "RuntimeDefault"})
        for container in [SIDECAR, *POD["spec"]["containers"]]:
            self.assertEqual(container["securityContext"], {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            })

    def test_there_is_time_to_stop(self):
        app, = POD["spec"]["containers"]
        needed = app["lifecycle"]["preStop"]["sleep"]["seconds"] + seconds(SETTINGS["shutdown_timeout"])
        # And as much as Docker gives an app.
        self.assertGreaterEqual(POD["spec"]["terminationGracePeriodSeconds"], needed + 10)

    def test_a_node_can_be_drained_and_somebody_still_serves(self):
        budget = one("PodDisruptionBudget")["spec"]
        self.assertLess(budget["maxUnavailable"], one("Deployment")["spec"]["replicas"])
        self.assertEqual(budget["unhealthyPodEvictionPolicy"], "AlwaysAllow")

    def test_labels_lead_to_the_pods(self):
        labels = POD["metadata"]["labels"]
        self.assertEqual(one("Deployment")["spec"]["selector"]["matchLabels"], labels)
        self.assertEqual(one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"], labels)
        self.assertEqual(one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"], labels)
        for name in ("shop", "cloakroom-shop"):
            self.assertEqual(one("Service", name)["spec"]["selector"], labels)
        metrics, monitor = one("Service", "cloakroom-shop"), one("ServiceMonitor")
        wanted = monitor["spec"]["selector"]["matchLabels"]
        self.assertLessEqual(wanted.items(), metrics["metadata"]["labels"].items())
        self.assertFalse(wanted.items() <= one("Service")["metadata"]["labels"].items())
        endpoint, = monitor["spec"]["endpoints"]
        self.assertEqual(endpoint["port"], metrics["spec"]["ports"][0]["name"])
        self.assertRegex(metrics["metadata"]["name"], r"^cloakroom(-.*)?$")
