"""Sealed tokens (JWE, `dir` and A256GCM) of cloakroom, joserfc and jwcrypto: each opens the others'."""

import base64
import json
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import joserfc.jwe
import jwcrypto.jwe
import jwcrypto.jwk
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from jwcrypto.common import JWException

from dicts import generate
from support import BINARY, PATIENCE

DICTS = generate(200)
ALGORITHMS = ["dir", "A256GCM"]


def cloakroom(*arguments, stdin=""):
    return subprocess.run(
        [BINARY, *arguments],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )


def text(dict_):
    """Tells 1 from 1.0 and true, and sees the order of keys, unlike `==`."""
    return json.dumps(dict_)


class Refused(Exception):
    """Somebody does not open a token."""


class Key:
    """A key that `cloakroom keygen` has made, and a configuration that uses it."""

    def __init__(self, folder, id=None):
        self.id = id
        file = Path(tempfile.mkdtemp(dir=folder)) / "key"
        done = cloakroom("keygen", "--algorithm", "A256GCM", "--out", file)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        # What it writes is the `k` of a JWK.
        self.k = file.read_text().rstrip("\n")
        self.config = file.with_suffix(".toml")
        self.config.write_text(
            'listen = "127.0.0.1:0"\nbackend = "http://127.0.0.1:1"\n[[keys]]\n'
            + (f'id = "{id}"\n' if id else "")
            + f'algorithm = "A256GCM"\nsecret_encoding = "base64"\nsecret_file = "{file}"\n'
        )

    def jwk(self):
        return {"kty": "oct", "k": self.k}

    def seal(self, dict_):
        done = cloakroom("token", "encode", "--config", self.config, stdin=text(dict_))
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stdout.strip()

    def open(self, token):
        done = cloakroom("token", "decode", "--config", self.config, stdin=token)
        if done.returncode != 0:
            raise Refused(f"{done.stderr.strip()}: {token}")
        return json.loads(done.stdout)


class Joserfc:
    def seal(self, key, dict_, **more):
        header = {"alg": "dir", "enc": "A256GCM"} | more
        secret = OctKey.import_key(key.jwk())
        return joserfc.jwe.encrypt_compact(header, text(dict_).encode(), secret, ALGORITHMS + ["DEF"])

    def open(self, key, token):
        try:
            opened = joserfc.jwe.decrypt_compact(token, OctKey.import_key(key.jwk()), ALGORITHMS)
        except (JoseError, ValueError) as error:
            raise Refused(error) from error
        return opened.protected, json.loads(opened.plaintext)


class Jwcrypto:
    def seal(self, key, dict_, **more):
        header = {"alg": "dir", "enc": "A256GCM"} | more
        token = jwcrypto.jwe.JWE(text(dict_).encode(), json.dumps(header))
        token.add_recipient(jwcrypto.jwk.JWK(**key.jwk()))
        return token.serialize(compact=True)

    def open(self, key, token):
        opened = jwcrypto.jwe.JWE(algs=ALGORITHMS)
        try:
            opened.deserialize(token, jwcrypto.jwk.JWK(**key.jwk()))
        except JWException as error:
            raise Refused(error) from error
        return opened.jose_header, json.loads(opened.payload)


THEIRS = (Joserfc(), Jwcrypto())


def setUpModule():
    global key, named, stranger
    directory = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(directory.cleanup)
    key, named, stranger = (Key(directory.name, id) for id in (None, "2027", None))


class Sealed(unittest.TestCase):
    def test_cloakroom_opens_theirs(self):
        for theirs in THEIRS:
            for dict_ in DICTS:
                self.assertEqual(text(key.open(theirs.seal(key, dict_))), text(dict_))

    def test_they_open_cloakrooms(self):
        sealed = [(dict_, key.seal(dict_)) for dict_ in DICTS]
        for theirs in THEIRS:
            for dict_, token in sealed:
                header, opened = theirs.open(key, token)
                self.assertEqual(text(opened), text(dict_))
                self.assertEqual(header, {"typ": "JWT", "alg": "dir", "enc": "A256GCM"})

    def test_a_key_with_an_id(self):
        for theirs in THEIRS:
            self.assertEqual(named.open(theirs.seal(named, {"n": 1}, kid="2027", typ="JWT")), {"n": 1})
            self.assertEqual(named.open(theirs.seal(named, {"n": 1})), {"n": 1})
            header, opened = theirs.open(named, named.seal({"n": 1}))
            self.assertEqual((header["kid"], opened), ("2027", {"n": 1}))

    def test_nobody_opens_what_another_key_sealed(self):
        for theirs in THEIRS:
            with self.assertRaises(Refused):
                key.open(theirs.seal(stranger, {"n": 1}))
            with self.assertRaises(Refused):
                theirs.open(key, stranger.seal({"n": 1}))

    def test_nobody_opens_what_was_changed(self):
        token = key.seal({"n": 1})
        for theirs in THEIRS:
            for sealed in (token, theirs.seal(key, {"n": 1})):
                for part in (0, 2, 3, 4):
                    parts = sealed.split(".")
                    middle = len(parts[part]) // 2
                    other = "A" if parts[part][middle] != "A" else "B"
                    parts[part] = parts[part][:middle] + other + parts[part][middle + 1 :]
                    with self.assertRaises(Refused):
                        key.open(".".join(parts))
                    with self.assertRaises((Refused, ValueError)):
                        theirs.open(key, ".".join(parts))

    def test_compressed_ones_and_other_encryptions_are_refused(self):
        for theirs in THEIRS:
            with self.assertRaises(Refused):
                key.open(theirs.seal(key, {"n": 1}, zip="DEF"))
        short = OctKey.import_key({"kty": "oct", "k": base64.urlsafe_b64encode(b"s" * 16).decode().rstrip("=")})
        for header, secret in (
            ({"alg": "dir", "enc": "A128GCM"}, short),
            ({"alg": "dir", "enc": "A128CBC-HS256"}, OctKey.import_key(key.jwk())),
            ({"alg": "A256KW", "enc": "A256GCM"}, OctKey.import_key(key.jwk())),
            ({"alg": "A256GCMKW", "enc": "A256GCM"}, OctKey.import_key(key.jwk())),
        ):
            with self.subTest(header=header):
                names = list(header.values())
                token = joserfc.jwe.encrypt_compact(header, b"{}", secret, names)
                with self.assertRaises(Refused):
                    key.open(token)

    def test_times_of_theirs_hold(self):
        now = int(time.time())
        for theirs in THEIRS:
            good = {"exp": now + 600, "nbf": now - 600}
            self.assertEqual(key.open(theirs.seal(key, good)), good)
            for fault in ({"exp": now - 600}, {"nbf": now + 600}, {"aud": "other"}):
                with self.assertRaises(Refused):
                    key.open(theirs.seal(key, good | fault))


if __name__ == "__main__":
    unittest.main()
