"""Python: what deploy/adapters/python has for WSGI, ASGI, Flask and Django."""

import asyncio
import os
import re
import subprocess
import sys
import unittest

from rules import Rules
from support import ADAPTERS, HERE, PYTHON, Client, Folder, Recorder, Sidecar, served

FOLDER = ADAPTERS / "python"
sys.path[:0] = [str(FOLDER), str(HERE / "apps")]


def python(folder, name, *options, **environment):
    return served(f"{PYTHON} {HERE}/apps/serve.py {name} {' '.join(options)}", folder, **environment)


def run(command, folder, **environment):
    """A command that ends."""
    return subprocess.run(command, shell=True, cwd=folder, env={**os.environ, **environment}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


class Particular:
    """What is particular to a framework: its app, between recorder and sidecar."""

    options = ()
    environment = {}
    health = 200
    session = ""

    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.stop)
        cls.folder = folder.path
        cls.app = python(folder.path, cls.name, *cls.options, **cls.environment)
        cls.addClassCleanup(cls.app.stop)
        cls.recorder = Recorder(cls.app.port)
        cls.addClassCleanup(cls.recorder.stop)
        cls.sidecar = Sidecar(cls.recorder.port, folder.path, session=cls.session)
        cls.addClassCleanup(cls.sidecar.stop)

    def setUp(self):
        self.browser = Client(self.sidecar.port)

    def said(self, method, path, body="", status=200, **more):
        answer = self.browser.request(method, path, body, **more)
        self.assertEqual(answer.status, status, answer)
        return self.recorder.last()

    def came(self):
        self.browser.get("/read")
        return self.recorder.exchanges[-1]["in"]

    def test_a_path_without_a_session_works_without_the_header(self):
        self.assertEqual(Client(self.app.port).get("/healthz?").status, self.health)


class Files(unittest.TestCase):
    def test_each_file_is_short_and_what_they_share_is_the_same(self):
        shared = set()
        for path in sorted(FOLDER.glob("*.py")):
            text = path.read_text(encoding="utf-8")
            self.assertLess(len(text.splitlines()), 250, path)
            shared.add(re.search(r"^# The same in each.*?^# -+$", text, re.MULTILINE | re.DOTALL)[0])
        self.assertEqual(len(shared), 1)

    def test_what_is_no_json_object_is_refused(self):
        from cloakroom_session import Received, SessionError

        for text in [None, "", "{", "x", "[]", "null", '{"a":1', '{"a": 1}', '{"a":1}x', '{"a":1}}', "W10"]:
            with self.subTest(text):
                with self.assertRaisesRegex(SessionError, "X-Session"):
                    Received(text, "X-Session")

    def test_values_that_json_cannot_hold_are_named(self):
        from cloakroom_session import Received, SessionError

        itself = []
        itself.append(itself)
        for value, words in [
            ({"b": [1, {"c": object()}]}, r"session\['a'\]\['b'\]\[1\]\['c'\] cannot be saved: it is a builtins\.object"),
            ({1: 2}, r"session\['a'\]\[1\] cannot be saved: keys in JSON are text, not int"),
            ([float("nan")], r"session\['a'\]\[0\] cannot be saved: JSON has no nan"),
            (float("-inf"), r"session\['a'\] cannot be saved: JSON has no -inf"),
            (b"bytes", r"session\['a'\] cannot be saved: it is a builtins.bytes"),
            ({"set"}, r"session\['a'\] cannot be saved: it is a builtins.set"),
            (itself, r"contains itself"),
        ]:
            with self.subTest(words):
                with self.assertRaisesRegex(SessionError, words):
                    Received('{"a":1}', "X-Session").answer({"a": value})
        with self.assertRaisesRegex(SessionError, r"session\[7\] cannot be saved"):
            Received("{}", "X-Session").answer({7: 1})


