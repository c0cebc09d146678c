"""One session for apps in several languages, each behind a sidecar with the same key."""

import json
import unittest

from support import HERE, Client, Folder, Sidecar, new_key
from test_php import php
from test_python import python


class TwoLanguages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.stop)
        key = new_key(folder.path)
        cls.ports = {}
        for name, start in {
            "php": lambda: php(folder.path, HERE / "apps/php"),
            "django": lambda: python(folder.path, "django_app"),
            "flask": lambda: python(folder.path, "flask_app"),
            "starlette": lambda: python(folder.path, "asgi_app", "--asgi"),
        }.items():
            app = start()
            cls.addClassCleanup(app.stop)
            sidecar = Sidecar(app.port, folder.path, key=key)
            cls.addClassCleanup(sidecar.stop)
            cls.ports[name] = sidecar.port

    def setUp(self):
        cookies = {}
        self.at = {name: Client(port, cookies) for name, port in self.ports.items()}

    def show(self, name):
        session = self.at[name].get("/show").json()
        session.pop("_session_id", None)
        return session

    def test_who_logs_in_at_one_is_known_to_all(self):
        for name, browser in self.at.items():
            with self.subTest(name):
                self.assertEqual(browser.post(f"/login?name={name}").status, 200)
                self.assertEqual({there: self.show(there)["user"] for there in self.at}, dict.fromkeys(self.at, name))

    def test_who_logs_out_at_one_is_unknown_to_all(self):
        for name, browser in self.at.items():
            with self.subTest(name):
                self.at["php"].post("/login?name=Ann")
                self.assertLess(browser.post("/logout").status, 400)
                self.assertEqual({there: self.show(there) for there in self.at}, dict.fromkeys(self.at, {}))

    def test_what_one_has_put_in_comes_back_from_a_round_through_all(self):
        value = '{"none":null,"big":123456789012345678901234567890,"empty":[{},[]],"text":"Zo\\u00eb \\u007f","x":1.50}'
        self.at["django"].post("/set?key=first", value)
        for name, browser in self.at.items():
            self.assertEqual(browser.post(f"/set?key={name}", '[1,"two"]').status, 200)
        session = self.show("django")
        self.assertEqual(session.pop("first"), json.loads(value))
        self.assertEqual(session, dict.fromkeys(self.at, [1, "two"]))

    def test_the_id_of_the_session_is_the_same_in_php_and_in_django(self):
        self.at["php"].post("/login?name=Ann")
        in_php = self.at["php"].get("/traps.php?case=id").text
        self.assertEqual(self.at["django"].get("/key").text, in_php)
        in_django = self.at["django"].get("/new_key").text
        self.assertNotEqual(in_django, in_php)
        self.assertEqual(self.at["php"].get("/traps.php?case=id").text, in_django)
