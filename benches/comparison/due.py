"""Tokens that are due for a refresh, each of a session of its own: a session that has just been
written is not refreshed again, so that one token would be renewed only once."""

import base64
import hashlib
import hmac
import json
import time

from cases import MIDDLE, SECRET

from .processes import Fault

# More than the writes that cloakroom remembers (65,536): when a token's turn comes again, that it
# was refreshed is forgotten.
COUNT = 80_000
DAY = 86_400

BEFORE = "GET / HTTP/1.1\r\nHost: app.test\r\nCookie: session="
AFTER = "\r\n\r\n"

# Sends them one after the other, from where the last round has stopped.
SCRIPT = """\
local requests, at = {}, 0
function init(args)
  for token in io.lines("@TOKENS@") do
    requests[#requests + 1] = "@BEFORE@" .. token .. "@AFTER@"
  end
  at = tonumber(args[1]) % #requests
end
function request()
  at = at % #requests + 1
  return requests[at]
end
"""


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(number, now):
    """As cloakroom has signed it two days ago, for two weeks."""
    issued = now - 2 * DAY
    session = base64url(hashlib.sha256(str(number).encode()).digest()[:16]).decode()
    own = {"id": session, "start": issued, "ms": 1000 * issued}
    members = list(MIDDLE.items())
    # The id comes to stand in the middle of the request: see `prepare`.
    payload = dict([*members[:4], ("cr", own), *members[4:], ("iat", issued), ("exp", now + 12 * DAY)])
    signed = base64url(b'{"typ":"JWT","alg":"HS256"}') + b"." + base64url(
        json.dumps(payload, separators=(",", ":")).encode())
    return (signed + b"." + base64url(hmac.digest(SECRET.encode(), signed, hashlib.sha256))).decode()


def prepare(folder):
    """The tokens; they and the script for wrk are in the folder afterwards."""
    now = int(time.time())
    tokens = [token(number, now) for number in range(COUNT)]
    # LuaJIT looks strings up by their first, middle and last bytes: without a difference there, all of
    # them would be compared with all of them.
    middles = set()
    for one in tokens:
        request = BEFORE + one + AFTER
        middles.add(request[len(request) // 2 - 2:][:4])
    if len(middles) < COUNT // 2:
        raise Fault(f"the tokens to refresh differ in the middle in {len(middles)} ways only, of {COUNT}")
    (folder / "due").write_text("\n".join(tokens) + "\n")
    filled = SCRIPT
    for name, value in (("TOKENS", str(folder / "due")), ("BEFORE", BEFORE), ("AFTER", AFTER)):
        filled = filled.replace(f"@{name}@", value.replace("\r\n", "\\r\\n"))
    (folder / "due.lua").write_text(filled)
    return tokens
