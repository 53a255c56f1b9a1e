"""Records of other versions: an old one is read, a strange one is refused with what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lumina_eval.errors import UserError
from lumina_eval.migrations import migrated, parsed
from lumina_eval.records import Manifest, RunResult
from lumina_eval.runs import read_items, read_manifest, read_result, read_scores

#: As the first commit that wrote records (e00b010) wrote them: there was no rewriting then.
FIRST_MANIFEST = {
    "schema": 1,
    "run_id": "geneval-tabletop-embedded-low_res-0123456789ab",
    "run_digest": "0" * 64,
    "benchmark": "geneval",
    "protocol": "tabletop",
    "protocol_digest": "1" * 64,
    "protocol_values": {"threshold": 0.3},
    "changed": [],
    "suite": "quick",
    "subset": None,
    "model": "embedded",
    "title": "embedded:low_res",
    "checkpoint": "embedded:low_res",
    "digest": "2" * 64,
    "components": {"vae": "3" * 64},
    "stage": "low_res",
    "step": 1000,
    "sampling": {"steps": 18},
    "sampler_version": 1,
    "device": "cpu",
    "base_seed": 0,
    "images_per_prompt": 4,
    "batch_size": 16,
    "judge": "tabletop@0123456789ab",
    "judge_kind": "detect",
    "judge_digest": "4" * 64,
    "judge_settings": {},
    "store": "../../images",
    "provenance": {
        "git_sha": None,
        "git_dirty": None,
        "packages": {"lumina-eval": "0.1.0"},
        "hardware": {},
        "python": "3.11.7",
        "platform": "Linux x86_64",
    },
    "argv": [],
    "started": "2026-01-01T10:00:00+00:00",
    "finished": None,
    "seconds": {"generate": 1.5, "judge": None},
    "mlflow_run_id": None,
}
FIRST_RESULT = {
    **{
        key: FIRST_MANIFEST[key]
        for key in ("schema", "benchmark", "protocol", "suite", "subset", "model", "checkpoint", "digest")
    },
    "stage": "low_res",
    "step": 1000,
    "metrics": [
        {
            "name": "overall",
            "value": 0.5,
            "ci_seeds": [0.4, 0.6],
            "ci_prompts": None,
            "n_prompts": 20,
            "n_images": 80,
            "unit": "fraction",
        }
    ],
    "coverage": {"expected": 80, "generated": 80, "judged": 80, "failed": 0, "excluded": 0},
    "seconds": {"generate": None, "judge": None},
    "run_dir": None,
    "mlflow_run_id": None,
    "warnings": [],
    "title": "embedded:low_res",
    "changed": [],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "manifest.json").write_text(json.dumps(FIRST_MANIFEST))
    (tmp_path / "metrics.json").write_text(json.dumps(FIRST_RESULT))
    return tmp_path


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_records_of_the_first_commit_are_read(folder: Path) -> None:
    assert read_manifest(folder).rewriting is None
    result = read_result(folder)
    assert result.rewriting is None
    assert result.metrics[0].ci_seeds == (0.4, 0.6)


def test_a_newer_schema_is_refused_with_its_version(folder: Path) -> None:
    change(folder / "manifest.json", schema=2)
    with pytest.raises(UserError, match=r"schema 2 \(written by lumina-eval 0.1.0\).*pip install --upgrade"):
        read_manifest(folder)
    change(folder / "manifest.json", schema="two")
    with pytest.raises(UserError, match="found 'two'"):
        read_manifest(folder)


def test_an_unknown_field_is_named_with_the_near_ones(folder: Path) -> None:
    change(folder / "metrics.json", cheked=True)
    with pytest.raises(UserError, match=r"field 'cheked'.*checkpoint"):
        read_result(folder)
    change(folder / "manifest.json", brand_new=1)
    with pytest.raises(UserError, match=r"manifest.json.*'brand_new' .written by lumina-eval 0.1.0"):
        read_manifest(folder)


def test_a_field_that_is_missing_or_wrong_is_named(folder: Path) -> None:
    values = {key: value for key, value in FIRST_RESULT.items() if key != "coverage"}
    (folder / "metrics.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match="lacks the field 'coverage'"):
        read_result(folder)
    change(folder / "metrics.json", coverage={"expected": -1, "generated": 0, "judged": 0})
    with pytest.raises(UserError, match=r"coverage\.expected"):
        read_result(folder)


def test_steps_lead_from_schema_to_schema() -> None:
    steps = {
        ("RunResult", 1): lambda value: {**value, "subset": value["part"]},
        ("RunResult", 2): lambda value: {key: one for key, one in value.items() if key != "part"},
    }
    value = migrated({"schema": 1, "part": "a few"}, "RunResult", "a file", steps, newest=3)
    assert value == {"schema": 3, "subset": "a few"}
    assert migrated(value, "RunResult", "a file", steps, newest=3) is value
    with pytest.raises(UserError, match=r"found schema 1.*make the run again"):
        migrated({"schema": 1}, "Manifest", "a file", steps, newest=3)


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "\xff"])
def test_what_is_no_record_is_told(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="expected a Manifest") as error:
        read_manifest(folder)
    assert "manifest.json" in str(error.value)
    with pytest.raises(UserError):
        parsed([], RunResult, "here")
    assert parsed(FIRST_MANIFEST, Manifest, "here").step == 1000


@pytest.mark.parametrize("tail", ['{"id": "1"', '{"id": "1"}\n', "\n", "nonsense\n"])
def test_a_broken_line_is_told_by_its_number(folder: Path, tail: str) -> None:
    good = '{"id":"0","prompt":"a","task":"t","split":null,"metadata":null}\n'
    (folder / "items.jsonl").write_text(good)
    assert len(read_items(folder)) == 1
    (folder / "items.jsonl").write_text(good + tail)
    with pytest.raises(UserError, match=r"items\.jsonl.*fix: run the same command again"):
        read_items(folder)
    with pytest.raises(UserError, match=r"cannot read .*scores.jsonl"):
        read_scores(folder)
