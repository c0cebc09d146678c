"""Perl: what deploy/adapters/perl has, on Plack.

What the tests of Plack::Middleware::Session say of the hash, its options and Plack::Session holds here too, and is in these
tests; test_frameworks_own.py runs those themselves, where they are. What does not apply: a cookie that is set again where nothing has changed, the
cookie's options, stores of files, caches and databases, and late_store, since a header cannot come after the head.
"""

import re
import shutil
import subprocess
import unittest

import needs
from rules import Rules
from support import ADAPTERS, HERE, Client, Folder, Recorder, Sidecar, served

ADAPTER = ADAPTERS / "perl/Cloakroom.pm"


def setUpModule():
    needs.install({
        "perl": "perl",
        "plackup": "libplack-perl",
        "/usr/share/perl5/Plack/Session.pm": "libplack-middleware-session-perl",
    })


def plack(folder, app=HERE / "apps/plack.psgi", **environment):
    library = folder / "lib/Plack/Middleware"
    library.mkdir(parents=True, exist_ok=True)
    shutil.copy(ADAPTER, library)
    command = f"plackup -E production -s HTTP::Server::PSGI --host 127.0.0.1 --port $PORT {app}"
    return served(command, folder, PERL5LIB=str(folder / "lib"), **environment)


def in_place_of_session(folder):
    """As README.md has it for apps that are not edited."""
    readme = (ADAPTERS / "perl/README.md").read_text(encoding="utf-8")
    place = folder / "lib/Plack/Middleware/Session.pm"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(re.search(r"```perl\n(package.*?)```", readme, re.DOTALL)[1], encoding="utf-8")


class Perl(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return plack(folder, PREFIX=prefix)


class Particular(unittest.TestCase):
    """What is particular to Plack::Middleware::Session's interface, and to Perl."""

    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.stop)
        cls.app = plack(folder.path)
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

    def test_the_file_is_short_and_compiles_without_a_warning(self):
        self.assertLess(len(ADAPTER.read_text(encoding="utf-8").splitlines()), 250)
        checked = subprocess.run(["perl", "-wc", ADAPTER], capture_output=True, text=True, check=True)
        self.assertEqual(checked.stderr, f"{ADAPTER} syntax OK\n")

    def test_numbers_that_are_printed_and_texts_that_are_added_to_stay_what_they_are(self):
        self.with_session('{"n":5,"deep":{"n":6,"digits":"8"},"list":[7],"digits":"9"}')
        said = self.said("POST", "/count")
        self.assertEqual(said, {"Save": '{"n":5,"deep":{"n":6,"digits":"8"},"list":[7],"digits":"9","touched":1}'})

    def test_each_kind_of_value_becomes_its_own_json(self):
        self.with_session('{"n":5,"deep":{"n":6}}')
        self.assertEqual(self.said("POST", "/increment")["Save"],
                         '{"n":6,"deep":{"n":7},"digits":"12","large":123456789012345678901234567890,"no":false,'
                         '"nothing":null,"text":"007","third":0.33333333333333331,"yes":true}')

    def test_values_that_json_cannot_hold_are_refused_where_they_are_assigned(self):
        answer = self.browser.get("/values").json()
        wanted = {"code", "object", "nan", "infinite", "regex", "scalar", "glob", "handle", "circle", "deep", "_session_id"}
        self.assertEqual(set(answer["refused"]), wanted)
        for key, message in answer["refused"].items():
            self.assertIn(key, message)
        self.assertIn("{deep}{deeper}[0] is a Cart", answer["refused"]["deep"])
        self.assertIn("plack.psgi line", answer["refused"]["deep"])
        self.assertEqual(answer["left"], [])

    def test_what_cannot_be_seen_at_the_assignment_is_seen_before_the_answer_goes(self):
        self.with_session('{"a":{}}')
        self.assertEqual(self.said("POST", "/inside?key=a", status=500), {})
        self.app.find("{a}{inside} is a Cart")

    def test_what_is_changed_in_place_is_saved(self):
        self.with_session('{"list":[1],"kept":1.50}')
        self.assertEqual(self.said("POST", "/push?key=list"), {"Save": '{"list":[1,2],"kept":1.50}'})

    def test_a_value_that_perl_cannot_read_is_kept_and_is_an_error_where_it_is_read(self):
        self.with_session('{"half":"\\ud800 secret","a":1}')
        self.assertEqual(self.said("POST", "/set?key=a", "2"), {"Save": '{"half":"\\ud800 secret","a":2}'})
        self.assertEqual(self.browser.get("/show").status, 500)
        self.app.find("a value cannot be read")
        self.assertNotIn("secret", self.app.text())

    def test_a_session_that_was_emptied_is_deleted(self):
        self.with_session('{"a":1}')
        self.assertEqual(self.said("POST", "/empty"), {"Delete": "1"})
        self.assertEqual(self.said("POST", "/empty"), {})

    def test_a_session_may_be_replaced_by_another_hash(self):
        self.with_session('{"a":1,"b":{}}')
        self.assertEqual(self.said("POST", "/replace", '{"b":{},"c":3}'), {"Save": '{"b":{},"c":3}'})

    def test_expires_says_how_long_a_login_lasts(self):
        self.assertIn(self.said("POST", "/expires")["Max-Age"], ["100", "99"])

    def test_no_store_saves_nothing(self):
        self.assertEqual(self.said("POST", "/no-store"), {})

    def test_an_id_is_kept_from_when_the_app_asks_for_it_to_the_next_log_in(self):
        self.assertEqual(self.said("GET", "/id"), {})
        self.with_session('{"a":1}')
        first = self.browser.get("/id").text
        self.assertEqual(self.said("GET", "/id"), {})
        self.assertEqual(self.browser.get("/id").text, first)
        self.assertEqual(self.browser.get("/show").json(), {"a": 1})
        self.browser.post("/login?name=Ann")
        self.assertNotEqual(self.browser.get("/id").text, first)

    def test_answers_that_are_streamed_or_come_later_save_too(self):
        self.assertEqual(self.said("GET", "/stream"), {"Save": '{"streamed":1}'})
        self.with_session("{}")
        self.assertEqual(self.said("GET", "/delayed"), {"Save": '{"delayed":1}'})

    def test_what_comes_after_the_head_is_an_error_in_the_log(self):
        self.assertEqual(self.said("GET", "/late"), {})
        self.app.find("a change after the headers were sent is not saved")

    def test_nothing_is_saved_where_the_app_dies(self):
        self.assertEqual(self.said("GET", "/die", status=500), {})

    def test_flash_messages_are_shown_once(self):
        self.with_session('{"a":1}')
        self.assertEqual(self.said("POST", "/flash"), {"Save": '{"a":1,"flash":["Saved."]}'})
        self.assertEqual(self.browser.get("/take-flash").text, "Saved.")
        self.assertEqual(self.browser.get("/take-flash").text, "")
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


