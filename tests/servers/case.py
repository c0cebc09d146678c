"""What all tests here have: a server, a sidecar in front of it, and both protocols of clients."""

import json
import time
import unittest
from contextlib import contextmanager

from servers import Seen
from wire import Client, Ended, Http1, Http2

PROTOCOLS = {"HTTP/1.1": Http1, "HTTP/2": Http2}

# What an attacker says, and no app is to hear.
MARK = b"mark7f3a"


class Case(unittest.TestCase):
    """A test of one server."""

    def __init__(self, method, server, sidecars):
        super().__init__(method)
        self.server, self.sidecars = server, sidecars
        self.sidecar = sidecars["remove"]

    def __str__(self):
        return f"{self.server.name}: {self._testMethodName.removeprefix('test_')}"

    def setUp(self):
        self.server.seen()

    @contextmanager
    def through(self, protocol, odd_names="remove"):
        """A client of the sidecar that does that with odd names."""
        with self.subTest(protocol=protocol, odd_names=odd_names):
            with Client(self.sidecars[odd_names].port, PROTOCOLS[protocol]) as client:
                yield client

    def ask_directly(self, *parts, pause=0, answers=None):
        """What the app has seen of what is sent to it without a sidecar, once it has given so many answers
        or has nothing more to say."""
        # Long enough for a server that waits for more than there is.
        with Http1(self.server.port, patience=1) as connection:
            try:
                for number, part in enumerate(parts):
                    time.sleep(pause if number else 0)
                    connection.send(part)
                for _ in range(answers or 0):
                    connection.answer()
            except (ConnectionError, Ended, TimeoutError, ValueError, IndexError):
                # It has heard enough, or answers as no server should.
                pass
            if answers is None:
                connection.rest()
        return self.server.seen()

    def fact(self, what, value):
        """Something to be told of the server."""
        values = self.server.facts.setdefault(what, [])
        if value not in values:
            values.append(value)

    def page(self, answer):
        """What the app says that it has seen."""
        self.assertIsNotNone(answer, "no answer")
        self.assertEqual(answer.status, 200, answer.body)
        return Seen(answer.body.decode("ascii"))

    def assert_nothing_of_it(self, seen):
        """Nobody has told the app what an attacker says."""
        for request in seen:
            self.assertFalse(request.has(MARK), request)
            self.assertEqual(json.loads(request.session or b"{}"), {}, request)
            self.assertEqual(request.scheme, b"http", request)
