"""The example apps and the sidecar as processes, each on a free port of 127.0.0.1."""

import json
import os
import queue
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

from ports import free_port

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "deploy/examples"
BINARY = Path(os.environ["CLOAKROOM_BIN"]).resolve()

# How long anything here may take, in seconds: Java on a busy machine needs some.
PATIENCE = 40

# How each of the examples is started where there is no container.
COMMANDS = {
    "php": "exec php -S 127.0.0.1:$PORT app.php",
    "python": "exec python3 app.py",
    "perl": 'exec /usr/sbin/apache2 -D FOREGROUND -f "$PWD/httpd.conf"',
    "node": "exec node app.mjs",
    "java": "exec java App.java",
}


class Process:
    """A process whose output is kept, to be shown if it does not start."""

    def __init__(self, command, folder, **environment):
        self.lines = []
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Apache ends its whole process group with itself, which must not be ours.
            start_new_session=True,
        )
        self.waiting = []
        self.lock = threading.Lock()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.lock:
                self.lines.append(line)
                for lines in self.waiting:
                    lines.put(line)
        with self.lock:
            for lines in self.waiting:
                lines.put(None)

    def find(self, wanted):
        """What `wanted` gives for the first line for which it gives something, past or to come."""
        lines = queue.Queue()
        with self.lock:
            for line in self.lines:
                lines.put(line)
            self.waiting.append(lines)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                line = lines.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"not in the output of {self.process.args}:\n{self.text()}")
            found = wanted(line)
            if found is not None:
                return found

    def text(self):
        with self.lock:
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


def app(language, temporary):
    """One of the five examples."""
    return served(COMMANDS[language], EXAMPLES / language, temporary)


def php(script, temporary):
    """A script beside those of the migration, with a folder of its own for PHP's sessions."""
    command = f"exec php -d session.save_path={temporary} -S 127.0.0.1:$PORT {script}"
    return served(command, EXAMPLES / "migrating", temporary)


def served(command, folder, temporary):
    """An app that takes its port from PORT, once it takes connections."""
    port = free_port()
    process = Process(
        ["sh", "-c", command],
        folder,
        HOST="127.0.0.1",
        PORT=str(port),
        APP_DIR=str(folder),
        RUN_DIR=str(temporary),
    )
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


class Sidecar(Process):
    """The real binary, with a configuration of any kind."""

    def __init__(self, config, temporary):
        path = Path(temporary) / f"cloakroom-{time.monotonic_ns()}.toml"
        path.write_text(config, encoding="utf-8")
        self.config = path
        super().__init__([BINARY, "run", "--config", path], temporary)
        try:
            # The first that listens; of one that has both kinds of listeners, ask port_of().
            self.port = self.find(lambda line: _port(line))
        except BaseException:
            self.stop()
            raise

    def port_of(self, tls):
        return self.find(lambda line: _port(line, tls))

    def access(self, **wanted):
        """The line of the access log of a request with these fields."""

        def matching(line):
            if '"cloakroom::access"' not in line:
                return None
            entry = json.loads(line)
            return entry if all(entry.get(key) == value for key, value in wanted.items()) else None

        return self.find(matching)

    def token(self, session):
        """A cookie's value that holds this session."""
        command = [BINARY, "token", "encode", "--config", self.config, json.dumps(session)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _port(line, tls=None):
    if '"message":"listening"' not in line:
        return None
    entry = json.loads(line)
    if tls is not None and entry["tls"] != tls:
        return None
    return int(entry["address"].rpartition(":")[2])


def key(temporary):
    """A new key in a file."""
    path = Path(temporary) / "session_key"
    subprocess.run([BINARY, "keygen", "--out", path], check=True, capture_output=True)
    return path


def shipped(config, backend_port, key_file, listen="127.0.0.1:0"):
    """A configuration from deploy/, with the ports and the key of this machine put in."""
    text = config.read_text(encoding="utf-8")
    for pattern, put in [
        (r'(?m)^listen( *)= "0\.0\.0\.0:8080"', f'listen\\1= "{listen}"'),
        (r'(?m)^backend( *)= "http://[a-z0-9.]+:8000"', f'backend\\1= "http://127.0.0.1:{backend_port}"'),
        (r'(?m)^secret_file( *)= "[^"]*"', f'secret_file\\1= "{key_file}"'),
        (r'(?m)^listen( *)= "127\.0\.0\.1:9090"', 'listen\\1= "127.0.0.1:0"'),
    ]:
        text, times = re.subn(pattern, put, text)
        if times != 1:
            raise AssertionError(f"{config}: {pattern} stands there {times} times, not once")
    return text
