"""The operator's page of the admin listener."""

import http.cookiejar
import json
import urllib.parse
import urllib.request

import processes
from checks import Running
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from servers import Plain, Server

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
        said = self.chrome.script("return document.getElementById('token-facts').innerText")
        self.chrome.find("#token").send_keys(token)
        self.press("#inspect button")
        self.until(
            lambda: self.chrome.find("#token").get_attribute("value") == ""
            and self.chrome.script("return document.getElementById('token-facts').innerText") != said,
            "the explanation",
        )
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
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            ratio, where = self.chrome.script(CONTRAST)
            self.assertGreaterEqual(ratio, 4.5, f"{scheme}: {where}")
            for width in (360, 1600):
                with self.subTest(scheme=scheme, width=width):
                    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
                    self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
                    wide = self.chrome.script("return document.documentElement.scrollWidth")
                    self.assertLessEqual(wide, width)
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        self.assertEqual(self.chrome.script(AUDIT), [])

    def test_nothing_is_refused_by_its_own_policy(self):
        self.enter()
        self.list("nobody")
        # The browser writes what it did not load or run there.
        self.assertEqual([line for line in console(self.driver) if "Content Security" in line], [])


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
    (temporary / "old").write_text("fedcba9876543210fedcba9876543210")
    return processes.Sidecar(
        'listen = "127.0.0.1:0"\n'
        f'backend = "http://127.0.0.1:{backend_port}"\n'
        "[[keys]]\nid = '2026'\nsecret = '0123456789abcdef0123456789abcdef'\n"
        f"[[keys]]\nid = '2025'\nsecret_file = '{temporary}/old'\n"
        f"[store]\nurl = 'file:{temporary}/sessions.db'\n"
        "[session]\nttl = '14d'\nsubject = 'user'\n"
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
