"""What the apps here say of a request: one line, in the answer and at the end of the file SEEN.

The words between its spaces, in hexadecimal where anything may be in them: method, path, `admin` or `page`,
session, scheme, port of the peer, body, and each field as NAME=VALUE.
"""

import os


def hexed(value):
    data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return data.hex()


def note(method, path, admin, session, scheme, peer, body, fields):
    words = [hexed(method), hexed(path), "admin" if admin else "page", hexed(session), hexed(scheme)]
    words += [str(peer), hexed(body)]
    words += [f"{hexed(name)}={hexed(value)}" for name, value in fields]
    line = " ".join(words) + "\n"
    with open(os.environ["SEEN"], "a", encoding="ascii") as file:
        file.write(line)
    return line.encode()
