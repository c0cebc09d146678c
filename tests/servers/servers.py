"""The servers: how each is started with its app, and what the app has seen."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from ports import free_port

APPS = Path(__file__).parent / "apps"

# How long anything here may take, in seconds.
PATIENCE = 30

JAR = "/usr/share/java/tomcat10-embed-core.jar"


def python(module, *arguments):
    return [sys.executable, "-m", module, *arguments]


def output(*command):
    """The first version that a command speaks of."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)[0]


# Name, what starts it on a port with a folder of its own, and its version. Each keeps connections, since what is
# left of one request on a connection is what the next one meets; PHP's and uWSGI's do what they can.
SERVERS = {
    "gunicorn": (
        lambda port, folder: python(
            *("gunicorn", f"--bind=127.0.0.1:{port}", "--worker-class=gthread", "--threads=4"),
            *("--keep-alive=60", f"--chdir={APPS}", "--log-level=error", "wsgi:application"),
        ),
        lambda: version("gunicorn"),
    ),
    "uWSGI": (
        lambda port, folder: [
            *("uwsgi", "--plugin=python3", f"--http11-socket=127.0.0.1:{port}", "--die-on-term"),
            *("--master", "--enable-threads", "--threads=4", f"--chdir={APPS}", "--log-5xx"),
            *("--module=wsgi:application", "--disable-logging"),
        ],
        lambda: output("uwsgi", "--version"),
    ),
    "waitress": (
        lambda port, folder: python("waitress", f"--listen=127.0.0.1:{port}", "wsgi:application"),
        lambda: version("waitress"),
    ),
    "Bottle": (
        lambda port, folder: python("waitress", f"--listen=127.0.0.1:{port}", "bottle_app:application"),
        lambda: version("bottle"),
    ),
    "Starlette": (
        lambda port, folder: python(
            "uvicorn", f"--port={port}", "--log-level=error", "starlette_app:application"
        ),
        lambda: f"{version('starlette')}, uvicorn {version('uvicorn')}",
    ),
    "HTTP::Daemon": (
        lambda port, folder: ["perl", APPS / "daemon.pl", str(port)],
        lambda: output("perl", "-MHTTP::Daemon", "-e", "print HTTP::Daemon->VERSION"),
    ),
    "Node": (
        lambda port, folder: ["node", APPS / "app.js", str(port)],
        lambda: output("node", "--version"),
    ),
    "Puma": (
        lambda port, folder: [
            *("puma", "--quiet", "--threads=4:4", f"--bind=tcp://127.0.0.1:{port}"),
            APPS / "config.ru",
        ],
        lambda: output("puma", "--version"),
    ),
    "PHP": (
        lambda port, folder: ["php", "-q", "-S", f"127.0.0.1:{port}", "-t", APPS / "public"],
        lambda: output("php", "--version"),
    ),
    "Tomcat": (
        lambda port, folder: [
            *("java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", JAR),
            *(APPS / "App.java", str(port), folder),
        ],
        lambda: output("java", "-cp", JAR, "org.apache.catalina.util.ServerInfo"),
    ),
}


class Seen:
    """A request as an app has seen it."""

    def __init__(self, line):
        words = line.rstrip("\n").split(" ")
        self.method, self.is_admin = bytes.fromhex(words[0]), words[2] == "admin"
        self.path, self.session, self.scheme = map(bytes.fromhex, (words[1], *words[3:5]))
        self.peer, self.body = words[5], bytes.fromhex(words[6])
        pairs = (word.split("=") for word in words[7:])
        self.fields = [(bytes.fromhex(name), bytes.fromhex(value)) for name, value in pairs]

    def has(self, mark):
        """Whether it has the mark anywhere but in its path and body."""
        return mark in self.session or any(mark in part for field in self.fields for part in field)

    def __repr__(self):
        page = "the admin page" if self.is_admin else "a page"
        return f"{self.method} {self.path} ({page}) {self.session} {self.body[:80]} {self.fields}"


class Server:
    """One of them, running."""

    def __init__(self, name, folder):
        self.name = name
        start, self.version = SERVERS[name][0], SERVERS[name][1]()
        self.port, self.folder = free_port(), folder
        self.seen_file = folder / "seen"
        self.seen_file.touch()
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(
            [str(part) for part in start(self.port, folder)],
            env={
                **os.environ,
                "SEEN": str(self.seen_file),
                "PYTHONPATH": str(APPS),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            # It may have children, which are to end with it.
            start_new_session=True,
        )
        self.facts = {}
        self.read = 0

    def wait(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{self.name} did not start:\n{Path(self.log.name).read_text()}")

    def seen(self):
        """What it has seen since this was asked last."""
        with open(self.seen_file, "rb") as file:
            file.seek(self.read)
            lines = file.read().decode("ascii")
        self.read += len(lines)
        return [Seen(line) for line in lines.splitlines()]

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE)
        except ProcessLookupError:
            self.process.wait(PATIENCE)
        finally:
            self.log.close()
