"""Django's own tests for session back ends, with a store that saves and loads through a real cloakroom.

A session's key is there what it is to Django, what the browser gets: the cookie's value.
"""

import ast
import base64
import sys
import unittest
from datetime import timedelta

import sources
from support import ADAPTERS, Folder, Told

sys.path.insert(0, str(ADAPTERS / "python"))

# What does not apply, and why.
COPIES = "sessions are in cookies here: a copy is good until it expires, as with Django's own signed_cookies"
LEFT_OUT = {
    "test_delete": COPIES,
    "test_flush": COPIES,
    "test_cycle": COPIES,
    "test_session_save_does_not_resurrect_session_logged_out_in_other_context": COPIES,
    "test_session_asave_does_not_resurrect_session_logged_out_in_other_context": COPIES,
}


def through_cloakroom(told):
    """A session store as Django knows them."""
    from cloakroom_django import Received, SessionBase, SessionStore

    def exchange(key, say=()):
        browser, answer = told.exchange({"session": key} if key else {}, say)
        return answer.text, browser.cookies.get("session")

    class Store(SessionStore):
        session_key = property(SessionBase._get_session_key)

        def __init__(self, session_key=None):
            super().__init__(read=self.open)
            self._session_key = session_key

        def open(self):
            came, _ = exchange(self.session_key)
            if came == "{}":
                self._session_key = None
            return Received(came, "X-Session")

        def exists(self, session_key):
            return exchange(session_key)[0] != "{}"

        def save(self, must_create=False):
            super().save()
            if not self._session:
                SessionStore.session_key.fget(self)
            _, self._session_key = exchange(self.session_key, self.answer())
            self.__dict__.pop("received", None)

        def delete(self, session_key=None):
            if session_key in (None, self.session_key):
                self.clear()

    return Store


def mixin():
    """The class, cut out of a file that needs Django's whole test suite around it."""
    from django.conf import settings
    from django.contrib.sessions.backends.base import UpdateError
    from django.core.signing import TimestampSigner
    from django.test import override_settings
    from django.utils import timezone

    text = (sources.folder("django") / "tests/sessions_tests/tests.py").read_text()
    found = next(node for node in ast.parse(text).body if getattr(node, "name", "") == "SessionTestsMixin")
    names = dict(
        base64=base64, settings=settings, timedelta=timedelta, timezone=timezone, UpdateError=UpdateError,
        TimestampSigner=TimestampSigner, override_settings=override_settings,
    )
    exec(compile(ast.Module([found], []), "SessionTestsMixin", "exec"), names)
    return names["SessionTestsMixin"]


def load_tests(loader, tests, pattern):
    from django.conf import settings

    if not settings.configured:
        settings.configure(USE_TZ=True, SECRET_KEY="for encode() and decode() only")
    from django.test import SimpleTestCase

    class SessionTests(mixin(), SimpleTestCase):
        @classmethod
        def setUpClass(cls):
            super().setUpClass()
            folder = Folder()
            cls.addClassCleanup(folder.stop)
            told = Told(folder.path)
            cls.addClassCleanup(told.stop)
            cls.backend = through_cloakroom(told)

    for name, why in LEFT_OUT.items():
        for each in {name, f"{name}_async"} & set(dir(SessionTests)):
            setattr(SessionTests, each, unittest.skip(why)(lambda self: None))
    return loader.loadTestsFromTestCase(SessionTests)
