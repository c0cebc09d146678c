"""Tokens in every algorithm, made by cloakroom, PyJWT and joserfc: each verifies the others'."""

import json
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import joserfc.jwt
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from dicts import generate
from support import BINARY, PATIENCE

SECRETS = ("HS256", "HS384", "HS512")
PAIRS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
DICTS = generate(14)

JOSERFC_KEYS = {"HS": OctKey, "RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey}


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
    """cloakroom does not verify a token."""


class Key:
    """A key in files, and configurations that use it."""

    def __init__(self, folder, algorithm, files, id=None):
        self.folder = folder
        self.algorithm = algorithm
        self.is_pair = algorithm in PAIRS
        self.private_file, self.public_file = files
        self.id = id
        self.private = self.private_file.read_text()
        self.public = self.public_file.read_text() if self.is_pair else None
        if not self.is_pair:
            self.private = self.public = self.private.rstrip("\n")
        kind = JOSERFC_KEYS[algorithm[:2]]
        parameters = {"kid": id} if id else None
        self.joserfc = kind.import_key(self.private, parameters)
        self.joserfc_public = kind.import_key(self.public, parameters)

    @classmethod
    def made_by_cloakroom(cls, folder, algorithm, id=None):
        path = Path(tempfile.mkdtemp(dir=folder)) / "key"
        done = cloakroom("keygen", "--algorithm", algorithm, "--out", path)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return cls(path.parent, algorithm, (path, Path(f"{path}.pub")), id)

    @classmethod
    def of_pem(cls, folder, algorithm, private, public):
        inside = Path(tempfile.mkdtemp(dir=folder))
        (inside / "key").write_bytes(private)
        (inside / "key.pub").write_bytes(public)
        return cls(inside, algorithm, (inside / "key", inside / "key.pub"))

    def config(self, session="", verify_only=False):
        lines = ['listen = "127.0.0.1:0"', 'backend = "http://127.0.0.1:1"']
        if verify_only:
            lines += ["[[keys]]", f'secret = "{"s" * 64}"']
        lines += ["[[keys]]", f'algorithm = "{self.algorithm}"']
        if self.id:
            lines += [f'id = "{self.id}"']
        if not self.is_pair:
            lines += [f'secret_file = "{self.private_file}"']
        elif verify_only:
            lines += [f'public_key_file = "{self.public_file}"']
        else:
            lines += [f'private_key_file = "{self.private_file}"']
        lines += ["[session]", session]
        file = self.folder / "cloakroom.toml"
        file.write_text("\n".join(lines))
        return file

    def sign(self, dict_, **how):
        done = cloakroom("token", "encode", "--config", self.config(**how), stdin=text(dict_))
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stdout.strip()

    def verify(self, token, **how):
        done = cloakroom("token", "decode", "--config", self.config(**how), stdin=token)
        if done.returncode != 0:
            raise Refused(f"{done.stderr.strip()}: {token}")
        return json.loads(done.stdout)


class PyJwt:
    def can_write(self, dict_):
        return True

    def sign(self, key, dict_):
        headers = {"kid": key.id} if key.id else None
        return jwt.encode(dict_, key.private, key.algorithm, headers)

    def verify(self, key, token, **how):
        return jwt.decode(token, key.public, [key.algorithm], **how)


class Joserfc:
    def can_write(self, dict_):
        """It writes UTF-8, which has no lone surrogates."""
        try:
            return bool(json.dumps(dict_, ensure_ascii=False).encode())
        except UnicodeEncodeError:
            return False

    def sign(self, key, dict_):
        header = {"alg": key.algorithm, "typ": "JWT"} | ({"kid": key.id} if key.id else {})
        return joserfc.jwt.encode(header, dict_, key.joserfc, [key.algorithm])

    def verify(self, key, token):
        keys = KeySet([key.joserfc_public]) if key.id else key.joserfc_public
        return joserfc.jwt.decode(token, keys, [key.algorithm]).claims


THEIRS = (PyJwt(), Joserfc())


def setUpModule():
    global folder, keys, named
    directory = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(directory.cleanup)
    folder = Path(directory.name)
    keys = [Key.made_by_cloakroom(folder, algorithm) for algorithm in SECRETS + PAIRS]
    named = [Key.made_by_cloakroom(folder, algorithm, "2026-11") for algorithm in ("HS256", "ES256")]


class Algorithms(unittest.TestCase):
    def each(self, keys, check):
        for key in keys:
            for theirs in THEIRS:
                with self.subTest(algorithm=key.algorithm, theirs=type(theirs).__name__):
                    check(key, theirs)

    def test_cloakroom_verifies_theirs(self):
        def check(key, theirs):
            for dict_ in DICTS:
                if theirs.can_write(dict_):
                    self.assertEqual(text(key.verify(theirs.sign(key, dict_))), text(dict_))

        self.each(keys, check)

    def test_they_verify_cloakrooms(self):
        def check(key, theirs):
            for dict_ in DICTS:
                self.assertEqual(text(theirs.verify(key, key.sign(dict_))), text(dict_))

        self.each(keys, check)

    def test_the_public_half_is_enough(self):
        def check(key, theirs):
            token = theirs.sign(key, {"name": "Zoë"})
            self.assertEqual(key.verify(token, verify_only=True), {"name": "Zoë"})

        self.each([key for key in keys if key.is_pair], check)

    def test_the_header_is_the_one_of_pyjwt(self):
        for key in keys + named:
            theirs = jwt.get_unverified_header(PyJwt().sign(key, {}))
            ours = jwt.get_unverified_header(key.sign({}))
            self.assertEqual(ours, theirs)

    def test_a_key_with_an_id(self):
        def check(key, theirs):
            self.assertEqual(key.verify(theirs.sign(key, {"n": 1})), {"n": 1})
            token = key.sign({"n": 1})
            self.assertEqual(jwt.get_unverified_header(token)["kid"], "2026-11")
            self.assertEqual(theirs.verify(key, token), {"n": 1})

        self.each(named, check)

    def test_nobody_verifies_what_another_key_signed(self):
        strangers = {}

        def check(key, theirs):
            if key.algorithm not in strangers:
                strangers[key.algorithm] = Key.made_by_cloakroom(folder, key.algorithm)
            other = next(other for other in keys if other.algorithm != key.algorithm)
            for signer in (strangers[key.algorithm], other):
                with self.assertRaises(Refused):
                    key.verify(theirs.sign(signer, {"n": 1}))
                with self.assertRaises((jwt.InvalidTokenError, JoseError)):
                    theirs.verify(key, signer.sign({"n": 1}))

        self.each(keys, check)


class Claims(unittest.TestCase):
    SESSION = 'ttl = "1h"\nissuer = "us"\naudience = "app"'

    def test_they_check_the_claims_that_cloakroom_adds(self):
        now = int(time.time())
        for key in keys:
            with self.subTest(algorithm=key.algorithm):
                token = key.sign({"n": 1}, session=self.SESSION)
                claims = PyJwt().verify(key, token, issuer="us", audience="app")
                self.assertEqual(claims["n"], 1)
                self.assertEqual(claims["exp"] - claims["iat"], 3600)
                self.assertLess(abs(claims["iat"] - now), PATIENCE * 10)
                with self.assertRaises(jwt.InvalidAudienceError):
                    PyJwt().verify(key, token, audience="other")
                claims = Joserfc().verify(key, token)
                registry = joserfc.jwt.JWTClaimsRegistry(
                    iss={"essential": True, "value": "us"},
                    aud={"essential": True, "value": "app"},
                    exp={"essential": True},
                )
                registry.validate(claims)

    def test_cloakroom_checks_the_claims_that_they_add(self):
        now = int(time.time())
        good = {"iss": "us", "aud": ["other", "app"], "iat": now, "exp": now + 600, "n": 1}
        for key in keys:
            for theirs in THEIRS:
                with self.subTest(algorithm=key.algorithm, theirs=type(theirs).__name__):
                    token = theirs.sign(key, good)
                    self.assertEqual(key.verify(token, session=self.SESSION), {"n": 1})
                    for fault in ({"exp": now - 600}, {"iss": "them"}, {"aud": "other"}):
                        with self.assertRaises(Refused):
                            key.verify(theirs.sign(key, good | fault), session=self.SESSION)


class ForeignKeys(unittest.TestCase):
    """Keys that others made and wrote, in the forms that they write."""

    def goes_round(self, key):
        for theirs in THEIRS:
            self.assertEqual(key.verify(theirs.sign(key, {"n": 1})), {"n": 1})
            self.assertEqual(theirs.verify(key, key.sign({"n": 1})), {"n": 1})
        self.assertEqual(key.verify(key.sign({"n": 1}), verify_only=True), {"n": 1})

    def test_keys_of_cryptography(self):
        formats = serialization.PrivateFormat
        rsa_key = rsa.generate_private_key(65537, 2048)
        for algorithm, private, format_ in (
            ("RS256", rsa_key, formats.PKCS8),
            ("PS256", rsa_key, formats.PKCS8),
            ("RS512", rsa_key, formats.TraditionalOpenSSL),
            ("ES256", ec.generate_private_key(ec.SECP256R1()), formats.PKCS8),
            ("ES384", ec.generate_private_key(ec.SECP384R1()), formats.PKCS8),
            ("ES384", ec.generate_private_key(ec.SECP384R1()), formats.TraditionalOpenSSL),
            ("EdDSA", ed25519.Ed25519PrivateKey.generate(), formats.PKCS8),
        ):
            with self.subTest(algorithm=algorithm, format=format_):
                pem = serialization.Encoding.PEM
                public = private.public_key().public_bytes(
                    pem, serialization.PublicFormat.SubjectPublicKeyInfo
                )
                private = private.private_bytes(pem, format_, serialization.NoEncryption())
                self.goes_round(Key.of_pem(folder, algorithm, private, public))

    def test_keys_of_joserfc(self):
        for algorithm, key in (
            ("RS256", RSAKey.generate_key(2048)),
            ("PS384", RSAKey.generate_key(2048)),
            ("ES256", ECKey.generate_key("P-256")),
            ("ES384", ECKey.generate_key("P-384")),
            ("EdDSA", OKPKey.generate_key("Ed25519")),
        ):
            with self.subTest(algorithm=algorithm):
                private, public = key.as_pem(private=True), key.as_pem(private=False)
                self.goes_round(Key.of_pem(folder, algorithm, private, public))

    def test_secrets_as_jwk_have_them(self):
        for algorithm, bits in (("HS256", 256), ("HS384", 384), ("HS512", 512)):
            with self.subTest(algorithm=algorithm):
                secret = OctKey.generate_key(bits)
                file = Path(tempfile.mkdtemp(dir=folder)) / "secret"
                file.write_text(secret.as_dict(private=True)["k"] + "\n")
                config = file.with_suffix(".toml")
                config.write_text(
                    'listen = "127.0.0.1:0"\nbackend = "http://127.0.0.1:1"\n[[keys]]\n'
                    f'algorithm = "{algorithm}"\nsecret_encoding = "base64"\n'
                    f'secret_file = "{file}"\n'
                )
                token = joserfc.jwt.encode({"alg": algorithm}, {"n": 1}, secret, [algorithm])
                done = cloakroom("token", "decode", "--config", config, stdin=token)
                self.assertEqual((done.returncode, done.stdout.strip()), (0, '{"n":1}'))
                done = cloakroom("token", "encode", "--config", config, stdin='{"n":1}')
                token = joserfc.jwt.decode(done.stdout.strip(), secret, [algorithm])
                self.assertEqual(token.claims, {"n": 1})


if __name__ == "__main__":
    unittest.main()
