"""Ruby: what deploy/adapters/ruby has, on Rack with Puma.

What rack-session's own specs say of its hash and of its pool holds here too, and is in these tests; test_frameworks_own.py
runs those themselves, where they are. What does not apply: the cookie's attributes (same_site, defer, a cookie that is set again
where nothing has changed), which are the sidecar's; ids of an older kind and the pool's size, which are a store's; class
methods and private ones of Rack::Session::Abstract, which stores are made of.
"""

import subprocess
import unittest

import needs
from rules import Rules
from support import ADAPTERS, HERE, Client, Folder, Recorder, Sidecar, served

ADAPTER = ADAPTERS / "ruby/cloakroom.rb"


def setUpModule():
    needs.install({"ruby": "ruby", "puma": "puma", "rackup": "ruby-rack", "/usr/share/doc/ruby-sinatra": "ruby-sinatra"})


def rack(folder, app=HERE / "apps/rack.ru", **environment):
    command = f"puma --quiet --threads 1:2 --environment production --bind tcp://127.0.0.1:$PORT {app}"
    return served(command, folder, ADAPTER=str(ADAPTER), **environment)


class Ruby(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return rack(folder, PREFIX=prefix)


class Particular(unittest.TestCase):
    """What is particular to Rack::Session's interface, and to Ruby."""

    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.stop)
        cls.folder = folder.path
        cls.app, cls.recorder, cls.sidecar = cls.behind(cls)

    def behind(self, **environment):
        cleanup = self.addClassCleanup if isinstance(self, type) else self.addCleanup
        app = rack(self.folder, **environment)
        cleanup(app.stop)
        recorder = Recorder(app.port)
        cleanup(recorder.stop)
        sidecar = Sidecar(recorder.port, self.folder)
        cleanup(sidecar.stop)
        return app, recorder, sidecar

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
        checked = subprocess.run(["ruby", "-wc", ADAPTER], capture_output=True, text=True, check=True)
        self.assertEqual((checked.stdout, checked.stderr), ("Syntax OK\n", ""))

    def test_values_that_json_cannot_hold_are_refused_where_they_are_assigned(self):
        answer = self.browser.get("/values").json()
        wanted = ["symbol", "time", "nan", "infinite", "object", "range", "rational", "bytes", "broken", "symbols", "integers",
                  "text", "list", "table", "circle", "deep", "_session_id"]
        self.assertEqual(list(answer["refused"]), wanted)
        for key, message in answer["refused"].items():
            self.assertIn(key, message)
        self.assertIn("deep.deeper[0] is a Time", answer["refused"]["deep"])
        self.assertIn("the key :key", answer["refused"]["symbols"])
        self.assertEqual(answer["left"], [])

    def test_what_cannot_be_seen_at_the_assignment_is_seen_before_the_answer_goes(self):
        self.with_session('{"a":{}}')
        self.assertEqual(self.said("POST", "/inside?key=a", status=500), {})
        self.app.find("a.inside is a Time")

    def test_what_is_changed_in_place_is_saved(self):
        self.with_session('{"list":[1],"kept":1.50}')
        self.assertEqual(self.said("POST", "/push?key=list"), {"Save": '{"list":[1,2],"kept":1.50}'})

    def test_the_session_is_used_as_a_hash(self):
        self.assertEqual(self.browser.get("/hash").json(), [
            1, 1, 2, 5, 4, True, True, False, ["symbol", "text", "more", "deep"], 4, 3, False, ["symbol", "text", "deep"], True,
            True, True, True, '{"symbol"=>1, "text"=>2, "deep"=>{"er"=>4}}',
        ])

    def test_what_is_set_to_nil_is_gone_and_what_was_null_stays(self):
        self.with_session('{"a":1,"null":null}')
        self.assertEqual(self.said("POST", "/nil?key=a"), {"Save": '{"null":null}'})
        self.assertEqual(self.said("POST", "/nil?key=null"), {})

    def test_a_session_that_was_emptied_is_deleted(self):
        for path in ["/clear", "/drop-all", "/nil?key=a"]:
            with self.subTest(path):
                self.with_session('{"a":1}')
                self.assertEqual(self.said("POST", path), {"Delete": "1"})
        self.assertEqual(self.said("POST", "/clear"), {})

    def test_what_follows_destroy_is_in_a_new_session(self):
        self.with_session('{"a":1}')
        self.assertEqual(self.said("POST", "/destroy-and-go-on"), {"Save": '{"user":"Ann"}', "Renew": "1"})

    def test_a_session_may_be_replaced_by_another_hash(self):
        for path in ["/replace", "/another"]:
            with self.subTest(path):
                self.with_session('{"a":1,"b":{}}')
                self.assertEqual(self.said("POST", path, '{"b":{},"c":3}'), {"Save": '{"b":{},"c":3}'})

    def test_skip_saves_nothing(self):
        self.assertEqual(self.said("POST", "/skip"), {})

    def test_expire_after_says_how_long_a_login_lasts(self):
        self.assertEqual(self.said("POST", "/remember"), {"Save": '{"user":"Ann"}', "Max-Age": "100"})

    def test_new_sessions_last_as_long_as_the_options_say(self):
        app, recorder, sidecar = self.behind(EXPIRE_AFTER="60")
        browser = Client(sidecar.port)
        browser.get("/read")
        self.assertEqual(recorder.last(), {})
        browser.post("/set?key=n", "1")
        self.assertEqual(recorder.last()["Max-Age"], "60")
        browser.post("/set?key=n", "2")
        self.assertNotIn("Max-Age", recorder.last())

    def test_an_id_is_kept_from_when_the_app_asks_for_it_to_the_next_log_in(self):
        self.assertEqual(self.said("GET", "/id"), {})
        self.with_session('{"a":1}')
        first = self.browser.get("/id").text
        self.assertEqual(self.said("GET", "/id"), {})
        self.assertEqual(self.browser.get("/id").text, first)
        self.assertEqual(self.browser.get("/show").json(), {"a": 1})
        self.browser.post("/login?name=Ann")
        self.assertNotEqual(self.browser.get("/id").text, first)

    def test_what_comes_after_the_head_is_an_error(self):
        self.assertIn("late was changed after the headers were sent", self.browser.get("/late").text)
        self.assertEqual(self.recorder.last(), {})

    def test_an_answer_that_is_streamed_saves(self):
        self.assertEqual(self.said("GET", "/stream"), {"Save": '{"streamed":1}'})

    def test_a_change_is_an_error_in_the_log_where_the_app_takes_the_connection(self):
        self.assertEqual(Client(self.app.port).get("/hijack", headers={"X-Session": "{}"}).text, "taken")
        self.app.find("what was changed is not saved: the app has taken the connection")

    def test_nothing_is_saved_where_the_app_raises(self):
        self.assertEqual(self.said("GET", "/raise", status=500), {})

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


