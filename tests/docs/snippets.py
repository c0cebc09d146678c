"""The few lines of an app that the documentation shows for a language: each counts to three.

They are run as their server would run them, with {"n":2} in X-Session, and have to save {"n":3}.
"""

import json
import os
import re
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from ports import free_port

RECEIVED = '{"n":2}'
PATIENCE = 20


def check(headers, body, where, report):
    saved = {name.lower(): value for name, value in headers}.get("x-session-save")
    sound = saved is not None and json.loads(saved) == {"n": 3} and body.strip() == "3"
    report.check(sound, where, f"does not count: saves {saved}, answers {body!r}")


def python(text, where, report):
    try:
        code = compile(text, where, "exec")
    except SyntaxError as error:
        return report.check(False, where, f"no Python: {error}")
    if "def app(environ, start_response)" not in text:
        return report.check(True, where, "Python")
    names, sent = {"json": json}, []
    exec(code, names)
    body = names["app"]({"HTTP_X_SESSION": RECEIVED}, lambda status, headers: sent.extend(headers))
    return check(sent, b"".join(body).decode(), where, report)


def perl(text, where, report):
    environment = {**os.environ, "HTTP_X_SESSION": RECEIVED}
    ran = subprocess.run(["perl", "-e", text], env=environment, capture_output=True, text=True)
    head, _, body = ran.stdout.partition("\n\n")
    headers = [line.split(": ", 1) for line in head.splitlines() if ": " in line]
    return check(headers, body or ran.stderr, where, report)


def php(text, where, report):
    if "HTTP_X_SESSION" not in text:
        return report.not_run(where, "a block of PHP", "it is a part of something")
    served = text if text.startswith("<?php") else f"<?php\n{text}"
    return ask(served, "app.php", ["php", "-S", "127.0.0.1:{port}", "app.php"], where, report)


def node(text, where, report):
    served = "import http from 'node:http';\n" + text.replace("5000", "{port}")
    return ask(served, "app.mjs", ["node", "app.mjs"], where, report)


def ask(text, name, command, where, report):
    """Starts a server, asks it once and ends it."""
    port = str(free_port())
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_text(text.replace("{port}", port), encoding="utf-8")
        output = Path(folder, "output")
        with output.open("w") as out:
            command = [word.replace("{port}", port) for word in command]
            process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
        try:
            url = f"http://127.0.0.1:{port}/"
            request = urllib.request.Request(url, headers={"X-Session": RECEIVED})
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                        body = answer.read().decode()
                        return check(answer.headers.items(), body, where, report)
                except OSError as error:
                    if process.poll() is not None or time.monotonic() > deadline:
                        problem = f"does not answer: {error}\n{output.read_text()}"
                        return report.check(False, where, problem)
                    time.sleep(0.05)
        finally:
            process.kill()
            process.wait()


SNIPPETS = {"python": python, "perl": perl, "php": php, "js": node}
