"""Java: what deploy/adapters/java has, in Tomcat 10 (jakarta.servlet) and, from the same source, in Tomcat 9 (javax.servlet)."""

import hashlib
import os
import re
import subprocess
import tempfile
import unittest
from http.client import HTTPException
from pathlib import Path

import needs
from rules import Rules
from support import ADAPTERS, CACHE, HERE, Client, Folder, Recorder, Sidecar, alone, served

ADAPTER = ADAPTERS / "java/CloakroomFilter.java"
VALVE = ADAPTERS / "java/CloakroomValve.java"
APP = HERE / "apps/java"
JARS = ["annotations-api", "api", "catalina", "coyote", "el-api", "jaspic-api", "jni", "jsp-api", "juli", "servlet-api", "util",
        "util-scan"]

classes = {}


def setUpModule():
    needs.install({
        "javac": "default-jdk-headless",
        "/usr/share/java/tomcat10-catalina.jar": "libtomcat10-java",
        "/usr/share/java/tomcat9-catalina.jar": "libtomcat9-java",
        "/usr/share/tomcat10-examples": "tomcat10-examples",
    })
    for tomcat in ["tomcat10", "tomcat9"]:
        classes[tomcat] = compiled(tomcat)


def jars(tomcat):
    return [f"/usr/share/java/{tomcat}-{name}.jar" for name in JARS]


def compiled(tomcat):
    """The folder with the classes of adapter and app; for javax as the README says. Kept until a source changes."""
    texts = {source.name: source.read_text(encoding="utf-8") for source in [ADAPTER, VALVE, APP / "App.java"]}
    if tomcat == "tomcat9":
        texts = {name: re.sub(r"jakarta\.servlet", "javax.servlet", text) for name, text in texts.items()}
    folder = CACHE / f"{tomcat}-{hashlib.sha256(''.join(texts.values()).encode()).hexdigest()[:16]}"
    with alone("javac"), tempfile.TemporaryDirectory(dir=CACHE) as made:
        if folder.exists():
            return folder
        for name, text in texts.items():
            (Path(made) / name).write_text(text, encoding="utf-8")
        # Java 8 is what the oldest of the apps have.
        subprocess.run(["javac", "--release", "8", "-Xlint:all,-options,-processing,-serial,-classfile", "-Werror", "-cp",
                        ":".join(jars(tomcat)), "-d", f"{made}/classes", *(f"{made}/{name}" for name in texts)], check=True)
        (Path(made) / "classes").rename(folder)
    return folder


# One compiler and the simplest collector: the start is what takes time here.
JAVA = "java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"


def java(tomcat, folder, prefix="X-Session"):
    root = folder / f"{tomcat}-{prefix}-{len(os.listdir(folder))}"
    (root / "app/WEB-INF").mkdir(parents=True)
    text = (APP / "web.xml").read_text(encoding="utf-8").replace("X-Session", prefix)
    (root / "app/WEB-INF/web.xml").write_text(text, encoding="utf-8")
    return served(f"{JAVA} -cp {':'.join([str(classes[tomcat]), *jars(tomcat)])} App {root}/app {root}", folder)


