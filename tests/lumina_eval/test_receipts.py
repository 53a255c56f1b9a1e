"""Receipts: whole ones pass, and whatever is altered in one is found and named."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli, FakeBenchmark, with_model
from receipt_forging import Change, altered, repack, unpacked

from lumina_eval import provenance
from lumina_eval.plugins import injected
from lumina_eval.receipts import record
from lumina_eval.rerun import command_of
from lumina_eval.runs import find_runs, read_manifest


@pytest.fixture(autouse=True)
def _of_one_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and checks are by the same code, whatever the working tree that the tests run in."""
    monkeypatch.setattr(provenance, "git_state", lambda folder: ("c" * 40, False))


@pytest.fixture
def run_dir(call: Cli, run_words: list[Any], tmp_path: Path) -> Path:
    call(*run_words)
    (found,) = find_runs(tmp_path / "out")
    return found


@pytest.fixture
def receipt(call: Cli, run_dir: Path) -> Path:
    done = call("receipt", "make", run_dir, "--json")
    assert done.code == 0
    return Path(done.records[0]["file"])


def failures(call: Cli, *words: object, code: int = 1, state: str = "FAIL") -> dict[str, str]:
    done = call("receipt", "check", *words, "--json")
    assert done.code == code, done.stderr
    return {row["what"]: row["said"] for row in done.records[0]["findings"] if row["state"] == state}


def test_a_whole_receipt_passes_without_the_run(call: Cli, receipt: Path, tmp_path: Path) -> None:
    alone = tmp_path / "elsewhere" / "r.json"
    alone.parent.mkdir()
    shutil.copy(receipt, alone)
    shutil.rmtree(tmp_path / "out")
    done = call("receipt", "check", alone, "--json")
    assert done.code == 0
    (told,) = done.records
    assert told["state"] == "PASS"
    assert {row["state"] for row in told["findings"]} == {"PASS"}
    names = {row["what"] for row in told["findings"]}
    assert {
        "receipt",
        "items",
        "plan",
        "verdicts",
        "seeds",
        "judge",
        "protocol",
        "overall",
        "scores",
    } <= names
    assert told["command"].startswith("lumina-eval run fake --protocol plain --model")
    assert "--out" not in told["command"]
    people = call("receipt", "check", alone)
    assert "the same to the last bit" in people.stdout
    assert str(tmp_path / "out") not in alone.read_text()


def test_a_folder_stands_for_the_receipts_in_it(
    call: Cli, receipt: Path, run_dir: Path, tmp_path: Path
) -> None:
    call("receipt", "make", run_dir, "--out", tmp_path / "r")
    for place, file in (
        (run_dir, receipt),
        (tmp_path / "out", receipt),
        (tmp_path / "r", tmp_path / "r" / f"{run_dir.name}.receipt.json"),
    ):
        done = call("receipt", "check", place, "--json")
        assert (done.code, [row["file"] for row in done.records]) == (0, [str(file)])
    receipt.unlink()
    for place in (run_dir, tmp_path / "out"):
        done = call("receipt", "check", place)
        assert done.code == 2
        assert f"{receipt}: No such file or directory; fix: lumina-eval receipt make {run_dir}" in done.stderr
    (tmp_path / "empty").mkdir()
    nothing = call("receipt", "check", tmp_path / "empty")
    assert nothing.code == 2
    assert "expected receipt.json of a run, or RUN.receipt.json of several, found neither" in nothing.stderr


def test_a_place_that_ends_in_json_is_the_receipt_of_a_single_run(
    call: Cli, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "INSIDE", 100)  # the lines of its parts lie beside
    file = tmp_path / "mine" / "x.json"
    done = call("receipt", "make", run_dir, "--out", file)
    assert done.code == 0
    assert file.is_file()
    assert call("receipt", "check", file).code == 0
    assert all(part.name.startswith(f"{run_dir.name}.") for part in file.parent.iterdir() if part != file)

    shutil.copytree(run_dir, run_dir.with_name("other"))
    several = call("receipt", "make", tmp_path / "out", "--out", tmp_path / "y.json")
    assert several.code == 2
    assert "receipts of 2 runs, found a single file" in several.stderr
    assert f"fix: --out {tmp_path / 'y'}, or name one run" in " ".join(several.stderr.split())
    assert not (tmp_path / "y.json").exists()
    (tmp_path / "y.json").mkdir()  # a folder that is there is taken as it is
    assert call("receipt", "make", run_dir, "--out", tmp_path / "y.json").code == 0
    assert (tmp_path / "y.json" / f"{run_dir.name}.receipt.json").is_file()


