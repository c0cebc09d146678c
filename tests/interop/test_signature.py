"""What `[headers.signature]` adds to a request, checked by http-message-signatures (RFC 9421)."""

import http.client
import json
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
from http_message_signatures import (
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)

from support import PATIENCE, ROOT, SECRET, Sidecar

SHARED = "a secret of sidecar and app, long enough for both"
ALWAYS = ("@method", "@request-target", "x-session")


class Keys(HTTPSignatureKeyResolver):
    def resolve_public_key(self, key_id):
        return SHARED.encode() if key_id == "2026" else None


class Received:
    """A request, in the form that the library takes."""

    def __init__(self, method, target, headers):
        self.method, self.headers = method, headers
        self.url = "http://" + headers["Host"] + target
        self.request_target = target


def verify(request):
    """The names that are signed."""
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=Keys())
    [result] = verifier.verify(request, require_components=ALWAYS)
    *names, parameters = [name.strip('"') for name in result.covered_components]
    assert parameters == "@signature-params", parameters
    return names


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen = Received(self.command, self.path, dict(self.headers.items()))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT = do_GET

    def log_message(self, *_):
        pass


class Signatures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        secret = Path(folder.name) / "shared"
        secret.write_text(SHARED + "\n")
        cls.app = ThreadingHTTPServer(("127.0.0.1", 0), App)
        threading.Thread(target=cls.app.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.app.server_close)
        cls.addClassCleanup(cls.app.shutdown)
        tables = (
            '[headers.claims]\n"X-Remote-User" = "user.name"\n"X-Level" = "level"\n'
            f'[headers.signature]\nsecret_file = "{secret}"\nid = "2026"\n'
        )
        cls.secret = secret
        cls.sidecar = Sidecar(Path(folder.name), cls.app.server_port, tables)
        cls.addClassCleanup(cls.sidecar.stop)

    def ask(self, method, target, dict_=None, **headers):
        if dict_ is not None:
            token = jwt.encode(dict_, SECRET, algorithm="HS256")
            headers["Cookie"] = f"session={token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.sidecar.port, timeout=PATIENCE)
        try:
            connection.request(method, target, headers=headers)
            self.assertEqual(connection.getresponse().status, 200)
        finally:
            connection.close()
        return self.app.seen

    def test_the_library_verifies_what_the_sidecar_signs(self):
        user = {"user": {"name": "ann"}, "level": 7, "é": ["\U0001f600", 'a"b\\']}
        for method, target, dict_, claims in [
            ("GET", "/", None, []),
            ("GET", "/a%20b/%2f?c=%64&&e", user, ["x-remote-user", "x-level"]),
            ("POST", "/?", {"level": True}, ["x-level"]),
            ("PUT", "/x?y=?", {}, []),
        ]:
            with self.subTest(method=method, target=target):
                seen = self.ask(method, target, dict_)
                self.assertEqual(verify(seen), [*ALWAYS, *claims])
                self.assertEqual(json.loads(seen.headers["X-Session"]), dict_ or {})

    def test_what_is_changed_on_the_way_does_not_verify(self):
        for field, value in [
            ("X-Session", '{"user":{"name":"root"}}'),
            ("X-Remote-User", "root"),
            ("Signature", "cloakroom=:AAAA:"),
        ]:
            with self.subTest(field=field):
                seen = self.ask("GET", "/", {"user": {"name": "ann"}})
                seen.headers[field] = value
                self.assertRaises(InvalidSignature, verify, seen)
        for change in [{"method": "DELETE"}, {"request_target": "/admin"}]:
            with self.subTest(change):
                seen = self.ask("GET", "/")
                vars(seen).update(change)
                self.assertRaises(InvalidSignature, verify, seen)

    def test_a_clients_own_signature_is_not_there(self):
        seen = self.ask("GET", "/", Signature="cloakroom=:AAAA:", **{"Signature-Input": "cloakroom=()"})
        self.assertEqual(verify(seen), list(ALWAYS))

    def test_the_example_in_the_documentation_lets_through_what_is_signed(self):
        text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
        [block] = [code for code in text.split("```python\n")[1:] if "class Signed" in code]
        example = block.split("```")[0].replace("/run/secrets/app_signature_key", str(self.secret))
        names = {}
        exec(example, names)  # noqa: S102
        app = names["Signed"](lambda environ, start_response: [b"the app"])

        def ask(**changes):
            seen = self.ask("GET", "/a?b", {"user": {"name": "ann"}})
            headers = {**seen.headers, **changes}
            environ = {"REQUEST_METHOD": seen.method, "RAW_URI": seen.request_target}
            for name, value in headers.items():
                environ["HTTP_" + name.upper().replace("-", "_")] = value
            return b"".join(app(environ, lambda status, headers: None))

        self.assertEqual(ask(), b"the app")
        self.assertEqual(ask(**{"X-Session": "{}"}), b"not from the sidecar\n")
        self.assertEqual(ask(**{"X-Remote-User": "root"}), b"not from the sidecar\n")
        self.assertEqual(ask(**{"Signature-Input": "", "Signature": ""}), b"not from the sidecar\n")


if __name__ == "__main__":
    unittest.main()
