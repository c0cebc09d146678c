"""deploy/compose.redis.yml and compose.store.yml: sessions that outlive containers, and a network that is cut."""

import unittest

import image
from client import Client
from engine import Project, docker, eventually


class Stores(unittest.TestCase):
    def test_sessions_in_a_file_outlive_the_container(self):
        project = Project("compose.store.yml", image.name)
        self.addCleanup(project.remove)
        project.up()
        project.wait_until("healthy")
        client = Client(project.port)
        client.log_in("Ann")
        kept = client.cookie
        project.compose("rm", "--stop", "--force", "cloakroom")
        project.up()
        project.wait_until("healthy")
        self.assertEqual(client.who(), "Ann")
        client.post("/logout")
        client.cookie = kept
        self.assertIsNone(client.who())


class Redis(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.project = Project("compose.redis.yml", image.name)
        cls.addClassCleanup(cls.project.remove)
        cls.password = cls.project.new_secret(cls.project.folder / "secrets/redis_password")
        cls.project.up()
        for service in ("cloakroom", "cloakroom-2"):
            eventually(f"{service} is healthy", lambda: cls.project.health(service) == "healthy")

    def setUp(self):
        self.here, self.there = Client(self.project.port), Client(self.project.second_port)

    def redis(self, *words, user=True):
        login = ["--user", "cloakroom", "--pass", self.password, "--no-auth-warning"] if user else []
        return docker("exec", self.project.container("redis"), "redis-cli", *login, *words)

    def test_two_sidecars_have_one_session_and_one_log_out(self):
        self.here.log_in("Ann")
        self.there.cookie = self.here.cookie
        self.assertEqual(self.there.who(), "Ann")
        self.here.post("/count")
        self.assertEqual(self.there.get().field("count"), "1")
        kept = self.there.cookie
        self.there.post("/logout")
        for client in (self.here, self.there):
            client.cookie = kept
            self.assertIsNone(client.who())

    def test_sessions_outlive_redis_and_the_sidecars(self):
        self.here.log_in("Ben")
        # With everysec an answer may go out before the file has it, while the disk is slow.
        eventually("all is written", lambda: "aof_buffer_length:0" in self.redis("INFO", "persistence"))
        for service in ("redis", "cloakroom"):
            self.project.compose("kill", service)
            self.project.compose("rm", "--force", service)
        self.project.up()
        self.project.wait_until("healthy")
        eventually("the session is back", lambda: self.is_served(self.here))
        self.assertEqual(self.here.who(), "Ben")

    def test_a_network_that_is_cut_is_an_outage_and_no_log_out(self):
        self.here.log_in("Cid")
        self.there.cookie = self.here.cookie
        network, container = f"{self.project.name}_store", self.project.container("cloakroom")
        docker("network", "disconnect", network, container)
        try:
            answer = eventually("an outage", lambda: self.refused(self.here))
            self.assertEqual((answer.status, answer.headers["Retry-After"]), (503, "1"))
            self.assertIsNone(answer.headers["Set-Cookie"])
            # Not for the other one, nor for whoever has no session.
            self.assertEqual(self.there.who(), "Cid")
            self.assertEqual(Client(self.project.port).get().status, 200)
            self.assertEqual(self.project.health(), "healthy")
        finally:
            docker("network", "connect", network, container)
        eventually("the session is back", lambda: self.is_served(self.here))
        self.assertEqual(self.here.who(), "Cid")
        self.assertEqual(self.here.post("/count").status, 303)

    def test_redis_keeps_what_it_has_and_evicts_nothing(self):
        # Its own user may not ask for the settings: as nobody else may.
        settings = docker("exec", self.project.container("redis"), "cat", "/etc/redis.conf")
        self.assertIn("appendonly yes", settings)
        self.assertIn("maxmemory-policy noeviction", settings)
        self.assertIn("NOPERM", self.redis("CONFIG", "GET", "maxmemory"))
        self.assertIn("NOPERM", self.redis("FLUSHALL"))
        self.assertIn("NOPERM", self.redis("GET", "others"))
        self.assertIn("NOAUTH", self.redis("PING", user=False))
        self.assertNotIn(self.password, docker("inspect", self.project.container("redis")))
        listed = docker("exec", self.project.container("redis"), "cat", "/proc/1/cmdline")
        self.assertNotIn(self.password, listed)

    def test_nobody_but_the_sidecars_reaches_redis(self):
        script = (
            "import socket\n"
            "try: socket.create_connection(('redis', 6379), 3); print('open')\n"
            "except OSError as error: print('closed')\n"
        )
        for network in ("inside", "inside-2", "outside"):
            self.assertEqual(self.project.python(script, network).strip(), "closed", network)
        self.assertEqual(self.project.python(script, "store").strip(), "open")

    def test_the_log_warns_of_nothing_and_tells_no_secret(self):
        self.here.log_in("Dan")
        for service in ("cloakroom", "cloakroom-2"):
            out, err = self.project.logs(service)
            self.assertEqual(out, "")
            self.assertNotIn(self.password, err)
            self.assertNotIn("evict", err)
            self.assertNotIn("persist", err)

    @staticmethod
    def refused(client):
        answer = client.get()
        return answer if answer.status == 503 else None

    @staticmethod
    def is_served(client):
        return client.get().status == 200