def test_a_record_that_was_changed_beside_its_receipt_is_found(call: Cli, receipt: Path) -> None:
    record_file = receipt.parent / "metrics.json"
    value = json.loads(record_file.read_text())
    value["metrics"][0]["value"] += 0.01
    record_file.write_text(json.dumps(value))
    said = failures(call, receipt.parent)
    assert list(said) == ["record beside it"]
    assert "metrics of metrics.json differ from the receipt" in said["record beside it"]


def test_making_again_gives_the_same_bytes(call: Cli, run_dir: Path, tmp_path: Path) -> None:
    for _ in range(2):
        call("receipt", "make", tmp_path / "out", "--out", tmp_path / "r")
    (one,) = (tmp_path / "r").iterdir()
    before = one.read_bytes()
    call("receipt", "make", run_dir, "--out", tmp_path / "r")
    assert one.read_bytes() == before
    assert one.name == f"{run_dir.name}.receipt.json"


def test_an_altered_number_is_found(call: Cli, receipt: Path) -> None:
    def higher(value: dict[str, Any]) -> None:
        value["result"]["metrics"][0]["value"] += 0.01

    unsealed = failures(call, altered(receipt, higher, seal=False))
    assert set(unsealed) == {"receipt", "overall"}
    sealed = failures(call, altered(receipt, higher))
    assert set(sealed) == {"overall"}
    assert "stated" in sealed["overall"]
    assert "from the verdicts" in sealed["overall"]

    def narrower(value: dict[str, Any]) -> None:
        value["result"]["metrics"][0]["ci_prompts"][0] += 1e-9

    assert "ci_prompts low" in failures(call, altered(receipt, narrower))["overall"]
    close = call("receipt", "check", altered(receipt, narrower), "--tolerance", "1e-8")
    assert close.code == 0
    assert "but for rounding" in close.stdout


def test_an_altered_verdict_is_found_however_it_is_sealed(call: Cli, receipt: Path) -> None:
    def redder(honest: bool) -> Change:
        def change(value: dict[str, Any]) -> None:
            lines = unpacked(value["verdicts"]).decode().splitlines()
            first = json.loads(lines[0])
            first["output"]["red"] = 1.0 - first["output"]["red"]
            lines[0] = json.dumps(first)
            repack(value["verdicts"], "".join(f"{line}\n" for line in lines).encode(), honest)

        return change

    plain = failures(call, altered(receipt, redder(honest=False)))
    assert "altered" in plain["verdicts"]
    assert "overall" in plain
    assert set(failures(call, altered(receipt, redder(honest=True)))) >= {"overall"}


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("images judged", lambda v: v["result"]["coverage"].update(judged=11)),
        ("images judged", lambda v: v["result"]["coverage"].update(excluded=1)),
        ("labels", lambda v: v["result"].update(subset="2 per task")),
        ("labels", lambda v: v.update(command="lumina-eval run fake --set threshold=0")),
        ("checkpoint", lambda v: v["manifest"]["components"].update(weights="a" * 64)),
        ("protocol", lambda v: v["manifest"]["protocol_values"].update(threshold=0.4)),
        ("judge", lambda v: v["manifest"].update(judge_digest="f" * 64)),
        ("seeds", lambda v: v["manifest"].update(base_seed=7)),
        ("results", lambda v: v.update(results_sha256="e" * 64)),
        ("scores", lambda v: v.update(scores_sha256="e" * 64)),
        (
            "invented",
            lambda v: v["result"]["metrics"].append({**v["result"]["metrics"][0], "name": "invented"}),
        ),
        ("overall", lambda v: v["result"]["metrics"].clear()),
        ("verdicts", lambda v: v["verdicts"].update(data="AAAA")),
        ("verdicts", lambda v: v["verdicts"].update(size=10)),
        ("items", lambda v: repack(v["items"], b'{"id": "x"}\n')),
        ("plan", lambda v: repack(v["plan"], unpacked(v["plan"]).replace(b'"index":0', b'"index":9'), False)),
    ],
)
def test_whatever_is_altered_is_named(call: Cli, receipt: Path, what: str, change: Change) -> None:
    assert what in failures(call, altered(receipt, change))


