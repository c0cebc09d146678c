"""Whether a proxy really does what its row says, asked before anything is measured."""

import base64
import json
import ssl
import subprocess
import urllib.parse

from . import backend
from .exchange import Answer, ask
from .matrix import DICTS
from .processes import Fault


def quiet_tls(plain):
    """TLS to the certificate that was made for this run, which nobody has signed."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname="app.test")


def asked(runner, path, fields):
    """The answer to what the case asks, in its protocol."""
    if runner.case.variant != "h2":
        return ask(runner.port, path, fields, quiet_tls if runner.case.variant == "tls" else None)
    options = [part for field in fields for part in ("-H", field)]
    done = subprocess.run(["nghttp", *options, f"http://127.0.0.1:{runner.port}{path}"], timeout=10,
                          check=True, capture_output=True, text=True)
    return Answer(200 if done.stdout else 500, [], done.stdout)


def part(token):
    """The payload of a JWT."""
    text = token.split(".")[1] if token.count(".") == 2 else token
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def arrived(proxy, text):
    """The dict, from how this proxy writes it; None where there is none."""
    if text in ("", "{}"):
        return None
    if proxy.family == "envoy":
        return part(text)
    if proxy.family == "apache":
        return dict(urllib.parse.parse_qsl(text))
    return json.loads(text)


def seen(runner, fields):
    answer = asked(runner, backend.SEEN, fields)
    lines = dict(line.split("=", 1) for line in answer.body.splitlines())
    if answer.status != 200 or set(lines) != {"session", "cookie"}:
        raise ValueError(f"status {answer.status} and {answer.body!r}")
    return arrived(runner.proxy, lines["session"]), lines["cookie"]


def expected(runner):
    if not runner.proxy.session or runner.case.dict in ("", "forged"):
        return None
    if runner.proxy.family == "apache":
        return dict(urllib.parse.parse_qsl(backend.APACHE_PAIRS))
    return DICTS[runner.case.dict]


def must(what, holds):
    if not holds:
        raise ValueError(what)


def reading(runner):
    """The dict of the case arrives; that of a forged cookie does not."""
    fields = runner.fields()
    got, cookies = seen(runner, fields)
    must(f"the session {got} arrives, not {expected(runner)}", got == expected(runner))
    if runner.case.dict and not runner.proxy.session:
        must("the cookies do not pass", f"Cookie: {cookies}" == fields[-1])
    if runner.case.dict and runner.proxy.name == "cloakroom":
        must("the session cookie passes", "session=" not in cookies)
    if runner.case.browser:
        must("the other cookies do not pass", "theme=dark" in cookies and "_ga=GA1" in cookies)
    if runner.case.dict and runner.proxy.session:
        got, _ = seen(runner, runner.fields("forged"))
        must(f"the session {got} arrives with a bad signature", got is None)


def writing(runner):
    """A save, a merge and a refresh each set a cookie, again and again; what asked for it goes no further."""
    for _ in range(3):
        answer = asked(runner, runner.case.path, runner.fields())
        must(f"status {answer.status}", answer.status == 200)
        cookie = answer.field("Set-Cookie")
        if runner.proxy.name == "bare":
            must("a cookie is set", not cookie)
            continue
        must("no cookie is set", cookie.startswith("session="))
        cookie = cookie.partition(";")[0]
        if runner.proxy.name == "cloakroom":
            payload = part(cookie.removeprefix("session="))
        else:
            payload, _ = seen(runner, [f"Cookie: {cookie}"])
        must("the control header passes", not answer.field("X-Session-Save") + answer.field("X-Session-Merge"))
        want = {"/save": {"user": "alice", "n": 12345}, "/merge": {"theme": "dark", "n": 12346},
                "/": {"theme": "dark", "n": 12345678}}[runner.case.path]
        must(f"{payload} is saved", want.items() <= payload.items())
        must("the cookie has no lifetime", runner.case.variant != "refresh" or {"cr", "exp"} <= set(payload))


def answered(runner, when):
    """What is asked under load is answered 200: wrk would count a redirect as good."""
    answer = asked(runner, runner.case.path, runner.fields())
    must(f"status {answer.status} {when}", answer.status == 200)


def check(runner):
    try:
        answered(runner, "before the load")
        reading(runner)
        if runner.case.group == "write":
            writing(runner)
        elif runner.case.variant != "h2":
            must("a cookie is set unasked", not asked(runner, "/", runner.fields()).field("Set-Cookie"))
    except (ValueError, OSError, subprocess.SubprocessError) as fault:
        raise Fault(f"{runner.proxy.name}, {runner.case.title}: it does not do what is to be measured: {fault}"
                    f"\n{runner.program.said()}") from None


def check_again(runner):
    """After a round: what it answers has not changed meanwhile."""
    try:
        answered(runner, "after the load")
    except (ValueError, OSError, subprocess.SubprocessError) as fault:
        raise Fault(f"{runner.proxy.name}, {runner.case.title}: {fault}\n{runner.program.said()}") from None
