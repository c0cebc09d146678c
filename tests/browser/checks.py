"""What holds in each shop, whatever it is written in."""

import tempfile
import time
import unittest
import urllib.parse
from pathlib import Path

from chrome import Chrome
from servers import Elsewhere, Server

# A name that is neither ASCII nor harmless in HTML, JSON or a form.
NAME = """Zoë <b>&"'\\ +%41"""
DAYS_30 = 2592000


class Running(unittest.TestCase):
    """Tests with the browser and whatever else a class of them starts, which is ended with it."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = Path(cls.until_the_end(tempfile.TemporaryDirectory(), "cleanup").name)
        cls.chrome = Chrome.shared()
        cls.elsewhere = cls.until_the_end(Server(Elsewhere))

    @classmethod
    def until_the_end(cls, thing, stop="stop"):
        cls.addClassCleanup(getattr(thing, stop))
        return thing

    def setUp(self):
        self.chrome.forget()


class ShopChecks:
    """Checks for a class that has `shop`, made by `setUpClass`, and the articles it sells."""

    articles = ("hat", "coat")
    # How far back nothing private is to be seen: to the empty tab.
    pages_back = 5

    def setUp(self):
        super().setUp()
        self.shop.enter()

    def assert_is_a_stranger(self):
        self.shop.enter()
        self.assertIsNone(self.shop.name())
        self.assertNotIn("Zoë", self.chrome.source())

    def test_a_log_in_shows_the_name_as_it_was_typed(self):
        self.assertIsNone(self.shop.name())
        self.shop.log_in(NAME)
        self.assertEqual(self.shop.name(), NAME)
        self.assertFalse(self.chrome.has("b b, .who b"), "the name was taken for HTML")

    def test_a_log_out_deletes_the_cookie(self):
        self.shop.log_in(NAME)
        self.shop.count()
        self.shop.log_out()
        self.assertIsNone(self.shop.cookie())
        self.assert_is_a_stranger()
        self.assertEqual(self.shop.counted(), 0)

    def test_the_counter_counts_and_a_reload_does_not(self):
        for number in (1, 2, 3):
            self.shop.count()
            self.assertEqual(self.shop.counted(), number)
        self.chrome.reload()
        self.assertEqual(self.shop.counted(), 3)

    def test_the_basket_keeps_what_was_taken_and_leaves_the_rest_alone(self):
        one, other = self.articles
        self.shop.log_in(NAME)
        self.shop.count()
        for article in (one, other, one):
            self.shop.take(article)
        self.assertEqual([self.shop.pieces(one), self.shop.pieces(other)], [2, 1])
        self.shop.put_all_back()
        self.assertEqual([self.shop.pieces(one), self.shop.pieces(other)], [0, 0])
        self.assertEqual(self.shop.counted(), 1)
        self.shop.enter()
        self.assertEqual(self.shop.name(), NAME)

    def test_a_log_in_keeps_what_a_stranger_had_in_the_basket(self):
        self.shop.take(self.articles[0])
        self.shop.enter()
        self.shop.log_in(NAME)
        self.assertEqual(self.shop.pieces(self.articles[0]), 1)

    def test_a_cookie_ends_with_the_browser_unless_the_user_is_to_be_remembered(self):
        self.shop.log_in(NAME)
        self.assertTrue(self.shop.cookie()["session"])
        self.shop.count()
        self.assertTrue(self.shop.cookie()["session"], "counting made it last")
        self.shop.enter()
        self.shop.log_out()
        self.shop.enter()
        self.shop.log_in(NAME, remember=True)
        self.shop.count()
        self.assertFalse(self.shop.cookie()["session"])
        self.assertAlmostEqual(self.shop.cookie()["expires"], time.time() + DAYS_30, delta=60)

    def test_who_is_remembered_is_known_after_a_restart_of_the_browser_and_nobody_else_is(self):
        with tempfile.TemporaryDirectory() as profile:

            def known_and_gone(shop):
                self.assertEqual(shop.name(), NAME)
                shop.log_out()
                shop.enter()
                shop.log_in(NAME)

            self.in_a_new_browser(profile, lambda shop: shop.log_in(NAME, remember=True))
            self.in_a_new_browser(profile, known_and_gone)
            self.in_a_new_browser(profile, lambda shop: self.assertIsNone(shop.name()))

    def in_a_new_browser(self, profile, act):
        chrome = Chrome(profile)
        try:
            shop = type(self.shop)(chrome, self.shop.home, self.shop.cookie_name)
            shop.enter()
            act(shop)
        finally:
            chrome.quit()

    def test_the_back_button_shows_nothing_private_after_the_log_out(self):
        self.shop.log_in(NAME)
        self.shop.look_inside()
        self.assertIn("Zo", self.shop.inside())
        self.shop.home_again()
        self.assertIn("Zoë", self.chrome.source())
        self.shop.log_out()
        for _ in range(self.pages_back):
            self.chrome.back()
            self.assertNotIn("Zo", self.chrome.source())
        for _ in range(self.pages_back):
            self.chrome.forward()
            self.assertNotIn("Zo", self.chrome.source())

    def test_two_tabs_have_one_session(self):
        first = self.chrome.this_tab()
        second = self.chrome.tab()
        self.shop.enter()
        self.shop.log_in(NAME)
        self.chrome.show(first)
        self.shop.enter()
        self.assertEqual(self.shop.name(), NAME)
        self.shop.count()
        self.chrome.show(second)
        self.shop.count()
        self.assertEqual(self.shop.counted(), 2)
        self.shop.enter()
        self.shop.log_out()
        # The first tab still shows a button from before.
        self.chrome.show(first)
        self.shop.count()
        self.assertEqual(self.shop.counted(), 1)
        self.assert_is_a_stranger()

    def test_scripts_do_not_see_the_session(self):
        self.shop.log_in(NAME)
        self.assertTrue(self.shop.cookie()["httpOnly"])
        self.assertEqual(self.chrome.script("return document.cookie"), "")


class BehindCloakroom:
    """More checks, for a shop whose session cookie is the sidecar's: `sidecar` has its log."""

    def foreign_form(self, path, **fields):
        """Sends a form to the shop from a page of another site."""
        to = urllib.parse.urljoin(self.shop.home, path)
        query = urllib.parse.urlencode({"to": to, **fields})
        self.chrome.open(f"http://evil.test:{self.elsewhere.port}/?{query}")
        self.chrome.submit("form")

    def test_the_cookie_is_lax_and_has_no_domain(self):
        self.shop.log_in(NAME)
        cookie = self.shop.cookie()
        host = urllib.parse.urlsplit(self.shop.home).hostname
        self.assertEqual([cookie["sameSite"], cookie["path"], cookie["domain"]], ["Lax", "/", host])

    def test_a_link_on_another_site_leads_to_the_session(self):
        self.shop.log_in(NAME)
        query = urllib.parse.urlencode({"to": self.shop.home})
        self.chrome.open(f"http://evil.test:{self.elsewhere.port}/?{query}")
        self.chrome.click("a")
        self.assertEqual(self.shop.name(), NAME)
