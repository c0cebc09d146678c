"""Runs the suites test_*.py, some at a time; the last line is like that of `cargo test`, for tests/run to add up."""

import os
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

HERE = Path(__file__).parent


def main(words):
    files = sorted(HERE.glob("test_*.py"))
    passed = failed = ignored = 0
    # Most of the time is spent waiting for processes to start, and there are two processors at least.
    with ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        running = [pool.submit(in_a_process, file.stem, words) for file in files]
        for done in as_completed(running):
            output, counts = done.result()
            if counts != (0, 0, 0):
                print(output, flush=True)
            passed, failed, ignored = passed + counts[0], failed + counts[1], ignored + counts[2]
    word = "ok" if failed == 0 and passed > 0 else "FAILED"
    print(f"test result: {word}. {passed} passed; {failed} failed; {ignored} ignored")
    return 0 if word == "ok" else 1


def in_a_process(module, words):
    """What a suite prints, and how many tests have passed, failed and been left out."""
    ran = subprocess.run(
        [sys.executable, __file__, "--suite", module, *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )
    output, _, counts = ran.stdout.rstrip().rpartition("\n")
    try:
        passed, failed, ignored = map(int, counts.removeprefix("counts: ").split())
        return output, (passed, failed, ignored)
    except ValueError:
        return ran.stdout, (0, 1, 0)


def suite(module, words):
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    tests = unittest.defaultTestLoader.loadTestsFromName(module)
    if words:
        tests = unittest.TestSuite(test for test in tests_of(tests) if any(word in test.id() for word in words))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    # A fault in a fixture counts as well, without being one of the tests run.
    passed = max(result.testsRun - failed - len(result.skipped), 0)
    print(f"counts: {passed} {failed} {len(result.skipped)}")


def tests_of(tests):
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


if __name__ == "__main__":
    if sys.argv[1:2] == ["--suite"]:
        suite(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main(sys.argv[1:]))
