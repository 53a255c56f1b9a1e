"""A repository of the hub as an asset, from a hub on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli, Declaring

from lumina_eval.plugins import injected

COMMIT = "b8eba45" + "0" * 33
FILES = {"images/a/00000.png": b"first image", "images/b.png": b"second", "README.md": b"not asked for"}


def listed(name: str) -> dict[str, Any]:
    """Return what the hub tells of a file: git's id for a small one, a sha256 for the others."""
    data = FILES[name]
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    sum_of = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 1}
    large = {} if name == "images/b.png" else {"lfs": sum_of}
    return {"type": "file", "path": name, "size": len(data), "oid": blob, **large}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """Serve a data set; the mapping is what is sent, the sums are always those of ``FILES``."""
    from huggingface_hub import constants

    sent = dict(FILES)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, body: bool) -> None:
            path = self.path.split("?")[0]
            kind = {"Content-Type": "application/json"}
            if path.startswith("/api/datasets/some/images/revision/"):
                self._send(json.dumps({"id": "some/images", "sha": COMMIT}).encode(), body, kind)
                return
            if path == f"/api/datasets/some/images/tree/{COMMIT}":
                self._send(json.dumps([listed(name) for name in FILES]).encode(), body, kind)
                return
            name = path.removeprefix(f"/datasets/some/images/resolve/{COMMIT}/")
            if name not in sent:
                self._send(b"", body, {}, 404)
                return
            etag = f'"{hashlib.sha256(FILES[name]).hexdigest()}"'
            self._send(sent[name], body, {"ETag": etag, "X-Repo-Commit": COMMIT})

        def _send(self, data: bytes, body: bool, headers: dict[str, str], status: int = 200) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        endpoint + "/{repo_id}/resolve/{revision}/{filename}",
    )
    try:
        yield sent
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def asset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Declare the images of ``some/images``; the folder that they come to."""
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path / "data"))
    declaration = tmp_path / "assets.toml"
    declaration.write_text(
        '[pictures]\nwhat = "images"\nlicence = "none"\nrevision = "main"\n'
        'hub = { repository = "some/images", kind = "dataset", commit_prefix = "b8eba45", '
        'patterns = ["images/*"] }\n'
    )
    with injected("benchmarks", demo=Declaring(declaration)):
        yield tmp_path / "data" / "pictures"


def test_a_repository_comes_at_its_commit_and_is_checked(
    call: Cli, hub: dict[str, bytes], asset: Path
) -> None:
    done = call("data", "fetch", "pictures", "--json")
    assert done.code == 0, done.stderr + done.stdout
    assert {row["file"]: row["state"] for row in done.records} == {
        "images/a/00000.png": "fetched",
        "images/b.png": "fetched",
    }
    assert (asset / "images" / "a" / "00000.png").read_bytes() == b"first image"
    assert not (asset / "README.md").exists()
    assert json.loads((asset / "lock.json").read_text())["revision"] == COMMIT
    assert call("data", "verify", "pictures").code == 0
    assert "already right" in call("data", "fetch", "pictures").stdout
    assert call("data", "fetch", "pictures", "--offline").code == 0
    (asset / "images" / "b.png").write_bytes(b"sec0nd")
    done = call("data", "verify", "pictures", "--json")
    assert done.code == 4
    assert [row["state"] for row in done.records] == ["right", "wrong"]
    assert call("data", "fetch", "pictures").code == 0
    assert (asset / "images" / "b.png").read_bytes() == b"second"


def test_what_the_hub_sends_is_held_to_its_sums(call: Cli, hub: dict[str, bytes], asset: Path) -> None:
    hub["images/b.png"] = b"sec0nd"
    done = call("data", "fetch", "pictures", "--json")
    assert done.code == 4
    assert {row["file"]: row["state"] for row in done.records}["images/b.png"] == "wrong"


def test_another_commit_is_refused(call: Cli, hub: dict[str, bytes], asset: Path) -> None:
    declaration = asset.parents[1] / "assets.toml"
    declaration.write_text(declaration.read_text().replace("b8eba45", "b8eba46"))
    done = call("data", "fetch", "pictures")
    assert done.code == 2
    assert "at commit b8eba46, found b8eba45" in done.stderr
    assert not (asset / "images").exists()


def test_a_hub_that_lacks_a_file_is_told(call: Cli, hub: dict[str, bytes], asset: Path) -> None:
    del hub["images/b.png"]
    done = call("data", "fetch", "pictures")
    assert done.code == 4
    assert "cannot get some/images from the hub" in done.stdout
    assert call("data", "verify", "pictures").code == 4
