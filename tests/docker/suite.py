"""Builds the image with the Dockerfile and runs the tests of this folder; tests/docker/run starts it.

The last line sums up. Images stay as the cache of the next build, without a name; nothing else does.
"""

import os
import signal
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import image  # noqa: E402
from engine import run, sweep  # noqa: E402


def main():
    wanted = [f"test_{name}.py" for name in sys.argv[1:]] or ["test_*.py"]
    given = os.environ.get("CLOAKROOM_IMAGE")
    # As an exception, which the finally below sees.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if given:
            image.use(given)
        else:
            started = time.monotonic()
            image.build()
            print(f"The image is built, in {time.monotonic() - started:.0f} s.", flush=True)
        return run_tests(wanted, given)
    finally:
        sweep()
        image.remove()


def run_tests(patterns, given):
    suite = unittest.TestSuite()
    if given:
        print(f"CLOAKROOM_IMAGE is set: {given} is tested, and how it is built is not.")
    for pattern in patterns:
        suite.addTests(unittest.defaultTestLoader.discover(str(HERE), pattern=pattern))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    # A fault in a fixture counts as well, without being one of the tests run.
    passed = max(result.testsRun - failed - len(result.skipped), 0)
    for test, reason in result.skipped:
        print(f"not run: {test}: {reason}")
    print(
        "not run: Grafana of deploy/compose.yml: Debian has no package of which to make its image"
    )
    print(f"{passed} passed, {failed} failed, {len(result.skipped)} skipped")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    run("docker", "version")
    sys.exit(main())
