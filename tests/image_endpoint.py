"""An OpenAI-style endpoint on loopback that behaves as it is told, for tests."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

#: What to do with a prompt by the word that it holds, one entry for each time it is asked; the last stays.
Script = dict[str, list[str]]


class Endpoint:
    """The server: what it is told to do, and what it has been asked."""

    def __init__(self) -> None:
        self.script: Script = {}
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.fetched: list[dict[str, str]] = []
        self.url = ""
        self.released = threading.Event()
        self.arrived = threading.Semaphore(0)
        self._times: defaultdict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    def prompts(self) -> list[str]:
        return [text_of(body) for body in self.asked]

    def behaviour(self, text: str) -> str:
        with self._lock:
            for word, steps in self.script.items():
                if word in text:
                    self._times[word] += 1
                    return steps[min(self._times[word], len(steps)) - 1]
        return "good"


def text_of(body: dict[str, Any]) -> str:
    return str(body["prompt"] if "prompt" in body else body["messages"][-1]["content"])


def png(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(buffer, format="PNG")
    return buffer.getvalue()


@contextlib.contextmanager
def serving() -> Iterator[Endpoint]:
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: object) -> None:
            pass

        def do_GET(self) -> None:
            endpoint.fetched.append({name.lower(): value for name, value in self.headers.items()})
            self.answer(200, png("red"), "image/png")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.asked.append(body)
            endpoint.headers.append({name.lower(): value for name, value in self.headers.items()})
            endpoint.arrived.release()
            step, _, detail = endpoint.behaviour(text_of(body)).partition(":")
            if step == "stall":
                endpoint.released.wait(30)
                self.close_connection = True
            elif step == "status":
                code, _, said = detail.partition(":")
                self.fail(int(code), said)
            elif step == "refuse":
                self.fail(400, "Your request was rejected by the safety system.", "moderation_blocked")
            elif step == "echo":
                self.fail(400, f"bad request with {self.headers['Authorization']}")
            elif step == "garbage":
                self.answer(200, b"<html>busy</html>", "text/html")
            elif step == "bytes":
                self.answer(200, b"\xff\xfe\x00 no text", "application/json")
            elif step == "body":
                self.answer(200, detail.encode(), "application/json")
            elif "messages" in body:
                text = f"a picture of {text_of(body)}" if step == "good" else detail
                reason = "length" if step == "cut" else "stop"
                choice = {
                    "index": 0,
                    "finish_reason": reason,
                    "message": {"role": "assistant", "content": text},
                }
                self.json(200, {"id": "x", "object": "chat.completion", "model": "m", "choices": [choice]})
            elif step == "url":
                self.json(
                    200, {"created": 0, "data": [{"url": f"{endpoint.url}/files/1.png?signature=s3cr3t"}]}
                )
            elif step == "empty":
                self.json(200, {"created": 0, "data": []})
            else:
                picture = base64.b64encode(png()).decode()
                self.json(200, {"created": 0, "data": [{"b64_json": picture}]})

        def fail(self, code: int, said: str, name: str | None = None) -> None:
            error = {"message": said or "no", "type": "error", "code": name}
            self.json(code, {"error": error})

        def json(self, code: int, value: object) -> None:
            self.answer(code, json.dumps(value).encode(), "application/json")

        def answer(self, code: int, data: bytes, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