class WSGI(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return python(folder, "wsgi_app", PREFIX=prefix)


class ASGI(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return python(folder, "asgi_app", "--asgi", PREFIX=prefix)


class Flask(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return python(folder, "flask_app", PREFIX=prefix)


class Django(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return python(folder, "django_app", PREFIX=prefix)


class DjangoASGI(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return python(folder, "django_app:asgi", "--asgi", PREFIX=prefix)


class WSGIDetails(Particular, unittest.TestCase):
    name = "wsgi_app"
    # Nothing serves it: what matters is that the app is asked.
    health = 500

    def test_a_generator_saves_what_it_changes_up_to_its_first_byte(self):
        self.assertEqual(self.said("GET", "/stream"), {"Save": '{"streamed":1}'})

    def test_a_change_after_the_first_byte_is_an_error(self):
        try:
            self.browser.get("/late")
        except OSError:
            pass
        self.app.find("changed after the headers")
        self.assertEqual(self.came(), "{}")

    def test_what_is_written_by_hand_goes_after_the_headers(self):
        answer = self.browser.get("/write")
        self.assertEqual((answer.text, self.recorder.last()), ("by hand", {"Save": '{"written":1}'}))

    def test_a_cache_between_app_and_sidecar_is_told_what_the_answer_depends_on(self):
        self.assertEqual(Client(self.app.port).get("/read", headers={"X-Session": "{}"}).headers["Vary"], "X-Session")
        self.assertEqual(self.browser.get("/read").headers["Vary"], "Cookie")


class ASGIDetails(Particular, unittest.TestCase):
    name, options = "asgi_app", ["--asgi"]

    def test_a_change_after_the_headers_is_an_error(self):
        self.assertEqual(self.said("GET", "/late"), {})
        self.app.find("changed after the headers")

    def asgi(self, scope, *received):
        """What the app sends to its server."""
        import asgi_app

        sent, messages = [], iter(received)

        async def receive():
            return next(messages)

        async def send(message):
            sent.append(message)

        asyncio.run(asgi_app.app(scope, receive, send))
        return sent

    def test_a_server_starts_and_stops_the_app(self):
        sent = self.asgi({"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
        self.assertEqual([each["type"] for each in sent], ["lifespan.startup.complete", "lifespan.shutdown.complete"])

    def test_a_websocket_without_the_header_is_refused(self):
        from cloakroom_session import SessionError

        scope = {"type": "websocket", "path": "/socket", "query_string": b"", "headers": []}
        with self.assertRaisesRegex(SessionError, "X-Session is missing"):
            self.asgi(scope, {"type": "websocket.connect"})

    def test_a_stream_saves_what_changes_before_it_begins_and_nothing_later(self):
        answer = self.browser.get("/events")
        self.assertEqual((answer.text, self.recorder.last()), ("onetwo", {"Save": '{"begun":1}'}))
        self.app.find("changed after the headers")

    def test_a_websocket_saves_when_it_is_accepted(self):
        scope = {"type": "websocket", "path": "/socket", "query_string": b""}
        scope["headers"] = [(b"x-session", b'{"socket":1}')]
        sent = self.asgi(scope, {"type": "websocket.connect"})
        self.assertEqual(sent[0]["type"], "websocket.accept")
        self.assertIn((b"x-session-save", b'{"socket":2}'), sent[0]["headers"])
        self.assertEqual(sent[1]["text"], "2")


class FlaskDetails(Particular, unittest.TestCase):
    name = "flask_app"
    session = 'ttl = "14d"'

    def test_permanent_is_the_lifetime_of_the_log_in(self):
        said = self.said("POST", "/login?name=Ann&remember")
        self.assertEqual(said["Max-Age"], str(31 * 24 * 3600))
        self.assertEqual(self.said("POST", "/set?key=n", "1")["Max-Age"], str(31 * 24 * 3600))
        self.assertEqual(self.said("POST", "/forget")["Max-Age"], "0")
        self.assertEqual(self.said("POST", "/set?key=n", "2")["Max-Age"], "0")

    def test_flash_messages_are_shown_once(self):
        self.said("POST", "/flash")
        self.assertEqual(self.browser.get("/flashes").json(), [["info", "Saved."], ["error", "Twice."]])
        self.assertEqual(self.browser.get("/flashes").json(), [])
        self.assertEqual(self.browser.cookies, {})

    def test_what_is_deeper_is_saved_with_modified_as_ever(self):
        self.said("POST", "/set?key=cart", "{}")
        self.assertEqual(self.said("POST", "/nested"), {})
        self.assertEqual(self.said("POST", "/nested?tell")["Save"], '{"cart":{"hat":1}}')

    def test_what_flask_alone_knows_is_an_error_unless_asked_for(self):
        self.said("POST", "/special", status=500)
        self.app.find("session['when'] cannot be saved: it is a datetime.datetime")
        self.said("POST", "/markup", status=500)
        self.app.find("session['_flashes'][0][1] cannot be saved: it is a markupsafe.Markup")
        app = python(self.folder, "flask_app", TAGS="1")
        self.addCleanup(app.stop)
        sidecar = Sidecar(app.port, self.folder)
        self.addCleanup(sidecar.stop)
        browser = Client(sidecar.port)
        self.assertEqual(browser.post("/special").status, 200)
        self.assertEqual(
            browser.get("/special").text,
            "[datetime.datetime(2026, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), (1, 2), "
            "UUID('00000000-0000-0000-0000-000000000007'), b'\\xff', Markup('<b>')]",
        )
        before = sidecar.writes()
        browser.get("/special")
        self.assertEqual(sidecar.writes(), before)

    def test_a_change_after_the_headers_is_an_error_where_it_happens(self):
        try:
            self.browser.get("/late")
        except OSError:
            pass
        self.app.find("changed after the headers")
        self.assertEqual(self.came(), "{}")

    def test_a_path_without_a_session_fails_when_it_asks_for_one(self):
        self.assertEqual(Client(self.app.port).get("/healthz?ask").status, 500)
        self.app.find("There is no session on this path")

    def test_the_answer_says_what_it_depends_on(self):
        direct = Client(self.app.port)
        self.assertEqual(direct.get("/read", headers={"X-Session": "{}"}).headers["Vary"], "X-Session")
        self.assertIsNone(direct.get("/healthz", headers={"X-Session": "{}"}).headers["Vary"])


class DjangoDetails(Particular, unittest.TestCase):
    name = "django_app"
    session = 'ttl = "14d"'

    def test_set_expiry_is_the_lifetime_of_the_log_in(self):
        self.assertEqual(self.said("GET", "/expiry?to=300")["Max-Age"], "300")
        self.assertEqual(self.said("GET", "/expiry?to=0")["Max-Age"], "0")
        age = int(self.said("GET", "/expiry?to=timedelta(hours=1)")["Max-Age"])
        self.assertTrue(3590 <= age <= 3600, age)
        # Back to what the settings say, which the sidecar has to be told once.
        self.assertEqual(self.said("GET", "/expiry?to=None")["Max-Age"], str(14 * 24 * 3600))
        self.assertNotIn("Max-Age", self.said("GET", "/expiry?to=None"))
        self.assertEqual(self.said("GET", "/expiry?to=timedelta(hours=-1)"), {"Delete": "1"})

    def test_the_settings_lifetime_holds_if_they_say_one(self):
        self.assertNotIn("Max-Age", self.said("POST", "/login?name=Ann"))
        for settings, age in [({"AGE": "900"}, "900"), ({"BROWSER": "1"}, "0")]:
            app = python(self.folder, self.name, **settings)
            self.addCleanup(app.stop)
            direct = Client(app.port)
            for path, came, said in [
                ("/set?key=n", "{}", age),
                ("/set?key=n", '{"m":1}', None),
                ("/login?name=Ann", '{"m":1}', age),
            ]:
                answer = direct.post(path, "1", headers={"X-Session": came})
                self.assertEqual(answer.session_headers().get("Max-Age"), said, (settings, path, came))

    def test_a_moment_that_is_past_ends_the_session_although_the_token_is_good(self):
        self.browser.cookies["session"] = self.sidecar.token(
            {"user": "Ann", "_session_expiry": "2026-01-01T00:00:00+00:00"})
        self.assertEqual(self.browser.get("/show").json(), {})
        self.assertEqual(self.recorder.last(), {"Delete": "1"})

    def test_a_session_key_is_there_for_apps_that_ask_for_one(self):
        self.assertEqual((self.browser.get("/key").text, self.recorder.last()), ("None", {}))
        key = self.browser.get("/made_key").text
        self.assertRegex(key, "^[a-z0-9]{32}$")
        self.assertEqual((self.browser.get("/key").text, self.recorder.last()), (key, {}))
        self.assertEqual((self.browser.get("/made_key").text, self.recorder.last()), (key, {}))
        new = self.browser.get("/new_key").text
        self.assertEqual(self.recorder.last()["Renew"], "1")
        self.assertNotEqual(new, key)
        self.assertEqual(self.browser.get("/key").text, new)

    def test_test_cookies_work(self):
        self.assertEqual([self.browser.get("/test_cookie").text for _ in range(3)], ["set", "worked", "set"])

    def test_messages_are_shown_once(self):
        self.browser.get("/message")
        self.assertEqual([self.browser.get("/read_messages").json() for _ in range(2)], [["Saved."], []])

    def test_what_is_deeper_and_not_said_to_be_modified_is_left_alone(self):
        self.said("POST", "/set?key=cart", "{}")
        self.assertEqual(self.said("GET", "/nested"), {})

    def test_an_error_saves_nothing_but_a_log_out_counts(self):
        self.assertEqual(self.said("GET", "/broken", status=500), {})
        self.browser.post("/login?name=Ann")
        self.assertEqual(self.said("GET", "/broken_log_out", status=500), {"Delete": "1"})

    def test_a_change_after_the_headers_is_an_error_where_it_happens(self):
        try:
            self.browser.get("/late")
        except OSError:
            pass
        self.app.find("changed after the headers")
        self.assertEqual(self.came(), "{}")

    def test_djangos_cache_tells_sessions_apart_by_their_cookie(self):
        self.assertEqual(self.browser.get("/cached").text, "nobody")
        self.browser.post("/login?name=Ann")
        self.browser.cookies["theme"] = "dark"
        self.assertEqual(self.browser.get("/cached").text, "Ann")
        other = Client(self.sidecar.port, {"theme": "dark"})
        self.assertEqual(other.get("/cached").text, "nobody")
        other.post("/login?name=Ben")
        self.assertEqual(other.get("/cached").text, "Ben")

    def test_a_cache_for_the_whole_site_tells_them_apart_too(self):
        app = python(self.folder, self.name, CACHED="1")
        self.addCleanup(app.stop)
        recorder = Recorder(app.port)
        self.addCleanup(recorder.stop)
        sidecar = Sidecar(recorder.port, self.folder)
        self.addCleanup(sidecar.stop)
        one, other = Client(sidecar.port), Client(sidecar.port)
        for browser in [one, other]:
            # Each gets a save of its own: an answer with one is not kept for others.
            self.assertEqual(browser.get("/kept").text, "nobody")
            self.assertIn("Save", recorder.last())
        one.post("/login?name=Ann")
        self.assertEqual(one.get("/kept").text, "Ann")
        other.post("/login?name=Ben")
        self.assertEqual(other.get("/kept").text, "Ben")

    def test_an_app_that_looks_for_djangos_cookie_finds_it_where_there_is_a_session(self):
        self.assertEqual(self.browser.get("/cookie").text, "False")
        self.browser.post("/login?name=Ann")
        self.assertEqual(self.browser.get("/cookie").text, "True")
        self.assertNotIn("sessionid", self.browser.cookies)

    def test_the_asynchronous_interface_works(self):
        self.assertEqual([self.browser.get("/asynchronous").text for _ in range(2)], ["1", "2"])
        self.assertEqual(self.recorder.last(), {"Save": '{"n":2}', "Renew": "1"})
        self.assertEqual(self.said("GET", "/asynchronous_end"), {"Delete": "1"})

    def test_a_path_without_a_session_fails_when_it_asks_for_one(self):
        self.assertEqual(Client(self.app.port).get("/healthz?ask").status, 500)
        self.app.find("X-Session is missing")


class DjangoAdmin(Particular, unittest.TestCase):
    """Django's own admin, as its users have it."""

    name = "django_app"
    password = "a long enough password"

    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.stop)
        cls.environment = {"DATABASE": str(folder.path / "db.sqlite3"), "PYTHONPATH": str(FOLDER)}
        make = run(f"{PYTHON} {HERE}/apps/django_app.py '{cls.password}'", folder.path, **cls.environment)
        assert make.returncode == 0, make.stdout
        super().setUpClass()

    def log_in(self, browser, password=None):
        page = browser.get("/admin/login/?next=/admin/")
        form = self.form(page, username="Ann", password=password or self.password, next="/admin/")
        return browser.post("/admin/login/", form)

    def form(self, page, **fields):
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
        return {"csrfmiddlewaretoken": token, **fields}

    def test_log_in_work_and_log_out(self):
        self.assertEqual(self.browser.get("/admin/").status, 302)
        self.assertEqual(self.log_in(self.browser, "wrong").status, 200)
        self.assertNotIn("session", self.browser.cookies)

        self.assertEqual(self.log_in(self.browser).status, 302)
        said = self.recorder.last()
        self.assertIn("_auth_user_id", said["Save"])
        self.assertIn("Log out", self.browser.get("/admin/").text)
        self.assertEqual(self.browser.get("/who").text, "True Ann")
        before = self.sidecar.writes()
        self.browser.get("/admin/auth/user/")
        self.assertEqual(self.sidecar.writes(), before)

        # A second tab adds a group; the message about it is shown once, in either.
        page = self.browser.get("/admin/auth/group/add/")
        added = self.browser.post("/admin/auth/group/add/", self.form(page, name="Tailors"))
        self.assertEqual(added.status, 302, added)
        self.assertIn("was added successfully", self.browser.get("/admin/auth/group/").text)
        self.assertNotIn("was added successfully", self.browser.get("/admin/auth/group/").text)

        copy = dict(self.browser.cookies)
        page = self.browser.get("/admin/")
        self.assertEqual(self.browser.post("/admin/logout/", self.form(page)).status, 200)
        self.assertEqual(self.recorder.last(), {"Delete": "1"})
        self.assertEqual(self.browser.get("/admin/").status, 302)
        self.assertEqual(self.browser.get("/who").text, "False AnonymousUser")
        # A copy of the cookie is good until it expires: that is what a store or a revocation is for.
        self.assertEqual(Client(self.sidecar.port, copy).get("/who").text, "True Ann")

    def test_a_log_in_renews_a_session_that_was_there_before(self):
        self.browser.get("/set?key=cart")
        self.browser.post("/set?key=cart", "[1]")
        self.log_in(self.browser)
        self.assertEqual(self.recorder.last()["Renew"], "1")
        self.assertEqual(self.browser.get("/show").json()["cart"], [1])

    def test_another_instance_takes_over_in_the_middle(self):
        self.log_in(self.browser)
        app = python(self.folder, self.name, **self.environment)
        self.addCleanup(app.stop)
        sidecar = Sidecar(app.port, self.folder, key=self.sidecar.key)
        self.addCleanup(sidecar.stop)
        self.assertEqual(self.browser.other(sidecar.port).get("/who").text, "True Ann")

    def test_the_system_check_has_nothing_to_say(self):
        check = 'import django_app; from django.core.management import call_command; call_command("check")'
        paths = {"PYTHONPATH": f"{FOLDER}:{HERE}/apps"}
        checked = run(f"{PYTHON} -c '{check}'", HERE / "apps", **{**self.environment, **paths})
        self.assertIn("no issues", checked.stdout)

