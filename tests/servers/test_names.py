"""Fields that speak for the sidecar, the server or a proxy, in each spelling that a server may fold."""

from case import MARK, PROTOCOLS, Case
from wire import Http2, head

# What some servers act on. None of it is a field that a client has any business to send.
ODD = [
    *(b"X_Session", b"x.session", b"X_Session_Save", b"X~Session", b"X!Session", b"x-session_"),
    *(b"SCRIPT_NAME", b"PATH_INFO", b"Script_Name", b"REMOTE_USER", b"REMOTE_ADDR", b"HTTP_X_SESSION"),
    *(b"X_Forwarded_For", b"X_Forwarded_Proto", b"X_Forwarded_Ssl", b"X.Forwarded.Host", b"X_Real_IP"),
    *(b"Content_Type", b"Request_Method", b"wsgi.url_scheme", b"rack.url_scheme", b"DOCUMENT_ROOT"),
    *(b"X_HTTP_Method_Override", b"Auth_Type", b"_", b"a_b"),
]

# Our own, in any spelling: they go whatever is said of odd names.
OWN = [
    *(b"X-Session", b"x-session", b"X-SESSION", b"X_Session", b"x.session", b"X~Session"),
    *(b"X-Session-Save", b"X_Session-Save", b"X-Session-Anything", b"X_Session_Id"),
]

# The word of a proxy, which only one in `trusted_proxies` has.
FORWARDED = [
    *(b"Forwarded", b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host"),
    *(b"X-Forwarded-Ssl", b"X-Forwarded-Scheme", b"X-Forwarded-Port", b"X-Forwarded-Server"),
    *(b"X-Forwarded-Prefix", b"X-Forwarded-User", b"X-Forwarded-Anything", b"X_Forwarded_Ssl"),
    *(b"X-Real-IP", b"X-Client-IP", b"True-Client-IP", b"X-Host", b"Proxy"),
    *(b"X-Original-URL", b"X-Original-Host", b"X-Rewrite-URL"),
]

# With the values by which frameworks believe that the client came by https.
HTTPS = [
    (b"X-Forwarded-Ssl", b"on"),
    (b"X-Forwarded-Proto", b"https"),
    (b"X-Forwarded-Protocol", b"ssl"),
    (b"X-Forwarded-Scheme", b"https"),
    (b"X_Forwarded_Ssl", b"on"),
    (b"X_Forwarded_Proto", b"https"),
    (b"Forwarded", b"proto=https"),
]


class Names(Case):
    def test_facts_about_names(self):
        for name in (b"X_Session", b"X.Session", b"X~Session"):
            if self.seen_directly(b"/", (name, MARK), lambda seen: seen.session == MARK):
                self.fact("reads as X-Session", name.decode())
        for field in HTTPS:
            if self.seen_directly(b"/", field, lambda seen: seen.scheme == b"https"):
                self.fact("believes from anybody", b": ".join(field).decode())
        for name in (b"SCRIPT_NAME", b"Script_Name", b"SCRIPT-NAME"):
            if self.seen_directly(b"/pub/admin/x", (name, b"/pub"), lambda seen: seen.is_admin):
                self.fact("believes from anybody", f"{name.decode()}: /pub")
        if (self.server.name, self.server.version) == ("gunicorn", "27.0.1"):
            self.assertIn("SCRIPT_NAME: /pub", self.server.facts["believes from anybody"])

    def seen_directly(self, path, field, is_so):
        seen = self.ask_directly(head(b"GET", path, [field, (b"Connection", b"close")]), answers=1)
        return any(is_so(request) for request in seen)

    def test_odd_names_reach_no_app(self):
        for protocol in PROTOCOLS:
            with self.through(protocol) as client:
                for name in ODD:
                    seen = self.page(client.exchange(b"GET", b"/x", [(name, MARK)]))
                    self.assertEqual(seen.path, b"/x")
                    self.assert_nothing_of_it([seen])
        self.assert_nothing_of_it(self.server.seen())

    def test_names_of_our_own_reach_no_app_whatever_is_said_of_odd_ones(self):
        for odd_names in self.sidecars:
            for protocol in PROTOCOLS:
                with self.through(protocol, odd_names) as client:
                    for name in OWN:
                        for fields in [[(name, MARK)], [(name, MARK), (b"Connection", name)]]:
                            # No connection over HTTP/2 has such a field.
                            if client.protocol is Http2 and len(fields) > 1:
                                continue
                            seen = self.page(client.exchange(b"GET", b"/x", fields))
                            self.assert_nothing_of_it([seen])
                            self.assertEqual(seen.session, b"{}")

    def test_no_script_name_leads_past_a_lock(self):
        for protocol in PROTOCOLS:
            with self.through(protocol) as client:
                for name in (b"SCRIPT_NAME", b"script_name", b"Script_Name", b"SCRIPT-NAME", b"script.name"):
                    self.page(client.exchange(b"GET", b"/pub/admin/x", [(name, b"/pub")]))
                    client.exchange(b"GET", b"/pub/x", [(name, b"/pub"), (b"PATH_INFO", b"/admin/x")])
                    client.exchange(b"GET", b"/x", [(name, b"/admin")])
        seen = self.server.seen()
        self.assertEqual([request for request in seen if request.is_admin], [])

    def test_what_proxies_say_is_believed_of_no_stranger(self):
        for odd_names in self.sidecars:
            for protocol in PROTOCOLS:
                with self.through(protocol, odd_names) as client:
                    for field in [*((name, MARK) for name in FORWARDED), *HTTPS]:
                        seen = self.page(client.exchange(b"GET", b"/x", [field]))
                        self.assert_nothing_of_it([seen])
