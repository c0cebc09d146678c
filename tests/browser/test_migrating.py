"""The app of docs/migrating.md, before and after, and its users on the way from one to the other."""

import shutil
import subprocess

import processes
from checks import NAME, BehindCloakroom, Running, ShopChecks
from shop import Shop


class Migrating(Running):
    """Both versions of the app, with one folder for PHP's sessions, and a sidecar for each."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sessions = cls.temporary / "sessions"
        cls.sessions.mkdir()
        cls.key = processes.key(cls.temporary)

    @classmethod
    def start(cls, script):
        return cls.until_the_end(processes.php(script, cls.sessions))

    @classmethod
    def behind(cls, app):
        config = processes.EXAMPLES / "migrating/cloakroom.toml"
        text = processes.shipped(config, app.port, cls.key)
        return cls.until_the_end(processes.Sidecar(text, cls.temporary))

    def stored(self):
        return list(self.sessions.glob("sess_*"))


class Before(ShopChecks, Migrating):
    # It sends no Clear-Site-Data: Chromium shows the page again that a log-in led to.
    pages_back = 2

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shop = Shop(cls.chrome, f"http://127.0.0.1:{cls.start('before.php').port}/", "PHPSESSID")

    def test_a_log_out_deletes_the_cookie(self):
        # It does, and the page behind it starts a new session for a stranger.
        self.shop.log_in(NAME)
        before = self.shop.cookie()["value"]
        self.shop.log_out()
        self.assertNotEqual(self.shop.cookie()["value"], before)
        self.assert_is_a_stranger()


class After(ShopChecks, BehindCloakroom, Migrating):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sidecar = cls.behind(cls.start("after.php"))
        cls.shop = Shop(cls.chrome, f"http://127.0.0.1:{cls.sidecar.port}/")

    def test_it_keeps_nothing_on_this_machine(self):
        self.shop.log_in(NAME)
        self.assertEqual(self.stored(), [])


class WithTheAdapter(ShopChecks, BehindCloakroom, Migrating):
    """The app as it was, and PHP's adapter: nothing is edited."""

    # It sends no Clear-Site-Data: Chromium shows the page again that a log-in led to.
    pages_back = 2

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # PHP's own server takes no auto_prepend_file for a router script, but for a page.
        pages = cls.temporary / "pages"
        pages.mkdir()
        shutil.copy(processes.EXAMPLES / "migrating/before.php", pages / "index.php")
        adapter = processes.ROOT / "deploy/adapters/php/cloakroom_session.php"
        app = processes.served(
            f"exec php -d session.save_path={cls.sessions} -d auto_prepend_file={adapter} -S 127.0.0.1:$PORT",
            pages,
            cls.temporary,
        )
        cls.sidecar = cls.behind(cls.until_the_end(app))
        cls.shop = Shop(cls.chrome, f"http://127.0.0.1:{cls.sidecar.port}/")

    def test_it_keeps_nothing_on_this_machine(self):
        self.shop.log_in(NAME)
        self.assertEqual(self.stored(), [])

    def test_the_browser_has_no_cookie_but_the_sidecars(self):
        self.shop.log_in(NAME, remember=True)
        self.assertEqual(list(self.chrome.cookies(self.shop.home)), ["session"])


class OnTheWay(Migrating):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        sidecar = cls.behind(cls.start("before.php"))
        cls.before = Shop(cls.chrome, f"http://127.0.0.1:{sidecar.port}/", "PHPSESSID")
        sidecar = cls.behind(cls.start("after.php"))
        cls.after = Shop(cls.chrome, f"http://127.0.0.1:{sidecar.port}/")

    def setUp(self):
        super().setUp()
        for session in self.stored():
            session.unlink()

    def test_the_app_as_it_was_works_behind_the_sidecar(self):
        self.before.enter()
        self.before.log_in(NAME)
        self.before.count()
        self.before.take("hat")
        self.assertEqual(
            [self.before.name(), self.before.counted(), self.before.pieces("hat")], [NAME, 1, 1]
        )
        self.assertIsNone(self.after.cookie())
        self.before.log_out()
        self.assertIsNone(self.before.name())

    def test_who_is_logged_in_stays_logged_in(self):
        self.before.enter()
        self.before.log_in(NAME)
        self.before.count()
        self.before.take("coat")
        self.assertEqual(len(self.stored()), 1)
        self.after.enter()
        self.assertEqual(
            [self.after.name(), self.after.counted(), self.after.pieces("coat")], [NAME, 1, 1]
        )
        self.assertIsNone(self.before.cookie(), "the old cookie is still there")
        self.assertEqual(self.stored(), [])
        self.after.count()
        self.assertEqual(self.after.counted(), 2)
        self.after.log_out()
        for shop in (self.after, self.before):
            shop.enter()
            self.assertIsNone(shop.name())

    def test_an_old_cookie_without_a_session_is_removed(self):
        self.chrome.set_cookie(name="PHPSESSID", value="a" * 26, url=self.after.home)
        self.after.enter()
        self.assertIsNone(self.after.name())
        self.assertEqual(self.chrome.cookies(self.after.home), {})

    def test_the_inventory_says_what_is_in_the_old_sessions(self):
        self.before.enter()
        self.before.log_in(NAME)
        self.before.count()
        command = ["php", "inventory.php", self.sessions]
        folder = processes.EXAMPLES / "migrating"
        ran = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        first, *keys = ran.stdout.splitlines()
        self.assertRegex(first, r"^1 sessions, the longest \d+ bytes of JSON: a cookie of about \d+ bytes$")
        self.assertEqual(keys, ["key name: 1", "key count: 1"])