class Jakarta(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return java("tomcat10", folder, prefix)


class Javax(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return java("tomcat9", folder, prefix)

    def test_the_methods_of_old_work(self):
        self.with_session('{"n":1}')
        self.assertEqual(self.browser.post("/old").text, "[n, old]1")
        self.assertEqual(self.recorder.last(), {"Save": '{"old":1}'})


class Particular(unittest.TestCase):
    """What is particular to HttpSession."""

    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.stop)
        cls.app = java("tomcat10", folder.path)
        cls.addClassCleanup(cls.app.stop)
        cls.recorder = Recorder(cls.app.port)
        cls.addClassCleanup(cls.recorder.stop)
        cls.sidecar = Sidecar(cls.recorder.port, folder.path)
        cls.addClassCleanup(cls.sidecar.stop)

    def setUp(self):
        self.browser = Client(self.sidecar.port)

    def said(self, method, path, body="", status=200):
        answer = self.browser.request(method, path, body)
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

    def test_the_files_are_short(self):
        for path in [ADAPTER, VALVE]:
            self.assertLess(len(path.read_text(encoding="utf-8").splitlines()), 250)

    def test_no_cookie_of_the_container_is_set(self):
        self.with_session('{"a":1}')
        for path in ["/count", "/read", "/redirect", "/error", "/fails"]:
            for cookie in self.browser.get(path).headers.get_all("Set-Cookie") or []:
                self.assertTrue(cookie.startswith("session="), cookie)

    def test_values_that_json_cannot_hold_are_refused_where_they_are_assigned(self):
        refused = self.browser.get("/values").json()
        wanted = ["date", "float", "decimal", "character", "short", "nan", "infinite", "array", "set", "object", "keys", "deep",
                  "circle", "_session_id", "_java_long", "_java_user"]
        self.assertEqual(list(refused), wanted)
        for key, message in refused.items():
            self.assertIn(key, message)
        self.assertIn("deep.deeper[] is a java.util.Date", refused["deep"])
        self.assertEqual(self.recorder.last(), {})

    def test_each_kind_of_value_comes_back_as_what_it_was(self):
        self.assertEqual(self.said("POST", "/all")["Save"],
                         '{"double":1.0E300,"long":-9223372036854775808,"large":123456789012345678901234567890,"yes":true,'
                         '"list":[1,null,"x",{},[]],"map":{"\\u00e9":"\\u007f\\ud83d\\ude00\\u0022\\u005c\\u000a"}}')
        self.assertEqual(self.browser.get("/types").text,
                         "double=Double long=Long large=BigInteger yes=Boolean list=ArrayList map=LinkedHashMap")

    def test_a_long_comes_back_as_a_long(self):
        self.assertEqual(self.said("POST", "/long")["Save"], '{"id":7,"n":7,"_java_long":["id"]}')
        self.assertEqual(self.browser.get("/types").text, "id=Long n=Integer")
        self.assertEqual(self.recorder.last(), {})
        self.assertEqual(self.said("POST", "/drop?key=id"), {"Save": '{"n":7}'})

    def test_what_cannot_be_seen_at_the_assignment_is_seen_before_the_answer_goes(self):
        self.with_session('{"a":{}}')
        self.assertEqual(self.said("POST", "/inside?key=a", status=500), {})
        self.app.find("a.inside is a java.util.Date")

    def test_what_is_changed_in_place_is_saved(self):
        for path, status in [("/inside-flush", 200), ("/inside-redirect", 302)]:
            with self.subTest(path):
                self.with_session('{"a":{},"kept":1.50}')
                self.assertEqual(self.said("POST", f"{path}?key=a", status=status), {"Save": '{"a":{"inside":1},"kept":1.50}'})

    def test_a_session_exists_where_there_is_something_in_it(self):
        self.assertEqual(self.browser.get("/plain").text, "true")
        self.assertEqual(self.browser.get("/id").text.split()[1:], ["true", "false", "null"])
        self.assertEqual(self.recorder.last(), {}, "an id alone makes no session")
        self.with_session('{"a":1}')
        self.assertEqual(self.browser.get("/plain").text, "false")
        self.assertEqual(self.browser.get("/id").text.split()[1:], ["false", "true", "null"])
        self.assertEqual(self.browser.get("/about").text, "true  1800 true true true")

    def test_an_id_is_kept_from_when_the_app_asks_for_it_to_the_next_log_in(self):
        self.with_session('{"a":1}')
        first = self.browser.get("/id").text.split()[0]
        self.assertEqual(self.said("GET", "/id"), {})
        self.assertEqual(self.browser.get("/id").text.split()[0], first)
        self.assertEqual(self.browser.get("/show").json(), {"a": 1})
        second = self.browser.post("/login?name=Ann").text
        self.assertNotEqual(second, first)
        self.assertEqual(self.browser.get("/id").text.split()[0], second)

    def test_an_old_cookie_of_the_container_says_nothing(self):
        self.with_session('{"a":1}')
        self.browser.cookies["JSESSIONID"] = "0123456789ABCDEF"
        self.assertEqual(self.browser.get("/id").text.split()[1:], ["false", "true", "null"])

    def test_a_session_that_was_invalidated_is_none_any_more(self):
        self.with_session('{"a":1}')
        self.assertEqual(self.browser.post("/invalid").text, "null session: it was invalidated")
        self.assertEqual(self.recorder.last(), {"Delete": "1"})

    def test_what_follows_invalidate_is_in_a_new_session(self):
        self.with_session('{"a":1}')
        self.assertEqual(self.said("POST", "/again"), {"Save": '{"user":"Ann"}', "Renew": "1"})

    def test_a_session_that_was_emptied_is_deleted(self):
        self.with_session('{"a":1}')
        self.assertEqual(self.said("POST", "/drop?key=a"), {"Delete": "1"})
        self.assertEqual(self.said("POST", "/drop?key=a"), {})

    def test_it_is_saved_however_the_answer_ends(self):
        for path, status in [("/redirect", 302), ("/error", 404), ("/throw", 500), ("/written", 200), ("/large", 200)]:
            with self.subTest(path):
                self.browser = Client(self.sidecar.port)
                wanted = {"Save": '{"n":2}' if path == "/written" else '{"n":1}'}
                self.assertEqual(self.said("GET", path, status=status), wanted)
        self.app.find("refused: session: the headers were already sent")
        self.assertEqual(self.said("GET", "/reset"), {"Save": '{"n":1,"m":2}'})
        self.assertEqual(self.said("GET", "/forward"), {"Save": '{"n":1,"m":2,"more":1}'})

    def test_what_comes_after_the_head_is_an_error(self):
        for path, message in [("/late", "the headers were already sent"), ("/late-inside?key=a", "what has changed is not saved")]:
            with self.subTest(path):
                try:
                    self.assertEqual(Client(self.app.port).get(path, headers={"X-Session": '{"a":{}}'}).session_headers(), {})
                except (OSError, ValueError, HTTPException):
                    pass  # Tomcat breaks off what had begun
                self.app.find(message)

    def test_what_is_included_saves_too(self):
        self.assertEqual(self.said("GET", "/include"), {"Save": '{"before":1,"n":2,"after":1}'})

    def test_asynchronous_answers_save_too(self):
        self.assertEqual(self.said("GET", "/async"), {"Save": '{"async":1}'})
        self.with_session("{}")
        self.assertEqual(self.said("GET", "/timeout"), {"Save": '{"late":1}'})
        self.with_session("{}")
        self.assertEqual(self.said("GET", "/dispatch"), {"Save": '{"dispatched":1}'})
        self.with_session("{}")
        self.assertEqual(self.said("GET", "/dispatch-wrapped"), {"Save": '{"wrapped":true}'})

    def test_an_error_page_has_the_same_session(self):
        answer = self.browser.get("/fails")
        self.assertEqual((answer.status, answer.text), (410, "the error page of Ann"))
        self.assertEqual(self.recorder.last(), {"Save": '{"user":"Ann","shown":1}', "Max-Age": "0"})

    def test_the_interval_says_how_long_a_login_lasts(self):
        self.assertEqual(self.said("POST", "/remember?key=100")["Max-Age"], "100")
        self.assertEqual(self.said("POST", "/set?key=n", "1").get("Max-Age"), None)
        self.assertEqual(self.said("POST", "/remember?key=0")["Max-Age"], "34560000")

    def test_listeners_are_told(self):
        self.browser.get("/events")
        self.with_session('{"cart":1}')
        self.browser.post("/login?name=Ann")
        self.browser.post("/set?key=cart", "2")
        self.browser.post("/drop?key=cart")
        self.browser.post("/again")
        wanted = ["id true", "added user Ann", "replaced cart 1 2", "removed cart 2", "destroyed Ann", "removed user Ann",
                  "created true", "added user Ann"]
        self.assertEqual(self.browser.get("/events").text.split("\n"), wanted)

    def test_flash_messages_are_shown_once(self):
        self.with_session('{"a":1}')
        self.assertEqual(self.said("POST", "/flash", status=302), {"Save": '{"a":1,"flash":["Saved."]}'})
        self.assertEqual(self.browser.get("/take-flash").text, "[Saved.]")
        self.assertEqual(self.browser.get("/take-flash").text, "null")
        self.assertEqual(self.recorder.last(), {})

    def test_where_there_is_no_header_what_needs_no_session_works(self):
        self.assertEqual(Client(self.app.port).get("/still").status, 200)

    def test_what_is_no_json_object_is_refused(self):
        for text in ["", "{", "x", "[]", "null", '{"a":1', '{"a":1}x', "{},{}", "W10", '{"a":"secret}']:
            with self.subTest(text):
                answer = Client(self.app.port).get("/still", headers={"X-Session": text})
                self.assertEqual(answer.status, 500, answer)
        self.app.find("X-Session cannot be read")
        self.assertNotIn("secret", self.app.text() + answer.text)


if __name__ == "__main__":
    unittest.main()
