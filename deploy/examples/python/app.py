"""A small shop that does not handle cookies: the session comes as JSON in X-Session."""
import json, os, re
from html import escape
from urllib.parse import parse_qs
from wsgiref.simple_server import make_server

PAGE = "<!doctype html>\n<title>Hats and coats</title>\n<h1>Hats and coats, in Python</h1>\n"
STRANGER = """<form method=post action=/login>Name: <input name=name required maxlength=40> <label><input type=checkbox name=remember> remember me</label> <button>Log in</button></form>"""
FRIEND = """<form method=post action=/logout>Hello, <b id=name>{}</b>. <button>Log out</button></form>"""
SHOP = """{}
<form method=post action=/count><p>Count: <b id=count>{}</b> <button>Count</button></form>
<form method=post action=/basket><p>Hats: <b id=hat>{}</b> <button name=article value=hat>Take a hat</button></form>
<form method=post action=/basket><p>Coats: <b id=coat>{}</b> <button name=article value=coat>Take a coat</button></form>
<form method=post action=/empty><p><button>Put all back</button></form>
<p><a href=/session>What is in the session</a>
"""

def app(environ, start_response):
    session, path = json.loads(environ["HTTP_X_SESSION"]), environ["PATH_INFO"]
    basket = session.get("basket", {})

    def page(status, main):
        # With Clear-Site-Data at the log-out, so that the back button shows nothing private.
        start_response(status, [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")])
        return [(PAGE + main).encode()]

    if environ["REQUEST_METHOD"] == "POST":
        # SameSite does not send the session with forms of other sites, but their answers could replace it.
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and re.sub("^https?://", "", origin) != environ["HTTP_HOST"]:
            return page("403 Forbidden", "<p>That form is not ours.\n")
        body = environ["wsgi.input"].read(min(int(environ.get("CONTENT_LENGTH") or 0), 10_000))
        form = {key: values[0] for key, values in parse_qs(body.decode(errors="replace")).items()}
        name, article = form.get("name", ""), form.get("article")
        if path == "/login" and re.fullmatch(r"[^\x00-\x1f\x7f-\x9f]{1,40}", name):
            session["name"] = name
            control = [("X-Session-Save", json.dumps(session)), ("X-Session-Max-Age", "2592000" if "remember" in form else "0")]
        elif path == "/count":
            control = [("X-Session-Merge", json.dumps({"count": session.get("count", 0) + 1}))]
        elif path == "/basket" and article in ("hat", "coat"):
            control = [("X-Session-Merge", json.dumps({"basket": {article: basket.get(article, 0) + 1}}))]
        elif path == "/empty":
            control = [("X-Session-Merge", '{"basket":null}')]
        elif path == "/logout":
            control = [("X-Session-Delete", "1"), ("Clear-Site-Data", '"cache"')]
        else:
            return page("403 Forbidden", "<p>That form is not ours.\n")
        start_response("303 See Other", [("Location", "/"), *control])
        return []
    if path == "/session":
        return page("200 OK", f'<pre id=session>{escape(environ["HTTP_X_SESSION"])}</pre>\n<p><a href=/>Back</a>\n')
    if path != "/":
        return page("404 Not Found", "<p>There is no such page.\n")
    who = FRIEND.format(escape(session["name"])) if "name" in session else STRANGER
    numbers = (session.get("count", 0), basket.get("hat", 0), basket.get("coat", 0))
    return page("200 OK", SHOP.format(who, *(escape(str(number)) for number in numbers)))

make_server(os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000")), app).serve_forever()
