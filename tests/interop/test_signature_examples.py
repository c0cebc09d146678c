"""The files of deploy/examples/signed, each in an app of its language behind the real binary: what the
sidecar has signed comes through, and nothing else does."""

import base64
import hashlib
import hmac
import http.client
import os
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import jwt

from ports import free_port
from support import PATIENCE, ROOT, SECRET, Sidecar

SIGNED = ROOT / "deploy/examples/signed"
APPS = Path(__file__).parent / "signed"

# Not all of it ASCII: it is bytes to all of them.
SHARED = "a sécret of sidecar and app, long enough for both"

PHP = "exec php -d auto_prepend_file=$PWD/signed.php -S 127.0.0.1:$PORT"
PERL = 'exec /usr/sbin/apache2 -D FOREGROUND -f "$APACHE"'
COMMANDS = {
    "php": PHP,
    "mjs": "exec node app.mjs",
    "pm": PERL,
    "java": "javac -d . Signed.java App.java && exec java -XX:TieredStopAtLevel=1 -cp . App",
}
USER = {"user": {"name": "ann"}, "é": ["\U0001f600", 'a"b\\']}
SEEN = '{"user":{"name":"ann"}}'


def setUpModule():
    needs = ["php", "node", "perl", "javac", "/usr/sbin/apache2"]
    subprocess.run([ROOT / "tests/install-needs", *needs], check=True)


class App:
    """An app, in a folder with the example and the secret that it reads."""

    def __init__(self, language, folder):
        secret = folder / "shared"
        secret.write_text(SHARED + "\n", encoding="utf-8")
        for source in [*SIGNED.iterdir(), *APPS.iterdir()]:
            text = source.read_text(encoding="utf-8")
            (folder / source.name).write_text(text.replace("/run/secrets/app_signature_key", str(secret)))
        (folder / "app.pl").chmod(0o755)
        # Apache's scripts run as another user where it is root that starts it.
        for path in (folder, secret):
            path.chmod(0o755)
        self.port = free_port()
        environment = {
            **os.environ,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "APP_DIR": str(folder),
            "RUN_DIR": str(folder),
            "APACHE": str(ROOT / "deploy/examples/perl/httpd.conf"),
        }
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen(
            ["sh", "-c", COMMANDS[language]], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log, start_new_session=True,
        )
        deadline = time.monotonic() + 3 * PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError((folder / "log").read_text()) from None
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()


def ask(port, method, target, headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, target, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def sign(method, target, headers, expires=60, key_id="2026", secret=SHARED):
    """The headers with a signature, as the sidecar makes it."""
    values = {"@method": method, "@request-target": target, **headers}
    names = " ".join(f'"{name}"' for name in values)
    now = int(time.time())
    parameters = f'({names});created={now};expires={now + expires};keyid="{key_id}";alg="hmac-sha256"'
    base = "".join(f'"{name}": {value}\n' for name, value in values.items())
    base += f'"@signature-params": {parameters}'
    tag = base64.b64encode(hmac.digest(secret.encode(), base.encode(), hashlib.sha256)).decode()
    return {**headers, "Signature-Input": f"cloakroom={parameters}", "Signature": f"cloakroom=:{tag}:"}


class Signed(unittest.TestCase):
    language = None

    @classmethod
    def setUpClass(cls):
        if cls.language is None:
            raise unittest.SkipTest("this one is what the others have in common")
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        app, home = Path(temporary.name) / "app", Path(temporary.name) / "home"
        Path(temporary.name).chmod(0o755)
        app.mkdir()
        home.mkdir()
        cls.app = App(cls.language, app)
        cls.addClassCleanup(cls.app.stop)
        (home / "signing").write_text(SHARED, encoding="utf-8")
        tables = (
            '[headers.claims]\n"X-Remote-User" = "user.name"\n'
            f'[headers.signature]\nsecret_file = "{home}/signing"\nid = "2026"\n'
        )
        cls.sidecar = Sidecar(home, cls.app.port, tables)
        cls.addClassCleanup(cls.sidecar.stop)

    def test_what_the_sidecar_has_signed_comes_through(self):
        token = jwt.encode(USER, SECRET, algorithm="HS256")
        for method, target, headers, seen in [
            ("GET", "/", {}, "{}"),
            ("GET", "/a%20b/%2c?c=%64&&e", {"Cookie": f"session={token}"}, None),
            ("POST", "/?", {"Cookie": f"session={token}", "Content-Length": "0"}, None),
            ("GET", "/x", {"Signature": "cloakroom=:AAAA:", "Signature-Input": "cloakroom=()"}, "{}"),
        ]:
            with self.subTest(method=method, target=target):
                status, body = ask(self.sidecar.port, method, target, headers)
                self.assertEqual(status, 200, body)
                self.assertIn(seen or '{"user":{"name":"ann"},', body)

    def test_nothing_else_does(self):
        good = {"x-session": SEEN, "x-remote-user": "ann"}

        def direct(headers, method="GET", target="/a?b"):
            return ask(self.app.port, method, target, headers)[0]

        def signed(**how):
            return sign("GET", "/a?b", good, **how)

        self.assertEqual(direct(signed()), 200, "the test signs as the sidecar does")
        self.assertEqual(direct(sign("GET", "/a?b", {"x-session": SEEN})), 200)
        for name, headers in {
            "no signature": good,
            "another session": {**signed(), "x-session": '{"user":{"name":"root"}}'},
            "another claim": {**signed(), "x-remote-user": "root"},
            "a claim that is not signed": {**sign("GET", "/a?b", {"x-session": SEEN}), "x-remote-user": "root"},
            "a session that is not signed": {**sign("GET", "/a?b", {}), "x-session": SEEN},
            "no session": sign("GET", "/a?b", {}),
            "over": signed(expires=0),
            "an unknown key": signed(key_id="2025"),
            "another secret": signed(secret=SHARED[:-1]),
            "no secret": signed(secret=""),
            "nonsense": {**signed(), "Signature": "cloakroom=:AAAA:"},
            "another label": {**signed(), "Signature-Input": signed()["Signature-Input"].replace("cloakroom", "x")},
            "more than one": {**signed(), "Signature-Input": "a=(), " + signed()["Signature-Input"]},
            "a longer life": {**signed(), "Signature-Input": signed(expires=600)["Signature-Input"]},
        }.items():
            with self.subTest(name):
                self.assertEqual(direct(headers), 403)
        with self.subTest("another method"):
            self.assertEqual(direct({**signed(), "Content-Length": "0"}, method="POST"), 403)
        with self.subTest("another target"):
            self.assertEqual(direct(signed(), target="/admin"), 403)


def load_tests(loader, suite, pattern):
    """One class for each language, and none for what they have in common."""
    suite = unittest.TestSuite()
    for language in COMMANDS:
        case = type(f"Signed_{language}", (Signed,), {"language": language, "__module__": __name__})
        suite.addTests(loader.loadTestsFromTestCase(case))
    return suite


if __name__ == "__main__":
    unittest.main()
