"""What a build with counters is put to work on: what sidecars do most, most often, and the rest of
what they do on every request's path, so that none of that is taken for something that never runs."""

import contextlib
import os
import signal
import socket
import subprocess
import time

from cases import ANSWERS, MIDDLE, SECRET
from comparison import due, install
from comparison.processes import pause
from traffic import (AS_BROWSER, Backend, cases, configuration, encoder, free_port, request,
                     stored_cases, talk, ticket, with_store)

OFTEN, SOMETIMES, SELDOM = 4000, 1000, 100

APP = {**ANSWERS, "/delete": ("X-Session-Delete", "1"), "/broken": ("X-Session-Save", "{"),
       "/cookie": ("Set-Cookie", "theme=dark; Path=/")}


def everything(ports, folder, backend):
    """A configuration with all that costs something for each request."""
    return f"""
listen = ["127.0.0.1:{ports["plain"]}", "unix:{folder}/sidecar.sock"]
backend = "{backend}"
trusted_proxies = ["127.0.0.1"]
[[keys]]
secret = "{SECRET}"
[[keys]]
algorithm = "ES256"
private_key_file = "{folder}/es256.pem"
[headers]
status = "X-Session-Status"
[headers.claims]
"X-Remote-User" = "user"
[session]
ttl = "14d"
refresh_after = "1d"
[cookie]
secure = "auto"
[[routes]]
path = "/static/"
session = "off"
[[routes]]
path = "/account/"
require = true
login = "/login"
[tls]
cert = "{folder}/tls.crt"
key = "{folder}/tls.key"
listen = "127.0.0.1:{ports["tls"]}"
[admin]
listen = "127.0.0.1:{ports["admin"]}"
"""