def test_verdicts_that_the_rules_cannot_read_are_a_failure(call: Cli, receipt: Path) -> None:
    def blind(value: dict[str, Any]) -> None:
        repack(value["verdicts"], unpacked(value["verdicts"]).replace(b'"red"', b'"rod"'))

    assert "cannot read the verdicts" in failures(call, altered(receipt, blind))["metrics"]


def test_other_rules_in_this_installation_are_a_note(call: Cli, receipt: Path, world: FakeBenchmark) -> None:
    path = world.folder / "plain.toml"
    path.write_text(path.read_text().replace("threshold = 0.5", "threshold = 0.99"))
    assert "other rules" in failures(call, receipt, code=0, state="NOTE")["protocol"]
    path.unlink()
    assert "not installed here" in failures(call, receipt, code=0, state="NOTE")["protocol"]


def test_other_lines_by_another_version_are_a_note(call: Cli, receipt: Path) -> None:
    def older(value: dict[str, Any]) -> None:
        value["scores_sha256"], value["manifest"]["provenance"]["git_sha"] = "e" * 64, "d" * 40

    told = failures(call, altered(receipt, older), code=0, state="NOTE")
    assert "made by lumina-eval" in told["code"]
    assert "another version of the code" in told["scores"]


def test_a_benchmark_that_is_not_installed_is_exit_code_2(call: Cli, receipt: Path, tmp_path: Path) -> None:
    def renamed(value: dict[str, Any]) -> None:
        value["manifest"]["benchmark"] = value["result"]["benchmark"] = "absent"

    told = failures(call, altered(receipt, renamed), code=2, state="ABSENT")
    assert "unknown benchmark 'absent'" in told["metrics"]


