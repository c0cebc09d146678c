"""Serves `module:app` of this folder on $PORT: a WSGI app, or with --asgi an ASGI app."""

import importlib
import os
import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "deploy/adapters/python")]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


def main(name, is_asgi):
    module, _, app = name.partition(":")
    found = getattr(importlib.import_module(module), app or "app")
    port = int(os.environ["PORT"])
    if is_asgi:
        import uvicorn

        uvicorn.run(found, host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    else:
        make_server("127.0.0.1", port, found, Server, Quiet).serve_forever()


main(sys.argv[1], "--asgi" in sys.argv)
