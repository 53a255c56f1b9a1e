"""A chat endpoint on loopback that answers by a table of colours, and misbehaves when told to."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

#: What to do for (question, how often it was asked before): a reply, (status, headers), or None to stall.
Script = Callable[[str, int], "str | tuple[int, dict[str, str]] | None"]


def is_in(image: Image.Image, question: str) -> str:
    """Answer ``Is it COLOR?`` by the pixel in the middle."""
    wanted = {"red": (255, 0, 0), "blue": (0, 0, 255), "green": (0, 128, 0)}
    middle = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    return "yes" if any(word in question and middle == color for word, color in wanted.items()) else "no"


class ChatServer:
    """Keeps the requests that came; ``script`` decides first, the picture answers where it says nothing."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.script: Script = lambda question, before: ""
        self.let_go = threading.Event()
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server.respond(self)

            def log_message(self, format: str, *words: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        parts = {part["type"]: part for part in body["messages"][0]["content"]}
        question = parts["text"]["text"].splitlines()[-1]
        with self._lock:
            self.requests.append({"path": handler.path, "question": question, **body})
            before = self._asked[question]
            self._asked[question] += 1
        told = self.script(question, before)
        if told is None:
            self.let_go.wait()
            return
        if isinstance(told, tuple):
            handler.send_response(told[0])
            for name, value in told[1].items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(b'{"error": {"message": "not now"}}')
            return
        data = base64.b64decode(parts["image_url"]["image_url"]["url"].partition(",")[2])
        reply = told or is_in(Image.open(io.BytesIO(data)), question)
        message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": reply}}
        record = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [message]}
        handler.send_response(200)
        handler.send_header("content-type", "application/json")
        handler.end_headers()
        handler.wfile.write(json.dumps(record).encode())

    @contextlib.contextmanager
    def running(self) -> Iterator[ChatServer]:
        thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            self.let_go.set()
            self._http.shutdown()
            self._http.server_close()
