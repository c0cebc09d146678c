"""A Flask app; rules.py says what it answers to."""

import datetime
import os
import uuid

import flask
from markupsafe import Markup

import cloakroom_flask

app = flask.Flask(__name__)
app.config["CLOAKROOM_HEADER"] = os.environ.get("PREFIX", "X-Session")
app.config["CLOAKROOM_SESSIONLESS"] = ["/healthz"]
app.config["CLOAKROOM_TAGS"] = bool(os.environ.get("TAGS"))
app.session_interface = cloakroom_flask.FlaskSessions()
session = flask.session


@app.get("/show")
def show():
    return dict(session)


@app.get("/read")
def read():
    return str(len(session))


@app.post("/set")
def put():
    session[flask.request.args["key"]] = flask.request.get_json(force=True)
    return "ok"


@app.post("/public")
def public():
    session[flask.request.args["key"]] = 1
    return "ok", {"Cache-Control": "public, max-age=60"}


@app.post("/drop")
def drop():
    del session[flask.request.args["key"]]
    return "ok"


@app.post("/login")
def login():
    app.session_interface.regenerate(session)
    session["user"] = flask.request.args["name"]
    if "remember" in flask.request.args:
        session.permanent = True
    return "ok"


@app.post("/logout")
def logout():
    session.clear()
    return "ok"


@app.post("/forget")
def forget():
    session.permanent = False
    return "ok"


@app.post("/bad")
def bad():
    session[flask.request.args["key"]] = object()
    return "ok"


@app.post("/special")
def special():
    session["when"] = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    session["pair"] = (1, 2)
    session["id"] = uuid.UUID(int=7)
    session["bytes"] = b"\xff"
    session["html"] = Markup("<b>")
    return "ok"


@app.get("/special")
def specials():
    return repr([session["when"], session["pair"], session["id"], session["bytes"], session["html"]])


@app.post("/markup")
def markup():
    flask.flash(Markup("<b>"))
    return "ok"


@app.post("/flash")
def flash():
    flask.flash("Saved.", "info")
    flask.flash("Twice.", "error")
    return "ok"


@app.get("/flashes")
def flashes():
    return flask.get_flashed_messages(with_categories=True)


@app.post("/nested")
def nested():
    session["cart"]["hat"] = 1
    session.modified = "tell" in flask.request.args
    return "ok"


@app.get("/late")
def late():
    @flask.stream_with_context
    def stream():
        yield "one"
        session["late"] = 1
        yield "two"

    return flask.Response(stream())


@app.get("/healthz")
def health():
    return session.get("user", "") if "ask" in flask.request.args else "well"