@contextlib.contextmanager
def running(command, port):
    """A program that has begun to listen, and ends as it should: only then are its counters written."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
            if process.poll() is not None:
                raise SystemExit(f"{command[0]} has ended by itself")
            pause(0.1)
        else:
            raise SystemExit(f"{command[0]} does not listen after a minute")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        if process.wait(60):
            raise SystemExit(f"{command[0]} has ended with {process.returncode}")


def curl(url, count, *options):
    subprocess.run(["curl", "--silent", "--insecure", "--output", "/dev/null", *options, f"{url}?[1-{count}]"],
                   check=True, timeout=300)


def h2load(url, count, *options):
    subprocess.run(["h2load", "--requests", str(count), "--clients", "1", *options, url],
                   check=True, timeout=300, stdout=subprocess.DEVNULL)


def train_sidecar(sidecar, folder):
    backend = Backend(APP)
    backend.start()
    port, config = free_port(), folder / "plain.toml"
    config.write_text(configuration(port, backend.port))
    messages = cases(encoder(sidecar, config))
    with running([sidecar, "run", "--config", config], port):
        for message in messages.values():
            talk(port, message, OFTEN)

    train_sealed(sidecar, folder, backend)
    train_store(sidecar, folder, backend)

    by_socket = socket.socket(socket.AF_UNIX)
    by_socket.bind(f"{folder}/app.sock")
    by_socket.listen()
    behind = Backend(APP, by_socket)
    behind.start()
    for url in (f"http://127.0.0.1:{backend.port}", f"unix:{folder}/app.sock"):
        ports = {name: free_port() for name in ("plain", "tls", "admin")}
        config = folder / "everything.toml"
        config.write_text(everything(ports, folder, url))
        encode = encoder(sidecar, config)
        with running([sidecar, "run", "--config", config], ports["plain"]):
            for message in messages.values():
                talk(ports["plain"], message, OFTEN // 2)
            # Each of a session of its own, as one that was just written is not refreshed again.
            for number in range(SOMETIMES):
                token = due.token(number, int(time.time()))
                talk(ports["plain"], request(cookie=f"session={token}"), 1)
            train_ways(ports, folder, f"Cookie: session={encode(MIDDLE)}")


def train_sealed(sidecar, folder, backend):
    """Sessions in cookies that only the sidecar can read."""
    port, config = free_port(), folder / "sealed.toml"
    config.write_text(configuration(port, backend.port).replace(
        "[[keys]]", '[[keys]]\nalgorithm = "A256GCM"', 1))
    messages = cases(encoder(sidecar, config))
    with running([sidecar, "run", "--config", config], port):
        for message in messages.values():
            talk(port, message, SOMETIMES)


def train_store(sidecar, folder, backend):
    """Sessions in a file: begun, read, saved and changed."""
    port, config = free_port(), folder / "stored.toml"
    config.write_text(with_store(configuration(port, backend.port), f"{folder}/sessions.db"))
    session = ticket(sidecar, config, port)
    with running([sidecar, "run", "--config", config], port):
        for message in stored_cases(session).values():
            talk(port, message, OFTEN // 2)
        talk(port, request("/merge", cookie=f"session={session}"), SOMETIMES)
        talk(port, request("/middle"), SOMETIMES)
        talk(port, request("/delete", cookie=f"session={session}"), 1)


def train_ways(ports, folder, cookie):
    """All ways to come in, with what can be asked there."""
    plain, secure = f"http://127.0.0.1:{ports['plain']}", f"https://127.0.0.1:{ports['tls']}"
    (folder / "body").write_bytes(b"x" * 100_000)
    ways = [(plain, []), (secure, ["--http1.1"]), (secure, ["--http2"]),
            (plain, ["--unix-socket", f"{folder}/sidecar.sock"])]
    for url, way in ways:
        for path in ("/", "/save", "/merge", "/delete", "/cookie", "/static/a.css", "/account/"):
            curl(url + path, SOMETIMES, *way, "--header", cookie)
        curl(url + "/", SOMETIMES, *way)
        curl(url + "/", SOMETIMES, *way, "--header", cookie, "--data", "a=1&b=2")
        curl(url + "/broken", SELDOM, *way, "--header", cookie)
        curl(url + "/account/", SELDOM, *way, "--header", "Sec-Fetch-Mode: navigate")
        curl(url + "/", SELDOM, *way, "--header", "X_Session: {}", "--header", "X-Forwarded-For: 192.0.2.1")
        curl(url + "/", SELDOM, *way, "--header", cookie, "--header", "Expect:",
             "--upload-file", f"{folder}/body")
    curl(plain + "/", SELDOM, "--header", cookie, "--header", "Transfer-Encoding: chunked",
         "--data-binary", f"@{folder}/body")
    # curl 7.88 cannot ask twice on a connection of HTTP/2 with prior knowledge.
    for path, *more in (("/",), ("/save",), ("/merge",), ("/static/a.css",), ("/", "--data", folder / "body")):
        h2load(plain + path, SOMETIMES, "--header", cookie, *more)
    for url in (plain, secure):
        for _ in range(SELDOM):
            curl(url + "/", 1, "--header", cookie)
    curl(f"http://127.0.0.1:{ports['admin']}/metrics", SELDOM)


def train_bare(bare):
    """The proxy that the benches compare with: guided as well as the sidecar."""
    backend = Backend()
    backend.start()
    for words in ([], ["alike"]):
        port = free_port()
        with running([bare, f"127.0.0.1:{port}", f"127.0.0.1:{backend.port}", "1", *words], port):
            for message in (request(), request(fields=AS_BROWSER), request("/save")):
                talk(port, message, OFTEN)


def run(release, folder):
    """Puts both programs of a release build to work, the sidecar over each carrier; needs curl, h2load
    and openssl."""
    sidecar = release / "cloakroom"
    for carrier in ("pingora", "exchange"):
        os.environ["CLOAKROOM_CARRIER"] = carrier
        own = folder / carrier
        own.mkdir()
        install.certificate(own)
        subprocess.run([sidecar, "keygen", "--algorithm", "ES256", "--out", own / "es256.pem"], check=True)
        train_sidecar(sidecar, own)
    train_bare(release / "bare")
