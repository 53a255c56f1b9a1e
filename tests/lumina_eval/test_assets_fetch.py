"""Files brought from a server on this machine that drops, lies and refuses."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli, Declaring
from file_server import FileServer, serving

from lumina_eval.assets import download
from lumina_eval.plugins import injected

BODY = random.Random(1).randbytes(1_000_000)
Declare = Callable[..., None]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(download, "FIRST_WAIT", 0.0)
    with serving() as state:
        state.files["/v1/big.bin"] = BODY
        yield state


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "thing"


@pytest.fixture
def declare(server: FileServer, data: Path, tmp_path: Path) -> Iterator[Declare]:
    """Declare the asset ``thing`` with these files: name to pin."""
    path = tmp_path / "assets.toml"

    def write(**files: dict[str, Any]) -> None:
        rows = []
        for name, pin in files.items():
            fields = {"name": name.replace("_", "."), **pin}
            rows.append(
                "{" + ", ".join(f"{key} = {json.dumps(value)}" for key, value in fields.items()) + "}"
            )
        path.write_text(
            f'[thing]\nwhat = "a thing"\nlicence = "MIT"\nrevision = "v1"\n'
            f'url = "{server.url}/{{revision}}/{{name}}"\nfiles = [{", ".join(rows)}]\n'
        )

    write(big_bin=pinned(BODY))
    with injected("benchmarks", demo=Declaring(path)):
        yield write


def pinned(body: bytes) -> dict[str, Any]:
    return {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def test_a_file_comes_once_and_is_left_alone_then(
    call: Cli, declare: Declare, server: FileServer, data: Path
) -> None:
    done = call("data", "fetch", "thing", "--json")
    assert done.code == 0, done.stderr
    assert (data / "big.bin").read_bytes() == BODY
    (record,) = done.records
    assert record["state"] == "fetched"
    assert record["path"] == str(data / "big.bin")
    assert not list(data.glob("*.part"))
    again = call("data", "fetch", "demo")
    assert again.code == 0
    assert "already right" in again.stdout
    assert server.asked == [("/v1/big.bin", None)]


def test_a_drop_in_mid_file_is_gone_on_from(
    call: Cli, declare: Declare, server: FileServer, data: Path
) -> None:
    server.drop_after = [400_000, 100_000]
    done = call("data", "fetch", "thing")
    assert done.code == 0, done.stderr
    assert (data / "big.bin").read_bytes() == BODY
    assert [wanted for _, wanted in server.asked] == [None, "bytes=400000-", "bytes=500000-"]


def test_what_came_is_kept_for_the_next_call(
    call: Cli, declare: Declare, server: FileServer, data: Path
) -> None:
    server.drop_after = [300_000] + [0] * (download.ATTEMPTS - 1)
    done = call("data", "fetch", "thing")
    assert done.code == 4
    assert "300000 bytes are kept" in done.stdout
    assert not (data / "big.bin").exists()
    assert (data / "big.bin.part").read_bytes() == BODY[:300_000]
    assert call("data", "fetch", "thing").code == 0
    assert server.asked[-1] == ("/v1/big.bin", "bytes=300000-")
    assert (data / "big.bin").read_bytes() == BODY


def test_a_server_without_ranges_starts_again(
    call: Cli, declare: Declare, server: FileServer, data: Path
) -> None:
    server.ranges, server.drop_after = False, [400_000]
    assert call("data", "fetch", "thing").code == 0
    assert (data / "big.bin").read_bytes() == BODY
    assert len(server.asked) == 2


def test_a_short_answer_without_a_length_is_no_file(
    call: Cli, declare: Declare, server: FileServer, data: Path
) -> None:
    server.lengths, server.drop_after = False, [10]
    assert call("data", "fetch", "thing").code == 0
    assert server.asked[-1][1] == "bytes=10-"
    assert (data / "big.bin").read_bytes() == BODY


@pytest.mark.parametrize("wrong", [b"\0" + BODY[1:], BODY[:-1] + b"!!", BODY[:1000]])
def test_what_is_not_as_pinned_never_gets_the_name(
    call: Cli, declare: Declare, server: FileServer, data: Path, wrong: bytes
) -> None:
    server.files["/v1/big.bin"] = wrong
    done = call("data", "fetch", "thing", "--json")
    assert done.code == 4
    (record,) = done.records
    assert record["state"] == "failed"
    assert not (data / "big.bin").exists()
    if len(wrong) >= len(BODY):
        assert "expected" in record["why"]
        assert not list(data.glob("*.part"))


def test_a_part_of_another_file_is_thrown_away(
    call: Cli, declare: Declare, server: FileServer, data: Path
) -> None:
    data.mkdir(parents=True)
    (data / "big.bin.part").write_bytes(b"x" * 1000)
    assert call("data", "fetch", "thing").code == 0
    assert [wanted for _, wanted in server.asked] == ["bytes=1000-", None]
    assert (data / "big.bin").read_bytes() == BODY


def test_a_part_that_is_too_long_for_the_server_is_thrown_away(
    call: Cli, declare: Declare, server: FileServer, data: Path
) -> None:
    declare(big_bin={"sha256": hashlib.sha256(BODY).hexdigest()})
    data.mkdir(parents=True)
    (data / "big.bin.part").write_bytes(BODY + BODY)
    assert call("data", "fetch", "thing").code == 0
    assert (data / "big.bin").read_bytes() == BODY


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(
    call: Cli, declare: Declare, server: FileServer, data: Path
) -> None:
    declare(big_bin=pinned(BODY), none_bin={"size": 3})
    server.statuses = [503, 429]
    done = call("data", "fetch", "thing")
    assert done.code == 4
    assert "HTTP 404" in done.stdout
    assert (data / "big.bin").read_bytes() == BODY, "the others come all the same"
    assert [path for path, _ in server.asked] == ["/v1/big.bin"] * 3 + ["/v1/none.bin"]


def test_what_nothing_pins_is_trusted_once_and_aloud(
    call: Cli, declare: Declare, server: FileServer, data: Path
) -> None:
    declare(big_bin={})
    done = call("data", "fetch", "thing", "--json")
    assert done.code == 0
    assert done.records[0]["trusted_on_first_use"]
    assert "no pin is known" in done.stderr
    lock = json.loads((data / "lock.json").read_text())
    assert lock["files"]["big.bin"]["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert call("data", "verify", "thing").code == 0
    server.files["/v1/big.bin"] = b"another"
    (data / "big.bin").unlink()
    done = call("data", "fetch", "thing")
    assert done.code == 4, "the second copy must be like the first"
    assert not (data / "big.bin").exists()


def test_tampering_is_found(call: Cli, declare: Declare, server: FileServer, data: Path) -> None:
    assert call("data", "verify", "thing").code == 4
    assert call("data", "fetch", "thing").code == 0
    assert call("data", "verify").code == 0
    with (data / "big.bin").open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"tampered")
    done = call("data", "verify", "thing", "--json")
    assert done.code == 4
    assert done.records[0]["state"] == "wrong"
    assert "lumina-eval data fetch thing" in done.stderr
    assert call("data", "fetch", "thing").code == 0
    assert (data / "big.bin").read_bytes() == BODY


def test_a_file_without_pin_or_lock_is_not_called_right(call: Cli, declare: Declare, data: Path) -> None:
    declare(big_bin={})
    data.mkdir(parents=True)
    (data / "big.bin").write_bytes(b"by hand")
    done = call("data", "verify", "thing", "--json")
    assert done.code == 4
    assert done.records[0]["state"] == "unpinned"


@pytest.mark.parametrize("text", ["{broken", '{"schema": 1, "files": {"big.bin": {"sha256": "zz"}}}'])
def test_a_damaged_record_of_the_first_fetch_stops_nothing_else(
    call: Cli, declare: Declare, data: Path, text: str
) -> None:
    declare(big_bin={})
    assert call("data", "fetch", "thing").code == 0
    (data / "lock.json").write_text(text)
    done = call("data", "verify", "--json")
    assert done.code == 4
    (record,) = done.records
    assert (record["file"], record["state"]) == ("lock.json", "wrong")
    assert f"fix: delete {data} and run 'lumina-eval data fetch thing'" in record["why"]
    done = call("data", "list", "--json")
    assert done.code == 0
    assert done.records[0]["state"] == "damaged"
    assert call("data", "fetch", "thing").code == 2


@pytest.mark.parametrize("variable", [False, True])
def test_offline_names_file_and_command(
    call: Cli,
    declare: Declare,
    server: FileServer,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: bool,
) -> None:
    words = [] if variable else ["--offline"]
    if variable:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = call("data", "fetch", "thing", *words)
    assert done.code == 2
    assert "big.bin" in done.stderr
    assert "fix: lumina-eval data fetch thing" in done.stderr
    assert not server.asked
    data.mkdir(parents=True)
    (data / "big.bin").write_bytes(BODY)
    done = call("data", "fetch", "thing", *words)
    assert done.code == 0
    assert "already right" in done.stdout
    assert not server.asked


def test_names_that_nothing_answers_to(call: Cli, declare: Declare) -> None:
    done = call("data", "fetch", "thign")
    assert done.code == 2
    assert "did you mean thing" in done.stderr
    assert call("data", "fetch").code == 2
    assert call("data", "verify", "thign").code == 2
    assert call("data", "list", "thign").code == 2


def test_a_full_disk_is_told_before_the_first_byte(
    call: Cli, declare: Declare, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room)
    done = call("data", "fetch", "thing")
    assert done.code == 2
    assert "1000000 more bytes are needed, 1000 are free" in done.stderr
    assert "LUMINA_EVAL_DATA" in done.stderr


def test_a_folder_that_cannot_be_made_is_told(
    call: Cli, declare: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path / "file"))
    done = call("data", "fetch", "thing")
    assert done.code == 2
    assert "cannot write" in done.stderr


def test_the_list_says_licence_pin_and_state(call: Cli, declare: Declare, data: Path) -> None:
    done = call("data", "list", "thing", "--json")
    assert done.code == 0
    (record,) = done.records
    assert (record["licence"], record["pinned_by"], record["state"]) == ("MIT", "sha256", "not fetched")
    assert call("data", "fetch", "thing").code == 0
    plain = call("data", "list").stdout
    assert "fetched" in plain
    for name in ("thing", "dpg-questions", "mask2former", "t2i_compbench-prompts"):
        assert name in plain
