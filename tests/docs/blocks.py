"""Blocks of code: each has to be what its language allows, and the snippets of apps have to work."""

import json
import re
import subprocess
import tempfile
import tomllib
from pathlib import Path

from pages import BINARY, ROOT
from snippets import SNIPPETS

# Languages that nothing here reads.
UNREAD = {
    "java": "needs a servlet container and Jackson",
    "yaml": "there is no YAML in Python's standard library",
    "ini": "is a part of a file",
}


def check_blocks(page, report):
    for block in page.blocks:
        where = page.at(block.line)
        if block.name and (page.path.parent / block.name).is_file():
            check_same(block, page.path.parent / block.name, where, report)
        elif block.name and (ROOT / block.name).is_file():
            check_same(block, ROOT / block.name, where, report)
        if block.language == "toml":
            check_toml(block, where, report)
        elif block.language == "json":
            check_json(block, where, report)
        elif block.reason() and block.language != "console":
            report.not_run(where, f"a block of {block.language}", block.reason())
        elif block.language in SNIPPETS and not block.name:
            SNIPPETS[block.language](block.text, where, report)
        elif block.language == "sh":
            for line in block.text.splitlines():
                report.not_run(where, line.partition("#")[0].strip(), "shown, and no ```console")
        elif block.language in UNREAD:
            report.not_run(where, f"a block of {block.language}", UNREAD[block.language])


def check_same(block, file, where, report):
    same = block.text == file.read_text(encoding="utf-8")
    report.check(same, where, f"this is not what stands in {file.relative_to(ROOT)}")


def check_json(block, where, report):
    try:
        json.loads(block.text)
        report.check(True, where, "JSON")
    except ValueError as error:
        report.check(False, where, f"no JSON: {error}")


def check_toml(block, where, report):
    """A configuration, or a part of one: what it lacks is put in, and the files it names are made."""
    if block.reason():
        return report.not_run(where, "a configuration", block.reason())
    try:
        given = tomllib.loads(block.text)
    except tomllib.TOMLDecodeError as error:
        return report.check(False, where, f"no TOML: {error}")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "cloakroom.toml"
        config.write_text(completed(block.text, given, Path(folder)), encoding="utf-8")
        command = [BINARY, "check", "--config", config]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return report.check(ran.returncode == 0, where, f"cloakroom check says:\n{ran.stderr.strip()}")


def completed(text, given, folder):
    """The text with all that a configuration needs, and with paths within the folder."""
    top = ""
    if "listen" not in given:
        top += 'listen = "127.0.0.1:8080"\n'
    if "backend" not in given:
        top += 'backend = "http://127.0.0.1:5000"\n'
    if not given.get("keys"):
        text += '[[keys]]\nsecret = "a-secret-of-32-bytes-for-the-test"\n'
    if "refresh_after" in given.get("session", {}) and "ttl" not in given["session"]:
        text = text.replace("[session]\n", '[session]\nttl = "400d"\n')
    tls = given.get("tls", {})
    if "listen" in tls and "cert" not in tls:
        text = text.replace("[tls]\n", '[tls]\ncert = "tls.crt"\nkey = "tls.key"\n')
    text = top + text
    for key in given.get("keys", []):
        make_key(key, folder)
    token_file = given.get("admin", {}).get("token_file")
    if token_file:
        make_key({"secret_file": token_file}, folder)
    make_key(given.get("headers", {}).get("signature", {}), folder)
    redis = given.get("store", {})
    if "password_file" in redis:
        inside(folder, redis["password_file"]).write_text("a-password\n")
    if "ca_file" in redis:
        make_certificate(folder, {"cert": redis["ca_file"], "key": "/run/ca.key"})
    store = redis.get("url", "")
    if isinstance(store, str) and store.startswith("file:/"):
        path = inside(folder, store.removeprefix("file:"))
        path.parent.chmod(0o700)
        text = text.replace(f'"{store}"', f'"file:{path}"')
    for path in re.findall(r'= *"(/[\w./-]+)"', text):
        if path.startswith(("/run/", "/etc/")):
            text = text.replace(f'"{path}"', f'"{folder / path.lstrip("/")}"')
    if tls:
        make_certificate(folder, tls)
    revoked = given.get("session", {}).get("revoked_file")
    if revoked:
        inside(folder, revoked).write_text("")
    return text


def make_key(key, folder):
    """The file that an entry of [[keys]] names, for its algorithm."""
    algorithm = ["--algorithm", key.get("algorithm", "HS256")]
    for kind in ("secret_file", "private_key_file", "public_key_file"):
        if kind in key:
            path = inside(folder, key[kind])
            out = path.with_name(f"{path.name}.pair") if kind == "public_key_file" else path
            command = [BINARY, "keygen", *algorithm, "--out", out]
            subprocess.run(command, check=True, capture_output=True)
            if kind == "public_key_file":
                path.write_bytes(out.with_name(f"{out.name}.pub").read_bytes())


def make_certificate(folder, tls):
    cert, key = (inside(folder, tls.get(name, f"tls.{name}")) for name in ("cert", "key"))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True)


def inside(folder, path):
    path = folder / path.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
