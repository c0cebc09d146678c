"""Traffic of every kind that the metrics tell apart."""

import base64
import hashlib
import hmac
import json
import select
import socket
import ssl
from contextlib import ExitStack, contextmanager

from support import PATIENCE, tool, wait_for

SECRET = "a secret of the tests, as long as the hash at least"
OLD_SECRET = "the secret before that one, which only verifies now"

CONFIG = """\
listen = "127.0.0.1:0"
backend = "http://127.0.0.1:{port}"

[[keys]]
id = "new"
secret = "{secret}"

[[keys]]
id = "old"
secret = "{old}"

[headers.claims]
"X-Remote-Name" = "name"

[session]
ttl = "1h"
refresh_after = "1s"
revoked_file = "{folder}/revoked"

[health_check]
path = "/healthz"
interval = "200ms"

[limits]
connections = 30

[timeouts]
backend_read = "300ms"

[tls]
listen = "127.0.0.1:0"
cert = "{folder}/tls.crt"
key = "{folder}/tls.key"

[cookie]
secure = "auto"

[admin]
listen = "127.0.0.1:0"
"""


def configure(folder, port):
    """Writes a configuration in front of an app, and what belongs to it."""
    tool(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "1", "-subj", "/CN=localhost", "-keyout", folder / "tls.key", "-out", folder / "tls.crt",
    )
    (folder / "revoked").write_text("")
    config = folder / "cloakroom.toml"
    config.write_text(CONFIG.format(port=port, folder=folder, secret=SECRET, old=OLD_SECRET))
    return config


def encode(part):
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def token(payload, secret=SECRET, **header):
    signed = f"{encode({'typ': 'JWT', 'alg': 'HS256', **header})}.{encode(payload)}"
    return f"{signed}.{encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


def session_id(issued):
    body = issued.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["cr"]["id"]


# A cookie for each outcome but valid, absent and revoked.
REFUSED = {
    "expired": token({"exp": 1}),
    "not_yet_valid": token({"nbf": 1 << 40}),
    "bad_signature": token({}, secret="somebody else's, and long enough for HS256"),
    "malformed": "no.token",
    "unknown_key": token({}, alg="HS512"),
    "wrong_claim": token({"exp": "soon"}),
    "too_large": "x" * 5000,
}

OUTCOME = 'cloakroom_session_checks_total{outcome="%s"}'
ACTION = 'cloakroom_session_writes_total{action="%s"}'
BACKEND = 'cloakroom_backend_errors_total{kind="%s"}'


def healthy(sidecar):
    """Whether the only app is well: 1 or 0."""
    value, = (value for series, value in sidecar.samples().items() if series.startswith("cloakroom_backend_healthy{"))
    return value


def before_the_app(sidecar):
    """While nobody listens behind the sidecar."""
    assert sidecar.get("/")[0] == 502
    wait_for(lambda: healthy(sidecar) == 0, "an unhealthy app")


def once(sidecar):
    """One of each, and the proof that it was that."""

    def expect(series, doing):
        before = sidecar.samples()[series]
        doing()
        wait_for(lambda: sidecar.samples()[series] > before, series)

    for outcome, cookie in REFUSED.items():
        expect(OUTCOME % outcome, lambda: sidecar.get("/", cookie=cookie))
    expect('cloakroom_key_uses_total{key="old",use="verify"}',
           lambda: sidecar.get("/bare", cookie=token({}, secret=OLD_SECRET)))
    for action, path in (("saved", "/save"), ("merged", "/merge"), ("deleted", "/delete"), ("rejected", "/bad")):
        expect(ACTION % action, lambda: sidecar.get(path))
    for kind in ("reset", "protocol"):
        expect(BACKEND % kind, lambda: sidecar.get(f"/{kind}"))
    expect(BACKEND % "timeout", lambda: sidecar.get("/silent"))

    # A token becomes due after a second; the second request with it finds that a newer one is out.
    _, issued = sidecar.get("/save")
    wait_for(lambda: sidecar.get("/", cookie=issued)[1], "a refresh")
    expect(ACTION % "refresh_skipped", lambda: sidecar.get("/", cookie=issued))

    revoked = sidecar.config.with_name("revoked")
    expect('cloakroom_config_reloads_total{outcome="success"}',
           lambda: revoked.write_text(session_id(issued) + "\n"))
    expect(OUTCOME % "revoked", lambda: sidecar.get("/", cookie=issued))

    expect("cloakroom_spoofed_headers_total", lambda: sidecar.get("/", X_Session="{}"))
    expect("cloakroom_odd_headers_removed_total", lambda: sidecar.get("/", **{"script.name": "/pub"}))
    named = token({"name": "ä"})
    expect("cloakroom_claim_headers_skipped_total", lambda: sidecar.get("/", cookie=named))

    expect("cloakroom_tls_handshakes_failed_total", lambda: distrust(sidecar.tls_port))
    expect("cloakroom_connections_refused_total", lambda: crowd(sidecar.port, 40))
    wait_for(lambda: sidecar.samples()["cloakroom_connections_active"] < 5, "connections that end")


def distrust(port):
    """A client of TLS that knows no such authority."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        try:
            ssl.create_default_context().wrap_socket(connection, server_hostname="localhost")
        except ssl.SSLError:
            return
    raise AssertionError("a certificate of nobody's was trusted")


def crowd(port, number):
    """More than may be at once, until one of them is closed at the other end."""
    with ExitStack() as stack:
        crowded = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
            for _ in range(number)
        ]
        closed, _, _ = select.select(crowded, [], [], PATIENCE)
        assert closed, f"none of {number} connections was refused"


def sound(sidecar):
    """A round in which nothing is wrong: a visitor, who logs in and looks around."""
    sidecar.get("/")
    _, issued = sidecar.get("/merge")
    for path in ("/", "/", "/merge", "/", "/", "/", "/"):
        sidecar.get(path, cookie=issued)


def steady(sidecar):
    """A round of what happens all day, a part of it faulty."""
    _, issued = sidecar.get("/save")
    for path in ("/", "/", "/", "/missing", "/fault", "/reset", "/bad"):
        sidecar.get(path, cookie=issued)
    sidecar.get("/", cookie=REFUSED["bad_signature"], method="POST")
    sidecar.get("/")


@contextmanager
def a_reload_that_fails(sidecar):
    """Meanwhile a configuration is there that cannot be loaded; then the one before again."""
    sound, series = sidecar.config.read_text(), 'cloakroom_config_reloads_total{outcome="failure"}'
    before = sidecar.samples()[series]
    try:
        sidecar.config.write_text(sound + "[unheard_of]\n")
        wait_for(lambda: sidecar.samples()[series] == before + 1, "a reload that fails")
        yield
    finally:
        sidecar.config.write_text(sound)
