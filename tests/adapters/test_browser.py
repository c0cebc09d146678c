"""Apps that nobody here wrote, unmodified and with their adapters, in a real browser: headless Chromium."""

import sys
import unittest

import sources
from support import HERE, ROOT, Folder, Sidecar, new_key
from test_dokuwiki import PASSWORD, dokuwiki
from test_python import FOLDER, PYTHON, python, run

sys.path.append(str(ROOT / "tests/browser"))

from chrome import Chrome  # noqa: E402


class Site:
    """An app with a log-in. Each has a second instance on another port, behind a sidecar with the same key."""

    # How far back nothing private is to be seen after the log-out. Chromium keeps the page that a log-in's redirect
    # led to, whatever it is told: docs/migrating.md has what an app can do about it.
    pages_back = 1

    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.stop)
        cls.folder = folder.path
        cls.chrome = Chrome.shared()
        cls.prepare()
        key = new_key(folder.path)
        cls.homes = []
        for _ in range(2):
            app = cls.start()
            cls.addClassCleanup(app.stop)
            sidecar = Sidecar(app.port, folder.path, key=key, session='ttl = "14d"')
            cls.addClassCleanup(sidecar.stop)
            cls.homes.append(f"http://127.0.0.1:{sidecar.port}")

    @classmethod
    def prepare(cls):
        pass

    def setUp(self):
        self.chrome.forget()
        self.home = self.homes[0]

    def knows_me(self, home=None):
        self.chrome.open(f"{home or self.home}{self.page}")
        return self.is_private()

    def is_private(self):
        return self.mark in self.chrome.source()

    def test_log_in_work_in_two_tabs_at_two_instances_and_log_out(self):
        self.assertFalse(self.knows_me())
        first = self.chrome.this_tab()
        self.log_in()
        self.assertTrue(self.knows_me())
        self.assertIn("session", self.chrome.cookies(self.home))
        self.work()
        # The other instance takes over: cookies do not tell ports apart.
        second = self.chrome.tab()
        self.assertTrue(self.knows_me(self.homes[1]))
        self.home = self.homes[1]
        self.work()
        self.home = self.homes[0]
        self.chrome.show(first)
        self.assertTrue(self.knows_me())
        self.log_out()
        for _ in range(self.pages_back):
            self.chrome.back()
            self.assertFalse(self.is_private(), "the back button shows what was private")
        self.assertFalse(self.knows_me())
        self.chrome.show(second)
        self.assertFalse(self.knows_me(self.homes[1]))


class DokuWiki(Site, unittest.TestCase):
    page, mark = "/doku.php?id=start", "Logged in as"

    @classmethod
    def start(cls):
        return dokuwiki(cls.folder)

    def log_in(self):
        self.chrome.open(f"{self.home}/doku.php?id=start&do=login")
        self.chrome.type("input[name=u]", "ann")
        self.chrome.type("input[name=p]", PASSWORD)
        self.chrome.click("#dw__login button[type=submit]")

    def work(self):
        self.chrome.open(f"{self.home}/doku.php?id=hats&do=edit")
        self.chrome.type("#wiki__text", "One for each day.")
        self.chrome.click("#edbtn__save")
        self.assertIn("One for each day.", self.chrome.text(".page"))

    def log_out(self):
        self.chrome.click(".action.logout a")


class DjangoAdmin(Site, unittest.TestCase):
    page, mark = "/admin/", "Log out"
    password = "a long enough password"

    @classmethod
    def prepare(cls):
        cls.environment = {"DATABASE": str(cls.folder / "db.sqlite3"), "PYTHONPATH": str(FOLDER)}
        made = run(f"{PYTHON} {HERE}/apps/django_app.py '{cls.password}'", cls.folder, **cls.environment)
        assert made.returncode == 0, made.stdout

    @classmethod
    def start(cls):
        return python(cls.folder, "django_app", **cls.environment)

    def log_in(self):
        self.chrome.open(f"{self.home}/admin/")
        self.chrome.type("#id_username", "Ann")
        self.chrome.type("#id_password", self.password)
        self.chrome.click("#login-form input[type=submit]")

    def work(self):
        self.chrome.open(f"{self.home}/admin/auth/group/add/")
        self.chrome.type("#id_name", f"Tailors of {self.home}")
        self.chrome.click("input[name=_save]")
        self.assertIn("was added successfully", self.chrome.source())
        self.chrome.reload()
        self.assertNotIn("was added successfully", self.chrome.source())

    def log_out(self):
        self.chrome.submit("#logout-form")


class FlaskTutorial(Site, unittest.TestCase):
    page, mark = "/", "Log Out"
    # Nothing keeps browsers from keeping its pages: that is the app's, or a proxy's.
    pages_back = 0

    @classmethod
    def prepare(cls):
        cls.environment = {
            "DATABASE": str(cls.folder / "flaskr.sqlite"),
            "PYTHONPATH": f"{FOLDER}:{sources.folder('flask') / 'examples/tutorial'}",
        }

    @classmethod
    def start(cls):
        return python(cls.folder, "flaskr_app", **cls.environment)

    def form(self, path):
        self.chrome.open(f"{self.home}{path}")
        self.chrome.type("#username", "ann")
        self.chrome.type("#password", "long-enough")
        self.chrome.click("input[type=submit]")

    def log_in(self):
        self.form("/auth/register")  # which says so, if she is there already
        self.form("/auth/login")

    def work(self):
        self.chrome.open(f"{self.home}/create")
        self.chrome.type("#title", "Hats")
        self.chrome.type("#body", "One for each day.")
        self.chrome.click("input[type=submit]")
        self.assertIn("One for each day.", self.chrome.source())

    def log_out(self):
        self.chrome.open(f"{self.home}/auth/logout")
