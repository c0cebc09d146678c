"""What a suite takes beside its language: Debian's packages, installed where they are missing."""

import os
import shutil
import subprocess
from pathlib import Path

from support import alone


def install(packages):
    """`packages`: what to look for, a path or a command, and the package that has it."""
    with alone("install"):
        _install(packages)


def _install(packages):
    missing = sorted({package for what, package in packages.items() if not (Path(what).exists() or shutil.which(what))})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise RuntimeError(f"There is no apt-get here. Install what these Debian packages have: {' '.join(missing)}")
    root = [] if os.getuid() == 0 else ["sudo"]
    quiet = {"stdout": subprocess.DEVNULL, "check": True}
    subprocess.run([*root, "apt-get", "update", "-q"], **quiet)
    subprocess.run([*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q",
                    "--no-install-recommends", *missing], **quiet)
