"""A WSGI app that finds its session in the environ; rules.py says what it answers to."""

import json
import os
from urllib.parse import parse_qs

import cloakroom_session


def app(environ, start_response):
    session = environ["cloakroom.session"]
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    key = query.get("key", [""])[0]
    text = "ok"
    match environ["PATH_INFO"]:
        case "/show":
            text = json.dumps(session)
        case "/read":
            text = str(len(session))
        case "/set":
            session[key] = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        case "/public":
            session[key] = 1
            start_response("200 OK", [("Cache-Control", "public, max-age=60")])
            return [b"ok"]
        case "/drop":
            del session[key]
        case "/login":
            session.regenerate()
            session["user"] = query["name"][0]
        case "/logout":
            session.invalidate()
        case "/bad":
            session[key] = object()
        case "/stream":
            return stream(session, start_response)
        case "/late":
            return late(session, start_response)
        case "/write":
            write = start_response("200 OK", [])
            session["written"] = 1
            write(b"by hand")
            return []
    start_response("200 OK", [("Content-Type", "application/json")])
    return [text.encode()]


def stream(session, start_response):
    start_response("200 OK", [])
    yield b""
    session["streamed"] = 1
    yield b"one"
    yield b"two"


def late(session, start_response):
    start_response("200 OK", [])
    yield b"one"
    session["late"] = 1
    yield b"two"


app = cloakroom_session.WSGISessions(app, header=os.environ.get("PREFIX", "X-Session"), sessionless=["/healthz"])
