"""Django sessions with cloakroom: request.session, and with it log-ins, messages and the admin.

The content comes in X-Session and goes out in X-Session-Save, -Delete, -Renew and -Max-Age. One line of settings.py,
in the place of django.contrib.sessions.middleware.SessionMiddleware:

    MIDDLEWARE = [..., "cloakroom_django.SessionMiddleware", ...]

Two settings more: CLOAKROOM_HEADER = "X-Session", and CLOAKROOM_SESSIONLESS = (), what the paths begin with for which
cloakroom sends no X-Session.
"""

import hashlib
import json
import math

from django.conf import settings
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, SessionBase
from django.contrib.sessions.middleware import SessionMiddleware as DjangosSessionMiddleware
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.crypto import get_random_string
from django.utils.functional import cached_property

# The same in each of the adapters for Python, up to the next such line ------------------------------------------------


class SessionError(RuntimeError):
    """The session cannot be read or saved. Do not catch this: it is an error in the app or its set-up."""


def dumps(value):
    """JSON on one line of ASCII. DEL is ASCII too, and no header may contain it."""
    return json.dumps(value, separators=(",", ":")).replace("\x7f", "\\u007f")


def check(value, name, refused=(), depth=2):
    """Names the first value that JSON cannot hold, or would change."""
    if depth > 128:
        raise SessionError(f"{name} cannot be saved: it is nested too deeply, or contains itself.")
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            check(item, f"{name}[{index}]", refused, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise SessionError(f"{name}[{key!r}] cannot be saved: keys in JSON are text, not {type(key).__name__}.")
            check(item, f"{name}[{key!r}]", refused, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise SessionError(f"{name} cannot be saved: JSON has no {value}.")
    elif value is not None and not isinstance(value, (str, int, float)) or isinstance(value, refused):
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise SessionError(f"{name} cannot be saved: it is a {kind}. Keep text or a number in its place.")


class Received:
    """X-Session as it came: the values, and the text of each, which an unchanged value is saved as."""

    def __init__(self, text, header, loads=json.loads, prepare=lambda value: value, refused=()):
        self.header, self.loads, self.prepare, self.refused = header, loads, prepare, refused
        if text is None:
            raise SessionError(
                f"{header} is missing: this request did not come through cloakroom, "
                'or its path has no session (session = "off", the health check). Let only cloakroom reach the app.'
            )
        try:
            self.texts = dict(self._split(text))
            self.values = {key: loads(value) for key, value in self.texts.items()}
        except (ValueError, IndexError, RecursionError) as error:
            raise SessionError(f'{header} cannot be read; headers.encoding must be "json": {error}') from None

    @staticmethod
    def _split(text):
        decode, at = json.JSONDecoder().raw_decode, 1
        while text[at] != "}":
            key, at = decode(text, at)
            end = decode(text, at + 1)[1]
            yield key, text[at + 1 : end]
            at = end + (text[end] == ",")
        if text[0] != "{" or at != len(text) - 1:
            raise ValueError("it is not a JSON object")

    def answer(self, session, renewed=False, max_age=None):
        """The headers that tell the sidecar what has changed; none if nothing has."""
        texts, headers = {key: self._text(key, value) for key, value in session.items()}, {}
        if texts and texts != self.texts:
            headers["Save"] = "{" + ",".join(f"{dumps(key)}:{text}" for key, text in texts.items()) + "}"
            if max_age is not None:
                headers["Max-Age"] = str(max_age)
        if self.texts and (renewed or not texts):
            headers["Renew" if texts else "Delete"] = "1"
        return {f"{self.header}-{name}": value for name, value in headers.items()}

    def _text(self, key, value):
        value, before = self.prepare(value), self.texts.get(key)
        try:
            if before is not None and dumps(value) == dumps(self.prepare(self.loads(before))):
                return before
        except (TypeError, ValueError, RecursionError):
            pass  # changed to a value that the check below reports
        if not isinstance(key, str):
            raise SessionError(f"session[{key!r}] cannot be saved: keys in JSON are text, not {type(key).__name__}.")
        check(value, f"session[{key!r}]", self.refused)
        return dumps(value)


# ----------------------------------------------------------------------------------------------------------------------


# The key of session_key, for apps that ask for one. session_id() of PHP's adapter uses the same.
KEY = "_session_id"


class SessionStore(SessionBase):
    """The class of request.session. `read` returns what was received, or raises if nothing was."""

    changed = sealed = renewed = wants_key = False

    def __init__(self, session_key=None, read=lambda: Received("{}", "X-Session")):
        if session_key is not None:
            raise SessionError("A session cannot be loaded by its key: only the request's own session is available.")
        self.read = read
        super().__init__()

    @cached_property
    def received(self):
        return self.read()

    @property
    def modified(self):
        return self.changed

    @modified.setter
    def modified(self, value):
        if value and self.sealed:
            raise SessionError("The session was changed after the headers of the answer were made: it cannot be saved.")
        self.changed = value

    @property
    def session_key(self):
        """None for a new session, as before. It is not a secret, and opens no session."""
        if KEY not in self._session and (self._session or self.wants_key) and not self.sealed:
            self[KEY] = get_random_string(32, VALID_KEY_CHARS)
        return self._session.get(KEY)

    def load(self):
        expiry = self.received.values.get("_session_expiry")
        # set_expiry() was given a date, but the sidecar needs the time that a session may be idle.
        if isinstance(expiry, str) and self.get_expiry_age(expiry=expiry) <= 0:
            self.modified = True
            return {}
        return self.received.values

    def _get_session(self, no_load=False):
        self.accessed = True
        if not hasattr(self, "_session_cache"):
            self._session_cache = self.load()
        return self._session_cache

    _session = property(_get_session)

    async def _aget_session(self, no_load=False):
        return self._get_session()

    def save(self, must_create=False):
        self.wants_key = True  # apps call save() to get a key; the middleware saves changes

    create = save

    def cycle_key(self):
        if self.pop(KEY, None):
            self[KEY] = get_random_string(32, VALID_KEY_CHARS)
        self.renewed = True

    async def acycle_key(self):
        self.cycle_key()

    def exists(self, session_key):
        return session_key is not None and session_key == self._session.get(KEY)

    def delete(self, session_key=None):
        if session_key is not None and not self.exists(session_key):
            raise SessionError("Only the request's own session can be deleted by its key.")
        self.clear()
        self.renewed = True

    @classmethod
    def clear_expired(cls):
        """There is no store with expired sessions."""

    def answer(self):
        """The headers that tell the sidecar what has changed."""
        if not (self.modified or self.renewed or settings.SESSION_SAVE_EVERY_REQUEST):
            return {}
        session, max_age = self._session, None
        if "_session_expiry" in session or "_session_expiry" in self.received.texts:
            max_age = self.get_expiry_age()
            if self.get_expire_at_browser_close():
                max_age = 0
            elif max_age <= 0:
                session = {}
        elif self.renewed or not self.received.texts:
            # From the settings, if they are set; otherwise session.ttl of the sidecar applies.
            if settings.SESSION_EXPIRE_AT_BROWSER_CLOSE:
                max_age = 0
            elif settings.is_overridden("SESSION_COOKIE_AGE"):
                max_age = settings.SESSION_COOKIE_AGE
        return self.received.answer(session, self.renewed, max_age)


class SessionMiddleware(DjangosSessionMiddleware):
    def __init__(self, get_response):
        # Not the __init__ of Django's middleware, which would load SESSION_ENGINE.
        super(DjangosSessionMiddleware, self).__init__(get_response)
        self.SessionStore = SessionStore
        self.header = getattr(settings, "CLOAKROOM_HEADER", "X-Session")
        self.sessionless = tuple(getattr(settings, "CLOAKROOM_SESSIONLESS", ()))

    def process_request(self, request):
        text = request.headers.get(self.header)
        request.session = SessionStore(read=lambda: Received(text, self.header))
        if not (text is None and request.path.startswith(self.sessionless)):
            request.session.received
        if text not in (None, "{}"):
            # The sidecar removes the session's cookie. Django's caches distinguish users by Cookie, and apps look for it.
            key = hashlib.sha256(text.encode()).hexdigest()
            cookies = [request.META.get("HTTP_COOKIE"), f"{settings.SESSION_COOKIE_NAME}={key}"]
            request.META["HTTP_COOKIE"] = "; ".join(filter(None, cookies))

    def process_response(self, request, response):
        session = getattr(request, "session", None)
        if not isinstance(session, SessionStore):
            return response
        if session.accessed:
            # For caches between app and sidecar; the sidecar replaces it with Cookie.
            patch_vary_headers(response, [self.header])
        # As before, nothing is saved with a server error, except a log-out.
        if response.status_code < 500 or session.is_empty():
            for name, value in session.answer().items():
                response[name] = value
                patch_cache_control(response, private=True)
        session.modified, session.sealed = False, True
        return response
