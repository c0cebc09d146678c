"""Flask sessions with cloakroom: flask.session, flash() and everything that uses them.

The content comes in X-Session and goes out in X-Session-Save, -Delete, -Renew and -Max-Age. One line:

    app.session_interface = cloakroom_flask.FlaskSessions()

Settings in app.config: CLOAKROOM_HEADER = "X-Session"; CLOAKROOM_SESSIONLESS = (), what the paths begin with for which
cloakroom sends no X-Session; CLOAKROOM_TAGS = True to keep the types that Flask adds to JSON (datetime, Markup, …).
"""

import json
import math

from flask.json.tag import TaggedJSONSerializer
from flask.sessions import NullSession, SecureCookieSession, SessionInterface
from markupsafe import Markup

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


class FlaskSession(SecureCookieSession):
    """The class of flask.session: a dict that refuses changes that come too late."""

    changed = sealed = renewed = False

    def __init__(self, received):
        super().__init__(received.values)
        self.received = received

    @property
    def modified(self):
        return self.changed

    @modified.setter
    def modified(self, value):
        if value and self.sealed:
            raise SessionError("The session was changed after the headers of the answer were made: it cannot be saved.")
        self.changed = value


class NoSession(NullSession):
    """For a path without session: raises an error if the app uses it."""

    def _fail(self, *args, **kwargs):
        raise SessionError("There is no session on this path: it is listed in CLOAKROOM_SESSIONLESS.")

    __getitem__ = __contains__ = __iter__ = __len__ = get = keys = values = items = _fail
    __setitem__ = __delitem__ = clear = pop = popitem = update = setdefault = _fail


class FlaskSessions(SessionInterface):
    null_session_class = NoSession

    def open_session(self, app, request):
        header = app.config.get("CLOAKROOM_HEADER", "X-Session")
        text = request.headers.get(header)
        if text is None and request.path.startswith(tuple(app.config.get("CLOAKROOM_SESSIONLESS", ()))):
            return None  # Flask then uses NoSession
        if app.config.get("CLOAKROOM_TAGS"):
            tags = TaggedJSONSerializer()
            return FlaskSession(Received(text, header, tags.loads, tags.tag))
        return FlaskSession(Received(text, header, refused=Markup))

    def save_session(self, app, session, response):
        if session is None:
            return  # open_session() has failed, and this is the error page
        if session.accessed:
            # For caches between app and sidecar; the sidecar replaces it with Cookie.
            response.vary.add(session.received.header)
        if session.modified or session.renewed:
            max_age = int(app.permanent_session_lifetime.total_seconds()) if session.permanent else 0
            said = session.received.answer(session, session.renewed, max_age)
            response.headers.update(said)
            if said:
                # For caches between app and sidecar, which do not know these headers.
                response.cache_control.private, response.cache_control.public = True, False
        session.sealed = True

    def regenerate(self, session):
        """A new id, as in Flask-Session. Flask itself has no such call: see README.md."""
        session.renewed = True
