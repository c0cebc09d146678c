"""For servers of WSGI: the page is chosen by PATH_INFO, with repeated slashes merged as Flask does it."""

import re

from seen import note


def application(environ, start_response):
    path = environ.get("PATH_INFO", "").encode("latin-1")
    merged = re.sub(rb"/+", b"/", path)
    line = note(
        environ["REQUEST_METHOD"],
        path,
        merged == b"/admin" or merged.startswith(b"/admin/"),
        environ.get("HTTP_X_SESSION", ""),
        environ["wsgi.url_scheme"],
        environ.get("REMOTE_PORT", 0),
        body_of(environ),
        [
            (name, value)
            for name, value in environ.items()
            if name.startswith("HTTP_") or name in ("SCRIPT_NAME", "CONTENT_LENGTH", "CONTENT_TYPE")
        ],
    )
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(line)))])
    return [line]


def body_of(environ):
    length = environ.get("CONTENT_LENGTH")
    if length:
        return environ["wsgi.input"].read(int(length))
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() != "chunked":
        return b""
    try:
        from uwsgi import chunked_read
    except ImportError:
        return environ["wsgi.input"].read()
    return b"".join(iter(chunked_read, b""))
