"""What every suite takes: an app as a process, a sidecar in front of it, a browser's cookies, and a recorder."""

import base64
import contextlib
import fcntl
import http.client
import itertools
import json
import os
import queue
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
ADAPTERS = ROOT / "deploy/adapters"
BINARY = Path(os.environ.get("CLOAKROOM_BIN", ROOT / "target/debug/cloakroom")).resolve()
# Where suites keep what they download, between runs.
CACHE = Path(os.environ.get("ADAPTERS_CACHE", ROOT / "target/adapters")).resolve()
PYTHON = sys.executable

# How long anything here may take, in seconds: Java on a busy machine needs some.
PATIENCE = 120


@contextlib.contextmanager
def alone(name="lock"):
    """While something is put into CACHE or installed: suites run at the same time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / name, "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


class Process:
    """A process whose output is kept, to be searched and to be shown if it does not start."""

    def __init__(self, command, folder, **environment):
        self.lines = []
        self.more = threading.Condition()
        self.ended = False
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.more:
                self.lines.append(line)
                self.more.notify_all()
        with self.more:
            self.ended = True
            self.more.notify_all()

    def find(self, wanted):
        """The first line, past or to come, that contains `wanted` or for which the function gives something."""
        test = wanted if callable(wanted) else lambda line: line if wanted in line else None
        deadline = time.monotonic() + PATIENCE
        seen = 0
        with self.more:
            while True:
                for line in self.lines[seen:]:
                    found = test(line)
                    if found is not None:
                        return found
                seen = len(self.lines)
                if self.ended or not self.more.wait(max(deadline - time.monotonic(), 0)):
                    raise AssertionError(f"{wanted} is not in the output of {self.process.args}:\n{self.text()}")

    def text(self):
        with self.more:
            return "".join(self.lines)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        self.process.stdout.close()


def served(command, folder, **environment):
    """An app that takes its port from $PORT, as soon as it takes connections. `command` is for the shell."""
    port = free_port()
    process = Process(["sh", "-c", f"exec {command}"], folder, PORT=str(port), **environment)
    process.port = port
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return process
        except OSError:
            if process.process.poll() is not None or time.monotonic() > deadline:
                process.stop()
                raise RuntimeError(f"{command}: does not listen:\n{process.text()}") from None
            time.sleep(0.05)


def free_port():
    """A port that nobody else takes while the app starts: below those that the system gives out, and each only once."""
    with alone("port") as last:
        last.seek(0)
        port = int(last.read() or random.randrange(12000, 30000))
        while True:
            port = port + 1 if port < 30000 else 12000
            with socket.socket() as free, contextlib.suppress(OSError):
                free.bind(("127.0.0.1", port))
                last.truncate(0)
                last.write(str(port))
                return port


def new_key(folder):
    """A new key in a file."""
    path = Path(folder) / f"session_key-{time.monotonic_ns()}"
    subprocess.run([BINARY, "keygen", "--out", path], check=True, capture_output=True)
    return path


class Sidecar(Process):
    """The real binary in front of an app; `more` is TOML that comes behind the tables that stand here."""

    def __init__(self, backend_port, folder, key=None, more="", headers="", session=""):
        self.key = key or new_key(folder)
        self.config = Path(folder) / f"cloakroom-{time.monotonic_ns()}.toml"
        self.config.write_text(
            f'listen = "127.0.0.1:0"\nbackend = "http://127.0.0.1:{backend_port}"\n'
            f'[[keys]]\nsecret_file = "{self.key}"\n'
            f'[admin]\nlisten = "127.0.0.1:0"\n'
            f"[headers]\n{headers}\n[session]\n{session}\n{more}\n",
            encoding="utf-8",
        )
        super().__init__([BINARY, "run", "--config", self.config], folder)
        try:
            self.admin_port = self.find(lambda line: _port(line, "admin listening"))
            self.port = self.find(lambda line: _port(line, "listening"))
        except BaseException:
            self.stop()
            raise

    def metrics(self):
        """Every sample, as text: {'cloakroom_session_writes_total{action="saved"}': 3.0, …}."""
        text = Client(self.admin_port).get("/metrics").text
        samples = (line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#")
        return {name: float(value) for name, _, value in samples}

    def writes(self):
        """How many sessions were written, by what was done; without what was never done."""
        found = {}
        for name, value in self.metrics().items():
            match = re.fullmatch(r'cloakroom_session_writes_total\{action="(\w+)"\}', name)
            if match and value:
                found[match[1]] = int(value)
        return found

    def token(self, session):
        """A cookie's value that holds this session: a dict, or the JSON text itself."""
        text = session if isinstance(session, str) else json.dumps(session)
        command = [BINARY, "token", "encode", "--config", self.config, text]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def store(folder):
    """Settings of a sidecar that keeps sessions in a file there; several may have the same."""
    place = Path(folder) / "store"
    place.mkdir(mode=0o700, exist_ok=True)
    # On a busy machine a write may take longer than a user would wait.
    return {"more": f'[store]\nurl = "file:{place}/sessions.db"\ntimeout = "{PATIENCE}s"\n', "session": 'ttl = "14d"'}


