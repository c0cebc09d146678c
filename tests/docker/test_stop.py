"""`docker stop`: what is under way is finished, and the engine never has to kill."""

import http.client
import threading
import time
import unittest

import image
from client import Client
from engine import Project, docker, eventually, inspect

# stop_grace_period of the compose files, in seconds.
GRACE = 10


class InBackground(threading.Thread):
    """Does something meanwhile, and gives what came of it and how long it took."""

    def __init__(self, action):
        super().__init__(daemon=True)
        self.action = action
        self.value = self.error = self.took = None
        self.start()

    def run(self):
        started = time.monotonic()
        try:
            self.value = self.action()
        except (OSError, AssertionError, http.client.HTTPException) as error:
            self.error = error
        self.took = time.monotonic() - started

    def result(self):
        self.join(60)
        if self.is_alive():
            raise AssertionError("not done after 60 s")
        return self


class Stop(unittest.TestCase):
    def setUp(self):
        self.project = Project("compose.yml", image.name)
        self.addCleanup(self.project.remove)
        self.project.up()
        self.client = Client(self.project.port)
        eventually("the app answers", self.client.is_up)
        self.client.log_in("Ann")
        self.sidecar, self.app = self.project.container("cloakroom"), self.project.container("app")

    def begin(self):
        """A request that waits for the app, which stands still."""
        docker("pause", self.app)
        request = InBackground(lambda: self.client.post("/count"))
        eventually(
            "the request is under way",
            lambda: self.project.metric("cloakroom_requests_in_flight") == 1,
        )
        stop = InBackground(lambda: docker("stop", "--time", GRACE, self.sidecar))
        eventually("it shuts down", lambda: "shutting down" in self.messages())
        return request, stop

    def messages(self):
        return [line["message"] for line in self.project.log_lines()]

    def state(self):
        return inspect(self.sidecar)["State"]

    def test_a_request_under_way_is_finished(self):
        request, stop = self.begin()
        with self.assertRaises((OSError, http.client.HTTPException)):
            Client(self.project.port).get()
        self.assertTrue(request.is_alive() and self.state()["Running"])
        docker("unpause", self.app)
        answer = request.result()
        self.assertIsNone(answer.error)
        self.assertEqual(answer.value.status, 303)
        self.assertIn("session=", answer.value.headers["Set-Cookie"])
        self.assertLess(stop.result().took, GRACE)
        self.assertEqual(self.state()["ExitCode"], 0)
        self.assertEqual(self.messages()[-1], "stopped")
        # What the app did last is in the cookie.
        docker("start", self.sidecar)
        eventually("the app answers again", Client(self.project.port).is_up)
        self.assertEqual(self.client.get().field("count"), "1")

    def test_one_that_never_ends_does_not_hold_it_up(self):
        request, stop = self.begin()
        print(f"stopped after {stop.result().took:.1f} s ", end="")
        self.assertLess(stop.took, GRACE)
        state = self.state()
        self.assertEqual((state["ExitCode"], state["Running"]), (0, False))
        broken = request.result()
        self.assertTrue(broken.error or broken.value.status >= 500)
        docker("unpause", self.app)
