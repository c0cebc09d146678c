"""One session for apps in several languages: each behind its own sidecar, all with one key."""

import json
import unittest

import test_java
import test_node
import test_perl
import test_php
import test_python
import test_ruby
from support import HERE, Client, Folder, Recorder, Sidecar, new_key

STARTS = {
    "node": lambda folder: test_node.node(folder, "express"),
    "java": lambda folder: test_java.java("tomcat10", folder),
    "perl": test_perl.plack,
    "ruby": test_ruby.rack,
    "php": lambda folder: test_php.php(folder, HERE / "apps/php"),
    "django": lambda folder: test_python.python(folder, "django_app"),
}


def setUpModule():
    for module in [test_node, test_java, test_perl, test_ruby]:
        module.setUpModule()


class Languages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.stop)
        key = new_key(folder.path)
        cls.recorders, cls.sidecars = {}, {}
        for language, start in STARTS.items():
            app = start(folder.path)
            cls.addClassCleanup(app.stop)
            cls.recorders[language] = Recorder(app.port)
            cls.addClassCleanup(cls.recorders[language].stop)
            cls.sidecars[language] = Sidecar(cls.recorders[language].port, folder.path, key=key)
            cls.addClassCleanup(cls.sidecars[language].stop)

    def setUp(self):
        self.cookies = {}

    def browser(self, language):
        return Client(self.sidecars[language].port, self.cookies)

    def show(self, language):
        answer = self.browser(language).get("/show")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def test_who_logs_in_with_one_language_is_known_in_the_others_and_logs_out_of_all(self):
        names = list(STARTS)
        for first, last in zip(names, names[1:] + names[:1]):
            with self.subTest(first=first, last=last):
                self.cookies.clear()
                self.assertLess(self.browser(first).post("/login?name=Zo%C3%AB").status, 400)
                for language in STARTS:
                    self.assertEqual(self.show(language)["user"], "Zoë", language)
                    self.assertEqual(self.recorders[language].last(), {}, language)
                self.assertLess(self.browser(last).post("/logout").status, 400)
                for language in STARTS:
                    self.assertEqual(self.show(language), {}, language)

    def test_what_one_has_put_in_the_others_leave_as_it_is(self):
        values = '"price":1.50,"id":12345678901234567890,"none":[],"no":{},"name":"Zo\\u00eb","deep":{"z":1,"a":[2.0,{}]}'
        self.cookies["session"] = self.sidecars["node"].token("{" + values + "}")
        for language in STARTS:
            answer = self.browser(language).post(f"/set?key={language}", '["\\u00e9\\u007f",1,true]')
            self.assertEqual(answer.status, 200, answer)
        for language in STARTS:
            shown = self.show(language)
            self.assertEqual({each: shown[each] for each in STARTS}, {each: ["é\x7f", 1, True] for each in STARTS}, language)
        came = self.recorders["node"].exchanges[-1]["in"]
        self.assertTrue(came.startswith("{" + values), came)
        self.assertEqual(set(json.loads(came)) - {"_session_id"}, {"price", "id", "none", "no", "name", "deep", *STARTS})


if __name__ == "__main__":
    unittest.main()
