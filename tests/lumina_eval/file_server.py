"""A web server on this machine for tests of downloads, which can be told to misbehave."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclasses.dataclass
class FileServer:
    """What is served, and what was asked for."""

    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    ranges: bool = True
    """Whether ``Range`` is understood."""
    drop_after: list[int] = dataclasses.field(default_factory=list)
    """For each coming answer: break off after so many bytes of it."""
    statuses: list[int] = dataclasses.field(default_factory=list)
    """For each coming answer: this status instead of a file."""
    lengths: bool = True
    """Whether answers say how long they are."""
    asked: list[tuple[str, str | None]] = dataclasses.field(default_factory=list)
    """Path and ``Range`` of each request."""
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving() -> Iterator[FileServer]:
    """Serve until the block ends."""
    state = FileServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append((self.path, wanted))
            self.close_connection = True
            if state.statuses:
                self._empty(state.statuses.pop(0))
                return
            if self.path not in state.files:
                self._empty(404)
                return
            body = state.files[self.path]
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            if wanted and state.ranges and start >= len(body):
                self._empty(416)
                return
            self.send_response(206 if wanted and state.ranges else 200)
            if wanted and state.ranges:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            if state.lengths:
                self.send_header("Content-Length", str(len(body) - start))
            self.send_header("Connection", "close")
            self.end_headers()
            end = start + state.drop_after.pop(0) if state.drop_after else len(body)
            self.wfile.write(body[start:end])

        def _empty(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
