"""Runs what stands in ```console, one shell and one folder for each page, and compares the outputs."""

import datetime
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from pages import BINARY, ROOT
from ports import free_ports

# How long a command may take, in seconds.
PATIENCE = 60

# What is shown and cannot be run here, by the beginning of the command, and why.
REASONS = {
    "deploy/install-build-needs": "installs packages; every run of the tests begins with it",
    "docker compose up": "tests/docker/run brings the compose files up",
}
used_reasons = set()
# The pages on which a log-in was timed.
timed = []

# What the app of the quick start in README.md says to somebody who is logged in.
LOGGED_IN = "Hello, Ann!"

# Pages whose commands belong into a container or beside one.
ELSEWHERE = {
    "deploy/examples/": "tests/docker/run and tests/browser/run start the examples",
    "deploy/": "tests/docker/run brings up what is there",
    "docs/docker.md": "tests/docker/run runs it with Docker",
}

# The ports and the day of the documentation, and those of this test.
PORTS = ("5000", "8000", "8080", "8081", "9090")
DAY = "2026-11-23"

PRELUDE = """
export PATH={bin}:$PATH CLOAKROOM_CONFIG={root}/etc/cloakroom/cloakroom.toml REPOSITORY={repository}
export PHP_INI_SCAN_DIR=:{root}/etc/php
fresh() {{
    rm -rf {root}/etc/cloakroom && mkdir -p {root}/etc/cloakroom &&
        cloakroom keygen --out {root}/etc/cloakroom/session_key &&
        printf '%s\\n' 'listen = "127.0.0.1:8080"' 'backend = "http://127.0.0.1:5000"' '[[keys]]' \\
            'secret_file = "{root}/etc/cloakroom/session_key"' '[session]' 'ttl = "14d"' \\
            >"$CLOAKROOM_CONFIG"
}}
curl() {{ command curl --silent --show-error "$@"; }}
example() {{
    cp "$REPOSITORY/deploy/examples/$1"/* . && ported
}}
ported() {{
    sed -E -i -f {root}/ported.sed ./*.toml
}}
adapter() {{
    cp "$REPOSITORY/deploy/adapters/$1"/*.* .
}}
stop() {{
    pid=$(jobs -p "%?$1") && kill "$pid" && {{ wait "$pid" || true; }}
}}
"""


class Shell:
    """A bash in an empty folder. The documentation's paths and ports are put out of harm's way."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "root"
        self.work = folder / "work"
        for path in (self.root / "etc/cloakroom", self.root / "run/secrets", self.work):
            path.mkdir(parents=True)
        binaries = folder / "bin"
        binaries.mkdir()
        (binaries / "cloakroom").symlink_to(BINARY)
        self.ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self.process = subprocess.Popen(
            ["bash"],
            cwd=self.work,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        ported = [rf"s/\b{port}\b/{free}/g" for port, free in self.ports.items()]
        ported += [f"s,/(etc/cloakroom|run/secrets),{self.root}/\\1,g"]
        (self.root / "ported.sed").write_text("\n".join(ported))
        # PHP keeps its sessions here and not among those of the machine.
        (self.root / "etc/php").mkdir()
        (self.root / "etc/php/sessions.ini").write_text(f"session.save_path = {self.root}\n")
        prelude = PRELUDE.format(bin=binaries, root=self.root, repository=ROOT)
        self.run(self.ported(prelude))

    def ported(self, text):
        """A text of the documentation as it is meant here."""
        text = re.sub(r"\b(%s)\b" % "|".join(PORTS), lambda port: self.ports[port[1]], text)
        text = text.replace(DAY, datetime.datetime.now(datetime.UTC).date().isoformat())
        return re.sub(r"(?<![\w}])/(etc/cloakroom|run/secrets)\b", rf"{self.root}/\1", text)

    def back(self, text):
        """An output as the documentation would show it."""
        for port, free in self.ports.items():
            text = re.sub(rf"\b{free}\b", port, text)
        return text.replace(f"{self.root}/", "/").replace(str(self.work), "/work")

    def run(self, command):
        """Runs a command in the shell itself, and gives its output and exit code."""
        mark = "the command has ended with"
        output = self.folder / "output"
        if command.rstrip().endswith("&"):
            before = self.listening()
            script = f"{command.rstrip()[:-1]} >{self.folder}/background 2>&1 </dev/null &\n"
            script += f"echo '{mark}' 0\n"
            output.write_text("")
        else:
            before = None
            script = f"{{ {command}\n}} >{output} 2>&1 </dev/null\necho '{mark}' $?\n"
        self.process.stdin.write(script)
        self.process.stdin.flush()
        timer = threading.Timer(PATIENCE, self.close)
        timer.start()
        try:
            for line in self.process.stdout:
                if line.startswith(mark):
                    break
            else:
                raise TimeoutError(f"not done after {PATIENCE} s, or the shell has ended")
        finally:
            timer.cancel()
        if before is not None:
            self.wait_for_another(before)
        return self.back(output.read_text(errors="replace")), int(line.split()[-1])

    def listening(self):
        return {port for port in self.ports.values() if is_open(port)}

    def wait_for_another(self, before):
        """What goes to the background here is a server: waits until it takes connections."""
        deadline = time.monotonic() + PATIENCE
        while self.listening() <= before:
            if time.monotonic() > deadline:
                text = (self.folder / "background").read_text(errors="replace")
                raise TimeoutError(f"nothing listens after {PATIENCE} s: {text}")
            time.sleep(0.05)

    def close(self):
        # The whole group, which is the shell's own: with what it has put into the background.
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self.process.wait()


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", int(port)), timeout=1).close()
        return True
    except OSError:
        return False


def run_console(page, report):
    if not any(block.language == "console" for block in page.blocks):
        return
    for prefix, reason in ELSEWHERE.items():
        if page.name.startswith(prefix):
            for block in page.blocks:
                for line, command, _ in commands(block) if block.language == "console" else ():
                    report.not_run(page.at(line), command, reason)
            return
    with tempfile.TemporaryDirectory() as folder:
        shell = Shell(Path(folder))
        try:
            begun = time.monotonic()
            for number, block in enumerate(page.blocks, 1):
                run_block(page, block, shell, report)
                if LOGGED_IN in block.text and block.language == "console":
                    quick_start(page, page.blocks[:number], time.monotonic() - begun, report)
        except (TimeoutError, OSError) as error:
            report.check(False, page.at(block.line), f"the rest of the page cannot be run: {error}")
        finally:
            shell.close()


def quick_start(page, blocks, seconds, report):
    """A new user's first log-in: as few commands as promised, and soon. The build is not run here."""
    typed = [command for block in blocks if block.language == "console" for _, command, _ in commands(block)]
    timed.append(page.name)
    print(f"quick start: a log-in after {len(typed)} commands, {seconds:.1f} s without the build")
    report.check(len(typed) < 8, page.name, f"the log-in takes {len(typed)} commands: {typed}")
    # A generous bound: this machine does other things as well.
    report.check(seconds < 300, page.name, f"the log-in takes {seconds:.0f} s without the build")


