"""What is done in a browser with each app that nobody here wrote: `Site` beside unittest.TestCase."""

import sys

from support import ROOT, Client, Folder, Sidecar, new_key, store

sys.path.append(str(ROOT / "tests/browser"))

from chrome import Chrome  # noqa: E402


class Site:
    """An app with a log-in: `page` shows `mark` to whoever has logged in.

    Each has a second instance on another port, behind a sidecar of its own, with the same key and the same store.
    """

    # How far back nothing private is to be seen after the log-out. Chromium keeps the page that a log-in's redirect
    # led to, whatever it is told: docs/migrating.md has what an app can do about it. 0 where nothing keeps browsers
    # from keeping an app's pages: that is the app's, or a proxy's.
    pages_back = 0
    # Whether a log-out is the end of whoever has a copy of all cookies. Not where an app's own cookie logs in again.
    ends_copies = True

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
            cls.sidecar = Sidecar(app.port, folder.path, key=key, **store(folder.path))
            cls.addClassCleanup(cls.sidecar.stop)
            Client(cls.sidecar.port).get(cls.page)  # some compile their pages when they are first asked for
            cls.homes.append(f"http://127.0.0.1:{cls.sidecar.port}")

    @classmethod
    def prepare(cls):
        pass

    def setUp(self):
        self.chrome.forget()
        self.home = self.homes[0]

    def knows_me(self, home=None):
        self.chrome.open(f"{home or self.home}{self.page}")
        return self.is_private()

    def private(self):
        """What only she is shown."""
        return self.mark

    def is_private(self):
        return self.private() in self.chrome.source()

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
        cookies = self.chrome.cookies(self.home)
        thief = Client(self.sidecar.port, {name: cookie["value"] for name, cookie in cookies.items()})
        agent = {"User-Agent": self.chrome.script("return navigator.userAgent")}
        self.assertIn(self.private(), thief.get(self.page, headers=agent).text)
        self.log_out()
        self.assertEqual(self.private() in thief.get(self.page, headers=agent).text, not self.ends_copies)
        for _ in range(self.pages_back):
            self.chrome.back()
            self.assertFalse(self.is_private(), "the back button shows what was private")
        # What the browser has kept comes from the browser only.
        self.chrome.back()
        self.chrome.reload()
        self.assertFalse(self.is_private(), "what was private comes once more")
        self.assertFalse(self.knows_me())
        self.chrome.show(second)
        self.assertFalse(self.knows_me(self.homes[1]))
