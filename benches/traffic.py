"""Small traffic that is the same every time: an app that answers, and a client that asks one request
after the other on one connection. For benches/instructions and benches/pgo."""

import json
import pathlib
import re
import socket
import subprocess
import sys
import threading

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tests"))

from ports import free_port  # noqa: E402, F401: for those who use this file
from cases import ANSWERS, BROWSER, LARGE, MIDDLE, SECRET, SMALL, among_others, forged

AS_BROWSER = "".join(f"{field}\r\n" for field in BROWSER)


class Backend(threading.Thread):
    """Answers every request with 200 bytes, and a head of its own for each path."""

    def __init__(self, answers=ANSWERS, listener=None):
        super().__init__(daemon=True)
        self.extra = {path.encode(): f"{name}: {value}\r\n".encode()
                      for path, (name, value) in answers.items()}
        self.listener = listener or socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()

    @property
    def port(self):
        return self.address[1]

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        if connection.family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""

        def until(holds):
            nonlocal received
            while not holds(received):
                more = connection.recv(65536)
                if not more:
                    raise EOFError
                received += more

        try:
            while True:
                until(lambda bytes: b"\r\n\r\n" in bytes)
                head, received = received.split(b"\r\n\r\n", 1)
                if length := re.search(rb"(?i)\r\ncontent-length: *(\d+)", head):
                    until(lambda bytes: len(bytes) >= int(length[1]))
                    received = received[int(length[1]):]
                elif re.search(rb"(?i)\r\ntransfer-encoding:", head):
                    until(lambda bytes: bytes.endswith(b"0\r\n\r\n"))
                    received = b""
                extra = self.extra.get(head.split(b" ", 2)[1], b"")
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                    b"Content-Length: 200\r\n" + extra + b"\r\n" + b"x" * 200
                )
        except EOFError:
            pass


def request(path="/", cookie=None, fields=""):
    cookie = f"Cookie: {cookie}\r\n" if cookie else ""
    return f"GET {path} HTTP/1.1\r\nHost: app.test\r\n{fields}{cookie}\r\n".encode()


def cases(encode):
    """The requests, by the name of the case; the configuration goes by the name as well."""
    small, middle, large = encode(SMALL), encode(MIDDLE), encode(LARGE)
    return {
        "no cookie": request(),
        "no cookie, access log": request(),
        "no cookie, 12 browser headers": request(fields=AS_BROWSER),
        "dict of 20 B": request(cookie=f"session={small}"),
        "dict of 200 B": request(cookie=f"session={middle}"),
        "dict of 200 B, 12 browser headers": request(
            cookie=among_others(f"session={middle}"), fields=AS_BROWSER),
        "dict of 2 KB": request(cookie=f"session={large}"),
        "bad signature": request(cookie=f"session={forged(middle)}"),
        "save": request("/save", cookie=f"session={middle}"),
        "merge": request("/merge", cookie=f"session={middle}"),
    }


def stored_cases(ticket):
    """Those with a session in a store."""
    return {
        "store, read of 200 B": request(cookie=f"session={ticket}"),
        "store, save": request("/save", cookie=f"session={ticket}"),
    }


def with_store(text, file):
    """The same configuration with a store."""
    return f'{text}[store]\nurl = "file:{file}"\ntimeout = "60s"\n[session]\nttl = "30d"\n'


def ticket(sidecar, config, port):
    """That of a session of 200 B, which stays in the store when the sidecar has ended."""
    process = subprocess.Popen([sidecar, "run", "--config", config], stderr=subprocess.DEVNULL)
    try:
        for attempt in range(200):
            try:
                with socket.create_connection(("127.0.0.1", port)) as connection:
                    connection.sendall(request("/middle"))
                    head = connection.recv(65536).decode()
                return re.search(r"set-cookie: session=([^;]+)", head, re.I)[1]
            except OSError:
                if process.poll() is not None:
                    raise
                threading.Event().wait(0.05)
        raise SystemExit("the sidecar does not start")
    finally:
        process.terminate()
        process.wait(60)


def talk(port, message, count):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""

        def read():
            more = connection.recv(65536)
            if not more:
                raise ConnectionResetError(f"closed behind {received[:200]}")
            return more

        for _ in range(count):
            connection.sendall(message)
            while b"\r\n\r\n" not in received:
                received += read()
            head, received = received.split(b"\r\n\r\n", 1)
            assert head.startswith(b"HTTP/1.1 200"), head
            while len(received) < 200:
                received += read()
            received = received[200:]


def configuration(port, backend, access=False):
    return (f'listen = "127.0.0.1:{port}"\nbackend = "http://127.0.0.1:{backend}"\nworkers = 1\n'
            f'[log]\naccess = {str(access).lower()}\nlevel = "error"\n[[keys]]\nsecret = "{SECRET}"\n')


def encoder(sidecar, config):
    """What makes tokens."""
    def encode(value):
        return subprocess.run([sidecar, "token", "encode", "--config", config, json.dumps(value)],
                              check=True, capture_output=True, text=True).stdout.strip()
    return encode
