"""Runs the interop tests; the last line is like that of `cargo test`, for tests/run to add up."""

import sys
import unittest
from pathlib import Path

HERE = Path(__file__).parent


def main():
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    suite = unittest.defaultTestLoader.discover(str(HERE), pattern="test_*.py")
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    # A fault in a fixture counts as well, without being one of the tests run.
    passed = max(result.testsRun - failed - len(result.skipped), 0)
    word = "ok" if failed == 0 and passed > 0 else "FAILED"
    print(f"test result: {word}. {passed} passed; {failed} failed; {len(result.skipped)} ignored")
    return 0 if word == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
