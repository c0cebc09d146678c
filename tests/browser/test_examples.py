"""The five examples, each behind a sidecar with the configuration beside it."""

import unittest

import processes
from checks import NAME, BehindCloakroom, Running, ShopChecks
from shop import Shop


class Example(ShopChecks, BehindCloakroom, Running):
    language = None

    @classmethod
    def setUpClass(cls):
        if cls.language is None:
            raise unittest.SkipTest("this one is what the others have in common")
        super().setUpClass()
        key = processes.key(cls.temporary)
        app = cls.until_the_end(processes.app(cls.language, cls.temporary))
        config = processes.EXAMPLES / cls.language / "cloakroom.toml"
        text = processes.shipped(config, app.port, key)
        cls.sidecar = cls.until_the_end(processes.Sidecar(text, cls.temporary))
        cls.shop = Shop(cls.chrome, f"http://127.0.0.1:{cls.sidecar.port}/")

    def test_a_form_on_another_site_comes_without_the_session_and_is_refused(self):
        self.shop.log_in(NAME)
        self.shop.count()
        for path, fields in [("/count", {}), ("/logout", {}), ("/login", {"name": "Eve"})]:
            self.foreign_form(path, **fields)
            self.assertIn("That form is not ours.", self.chrome.source())
            entry = self.sidecar.access(method="POST", path=path, status=403)
            self.assertEqual(entry["outcome"], "absent")
        self.shop.enter()
        self.assertEqual([self.shop.name(), self.shop.counted()], [NAME, 1])

    def test_control_headers_do_not_reach_the_browser(self):
        self.shop.log_in(NAME)
        headers = self.chrome.driver.execute_async_script(
            "const done = arguments[0];"
            "fetch(location.href).then(answer => done(Object.fromEntries(answer.headers)))"
        )
        self.assertEqual(headers["cache-control"], "no-store")
        self.assertEqual([name for name in headers if name.startswith("x-session")], [])

    def test_a_large_session_reaches_the_app_whole(self):
        session = {"name": "Ann", "note": "é" * 470}
        token = self.sidecar.token(session)
        self.assertGreater(len(token), 3950)
        self.chrome.set_cookie(name="session", value=token, url=self.shop.home)
        self.shop.enter()
        self.assertEqual(self.shop.name(), "Ann")
        self.shop.look_inside()
        self.assertEqual(self.shop.inside().count("\\u00e9"), 470)
        self.shop.home_again()
        self.shop.count()
        self.assertEqual(self.shop.counted(), 1)

    def test_a_form_that_makes_no_sense_is_refused(self):
        self.chrome.script("document.querySelector('input[name=name]').required = false")
        self.chrome.submit("form[action='/login']")
        self.assertIn("That form is not ours.", self.chrome.source())
        self.assertIsNone(self.shop.cookie())


def load_tests(loader, suite, pattern):
    """One class for each language, and none for what they have in common."""
    suite = unittest.TestSuite()
    for language in processes.COMMANDS:
        case = type(language.title(), (Example,), {"language": language, "__module__": __name__})
        suite.addTests(loader.loadTestsFromTestCase(case))
    return suite
