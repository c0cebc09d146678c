"""Whoever does not know what a ticket is refuses it: its header names "cr" under "crit" (RFC 7515
section 4.1.11). An older cloakroom, another library, microdot: none takes it for an empty session."""

import base64
import http.client
import json
import tempfile
import unittest
from pathlib import Path

import joserfc.errors
import joserfc.jwt
import jwt
from joserfc.jwk import OctKey

from support import PATIENCE, SECRET, MicrodotApp, PlainApp, Sidecar


def setUpModule():
    global folder, plain, sidecar
    folder = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(folder.cleanup)
    plain = PlainApp()
    unittest.addModuleCleanup(plain.stop)
    home = Path(folder.name)
    store = f'[store]\nurl = "file:{home}/sessions.db"\n[session]\nttl = "1h"\n'
    sidecar = Sidecar(home, plain.port, store)
    unittest.addModuleCleanup(sidecar.stop)


def ask(port, method, path, cookie=None, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    headers = {} if cookie is None else {"Cookie": f"session={cookie}"}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def ticket():
    answer, _ = ask(sidecar.port, "POST", "/login", body="Ada")
    pair = answer.headers["Set-Cookie"].partition(";")[0]
    return pair.removeprefix("session=")


class Tickets(unittest.TestCase):
    def test_it_is_good_where_it_comes_from_and_says_nothing_of_the_dict(self):
        token = ticket()
        self.assertEqual(json.loads(ask(sidecar.port, "GET", "/session", token)[1]), {"name": "Ada"})
        header, payload, _ = token.split(".")
        decoded = [base64.urlsafe_b64decode(part + "==").decode() for part in (header, payload)]
        self.assertEqual(json.loads(decoded[0])["crit"], ["cr"])
        self.assertNotIn("Ada", decoded[1])

    def test_pyjwt_refuses_it(self):
        with self.assertRaisesRegex(jwt.InvalidTokenError, "crit"):
            jwt.decode(ticket(), SECRET, ["HS256"])

    def test_joserfc_refuses_it(self):
        key = OctKey.import_key(SECRET)
        with self.assertRaisesRegex(joserfc.errors.JoseError, "cr"):
            joserfc.jwt.decode(ticket(), key, ["HS256"])

    def test_microdot_takes_it_for_no_session(self):
        microdot = MicrodotApp()
        self.addCleanup(microdot.stop)
        self.assertEqual(json.loads(ask(microdot.port, "GET", "/session", ticket())[1]), {})

    def test_without_the_store_it_is_no_session(self):
        with tempfile.TemporaryDirectory() as home:
            other = Sidecar(Path(home), plain.port)
            self.addCleanup(other.stop)
            answer, text = ask(other.port, "GET", "/session", ticket())
            self.assertEqual((answer.status, json.loads(text)), (200, {}))
            self.assertIsNone(answer.headers["Set-Cookie"])


if __name__ == "__main__":
    unittest.main()
