"""The operator's page of the admin listener."""

import base64
import hashlib
import hmac
import http.cookiejar
import importlib.util
import json
import subprocess
import time
import urllib.parse
import urllib.request

from pathlib import Path

import processes
from checks import Running
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from servers import Plain, Server

KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "an-operators-token-of-36-characters!"
USER = "Zoë <b> & 50%+"

# What a screen reader and a keyboard need of a page, as a list of what is wrong.
AUDIT = """
const wrong = [];
const all = (css) => [...document.querySelectorAll(css)];
const seen = (e) => e.checkVisibility();
if (!document.documentElement.lang) wrong.push('no language');
if (!document.title) wrong.push('no title');
if (all('h1').length !== 1) wrong.push('not one h1');
const ids = all('[id]').map((e) => e.id);
if (new Set(ids).size !== ids.length) wrong.push('an id stands twice');
for (const e of all('input, textarea')) if (!e.labels.length) wrong.push('no label: ' + e.id);
for (const e of all('button, a')) {
  if (!(e.textContent.trim() || e.ariaLabel)) wrong.push('no name: ' + e.outerHTML);
}
for (const e of all('svg[role=img]')) if (!e.ariaLabel) wrong.push('a picture without a text');
for (const e of all('section')) {
  const id = e.getAttribute('aria-labelledby');
  if (!document.getElementById(id)) wrong.push('a section without a name: ' + id);
}
for (const e of all('th')) if (!e.scope) wrong.push('a th without scope: ' + e.textContent);
for (const e of all('.scroll')) if (e.tabIndex !== 0) wrong.push('scrolls without a keyboard');
const levels = all('h1, h2, h3').filter(seen).map((e) => Number(e.tagName[1]));
levels.forEach((l, i) => { if (i && l > levels[i - 1] + 1) wrong.push('a heading is left out'); });
return wrong;
"""

# The least contrast of any text that can be seen, as WCAG 2 counts it.
CONTRAST = """
const numbers = (c) => c.match(/[\\d.]+/g).map(Number);
const light = (c) => {
  const [r, g, b] = numbers(c).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (e) => {
  for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor;
    if (numbers(c)[3] !== 0) return c;
  }
  return 'rgb(255, 255, 255)';
};
let least = [99, ''];
for (const e of document.querySelectorAll('body *')) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!own || !e.checkVisibility() || e.tagName === 'NOSCRIPT') continue;
  const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < least[0]) least = [ratio, e.outerHTML.slice(0, 80)];
}
return least;
"""


# The rules of axe-core, which the package from PyPI brings along. It drives another browser, and is not
# loaded for that.
AXE = Path(importlib.util.find_spec("axe_playwright_python").origin).with_name("axe.min.js")

RUN_AXE = """
const done = arguments[0];
axe.run(document, {resultTypes: ['violations']}).then((found) => done(found.violations.map(
  (wrong) => [wrong.id, wrong.help, wrong.nodes.map((node) => node.html.slice(0, 100))]
)));
"""


def token(dict_, header=None, key=KEY):
    """One that the sidecar takes, unless something is wrong with it."""
    parts = [header or {"typ": "JWT", "alg": "HS256"}, dict_]
    text = ".".join(encode(json.dumps(part).encode()) for part in parts)
    return f"{text}.{encode(hmac.digest(key.encode(), text.encode(), hashlib.sha256))}"


