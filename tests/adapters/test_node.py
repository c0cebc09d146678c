"""Node: what deploy/adapters/node has, on node:http and on Express.

Debian has no express-session; of its own tests most are about cookies, secrets and stores, which do not apply.
"""

import json
import unittest
from http.client import HTTPException

import needs
from rules import Rules
from support import ADAPTERS, HERE, Client, Folder, Recorder, Sidecar, served

ADAPTER = ADAPTERS / "node/cloakroom.cjs"


def setUpModule():
    needs.install({
        "node": "nodejs",
        "/usr/share/nodejs/express": "node-express",
        "/usr/share/nodejs/passport": "node-passport",
    })


def node(folder, *kind, **environment):
    return served(f"node {HERE}/apps/node_app.cjs {' '.join(kind)}", folder, ADAPTER=str(ADAPTER),
                  NODE_PATH="/usr/share/nodejs", **environment)


class Plain(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return node(folder, PREFIX=prefix)


class Express(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return node(folder, "express", PREFIX=prefix)


class Particular(unittest.TestCase):
    """What is particular to express-session's interface."""

    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.stop)
        cls.folder = folder.path
        cls.app, cls.recorder, cls.sidecar = cls.behind(cls, "express", "passport")

    def behind(self, *kind, **environment):
        cleanup = self.addClassCleanup if isinstance(self, type) else self.addCleanup
        app = node(self.folder, *kind, **environment)
        cleanup(app.stop)
        recorder = Recorder(app.port)
        cleanup(recorder.stop)
        sidecar = Sidecar(recorder.port, self.folder)
        cleanup(sidecar.stop)
        return app, recorder, sidecar

    def setUp(self):
        self.browser = Client(self.sidecar.port)

    def said(self, method, path, body="", status=200, **more):
        answer = self.browser.request(method, path, body, **more)
        self.assertEqual(answer.status, status, answer)
        # That a new session ends with the browser is one test's business.
        return {name: value for name, value in self.recorder.last().items() if (name, value) != ("Max-Age", "0")}

    def with_session(self, text):
        self.browser.cookies["session"] = self.sidecar.token(text)

    def test_a_new_session_ends_with_the_browser(self):
        self.with_session("{}")
        answer = self.browser.post("/set?key=n", "1")
        self.assertEqual(self.recorder.last(), {"Save": '{"n":1}', "Max-Age": "0"})
        self.assertNotIn("max-age", answer.headers["Set-Cookie"].lower())
        self.browser.post("/set?key=n", "2")
        self.assertEqual(self.recorder.last(), {"Save": '{"n":2}'})
        self.browser.post("/login?name=Ann")
        self.assertEqual(self.recorder.last()["Max-Age"], "0")

    def test_the_file_is_short(self):
        self.assertLess(len(ADAPTER.read_text(encoding="utf-8").splitlines()), 250)

    def test_values_that_json_cannot_hold_are_refused_where_they_are_assigned(self):
        answer = self.browser.get("/values").json()
        wanted = ["date", "fn", "symbol", "nan", "infinite", "set", "regex", "gaps", "hole", "named", "circle", "instance",
                  "bytes", "boxed", "symbols", "deep"]
        self.assertEqual(list(answer["refused"]), wanted)
        for key, message in answer["refused"].items():
            self.assertIn(f'"{key}"', message)
        self.assertIn('"deep".deeper[0] is a Date', answer["refused"]["deep"])
        self.assertEqual(list(answer["names"]), ["cookie", "save", "__proto__", "constructor", "_session_id"])
        self.assertEqual(answer["left"], [])
        self.assertEqual(self.recorder.last(), {})

    def test_what_cannot_be_seen_at_the_assignment_is_seen_before_the_answer_goes(self):
        self.with_session('{"a":{}}')
        for path in ["/inside", "/inside-later"]:
            with self.subTest(path):
                answer = self.browser.post(f"{path}?key=a")
                self.assertEqual((answer.status, answer.text), (500, "The session could not be saved.\n"))
                self.assertNotIn("X-Own", answer.headers)
                self.assertEqual(self.recorder.last(), {})
        self.app.find('"a".inside is a Date')

    def test_objects_with_to_json_are_stored_where_the_app_wants_it(self):
        app, recorder, sidecar = self.behind(TO_JSON="1")
        self.assertEqual(Client(sidecar.port).get("/stored").status, 200)
        self.assertEqual(recorder.last()["Save"], '{"when":"1970-01-01T00:00:00.000Z","bare":{"a":1},"same":{"n":1}}')

    def test_what_is_changed_in_place_is_saved(self):
        self.with_session('{"list":[1],"kept":1.50}')
        self.assertEqual(self.said("POST", "/push?key=list", "2"), {"Save": '{"list":[1,2],"kept":1.50}'})

    def test_names_that_are_methods_go_back_as_they_came(self):
        self.with_session('{"save":1,"cookie":{"x":1.0},"id":"7","__proto__":{"admin":true},"a":1}')
        self.assertEqual(self.browser.get("/show").json(), {"id": "7", "a": 1})
        said = self.said("POST", "/set?key=a", "2")["Save"]
        self.assertEqual(said, '{"id":"7","a":2,"save":1,"cookie":{"x":1.0},"__proto__":{"admin":true}}')

    def test_a_session_that_was_emptied_is_deleted(self):
        for path in ["/empty", "/null", "/drop?key=a"]:
            with self.subTest(path):
                self.with_session('{"a":1}')
                self.assertEqual(self.said("POST", path), {"Delete": "1"})
        self.assertEqual(self.said("POST", "/empty"), {})

    def test_a_session_may_be_replaced_by_a_plain_object(self):
        self.with_session('{"a":1,"b":{}}')
        self.assertEqual(self.said("POST", "/replace", '{"b":{},"c":3}'), {"Save": '{"b":{},"c":3}'})

    def test_regenerate_begins_an_empty_session(self):
        self.with_session('{"a":1}')
        self.assertEqual(self.said("POST", "/regenerate"), {"Delete": "1"})

    def test_reload_takes_back_what_the_request_changed(self):
        self.with_session('{"a":1}')
        self.assertEqual(self.said("POST", "/reload"), {})
        self.assertEqual(self.said("POST", "/touch"), {})

    def test_max_age_and_expires_say_how_long_a_login_lasts(self):
        self.assertEqual(self.said("POST", "/remember", "2592000000")["Max-Age"], "2592000")
        self.assertIn("Max-Age=2592000", self.browser.post("/remember", "2592000000").headers["Set-Cookie"])
        self.assertEqual(self.said("POST", "/set?key=n", "1").get("Max-Age"), None)
        self.browser.post("/remember", "null")
        self.assertEqual(self.recorder.last()["Max-Age"], "0")
        self.assertIn(self.said("POST", "/expires")["Max-Age"], ["100", "99"])

    def test_new_sessions_last_as_long_as_the_options_say(self):
        app, recorder, sidecar = self.behind(MAX_AGE="60000")
        browser = Client(sidecar.port)
        browser.post("/set?key=n", "1")
        self.assertEqual(recorder.last()["Max-Age"], "60")
        browser.post("/set?key=n", "2")
        self.assertNotIn("Max-Age", recorder.last())
        browser.post("/login?name=Ann")
        self.assertEqual(recorder.last()["Max-Age"], "60")

    def test_an_id_is_kept_from_when_the_app_asks_for_it_to_the_next_log_in(self):
        self.with_session('{"a":1}')
        first = self.browser.get("/id").text.split()
        self.assertEqual(first[0], first[1])
        self.assertEqual(self.said("GET", "/id"), {})
        self.assertEqual(self.browser.get("/id").text.split(), first)
        self.assertEqual(self.browser.get("/show").json(), {"a": 1})
        self.browser.post("/login?name=Ann")
        self.assertNotEqual(self.browser.get("/id").text.split(), first)

    def test_an_id_alone_makes_no_session(self):
        self.assertEqual(self.said("GET", "/id"), {})

    def test_what_comes_before_the_first_byte_is_saved_however_it_is_sent(self):
        for path, status in [("/stream", 200), ("/not-modified", 304), ("/head", 200), ("/send", 200), ("/file", 200)]:
            with self.subTest(path):
                self.browser = Client(self.sidecar.port)
                self.assertIn("Save", self.said("GET", path, status=status))
        self.browser = Client(self.sidecar.port)
        self.assertIn("Save", self.said("HEAD", "/head"))

    def test_writing_the_head_sends_nothing_yet(self):
        answer = self.browser.get("/write-head")
        self.assertEqual((answer.status, answer.headers["X-Own"], answer.text), (201, "1", "true "))
        self.assertEqual(self.recorder.last()["Save"], '{"late":201}')

    def test_an_answer_may_be_piped_patched_and_ended_twice(self):
        for path, text in [("/pipe", "ab"), ("/patched", "ABc"), ("/twice", "a")]:
            with self.subTest(path):
                self.browser = Client(self.sidecar.port)
                answer = self.browser.get(path)
                self.assertEqual((answer.status, answer.text), (200, text))
                self.assertIn("Save", self.recorder.last())

    def test_an_answer_that_is_broken_off_saves_nothing(self):
        with self.assertRaises((OSError, HTTPException)):
            Client(self.app.port).get("/abort", headers={"X-Session": "{}"})
        self.assertEqual(self.browser.get("/show").json(), {})

    def test_what_comes_after_it_is_an_error(self):
        self.with_session('{"a":{}}')
        self.assertEqual(self.browser.get("/late").text.count("after the head"), 1)
        self.assertIn("headers were already sent", self.browser.get("/late").text)
        self.assertEqual(self.said("GET", "/late-inside?key=a"), {})
        self.app.find("a change after the headers were sent is not saved")

    def test_what_was_changed_before_an_error_of_the_app_is_saved(self):
        self.assertIn("Save", self.said("GET", "/throw", status=500))

    def test_flash_messages_are_shown_once(self):
        self.with_session('{"a":1}')
        self.assertEqual(self.browser.post("/flash", follow=True).json(), ["Saved."])
        self.assertEqual(self.recorder.last(), {"Save": '{"a":1}'})
        self.assertEqual(self.browser.get("/flash").json(), [])
        self.assertEqual(self.recorder.last(), {})

    def test_passport_logs_in_and_out(self):
        self.browser.post("/set?key=before", "1")
        answer = self.browser.post("/passport/login?name=Ann", follow=True)
        self.assertEqual(answer.json(), {"id": 7, "name": "Ann"})
        self.assertEqual(self.recorder.exchanges[-2]["Renew"], "1")
        self.assertEqual(self.browser.get("/show").json(), {"passport": {"user": {"id": 7, "name": "Ann"}}})
        self.assertIsNone(self.browser.post("/passport/logout", follow=True).json())
        self.assertEqual(json.loads(self.recorder.exchanges[-1]["in"]).get("passport", {}), {})

    def test_an_app_that_is_not_edited_takes_it_for_express_session(self):
        place = self.folder / "unedited/node_modules/express-session"
        place.mkdir(parents=True)
        (place / "index.js").write_text(ADAPTER.read_text(encoding="utf-8"), encoding="utf-8")
        (place.parents[1] / "app.js").write_text("""
            const express = require('express');
            const session = require('express-session');
            class Store extends session.Store { }
            const app = express();
            app.use(session({ secret: 'x', resave: false, saveUninitialized: true, store: new Store(), cookie: { secure: true, maxAge: 60000 } }));
            app.get('/', (req, res) => { req.session.views = (req.session.views || 0) + 1; res.send(String(req.session.views)); });
            app.listen(process.env.PORT, '127.0.0.1');
        """, encoding="utf-8")
        app = served("node app.js", place.parents[1], NODE_PATH="/usr/share/nodejs")
        self.addCleanup(app.stop)
        sidecar = Sidecar(app.port, self.folder)
        self.addCleanup(sidecar.stop)
        browser = Client(sidecar.port)
        first = browser.get("/")
        self.assertEqual(first.text, "1")
        self.assertIn("Max-Age=60", first.headers["Set-Cookie"])
        self.assertEqual([browser.get("/").text, browser.get("/").text], ["2", "3"])

    def test_where_there_is_no_header_what_needs_no_session_works(self):
        self.assertEqual(Client(node_port := self.behind()[0].port).get("/still").status, 200, node_port)

    def test_what_is_no_json_object_is_refused(self):
        for text in ["", "{", "x", "[]", "null", '{"a":1', '{"a":1}x', "{},{}", "W10", '{"a":"secret}']:
            with self.subTest(text):
                answer = Client(self.app.port).get("/still", headers={"X-Session": text})
                self.assertEqual(answer.status, 500, answer)
        self.app.find("X-Session cannot be read")
        self.assertNotIn("secret", self.app.text() + answer.text)


if __name__ == "__main__":
    unittest.main()
