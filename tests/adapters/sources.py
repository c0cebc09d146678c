"""The source of the installed version of a package, from PyPI: its own tests are in there."""

import importlib.metadata
import subprocess
import tarfile

from support import CACHE, PYTHON, alone


def folder(package):
    """Where it is unpacked. It is fetched once, and kept between runs."""
    name = f"{package}-{importlib.metadata.version(package)}"
    with alone():
        _fetch(package, name)
    return CACHE / name


def _fetch(package, name):
    if not (CACHE / name).exists():
        subprocess.run(
            [PYTHON, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--no-binary", package, "--dest", CACHE, name.replace("-", "==", 1)],
            check=True,
        )
        with tarfile.open(CACHE / f"{name}.tar.gz") as archive:
            archive.extractall(CACHE / "unpacking", filter="data")
        (CACHE / "unpacking" / name).rename(CACHE / name)
