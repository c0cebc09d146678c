"""The real binary in front of a server: two of them, which differ in what they do with odd names."""

import base64
import hashlib
import hmac
import json
import os
import queue
import subprocess
import threading
from pathlib import Path

from servers import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("CLOAKROOM_BIN", ROOT / "target/debug/cloakroom")).resolve()

SECRET = "one secret for all of these tests"


class Sidecar:
    def __init__(self, folder, app_port, odd_names):
        config = folder / f"{odd_names}.toml"
        config.write_text(
            f'listen = "127.0.0.1:0"\n'
            f'backend = "http://127.0.0.1:{app_port}"\n'
            f'odd_header_names = "{odd_names}"\n'
            f"[[keys]]\n"
            f'secret = "{SECRET}"\n'
            f"[[routes]]\n"
            f'path = "/admin/"\n'
            f"require = true\n",
            encoding="utf-8",
        )
        self.lines = []
        self.process = subprocess.Popen(
            [BINARY, "run", "--config", config], stderr=subprocess.PIPE, text=True
        )
        ready = queue.Queue()
        self.reader = threading.Thread(target=self.read_log, args=(ready,), daemon=True)
        self.reader.start()
        self.port = ready.get(timeout=PATIENCE)
        if self.port is None:
            raise RuntimeError("the sidecar did not start:\n" + "".join(self.lines))

    def read_log(self, ready):
        for line in self.process.stderr:
            self.lines.append(line)
            if '"listening"' in line:
                ready.put(int(json.loads(line)["address"].rpartition(":")[2]))
        ready.put(None)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.reader.join(PATIENCE)
            self.process.stderr.close()


def cookie(session):
    """The field that brings a session, signed as the sidecar does it."""

    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    message = encode(b'{"typ":"JWT","alg":"HS256"}') + b"." + encode(session)
    signature = hmac.digest(SECRET.encode(), message, hashlib.sha256)
    return b"Cookie", b"session=" + message + b"." + encode(signature)