SINATRA = """
require ENV.fetch('ADAPTER')
require 'sinatra/base'

class Shop < Sinatra::Base
  enable :sessions
  set :session_store, Rack::Session::Cloakroom

  get('/') { "#{session[:user]} #{session.delete(:notice)}" }
  post('/login') do
    session[:user] = params[:name]
    session[:notice] = 'Hello.'
    redirect '/'
  end
  post('/logout') { session.clear; redirect '/' }
  error(StandardError) { 'failed' }
end

run Shop
"""


class Sinatra(unittest.TestCase):
    def test_it_logs_in_and_out_and_shows_a_message_once(self):
        folder = Folder()
        self.addCleanup(folder.stop)
        (folder.path / "shop.ru").write_text(SINATRA, encoding="utf-8")
        app = rack(folder.path, folder.path / "shop.ru")
        self.addCleanup(app.stop)
        sidecar = Sidecar(app.port, folder.path)
        self.addCleanup(sidecar.stop)
        browser = Client(sidecar.port)
        self.assertEqual(browser.post("/login", {"name": "Zoë"}, follow=True).text, "Zoë Hello.")
        self.assertEqual(browser.get("/").text, "Zoë ")
        before = sidecar.writes()
        self.assertEqual(browser.get("/").text, "Zoë ")
        self.assertEqual(sidecar.writes(), before)
        self.assertEqual(browser.post("/logout", follow=True).text, " ")


if __name__ == "__main__":
    unittest.main()
