"""`cloakroom demo`."""

import tempfile
import urllib.request

import processes
from checks import NAME, BehindCloakroom, Running, ShopChecks
from shop import DemoShop


class Demo(ShopChecks, BehindCloakroom, Running):
    articles = ("scarf", "bowler")
    options = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        command = [processes.BINARY, "demo", "--listen", "127.0.0.1:0", *cls.options]
        cls.demo = cls.until_the_end(processes.Process(command, cls.temporary))
        cls.home = cls.demo.find(url_in)
        cls.shop = DemoShop(cls.chrome, cls.home)

    def test_the_name_may_be_40_characters_long(self):
        self.shop.log_in("é" * 40)
        self.assertEqual(self.shop.name(), "é" * 40)

    def test_control_headers_do_not_reach_the_browser(self):
        # Its pages forbid scripts to fetch anything.
        request = urllib.request.Request(self.shop.home + "counter", data=b"", method="POST")
        with urllib.request.build_opener(Stay).open(request) as answer:
            names = [name.lower() for name in answer.headers]
        self.assertIn("set-cookie", names)
        self.assertEqual([name for name in names if name.startswith("x-session")], [])

    def test_a_form_on_another_site_comes_without_the_session_and_changes_nothing(self):
        self.shop.log_in(NAME)
        self.shop.count()
        self.foreign_form("/counter")
        self.demo.find(lambda line: "POST path=/counter" in line and "absent" in line or None)
        self.assertEqual(self.shop.counted(), 1)
        self.assertEqual(self.shop.name(), NAME)


class DemoWithStore(Demo):
    """All that holds without a store, and what takes one."""

    options = ("--store",)

    def test_a_basket_holds_what_no_cookie_could(self):
        self.shop.log_in(NAME)
        self.shop.take("scarf")
        before = self.shop.cookie()["value"]
        greeting = "Dear Zoë, " * 590
        self.shop.greet(greeting)
        self.assertEqual(self.shop.greeted(), len(greeting.strip()))
        self.assertEqual(self.shop.pieces("scarf"), 1)
        self.assertEqual(self.shop.name(), NAME)
        after = self.shop.cookie()["value"]
        self.assertLess(len(after), 400)
        self.assertEqual(len(after), len(before))

    def test_a_log_out_everywhere_ends_the_session_in_another_browser(self):
        self.shop.log_in(NAME)
        self.shop.count()

        def elsewhere(there):
            there.log_in(NAME)
            self.assertEqual(there.name(), NAME)
            there.log_out_everywhere()
            there.enter()
            self.assertIsNone(there.name())

        with tempfile.TemporaryDirectory() as profile:
            self.in_a_new_browser(profile, elsewhere)
        self.assert_is_a_stranger()
        self.assertEqual(self.shop.counted(), 0)

    def test_a_log_out_here_leaves_another_browser_logged_in(self):
        self.shop.log_in(NAME)

        def elsewhere(there):
            there.log_in(NAME)
            there.log_out()

        with tempfile.TemporaryDirectory() as profile:
            self.in_a_new_browser(profile, elsewhere)
        self.shop.enter()
        self.assertEqual(self.shop.name(), NAME)

    def test_a_copy_of_the_cookie_is_worth_nothing_after_the_log_out(self):
        self.shop.log_in(NAME)
        copy = self.shop.cookie()["value"]
        self.shop.log_out()
        request = urllib.request.Request(self.home + "received.txt")
        request.add_header("Cookie", f"session={copy}")
        with urllib.request.urlopen(request) as answer:
            self.assertIn("X-Session: {}\n", answer.read().decode())


class Stay(urllib.request.HTTPRedirectHandler):
    """Gives the answer that leads elsewhere, and does not go there."""

    def http_error_303(self, request, answer, code, message, headers):
        return answer


def url_in(line):
    return next((word for word in line.split() if word.startswith("http://127.0.0.1:")), None)