def encode(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Admin(Running):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.app = cls.until_the_end(Server(Plain))
        cls.sidecar = cls.until_the_end(sidecar(cls.temporary, cls.app.port))
        cls.home, cls.admin = addresses(cls.sidecar)

    def setUp(self):
        super().setUp()
        # The whole page must work without a mouse: nothing in these tests is clicked.
        self.driver = self.chrome.driver

    def press(self, css):
        self.chrome.find(css).send_keys(Keys.ENTER)

    def until(self, condition, what):
        self.chrome._until(condition, what)

    def enter(self):
        self.chrome.open(self.admin)
        self.chrome.find("#secret").send_keys(TOKEN, Keys.ENTER)
        self.until(lambda: self.chrome.find("#with-token").is_displayed(), "the operator's part")

    def list(self, user):
        self.chrome.type("#subject", user)
        self.chrome.find("#subject").send_keys(Keys.ENTER)
        self.until(lambda: "session" in self.chrome.text("#sessions-said"), "the list")

    def rows(self):
        return self.driver.find_elements(By.CSS_SELECTOR, "#sessions tbody tr")

    def explain(self, token):
        # What was said before may be what is said now.
        self.chrome.script("document.querySelector('#token-said').textContent = ''")
        self.chrome.type("#token", token)
        self.press("#inspect button")
        self.until(lambda: self.chrome.text("#token-said"), "the explanation")
        return self.chrome.text("#token-said")

    def test_both_sessions_of_a_user_end_and_both_browsers_are_logged_out(self):
        saved = "?save=" + urllib.parse.quote(json.dumps({"user": USER}))
        self.chrome.open(self.home + saved)
        other = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        )
        other.open(self.home + saved).read()
        self.assertIn(b"50%", other.open(self.home).read())
        user_tab = self.chrome.this_tab()
        self.chrome.tab()
        self.enter()
        self.list(USER)
        self.assertEqual(len(self.rows()), 2)
        self.assertNotIn(TOKEN, self.chrome.source())

        self.press("#sessions tbody tr button")
        self.driver.switch_to.alert.dismiss()
        self.assertEqual(len(self.rows()), 2)
        self.press("#end-all")
        alert = self.driver.switch_to.alert
        self.assertIn(USER, alert.text)
        alert.accept()
        self.until(lambda: self.chrome.text("#sessions-said") == "Ended: 2.", "the end")
        self.assertEqual(self.rows(), [])

        self.chrome.show(user_tab)
        self.chrome.open(self.home)
        self.assertEqual(self.chrome.text("#session"), "{}")
        self.assertIn(b"{}", other.open(self.home).read())

    def test_a_cookie_is_explained_in_words(self):
        self.chrome.open(self.home + "?save=" + urllib.parse.quote('{"user":"eve"}'))
        token = self.chrome.cookies(self.home)["session"]["value"]
        self.enter()
        self.assertIn("A good session", self.explain(token))
        facts = self.chrome.text("#token-facts")
        self.assertIn("2026", facts)
        self.assertIn("no token", self.explain("nonsense"))
        self.assertIn("No key of this sidecar made it", self.explain(token[:-4] + "AAAA"))
        self.list("eve")
        self.press("#sessions tbody tr button")
        self.driver.switch_to.alert.accept()
        self.until(lambda: "Ended: 1." in self.chrome.text("#sessions-said"), "the end")
        self.assertIn("The session has ended", self.explain(token))

    def test_each_outcome_has_its_words(self):
        self.enter()
        now = int(time.time())
        for dict_, words in [
            ({"n": 1}, "A good session"),
            ({"exp": now - 10}, "Its time is over"),
            ({"nbf": now + 1000}, "It is not valid yet"),
            ({"aud": "others"}, "It was made for somebody else"),
            ({"n": "x" * 4000}, "It is longer than session.max_cookie_bytes"),
        ]:
            self.assertIn(words, self.explain(token(dict_)))
        self.assertIn("No key of this sidecar made it", self.explain(token({"n": 2}, key="x" * 32)))
        foreign = token({"n": 3}, {"typ": "JWT", "alg": "ES256"})
        self.assertIn("A key made it that this sidecar does not have", self.explain(foreign))
        unsigned = token({"n": 4}, {"typ": "JWT", "alg": "none"})
        self.assertIn("This is no token", self.explain(unsigned))

        request = urllib.request.urlopen(self.home + "?save=" + urllib.parse.quote('{"user":"kim"}'))
        ticket = request.headers["Set-Cookie"].split(";")[0].removeprefix("session=")
        self.assertIn("A good session", self.explain(ticket))
        file, away = self.temporary / "sessions.db", self.temporary / "away.db"
        file.rename(away)
        try:
            self.until(lambda: self.outcome(ticket) == "unavailable", "the loss of the file")
            self.assertIn("The store does not answer", self.explain(ticket))
        finally:
            away.rename(file)
        self.until(lambda: self.outcome(ticket) == "valid", "the store again")
        self.assertIn("A good session", self.explain(ticket))
        id_ = json.loads(self.ask("tokens/explain", ticket.encode()))["session"]
        (self.temporary / "revoked").write_text(f"{id_}\n")
        self.until(lambda: self.outcome(ticket) == "revoked", "the revocation")
        self.assertIn("It was revoked", self.explain(ticket))

    def outcome(self, token):
        return json.loads(self.ask("tokens/explain", token.encode()))["outcome"]

    def ask(self, path, body=None):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with urllib.request.urlopen(urllib.request.Request(self.admin + path, body, headers)) as answer:
            return answer.read()

    def test_axe_finds_nothing_wrong(self):
        for user in ("dan", "dan"):
            urllib.request.urlopen(self.home + "?save=" + urllib.parse.quote(json.dumps({"user": user})))
        self.enter()
        self.list("dan")
        self.explain(token({"n": 1}))
        self.driver.execute_script(AXE.read_text(encoding="utf-8"))
        for scheme in ("light", "dark"):
            for width in (360, 1600):
                with self.subTest(scheme=scheme, width=width):
                    self.look(scheme, width)
                    self.assertEqual(self.driver.execute_async_script(RUN_AXE), [])
        self.look()

    def test_over_a_unix_socket_the_page_and_the_sessions_are_there_for_curl(self):
        path = self.temporary / "admin.sock"
        text = self.sidecar.config.read_text().replace("[admin]\nlisten = '127.0.0.1:0'", f"[admin]\nlisten = 'unix:{path}'")
        other = processes.Sidecar(text, self.temporary)
        self.addCleanup(other.stop)
        other.find(address("admin listening"))

        def curl(target, *more):
            command = ["curl", "--silent", "--show-error", "--max-time", "10", "--unix-socket", path, *more]
            ran = subprocess.run([*command, f"http://localhost{target}"], check=True, capture_output=True, text=True)
            return ran.stdout

        self.assertIn("signs and verifies", curl("/"))
        self.assertIn("cloakroom_build_info", curl("/metrics"))
        secret = ["--header", f"Authorization: Bearer {TOKEN}"]
        urllib.request.urlopen(self.home + "?save=" + urllib.parse.quote('{"user":"una"}'))
        [session] = json.loads(curl("/sessions?subject=una", *secret))["sessions"]
        self.assertEqual(json.loads(curl(f"/sessions/{session['id']}", *secret)), session)
        self.assertIn("admin.token_file", json.loads(curl("/sessions?subject=una"))["error"])
        self.assertEqual(json.loads(curl("/sessions?subject=una", "--request", "DELETE", *secret))["ended"], 1)

    def test_a_wrong_token_opens_nothing_and_a_reload_forgets_the_right_one(self):
        self.chrome.open(self.admin)
        self.chrome.find("#secret").send_keys("x" * 40, Keys.ENTER)
        self.until(lambda: "admin.token_file" in self.chrome.text("#enter-said"), "the refusal")
        self.assertFalse(self.chrome.find("#with-token").is_displayed())
        self.enter()
        self.chrome.reload()
        self.assertFalse(self.chrome.find("#with-token").is_displayed())
        self.assertEqual(self.chrome.script("return [localStorage.length, sessionStorage.length]"), [0, 0])

    def test_figures_move(self):
        self.chrome.open(self.admin)
        cell = """[data-series='cloakroom_session_writes_total{action="saved"}']"""
        before = int(self.chrome.text(cell).replace(",", ""))
        urllib.request.urlopen(self.home + "?save=" + urllib.parse.quote('{"n":1}')).read()
        self.until(lambda: int(self.chrome.text(cell).replace(",", "")) > before, "the new figure")
        self.until(lambda: self.chrome.has("[data-plot=requests] polyline"), "a plot")
        self.assertIn("live", self.chrome.text("#live"))

    def test_it_can_be_read_at_any_width_in_light_and_dark_and_by_a_screen_reader(self):
        self.enter()
        for scheme in ("light", "dark"):
            self.look(scheme)
            ratio, where = self.chrome.script(CONTRAST)
            self.assertGreaterEqual(ratio, 4.5, f"{scheme}: {where}")
            for width in (360, 1600):
                with self.subTest(scheme=scheme, width=width):
                    self.look(scheme, width)
                    wide = self.chrome.script("return document.documentElement.scrollWidth")
                    self.assertLessEqual(wide, width)
        self.look()
        self.assertEqual(self.chrome.script(AUDIT), [])

    def look(self, scheme=None, width=None):
        """Has the page shown in light or dark, and so wide; without both as it was."""
        features = [{"name": "prefers-color-scheme", "value": scheme}] if scheme else []
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        if width is None:
            return self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        return self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def test_nothing_is_refused_by_its_own_policy(self):
        self.enter()
        self.list("nobody")
        # The browser writes what it did not load or run there.
        self.assertEqual([line for line in console(self.driver) if "Content Security" in line], [])

    def test_a_site_that_points_its_name_here_is_shown_nothing(self):
        port = self.admin.rpartition(":")[2]
        for path in ("", "metrics"):
            self.chrome.open(f"http://evil.test:{port}{path}")
            self.assertIn("Anybody could have made this name point here", self.chrome.source())
            self.assertNotIn("signs", self.chrome.source())
        self.chrome.open(self.admin)
        self.assertIn("signs and verifies", self.chrome.source())

    def test_without_scripts_the_page_says_what_is_the_case_now(self):
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            self.chrome.open(self.admin)
            said = self.chrome.text("body")
        finally:
            self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        for part in ("ready", "signs and verifies", "Holds sessions", "scripts are off", "curl"):
            self.assertIn(part, said)


