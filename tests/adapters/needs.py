"""What a suite takes beside its language: Debian's packages, installed where they are missing."""

import shutil
import subprocess
from pathlib import Path

from support import ROOT


def install(packages):
    """`packages`: what to look for, a path or a command, and the package that has it."""
    missing = sorted({package for what, package in packages.items() if not (Path(what).exists() or shutil.which(what))})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise RuntimeError(f"There is no apt-get here. Install what these Debian packages have: {' '.join(missing)}")
    subprocess.run([ROOT / "tests/apt", "install", *missing], check=True, capture_output=True)
