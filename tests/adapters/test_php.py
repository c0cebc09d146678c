"""PHP: session_start() and $_SESSION behind cloakroom."""

import json
import shlex
import subprocess
import unittest

from rules import Rules
from support import ADAPTERS, HERE, Client, Folder, Recorder, Sidecar, served

ADAPTER = ADAPTERS / "php/cloakroom_session.php"


def php(folder, root, *settings, prefix="X-Session"):
    """PHP's own server, with the adapter as README.md says. It takes no auto_prepend_file for a router script."""
    given = [f"auto_prepend_file={ADAPTER}", f"session.save_path={folder}", "display_errors=0", "log_errors=1",
             f"cloakroom.header={prefix}", *settings]
    options = " ".join(f"-d {shlex.quote(one)}" for one in given)
    return served(f"php -n {options} -S 127.0.0.1:$PORT -t {root}", folder)


class Php(Rules, unittest.TestCase):
    # PHP knows one kind of array only; keys that stay as they are keep their kind all the same.
    tells_empty_objects = False
    keeps_big_integers_apart = False

    @classmethod
    def start(cls, folder, prefix):
        return php(folder, HERE / "apps/php", prefix=prefix)


class Traps(unittest.TestCase):
    """What is particular in PHP, each as an app may do it: apps/php/traps.php."""

    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.stop)
        cls.folder = folder.path
        cls.app = php(folder.path, HERE / "apps/php", "cloakroom.sessionless=/still.php /healthz")
        cls.addClassCleanup(cls.app.stop)
        cls.recorder = Recorder(cls.app.port)
        cls.addClassCleanup(cls.recorder.stop)
        cls.sidecar = Sidecar(cls.recorder.port, cls.folder)
        cls.addClassCleanup(cls.sidecar.stop)

    def setUp(self):
        self.browser = Client(self.sidecar.port)

    def case(self, name, status=200, method="GET"):
        """What the app said to the sidecar, the session parsed; and the answer."""
        answer = self.browser.request(method, f"/traps.php?case={name}")
        self.assertEqual(answer.status, status, answer)
        said = self.recorder.last()
        if "Save" in said:
            said["Save"] = json.loads(said["Save"])
            self.assertRegex(said["Save"].pop("_session_id"), "^[0-9a-f]{32}$")
            # A new session ends with the browser, as ever.
            if said.get("Max-Age") == "0":
                del said["Max-Age"]
        return said, answer

    def session(self):
        return self.browser.get("/show").json()

    def log_in(self):
        self.browser.post("/login?name=Ann")

    def logged(self, *words):
        self.app.find(lambda line: line if all(word in line for word in words) else None)

    def test_the_file_is_short(self):
        self.assertLess(len(ADAPTER.read_text(encoding="utf-8").splitlines()), 250)

    def test_the_id_stays_the_same_and_a_new_one_is_a_renewal(self):
        self.log_in()
        _, first = self.case("id")
        said, again = self.case("id")
        self.assertEqual((said, first.text), ({}, again.text))
        said, renewed = self.case("regenerate")
        self.assertEqual(said, {"Save": {"user": "Ann"}, "Renew": "1"})
        self.assertNotEqual(renewed.text, first.text)
        self.assertEqual(self.case("id")[1].text, renewed.text)

    def test_an_id_that_php_would_not_take_is_replaced(self):
        for text in ["7", '"short"', '"a b c d e f g h i j k"', "[]"]:
            with self.subTest(text):
                self.browser.cookies["session"] = self.sidecar.token(f'{{"user":"Ann","_session_id":{text}}}')
                said, answer = self.case("id")
                self.assertEqual(said, {})
                self.assertRegex(answer.text, "^[0-9a-f]{32}$")

    def test_a_destroy_with_a_write_behind_it_is_a_renewal_and_no_log_out(self):
        self.log_in()
        self.assertEqual(self.case("regenerate_twice")[0], {"Save": {"user": "Ann"}, "Renew": "1"})
        said, answer = self.case("destroy_start")
        self.assertEqual((said, answer.text), ({"Save": {"user": "Ben"}, "Renew": "1"}, "0"))
        self.assertEqual(self.session(), {"user": "Ben"})

    def test_a_destroy_with_no_write_behind_it_is_a_log_out(self):
        for name in ["regenerate_destroy", "unset"]:
            with self.subTest(name):
                self.log_in()
                self.assertEqual(self.case(name)[0], {"Delete": "1"})
                self.assertEqual(self.browser.cookies, {})

    def test_a_session_cookie_that_the_app_deletes_is_a_log_out(self):
        for name in ["cookie_deleted", "cookie_deleted_late"]:
            with self.subTest(name):
                self.log_in()
                self.assertEqual(self.case(name)[0], {"Delete": "1"})
                self.assertEqual(self.session(), {})
        self.assertEqual(self.case("cookie_deleted")[0], {}, "there is none")
        self.log_in()
        self.assertEqual(self.case("cookie_deleted_elsewhere")[0], {}, "a cookie of another path")
        self.assertEqual(self.case("destroy_cookie_start")[0], {"Save": {"flash": "Bye"}, "Renew": "1"})

    def test_an_app_that_takes_back_its_headers_saves_all_the_same(self):
        said, answer = self.case("headers_removed")
        self.assertEqual(said, {"Save": {"n": 16}})
        self.assertEqual(answer.headers.get_all("Cache-Control"), ["max-age=60, private"])

    def test_a_cookie_of_phps_own_does_not_bring_back_what_was_destroyed(self):
        self.log_in()
        self.browser.cookies["PHPSESSID"] = self.case("id")[1].text
        self.assertEqual(self.case("destroy_start")[0], {"Save": {"user": "Ben"}, "Renew": "1"})

    def test_without_a_session_there_is_nothing_to_log_out_from_or_to_renew(self):
        for name in ["regenerate_destroy", "regenerate", "unset", "id"]:
            with self.subTest(name):
                self.assertEqual(self.case(name)[0], {})

    def test_what_is_saved_is_what_there_was_at_session_write_close(self):
        said, answer = self.case("early")
        self.assertEqual((said, answer.text), ({"Save": {"n": 1}}, "out"))
        self.assertEqual(self.case("twice")[0], {"Save": {"n": 2}})
        self.assertEqual(self.case("back_again")[0], {})
        self.assertEqual(self.session(), {"n": 2})

    def test_what_does_not_write_saves_nothing(self):
        self.log_in()
        for name in ["read_only", "abort", "no_session", "null"]:
            with self.subTest(name):
                self.assertEqual(self.case(name)[0], {})
        self.assertEqual(self.session(), {"user": "Ann"})

    def test_a_change_after_the_headers_is_an_error_that_names_the_line(self):
        lines = (HERE / "apps/php/traps.php").read_text().splitlines()
        line = lines.index("    echo 'out';", lines.index("function stream()")) + 1
        self.log_in()
        for name in ["sent", "sent_early"]:
            with self.subTest(name):
                before = len(self.app.text())
                self.assertEqual(self.case(name)[0], {})
                self.logged("output has started at", f"traps.php:{line}")
                self.assertIn("output has started at", self.app.text()[before:])
        self.assertEqual(self.case("sent_unchanged")[1].text, "out")
        self.assertEqual(self.session(), {"user": "Ann"})

    def test_an_answer_of_some_megabytes_is_not_held_in_memory(self):
        said, answer = self.case("long")
        self.assertEqual((said, len(answer.body)), ({"Save": {"n": 8}}, 3000000))
        _, answer = self.case("too_late")
        self.assertIn("could not be read or saved", answer.text[-100:])
        self.logged("output has started at", "traps.php:")

    def test_an_answer_in_pieces_takes_the_session_along_with_the_first(self):
        said, answer = self.case("events")
        self.assertEqual((said, answer.text), ({"Save": {"n": 13}}, "data: 0\n\ndata: 1\n\ndata: 2\n\n"))

    def test_output_that_is_thrown_away_is_no_moment_to_save(self):
        self.assertEqual(self.case("cleaned_meanwhile")[0], {"Save": {"n": 12}})

    def test_a_change_at_the_very_end_is_saved(self):
        for name in ["shutdown", "destructor"]:
            with self.subTest(name):
                self.assertEqual(self.case(name)[0], {"Save": {"end": name}})

    def test_redirects_errors_and_answers_without_a_body_save(self):
        for name, status, method, n in [("exit", 302, "GET", 7), ("fatal", 500, "GET", 6), ("cleaned", 303, "GET", 4),
                                        ("exit", 302, "HEAD", 7), ("long", 200, "HEAD", 8)]:
            with self.subTest(name, method=method):
                self.browser.cookies.clear()
                self.assertEqual(self.case(name, status, method)[0], {"Save": {"n": n}})

    def test_a_session_ends_with_the_browser_unless_it_is_told_to_last(self):
        self.browser.post("/set?key=n", "1")
        self.assertEqual(self.recorder.last()["Max-Age"], "0")
        self.browser.post("/set?key=n", "2")
        self.assertNotIn("Max-Age", self.recorder.last(), "it was not asked")
        self.browser.post("/login?name=Ann")
        self.assertEqual(self.recorder.last()["Max-Age"], "0")

    def test_remember_me_is_the_lifetime_of_the_cookie(self):
        self.assertEqual(self.case("remember_params")[0]["Max-Age"], "3600")
        self.browser.cookies.clear()
        said, answer = self.case("remember")
        self.assertEqual(said, {"Save": {"user": "Ann"}, "Max-Age": "7200"})
        self.assertEqual(sorted(self.browser.cookies), ["lang", "session", "theme"])
        own = next(line for line in answer.headers.get_all("Set-Cookie") if line.startswith("session="))
        self.assertIn("Max-Age=7200", own)

    def test_values_that_json_cannot_hold_are_named(self):
        self.log_in()
        for name, words in [
            ("closure", ["$_SESSION['a']['closure']", "class Closure"]),
            ("resource", ["$_SESSION['a']['0']['file']", "a resource"]),
            ("closed", ["$_SESSION['a']", "a resource"]),
            ("plain", ["$_SESSION['a']", "class stdClass"]),
            ("nan", ["$_SESSION['a']", "Inf and NaN"]),
            ("bytes", ["$_SESSION['a']", "UTF-8"]),
            ("byte_key", ["a key of $_SESSION", "UTF-8"]),
            ("itself", ["$_SESSION['a']", "contains itself"]),
            ("early_bad", ["$_SESSION['early']", "class ArrayObject"]),
            ("cleaned_bad", ["$_SESSION['cleaned']", "class ArrayObject"]),
        ]:
            with self.subTest(name):
                self.assertEqual(self.case(name, 500)[0], {})
                self.logged("cannot be saved", *words)
        self.assertEqual(self.session(), {"user": "Ann"})

    def test_another_handler_is_refused(self):
        for name, words in [
            ("own_handler", ["its own session handler"]),
            ("files", ["its own session handler"]),
            ("serializer", ["session.serialize_handler"]),
        ]:
            with self.subTest(name):
                self.assertEqual(self.case(name, 500)[0], {})
                self.logged(*words)

    def test_a_cookie_of_phps_own_does_no_harm(self):
        self.browser.cookies["PHPSESSID"] = "0123456789abcdef0123456789abcdef"
        said, answer = self.case("own_cookies")
        self.assertEqual(said, {"Save": {"n": 11}})
        self.assertNotIn("PHPSESSID", str(answer.headers))
        said, _ = self.case("own_cookies")
        self.assertEqual(said, {})
        self.assertEqual(self.session(), {"n": 11})

    def test_an_app_that_asks_for_phps_cookie_finds_it_where_there_is_a_session(self):
        direct = Client(self.app.port)
        for came, name, text in [
            ("{}", "", "none none other"),
            ('{"user":"Ann"}', "", "cookie cookie same"),
            ('{"user":"Ann"}', "&name=own", "cookie cookie same"),
        ]:
            with self.subTest(came=came, name=name):
                answer = direct.get(f"/traps.php?case=lazy{name}", headers={"X-Session": came})
                self.assertEqual((answer.text, answer.session_headers()), (text, {}))
                self.assertNotIn("Set-Cookie", answer.headers)
        # One from the time before is no session, and harms none.
        old = {"Cookie": "PHPSESSID=0123456789abcdef0123456789abcdef"}
        answer = direct.get("/traps.php?case=lazy", headers={"X-Session": '{"user":"Ann"}', **old})
        self.assertEqual(answer.text, "cookie cookie same")

    def test_inside_of_a_changed_value_kinds_and_long_integers_stay(self):
        for before, name, after in [
            ('{"n":1,"items":{},"list":[]}', "cart", '{"n":2,"items":{},"list":[]}'),
            ('{"n":1,"items":{"0":"a"}}', "cart", '{"n":2,"items":{"0":"a"}}'),
            ('{"n":1,"\\u0000":{},"items":{}}', "cart", '{"n":2,"\\u0000":{},"items":{}}'),
            ('{"n":1,"id":123456789012345678901234567890}', "cart", '{"n":2,"id":123456789012345678901234567890}'),
            ('{"n":1,"id":"123456789012345678901234567890"}', "cart", '{"n":2,"id":"123456789012345678901234567890"}'),
            ('{"n":1,"x":1e400,"s":"1e30"}', "cart", None),
            ('{"n":1}', "empty_cart", "{}"),
            ("[1]", "empty_cart", "[]"),
        ]:
            with self.subTest(before):
                self.browser.cookies["session"] = self.sidecar.token(f'{{"cart":{before}}}')
                if after is None:
                    self.case(name, 500)  # PHP has no number that large, and JSON no infinity
                    continue
                self.case(name)
                self.assertIn(f'"cart":{after}', self.recorder.exchanges[-1]["Save"])

    def test_references_and_depth(self):
        self.assertEqual(self.case("reference")[0], {"Save": {"list": [2, 3]}})
        self.assertEqual(self.case("references_kept")[0], {})
        self.case("deep")
        self.assertEqual(self.case("id")[0], {})
        deep = "[" * 127 + "]" * 127
        self.browser.cookies["session"] = self.sidecar.token(f'{{"deep":{deep}}}')
        self.assertEqual(self.browser.post("/set?key=n", "1").status, 200)
        self.assertIn(deep, self.recorder.exchanges[-1]["Save"])

    def test_sessions_that_start_by_themselves(self):
        app = php(self.folder, HERE / "apps/php", "session.auto_start=1")
        self.addCleanup(app.stop)
        sidecar = Sidecar(app.port, self.folder)
        self.addCleanup(sidecar.stop)
        browser = Client(sidecar.port)
        self.assertEqual([browser.get("/auto.php").text for _ in range(3)], ["1", "2", "3"])
        self.assertEqual(list(browser.cookies), ["session"])

    def test_paths_without_a_session_work_until_they_ask_for_one(self):
        direct = Client(self.app.port)
        self.assertEqual(direct.get("/still.php").text, "still")
        answer = direct.get("/still.php?start")
        self.assertEqual(answer.status, 500, answer)
        self.assertEqual(direct.get("/traps.php?case=id").status, 500)

    def test_the_command_line_is_left_alone(self):
        ran = subprocess.run(
            ["php", "-n", "-d", f"auto_prepend_file={ADAPTER}", "-d", f"session.save_path={self.folder}", "-r",
             "session_start(); $_SESSION['n'] = 1; echo PHP_SAPI, session_module_name();"],
            capture_output=True, text=True,
        )
        self.assertEqual((ran.stdout, ran.returncode), ("clifiles", 0), ran.stderr)

    def test_white_space_between_tokens_does_no_harm(self):
        direct = Client(self.app.port)
        came = ' { "a" : "x y" , "b" : [ 1 , { "c" : {} } ] , "d":1.10 } '
        answer = direct.post("/set?key=n", "1", headers={"X-Session": came})
        save = json.loads(answer.session_headers()["Save"])
        save.pop("_session_id")
        self.assertEqual(save, {"a": "x y", "b": [1, {"c": {}}], "d": 1.1, "n": 1})

    def test_what_is_no_json_is_refused(self):
        direct = Client(self.app.port)
        for value in ["", "x", "[]", "null", '{"a":1', '{"a":1}x', '{"a":"\\ud800"}']:
            with self.subTest(value):
                answer = direct.get("/read", headers={"X-Session": value})
                self.assertEqual(answer.status, 500, answer)
