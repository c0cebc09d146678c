"""A sidecar, an app behind it and a microdot app, each on a port of its own."""

import asyncio
import json
import os
import queue
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from microdot import Microdot, Request
from microdot.session import Session, with_session

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("CLOAKROOM_BIN", ROOT / "target/debug/cloakroom")).resolve()

# Long enough for every algorithm, and not all ASCII: both sides take it as UTF-8.
SECRET = "hüte und mäntel: one secret for both sides, long enough for HS512"

# How long anything here may take, in seconds.
PATIENCE = 20


class PlainApp:
    """An app that knows the headers and nothing of cookies, on the standard library alone."""

    def __init__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), PlainHandler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(PATIENCE)


class PlainHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # The head and the body are two writes; Nagle's algorithm would hold the second back.
    disable_nagle_algorithm = True

    def do_GET(self):
        # As it came, for the test to parse.
        self.answer(self.headers["X-Session"])

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        session = json.loads(self.headers["X-Session"])
        if self.path == "/save":
            return self.answer("saved", save=body)
        if self.path == "/login":
            return self.answer("hello", save=json.dumps({"name": body}))
        if self.path == "/count":
            session["n"] = session.get("n", 0) + 1
            return self.answer(str(session["n"]), save=json.dumps(session))
        if self.path == "/logout":
            return self.answer("goodbye", delete=True)
        return self.answer("no such page", status=404)

    def answer(self, text, save=None, delete=False, status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if save is not None:
            self.send_header("X-Session-Save", save)
        if delete:
            self.send_header("X-Session-Delete", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class MicrodotApp:
    """The same app as microdot has it, with sessions in its own cookie."""

    def __init__(self):
        # A cookie of 4096 bytes does not fit into the 2048 that microdot gives a line.
        Request.max_readline = 8192
        self.app = Microdot()
        self.session = Session(self.app, secret_key=SECRET)
        self.routes()
        ready = queue.Queue()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True)
        self.thread.start()
        self.loop, self.ended, self.port = ready.get(timeout=PATIENCE)

    def routes(self):
        @self.app.get("/session")
        @with_session
        async def show(request, session):
            return json.dumps(session)

        @self.app.post("/save")
        @with_session
        async def save(request, session):
            session.clear()
            session.update(json.loads(request.body))
            session.save()
            return "saved"

        @self.app.post("/login")
        @with_session
        async def login(request, session):
            session.clear()
            session["name"] = request.body.decode()
            session.save()
            return "hello"

        @self.app.post("/count")
        @with_session
        async def count(request, session):
            session["n"] = session.get("n", 0) + 1
            session.save()
            return str(session["n"])

        @self.app.post("/logout")
        @with_session
        async def logout(request, session):
            session.delete()
            return "goodbye"

    async def serve(self, ready):
        server = await self.app.start_server(host="127.0.0.1", port=0, start_serving=False)
        ended = asyncio.Event()
        async with server:
            await server.start_serving()
            port = server.sockets[0].getsockname()[1]
            ready.put((asyncio.get_running_loop(), ended, port))
            await ended.wait()

    def stop(self):
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join(PATIENCE)


class Sidecar:
    """The real binary in front of a backend."""

    def __init__(self, folder, backend_port, tables=""):
        self.secret_file = folder / "secret"
        # As an editor leaves it: the one newline at the end is not part of the secret.
        self.secret_file.write_text(SECRET + "\n", encoding="utf-8")
        self.secret_file.chmod(0o600)
        config = folder / "cloakroom.toml"
        config.write_text(
            f'listen = "127.0.0.1:0"\n'
            f'backend = "http://127.0.0.1:{backend_port}"\n'
            f"[[keys]]\n"
            f'secret_file = "{self.secret_file}"\n'
            f"{tables}",
            encoding="utf-8",
        )
        self.lines = []
        self.process = subprocess.Popen(
            [BINARY, "run", "--config", config], stderr=subprocess.PIPE, text=True
        )
        ready = queue.Queue()
        self.reader = threading.Thread(target=self.read_log, args=(ready,), daemon=True)
        self.reader.start()
        try:
            self.port = ready.get(timeout=PATIENCE)
            if self.port is None:
                raise RuntimeError("the sidecar did not start:\n" + "".join(self.lines))
        except BaseException:
            self.process.kill()
            self.process.wait(PATIENCE)
            raise

    def read_log(self, ready):
        for line in self.process.stderr:
            self.lines.append(line)
            if '"listening"' in line:
                ready.put(int(json.loads(line)["address"].rpartition(":")[2]))
        ready.put(None)

    def stop(self):
        """Ends it as Docker does, and gives its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.reader.join(PATIENCE)
            self.process.stderr.close()
