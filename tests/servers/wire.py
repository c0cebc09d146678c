"""Clients that send what they are told, byte for byte, over HTTP/1.1 and HTTP/2."""

import socket
from dataclasses import dataclass

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset
from servers import PATIENCE


@dataclass
class Answer:
    status: int
    body: bytes


class Ended(Exception):
    """The connection, or the stream, has ended before its answer did."""


class Http1:
    def __init__(self, port, patience=PATIENCE):
        self.socket = socket.create_connection(("127.0.0.1", port), patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.is_closing = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionError as error:
            raise Ended from error
        if not data:
            raise Ended
        self.buffer += data

    def until(self, end):
        while end not in self.buffer:
            self.fill()
        part, _, self.buffer = self.buffer.partition(end)
        return part

    def take(self, length):
        while len(self.buffer) < length:
            self.fill()
        part, self.buffer = self.buffer[:length], self.buffer[length:]
        return part

    def answer(self):
        """The next answer that is no 1xx; not to HEAD."""
        status = 100
        while status < 200:
            head = self.until(b"\r\n\r\n")
            status = int(head.split()[1])
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
        self.is_closing = b"close" in fields.get(b"connection", b"")
        if b"chunked" in fields.get(b"transfer-encoding", b""):
            body = b""
            while size := int(self.until(b"\r\n"), 16):
                body += self.take(size)
                self.take(2)
            self.until(b"\r\n")
        elif b"content-length" in fields:
            body = self.take(int(fields[b"content-length"]))
        else:
            body = self.rest()
        return Answer(status, body)

    def rest(self):
        """All that comes until the connection ends, or nothing comes any more."""
        try:
            while True:
                self.fill()
        except (Ended, TimeoutError):
            part, self.buffer = self.buffer, b""
            return part


class Http2:
    def __init__(self, port):
        # What it sends is not always allowed.
        self.protocol = H2Connection(
            H2Configuration(
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                header_encoding=None,
            )
        )
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.protocol.initiate_connection()
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.protocol.data_to_send())

    def exchange(self, method, path, fields=(), data=(), end="data", trailers=()):
        """Sends DATA frames, and ends the stream with the last of them (`data`), with an empty one more
        (`empty`), with trailers, or without any DATA (`headers`)."""
        stream = self.protocol.get_next_available_stream_id()
        head = [(b":method", method), (b":scheme", b"http"), (b":authority", b"app.test")]
        head += [(b":path", path), *((name.lower(), value) for name, value in fields)]
        self.protocol.send_headers(stream, head, end_stream=end == "headers")
        for number, part in enumerate(data, 1):
            last = end == "data" and number == len(data)
            self.protocol.send_data(stream, part, end_stream=last)
            # A frame a packet: what comes together may be read together.
            self.flush()
        if end == "empty":
            self.protocol.end_stream(stream)
        elif end == "trailers":
            self.protocol.send_headers(stream, trailers, end_stream=True)
        self.flush()
        return self.answer(stream)

    def answer(self, stream):
        status, body = 0, b""
        while True:
            try:
                data = self.socket.recv(65536)
            except ConnectionError as error:
                raise Ended from error
            if not data:
                raise Ended
            for event in self.protocol.receive_data(data):
                if isinstance(event, ConnectionTerminated):
                    raise Ended
                if getattr(event, "stream_id", None) != stream:
                    continue
                if isinstance(event, ResponseReceived):
                    status = int(dict(event.headers)[b":status"])
                elif isinstance(event, DataReceived):
                    body += event.data
                    self.protocol.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
                elif isinstance(event, StreamReset):
                    # An answer may come before the end of what is sent.
                    if status and event.error_code == ErrorCodes.NO_ERROR:
                        return Answer(status, body)
                    raise Ended
                elif isinstance(event, StreamEnded):
                    self.flush()
                    return Answer(status, body)
            self.flush()


def head(method, target, fields=()):
    """A head of HTTP/1.1."""
    lines = [b"%s %s HTTP/1.1" % (method, target), b"Host: app.test"]
    lines += [b"%s: %s" % field for field in fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunks(*parts, last=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + last


class Client:
    """One request after the other over a connection that is kept, and made anew where it has ended."""

    def __init__(self, port, protocol):
        self.port, self.protocol = port, protocol
        self.connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.connection:
            self.connection.socket.close()
        self.connection = None

    def exchange(self, method, target, fields=(), body=b""):
        """The answer, or None where there is none."""
        made = self.connection is None
        self.connection = self.connection or self.protocol(self.port)
        try:
            if self.protocol is Http2:
                end = "data" if body else "headers"
                return self.connection.exchange(method, target, fields, [body] if body else [], end)
            if body:
                fields = [*fields, (b"Content-Length", b"%d" % len(body))]
            self.connection.send(head(method, target, fields) + body)
            return self.connection.answer()
        except (Ended, ConnectionError):
            self.close()
            # It may have been closed behind the answer before.
            return None if made else self.exchange(method, target, fields, body)
