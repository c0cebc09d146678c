"""An app, the real sidecar in front of it and a real Prometheus that scrapes it, each on a port of
its own. Nothing here sleeps for a time: it looks again until it sees, or gives up."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ["CLOAKROOM_BIN"]
DEPLOY = ROOT / "deploy"

# How long anything may take, in seconds.
PATIENCE = 30


def wait_for(look, what):
    """What `look` gives as soon as it is true; a fault that it raises counts as not yet."""
    end = time.monotonic() + PATIENCE
    while True:
        fault = None
        try:
            seen = look()
            if seen:
                return seen
        except (OSError, AssertionError, LookupError) as error:
            fault = error
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {PATIENCE} s ({fault})")
        time.sleep(0.05)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        # The sidecar breaks off where it has waited long enough, or keeps a connection no longer.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class App:
    """Does what its path says. Bound at once, so that connections are refused until it starts."""

    def __init__(self):
        self.server = Server(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server.server_bind()
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def start(self):
        self.server.server_activate()
        self.thread.start()

    def stop(self):
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join(PATIENCE)
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    ANSWERS = {
        "/save": (200, "X-Session-Save", '{"user":"ann","name":"\\u00e4"}'),
        "/merge": (200, "X-Session-Merge", '{"n":1}'),
        "/delete": (200, "X-Session-Delete", "1"),
        "/bad": (200, "X-Session-Save", "no JSON"),
        "/missing": (404, None, None),
        "/fault": (500, None, None),
    }

    def do_GET(self):
        if self.path == "/reset":
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        if self.path == "/protocol":
            self.close_connection = True
            return self.wfile.write(b"hello\r\n\r\n")
        if self.path == "/silent":
            # Until the sidecar gives up.
            self.close_connection = True
            return self.rfile.read(1)
        if self.path == "/open":
            # Until the sidecar ends it.
            self.close_connection = True
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(b".")
                    time.sleep(0.05)
            return None
        status, name, value = self.ANSWERS.get(self.path, (200, None, None))
        self.send_response(status)
        self.send_header("Content-Length", "3")
        if name:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"ok\n")

    do_POST = do_PUT = do_GET

    def log_message(self, *args):
        pass


class Process:
    """A program whose standard error is kept, and waited on."""

    def __init__(self, *command):
        self.lines = []
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def line(self, pattern):
        """The first line that the pattern is found in."""

        def look():
            for line in list(self.lines):
                found = re.search(pattern, line)
                if found:
                    return found
            if self.process.poll() is not None:
                raise RuntimeError("ended:\n" + "".join(self.lines))
            return None

        return wait_for(look, f"a line with {pattern}")

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.reader.join(PATIENCE)
            self.process.stderr.close()


class Sidecar(Process):
    """The real binary."""

    def __init__(self, config):
        self.config = config
        super().__init__(BINARY, "run", "--config", config)
        plain, tls = r'"message":"listening".*:(\d+)","tls":false', r'"message":"listening".*:(\d+)","tls":true'
        self.port = int(self.line(plain)[1])
        self.tls_port = int(self.line(tls)[1])
        self.admin = int(self.line(r'"admin listening".*:(\d+)"')[1])
        self.cookie = None

    def get(self, path, cookie=None, method="GET", **headers):
        """Status, and the value of the session cookie that is set, if any."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if cookie is not None:
            fields["Cookie"] = f"session={cookie}"
        try:
            connection.request(method, path, headers=fields)
            response = connection.getresponse()
            response.read()
            value = (response.getheader("Set-Cookie") or "").partition(";")[0].partition("=")[2]
            return response.status, value or None
        finally:
            connection.close()

    def metrics(self):
        return fetch(f"http://127.0.0.1:{self.admin}/metrics").decode()

    def samples(self):
        """Each series with its value."""
        lines = [line for line in self.metrics().splitlines() if not line.startswith("#")]
        return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}

    def families(self):
        """The name of each family, as TYPE says it."""
        return re.findall(r"(?m)^# TYPE (\S+)", self.metrics())


class Prometheus(Process):
    """A real one, with the configuration that is delivered, but for target and pace."""

    def __init__(self, folder, target):
        delivered = (DEPLOY / "prometheus/prometheus.yml").read_text()
        config = folder / "prometheus.yml"
        config.write_text(replaced(delivered, {
            "scrape_interval: 15s": "scrape_interval: 1s",
            "evaluation_interval: 15s": "evaluation_interval: 1s",
            "- rules.yml": f"- {DEPLOY / 'prometheus/rules.yml'}",
            '"cloakroom:9090"': f'"127.0.0.1:{target}"',
        }))
        super().__init__(
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:0",
        )
        self.port = int(self.line(r'"Listening on" address=127\.0\.0\.1:(\d+)')[1])
        self.line("Server is ready")

    def api(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        answer = json.loads(fetch(f"http://127.0.0.1:{self.port}/api/v1/{path}?{query}"))
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        """The samples of an instant query, without those that are no number."""
        result = self.api("query", query=expression)["result"]
        return [sample for sample in result if sample["value"][1] != "NaN"]


def replaced(text, words):
    for old, new in words.items():
        # Where it stands for something else too, or not at all, the test would try another file.
        count = len(re.findall(r"(?<![\w.])" + re.escape(old), text))
        assert count == 1, f"{old} stands {count} times in the file"
        text = re.sub(r"(?<![\w.])" + re.escape(old), lambda _: new, text)
    return text


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(f"{url}: {error.code} {error.read().decode()}") from error


def tool(*command, given=""):
    """What a program says, which must succeed."""
    done = subprocess.run(
        [str(word) for word in command], input=given,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10 * PATIENCE, check=False,
    )
    assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}"
    return done.stdout
