"""Two apps in two languages, each behind a sidecar of its own, with one session."""

import processes
from checks import NAME, Running
from shop import Shop


class TwoApps(Running):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        key = processes.key(cls.temporary)
        cls.shops = {}
        for language in ("php", "python"):
            app = cls.until_the_end(processes.app(language, cls.temporary))
            config = processes.EXAMPLES / "two-apps" / f"{language}.toml"
            text = processes.shipped(config, app.port, key)
            sidecar = cls.until_the_end(processes.Sidecar(text, cls.temporary))
            cls.shops[language] = Shop(cls.chrome, f"http://127.0.0.1:{sidecar.port}/")

    def test_what_is_done_at_one_is_seen_at_the_other(self):
        php, python = self.shops["php"], self.shops["python"]
        php.enter()
        php.log_in(NAME)
        php.count()
        php.take("hat")
        self.assertIn("in PHP", self.chrome.source())
        python.enter()
        self.assertIn("in Python", self.chrome.source())
        self.assertEqual([python.name(), python.counted(), python.pieces("hat")], [NAME, 1, 1])
        python.count()
        python.take("hat")
        python.take("coat")
        php.enter()
        self.assertEqual([php.counted(), php.pieces("hat"), php.pieces("coat")], [2, 2, 1])

    def test_a_log_out_at_one_is_a_log_out_at_the_other(self):
        php, python = self.shops["php"], self.shops["python"]
        python.enter()
        python.log_in(NAME, remember=True)
        php.enter()
        self.assertEqual(php.name(), NAME)
        php.log_out()
        python.enter()
        self.assertIsNone(python.name())
        self.assertIsNone(python.cookie())
