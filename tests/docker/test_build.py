"""How the image is built: what gets into it, and what is done again."""

import gzip
import io
import re
import subprocess
import tarfile
import unittest

import image
from engine import BASE, BUILD, docker, inspect, run

LIMIT = 40_000_000


@unittest.skipUnless(image.context, "an image is given: how it was built is not known")
class Build(unittest.TestCase):
    def test_it_is_small(self):
        base, whole = inspect(BASE)["Size"], inspect(image.NAME)["Size"]
        print(f"{(whole - base) / 1e6:.1f} MB above {BASE} ({base / 1e6:.1f} MB) ", end="")
        self.assertLess(whole - base, LIMIT)

    def test_no_secret_is_in_a_layer_or_in_its_configuration(self):
        saved = subprocess.run(
            ["docker", "save", image.NAME], check=True, capture_output=True
        ).stdout
        canary, files = image.CANARY.encode(), 0
        with tarfile.open(fileobj=io.BytesIO(saved)) as outer:
            for member in outer:
                if not member.isfile():
                    continue
                content = outer.extractfile(member).read()
                self.assertNotIn(canary, content, member.name)
                if member.name.endswith("layer.tar") or "blobs" in member.name and is_tar(content):
                    with tarfile.open(fileobj=io.BytesIO(content)) as layer:
                        files += sum(file.isfile() for file in layer)
        self.assertGreater(files, 1000, "the layers have been looked into")

    def test_no_secret_is_in_the_build_stage(self):
        stage = image.build_stage()
        ran = run(
            "docker",
            "run",
            "--rm",
            "--entrypoint",
            "grep",
            stage,
            "-rlF",
            image.CANARY,
            "/src",
            check=False,
        )
        self.assertEqual((ran.returncode, ran.stdout), (1, ""), ran.stderr)
        self.assertNotIn(image.CANARY, docker("history", "--no-trunc", stage))
        sent = docker("run", "--rm", "--entrypoint", "ls", stage, "-A", "/src").split()
        self.assertEqual(
            sorted(sent),
            ["Cargo.lock", "Cargo.toml", "benches", "build.rs", "config", "deploy", "src", "target"],
        )

    def test_dependencies_are_not_built_again_for_a_change_in_src(self):
        lib = image.context.path / "src/lib.rs"
        sound = lib.read_text()
        # It does not compile: how far the build comes by then is what counts, and takes no time.
        lib.write_text("this is no Rust")
        try:
            ran = run("docker", "build", *BUILD, image.context.path, check=False)
        finally:
            lib.write_text(sound)
        self.assertNotEqual(ran.returncode, 0)
        output = re.sub(r"\x1b\[[\d;]*m", "", ran.stdout + ran.stderr)
        self.assertEqual(re.findall(r"Compiling (\S+)", output), ["cloakroom"], output)


def is_tar(content):
    return content[257:262] == b"ustar"


class Image(unittest.TestCase):
    def setUp(self):
        self.config = inspect(image.name)["Config"]

    def test_the_licences_of_dependencies_are_in_it(self):
        made = docker("create", image.name).strip()
        try:
            archive = subprocess.run(
                ["docker", "cp", f"{made}:/usr/share/doc/cloakroom/dependencies.gz", "-"],
                check=True, capture_output=True,
            ).stdout
        finally:
            docker("rm", made)
        with tarfile.open(fileobj=io.BytesIO(archive)) as outer:
            text = gzip.decompress(outer.extractfile("dependencies.gz").read()).decode()
        for crate in ["pingora-core v0.9.1, Apache-2.0", "tokio v", "rusqlite v"]:
            self.assertIn(f"==== {crate}", text)
        self.assertIn("Apache License", text)

    def test_it_is_not_root_and_says_so_by_number(self):
        user, _, group = self.config["User"].partition(":")
        self.assertGreater(int(user), 0)
        self.assertGreater(int(group), 0)

    def test_its_configuration(self):
        self.assertEqual(self.config["Entrypoint"], ["cloakroom"])
        self.assertEqual(self.config["Cmd"], ["run"])
        self.assertEqual(self.config["StopSignal"], "SIGTERM")
        self.assertEqual(self.config["Healthcheck"]["Test"], ["CMD", "cloakroom", "health"])
        self.assertEqual(list(self.config["ExposedPorts"]), ["8080/tcp"])
        names = [variable.split("=")[0] for variable in self.config["Env"]]
        self.assertEqual(names, ["PATH"])

    def test_its_labels(self):
        prefix = "org.opencontainers.image."
        labels = {
            key: value for key, value in self.config["Labels"].items() if key.startswith(prefix)
        }
        self.assertEqual(labels[f"{prefix}title"], "cloakroom")
        self.assertEqual(labels[f"{prefix}licenses"], "MIT OR Apache-2.0")
        version = docker("run", "--rm", image.name, "--version")
        self.assertEqual(f"cloakroom {labels[f'{prefix}version']}", version)

    def test_its_binary_is_stripped_and_brings_all_that_it_needs(self):
        path = "/usr/local/bin/cloakroom"
        libraries = docker("run", "--rm", "--entrypoint", "ldd", image.name, path)
        self.assertNotIn("not found", libraries)

    def test_it_knows_authorities_for_https_backends(self):
        path = "/etc/ssl/certs/ca-certificates.crt"
        known = docker("run", "--rm", "--entrypoint", "cat", image.name, path)
        self.assertGreater(known.count("BEGIN CERTIFICATE"), 50)

    def test_it_runs_as_any_user_without_network_capabilities_and_a_place_to_write(self):
        least = ["--user", "12345:12345", "--network", "none", "--cap-drop", "ALL", "--read-only"]
        secret = docker("run", "--rm", *least, image.name, "keygen")
        self.assertRegex(secret, r"^[\w-]{43}$")

    def test_a_faulty_configuration_is_exit_code_2(self):
        ran = run("docker", "run", "--rm", image.name, check=False)
        self.assertEqual(ran.returncode, 2)
        self.assertIn("/etc/cloakroom/cloakroom.toml", ran.stderr)
