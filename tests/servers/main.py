"""Starts the servers and runs the tests of each. What the servers themselves make of things is told in the end;
the last line is like that of `cargo test`, for tests/run to add up.

    main.py                  every server
    main.py gunicorn Node    these
"""

import io
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from servers import SERVERS, Server  # noqa: E402
from sidecar import Sidecar  # noqa: E402
from test_bodies import Bodies  # noqa: E402
from test_framing import Framing  # noqa: E402
from test_names import Names  # noqa: E402
from test_paths import Paths  # noqa: E402

CASES = [Framing, Names, Paths, Bodies]

# More servers at once than processors: most of the time is spent waiting for them.
AT_ONCE = 4


def main():
    names = [name for name in SERVERS if name in sys.argv[1:] or not sys.argv[1:]]
    running, servers = [], []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for name in names:
                own = Path(folder, name.replace(":", ""))
                own.mkdir()
                servers.append(Server(name, own))
                running.append(servers[-1])
            results = list(pool.map(lambda server: run(server, running), servers))
        finally:
            for each in reversed(running):
                each.stop()
    tell(servers)
    run_all = sum(result.testsRun for result in results)
    skipped = sum(len(result.skipped) for result in results)
    # A test has as many failures as it has subtests that fail.
    failed = sum(len(result.failures) + len(result.errors) for result in results)
    passed = max(run_all - failed - skipped, 0)
    word = "ok" if failed == 0 and passed > 0 else "FAILED"
    print(f"test result: {word}. {passed} passed; {failed} failed; {skipped} ignored")
    return 0 if word == "ok" else 1


def run(server, running):
    """The tests of one server; what they say is said when they are through."""
    server.wait()
    sidecars = {}
    for odd_names in ("remove", "pass"):
        sidecars[odd_names] = Sidecar(server.folder, server.port, odd_names)
        running.append(sidecars[odd_names])
    suite = unittest.TestSuite(
        case(method, server, sidecars)
        for case in CASES
        for method in unittest.defaultTestLoader.getTestCaseNames(case)
    )
    said = io.StringIO()
    result = unittest.TextTestRunner(stream=said, verbosity=2).run(suite)
    print(said.getvalue(), flush=True)
    return result


def tell(servers):
    print("\nAsked directly, without cloakroom in front:")
    for server in servers:
        print(f"\n{server.name} {server.version}")
        for what, values in sorted(server.facts.items()):
            print(f"  {what}: " + "  ".join(values))
    print()


if __name__ == "__main__":
    sys.exit(main())
