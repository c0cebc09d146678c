"""A plug-in for pytest: each Flask app has the adapter, and its session comes from and goes to a real cloakroom.

The app's own code runs in the test, which looks into it. What a request would have brought is fetched when the session
is opened, and what its answer says is sent when it is saved.
"""

import pytest
from flask import Flask
from werkzeug.http import parse_cookie

import cloakroom_flask
from support import Folder, Told


class Behind(cloakroom_flask.FlaskSessions):
    told = None

    def open_session(self, app, request):
        cookies = parse_cookie(request.headers.get("Cookie"))
        request.environ["HTTP_X_SESSION"] = self.told.exchange(cookies)[1].text
        session = super().open_session(app, request)
        session.cookies = cookies
        return session

    def save_session(self, app, session, response):
        super().save_session(app, session, response)
        said = {name: value for name, value in response.headers if name.startswith("X-Session-")}
        for name in said:
            del response.headers[name]
        if "Vary" in response.headers:
            said["Vary"] = response.headers["Vary"]
        _, answer = self.told.exchange(session.cookies, said)
        response.headers["Vary"] = answer.headers["Vary"]
        for line in answer.headers.get_all("Set-Cookie") or ():
            response.headers.add("Set-Cookie", line)


@pytest.fixture(scope="session", autouse=True)
def cloakroom():
    folder = Folder()
    Behind.told = Told(folder.path)
    Flask.session_interface = Behind()
    Flask.default_config = {**Flask.default_config, "CLOAKROOM_TAGS": True}
    yield
    Behind.told.stop()
    folder.stop()
