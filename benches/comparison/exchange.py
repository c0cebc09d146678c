"""Just enough HTTP/1.1 to ask a proxy one thing and read all of the answer."""

import dataclasses
import pathlib
import socket
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tests"))

from ports import free_port  # noqa: E402, F401: for those who use this file


@dataclasses.dataclass
class Answer:
    status: int
    fields: list[tuple[str, str]]
    body: str

    def field(self, name):
        """The values of that field, joined as one where there are several."""
        return ", ".join(value for key, value in self.fields if key.lower() == name.lower())


def ask(port, path="/", fields=(), wrap=None):
    """One GET on a connection of its own; `wrap` puts TLS around the socket."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        connection = wrap(plain) if wrap else plain
        head = [f"GET {path} HTTP/1.1", "Host: app.test", *fields, "Connection: close"]
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        received = b""
        while more := connection.recv(65536):
            received += more
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        raise ConnectionError(f"port {port} closes without an answer: {received[:200]!r}")
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = [line.partition(":") for line in lines]
    return Answer(int(first.split()[1]), [(name, value.strip()) for name, _, value in parts],
                  body.decode("latin-1"))
