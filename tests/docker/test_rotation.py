"""Keys that change while users are logged in, with the secrets of deploy/compose.yml: see docs/keys.md."""

import base64
import json
import unittest

import image
from client import Client
from engine import Project, eventually, inspect

FIRST = '[[keys]]\nid = "1"\nsecret_file = "/run/secrets/session_key"\n'
SECOND = '[[keys]]\nid = "2"\nsecret_file = "/run/secrets/session_key_2"\n'


def key_id(token):
    head = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]


class Rotation(unittest.TestCase):
    def setUp(self):
        self.project = Project("compose.yml", image.name)
        self.addCleanup(self.project.remove)
        self.project.up()
        self.ann = Client(self.project.port)
        eventually("the app answers", self.ann.is_up)
        self.ann.log_in("Ann")

    def set_keys(self, text):
        """Puts these in place of the keys, by a file that replaces the old one, as editors do."""
        config = self.project.config
        before, _, rest = config.read_text().partition("[[keys]]\n")
        after = rest.partition("\n[session]")[2]
        new = config.with_suffix(".new")
        new.write_text(f"{before}{text}\n[session]{after}")
        new.rename(config)

    def started(self):
        state = inspect(self.project.container("cloakroom"))
        return state["Id"], state["State"]["StartedAt"]

    def key_of_a_new_session(self):
        return key_id(Client(self.project.port).log_in("Bob"))

    def test_in_two_steps_nobody_is_logged_out_until_the_old_key_goes(self):
        self.project.new_secret(self.project.secret.with_name("session_key_2"))
        compose = self.project.files[0]
        text = compose.read_text().replace(
            "secrets: [session_key]", "secrets: [session_key, session_key_2]"
        )
        compose.write_text(f"{text}  session_key_2: {{ file: ./secrets/session_key_2 }}\n")
        self.set_keys(f"{FIRST}\n{SECOND}")
        self.project.up("cloakroom")
        eventually("the app answers", self.ann.is_up)
        self.assertEqual(self.ann.who(), "Ann")
        self.assertEqual(self.key_of_a_new_session(), "1")

        # From here on it runs through.
        started = self.started()
        self.set_keys(f"{SECOND}\n{FIRST}")
        eventually("the second key signs", lambda: self.key_of_a_new_session() == "2")
        self.assertEqual(self.ann.who(), "Ann")
        bob = Client(self.project.port)
        bob.log_in("Bob")

        self.set_keys(SECOND)
        eventually("sessions of the first key are over", lambda: self.ann.who() is None)
        self.assertEqual(bob.who(), "Bob")
        self.assertEqual(self.started(), started)

    def test_a_secret_that_is_exchanged_ends_every_session_at_once(self):
        started = self.started()
        old = self.project.secret.read_text().strip()
        self.assertNotEqual(self.project.new_secret(self.project.secret), old)
        eventually("sessions of the old secret are over", lambda: self.ann.who() is None)
        self.ann.log_in("Ann")
        self.assertEqual(self.ann.who(), "Ann")
        self.assertEqual(self.started(), started)

    def test_a_secret_that_is_too_short_changes_nothing(self):
        self.project.secret.write_text("short\n")
        failures = 'cloakroom_config_reloads_total{outcome="failure"}'
        eventually("the reload has failed", lambda: self.project.metric(failures) == 1)
        self.assertEqual(self.ann.who(), "Ann")
        self.assertTrue(any(line["level"] == "error" for line in self.project.log_lines()))