def _port(line, message):
    if f'"message":"{message}"' not in line:
        return None
    return int(json.loads(line)["address"].rpartition(":")[2])


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.msg
        self.body = body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def session_headers(self, prefix="X-Session"):
        """What it says to the sidecar: {"Save": "{…}", "Renew": "1"}."""
        prefix = f"{prefix}-".lower()
        return {n[len(prefix):].title(): v for n, v in self.headers.items() if n.lower().startswith(prefix)}

    def __repr__(self):
        return f"{self.status} {list(self.headers.items())} {self.text[:2000]}"


class Client:
    """A browser as far as cookies go, or with headers of one's choice somebody who talks to the app itself."""

    def __init__(self, port, cookies=None):
        self.port = port
        self.cookies = {} if cookies is None else cookies

    def request(self, method, path, body=None, headers=(), follow=False):
        """`body`: bytes or text as they are, a dict as a form."""
        headers = dict(headers)
        if isinstance(body, dict):
            body = urllib.parse.urlencode(body)
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            encoded = body.encode() if isinstance(body, str) else body
            connection.request(method, path, encoded, headers)
            response = connection.getresponse()
            answer = Answer(response, response.read())
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie") or ():
            self._take(line)
        if follow and answer.status in (301, 302, 303, 307, 308):
            there = urllib.parse.urljoin(f"http://127.0.0.1:{self.port}{path}", answer.headers["Location"])
            target = urllib.parse.urlsplit(there)
            return self.request("GET", target._replace(scheme="", netloc="").geturl(), follow=True)
        return answer

    def _take(self, line):
        pair, *attributes = line.split(";")
        name, _, value = pair.strip().partition("=")
        gone = any(re.fullmatch(r"max-age=(0|-\d+)", part.strip().lower()) for part in attributes)
        # Django deletes with a Max-Age of 0; PHP and others with an Expires long ago as well.
        if gone or any("1970" in part for part in attributes):
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body if body is not None else "", **more)

    def other(self, port):
        """The same browser at another port: the cookies are the same."""
        return Client(port, self.cookies)


class Recorder:
    """Between sidecar and app: passes everything on and keeps what the app was told and said about sessions."""

    def __init__(self, port, prefix="X-Session"):
        # One for each request: {"in": "{…}", "Save": "{…}", …}, and "path".
        self.exchanges = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
                try:
                    connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                    for name, value in self.headers.items():
                        if name.lower() != "connection":
                            connection.putheader(name, value)
                    connection.putheader("Connection", "close")
                    connection.endheaders(body)
                    response = connection.getresponse()
                    answer = Answer(response, response.read())
                finally:
                    connection.close()
                exchange = {"path": self.path, "in": self.headers[prefix], **answer.session_headers(prefix)}
                recorder.exchanges.append(exchange)
                self.send_response_only(answer.status)
                for name, value in answer.headers.items():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length", "keep-alive"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = pass_on

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def last(self):
        """What the app said last, without the path and what it was told."""
        return {name: value for name, value in self.exchanges[-1].items() if name not in ("path", "in")}

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Exchange:
    """A request whose answer the test gives: it is open until `finish`. `session` is what the app was told."""

    def __init__(self, told, cookies):
        self.told, self.browser = told, Client(told.sidecar.port, dict(cookies))
        self.came, self.say, self.answers = queue.Queue(), queue.Queue(), queue.Queue()
        self.number = str(next(told.numbers))
        told.open[self.number] = self
        threading.Thread(target=self._run, daemon=True).start()
        self.session = self.came.get(timeout=PATIENCE)

    def _run(self):
        answer = self.browser.get("/", headers={"Exchange": self.number})
        self.came.put(None)  # for an answer that is the sidecar's own
        self.answers.put(answer)

    def finish(self, say=()):
        """The browser with the cookies that it has afterwards, and the answer."""
        self.told.open.pop(self.number, None)
        self.say.put(dict(say))
        return self.browser, self.answers.get(timeout=PATIENCE)


class Told:
    """A sidecar, and an app behind it that sends the headers that it is told to, with the session that came."""

    def __init__(self, folder, **settings):
        self.open, self.numbers = {}, itertools.count()
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                session = self.headers["X-Session"]
                self.send_response(200)
                for name, value in self.say(session).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(session)))
                self.end_headers()
                self.wfile.write(session.encode())

            def say(self, session):
                if "Say" in self.headers:  # from a process of another language
                    return json.loads(base64.urlsafe_b64decode(self.headers["Say"] + "=="))
                exchange = told.open[self.headers["Exchange"]]
                exchange.came.put(session)
                return exchange.say.get(timeout=PATIENCE)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.sidecar = Sidecar(self.server.server_port, folder, **settings)

    def begin(self, cookies):
        return Exchange(self, cookies)

    def exchange(self, cookies, say=()):
        """One request with these cookies: the browser with those it has afterwards, and the answer."""
        return self.begin(cookies).finish(say)

    def stop(self):
        for exchange in list(self.open.values()):
            exchange.finish()
        self.sidecar.stop()
        self.server.shutdown()
        self.server.server_close()


class Folder:
    """A temporary folder with the `stop` that all else here has."""

    def __init__(self):
        self.held = tempfile.TemporaryDirectory(prefix="cloakroom-adapters-")
        self.path = Path(self.held.name)

    def stop(self):
        self.held.cleanup()
