"""Where deploy/build leaves what is shipped, and what is set against it."""

import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")


def host():
    """The triple of this machine, as rustc calls it."""
    said = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    return re.search(r"^host: (.+)", said, re.M)[1]


def shipped():
    """The folder of `cloakroom` and, once it has been asked for, of `bare`."""
    return TARGET / host() / "release"
