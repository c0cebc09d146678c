"""What holds for every adapter, written once: a suite takes `Rules` and says how its app is started.

The app of each language (in apps/) answers to these, and is otherwise as its framework wants it:

    GET  /show            the session as JSON
    GET  /read            looks into the session, changes nothing
    POST /set?key=K       puts what the body is as JSON under K
    POST /public?key=K    puts 1 under K, with an answer that any cache may keep for a minute
    POST /drop?key=K      takes K out
    POST /login?name=N    a new id in the framework's own way, then "user" is N
    POST /logout          ends the session in the framework's own way
    POST /bad?key=K       puts an object of the language under K
"""

import json
import os
import random
import re
import unittest
from concurrent.futures import ThreadPoolExecutor

from support import Client, Folder, Recorder, Sidecar, store


class Rules:
    """Beside unittest.TestCase. `start` gives an app; the rest says what the language can tell apart."""

    # What comes back from the app as the same JSON text; where a language cannot, its suite says so.
    tells_empty_objects = True
    keeps_big_integers_apart = True
    # Of what is tried at random: another one tries other things.
    seed = int(os.environ.get("ADAPTERS_SEED", 1))
    # The keys that the framework has in the session for itself; they are left out of what is compared.
    own_keys = ()

    @classmethod
    def start(cls, folder, prefix):
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.stop)
        cls.folder = folder.path
        cls.app = cls.start(cls.folder, "X-Session")
        cls.addClassCleanup(cls.app.stop)
        cls.recorder = Recorder(cls.app.port)
        cls.addClassCleanup(cls.recorder.stop)
        cls.sidecar = Sidecar(cls.recorder.port, cls.folder)
        cls.addClassCleanup(cls.sidecar.stop)

    def setUp(self):
        self.browser = Client(self.sidecar.port)

    def show(self, browser=None):
        answer = (browser or self.browser).get("/show")
        self.assertEqual(answer.status, 200, answer)
        return {name: value for name, value in answer.json().items() if name not in self.own_keys}

    def put(self, key, text, browser=None):
        answer = (browser or self.browser).post(f"/set?key={key}", text)
        self.assertEqual(answer.status, 200, answer)

    def kept(self):
        """What the sidecar brings to the app, key by key, each as it is written."""
        self.browser.get("/read")
        return self.recorder.exchanges[-1]["in"]

    def with_session(self, text):
        self.browser.cookies["session"] = self.sidecar.token(text)

    def test_a_value_comes_back_on_the_next_request(self):
        self.assertEqual(self.show(), {})
        self.put("n", "1")
        self.assertEqual(self.show(), {"n": 1})
        self.put("cart", '{"hat":2,"tie":[1,2.5,true,false,null,"x"]}')
        self.assertEqual(self.show(), {"n": 1, "cart": {"hat": 2, "tie": [1, 2.5, True, False, None, "x"]}})
        self.browser.post("/drop?key=n")
        self.assertEqual(list(self.show()), ["cart"])

    def test_another_instance_takes_over_in_the_middle(self):
        second = self.start(self.folder, "X-Session")
        self.addCleanup(second.stop)
        beside = Sidecar(second.port, self.folder, key=self.sidecar.key)
        self.addCleanup(beside.stop)
        self.put("n", "1")
        there = self.browser.other(beside.port)
        self.assertEqual(self.show(there), {"n": 1})
        self.put("n", "2", there)
        self.assertEqual(self.show(), {"n": 2})

    def test_text_survives_whatever_is_in_it(self):
        texts = ["Zoë", "汉字", "😀", "\x7f DEL", "\" \\ / \n\r\t\0\x1f", "\u2028\u2029", "</script>", "é\u0301"]
        for text in texts:
            with self.subTest(text=text):
                self.put("text", json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f"))
                self.assertEqual(self.show()["text"], text)

    def test_a_key_survives_whatever_is_in_it(self):
        for key in ["Zoë", "\x7f", "0", "-1", "a|b", "a.b", "", "__proto__", "😀"]:
            with self.subTest(key=key):
                self.with_session(json.dumps({key: 1, "old": 1}))
                self.put("new", "2")
                there = json.loads(self.kept())
                self.assertEqual((there[key], there["new"]), (1, 2))

    def test_numbers_stay_what_they_are(self):
        self.put("numbers", "[0,-1,9007199254740993,-9007199254740993,9223372036854775807,1.5,-0.25]")
        self.assertIn("[0,-1,9007199254740993,-9007199254740993,9223372036854775807,1.5,-0.25]", self.kept())

    def test_unchanged_values_keep_their_text(self):
        for text in ["{}", "[]", "1.10", "1e400", "-0.0", "123456789012345678901234567890", '{"a":{},"b":[]}', "1.0",
                     '{"0":1}', '"\\ud83d\\ude00"', "[[],{}]", "null", '{"":1}']:
            with self.subTest(text=text):
                self.with_session(f'{{"old":{text}}}')
                self.put("new", "1")
                self.assertIn(f'"old":{text}', self.kept())

    def test_what_is_deep_or_long_survives(self):
        for text in ["[" * 120 + "]" * 120, '{"a":' * 100 + "1" + "}" * 100, f'[{",".join(map(str, range(250)))}]', '"' + "\\u00e9x" * 200 + '"']:
            with self.subTest(text=text[:20]):
                self.with_session(f'{{"old":{text}}}')
                self.put("new", "1")
                self.assertIn(f'"old":{text}', self.kept())
                self.put("new", text)
                self.assertEqual(json.loads(self.kept())["new"], json.loads(text))

    def test_whatever_json_there_is_comes_back(self):
        dice = random.Random(self.seed)
        for _ in range(15):
            old, new = (json.dumps(self.thing(dice), separators=(",", ":")) for _ in range(2))
            with self.subTest(seed=self.seed, old=old, new=new):
                self.with_session(f'{{"old":{old}}}')
                self.put("new", new)
                came = self.kept()
                self.assertIn(f'"old":{old}', came)
                self.assertEqual(self.told_apart(json.loads(came).get("new")), self.told_apart(json.loads(new)))

    def thing(self, dice, depth=0):
        kind = dice.randrange(4 if depth < 3 else 3)
        if kind == 0:
            return dice.choice([None, True, False, 0, -1, 2**31, -(2**63), 2**63 - 1, 0.5, -1e-7, 1.5e300])
        if kind < 3:
            return self.text(dice)
        if dice.random() < 0.5:
            return [self.thing(dice, depth + 1) for _ in range(dice.randrange(4))]
        return {self.text(dice): self.thing(dice, depth + 1) for _ in range(dice.randrange(4))}

    @staticmethod
    def text(dice):
        return "".join(dice.choices("az09 \"\\/<&\0\n\x1f\x7f\u00e9\u2028\u6c49\U0001f600", k=dice.randrange(12)))

    def told_apart(self, value):
        """The value, as far as the language can tell what it is."""
        if isinstance(value, dict) and not self.tells_empty_objects:
            numbered = {str(at) for at in range(len(value))}
            if list(value) == sorted(numbered, key=int):
                return [self.told_apart(item) for item in value.values()]
        if isinstance(value, dict):
            return {key: self.told_apart(item) for key, item in value.items()}
        return [self.told_apart(item) for item in value] if isinstance(value, list) else value

    def test_requests_at_the_same_time_have_each_its_own_session(self):
        tokens = [self.sidecar.token(f'{{"who":{who}}}') for who in range(4)]

        def ask(who):
            browser = Client(self.sidecar.port, {"session": tokens[who]})
            browser.post("/set?key=mine", str(who))
            return self.show(browser)

        with ThreadPoolExecutor(8) as pool:
            asked = list(range(4)) * 5
            for who, shown in zip(asked, pool.map(ask, asked)):
                self.assertEqual(shown, {"who": who, "mine": who})

    def test_empty_arrays_and_objects_keep_their_kind(self):
        self.put("empty", '[[],"x"]')
        self.assertIn('[[],"x"]', self.kept())
        if self.tells_empty_objects:
            self.put("empty", '[{},"x"]')
            self.assertIn('[{},"x"]', self.kept())

    def test_integers_of_any_length_stay_integers(self):
        if self.keeps_big_integers_apart:
            self.put("id", "[123456789012345678901234567890]")
            self.assertIn("[123456789012345678901234567890]", self.kept())

    def test_an_answer_that_says_something_is_for_no_shared_cache(self):
        direct = Client(self.app.port)
        for path in ["/set?key=n", "/login?name=Ann", "/logout"]:
            answer = direct.post(path, "1", headers={"X-Session": '{"a":1}'})
            self.assertNotEqual(answer.session_headers(), {}, path)
            self.assertRegex(",".join(answer.headers.get_all("Cache-Control") or ()), "private|no-store", path)
        answer = direct.post("/public?key=n", headers={"X-Session": '{"a":1}'})
        self.assertEqual(sorted(re.split(", *", ",".join(answer.headers.get_all("Cache-Control")))), ["max-age=60", "private"])

    def test_nothing_is_saved_when_nothing_changed(self):
        self.assertEqual(self.browser.get("/read").status, 200)
        self.assertEqual(self.recorder.last(), {})
        self.put("n", '{"a":[1]}')
        before = self.sidecar.writes()
        for path in ["/read", "/show"]:
            self.browser.get(path)
            self.assertEqual(self.recorder.last(), {}, path)
        self.put("n", '{"a":[1]}')
        self.assertEqual(self.recorder.last(), {}, "the same value again")
        self.assertEqual(self.sidecar.writes(), before)
        self.put("n", '{"a":[2]}')
        self.assertEqual(self.sidecar.writes(), {**before, "saved": before["saved"] + 1})

    def test_a_log_in_gets_a_new_id_and_keeps_the_rest(self):
        self.put("cart", "[1]")
        self.assertEqual(self.browser.post("/login?name=Ann").status, 200)
        said = self.recorder.last()
        self.assertEqual(said.pop("Renew", None), "1")
        said.pop("Max-Age", None)
        self.assertEqual(list(said), ["Save"])
        self.assertEqual(self.show()["user"], "Ann")
        self.assertEqual(self.show()["cart"], [1])

    def test_a_log_out_ends_the_session(self):
        self.browser.post("/login?name=Ann")
        self.assertIn("session", self.browser.cookies)
        self.assertLess(self.browser.post("/logout").status, 400)
        self.assertEqual(self.recorder.last(), {"Delete": "1"})
        self.assertNotIn("session", self.browser.cookies)
        self.assertEqual(self.show(), {})

    def test_in_a_store_a_session_outgrows_its_cookie_and_a_log_out_ends_every_copy(self):
        sidecar = Sidecar(self.recorder.port, self.folder, **store(self.folder))
        self.addCleanup(sidecar.stop)
        browser = Client(sidecar.port)
        large = "Zoë 😀 " * 300
        self.put("large", json.dumps(large), browser)
        self.assertEqual(browser.post("/login?name=Ann").status, 200)
        copy = Client(sidecar.port, dict(browser.cookies))
        self.assertLess(len(copy.cookies["session"]), 500)
        self.assertEqual((self.show(copy)["large"], self.show(copy)["user"]), (large, "Ann"))
        self.assertGreater(len(self.recorder.exchanges[-1]["in"]), 4096)
        self.assertLess(browser.post("/logout").status, 400)
        self.assertEqual(self.show(copy), {})
        self.assertEqual(sidecar.metrics()['cloakroom_session_checks_total{outcome="gone"}'], 1)

    def test_what_json_cannot_hold_is_an_error_with_its_key(self):
        self.put("n", "1")
        log = len(self.app.text())
        answer = self.browser.post("/bad?key=thing")
        self.assertEqual(answer.status, 500, answer)
        self.assertEqual(self.recorder.last(), {})
        self.app.find(lambda line: line if "thing" in line and "session" in line.lower() else None)
        self.assertIn("thing", self.app.text()[log:])
        self.assertEqual(self.show(), {"n": 1})

    def test_without_the_header_it_refuses_to_work(self):
        direct = Client(self.app.port)
        for method, path in [("GET", "/read"), ("GET", "/show"), ("POST", "/login?name=Ann")]:
            answer = direct.request(method, path, "")
            self.assertEqual(answer.status, 500, answer)
            self.assertEqual(answer.session_headers(), {})
        self.app.find(lambda line: line if "X-Session" in line and "missing" in line else None)

    def test_the_headers_may_have_another_name(self):
        app = self.start(self.folder, "X-Visit")
        self.addCleanup(app.stop)
        sidecar = Sidecar(app.port, self.folder, headers='session = "X-Visit"')
        self.addCleanup(sidecar.stop)
        browser = Client(sidecar.port)
        self.put("n", "1", browser)
        self.assertEqual(self.show(browser), {"n": 1})
        self.assertLess(browser.post("/logout").status, 400)
        self.assertEqual(self.show(browser), {})


# `Rules` alone is no test case: unittest collects what is one.
assert not issubclass(Rules, unittest.TestCase)
