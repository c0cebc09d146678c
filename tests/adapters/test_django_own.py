"""Django's own tests for session back ends, with a store that saves and loads through a real cloakroom.

A session's key is there what it is to Django, what the browser gets: the cookie's value.
"""

import ast
import base64
import sys
import unittest
from datetime import timedelta

import sources
from support import ADAPTERS, Folder, Told, store

sys.path.insert(0, str(ADAPTERS / "python"))

# What does not apply, and why: where sessions are in cookies, and where they are in a store.
COPIES = "sessions are in cookies here: a copy is good until it expires, as with Django's own signed_cookies"
CYCLE = "a session that was renewed can be read under its old id for 10 s more, and not be written"
LEFT_OUT = {
    "test_delete": COPIES,
    "test_flush": COPIES,
    "test_cycle": COPIES,
    "test_session_save_does_not_resurrect_session_logged_out_in_other_context": COPIES,
    "test_session_asave_does_not_resurrect_session_logged_out_in_other_context": COPIES,
}
LEFT_OUT_WITH_A_STORE = {"test_cycle": CYCLE}


def through_cloakroom(told):
    """A session store as Django knows them: each of its objects is a request that is open until the next save()."""
    from cloakroom_django import Received, SessionBase, SessionStore
    from django.contrib.sessions.backends.base import UpdateError

    class Store(SessionStore):
        session_key = property(SessionBase._get_session_key)

        def __init__(self, session_key=None):
            super().__init__(read=self.open)
            self._session_key = session_key
            self.request = None

        def cookies(self, session_key):
            return {"session": session_key} if session_key else {}

        def open(self):
            self.request = self.request or told.begin(self.cookies(self.session_key))
            if self.request.session == "{}":
                self._session_key = None
            return Received(self.request.session, "X-Session")

        def exists(self, session_key):
            return told.exchange(self.cookies(session_key))[1].text != "{}"

        def save(self, must_create=False):
            super().save()
            if not self._session:
                SessionStore.session_key.fget(self)
            browser, answer = self.tell(self.answer())
            if answer.status == 409:
                raise UpdateError
            self._session_key = browser.cookies.get("session")
            self.__dict__.pop("received", None)
            self.open()

        def tell(self, say):
            self.received
            request, self.request = self.request, None
            return request.finish(say)

        def delete(self, session_key=None):
            own = session_key in (None, self.session_key)
            told.exchange(self.cookies(self.session_key if own else session_key), {"X-Session-Delete": "1"})
            if own:
                self.clear()

        def load(self):
            if self.request is None:
                self.__dict__.pop("received", None)
            return super().load()

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

    class Own(mixin(), SimpleTestCase):
        @classmethod
        def setUpClass(cls):
            super().setUpClass()
            folder = Folder()
            cls.addClassCleanup(folder.stop)
            told = Told(folder.path, **cls.settings(folder.path))
            cls.addClassCleanup(told.stop)
            cls.backend = through_cloakroom(told)

    class InCookies(Own):
        settings = staticmethod(lambda folder: {})

    class InAStore(Own):
        @staticmethod
        def settings(folder):
            given = store(folder)
            # So that a save that came too late is told to the client too.
            return {**given, "session": f'{given["session"]}\non_conflict = "fail"'}

    suite = unittest.TestSuite()
    for tests, left_out in [(InCookies, LEFT_OUT), (InAStore, LEFT_OUT_WITH_A_STORE)]:
        for name, why in left_out.items():
            for each in {name, f"{name}_async"} & set(dir(tests)):
                setattr(tests, each, unittest.skip(why)(lambda self: None))
        suite.addTests(loader.loadTestsFromTestCase(tests))
    return suite
