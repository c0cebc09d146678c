"""Flask's own tests of sessions and messages, and its tutorial with its tests, with sessions of a real cloakroom."""

import os
import re
import subprocess
import unittest

import sources
from support import ADAPTERS, HERE, PYTHON

# What does not apply, and why.
COOKIE = "the cookie and its attributes are the sidecar's"
KEYS = "the keys are the sidecar's: the app needs none"
OTHER = "it has an interface of its own"
LEFT_OUT = {
    "test_session_error_pops_context": OTHER,
    "test_session_dynamic_cookie_name": OTHER,
    "test_open_session_with_endpoint": OTHER,
    "test_session_path": COOKIE,
    "test_session_using_application_root": COOKIE,
    "test_session_using_session_settings": COOKIE,
    "test_session_using_samesite_attribute": COOKIE,
    "test_session_secret_key_fallbacks": KEYS,
    "test_missing_session": KEYS,
    "test_session_transactions_no_null_sessions": KEYS,
    "test_session_cookie_setting": "a session is extended by the sidecar, not by each answer",
    "test_session_accessed": "the sidecar says Vary: Cookie with every answer",
    "test_session_vary_cookie": "the sidecar says Vary: Cookie with every answer",
}


def pytest(folder, *arguments):
    paths = [ADAPTERS / "python", HERE, folder]
    return subprocess.run(
        [PYTHON, "-m", "pytest", "-p", "flask_behind", "-p", "no:cacheprovider", "-q", "-rA", *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )


class FlaskOwn(unittest.TestCase):
    def passed(self, ran, at_least):
        self.assertEqual(ran.returncode, 0, ran.stdout)
        passed = re.findall(r"^PASSED \S+::(\S+)", ran.stdout, re.MULTILINE)
        self.assertGreaterEqual(len(passed), at_least, ran.stdout)
        print(len(passed), *sorted(passed))

    def test_what_flask_tests_of_sessions_and_messages(self):
        files = [f"tests/test_{name}.py" for name in ["basic", "testing", "reqctx", "helpers"]]
        wanted = "(session or flash) and not (%s)" % " or ".join(LEFT_OUT)
        self.passed(pytest(sources.folder("flask"), *files, "-k", wanted), 11)
        for name, why in LEFT_OUT.items():
            print(f"left out: {name}: {why}")

    def test_flasks_tutorial(self):
        self.passed(pytest(sources.folder("flask") / "examples/tutorial", "tests"), 20)
