"""cloakroom and microdot.session on one secret: tokens of either are good at the other."""

import base64
import http.client
import json
import subprocess
import tempfile
import time
import unittest
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import jwt

from dicts import generate
from support import BINARY, PATIENCE, SECRET, MicrodotApp, PlainApp, Sidecar

DICTS = generate(400)


def setUpModule():
    global folder, plain, microdot, sidecar
    folder = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(folder.cleanup)
    plain = PlainApp()
    unittest.addModuleCleanup(plain.stop)
    microdot = MicrodotApp()
    unittest.addModuleCleanup(microdot.stop)
    sidecar = Sidecar(Path(folder.name), plain.port)
    unittest.addModuleCleanup(ends_well)


def ends_well():
    code = sidecar.stop()
    if code != 0:
        raise AssertionError(f"the sidecar ended with {code}:\n" + "".join(sidecar.lines[-20:]))


def text(dict_):
    """Tells 1 from 1.0 and true, and sees the order of keys, unlike `==`."""
    return json.dumps(dict_)


class Client:
    """One connection, and cookies by hand."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def ask(self, method, path, cookie=None, body=None):
        headers = {} if cookie is None else {"Cookie": f"session={cookie}"}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer, answer.read().decode()

    def save(self, dict_):
        """The token that the cookie gets."""
        answer, body = self.ask("POST", "/save", body=text(dict_))
        if answer.status != 200:
            raise AssertionError(f"{answer.status} {body}")
        cookies = answer.headers.get_all("Set-Cookie") or []
        if len(cookies) != 1:
            raise AssertionError(f"{len(cookies)} cookies set")
        pair = cookies[0].partition(";")[0]
        name, _, token = pair.partition("=")
        if name != "session":
            raise AssertionError(f"a cookie of the name {name}")
        return token

    def session(self, cookie=None):
        """What the app gets as the session."""
        answer, body = self.ask("GET", "/session", cookie)
        if answer.status != 200:
            raise AssertionError(f"{answer.status} {body}")
        return json.loads(body)


class Tokens(unittest.TestCase):
    def test_microdot_reads_what_cloakroom_signed(self):
        with Client(sidecar.port) as client:
            for dict_ in DICTS:
                token = client.save(dict_)
                self.assertEqual(text(microdot.session.decode(token)), text(dict_))

    def test_cloakroom_reads_what_microdot_signed(self):
        with Client(sidecar.port) as client:
            for dict_ in DICTS:
                token = microdot.session.encode(dict_)
                self.assertEqual(text(client.session(token)), text(dict_))

    def test_a_dict_goes_round_through_both_apps(self):
        # microdot closes each connection.
        for dict_ in DICTS[:100]:
            with Client(microdot.port) as theirs:
                token = theirs.save(dict_)
            with Client(sidecar.port) as ours:
                token = ours.save(ours.session(token))
            with Client(microdot.port) as theirs:
                self.assertEqual(text(theirs.session(token)), text(dict_))

    def test_the_tokens_have_the_same_header(self):
        with Client(sidecar.port) as client:
            token = client.save({"n": 1})
        theirs = microdot.session.encode({"n": 1})
        self.assertEqual(jwt.get_unverified_header(token), jwt.get_unverified_header(theirs))


class Claims(unittest.TestCase):
    """What cloakroom saves is a session to microdot, and what it refuses would not be one."""

    def save(self, dict_):
        """The token, or None where the save is refused."""
        with Client(sidecar.port) as client:
            answer, _ = client.ask("POST", "/save", body=text(dict_))
            if answer.status == 502:
                return None
            self.assertEqual(answer.status, 200)
            return answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]

    def test_what_is_saved_is_read_by_microdot(self):
        now = int(time.time())
        for dict_ in (
            {"sub": "7"},
            {"sub": "", "jti": "x"},
            {"iss": "anybody"},
            {"iss": 7},
            {"iat": now},
            {"iat": now - 0.5},
            {"iat": 0},
            {"iat": -1.5},
            {"nbf": now, "exp": now + 3600.5},
            {"nbf": -1e300, "exp": 1e300},
            {"cr": {}, "sub_": 7, "Sub": 7},
        ):
            with self.subTest(dict=dict_):
                token = self.save(dict_)
                self.assertIsNotNone(token)
                self.assertEqual(text(microdot.session.decode(token)), text(dict_))
                with Client(sidecar.port) as client:
                    self.assertEqual(text(client.session(token)), text(dict_))

    def test_what_microdot_would_not_read_is_not_saved(self):
        now = int(time.time())
        others = (None, True, 7, 1.5, [], ["a"], {}, {"a": "b"})
        dicts = [{name: other} for name in ("sub", "jti") for other in others]
        dicts += [{"iat": other} for other in (None, [], {}, "", "now", "1.5", now + 3600)]
        dicts += [{"iat": now + 3600.5}, {"iat": 1e300}]
        dicts += [{"nbf": other} for other in (None, [], "now", now + 3600)]
        dicts += [{"exp": other} for other in (None, [], "soon", now - 1, 0)]
        dicts += [{"aud": "app"}, {"aud": ["app"]}]
        for dict_ in dicts:
            with self.subTest(dict=dict_):
                # It does not look at everything when it makes one.
                token = jwt.api_jws.encode(text(dict_).encode(), SECRET, "HS256")
                self.assertEqual(microdot.session.decode(token), {})
                self.assertIsNone(self.save(dict_))


class CommandLine(unittest.TestCase):
    def token(self, action, stdin):
        return subprocess.run(
            [BINARY, "token", action, "--secret-file", sidecar.secret_file, "-"],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
        )

    def test_microdot_decodes_what_token_encode_prints(self):
        for dict_ in DICTS[:60]:
            done = self.token("encode", text(dict_))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(text(microdot.session.decode(done.stdout.strip())), text(dict_))

    def test_token_decode_prints_what_microdot_encoded(self):
        for dict_ in DICTS[:60]:
            done = self.token("decode", microdot.session.encode(dict_))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(text(json.loads(done.stdout)), text(dict_))

    def test_token_decode_of_a_foreign_token_is_empty_and_fails(self):
        done = self.token("decode", microdot.session.encode({"n": 1}, "another secret " * 3))
        self.assertEqual((done.returncode, done.stdout.strip()), (1, "{}"))
        self.assertNotEqual(done.stderr.strip(), "")


class Refusals(unittest.TestCase):
    def refused(self, token):
        self.assertEqual(microdot.session.decode(token), {})
        with Client(sidecar.port) as client:
            self.assertEqual(client.session(token), {})

    def test_a_token_with_any_part_changed(self):
        for token in (microdot.session.encode({"name": "Ada"}), self.ours({"name": "Ada"})):
            for part in range(3):
                parts = token.split(".")
                middle = len(parts[part]) // 2
                other = "A" if parts[part][middle] != "A" else "B"
                parts[part] = parts[part][:middle] + other + parts[part][middle + 1 :]
                with self.subTest(part=part):
                    self.refused(".".join(parts))

    def ours(self, dict_):
        with Client(sidecar.port) as client:
            return client.save(dict_)

    def test_a_token_of_another_secret(self):
        self.refused(microdot.session.encode({"name": "Ada"}, "another secret " * 3))

    def test_a_token_without_a_signature(self):
        self.refused(jwt.encode({"name": "Ada"}, None, algorithm="none"))
        self.refused(microdot.session.encode({"name": "Ada"}).rpartition(".")[0] + ".")

    def test_a_token_of_another_algorithm(self):
        for algorithm in ("HS384", "HS512"):
            self.refused(jwt.encode({"name": "Ada"}, SECRET, algorithm=algorithm))

    def test_a_token_past_its_time_or_before_it(self):
        now = int(time.time())
        self.refused(microdot.session.encode({"exp": now - 60}))
        self.refused(microdot.session.encode({"nbf": now + 3600}))
        # A token to good time, so that the two above fail for their time.
        dict_ = {"exp": now + 3600, "nbf": now - 60}
        with Client(sidecar.port) as client:
            self.assertEqual(client.session(microdot.session.encode(dict_)), dict_)

    def test_no_token_at_all(self):
        rubbish = base64.urlsafe_b64encode(b"{}").decode().rstrip("=")
        for token in ("", ".", "..", "x", f"{rubbish}.{rubbish}.{rubbish}", "a.b.c.d"):
            with self.subTest(token=token):
                self.refused(token)


class Browser:
    """A cookie jar, as browsers have one. It does not look at ports, so both sides share it."""

    def __init__(self):
        self.jar = CookieJar()
        # Proxies of the environment have no part in this.
        direct = urllib.request.ProxyHandler({})
        cookies = urllib.request.HTTPCookieProcessor(self.jar)
        self.opener = urllib.request.build_opener(direct, cookies)

    def post(self, app, path, body=""):
        return self.open(urllib.request.Request(url(app, path), body.encode(), method="POST"))

    def session(self, app):
        return json.loads(self.open(url(app, "/session")))

    def open(self, request):
        with self.opener.open(request, timeout=PATIENCE) as answer:
            return answer.read().decode()


def url(app, path):
    return f"http://127.0.0.1:{app.port}{path}"


class Visits(unittest.TestCase):
    def visit(self, login, counts, logout, elsewhere):
        browser = Browser()
        self.assertEqual(browser.session(login), {})
        browser.post(login, "/login", "Zoë")
        seen = [browser.post(app, "/count") for app in counts]
        self.assertEqual(seen, ["1", "2", "3", "4", "5"])
        for app in (logout, elsewhere):
            self.assertEqual(text(browser.session(app)), text({"name": "Zoë", "n": 5}))
        self.assertEqual([cookie.name for cookie in browser.jar], ["session"])
        browser.post(logout, "/logout")
        self.assertEqual(list(browser.jar), [])
        for app in (logout, elsewhere):
            self.assertEqual(browser.session(app), {})

    def test_a_visit_to_cloakroom(self):
        self.visit(sidecar, [sidecar] * 5, sidecar, microdot)

    def test_a_visit_to_microdot(self):
        self.visit(microdot, [microdot] * 5, microdot, sidecar)

    def test_from_cloakroom_to_microdot(self):
        both = [sidecar, microdot, sidecar, microdot, microdot]
        self.visit(sidecar, both, microdot, sidecar)

    def test_from_microdot_to_cloakroom(self):
        both = [microdot, sidecar, sidecar, microdot, sidecar]
        self.visit(microdot, both, sidecar, microdot)


if __name__ == "__main__":
    unittest.main()
