"""What the browser makes of the cookie: its size, TLS, the __Host- prefix, SameSite."""

import json
import math
import subprocess
import urllib.parse

import processes
from checks import Running
from servers import Plain, Server


class Cookie(Running):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.key = processes.key(cls.temporary)
        cls.app = cls.until_the_end(Server(Plain))
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        command += ["-nodes", "-days", "2", "-subj", "/CN=shop.test"]
        command += ["-addext", "subjectAltName=DNS:shop.test,DNS:www.shop.test"]
        command += ["-keyout", "tls.key", "-out", "tls.crt"]
        subprocess.run(command, cwd=cls.temporary, check=True, capture_output=True)

    def sidecar(self, cookie="", tls=False, more=""):
        """A sidecar in front of the plain app."""
        text = 'listen = "127.0.0.1:0"\n'
        text += f'backend = "http://127.0.0.1:{self.app.port}"\n{more}\n'
        text += f'[[keys]]\nsecret_file = "{self.key}"\n[cookie]\n{cookie}\n'
        if tls:
            text += f'[tls]\nlisten = "127.0.0.1:0"\ncert = "{self.temporary}/tls.crt"\n'
            text += f'key = "{self.temporary}/tls.key"\n'
        sidecar = processes.Sidecar(text, self.temporary)
        self.addCleanup(sidecar.stop)
        return sidecar

    def save(self, home, session):
        """Lets the app save this, and gives the cookie that the browser has then."""
        query = urllib.parse.urlencode({"save": json.dumps(session)})
        self.chrome.open(f"{home}?{query}")
        return self.chrome.cookies(home).get("session")

    def session(self, home):
        self.chrome.open(home)
        return json.loads(self.chrome.text("#session"))

    def test_the_longest_cookie_that_is_set_is_kept_and_sent_back(self):
        sidecar = self.sidecar()
        home = f"http://shop.test:{sidecar.port}/"

        head, _, signature = sidecar.token({"pad": ""}).split(".")

        def size(length):
            payload = math.ceil((len('{"pad":""}') + length) * 4 / 3)
            return len(f"session={head}.") + payload + len(f".{signature}")

        longest = max(length for length in range(4096) if size(length) <= 4096)
        self.assertGreaterEqual(size(longest), 4095)
        self.assertGreater(size(longest + 1), 4096)

        cookie = self.save(home, {"pad": "x" * longest})
        self.assertEqual(len("session=" + cookie["value"]), size(longest))
        self.assertEqual(self.session(home), {"pad": "x" * longest})

        # One byte more: the user is told, and the session is what it was.
        again = self.save(home, {"pad": "y" * (longest + 1)})
        self.assertIn("502 The session could not be saved.", self.chrome.source())
        self.assertEqual(again["value"], cookie["value"])
        self.assertEqual(self.session(home), {"pad": "x" * longest})

    def test_the_browser_drops_a_longer_cookie_without_a_word(self):
        # Why there is a limit: with another one in the configuration the session is lost.
        sidecar = self.sidecar(more="[session]\nmax_cookie_bytes = 8192")
        home = f"http://shop.test:{sidecar.port}/"
        self.assertIsNone(self.save(home, {"pad": "x" * 3200}))
        self.assertIn("<pre", self.chrome.source())
        self.assertEqual(self.session(home), {})

    def test_over_tls_the_cookie_is_secure_and_in_the_clear_it_is_not(self):
        sidecar = self.sidecar('secure = "auto"', tls=True)
        secure = f"https://shop.test:{sidecar.port_of(tls=True)}/"
        clear = f"http://plain.test:{sidecar.port_of(tls=False)}/"
        self.assertTrue(self.save(secure, {"n": 1})["secure"])
        self.assertEqual(self.session(secure), {"n": 1})
        self.assertEqual(sidecar.access(path="/", outcome="valid")["protocol"], "HTTP/2.0")
        self.assertFalse(self.save(clear, {"n": 2})["secure"])
        self.assertEqual(self.session(clear), {"n": 2})

    def test_a_secure_cookie_is_not_sent_in_the_clear_nor_replaced_from_there(self):
        sidecar = self.sidecar('secure = "auto"', tls=True)
        secure = f"https://shop.test:{sidecar.port_of(tls=True)}/"
        clear = f"http://shop.test:{sidecar.port_of(tls=False)}/"
        self.save(secure, {"n": 1})
        self.assertEqual(self.session(clear), {})
        self.save(clear, {"n": 2})
        self.assertEqual(self.session(secure), {"n": 1})

    def test_a_cookie_with_the_host_prefix_is_kept_and_deleted(self):
        sidecar = self.sidecar('name = "__Host-session"\nsecure = true', tls=True)
        home = f"https://shop.test:{sidecar.port_of(tls=True)}/"
        self.save(home, {"n": 1})
        cookie = self.chrome.cookies(home)["__Host-session"]
        self.assertTrue(cookie["secure"] and cookie["httpOnly"])
        self.assertEqual(self.session(home), {"n": 1})
        self.chrome.open(f"{home}?delete=1")
        self.assertEqual(self.chrome.cookies(home), {})

    def test_a_cookie_with_a_domain_is_seen_on_its_hosts_and_deleted_there(self):
        sidecar = self.sidecar('domain = "shop.test"')
        one, other = (f"http://{host}:{sidecar.port}/" for host in ("shop.test", "www.shop.test"))
        self.save(one, {"n": 1})
        self.assertEqual(self.session(other), {"n": 1})
        self.chrome.open(f"{other}?delete=1")
        self.assertEqual(self.session(one), {})

    def test_same_site_decides_what_a_form_and_a_link_elsewhere_bring_along(self):
        # same_site: whether a form sent by POST from another site has the session, and a link.
        expected = {"strict": (False, False), "lax": (False, True), "none": (True, True)}
        for same_site, (form, link) in expected.items():
            with self.subTest(same_site=same_site):
                self.chrome.forget()
                cookie = f'same_site = "{same_site}"\nsecure = true'
                sidecar = self.sidecar(cookie, tls=True)
                home = f"https://shop.test:{sidecar.port_of(tls=True)}/"
                self.save(home, {"n": 1})
                self.assertEqual(self.coming_from_elsewhere(home, "a"), link)
                self.assertEqual(self.coming_from_elsewhere(home, "form button"), form)

    def test_what_the_app_answers_to_a_form_from_elsewhere_counts_all_the_same(self):
        # Why apps have to look at Origin: same_site decides about the request alone.
        sidecar = self.sidecar('same_site = "strict"')
        home = f"http://shop.test:{sidecar.port}/"
        for query, left in [({"save": '{"n":2}'}, {"n": 2}), ({"delete": "1"}, {})]:
            self.save(home, {"n": 1})
            to = urllib.parse.urlencode({"to": f"{home}?{urllib.parse.urlencode(query)}"})
            self.chrome.open(f"http://evil.test:{self.elsewhere.port}/?{to}")
            self.chrome.click("form button")
            self.assertEqual(sidecar.access(method="POST")["outcome"], "absent")
            self.assertEqual(self.session(home), left)

    def test_the_back_button_shows_a_page_that_may_be_kept_after_the_log_out(self):
        # Why apps have to send no-store: cloakroom does not do it for them.
        sidecar = self.sidecar()
        home = f"http://shop.test:{sidecar.port}/"
        self.save(home, {"n": 1})
        self.assertEqual(self.session(home), {"n": 1})
        self.chrome.open(f"{home}?delete=1")
        self.chrome.back()
        self.assertEqual(json.loads(self.chrome.text("#session")), {"n": 1})
        self.assertEqual(self.session(home), {})

    def coming_from_elsewhere(self, home, what):
        to = urllib.parse.urlencode({"to": home})
        self.chrome.open(f"http://evil.test:{self.elsewhere.port}/?{to}")
        self.chrome.click(what)
        return json.loads(self.chrome.text("#session")) == {"n": 1}
