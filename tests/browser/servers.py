"""Two servers within the test: an app that saves whatever it is told, and a site of somebody else."""

import html
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    def __init__(self, handler):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def do_GET(self):
        query = urllib.parse.urlsplit(self.path).query
        self.page(dict(urllib.parse.parse_qsl(query, keep_blank_values=True)))

    def answer(self, body, *headers):
        body = f"<!doctype html>\n<title>Test</title>\n{body}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Plain(Handler):
    """Shows X-Session; `?save=` and `?delete=` are sent on as control headers."""

    def page(self, query):
        control = [
            (header, query[word])
            for word, header in [("save", "X-Session-Save"), ("delete", "X-Session-Delete")]
            if word in query
        ]
        self.answer(f"<pre id=session>{html.escape(self.headers['X-Session'])}</pre>", *control)


class Elsewhere(Handler):
    """A page with a form that goes to `?to=`, with the fields that the query has beside it, and a link."""

    def page(self, query):
        to = html.escape(query.pop("to", ""))
        fields = "".join(
            f'<input type=hidden name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in query.items()
        )
        self.answer(
            f'<form method=post action="{to}">{fields}<button>Win a hat</button></form>\n'
            f'<a href="{to}">Go there</a>'
        )
