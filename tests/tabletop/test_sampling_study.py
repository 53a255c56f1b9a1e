"""The study of the sampler: files that are kept, and rows that are compared prompt by prompt."""

import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.tabletop.trial import sampling_plot
from benchmarks.tabletop.trial import sampling_study as study
from lumina_eval.errors import UserError
from lumina_eval.records import Score

REFERENCE = study.Setting(*study.REFERENCE)


def write(out: Path, setting: study.Setting, passes: float, values: list[list[float]]) -> Path:
    """Two tasks, as many prompts in each as there are values, two images each."""
    scores = [
        Score(item_id=f"{task}-{i}", task=task, index=k, value=value)
        for task, row in zip(("counting", "colors"), values, strict=True)
        for i, value in enumerate(row)
        for k in range(2)
    ]
    record = {
        "setting": {"solver": setting.solver, "steps": setting.steps, "guidance": setting.guidance},
        "passes": passes,
        "scores": [score.model_dump() for score in scores],
    }
    file = out / f"{len(list(out.iterdir()))}.json"
    file.write_text(json.dumps(record))
    return file


def test_settings_cover_every_solver_and_guidance() -> None:
    every = study.settings()
    assert len(every) == len({setting.name for setting in every}) == 5 * 3 * len(study.GUIDANCE)
    assert REFERENCE in every
    assert {setting.solver for setting in study.settings(("dpm",))} == {"dpm", REFERENCE.solver}
    assert study.Setting("dpm", 20, "cfg 4, renorm").changes() == {
        "solver": "dpm", "grid": "auto", "steps": 20, "guidance": 4.0, "renorm": 1.0,
    }  # fmt: skip


def test_prompts_are_of_dev_and_of_every_task() -> None:
    items = study.chosen_prompts(2)
    assert len(items) == 12
    assert {item.id for item in items} <= {item.id for item in study.prompts("dev")}


def test_a_loss_is_told_from_none(tmp_path: Path) -> None:
    good, bad = [1.0, 1.0, 0.0, 1.0] * 8, [0.0, 0.0, 0.0, 1.0] * 8
    same, worse = study.Setting("euler", 20, "cfg 4"), study.Setting("euler", 10, "none")
    files = {
        REFERENCE: write(tmp_path, REFERENCE, 80, [good, good]),
        same: write(tmp_path, same, 40, [good, good]),
        worse: write(tmp_path, worse, 10, [bad, bad]),
    }
    found = study.rows(files, 0.1)
    assert [row.setting for row in found] == [worse, same, REFERENCE]
    table = study.table("hq_tuning", found)
    assert [row[-1] for row in table.rows] == ["yes", "no", ""]
    assert table.rows[0][4] == "-0.500"
    guidance = study.by_guidance("hq_tuning", files, 0.1)
    assert [(row[0], row[1], row[2], row[-1]) for row in guidance.rows] == [
        ("cfg 4", "2", "0.750", ""),
        ("none", "1", "0.250", "yes"),
    ]
    sampling_plot.plot(found, tmp_path / "scores.png")
    with Image.open(tmp_path / "scores.png") as picture:
        assert len(picture.convert("RGB").getcolors(2**20) or []) > 50, "lines were drawn"
    with pytest.raises(UserError, match="scores"):
        sampling_plot.plot(found, tmp_path / "nowhere" / "scores.png")
    assert table.rows[1][2] == "0.750"


def test_a_setting_is_drawn_once_and_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real, on the embedded model: one cheap setting; the second time nothing is drawn."""
    from lumina_model.pipeline import Pipeline

    used = []
    original = Pipeline.generate

    def spy(self: Pipeline, prompts: object, seeds: object, sampling: object) -> object:
        used.append(sampling.canonical())
        return original(self, prompts, seeds, sampling)

    monkeypatch.setattr(Pipeline, "generate", spy)
    setting, items = study.Setting("dpm", 10, "none"), study.chosen_prompts(1)[:2]
    ((found, file),) = study.draw_and_judge("low_res", [setting], items, 1, tmp_path)
    assert found == setting
    assert (used[0]["solver"], used[0]["grid"], used[0]["steps"], used[0]["height"]) == ("dpm", "dpm", 10, 64)
    record = json.loads(file.read_text())
    assert record["passes"] == 10  # one branch, ten steps
    assert len(record["scores"]) == 2
    assert list(study.draw_and_judge("low_res", [setting], items, 1, tmp_path)) == [(setting, file)]
    assert len(used) == 1
