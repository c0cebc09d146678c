"""What is asked of a proxy when it is measured: one secret, the dicts, the headers of a browser and
what the app answers. Shared by benches/instructions and benches/compare."""

import json

SECRET = "0123456789abcdef0123456789abcdef"

SMALL = {"n": 1, "user": "al"}
MIDDLE = {"user": "alice@example.com", "roles": ["admin", "editor"], "theme": "dark",
          "csrf": "b64aa9c5e0a94a2bb8d54c1c0f3e52aa", "cart": [1, 2, 3, 4], "n": 12345678,
          "language": "en-GB", "seen": "2026-11-22T10:00:00Z"}
LARGE = {f"key{number}": "v" * 34 for number in range(44)}

# What the app answers, for each path, beside its 200 bytes.
ANSWERS = {
    "/save": ("X-Session-Save", '{"user":"alice","roles":["admin","editor"],"n":12345}'),
    "/merge": ("X-Session-Merge", '{"n":12346}'),
    "/middle": ("X-Session-Save", json.dumps(MIDDLE)),
}

BROWSER = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: http://app.test/basket",
    "DNT: 1",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-User: ?1",
    "Priority: u=0, i",
]


def among_others(session):
    """The value of a Cookie field in which the session stands between two others."""
    return f"theme=dark; {session}; _ga=GA1.1.1234567890.1234567890"


def forged(token):
    """The token with another signature of the same length."""
    return token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
