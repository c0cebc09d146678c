"""deploy/compose.yml, as somebody sees it from outside: a client, a neighbour, an operator."""

import re
import unittest

import image
from client import Client
from engine import ROOT, Project, docker, inspect, run

CONNECT = """
import socket
for host, port in {places!r}:
    try:
        socket.create_connection((host, port), timeout=3).close()
        print("open")
    except OSError as error:
        print("closed", type(error).__name__)
"""


class Compose(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.project = Project("compose.yml", image.name)
        cls.addClassCleanup(cls.project.remove)
        cls.project.up()
        cls.project.wait_until("healthy")

    def setUp(self):
        self.client = Client(self.project.port)

    def test_log_in_count_log_out(self):
        client = self.client
        self.assertIsNone(client.who())
        client.log_in("Ann")
        self.assertEqual(client.who(), "Ann")
        for _ in range(3):
            self.assertEqual(client.post("/count").status, 303)
        self.assertEqual(client.get().field("count"), "3")
        kept = client.cookie
        self.assertEqual(client.post("/logout").status, 303)
        self.assertIsNone(client.cookie)
        self.assertIsNone(client.who())
        # It was the cookie that made her Ann.
        client.cookie = kept
        self.assertEqual(client.who(), "Ann")

    def test_a_client_cannot_speak_for_the_sidecar(self):
        answer = self.client.get(
            headers={"X-Session": '{"name":"Eve"}', "X_Session": '{"name":"Eve"}'}
        )
        self.assertIsNone(answer.field("name"))
        self.assertFalse([name for name in answer.headers if name.lower().startswith("x-session")])

    def test_the_app_has_no_port_and_no_network_but_the_internal_one(self):
        app = inspect(self.project.container("app"))
        self.assertFalse(any(app["NetworkSettings"]["Ports"].values()))
        self.assertEqual(app["HostConfig"]["NetworkMode"], f"{self.project.name}_inside")
        self.assertEqual(list(app["NetworkSettings"]["Networks"]), [f"{self.project.name}_inside"])
        self.assertTrue(inspect(f"{self.project.name}_inside")["Internal"])

    def test_nobody_reaches_the_app_from_another_network(self):
        inside = f"{self.project.name}_inside"
        address = inspect(self.project.container("app"))["NetworkSettings"]["Networks"][inside][
            "IPAddress"
        ]
        places = [("cloakroom", 8080), ("app", 8000), (address, 8000)]
        for network in ("outside", "monitoring"):
            seen = self.project.python(CONNECT.format(places=places), network).splitlines()
            self.assertEqual(seen[0], "open")
            self.assertEqual([line.split()[0] for line in seen[1:]], ["closed", "closed"], seen)
        # The same from where the app can be reached.
        self.assertEqual(
            self.project.python(CONNECT.format(places=places), "inside").split(), ["open"] * 3
        )

    def test_the_app_reaches_nothing_outside(self):
        outside = f"{self.project.name}_outside"
        address = inspect(self.project.container("cloakroom"))["NetworkSettings"]["Networks"][
            outside
        ]["IPAddress"]
        script = CONNECT.format(places=[(address, 8080)])
        self.assertIn("closed", self.project.python(script, "inside"))
        self.assertIn("open", self.project.python(script, "outside"))

    def test_the_process_is_not_root_and_has_no_capability(self):
        status = docker("exec", self.project.container("cloakroom"), "cat", "/proc/1/status")
        fields = dict(re.findall(r"^(\w+):\t(.*)$", status, re.MULTILINE))
        self.assertEqual(fields["Name"], "cloakroom")
        self.assertEqual(set(fields["Uid"].split() + fields["Gid"].split()), {"65532"})
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(fields[name], 16), 0, name)
        self.assertEqual(fields["NoNewPrivs"], "1")

    def test_the_root_cannot_be_written_to_and_nothing_is(self):
        container = self.project.container("cloakroom")
        for path in ("/new", "/etc/cloakroom/new", "/run/secrets/session_key"):
            ran = run("docker", "exec", "--user", "0", container, "touch", path, check=False)
            denied = re.search("Read-only file system|Permission denied", ran.stderr)
            self.assertTrue(ran.returncode != 0 and denied, (path, ran.stderr))
        self.client.log_in("Ann")
        written = [line for line in docker("diff", container).splitlines() if is_written(line)]
        self.assertEqual(written, [])

    def test_the_log_is_json_on_standard_error_and_tells_no_secret(self):
        token = self.client.log_in("Wilhelmina")
        self.client.get("/?q=Wilhelmina")
        self.client.ask("GET", "/", headers={"Cookie": f"session={token}x; other=Wilhelmina"})
        out, err = self.project.logs()
        self.assertEqual(out, "")
        lines = self.project.log_lines()
        self.assertGreaterEqual(sum(line["message"] == "request" for line in lines), 3)
        for secret in (
            "Wilhelmina",
            token,
            token.split(".")[1],
            self.project.secret.read_text().strip(),
        ):
            self.assertNotIn(secret, err)

    def test_the_secret_is_a_file_and_nothing_else(self):
        container, secret = (
            self.project.container("cloakroom"),
            self.project.secret.read_text().strip(),
        )
        self.assertEqual(docker("exec", container, "cat", "/run/secrets/session_key"), secret)
        self.assertNotIn(secret, docker("inspect", container))
        self.assertNotIn(secret, docker("exec", container, "cat", "/proc/1/environ"))
        self.assertNotIn("secrets", docker("exec", self.project.container("app"), "ls", "/run"))


class Images(unittest.TestCase):
    def test_each_is_of_a_version_that_is_said(self):
        files = [*ROOT.glob("deploy/**/compose*.yml"), *ROOT.glob("deploy/**/Dockerfile"), ROOT / "Dockerfile"]
        named = [
            (file, name)
            for file in files
            for name in re.findall(r"(?m)^ *(?:image:|FROM) ([^\s$]+)", file.read_text())
        ]
        self.assertGreater(len(named), 10)
        for file, name in named:
            self.assertRegex(name, r":(?!latest$)\w", file)


class Health(unittest.TestCase):
    def test_it_turns_with_the_app(self):
        project = Project("compose.yml", image.name)
        self.addCleanup(project.remove)
        project.up()
        project.wait_until("healthy")
        client = Client(project.port)
        client.log_in("Ann")
        # One that is deployed anew gets another address: the old one is taken meanwhile.
        project.compose("rm", "--stop", "--force", "app")
        self.assertIn(client.get().status, (502, 504))
        project.wait_until("unhealthy")
        check = inspect(project.container("cloakroom"))["State"]["Health"]["Log"][-1]
        self.assertEqual(check["ExitCode"], 1)
        self.assertIn("not ready", check["Output"])
        project.up()
        project.wait_until("healthy")
        self.assertEqual(client.who(), "Ann")


def is_written(line):
    """What the engine itself makes for the mounts is no file that the process has written."""
    return not re.match(r"[AC] /(etc|run)(/(cloakroom|secrets)(/session_key)?)?$", line)
