"""Dicts of every shape, the same ones each time."""

import json
import random
import sys

# What goes into a cookie of 4096 bytes, after base64.
LARGEST = 2600

# What PyJWT checks of its own accord; these have tests of their own.
CLAIMS = {"exp", "nbf", "iat", "aud", "iss", "sub", "jti", "cr"}

STRINGS = [
    "",
    "Ada",
    "Zoë",
    "日本語",
    "🧥🎩",
    'quotes " and \\ back / slashes',
    "line\nbreak\ttab\r\0\x1f\x7f",
    "\u2028\u2029\ufeff\uffff",
    "\ud800 alone",
    "a; b, c = d",
    "</script>",
    "X-Session: {}",
]

NUMBERS = [
    0,
    -1,
    2**31,
    2**53 + 1,
    2**63,
    -(2**64) - 1,
    123456789012345678901234567890,
    10**60,
    0.0,
    -0.0,
    0.1,
    1.5e300,
    5e-324,
    sys.float_info.max,
    1e16,
    1 / 3,
]


def value(rng, depth):
    kind = rng.randrange(9 if depth > 0 else 6)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.choice(NUMBERS)
    if kind == 2:
        return rng.randrange(-(10**9), 10**9) * 10 ** rng.randrange(20)
    if kind == 3:
        return rng.uniform(-1, 1) * 10.0 ** rng.randrange(-200, 200)
    if kind == 4:
        return rng.choice(STRINGS)
    if kind == 5:
        return "".join(chr(rng.choice(RANGES)(rng)) for _ in range(rng.randrange(12)))
    if kind == 6:
        return [value(rng, depth - 1) for _ in range(rng.randrange(5))]
    return members(rng, depth - 1)


RANGES = [
    lambda rng: rng.randrange(0x80),
    lambda rng: rng.randrange(0x80, 0x800),
    lambda rng: rng.randrange(0x800, 0x10000),
    lambda rng: rng.randrange(0x10000, 0x110000),
]


def members(rng, depth):
    dict_ = {}
    for _ in range(rng.randrange(6)):
        key = rng.choice(STRINGS) if rng.random() < 0.3 else f"k{rng.randrange(1000)}"
        dict_[key] = value(rng, depth)
    return dict_


def nested(depth):
    """An object that many levels deep."""
    dict_ = {}
    for _ in range(depth - 1):
        dict_ = {"in": dict_}
    return dict_


def generate(count, seed=20261122):
    rng = random.Random(seed)
    dicts = [
        {},
        {"": {"": {}}},
        {"n": 1},
        {"list": [], "dict": {}, "null": None},
        {"user": {"name": "Zoë", "roles": ["admin", "ünïcode"]}, "basket": [1, 2.50, "three"]},
        {"numbers": NUMBERS},
        {"strings": STRINGS},
        {"long": "x" * 2500},
        nested(100),
    ]
    while len(dicts) < count:
        dict_ = members(rng, 4)
        if CLAIMS.isdisjoint(dict_) and len(json.dumps(dict_)) <= LARGEST:
            dicts.append(dict_)
    return dicts