def sidecar(temporary, backend_port):
    """One with a store and a token, in front of an app."""
    (temporary / "token").write_text(TOKEN + "\n")
    (temporary / "token").chmod(0o600)
    (temporary / "revoked").write_text("")
    (temporary / "old").write_text("fedcba9876543210fedcba9876543210")
    return processes.Sidecar(
        'listen = "127.0.0.1:0"\n'
        f'backend = "http://127.0.0.1:{backend_port}"\n'
        f"[[keys]]\nid = '2026'\nsecret = '{KEY}'\n"
        f"[[keys]]\nid = '2025'\nsecret_file = '{temporary}/old'\n"
        f"[store]\nurl = 'file:{temporary}/sessions.db'\ntimeout = '10s'\n"
        f"[session]\nttl = '14d'\nsubject = 'user'\nrevoked_file = '{temporary}/revoked'\n"
        f"[admin]\nlisten = '127.0.0.1:0'\ntoken_file = '{temporary}/token'\n",
        temporary,
    )


def addresses(sidecar):
    """Where clients connect, and operators."""
    names = ("listening", "admin listening")
    return [f"http://{sidecar.find(address(name))}/" for name in names]


def console(driver):
    return [entry["message"] for entry in driver.get_log("browser")]


def address(message):
    def find(line):
        try:
            line = json.loads(line)
        except ValueError:
            return None
        return line["address"] if line.get("message") == message else None

    return find
