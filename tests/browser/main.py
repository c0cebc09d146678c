"""Runs the browser tests; the last line is like that of `cargo test`, for tests/run to add up."""

import argparse
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).parent


def chosen(suite, words):
    """The tests whose names contain one of the words; all of them without any."""
    picked = unittest.TestSuite()
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            picked.addTest(chosen(part, words))
        elif not words or any(word.lower() in part.id().lower() for word in words):
            picked.addTest(part)
    return picked


def main():
    parser = argparse.ArgumentParser(prog="tests/browser/run")
    parser.add_argument("words", nargs="*", help="only checks whose names contain one of these")
    parser.add_argument("--screenshots", type=Path, help="make pictures of the demo in this folder")
    arguments = parser.parse_args()

    sys.path[:0] = [str(HERE), str(HERE.parent)]
    if arguments.screenshots:
        from screenshots import take

        return take(arguments.screenshots)

    start = time.monotonic()
    suite = unittest.defaultTestLoader.discover(str(HERE), pattern="test_*.py")
    suite = chosen(suite, arguments.words)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    # A fault in a fixture counts as well, without being one of the tests run.
    passed = max(result.testsRun - failed - len(result.skipped), 0)
    word = "ok" if failed == 0 and passed > 0 else "FAILED"
    print(
        f"test result: {word}. {passed} passed; {failed} failed; {len(result.skipped)} ignored; "
        f"finished in {time.monotonic() - start:.0f}s"
    )
    return 0 if word == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
