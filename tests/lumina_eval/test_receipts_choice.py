"""Receipts in which somebody chose prompts, images or keys, and sealed it all with digests that fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli, FakeBenchmark, with_model
from receipt_forging import altered, lines_of, put_lines, repack, states

from lumina_eval import provenance
from lumina_eval.digests import digest_of
from lumina_eval.plugins import injected
from lumina_eval.receipts.identity import EXTERNAL, _identities
from lumina_eval.receipts.record import read_receipt
from lumina_eval.records import ImageRef, Item
from lumina_eval.runs import run_id
from lumina_eval.statistics.means import INTERVALS_VERSION

Rows = list[dict[str, Any]]
Choose = Callable[[dict[str, Any]], bool]


@pytest.fixture(autouse=True)
def _of_one_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and checks are by the same code, whatever the working tree that the tests run in."""
    monkeypatch.setattr(provenance, "git_state", lambda folder: ("c" * 40, False))


@pytest.fixture
def receipt(call: Cli, run_words: list[Any]) -> Path:
    run_dir = call(*run_words, "--json").records[0]["run_dir"]
    return Path(call("receipt", "make", run_dir, "--json").records[0]["file"])


def chosen(value: dict[str, Any], keep: Choose, items: Choose | None = None) -> None:
    """Keep some images, and the prompts they are of; count them, and name the run by what is left."""
    if items is not None:
        put_lines(value["items"], [row for row in lines_of(value["items"]) if items(row)])
    for part in ("plan", "verdicts"):
        put_lines(value[part], [row for row in lines_of(value[part]) if keep(row)])
    left = len(lines_of(value["verdicts"]))
    value["result"]["coverage"].update(expected=left, generated=left, judged=left, failed=0)


def renamed(path: Path) -> Path:
    """Give an altered receipt the run digest and the run id that follow from what it says now."""
    receipt, value = read_receipt(path)
    items = [Item.model_validate(row) for row in lines_of(value["items"])]
    plan = [ImageRef.model_validate(row) for row in lines_of(value["plan"])]
    (identity,) = _identities(receipt, items, plan)
    made = value["manifest"]
    made["run_digest"] = digest_of(identity)
    made["run_id"] = run_id(identity, made["benchmark"], made["protocol"], made["model"], made["stage"])
    return altered(path, lambda other: other.update(manifest=made))


def failed(call: Cli, path: Path) -> set[str]:
    return {what for what, state in states(call, path).items() if state == "FAIL"}


def test_only_the_best_image_of_each_prompt(call: Cli, receipt: Path) -> None:
    path = altered(receipt, lambda value: chosen(value, lambda row: row["index"] == 1))
    assert {"indices", "identity"} <= failed(call, path)
    assert "indices" in failed(call, renamed(path))

    def said_to_be_one(value: dict[str, Any]) -> None:
        chosen(value, lambda row: row["index"] == 1)
        value["manifest"]["images_per_prompt"] = 1

    assert "indices" in failed(call, renamed(altered(receipt, said_to_be_one)))


def test_only_the_easier_prompts(call: Cli, receipt: Path) -> None:
    def easier(value: dict[str, Any]) -> None:
        chosen(value, lambda row: row["item_id"] < "00003", lambda row: row["id"] < "00003")

    path = renamed(altered(receipt, easier))
    found = states(call, path)
    assert found["identity"] == "PASS"  # all of it is told anew, but the protocol asks for more
    assert found["prompts"] == "FAIL"

    def said(value: dict[str, Any]) -> None:
        easier(value)
        value["manifest"]["subset"] = value["result"]["subset"] = "2 per task (3 of 6 prompts)"

    assert "prompts" in failed(call, renamed(altered(receipt, said)))


def test_a_subset_that_the_protocol_selects_passes(call: Cli, run_words: list[Any]) -> None:
    for words in (["--limit", "1"], ["--suite", "quick"], ["--images-per-prompt", "1"]):
        run_dir = call(*run_words, *words, "--json").records[0]["run_dir"]
        path = call("receipt", "make", run_dir, "--json").records[0]["file"]
        assert set(states(call, path).values()) <= {"PASS", "NOTE"}


def test_a_model_that_generates_has_a_plan(call: Cli, receipt: Path) -> None:
    path = altered(receipt, lambda value: put_lines(value["plan"], []))
    assert {"seeds", "identity"} <= failed(call, path)
    assert "seeds" in failed(call, renamed(path))


