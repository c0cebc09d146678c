"""`require` on `/admin/`: whatever path an app takes for it, nobody gets there without a session."""

import json

from case import PROTOCOLS, Case
from sidecar import cookie
from wire import head

SESSION = b'{"user":"ann"}'

SPELLINGS = [
    *(b"/admin", b"/admin/", b"/admin/x", b"/admin?x", b"/admin/?/pub"),
    # Slashes, dots.
    *(b"//admin", b"///admin//x", b"/./admin", b"/.//admin", b"/../admin", b"/x/../admin", b"/admin/."),
    *(b"/%2e/admin", b"/%2e%2e/admin", b"/x/%2e%2e/admin", b"/x/.%2E/admin", b"/x%2f..%2fadmin"),
    *(b"/%2fadmin", b"/admin%2f", b"/x/..%2fadmin", b"/x/..%5cadmin", b"/x\\..\\admin", b"/\\admin"),
    *(b"/%5cadmin", b"/admin%5c", b"/admin\\", b"admin", b"x/../admin", b"./admin"),
    # A host.
    *(b"//x/admin", b"///x/admin", b"////x/admin", b"/\\/x/admin", b"/\\x/admin", b"\\\\x\\admin"),
    *(b"http://x/admin", b"http://x//admin", b"HTTP://x/admin", b"http:/admin", b"http:admin", b"x:/admin"),
    *(b"http:///admin", b"http://x\\admin", b"/http://x/admin", b"//u@x:1/admin", b"//x;y/admin"),
    # Parameters.
    *(b"/admin;x=1", b"/admin;", b"/;x/admin", b"/x/..;/admin", b"/x;y/../admin", b"/..;/admin"),
    *(b"/x/%2e%2e;/admin", b"/x/..%3b/admin", b"/admin%3bx", b"/x/.;/..;y/admin", b"/pub/;/../admin"),
    # Escapes, also twice, too short, and such that are none.
    *(b"/%61dmin", b"/%61%64%6D%69%6e", b"/%2561dmin", b"/%252fadmin", b"/x/%252e%252e/admin"),
    *(b"/admin%", b"/admin%2", b"/admin%zz", b"/admin/%", b"/x%/a/../admin", b"/adm%in", b"/%u0061dmin"),
    *(b"/%c0%af/admin", b"/x/%c0%ae%c0%ae/admin", b"/%EF%BC%8Fadmin", b"/%ef%bd%81dmin"),
    # Ends of strings and lines.
    *(b"/admin%00", b"/admin%00x", b"/admin%0a", b"/admin%0d%0a", b"/admin%0d", b"/admin%23", b"/admin#x"),
    *(b"/admin%3f", b"/admin%3fx", b"/admin%20", b"/admin%09", b"/%20/../admin", b"/%09admin", b"/%0a/admin"),
    *(b"/admin%e2%80%a8", b"/admin%c2%85", b"/admin%1c", b"/admin%7f", b"/ad%0amin", b"/ad%00min"),
    # Bytes that are no UTF-8.
    *(b"/admin%ff", b"/%ff/../admin", b"/ad%ffmin", b"/admin%c3", b"/admin\xff", b"/%80admin", b"/admin%ff/x"),
    # Cases.
    *(b"/ADMIN", b"/Admin/x", b"/%41DMIN", b"/x/../ADMIN", b"/adm%C4%B1n", b"/adm%C4%B0n"),
    # Front controllers, and what is behind them.
    *(b"/index.php/admin", b"/index.php//admin", b"/INDEX.PHP/admin", b"/index%2ephp/admin"),
    *(b"/x.php/admin", b"/index.php/x/../admin", b"/x/../index.php/admin", b"/index.php/index.php/admin"),
    *(b"/index.php;x/admin", b"/index.php%2fadmin", b"/index.php?/admin", b"/app.cgi/admin"),
    *(b"/admin.php", b"/admin.html", b"/admin.json", b"/admin/index.php", b"/admin/..", b"/admin/../pub"),
]

# What each is known to take for its `/admin`, beside the path itself.
KNOWN = {
    "Node": [b"///x/admin", b"/\\/x/admin", b"/ADMIN"],
    "Starlette": [b"/admin%0a"],
    "Bottle": [b"/admin%ff"],
    "PHP": [b"/index.php/admin"],
    "Tomcat": [b"/x/..;/admin", b"/admin;x=1"],
    "uWSGI": [b"/admin%"],
    "HTTP::Daemon": [b"/admin%0a"],
    "Puma": [b"//admin"],
}


class Paths(Case):
    def takes(self, path):
        seen = self.ask_directly(head(b"GET", path, [(b"Connection", b"close")]), answers=1)
        return any(request.is_admin for request in seen)

    def test_facts_about_spellings(self):
        sure = {b"/admin", b"/admin/x", b"/%61dmin", *KNOWN.get(self.server.name, [])}
        taken = set()
        for path in SPELLINGS:
            # A server may be starting a worker again after what other tests have sent, and say nothing for a while.
            if any(self.takes(path) for _ in range(10 if path in sure else 1)):
                taken.add(path)
                self.fact("takes for /admin", path.decode("latin-1"))
        self.assertLessEqual(sure, taken)

    def test_no_spelling_leads_past_a_lock(self):
        for protocol in PROTOCOLS:
            with self.through(protocol) as client:
                for path in SPELLINGS:
                    for method in (b"GET", b"POST"):
                        client.exchange(method, path)
                        seen = self.server.seen()
                        self.assertEqual([request for request in seen if request.is_admin], [], path)

    def test_with_a_session_the_lock_is_open(self):
        for protocol in PROTOCOLS:
            with self.through(protocol) as client:
                for path in (b"/admin", b"/admin/x"):
                    seen = self.page(client.exchange(b"GET", path, [cookie(SESSION)]))
                    self.assertTrue(seen.is_admin, seen)
                    self.assertEqual(json.loads(seen.session), json.loads(SESSION))
                    answer = client.exchange(b"GET", path)
                    self.assertEqual(answer.status, 401)
        self.assertEqual([request.session for request in self.server.seen()], [SESSION] * 4)

    def test_a_preflight_has_no_session(self):
        fields = [(b"Origin", b"https://x.test"), (b"Access-Control-Request-Method", b"PUT")]
        for protocol in PROTOCOLS:
            with self.through(protocol) as client:
                client.exchange(b"OPTIONS", b"/admin/x", [*fields, cookie(SESSION)])
                self.assertEqual({request.session for request in self.server.seen()} - {b"{}"}, set())
