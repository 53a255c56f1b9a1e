"""The rules against what the official script gave, and over real answers of the official judge."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.dpg.adapter import Dpg
from benchmarks.dpg.questions import read_items
from lumina_eval.errors import UserError
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Verdict

pytestmark = pytest.mark.parity

Judge = Callable[..., Any]


def verdicts_of(case: dict[str, Any]) -> str:
    lines = []
    for item, crops in case["answers"].items():
        for crop, answers in list(crops.items())[: case["pic_num"]]:
            lines.append(json.dumps({"item_id": item, "crop": int(crop), "answers": answers}))
    return "\n".join(lines)


def test_every_case_of_the_official_script(shared: Path, judge: Judge) -> None:
    cases = sorted((shared / "fixtures" / "dpg").iterdir())
    assert len(cases) >= 2
    for folder in cases:
        case = json.loads((folder / "case.json").read_text())
        expected = case["expected"]
        done = judge(folder / "bench.csv", verdicts_of(case))
        assert done.code == 0, done.stderr
        values = done.values
        assert values["overall"] == pytest.approx(expected["dpg_bench_score"], abs=1e-9), folder.name
        for level in ("L1", "L2"):
            found = {name[3:]: v for name, v in values.items() if name.startswith(f"{level.lower()}/")}
            assert found == pytest.approx(expected[level], abs=1e-9), folder.name
        lines = (Path(done.record["run_dir"]) / "results.jsonl").read_text().splitlines()
        rows = {f"{row['item_id']}.png": row for row in map(json.loads, lines)}
        kept = {name: row for name, row in rows.items() if not row["excluded"]}
        assert set(kept) == set(expected["per_image"]), folder.name
        for name, row in kept.items():
            assert row["crop_scores"] == expected["per_image"][name]["crop_scores"], (folder.name, name)
            assert row["average"] == expected["per_image"][name]["average"], (folder.name, name)
        failed = {name for name, _ in expected["failed"]}
        assert {name for name, row in rows.items() if row["excluded"]} <= failed, folder.name
        warnings = " ".join(done.record["warnings"])
        assert all(name in failed and name.removesuffix(".png") in warnings for name in set(rows) - set(kept))


def test_the_set_of_another_benchmark_is_refused_by_cell(shared: Path, judge: Judge) -> None:
    questions = shared / "data" / "dpg" / "dsg_same_schema" / "dsg-1k-anns.csv"
    done = judge(questions, '{"item_id": "whoops_5", "crop": 0, "answers": {}}')
    assert done.code == 2
    assert "dsg-1k-anns.csv:185: " in done.stderr
    assert "in column dependency, found '5, right'" in done.stderr
    assert "9 more lines: 1072, 2245, 3196" in done.stderr
    assert not done.stdout


def test_an_unknown_parent_is_found_once_the_cells_are_well_formed(shared: Path, tmp_path: Path) -> None:
    """The same file with its ten malformed cells mended has an item whose question 1 is not there."""
    source = shared / "data" / "dpg" / "dsg_same_schema" / "dsg-1k-anns.csv"
    with source.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    column = rows[0].index("dependency")
    for row in rows[1:]:
        row[column] = ",".join(part for part in row[column].split(",") if part.strip().isdigit())
    mended = tmp_path / "mended.csv"
    with mended.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    with pytest.raises(UserError, match=r"mended\.csv:3593: .*tifa160_134.*there is no 1 .*7 more lines"):
        read_items(mended)


def test_the_aggregation_over_real_answers_of_the_official_judge(
    shared: Path, tmp_path: Path, protocol: Callable[..., ResolvedProtocol]
) -> None:
    """mPLUG's answers for five models, with its own dependencies, against sums by another way."""
    source = shared / "data" / "dpg" / "dsg_same_schema" / "mplug_dsg.csv"
    with source.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    images: dict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        images[row["dsg_prompt_split"], row["t2i_model"], row["item_id"]].append(row)
    well_formed = {
        image: asked
        for image, asked in images.items()
        if all(
            part.strip() in {"0", *(other["question_id"] for other in asked)}
            for row in asked
            for part in row["dependency_id"].split(",")
        )
    }
    assert len(well_formed) > 1500
    questions, verdicts, expected, raw_yes = tmp_path / "questions.csv", [], [], []
    with questions.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        header = "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple"
        writer.writerow([*header.split(","), "question_natural_language"])
        for number, asked in enumerate(well_formed.values()):
            for row in asked:
                text = f"{row['question_id']}: {row['question']}"
                writer.writerow(
                    [number, "", "", row["question_id"], row["dependency_id"], "", "", "a - b (c)", text]
                )
            answers = {f"{row['question_id']}: {row['question']}": row["answer"] for row in asked}
            verdicts.append(
                Verdict(item_id=str(number), index=0, image_sha256="", judge="x", output={"answers": answers})
            )
            raw = {row["question_id"]: row["answer"] == "yes" for row in asked}
            raw_yes += raw.values()
            truth: dict[str, bool] = {}
            for row in asked:  # a parent that comes later is seen with its raw answer
                parents = [part.strip() for part in row["dependency_id"].split(",")]
                held = [truth.get(parent, raw.get(parent, True)) for parent in parents]
                truth[row["question_id"]] = raw[row["question_id"]] and all(held)
            expected.append(sum(truth.values()) / len(truth))
    wanted = protocol("official", ["skip_first_row=false"])
    found = Dpg(questions).aggregate(wanted, Dpg(questions).items(wanted), verdicts)
    values = {metric.name: metric.value for metric in found.metrics}
    assert values["overall"] == pytest.approx(100 * sum(expected) / len(expected), abs=1e-9)
    assert values["l1/a"] == values["l2/a - b"] == pytest.approx(100 * sum(raw_yes) / len(raw_yes), abs=1e-9)
    assert any("neither 'yes' nor 'no'" in text for text in found.warnings)
    assert found.excluded == 0
