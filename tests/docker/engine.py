"""The Docker engine, a copy of the project to work in, and compose projects that leave nothing behind."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from ports import free_port

ROOT = Path(__file__).resolve().parents[2]
BASE = "debian:bookworm-slim"
PYTHON = "python:3.13-slim"

# How long anything may take to come about, in seconds.
PATIENCE = 60

# The build has this machine's network, with its proxies, and leaves no container behind when it fails.
BUILD = ["--force-rm", "--network", "host"]
BUILD += ["--build-arg", "http_proxy", "--build-arg", "https_proxy", "--build-arg", "no_proxy"]
BUILD += ["--build-arg", "CLOAKROOM_BUILD"]

# For bash, where there is no curl: /metrics of the admin listener, whose port is not published.
METRICS = r"""
exec 3<>/dev/tcp/127.0.0.1/9090
printf 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
cat <&3
"""

COMPOSE = os.environ.get("COMPOSE", "docker compose").split()


def run(*command, check=True, cwd=None, env=None, data=None):
    """Runs a command to its end; its output is in the error when it fails."""
    ran = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=data,
        stdin=None if data is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if check and ran.returncode != 0:
        raise AssertionError(f"{command} ends with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    return ran


def docker(*arguments, **options):
    return run("docker", *arguments, **options).stdout.strip()


def container(project, service):
    """The container of a service, running or not. Not `compose ps`, which takes ten times as long."""
    labels = {"project": project, "service": service, "oneoff": "False"}
    filters = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
    return docker("ps", "--all", "--quiet", "--no-trunc", *filters)


def inspect(name):
    return json.loads(docker("inspect", name))[0]


def eventually(what, condition, patience=PATIENCE):
    """Waits until the condition gives something, and gives that."""
    deadline = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience} s: {what}; the last answer was {found!r}")
        time.sleep(0.1)


# What the names of all containers, networks and volumes of a run begin with, and where its folders
# are. Both are those of the process that starts the others.
PREFIX = f"cloakroom-test-{os.getpid()}"
FOLDERS = Path(tempfile.mkdtemp(prefix="cloakroom-docker-"))
# The engine's users have to reach what is mounted from here.
FOLDERS.chmod(0o755)


def sweep():
    """Takes away what is left when the tests were broken off; else there is nothing."""
    for kind, every, remove in (
        ("container", ["--all"], ["rm", "--force", "--volumes"]),
        ("network", [], ["rm"]),
        ("volume", [], ["rm"]),
    ):
        left = docker(kind, "ls", *every, "--quiet", "--filter", f"name={PREFIX}").split()
        if left:
            run("docker", kind, *remove, *left, check=False)
    shutil.rmtree(FOLDERS, ignore_errors=True)


class Copy:
    """What a fresh clone has, and what is not committed yet, in a folder of the test's own."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(dir=FOLDERS))
        self.path.chmod(0o755)
        names = run(
            "git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"
        ).stdout
        for name in filter(None, names.split("\0")):
            source, target = ROOT / name, self.path / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)

    def remove(self):
        shutil.rmtree(self.path)


class Project:
    """A compose file, brought up under a name and on ports of its own."""

    counter = 0

    def __init__(self, file, image):
        Project.counter += 1
        self.name = f"{PREFIX}-{os.getpid()}-{Project.counter}"
        self.copy = Copy()
        self.folder = self.copy.path / "deploy"
        self.files = [self.folder / file]
        self.port = free_port()
        self.second_port = free_port()
        self.environment = {
            "CLOAKROOM_IMAGE": image,
            "CLOAKROOM_PORT": f"127.0.0.1:{self.port}",
            "SECOND_PORT": f"127.0.0.1:{self.second_port}",
            "PROMETHEUS_PORT": f"127.0.0.1:{free_port()}",
        }
        self.secret = self.folder / "secrets/session_key"
        self.secret.parent.mkdir(mode=0o700)
        self.config = self.folder / "cloakroom/cloakroom.toml"
        self.image = image
        self.new_secret(self.secret)

    def new_secret(self, path):
        """As the documentation says: the shell writes to the file, which stays the same file."""
        path.write_text(docker("run", "--rm", self.image, "keygen") + "\n")
        path.chmod(0o644)
        return path.read_text().strip()

    def compose(self, *arguments, **options):
        files = [word for file in self.files for word in ("--file", file)]
        command = [*COMPOSE, "--project-name", self.name, *files, *arguments]
        return run(*command, env=self.environment, **options).stdout.strip()

    def up(self, *arguments):
        self.compose("up", "--detach", "--no-build", *arguments)

    def container(self, service):
        return container(self.name, service)

    def health(self, service="cloakroom"):
        return inspect(self.container(service))["State"]["Health"]["Status"]

    def wait_until(self, health):
        eventually(f"the sidecar is {health}", lambda: self.health() == health)

    def logs(self, service="cloakroom"):
        """Standard output and standard error of a service."""
        ran = run("docker", "logs", self.container(service))
        return ran.stdout, ran.stderr

    def log_lines(self):
        return [json.loads(line) for line in self.logs()[1].splitlines()]

    def metric(self, name):
        """What /metrics says of a series, asked in the container."""
        text = docker("exec", self.container("cloakroom"), "bash", "-c", METRICS)
        found = [line.split()[-1] for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(found[0])

    def python(self, script, *networks):
        """Runs a script in a container on these networks of the project, and gives what it prints."""
        name = f"{self.name}-probe"
        docker(
            "create",
            "--interactive",
            "--name",
            name,
            "--network",
            f"{self.name}_{networks[0]}",
            PYTHON,
            "python3",
            "-",
        )
        try:
            for network in networks[1:]:
                docker("network", "connect", f"{self.name}_{network}", name)
            return docker("start", "--attach", "--interactive", name, data=script)
        finally:
            docker("rm", "--force", name)

    def remove(self):
        """Takes everything down, whatever has happened before."""
        try:
            self.compose(
                "--profile", "monitoring", "down", "--volumes", "--remove-orphans", "--timeout", "0"
            )
        finally:
            self.copy.remove()
