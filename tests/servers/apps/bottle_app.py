"""Bottle's own router."""

from bottle import Bottle, request
from seen import note

application = Bottle()


def page(admin):
    return note(
        request.method,
        request.path,
        admin,
        request.get_header("X-Session", ""),
        request.urlparts.scheme,
        request.environ.get("REMOTE_PORT", 0),
        request.body.read(),
        request.headers.items(),
    )


@application.route("/admin", method="ANY")
@application.route("/admin/", method="ANY")
@application.route("/admin/<rest:path>", method="ANY")
def admin(rest=""):
    return page(True)


@application.route("/", method="ANY")
@application.route("/<rest:path>", method="ANY")
def other(rest=""):
    return page(False)
