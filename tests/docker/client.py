"""A client that keeps a session cookie, as a browser does, and does not follow redirects."""

import http.client
import re
import urllib.parse


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    def field(self, name):
        """What the shop shows under that id."""
        found = re.search(rf"<b id={name}>([^<]*)</b>", self.text)
        return found and found[1]


class Client:
    def __init__(self, port):
        self.port = port
        self.cookie = None

    def ask(self, method, path, form=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            fields = {} if self.cookie is None else {"Cookie": f"session={self.cookie}"}
            body = None
            if form is not None:
                body = urllib.parse.urlencode(form)
                fields["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request(method, path, body, {**fields, **(headers or {})})
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie", []):
            value = re.match(r"session=([^;]*)", line)
            if value:
                self.cookie = value[1] or None
        return answer

    def get(self, path="/", **options):
        return self.ask("GET", path, **options)

    def post(self, path, **form):
        return self.ask("POST", path, form)

    def is_up(self):
        """Whether the app answers, through the sidecar."""
        try:
            return self.get().status == 200
        except (OSError, http.client.HTTPException):
            return False

    def log_in(self, name):
        answer = self.post("/login", name=name)
        assert answer.status == 303 and self.cookie, (answer.status, answer.text)
        return self.cookie

    def who(self):
        return self.get().field("name")