def run_block(page, block, shell, report):
    if block.name and not block.name.startswith("/"):
        path = shell.work / block.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(shell.ported(block.text), encoding="utf-8")
    if block.language != "console":
        return
    for kind, text in block.directives:
        if kind == "first" and not block.reason():
            output, code = shell.run(shell.ported(text))
            report.check(code == 0, page.at(block.line), f"what comes first ends with {code}:\n{output}")
    for line, command, expected in commands(block):
        where = page.at(line)
        reason = block.reason() or why_not(command)
        if reason:
            report.not_run(where, command, reason)
            continue
        output, code = shell.run(shell.ported(command))
        if expected.strip():
            sound = matches(expected, output)
            report.check(sound, where, f"{command}\n-- is to print\n{expected}-- and prints\n{output}")
        else:
            report.check(code == 0, where, f"{command}: ends with {code}:\n{output}")


def why_not(command):
    for prefix, reason in REASONS.items():
        if command.startswith(prefix):
            used_reasons.add(prefix)
            return reason
    return None


def unused_reasons(report):
    """What only a run of all pages can tell."""
    report.check(timed, "README.md", f"the quick start never says {LOGGED_IN}")
    for prefix in REASONS.keys() - used_reasons:
        known = "docker" in prefix
        report.check(known, "tests/docs/console.py", f"no page has {prefix!r} any more")


def commands(block):
    """Each command of a block with its line and the output that is shown."""
    found, number = [], block.line
    for text in block.text.splitlines():
        number += 1
        if text.startswith("$ "):
            found.append([number, text[2:], ""])
        elif found and found[-1][1].endswith("\\") and not found[-1][2]:
            found[-1][1] += f"\n{text}"
        elif found:
            found[-1][2] += f"{text}\n"
        else:
            raise SystemExit(f"line {number}: a block of ```console begins with an output: {text}")
    return found


# What may be another each time.
VOLATILE = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\d{4}-\d\d-\d\d", "DAY"),
    (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "TOKEN"),
    (r"\b[0-9a-f]{32}\b", "ID"),
    (r"\b1[789]\d{11}\b", "MILLISECONDS"),
    (r"\b1[789]\d{8}\b", "SECONDS"),
    (r'(?<="id":")[\w-]{22}|(?<=session    )[\w-]{22}', "ID"),
    (r"\d+(days?|h|m|s)( \d+(days?|h|m|s))*\b", "SPAN"),
    (r"cookie     \d+ bytes", "cookie     N bytes"),
]


def matches(expected, output):
    for pattern, word in VOLATILE:
        expected, output = re.sub(pattern, word, expected), re.sub(pattern, word, output)
    pattern = ""
    for line in expected.rstrip("\n").split("\n"):
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ ]*\n"
    return re.fullmatch(pattern, output.rstrip("\n") + "\n") is not None
