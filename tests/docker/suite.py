"""Builds the image with the Dockerfile and runs the tests of this folder; tests/docker/run starts it.

The last line sums up. Images stay as the cache of the next build, without a name; nothing else does.
"""

import contextlib
import io
import multiprocessing
import os
import signal
import sys
import time
import unittest
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import image  # noqa: E402
from engine import sweep  # noqa: E402

# Most of the time goes into waiting for the engine and for health checks: several at once. Those that
# take longest come first.
AT_ONCE = 4
FIRST = ["docs", "examples", "compose", "redis", "rotation", "deb"]


def main():
    every = sorted(path.stem.removeprefix("test_") for path in HERE.glob("test_*.py"))
    only_build = sys.argv[1:] == ["--build"]
    wanted = [] if only_build else sys.argv[1:] or sorted(every, key=lambda name: (name not in FIRST, name))
    unknown = set(wanted) - set(every)
    if unknown:
        sys.exit(f"tests/docker/run: there is no {', '.join(unknown)}, but {', '.join(every)}")
    # As an exception, which the finally below sees.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        given = os.environ.get("CLOAKROOM_IMAGE")
        if given:
            image.use(given)
            print(f"CLOAKROOM_IMAGE is set: {given} is tested, and how it is built is not.")
        else:
            started = time.monotonic()
            image.build()
            print(f"The image is built, in {time.monotonic() - started:.0f} s.", flush=True)
        return 0 if only_build else run_all(wanted)
    finally:
        sweep()
        image.remove()


def run_all(names):
    passed, failed, skipped = 0, 0, []
    # Forked, so that they have the image and the names of this process.
    pool = ProcessPoolExecutor(AT_ONCE, mp_context=multiprocessing.get_context("fork"))
    try:
        for done in as_completed([pool.submit(run_module, name) for name in names]):
            output, sound, broken, left = done.result()
            print(output, flush=True)
            passed, failed, skipped = passed + sound, failed + broken, skipped + left
    finally:
        pool.shutdown(cancel_futures=True)
    for line in skipped:
        print(f"not run: {line}")
    print("not run: Grafana of deploy/compose.yml: it cannot be made of Debian's packages")
    print(f"{passed} passed, {failed} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    return 0 if failed == 0 and passed > 0 else 1


def run_module(name):
    """Runs the tests of a file: what they print, how many passed and failed, and which were skipped."""
    output, started = io.StringIO(), time.monotonic()
    with contextlib.redirect_stdout(output):
        suite = unittest.defaultTestLoader.loadTestsFromName(f"test_{name}")
        result = unittest.TextTestRunner(stream=output, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    # A fault in a fixture counts as well, without being one of the tests run.
    passed = max(result.testsRun - failed - len(result.skipped), 0)
    skipped = [f"{test}: {reason}" for test, reason in result.skipped]
    heading = f"\n== {name}, {time.monotonic() - started:.0f} s\n"
    return heading + output.getvalue(), passed, failed, skipped


if __name__ == "__main__":
    sys.exit(main())
