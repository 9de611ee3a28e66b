"""A local HTTP server in a thread of its own that keeps what was posted to it, for the tests of what the program sends."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DEADLINE_SECONDS = 60.0


class Listener:
    """`heard` are method, path and body; `status` is what it answers, and it answers nothing before `gate` is set."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, bytes]] = []
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                listener.heard.append((self.command, self.path, body))
                listener.gate.wait(DEADLINE_SECONDS)
                self.send_response(listener.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - the same

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's own name
                """Say nothing on standard error."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    @property
    def told(self) -> list[tuple[str, str]]:
        """Title and text of each notice that came, whatever else was asked for."""
        found = [json.loads(body) for _, _, body in list(self.heard) if body]
        return [(one["title"], one["message"]) for one in found]

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"it never came; heard was {self.heard}"
            time.sleep(0.01)


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()
    thread = threading.Thread(target=listener.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        listener.gate.set()
        listener.server.shutdown()
        listener.server.server_close()
        thread.join()