def test_keys_follow_from_model_text_and_seed(call: Cli, receipt: Path) -> None:
    def keys(name: Callable[[int], str]) -> Path:
        def change(value: dict[str, Any]) -> None:
            rows = lines_of(value["plan"])
            put_lines(value["plan"], [{**row, "key": name(n)} for n, row in enumerate(rows)])

        return renamed(altered(receipt, change))

    assert failed(call, keys(lambda n: "a" * 64)) == {"keys"}
    assert states(call, keys(lambda n: digest_of(n)))["keys"] == "NOTE"  # may be a model's own wording


def test_keys_of_a_model_that_words_prompts(call: Cli, run_words: list[Any], tmp_path: Path) -> None:
    with injected("models", worded=lambda spec, options: [Worded()]):
        run_dir = Path(call(*with_model(run_words, "worded"), "--json").records[0]["run_dir"])
        path = Path(call("receipt", "make", run_dir, "--json").records[0]["file"])
    assert json.loads(path.read_text())["wording"] == ["System. ", " End."]
    assert states(call, path)["keys"] == "PASS"
    other = altered(path, lambda value: value["manifest"]["sampling"].update(steps=1))
    assert {"keys", "identity"} <= failed(call, other)


class Worded:
    name, checkpoint, stage, step, device, sampler_version = "worded", None, None, None, "cpu", 1

    def components(self) -> dict[str, str]:
        return {"weights": "f" * 64}

    def sampling(self) -> dict[str, Any]:
        return {"steps": 4}

    def final_text(self, prompt: str) -> str:
        return f"System. {prompt} End."

    def generate(self, prompts: Any, seeds: Any) -> list[Any]:
        from PIL import Image

        return [Image.new("RGB", (8, 8), (seed % 256, seed // 256 % 256, 9)) for seed in seeds]


def test_verdicts_are_on_images_of_the_plan_each_once(call: Cli, receipt: Path) -> None:
    def double(value: dict[str, Any]) -> None:
        rows = lines_of(value["verdicts"])
        put_lines(value["verdicts"], [*rows[:-1], rows[0]])

    def elsewhere(value: dict[str, Any]) -> None:
        rows = lines_of(value["verdicts"])
        put_lines(value["verdicts"], [*rows[:-1], {**rows[-1], "index": 7}])

    assert "judged" in failed(call, altered(receipt, double))
    assert "judged" in failed(call, altered(receipt, elsewhere))


def test_one_image_for_all_is_not_passed_over(call: Cli, receipt: Path) -> None:
    def one(value: dict[str, Any]) -> None:
        rows = lines_of(value["verdicts"])
        put_lines(value["verdicts"], [{**row, "image_sha256": "a" * 64} for row in rows])

    def torn(value: dict[str, Any]) -> None:
        rows = lines_of(value["verdicts"])
        made = [{**row, "image_sha256": "a" * 64, "output": {"red": n / 99}} for n, row in enumerate(rows)]
        put_lines(value["verdicts"], made)

    assert states(call, altered(receipt, one))["copies"] in ("NOTE", "UNCHECKED")
    assert states(call, altered(receipt, torn))["copies"] == "UNCHECKED"


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("identity", lambda v: v["manifest"].update(run_digest="f" * 64)),
        ("identity", lambda v: v["manifest"].update(run_id="fake-plain-mine-none-000000000000")),
        ("indices", lambda v: v["manifest"].update(images_per_prompt=77)),
        ("indices", lambda v: v["manifest"].update(images_per_prompt=10**12)),
        ("identity", lambda v: v["manifest"].update(sampling={"steps": 1})),
        ("images judged", lambda v: v["result"]["coverage"].update(generated=99999)),
        ("labels", lambda v: v["result"].update(title="mine")),
        ("labels", lambda v: v["result"].update(seconds={"generate": 0.001, "judge": None})),
    ],
)
def test_what_the_run_says_of_itself_is_checked(
    call: Cli, receipt: Path, what: str, change: Callable[[dict[str, Any]], object]
) -> None:
    assert what in failed(call, altered(receipt, change))


def test_images_from_elsewhere_are_said_to_be(
    call: Cli, receipt: Path, world: FakeBenchmark, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for place, path in enumerate(sorted((tmp_path / "out" / "images").rglob("*.png"))[:6]):
        (folder / f"{place:05d}_0.png").write_bytes(path.read_bytes())
    told = call("judge", "fake", "--protocol", "plain", "--images", folder, "--out", tmp_path / "j", "--json")
    path = Path(call("receipt", "make", told.records[0]["run_dir"], "--json").records[0]["file"])
    found = states(call, path)
    assert (found["seeds"], found["identity"]) == ("NOTE", "PASS")
    assert EXTERNAL[0] == json.loads(path.read_text())["manifest"]["model"]

    def other_image(value: dict[str, Any]) -> None:
        rows = lines_of(value["verdicts"])
        put_lines(value["verdicts"], [{**rows[0], "image_sha256": "a" * 64}, *rows[1:]])

    assert "content" in failed(call, altered(path, other_image))
    fewer = altered(path, lambda v: chosen(v, lambda r: r["item_id"] < "00003", lambda r: r["id"] < "00003"))
    assert {"prompts", "content", "identity"} <= failed(call, fewer)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"id": "\\ud800", "prompt": "a", "task": "b"}', "\x00"])
def test_lines_that_nothing_reads_are_a_failure(call: Cli, receipt: Path, text: str) -> None:
    for part in ("items", "plan", "verdicts"):
        path = altered(receipt, lambda value, part=part: repack(value[part], f"{text}\n".encode()))
        assert part in failed(call, path)


def test_sizes_and_characters_that_cannot_be_are_told(call: Cli, receipt: Path) -> None:
    huge = call("receipt", "check", altered(receipt, lambda v: v["items"].update(size=10**30)), "--json")
    assert (huge.code, huge.records[0]["state"]) == (2, "FAIL")
    assert "items" in failed(call, altered(receipt, lambda v: v["items"].update(size=2**35)))
    value = json.loads(receipt.read_text())
    value["manifest"]["started"] = "\ud800"
    receipt.write_text(json.dumps(value))
    half = call("receipt", "check", receipt, "--json")
    assert (half.code, half.records[0]["state"]) == (2, "FAIL")
    assert "half a character" in half.records[0]["error"]


def test_other_intervals_by_other_code_are_a_note(call: Cli, receipt: Path) -> None:
    def moved(**known: Any) -> Path:
        def change(value: dict[str, Any]) -> None:
            value["result"]["metrics"][0]["ci_prompts"][0] += 1e-3
            value["manifest"]["provenance"].update(known)

        return altered(receipt, change)

    assert states(call, moved())["overall"] == "FAIL"
    for known in ({"git_sha": "d" * 40}, {"git_sha": None}, {"git_dirty": True}, {"git_dirty": None}):
        found = states(call, moved(**known))
        assert (found["code"], found["overall"]) == ("NOTE", "NOTE")
    assert "git checkout dddddddddddd" in call("receipt", "check", moved(git_sha="d" * 40), "--json").stdout

    def value_too(value: dict[str, Any]) -> None:
        value["result"]["metrics"][0]["value"] += 1e-3
        value["manifest"]["provenance"].update(git_sha="d" * 40)

    assert states(call, altered(receipt, value_too))["overall"] == "FAIL"


def test_intervals_of_an_older_version_are_called_that_and_not_forged(call: Cli, receipt: Path) -> None:
    def older(**known: Any) -> Path:
        def change(value: dict[str, Any]) -> None:
            value["result"]["metrics"][0]["ci_prompts"][0] += 1e-3
            del value["result"]["intervals_version"]
            value["manifest"]["provenance"].update(known)

        return altered(receipt, change)

    done = call("receipt", "check", older(git_sha="d" * 40))
    assert done.code == 0
    words = " ".join(done.stdout.split())
    assert f"made under intervals of version 1; this lumina-eval makes version {INTERVALS_VERSION}" in words
    assert "whoever has the run makes them anew" in words
    found = states(call, older())  # the code of the run makes no such intervals
    assert (found["intervals"], found["overall"]) == ("FAIL", "FAIL")
    assert states(call, receipt)["intervals"] == "PASS"


def test_intervals_of_a_newer_version_are_for_a_newer_reader(call: Cli, receipt: Path) -> None:
    def newer(value: dict[str, Any]) -> None:
        value["result"]["intervals_version"] = INTERVALS_VERSION + 1
        value["manifest"]["provenance"].update(git_sha="d" * 40)

    done = call("receipt", "check", altered(receipt, newer))
    assert done.code == 0
    words = " ".join(done.stdout.split())
    assert f"of version {INTERVALS_VERSION + 1}; this lumina-eval makes version {INTERVALS_VERSION}" in words
    assert "a newer one derives them" in words
    assert "makes them anew" not in words


def test_places_on_the_machine_stay_there(call: Cli, receipt: Path, tmp_path: Path) -> None:
    assert str(tmp_path) not in receipt.read_text()
    assert "--model models.py:reddish" in json.loads(receipt.read_text())["command"]
