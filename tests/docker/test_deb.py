"""The Debian package that deploy/deb makes, on a machine with systemd: installed, started, replaced by a
newer one with its sessions kept, removed and purged."""

import shutil
import tempfile
import unittest
from pathlib import Path

import image
from engine import BASE, BUILD, PREFIX, ROOT, docker, eventually, run
from test_systemd import RIGHTS

DOCKERFILE = """
FROM {base}
RUN apt-get update -q \\
    && apt-get install -y -q --no-install-recommends systemd adduser curl python3 \\
    && rm -rf /var/lib/apt/lists/* /usr/sbin/policy-rc.d
COPY app.py /opt/app.py
COPY test.target *.deb /opt/
RUN cp /opt/test.target /etc/systemd/system/
"""

# Only what the test is about is started.
TARGET = "[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service\n"

APP = """
from http.server import BaseHTTPRequestHandler, HTTPServer

class App(BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.headers["X-Session"].encode()
        self.send_response(200)
        if self.path == "/save":
            self.send_header("X-Session-Save", '{"user":"ann"}')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("127.0.0.1", 5000), App).serve_forever()
"""

# The engine's own file system may be one over the network, which sessions are not put on.
DISK = ["--volume", "/var/lib"]

CURL = ["curl", "--silent", "--show-error", "--max-time", "10", "--cookie", "/jar", "--cookie-jar", "/jar"]


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        run(ROOT / "tests/install-needs", "lintian", "dpkg-shlibdeps", "strip")
        cls.image = f"{image.NAME}-deb"
        cls.folder = Path(tempfile.mkdtemp(prefix="cloakroom-deb-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        container = docker("create", image.name)
        try:
            docker("cp", f"{container}:/usr/local/bin/cloakroom", cls.folder / "cloakroom")
        finally:
            docker("rm", container)
        make = ROOT / "deploy/deb"
        binary = cls.folder / "cloakroom"
        cls.package = Path(run(make, binary, cls.folder).stdout.split()[-1])
        # Nobody keeps this one: packed as fast as it goes.
        quick = {"DPKG_DEB_COMPRESSOR_TYPE": "gzip", "DPKG_DEB_COMPRESSOR_LEVEL": "1"}
        older = run(make, "--version", "0.0.9", binary, cls.folder, env=quick).stdout.split()[-1]
        cls.older = Path(older)
        (cls.folder / "app.py").write_text(APP)
        (cls.folder / "test.target").write_text(TARGET)
        (cls.folder / "Dockerfile").write_text(DOCKERFILE.format(base=BASE))
        docker("build", *BUILD, "--tag", cls.image, cls.folder)
        cls.addClassCleanup(run, "docker", "rmi", "--no-prune", "--force", cls.image)

    def setUp(self):
        self.machine = f"{PREFIX}-deb"
        boot = ["--entrypoint", "/lib/systemd/systemd", self.image, "--unit=test.target"]
        docker("run", "--detach", "--name", self.machine, "--env", "container=docker", *RIGHTS, *DISK, *boot)
        self.addCleanup(docker, "rm", "--force", "--volumes", self.machine)
        eventually("systemd is up", lambda: self.do("systemctl", "show", check=False).returncode == 0)
        docker("exec", "--detach", self.machine, "python3", "/opt/app.py")

    def do(self, *command, check=True):
        return run("docker", "exec", self.machine, *command, check=check)

    def dpkg(self, *arguments):
        return self.do("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", *arguments)

    def has(self, path):
        return self.do("test", "-e", path, check=False).returncode == 0

    def state(self):
        return self.do("systemctl", "is-active", "cloakroom", check=False).stdout.strip()

    def is_ready(self):
        return self.do("cloakroom", "health", check=False).returncode == 0

    def get(self, path):
        return self.do(*CURL, f"http://127.0.0.1:8080{path}").stdout

    def test_lintian_has_nothing_to_say(self):
        options = ["--fail-on", "error,warning", "--allow-root", "--show-overrides"]
        said = run("lintian", *options, self.package, check=False)
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        self.assertNotRegex(said.stdout, r"(?m)^[EW]: ")

    def test_it_comes_is_replaced_and_goes(self):
        self.dpkg("--install", f"/opt/{self.older.name}")
        eventually("it is ready", self.is_ready)
        self.assertEqual(self.state(), "active")
        self.assertEqual(self.do("systemctl", "is-enabled", "cloakroom").stdout.strip(), "enabled")
        for path, owner in [
            ("/etc/cloakroom", "root cloakroom 750"),
            ("/etc/cloakroom/cloakroom.toml", "root root 644"),
            ("/etc/cloakroom/session_key", "cloakroom cloakroom 600"),
            ("/var/lib/cloakroom", "cloakroom cloakroom 700"),
        ]:
            self.assertEqual(self.do("stat", "--format", "%U %G %a", path).stdout.strip(), owner, path)
        self.do("cloakroom", "check")
        completions = "/usr/share/bash-completion/completions/cloakroom"
        self.do("bash", "-c", f"source {completions} && complete -p cloakroom")

        # What an administrator has changed stays, and sessions do.
        ttl = "[session]\\nttl = \"14d\"\\n[store]\\nurl = \"file:/var/lib/cloakroom/sessions.db\"\\n"
        self.do("bash", "-c", f"printf '{ttl}' >>/etc/cloakroom/cloakroom.toml")
        self.do("systemctl", "restart", "cloakroom")
        eventually("it is ready", self.is_ready)
        self.get("/save")
        self.assertEqual(self.get("/"), '{"user":"ann"}')
        pid = self.do("systemctl", "show", "--property", "MainPID", "cloakroom").stdout
        self.dpkg("--install", f"/opt/{self.package.name}")
        eventually("it is ready", self.is_ready)
        self.assertNotEqual(self.do("systemctl", "show", "--property", "MainPID", "cloakroom").stdout, pid)
        self.assertEqual(self.get("/"), '{"user":"ann"}')

        self.dpkg("--remove", "cloakroom")
        self.assertNotEqual(self.state(), "active")
        self.assertFalse(self.has("/usr/bin/cloakroom"))
        for path in ("session_key", "cloakroom.toml"):
            self.assertTrue(self.has(f"/etc/cloakroom/{path}"), path)
        # Who installs it again goes on where it was.
        self.dpkg("--install", f"/opt/{self.package.name}")
        eventually("it is ready", self.is_ready)
        self.assertEqual(self.get("/"), '{"user":"ann"}')

        self.dpkg("--purge", "cloakroom")
        self.assertNotEqual(self.state(), "active")
        for path in ("/etc/cloakroom", "/var/lib/cloakroom", "/lib/systemd/system/cloakroom.service"):
            self.assertFalse(self.has(path), path)
        left = "find /etc /var/lib /usr -xdev -name '*cloakroom*' -not -path '/var/lib/dpkg/*'"
        self.assertEqual(self.do("bash", "-c", left).stdout, "")
