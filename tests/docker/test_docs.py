"""docs/docker.md: each of its commands does what it says, in their order and a fresh copy of the project.

The page is written as tests/docs/run has it. "healthy" and "unavailable" in <!-- first: … --> wait until
the sidecar is so.
"""

import os
import re
import subprocess
import unittest

import image
from engine import BUILD, COMPOSE, PREFIX, Copy, free_port, run

PAGE = "docs/docker.md"

# Docker as the page has it: with this machine's way to packages in a build, and Compose of either kind.
PRELUDE = """
docker() {{
    case $1 in
        build) shift && command docker build {build} "$@" ;;
        compose) shift && command {compose} "$@" ;;
        *) command docker "$@" ;;
    esac
}}
status() {{
    curl --silent --output page --write-out '%{{http_code}}' http://127.0.0.1:{port}/
}}
patiently() {{
    for _ in $(seq 300); do "$@" && return; sleep 0.2; done
    echo "in vain: $*"
    return 1
}}
is_healthy() {{
    [ "$(docker inspect --format '{{{{.State.Health.Status}}}}' "$(docker ps --quiet --filter \\
        label=com.docker.compose.project={project} --filter label=com.docker.compose.service=cloakroom)")" = healthy ]
}}
is_answering() {{ [ "$(status)" = 200 ]; }}
is_unavailable() {{ [ "$(status)" -ge 502 ]; }}
healthy() {{ patiently is_healthy && patiently is_answering; }}
unavailable() {{ patiently is_unavailable; }}
"""


def blocks(text):
    """What is in ```console, with the directives and the number of the line above it."""
    number, above, inside = 0, [], None
    for number, line in enumerate(text.splitlines(), 1):
        fence = line.strip().startswith("```")
        if inside is None and fence:
            inside = (number, line.strip() == "```console", [])
        elif fence:
            start, console, lines = inside
            if console:
                yield (
                    start,
                    re.findall(r"<!-- (first|not run): (.*?) -->", "\n".join(above), re.DOTALL),
                    lines,
                )
            above, inside = [], None
        elif inside:
            inside[2].append(line)
        else:
            above.append(line)


def commands(start, lines):
    found = []
    for number, line in enumerate(lines, start + 1):
        if line.startswith("$ "):
            found.append((number, line[2:], []))
        else:
            found[-1][2].append(line)
    return found


def pattern(expected):
    """A regular expression for the output that is shown."""
    parts = ""
    for line in expected:
        any_lines = line.strip() == "…"
        parts += r"(?:.*\n)*?" if any_lines else ".*".join(map(re.escape, line.split("…"))) + r"\n"
    return parts


class Docs(unittest.TestCase):
    def setUp(self):
        self.copy = Copy()
        self.addCleanup(self.copy.remove)
        self.project = f"{PREFIX}-docs"
        # What the page may have left when a command has failed.
        self.addCleanup(self.down, "compose.yml")
        self.addCleanup(self.down, "compose.unix-socket.yml")
        self.port = free_port()
        self.environment = {
            "COMPOSE_PROJECT_NAME": self.project,
            "CLOAKROOM_IMAGE": image.name,
            "CLOAKROOM_PORT": f"127.0.0.1:{self.port}",
        }
        prelude = PRELUDE.format(
            build=" ".join(BUILD), compose=" ".join(COMPOSE), port=self.port, project=self.project
        )
        self.shell = subprocess.Popen(
            ["bash"],
            cwd=self.copy.path,
            env={**os.environ, **self.environment, "DOCKER_CLI_HINTS": "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.addCleanup(self.end)
        self.do(prelude)

    def end(self):
        self.shell.communicate("exit\n", timeout=60)

    def down(self, file):
        folder = self.copy.path / "deploy"
        run(
            *COMPOSE,
            "--file",
            folder / file,
            "down",
            "--volumes",
            env=self.environment,
            check=False,
        )

    def do(self, command):
        """Runs a command in the shell; what it prints, and how it ends."""
        output = self.copy.path / "output-of-the-command"
        self.shell.stdin.write(f"{{ {command}\n}} >{output} 2>&1 </dev/null\necho $?\n")
        self.shell.stdin.flush()
        code = self.shell.stdout.readline()
        return output.read_text(), int(code or "-1")

    def ported(self, command):
        """A command of the page as it is meant here: another port, image and project."""
        command = command.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}").replace(
            "deploy_", f"{self.project}_"
        )
        return re.sub(r"(--tag|docker run --rm) cloakroom\b", rf"\1 {image.name}", command)

    def test_every_command(self):
        done = 0
        text = (self.copy.path / PAGE).read_text()
        for start, directives, lines in blocks(text):
            kinds = dict(directives)
            for number, command, expected in commands(start, lines):
                where = f"{PAGE}:{number}: {command}"
                reason = kinds.get("not run")
                if command.startswith("docker build") and not image.context:
                    # It would take a quarter of an hour, and the name of what was given.
                    reason = "an image is given"
                if reason:
                    print(f"\nnot run: {where}: {reason}")
                    continue
                if "first" in kinds:
                    output, code = self.do(self.ported(kinds.pop("first")))
                    self.assertEqual(code, 0, f"what comes before {where}:\n{output}")
                output, code = self.do(self.ported(command))
                if any(line.strip() for line in expected):
                    self.assertRegex(output, rf"\A{pattern(expected)}\Z", where)
                else:
                    self.assertEqual(code, 0, f"{where}:\n{output}")
                done += 1
        self.assertGreater(done, 12)
