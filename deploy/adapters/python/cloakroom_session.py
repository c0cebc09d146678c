"""Sessions of WSGI and ASGI apps (Starlette, FastAPI and others) with cloakroom.

The content comes in X-Session and goes out in X-Session-Save, -Delete, -Renew and -Max-Age. One line:

    app = cloakroom_session.WSGISessions(app)     # environ["cloakroom.session"]
    app = cloakroom_session.ASGISessions(app)     # scope["session"], which is Starlette's request.session
"""

import json
import math
import re

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


class Session(dict):
    """The session of WSGI and ASGI apps: a dict. Its content at the end is saved."""

    def __init__(self, received):
        super().__init__(received.values)
        self.received, self.renewed, self.max_age = received, False, None

    def invalidate(self):
        """Ends the session. Values stored after this are in a new one."""
        self.clear()
        self.renewed = True

    def regenerate(self):
        """Gives the session a new id, for log-ins."""
        self.renewed = True

    def save(self):
        """Does nothing. For apps that were written for Beaker or Starlette."""

    delete, mark_modified, mark_accessed = invalidate, save, save

    def answer(self):
        return self.received.answer(self, self.renewed, self.max_age)

    def check_nothing_came_late(self, said):
        if self.answer() != said:
            raise SessionError("The session was changed after the headers of the answer were sent: it cannot be saved.")


def unshared(headers):
    """The same, but not for shared caches: a cache between app and sidecar does not know X-Session-Save."""
    own = [value for name, value in headers if name.lower() == "cache-control"]
    left = re.sub(r",? *\b(public|private)\b(?!=)", "", ", ".join(own), flags=re.IGNORECASE)
    kept = [(name, value) for name, value in headers if name.lower() != "cache-control"]
    return [*kept, ("Cache-Control", f"{left}, private".lstrip(", "))]


class WSGISessions:
    """Middleware. `sessionless`: prefixes of the paths for which cloakroom sends no X-Session."""

    def __init__(self, app, key="cloakroom.session", header="X-Session", sessionless=()):
        self.app, self.key, self.header, self.sessionless = app, key, header, tuple(sessionless)

    def __call__(self, environ, start_response):
        text = environ.get("HTTP_" + self.header.upper().replace("-", "_"))
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        if text is None and path.startswith(self.sessionless):
            return self.app(environ, start_response)
        session = environ[self.key] = Session(Received(text, self.header))
        head = said = write = None

        def start(*given):
            nonlocal head
            if said is not None:
                return start_response(*given)  # too late; the server reports it
            head = given
            return lambda data: (send(), write(data))

        def send():
            nonlocal said, write
            if said is None:
                answer = session.answer()
                headers = [*(unshared(head[1]) if answer else head[1]), *answer.items(), ("Vary", self.header)]
                write, said = start_response(head[0], headers, *head[2:]), answer

        def stream(body):
            try:
                for chunk in body:
                    # The headers are sent with the first byte: until then the session can change.
                    if chunk or said is not None:
                        send()
                        yield chunk
                send()
                session.check_nothing_came_late(said)
            finally:
                getattr(body, "close", lambda: None)()

        body = self.app(environ, start)
        wrapper = environ.get("wsgi.file_wrapper")
        if head and isinstance(body, (list, tuple, wrapper if isinstance(wrapper, type) else tuple)):
            send()
            return body
        return stream(body)


class ASGISessions:
    """Middleware for HTTP and WebSockets. Settings as for WSGI."""

    def __init__(self, app, key="session", header="X-Session", sessionless=()):
        self.app, self.key, self.header, self.sessionless = app, key, header, tuple(sessionless)

    async def __call__(self, scope, receive, send):
        name = self.header.lower().encode()
        text = next((value.decode("latin-1") for key, value in scope.get("headers", ()) if key == name), None)
        if scope["type"] not in ("http", "websocket") or text is None and scope["path"].startswith(self.sessionless):
            return await self.app(scope, receive, send)
        session = Session(Received(text, self.header))
        said = {}

        async def send_with_session(message):
            if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
                said.update(session.answer())
                own = [(key.decode("latin-1"), value.decode("latin-1")) for key, value in message.get("headers", ())]
                headers = [*(unshared(own) if said else own), *said.items(), ("vary", self.header)]
                headers = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in headers]
                message = {**message, "headers": headers}
            await send(message)

        await self.app({**scope, self.key: session}, receive, send_with_session)
        session.check_nothing_came_late(said)
