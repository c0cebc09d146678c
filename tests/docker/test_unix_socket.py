"""deploy/compose.unix-socket.yml: the app has no network, and the sidecar reaches it all the same."""

import unittest

import image
from client import Client
from engine import Project, docker, eventually, inspect, run


class UnixSocket(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.project = Project("compose.unix-socket.yml", image.name)
        cls.addClassCleanup(cls.project.remove)
        cls.project.up()
        cls.project.wait_until("healthy")

    def setUp(self):
        self.client = Client(self.project.port)

    def test_log_in_count_log_out(self):
        self.client.log_in("Ann")
        self.client.post("/count")
        page = self.client.get()
        self.assertEqual((page.field("name"), page.field("count")), ("Ann", "1"))
        self.client.post("/logout")
        self.assertIsNone(self.client.who())

    def test_the_app_has_no_network(self):
        app = inspect(self.project.container("app"))
        self.assertEqual(list(app["NetworkSettings"]["Networks"]), ["none"])
        interfaces = docker("exec", self.project.container("app"), "ls", "/sys/class/net").split()
        # The kernel may show tunnels that are down; none of docker's is there.
        self.assertIn("lo", interfaces)
        self.assertFalse([name for name in interfaces if name.startswith("eth")])
        routes = docker(
            "exec", self.project.container("app"), "cat", "/proc/net/route"
        ).splitlines()
        self.assertEqual(len(routes), 1, "the heading, and no route")

    def test_only_the_user_of_both_reaches_the_socket(self):
        socket = f"{self.project.name}_socket:/run/app"
        script = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/app/app.sock')"
        command = [
            "--rm",
            "--volume",
            socket,
            "--network",
            "none",
            "python:3.13-slim",
            "python3",
            "-c",
            script,
        ]
        docker("run", "--user", "65532", *command)
        ran = run("docker", "run", "--user", "65534", *command, check=False)
        self.assertIn("PermissionError", ran.stderr)

    def test_an_app_that_starts_again_is_found_again(self):
        self.client.log_in("Ann")
        for command in (["restart", "--timeout", "1", "app"], ["kill", "app"]):
            self.project.compose(*command)
            self.project.up()
            eventually("the app answers again", self.client.is_up)
            self.assertEqual(self.client.who(), "Ann")
