"""Every way in which a body can end: one request with that body, and nothing left of it for the next."""

import json

from case import Case
from sidecar import cookie
from wire import Client, Ended, Http1, Http2, chunks, head

LARGE = bytes(range(256)) * 64
ROUNDS = 4

CHUNKED = (b"Transfer-Encoding", b"chunked")
TRAILERS = [(b"x-sum", b"1")]


def length(body):
    return b"Content-Length", b"%d" % len(body)


# Over HTTP/2: name, body in DATA frames, how the stream ends.
STREAMS = [
    ("HEADERS with END_STREAM", [], "headers"),
    ("DATA with END_STREAM", [b"hello"], "data"),
    ("an empty DATA with END_STREAM, nothing before", [], "empty"),
    ("DATA, then an empty one with END_STREAM", [b"hello"], "empty"),
    ("empty DATA in between", [b"", b"hello", b"", b"again"], "empty"),
    ("trailers", [b"hello"], "trailers"),
    ("trailers, nothing before", [], "trailers"),
    ("many DATA", [b"x"] * 20, "data"),
    ("large, an empty DATA behind", [LARGE], "empty"),
    ("large", [LARGE, b"end"], "data"),
]

# Over HTTP/1.1: name, what says how long the body is, the body as it is sent, and as it is.
MESSAGES = [
    ("no body", None, b"", b""),
    ("Content-Length: 0", length(b""), b"", b""),
    ("Content-Length", length(b"hello"), b"hello", b"hello"),
    ("Content-Length, large", length(LARGE), LARGE, LARGE),
    ("chunks", CHUNKED, chunks(b"hello", b"again"), b"helloagain"),
    ("chunks, large", CHUNKED, chunks(LARGE, b"end"), LARGE + b"end"),
    ("no chunk but the last", CHUNKED, chunks(), b""),
    ("chunks with extensions", CHUNKED, b'5;a="b"\r\nhello\r\n0;c\r\n\r\n', b"hello"),
    ("chunks and trailers", CHUNKED, chunks(b"hello", last=b"0\r\nX-Sum: 1\r\n\r\n"), b"hello"),
]


class Bodies(Case):
    def test_facts_about_a_second_last_chunk(self):
        with Http1(self.server.port, patience=1) as connection:
            connection.send(head(b"POST", b"/up", [CHUNKED]) + chunks(b"hello") + b"0\r\n\r\n")
            connection.send(head(b"GET", b"/next", [(b"Connection", b"close")]))
            statuses = []
            try:
                while len(statuses) < 2:
                    statuses.append(connection.answer().status)
            except (Ended, TimeoutError, ValueError):
                statuses.append("nothing")
        self.fact("answers a body with two last chunks and the request behind it", str(statuses)[1:-1])

    def test_a_body_ends_once_over_http2(self):
        with Http2(self.sidecar.port) as client:
            for number in range(ROUNDS):
                for name, data, end in STREAMS:
                    body = b"".join(data)
                    for fields in [[], [length(body)]]:
                        with self.subTest(name, counted=bool(fields), round=number):
                            answer = client.exchange(b"POST", b"/up", fields, data, end, TRAILERS)
                            self.assert_one(answer, body)

    def test_a_body_ends_once_over_http1(self):
        client = Http1(self.sidecar.port)
        for number in range(ROUNDS):
            for name, framing, sent, body in MESSAGES:
                # Only a client that has a body may ask whether it is welcome.
                for fields in [[], *([[(b"Expect", b"100-continue")]] if body else [])]:
                    with self.subTest(name, expects=bool(fields), round=number):
                        framed = [framing, *fields] if framing else []
                        client.send(head(b"POST", b"/up", framed) + sent)
                        self.assert_one(client.answer(), body)
                    if client.is_closing:
                        client.close()
                        client = Http1(self.sidecar.port)
        client.close()

    def assert_one(self, answer, body):
        """The app has seen one request with that body, and the next one of somebody else is well."""
        seen = self.page(answer)
        self.assertEqual((seen.method, seen.path), (b"POST", b"/up"))
        self.assertTrue(seen.body == body, seen.body[:100])
        with Client(self.sidecar.port, Http1) as other:
            seen = self.page(other.exchange(b"GET", b"/other", [cookie(b'{"user":"ann"}')]))
        self.assertEqual(json.loads(seen.session), {"user": "ann"})
        self.assertEqual([request.path for request in self.server.seen()], [b"/up", b"/other"])

    def test_connections_to_the_app_are_kept_where_it_keeps_them(self):
        peers = set()
        with Client(self.sidecar.port, Http1) as client:
            for _ in range(10):
                peers.add(self.page(client.exchange(b"POST", b"/up", body=b"hello")).peer)
        if peers == {"0"}:
            self.skipTest("it does not say who asks")
        self.fact("connections for ten requests in a row", str(len(peers)))