def test_many_verdicts_stay_in_a_file_beside(
    call: Cli, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "INSIDE", 200)
    call("receipt", "make", run_dir)
    assert call("receipt", "check", run_dir / "receipt.json").code == 0
    call("receipt", "make", run_dir, "--out", tmp_path / "r")
    beside = tmp_path / "r" / f"{run_dir.name}.verdicts.jsonl"
    whole = beside.read_bytes()
    file = tmp_path / "r" / f"{run_dir.name}.receipt.json"
    assert call("receipt", "check", file).code == 0
    beside.write_bytes(whole[: len(whole) // 2])
    assert "verdicts" in failures(call, file)
    beside.unlink()
    told = failures(call, file, code=4, state="UNCHECKED")
    assert beside.name in told["verdicts"]
    assert "metrics" in told


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
def test_a_file_that_breaks_off_is_told(call: Cli, receipt: Path, keep: float) -> None:
    text = receipt.read_text()
    receipt.write_text(text[: int(len(text) * keep)])
    done = call("receipt", "check", receipt)
    assert done.code == 2
    assert "breaks off" in done.stderr
    assert "get the file again" in done.stderr


def test_what_is_no_receipt_is_told(call: Cli, receipt: Path, run_dir: Path, tmp_path: Path) -> None:
    assert "found another file" in call("receipt", "check", run_dir / "metrics.json").stderr
    assert "cannot read" in call("receipt", "check", tmp_path / "none.json").stderr
    newer = altered(receipt, lambda value: value.update(schema=2))
    done = call("receipt", "check", newer, receipt, "--json")
    assert done.code == 2
    assert "schema 2" in done.records[0]["error"]
    assert done.records[1]["state"] == "PASS"
    strange = altered(receipt, lambda value: value.update(surprise=1))
    assert "'surprise'" in call("receipt", "check", strange).stderr
    (run_dir / "plan.jsonl").unlink()
    assert "expected plan.jsonl" in call("receipt", "make", run_dir).stderr


def test_images_are_held_against_their_verdicts(call: Cli, receipt: Path, tmp_path: Path) -> None:
    store = tmp_path / "out" / "images"
    assert "image files" in failures(call, receipt, "--images", store, code=0, state="PASS")
    image = next(store.rglob("*.png"))
    whole, sidecar = image.read_bytes(), image.with_suffix(".json")
    image.unlink()
    assert (
        "1 of 12 are not in"
        in failures(call, receipt, "--images", store, code=4, state="UNCHECKED")["image files"]
    )
    other = next(path for path in store.rglob("*.png") if path.read_bytes() != whole)
    image.write_bytes(other.read_bytes())
    sidecar.write_text(other.with_suffix(".json").read_text())
    assert "1 are not those" in failures(call, receipt, "--images", store)["image files"]
    assert (
        "no folder"
        in failures(call, receipt, "--images", store / "x", code=4, state="UNCHECKED")["image files"]
    )


def test_a_run_of_judge_has_a_receipt_too(call: Cli, run_dir: Path, tmp_path: Path) -> None:
    verdicts = call(
        "judge", "fake", "--protocol", "plain", "--verdicts", run_dir / "verdicts.jsonl",
        "--out", tmp_path / "judged", "--set", "threshold=0.2", "--json",
    )  # fmt: skip
    folder = tmp_path / "pictures"
    folder.mkdir()
    for place, path in enumerate(sorted((tmp_path / "out" / "images").rglob("*.png"))[:6]):
        shutil.copy(path, folder / f"{place:05d}_0.png")
    images = call(
        "judge", "fake", "--protocol", "plain", "--images", folder, "--out", tmp_path / "judged", "--json"
    )
    for done in (verdicts, images):
        made = call("receipt", "make", done.records[0]["run_dir"], "--json").records[0]["file"]
        assert call("receipt", "check", made).code == 0
    assert "image files" in failures(call, made, "--images", folder, code=0, state="PASS")
    shutil.copy(folder / "00001_0.png", folder / "00000_0.png")
    assert "prompt 00000" in failures(call, made, "--images", folder)["image files"]


def test_rewritten_texts_are_part_of_it(
    call: Cli, run_words: list[Any], world: FakeBenchmark, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text(
        "".join(f'{{"prompt": "prompt {n}", "rewritten": "a better prompt {n}"}}\n' for n in range(6))
    )
    run_dir = call(*run_words, "--rewrite", texts, "--json").records[0]["run_dir"]
    file = Path(call("receipt", "make", run_dir, "--json").records[0]["file"])
    assert "rewritten" in failures(call, file, code=0, state="PASS")
    other = altered(file, lambda v: repack(v["rewritten"], b'{"prompt": "prompt 0", "rewritten": "x"}\n'))
    assert "rewritten" in failures(call, other)


def test_failed_images_are_in_it(call: Cli, run_words: list[Any], model_file: Path) -> None:
    run_dir = call(*with_model(run_words, f"{model_file}:gappy"), "--json").records[0]["run_dir"]
    file = call("receipt", "make", run_dir, "--json").records[0]["file"]
    assert "10 of 12" in failures(call, file, code=0, state="PASS")["images judged"]


def test_the_command_is_made_up_where_none_is_known(run_dir: Path) -> None:
    manifest = read_manifest(run_dir)
    bare = manifest.model_copy(update={"argv": [], "changed": ["threshold=0.5"], "title": "embedded:low_res"})
    assert command_of(bare) == (
        "lumina-eval run fake --protocol plain --model embedded:low_res --suite standard --set threshold=0.5"
    )
    few = bare.model_copy(update={"subset": "2 per task (6 of 12 prompts)", "changed": []})
    assert command_of(few).endswith("--suite standard --limit 2")
    words = ["/x/lumina-eval", "run", "fake", "--out=/a b", "--store", "s", "--set", "a=b c", "--no-report"]
    assert command_of(manifest.model_copy(update={"argv": words})) == "lumina-eval run fake --set 'a=b c'"


@pytest.mark.parametrize("words", [["--batch-size", "auto"], ["--batch-size=auto"], ["--batch-size", "AUTO"]])
def test_a_batch_size_that_was_found_is_told_as_a_number(run_dir: Path, words: list[str]) -> None:
    """Another machine would find another one."""
    argv = ["lumina-eval", "run", "fake", "--model", "auto", *words, "--json"]
    found = {"argv": argv, "batch_size": 3, "batch_size_found": True}
    told = shlex.split(command_of(read_manifest(run_dir).model_copy(update=found)))
    number = [word.lower().replace("auto", "3") for word in words]
    assert told == ["lumina-eval", "run", "fake", "--model", "auto", *number]


@pytest.mark.usefixtures("world")
def test_nothing_of_a_run_is_needed_but_its_rules(call: Cli, receipt: Path, world: FakeBenchmark) -> None:
    class NoJudge(FakeBenchmark):
        def judge(self, protocol: Any) -> Any:
            raise AssertionError("a receipt is checked without a judge")

    with injected("benchmarks", fake=NoJudge(world.folder)):
        assert call("receipt", "check", receipt).code == 0
