"""The image under test: built once from a copy of the project that has secrets lying about."""

import os
import secrets

from engine import BUILD, ROOT, Copy, docker, run

# The name it has while the tests run.
NAME = f"cloakroom-test:{os.getpid()}"

# What nothing that is built may contain.
CANARY = f"canary-{secrets.token_hex(16)}"

# Where people keep secrets, in the folder that is sent to the engine.
PLACES = [
    "session_key",
    ".env",
    "deploy/secrets/session_key",
    "config/local.toml",
    ".git/config",
    "target/key",
]

context = None
name = NAME


def build():
    global context
    context = Copy()
    for place in PLACES:
        path = context.path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{CANARY}\n")
    docker("build", *BUILD, "--tag", NAME, context.path)
    keep_binary()


def keep_binary():
    """Leaves what is shipped where benches/instructions can count it."""
    kept = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "image"
    kept.mkdir(parents=True, exist_ok=True)
    container = docker("create", NAME)
    try:
        docker("cp", f"{container}:/usr/local/bin/cloakroom", kept / "cloakroom")
    finally:
        docker("rm", container)


def build_stage():
    """The image of the first stage. It gets no name: with the name it would go, and it is the cache."""
    return docker("build", "--quiet", *BUILD, "--target", "build", context.path).splitlines()[-1]


def use(given):
    """Tests an image that is there."""
    global name
    name = given


def remove():
    """Takes the name away. What has none is the cache."""
    if context:
        run("docker", "rmi", "--no-prune", "--force", NAME, check=False)
