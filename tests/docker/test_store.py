"""deploy/compose.store.yml: sessions outlive the containers, and a log-out ends every copy of a cookie."""

import unittest

import image
from client import Client
from engine import Project, eventually


class Store(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.project = Project("compose.store.yml", image.name)
        cls.addClassCleanup(cls.project.remove)
        cls.project.up()
        cls.project.wait_until("healthy")

    def setUp(self):
        self.client = Client(self.project.port)

    def test_a_log_out_ends_every_copy_of_the_cookie(self):
        client = self.client
        client.log_in("Ann")
        kept = client.cookie
        client.post("/logout")
        client.cookie = kept
        self.assertIsNone(client.who())

    def test_sessions_outlive_the_containers(self):
        self.client.log_in("Ann")
        self.project.compose("up", "--detach", "--force-recreate", "cloakroom")
        eventually("the sidecar answers again", self.client.is_up)
        self.assertEqual(self.client.who(), "Ann")

    def test_an_operator_ends_the_sessions_of_a_user(self):
        self.client.log_in("Eve")
        said = self.project.compose(
            "exec", "cloakroom", "cloakroom", "session", "revoke", "--subject", "Eve"
        )
        self.assertIn("1 session ended", str(said))
        self.assertIsNone(self.client.who())
