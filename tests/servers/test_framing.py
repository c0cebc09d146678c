"""Fields that a server may take for those of framing: nobody hides a second request behind them."""

from case import MARK, PROTOCOLS, Case
from wire import Ended, Http1, Http2, chunks, head

# With a session of the attacker's own.
HIDDEN = head(b"GET", b"/hidden", [(b"X-Session", b'{"user":"%s"}' % MARK)])


def attack(framing, body):
    return head(b"POST", b"/attack", [*framing, (b"X-Mark", MARK)]) + body


def length(body):
    return b"Content-Length", b"%d" % len(body)


CHUNKED = (b"Transfer-Encoding", b"chunked")
EMPTY_AND_HIDDEN = b"0\r\n\r\n" + HIDDEN

CLOSE = (b"Connection", b"close")
FENCE = head(b"GET", b"/fence", [CLOSE])

# What is in disguise, what else says how long the body is, the body over HTTP/1.1 and what it is over HTTP/2.
ATTACKS = [
    (disguise, rest, body, data)
    for sign in (b"_", b".")
    for disguise, rest, body, data in [
        (
            (b"Transfer%sEncoding" % sign, b"chunked"),
            length(EMPTY_AND_HIDDEN),
            EMPTY_AND_HIDDEN,
            EMPTY_AND_HIDDEN,
        ),
        ((b"Transfer%sEncoding" % sign, b"identity"), CHUNKED, chunks(HIDDEN), HIDDEN),
        ((b"Transfer%sEncoding" % sign, b"chunked"), CHUNKED, chunks(HIDDEN), HIDDEN),
        ((b"Content%sLength" % sign, b"0"), length(HIDDEN), HIDDEN, HIDDEN),
        ((b"Content%sLength" % sign, b"0"), CHUNKED, chunks(HIDDEN), HIDDEN),
    ]
]

# Those that swallow the next request instead.
SWALLOWING = [(b"Content_Length", b"60"), (b"Transfer_Encoding", b"chunked")]

# What is known of some: unless a version shows it, the tests here prove nothing.
KNOWN = {
    ("HTTP::Daemon", "6.16"): "Transfer_Encoding: chunked beside Content-Length",
    ("uWSGI", "2.0.21"): "Transfer_Encoding: identity beside Transfer-Encoding",
}


class Framing(Case):
    def test_facts_about_a_second_request_behind_a_name_in_disguise(self):
        for disguise, rest, body, _ in ATTACKS:
            for pause in (0, 0.05):
                # uWSGI throws away what comes together with a head.
                seen = self.ask_directly(attack([disguise, rest], b""), body + FENCE, pause=pause)
                if any(b"hidden" in request.path for request in seen):
                    beside = f"{named(disguise)} beside {rest[0].decode()}"
                    self.fact("sees a second request behind", beside)
        for disguise in SWALLOWING:
            seen = self.ask_directly(head(b"GET", b"/attack", [disguise]), FENCE + b"0\r\n\r\n")
            if any(b"/fence" in request.body for request in seen):
                self.fact("takes the next request for a body behind", named(disguise))
        known = KNOWN.get((self.server.name, self.server.version))
        if known:
            self.assertIn(known, self.server.facts.get("sees a second request behind", []))

    def test_facts_about_fields_behind_the_body(self):
        trailers = b"0\r\nX-Session: %s\r\n\r\n" % MARK
        body = chunks(b"body", last=trailers)
        seen = self.ask_directly(head(b"POST", b"/up", [CHUNKED, CLOSE]) + body)
        if any(request.session == MARK for request in seen):
            self.fact("reads in trailers", "X-Session")

    def test_nobody_hides_a_second_request_behind_a_name_in_disguise(self):
        for odd_names in self.sidecars:
            for protocol in PROTOCOLS:
                with self.through(protocol, odd_names) as client:
                    for disguise, rest, body, data in ATTACKS:
                        for fields in [[disguise, rest], [rest, disguise]]:
                            self.attack(client, fields, body, data)
                            self.assert_victims_get_their_own(client, named(disguise))
                    for disguise in SWALLOWING:
                        self.attack(client, [disguise], b"", b"")
                        self.assert_victims_get_their_own(client, named(disguise))

    def attack(self, client, fields, body, data):
        if client.protocol is Http2:
            # There, nothing else says how long it is.
            fields = [field for field in fields if field[0] != b"Transfer-Encoding"]
            answer = client.exchange(b"POST", b"/attack", fields, data)
        else:
            with Http1(client.port) as connection:
                connection.send(attack(fields, body))
                try:
                    answer = connection.answer()
                except Ended:
                    answer = None
        self.assertIsNotNone(answer, fields)
        self.assertEqual(answer.status, 400, fields)

    def assert_victims_get_their_own(self, client, disguise):
        for number in range(2):
            target = b"/victim/%d" % number
            self.assertEqual(self.page(client.exchange(b"GET", target)).path, target)
        seen = self.server.seen()
        self.assertEqual([request.path for request in seen], [b"/victim/0", b"/victim/1"], disguise)
        self.assert_nothing_of_it(seen)


def named(field):
    return b": ".join(field).decode()
