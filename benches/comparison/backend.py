"""The app behind every proxy: one nginx worker that answers 200 bytes from memory, by TCP and by a
unix socket."""

import http.client
import os

from cases import ANSWERS

from .exchange import ask, free_port
from .processes import pause

LETTERS = "x" * 200
# What Apache keeps as a session: form-encoded pairs.
APACHE_PAIRS = "user=alice%40example.com&theme=dark&n=12345678&csrf=b64aa9c5e0a94a2bb8d54c1c0f3e52aa" \
    "&cart=1%2C2%2C3%2C4&language=en-GB&seen=2026-11-22T10%3A00%3A00Z&roles=admin%2Ceditor"
# Answers with what has arrived: the check whether a proxy does its work.
SEEN = "/seen"
# Makes Apache write a session.
REPLACE = "/replace"


def configuration(folder, port, socket, workers):
    answers = {**ANSWERS, REPLACE: ("X-Replace-Session", APACHE_PAIRS)}
    locations = "".join(
        f"    location = {path} {{ add_header {name} '{value}'; return 200 {LETTERS}; }}\n"
        for path, (name, value) in answers.items())
    user = "user root;" if os.geteuid() == 0 else ""
    return f"""\
{user}
worker_processes {workers};
daemon off;
pid {folder}/backend.pid;
error_log stderr error;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  server_tokens off;
  default_type text/plain;
  client_body_temp_path {folder}/backend-body;
  proxy_temp_path {folder}/backend-proxy;
  fastcgi_temp_path {folder}/backend-fastcgi;
  uwsgi_temp_path {folder}/backend-uwsgi;
  scgi_temp_path {folder}/backend-scgi;
  keepalive_timeout 3600s;
  keepalive_requests 1000000000;
  large_client_header_buffers 8 16k;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    listen unix:{socket} backlog=4096;
    location / {{ return 200 "{LETTERS}"; }}
    location = /count {{ stub_status; }}
{locations}    location = {SEEN} {{ return 200 "session=$http_x_session\\ncookie=$http_cookie\\n"; }}
  }}
}}
"""


class Backend:
    """The program and where it listens."""

    def __init__(self, programs, cores, workers=1):
        name = f"backend-{workers}"
        self.port = free_port()
        self.socket = programs.folder / f"{name}.sock"
        config = programs.folder / f"{name}.conf"
        config.write_text(configuration(programs.folder, self.port, self.socket, workers))
        program = programs.start(name, ["nginx", "-e", "stderr", "-c", config], cores)
        program.ready(lambda: ask(self.port).status == 200)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        self.counts = 0

    def count(self):
        """How many requests it has had, but for these, which it counts too."""
        self.connection.request("GET", "/count")
        self.counts += 1
        return int(self.connection.getresponse().read().split()[9]) - self.counts

    def settle(self):
        """Waits until no more requests arrive, such as were under way when a load ended; then as above."""
        passed = -1
        while passed != (passed := self.count()):
            pause(0.05)
        return passed
