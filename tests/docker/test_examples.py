"""The compose files of deploy/examples, each brought up as it is and used."""

import secrets
import unittest

import image
from client import Client
from engine import (
    BUILD, COMPOSE, PREFIX, ROOT, Copy, container, docker, eventually, free_port, run,
)

EXAMPLES = sorted(path.parent.name for path in ROOT.glob("deploy/examples/*/compose.yml"))


class Example:
    def __init__(self, name):
        self.copy = Copy()
        self.folder = self.copy.path / "deploy/examples" / name
        self.project = f"{PREFIX}-{name}"
        self.ports = [free_port(), free_port()]
        self.environment = {
            "COMPOSE_PROJECT_NAME": self.project,
            "CLOAKROOM_IMAGE": image.name,
            "CLOAKROOM_PORT": f"127.0.0.1:{self.ports[0]}",
            "SECOND_PORT": f"127.0.0.1:{self.ports[1]}",
        }
        # With 0644, as `openssl rand -hex 32 > session_key` leaves it.
        (self.folder / "session_key").write_text(f"{secrets.token_hex(32)}\n")
        self.images = []
        if (self.folder / "Dockerfile").exists():
            # Under the names that either Compose gives it. Built here, for the network of the build.
            self.images = [f"{self.project}_app", f"{self.project}-app"]
            docker(
                "build",
                *BUILD,
                *(word for name in self.images for word in ("--tag", name)),
                self.folder,
            )

    def compose(self, *arguments, check=True):
        return run(*COMPOSE, *arguments, cwd=self.folder, env=self.environment, check=check)

    def remove(self):
        self.compose("down", "--volumes", "--timeout", "0", check=False)
        for name in self.images:
            docker("rmi", "--no-prune", name)
        self.copy.remove()


class Examples(unittest.TestCase):
    def test_each_is_a_shop_behind_the_sidecar(self):
        self.assertGreaterEqual(len(EXAMPLES), 6)
        for name in EXAMPLES:
            with self.subTest(name):
                self.visit(name)

    def visit(self, name):
        example = Example(name)
        try:
            example.compose("up", "--detach", "--no-build")
            client = Client(example.ports[0])
            eventually(f"the shop in {name} answers", client.is_up)
            client.log_in("Ann")
            client.post("/count")
            client.post("/basket", article="hat")
            page = client.get()
            self.assertEqual(
                [page.field(key) for key in ("name", "count", "hat")], ["Ann", "1", "1"]
            )
            if name == "two-apps":
                client.port = example.ports[1]
                eventually("the second shop answers", client.is_up)
                self.assertEqual(client.who(), "Ann")
            self.assertEqual(client.post("/logout").status, 303)
            self.assertIsNone(client.cookie)
            for service in example.compose("config", "--services").stdout.split():
                if not service.startswith("cloakroom"):
                    ports = docker("port", container(example.project, service))
                    self.assertEqual(ports, "", f"the ports of {service}")
        finally:
            example.remove()
