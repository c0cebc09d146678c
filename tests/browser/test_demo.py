"""`cloakroom demo`."""

import urllib.request

import processes
from checks import NAME, BehindCloakroom, Running, ShopChecks
from shop import DemoShop


class Demo(ShopChecks, BehindCloakroom, Running):
    articles = ("scarf", "bowler")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        command = [processes.BINARY, "demo", "--listen", "127.0.0.1:0"]
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


class Stay(urllib.request.HTTPRedirectHandler):
    """Gives the answer that leads elsewhere, and does not go there."""

    def http_error_303(self, request, answer, code, message, headers):
        return answer


def url_in(line):
    return next((word for word in line.split() if word.startswith("http://127.0.0.1:")), None)
