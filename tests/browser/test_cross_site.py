"""What pages of other sites can make a real browser send to an app behind `session.cross_site = "refuse"`."""

import html
import json
import threading
import urllib.error
import urllib.parse
import urllib.request

import processes
from checks import Running
from servers import Handler, Server


class App(Handler):
    """Keeps what has come to it, and has a form of its own."""

    def page(self, query):
        with self.server.lock:
            self.server.seen.append((self.command, urllib.parse.urlsplit(self.path).path, dict(self.headers)))
        save = [("X-Session-Save", query["save"])] if "save" in query else []
        session = html.escape(self.headers["X-Session"])
        form = '<form method=post action="/own"><button>Buy</button></form>'
        self.answer(f"<pre id=session>{session}</pre>{form}", *save)


# Run on a page of another site. Each of them is sent at once, with whatever cookies there are.
FETCH = "fetch({to}, {{method: 'POST', mode: 'no-cors', credentials: 'include', body: 'amount=1'}})"
IMAGE = "document.body.append(Object.assign(new Image(), {{src: {to}}}))"
FRAME = """
const frame = document.createElement('iframe');
frame.sandbox = 'allow-forms allow-scripts';
frame.srcdoc = '<form method=post action=' + JSON.stringify({to}) + '></form>' +
  '<script>document.forms[0].submit()</script>';
document.body.append(frame);
"""
BEACON = "navigator.sendBeacon({to}, 'amount=1')"


class CrossSite(Running):
    """The app is at 127.0.0.1, to which Chromium sends Sec-Fetch-Site, and at shop.test over http, to
    which it does not, as no browser does before 2023: there it is `Origin` that counts."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.app = cls.until_the_end(Server(App))
        cls.app.server.seen, cls.app.server.lock = [], threading.Lock()
        cls.sidecar = cls.until_the_end(
            processes.Sidecar(
                'listen = "127.0.0.1:0"\n'
                f'backend = "http://127.0.0.1:{cls.app.port}"\n'
                '[[keys]]\nsecret = "0123456789abcdef0123456789abcdef"\n'
                f'[session]\ncross_site = "refuse"\ntrusted_origins = ["http://pay.test:{cls.elsewhere.port}"]\n',
                cls.temporary,
            )
        )
        cls.homes = [f"http://{host}:{cls.sidecar.port}" for host in ("127.0.0.1", "shop.test")]
        # Of another site; and of a sister, whose requests bring the cookie with them, `SameSite` or not.
        cls.others = {
            home: [f"http://evil.test:{cls.elsewhere.port}", f"http://{sister}:{cls.elsewhere.port}"]
            for home, sister in zip(cls.homes, ["127.0.0.1", "blog.shop.test"], strict=True)
        }
        cls.number = 0

    def log_in(self, home):
        self.chrome.open(f"{home}/?save=" + urllib.parse.quote(json.dumps({"user": "ann"})))

    def path(self):
        """One that no request has had yet."""
        type(self).number += 1
        return f"/transfer/{self.number}"

    def seen(self, path):
        """The requests for it that have come to the app."""
        with self.app.server.lock:
            return [(method, headers) for method, at, headers in self.app.server.seen if at == path]

    def elsewhere_at(self, other, to):
        self.chrome.open(f"{other}/?" + urllib.parse.urlencode({"to": to, "amount": "1"}))

    def each(self):
        for home in self.homes:
            self.chrome.forget()
            self.log_in(home)
            for other in self.others[home]:
                yield home, other

    def assert_refused(self, path):
        self.sidecar.access(method="POST", path=path, status=403)
        self.assertEqual(self.seen(path), [])

    def test_a_form_of_another_site_or_a_sister_is_refused(self):
        for home, other in self.each():
            path = self.path()
            self.elsewhere_at(other, home + path)
            self.chrome.submit("form")
            self.assertIn("Requests from other sites", self.chrome.source())
            self.assert_refused(path)

    def test_scripts_of_theirs_get_nothing_through(self):
        for home, other in self.each():
            for script in (FETCH, BEACON):
                path = self.path()
                self.elsewhere_at(other, home)
                self.chrome.script(script.format(to=json.dumps(home + path)))
                self.assert_refused(path)

    def test_a_sandboxed_frame_is_nobodys(self):
        for home, other in self.each():
            # Of another site's page, and of one of the app's own: its Origin is null.
            for page in (other, home):
                path = self.path()
                self.elsewhere_at(page, home)
                self.chrome.script(FRAME.format(to=json.dumps(home + path)))
                self.assert_refused(path)

    def test_an_image_changes_nothing_and_passes(self):
        for home, other in self.each():
            path = self.path()
            self.elsewhere_at(other, home)
            self.chrome.script(IMAGE.format(to=json.dumps(home + path)))
            self.sidecar.access(method="GET", path=path, status=200)
            [(_, headers)] = self.seen(path)
            # The cookie goes with it from a sister only.
            self.assertEqual(headers["X-Session"], "{}" if "evil" in other else '{"user":"ann"}')
            self.assertEqual("Sec-Fetch-Site" in headers, "127.0.0.1" in home, headers)

    def test_a_link_leads_to_the_session(self):
        for home, other in self.each():
            self.elsewhere_at(other, home)
            self.chrome.click("a")
            self.assertEqual(self.chrome.text("#session"), '{"user":"ann"}')

    def test_the_apps_own_form_and_scripts_work(self):
        for home in self.homes:
            self.log_in(home)
            self.chrome.submit("form")
            self.assertEqual(self.chrome.text("#session"), '{"user":"ann"}')
            path = self.path()
            self.chrome.script(FETCH.format(to=json.dumps(path)))
            self.sidecar.access(method="POST", path=path, status=200)
            [(_, headers)] = self.seen(path)
            self.assertEqual(headers["X-Session"], '{"user":"ann"}')

    def test_a_payment_provider_posts_its_user_back(self):
        for home in self.homes:
            self.log_in(home)
            path = self.path()
            self.elsewhere_at(f"http://pay.test:{self.elsewhere.port}", home + path)
            self.chrome.submit("form")
            [(method, headers)] = self.seen(path)
            # What `SameSite=Lax` does to its cookie docs/faq.md says.
            self.assertEqual((method, headers["X-Session"]), ("POST", "{}"))
            self.chrome.open(home)
            self.assertEqual(self.chrome.text("#session"), '{"user":"ann"}')

    def test_what_no_browser_has_sent_passes(self):
        path = self.path()
        answers = [self.post(path, {}), self.post(path, {"Origin": self.homes[0]})]
        answers += [self.post(path, {"Sec-Fetch-Site": "cross-site"}), self.post(path, {"Origin": "null"})]
        self.assertEqual(answers, [200, 200, 403, 403])
        self.assertEqual(len(self.seen(path)), 2)

    def post(self, path, headers):
        request = urllib.request.Request(self.homes[0] + path, data=b"", headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
