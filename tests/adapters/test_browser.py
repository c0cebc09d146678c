"""Apps that nobody here wrote, unmodified and with their adapters, in a real browser: headless Chromium."""

import unittest

import sources
from sites import Site
from support import HERE, alone
from test_dokuwiki import PASSWORD, dokuwiki, installed
from test_python import FOLDER, PYTHON, python, run


def setUpModule():
    # Fetched now: the network of the tests with a browser leads nowhere else.
    with alone():
        installed()
    sources.folder("flask")


class DokuWiki(Site, unittest.TestCase):
    page, mark = "/doku.php?id=start", "Logged in as"
    pages_back = 1
    # Its log-out empties the session and goes on with it; its own cookie, which holds the password, logs in again there.
    ends_copies = False

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
    pages_back = 1
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
