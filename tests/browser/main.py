"""Runs the browser tests; the last line is like that of `cargo test`, for tests/run to add up."""

import argparse
import subprocess
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).parent

# Each part of the tests has a browser of its own; while one starts an app, the other's turns pages.
PARTS = 2


def tests_of(suite, words):
    """The tests whose names contain one of the words; all of them without any."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test, words)
        elif not words or any(word.lower() in test.id().lower() for word in words):
            yield test


def part_of(tests, part):
    """Whole classes of tests, because each starts its apps once."""
    classes = list(dict.fromkeys(type(test) for test in tests))[part::PARTS]
    return unittest.TestSuite(test for test in tests if type(test) in classes)


def run_part(part, words):
    """Prints how many tests have passed, failed and been left out, in the last line."""
    suite = unittest.defaultTestLoader.discover(str(HERE), pattern="test_*.py")
    tests = part_of(list(tests_of(suite, words)), part)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    # A fault in a fixture counts as well, without being one of the tests run.
    passed = max(result.testsRun - failed - len(result.skipped), 0)
    print(f"counts: {passed} {failed} {len(result.skipped)}")


def run(words):
    start = time.monotonic()
    command = [sys.executable, __file__, *words, "--part"]
    running = [
        subprocess.Popen([*command, str(part)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for part in range(PARTS)
    ]
    passed = failed = ignored = 0
    for process in running:
        output, _, counts = process.communicate()[0].rstrip().rpartition("\n")
        try:
            sound, broken, left = map(int, counts.removeprefix("counts: ").split())
        except ValueError:
            # It ended before its last line.
            output, sound, broken, left = f"{output}\n{counts}", 0, 1, 0
        print(output, flush=True)
        passed, failed, ignored = passed + sound, failed + broken, ignored + left
    word = "ok" if failed == 0 and passed > 0 else "FAILED"
    print(
        f"test result: {word}. {passed} passed; {failed} failed; {ignored} ignored; "
        f"finished in {time.monotonic() - start:.0f}s"
    )
    return 0 if word == "ok" else 1


def main():
    parser = argparse.ArgumentParser(prog="tests/browser/run")
    parser.add_argument("words", nargs="*", help="only checks whose names contain one of these")
    parser.add_argument("--screenshots", type=Path, help="make pictures of the demo in this folder")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    sys.path[:0] = [str(HERE), str(HERE.parent)]
    if arguments.screenshots:
        from screenshots import take

        return take(arguments.screenshots)
    if arguments.part is not None:
        return run_part(arguments.part, arguments.words)
    return run(arguments.words)


if __name__ == "__main__":
    sys.exit(main())
