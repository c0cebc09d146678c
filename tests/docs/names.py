"""What a page names has to be there: links, files, commands with their options, metrics."""

import functools
import json
import re
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from pages import BINARY, ROOT

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
# Not the name of a file, or of a module of Python's.
METRIC = re.compile(r"\b(?:cloakroom|process)_[a-z_]+\b(?!\.\w)")


def check_names(page, report):
    for number, line in enumerate(page.prose, 1):
        where = page.at(number)
        for target in LINK.findall(line):
            check_link(page, target, where, report)
        for code in CODE.findall(line):
            check_code(code, where, report)
    for block in page.blocks:
        if block.language in ("console", "sh"):
            for number, line in enumerate(block.text.splitlines(), block.line + 1):
                command = line.removeprefix("$ ") if block.language == "console" else line
                if line.startswith("$ ") or block.language == "sh":
                    check_code(command, page.at(number), report)


def check_link(page, target, where, report):
    if re.match(r"[a-z]+:", target):
        return
    path, _, anchor = target.partition("#")
    file = (page.path.parent / path).resolve() if path else page.path
    if report.check(file.exists(), where, f"there is no {target}") and anchor:
        known = anchors(file if file.is_file() else file / "README.md")
        report.check(anchor in known, where, f"{target}: there is no such heading")


@functools.cache
def anchors(file):
    """The names of a page's headings as GitHub makes them."""
    names, inside = set(), False
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("```"):
            inside = not inside
        heading = re.match(r"#+ +(.*)", line)
        if heading and not inside:
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            name = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            count, base = 0, name
            while name in names:
                count += 1
                name = f"{base}-{count}"
            names.add(name)
    return names


def check_code(code, where, report):
    """A file of the repository, a command of cloakroom, or a metric."""
    for word in code.split():
        top = word.split("/")[0]
        # What is under target/ is there only once it has been built.
        if "/" in word and top not in ("", "target") and (ROOT / top).is_dir() and re.fullmatch(r"[\w./-]+", word):
            report.check((ROOT / word).exists(), where, f"there is no file {word}")
    command = re.match(r"cloakroom ([a-z]+(?: [a-z]+)?)(.*)", code)
    if command and command[1].split()[0] in subcommands():
        check_command(command[1].split(), command[2], where, report)
    elif command and code.startswith("cloakroom "):
        report.check(False, where, f"cloakroom has no command {command[1].split()[0]}")
    for metric in METRIC.findall(code):
        if not metric.endswith("_"):
            report.check(is_metric(metric), where, f"there is no metric {metric}")


def check_command(words, rest, where, report):
    name, *more = words
    text = help_of(name)
    below = subcommands(name)
    if below and more:
        known = more[0] in below
        if report.check(known, where, f"cloakroom {name} has no command {more[0]}"):
            text = help_of(name, more[0])
    for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest.split("|")[0]):
        known = re.search(rf"(?<![\w-]){option}(?![\w-])", text)
        report.check(known, where, f"cloakroom {' '.join(words)} has no option {option}")


@functools.cache
def help_of(*words):
    command = [BINARY, *words, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@functools.cache
def subcommands(*words):
    listed = help_of(*words).partition("Commands:")[2].partition("Options:")[0]
    return set(re.findall(r"(?m)^  ([a-z]+)\b", listed))


@functools.cache
def metrics():
    """What /metrics of a sidecar has, before any request."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "cloakroom.toml"
        config.write_text(
            'listen = "127.0.0.1:0"\nbackend = "http://127.0.0.1:9"\n'
            '[[keys]]\nsecret = "a-secret-of-32-bytes-for-the-test"\n'
            '[admin]\nlisten = "127.0.0.1:0"\n'
        )
        command = [BINARY, "run", "--config", config]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            for line in process.stderr:
                if '"admin listening"' in line:
                    url = f"http://{json.loads(line)['address']}/metrics"
                    text = urllib.request.urlopen(url, timeout=10).read().decode()
                    return set(re.findall(r"(?m)^# TYPE (\w+)", text))
            raise SystemExit(f"{BINARY} run: ended before it listened")
        finally:
            process.kill()
            process.wait()
            process.stderr.close()


def is_metric(name):
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return name in metrics() or base in metrics() or name in ("process_", "cloakroom_")