# What the example of Plack::Middleware::Session does; it asks for each of its modules by name.
COUNTER = r"""
use strict;
use Plack::Request;
use Plack::Session;
use Plack::Session::State::Cookie;
use Plack::Session::Store;
use Plack::Middleware::Session;

Plack::Middleware::Session->wrap(
    sub {
        my $request = Plack::Request->new(shift);
        my $session = Plack::Session->new($request->env);
        my $counter = $session->get('counter') || 0;
        $session->set(counter => $counter + 1);
        $session->expire if $request->param('logout');
        $session->remove('counter') if $request->param('remove');
        return [200, [], [join ' ', $session->id, $counter, $session->keys]];
    },
    state => Plack::Session::State::Cookie->new,
    store => Plack::Session::Store->new,
);
"""


class InItsPlace(unittest.TestCase):
    """An app that is not edited, and names Plack::Middleware::Session itself."""

    def test_an_app_with_plack_session_goes_on_as_it_is(self):
        folder = Folder()
        self.addCleanup(folder.stop)
        in_place_of_session(folder.path)
        (folder.path / "counter.psgi").write_text(COUNTER, encoding="utf-8")
        app = plack(folder.path, folder.path / "counter.psgi")
        self.addCleanup(app.stop)
        sidecar = Sidecar(app.port, folder.path)
        self.addCleanup(sidecar.stop)
        browser = Client(sidecar.port)
        number, *rest = browser.get("/").text.split()
        self.assertEqual(rest, ["0", "counter"])
        self.assertEqual(browser.get("/").text.split(), [number, "1", "counter"])
        self.assertEqual(browser.get("/?logout=1").text.split(), [number, "2"])
        other, *rest = browser.get("/").text.split()
        self.assertNotEqual(other, number)
        self.assertEqual(rest, ["0", "counter"])
        self.assertEqual(browser.get("/?remove=1").text.split()[1:], ["1"])
        self.assertEqual(browser.get("/").text.split()[1:], ["0", "counter"])


if __name__ == "__main__":
    unittest.main()
