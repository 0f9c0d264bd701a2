"""A proxy before a real MLflow server that misbehaves as it is told to."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Mood = Callable[[str, str], str]
"""What becomes of a request, by its method and path: see `Proxy._answer`."""


def well(method: str, path: str) -> str:
    return "pass"


_OF_THE_CONNECTION = ("Host", "Connection", "Content-Length", "Transfer-Encoding")


class Proxy:
    """Listens on a free port of this host and hands requests on to another; `mood` says how well it is."""

    def __init__(self, port: int) -> None:
        self.mood: Mood = well
        self.seen: list[str] = []
        self.released = threading.Event()
        self._port = port
        self._web = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._web.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self._web.server_address[1]}"
        threading.Thread(target=self._web.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self._web.shutdown()
        self._web.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _take(self) -> None:
                body = self._chunks() if self.headers.get("Transfer-Encoding") else self._whole()
                self.close_connection = True  # without a word, as a server whose patience with a connection is over
                proxy._answer(self, body)

            def _whole(self) -> bytes:
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

            def _chunks(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take

            def log_message(self, *message: object) -> None:
                pass

        return Handler

    def _answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        what = self.mood(request.command, request.path)
        self.seen.append(f"{what} {request.command} {request.path}")
        if what == "hang":  # accepts, and never answers
            self.released.wait()
        elif what == "500":
            request.send_error(500)
        elif what == "empty":  # success, by its status: MLflow's client takes an empty answer for `{}`
            self._send(request, 200, b"")
        elif what == "late":  # the client has given up by the time that the server hears of it
            request.connection.shutdown(socket.SHUT_RDWR)
            self.released.wait()
            self._forward(request, body)
        elif what != "drop":
            if what == "slow":
                self.released.wait(0.1)
            status, answer = self._forward(request, body)
            if what == "half":
                request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer))
                request.wfile.write(answer[: len(answer) // 2])
            elif what != "unanswered":
                self._send(request, status, answer)

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
        server = http.client.HTTPConnection("127.0.0.1", self._port)
        try:
            kept = {name: value for name, value in request.headers.items() if name not in _OF_THE_CONNECTION}
            server.request(request.command, request.path, body, kept)
            answer = server.getresponse()
            return answer.status, answer.read()
        finally:
            server.close()

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, answer: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)


@contextmanager
def before(port: int) -> Iterator[Proxy]:
    """A proxy before the server on `port` of this host."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
