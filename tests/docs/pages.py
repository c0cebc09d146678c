"""A page of the documentation as blocks of code and text, and the report about it."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = os.environ.get("CARGO_TARGET_DIR", "target")
BINARY = Path(os.environ.get("CLOAKROOM_BIN", ROOT / TARGET / "debug/cloakroom")).resolve()

NAMED = re.compile(r"`([^`\s]+)`(?:\]\([^)]*\))?(?:,[^`]*)?:$")
DIRECTIVE = re.compile(r"<!-- (first|not run): (.*?) -->", re.DOTALL)


@dataclass
class Block:
    """A fenced block: its language, the line of its first fence, and what stands above it."""

    language: str
    line: int
    text: str
    name: str | None
    directives: list[tuple[str, str]] = field(default_factory=list)

    def reason(self):
        """Why it is not run, if it says so."""
        return next((text for kind, text in self.directives if kind == "not run"), None)


class Page:
    def __init__(self, path):
        self.path = path
        self.name = str(path.relative_to(ROOT))
        self.text = path.read_text(encoding="utf-8")
        self.blocks = []
        # The text without its blocks, line for line.
        self.prose = []
        self._split()

    def _split(self):
        fence, inside, above = None, [], []
        for number, line in enumerate(self.text.splitlines(), 1):
            opening = re.match(r"( *)```(\w*)$", line)
            if fence is None and opening:
                fence = (number, len(opening[1]), opening[2])
                inside = []
            elif fence and line.strip() == "```":
                start, indent, language = fence
                text = "".join(f"{line[indent:]}\n" for line in inside)
                directives = DIRECTIVE.findall("\n".join(above))
                spoken = re.sub(r"<!--.*?-->", "", "\n".join(above), flags=re.DOTALL).rstrip()
                named = NAMED.search(spoken)
                name = named[1] if named and language != "console" else None
                self.blocks.append(Block(language, start, text, name, directives))
                fence, above = None, []
            elif fence:
                inside.append(line)
            else:
                above.append(line)
            self.prose.append("" if fence or line.strip() == "```" else line)
        if fence:
            raise SystemExit(f"{self.name}:{fence[0]}: this block has no end")

    def at(self, line):
        return f"{self.name}:{line}"


class Report:
    def __init__(self):
        self.passed = 0
        self.failures = []
        self.left = []

    def check(self, sound, where, what):
        """A check, which is a sentence that holds or does not."""
        if sound:
            self.passed += 1
        else:
            self.failures.append(f"{where}: {what}")
            print(f"FAILED {where}: {what}", flush=True)
        return sound

    def not_run(self, where, what, reason):
        self.left.append(f"not run: {where}: {what}: {reason}")

    def close(self):
        for line in self.left:
            print(line)
        for line in self.failures:
            print(f"FAILED {line.splitlines()[0]}")
        sound = not self.failures and self.passed > 0
        word = "ok" if sound else "FAILED"
        failed = len(self.failures)
        print(f"test result: {word}. {self.passed} passed; {failed} failed; {len(self.left)} ignored")
        return 0 if sound else 1
