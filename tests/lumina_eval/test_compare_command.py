"""``compare`` and ``plan`` on run folders: what they print, decide and refuse."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_world import Cli
from markdown_it import MarkdownIt

from lumina_eval.records import Score
from lumina_eval.statistics.gates import MOST_AT_MARGIN
from lumina_eval.statistics.means import metric

PROMPTS, IMAGES = 60, 2
Made = Callable[..., Path]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one real run of this file is kept."""
    return tmp_path_factory.mktemp("origin") / "run"


@pytest.fixture
def made(call: Cli, run_words: list[object], origin: Path, tmp_path: Path) -> Made:
    """Copy a finished run with other scores (P, K), and with what else the manifest shall say."""
    if not origin.is_dir():
        (record,) = call(*run_words, "--set", f"prompts={PROMPTS}", "--json").records
        shutil.copytree(record["run_dir"], origin)

    def write(name: str, values: Any, judged: int = PROMPTS * IMAGES, **manifest: Any) -> Path:
        folder = tmp_path / "made" / "runs" / name
        shutil.copytree(origin, folder)
        scores = [
            Score(item_id=f"{p:05d}", task="odd" if p % 2 else "even", index=k, value=float(value))
            for p, row in enumerate(np.broadcast_to(values, (PROMPTS, IMAGES)))
            for k, value in enumerate(row)
        ]
        (folder / "scores.jsonl").write_text("".join(f"{score.model_dump_json()}\n" for score in scores))
        title = manifest.pop("title", name)
        for file, more in (
            ("manifest.json", {"title": title, **manifest}),
            ("metrics.json", {"title": title}),
        ):
            content = {**json.loads((folder / file).read_text()), **more}
            if file == "metrics.json":
                content["metrics"] = [json.loads(metric("overall", scores).model_dump_json())]
                content["coverage"]["judged"] = judged
            (folder / file).write_text(json.dumps(content))
        return folder

    return write


def drawn(chance: float, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((PROMPTS, IMAGES)) < chance).astype(float)


GOOD = drawn(0.7, 1)


# --- the gate -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "margin", "code", "word"),
    [
        (GOOD, 0.1, 0, "Passed"),
        (0 * GOOD, 0.1, 1, "Failed"),
        (drawn(0.7, 2), 0.01, 3, "Undecided"),
        (np.maximum(GOOD, drawn(0.7, 3)), None, 0, "Passed"),
        (GOOD, None, 3, "Undecided"),
    ],
)
def test_the_interval_that_is_printed_decides(call, made, candidate, margin, code, word):
    one, other = made("before", GOOD), made("after", candidate)
    words = ["compare", one, other, "--gate", *([] if margin is None else ["--margin", margin])]
    done, told = call(*words), call(*words, "--json")
    assert done.code == told.code == code
    first = done.stdout.splitlines()[0]
    assert first.startswith(f"**{word}:** <code>after</code> against <code>before</code>")
    (record,) = told.records
    assert record["gate"] == word.lower()
    low, high = record["primary"]["ci"]
    assert f"{low:+.3f} to {high:+.3f}".replace("-", "−") in done.stdout
    if margin is not None:
        assert (low > -margin, high < -margin) == (code == 0, code == 1)
        assert record["margin_alpha"] == 0.025
    assert ("lumina-eval plan" in done.stdout) == (code == 3 and margin is not None)


def test_missing_images_come_before_the_gate(call, made):
    one, other = made("before", GOOD), made("after", GOOD, judged=PROMPTS * IMAGES - 1)
    done = call("compare", one, other, "--gate", "--margin", 0.5)
    assert done.code == 4
    assert "Incomplete" in done.stdout.splitlines()[0]
    assert "119 of 120" in done.stderr
    assert call("compare", one, other, "--margin", 0.5).code == 0


@pytest.mark.parametrize(
    ("margin", "said"),
    [("1", "between 0 and 1"), ("0", "margin above 0"), ("-0.1", "above 0"), ("nan", "above 0")],
)
def test_a_margin_that_nothing_can_exceed_is_refused(call, made, margin, said):
    done = call("compare", made("before", GOOD), made("after", GOOD), f"--margin={margin}")
    assert done.code == 2
    assert said in done.stderr
    assert "fix:" in done.stderr


# --- what is printed ----------------------------------------------------------------------------------------


def test_wins_losses_ties_and_where_they_are(call, made):
    values = GOOD.copy()
    values[0], values[1], values[2] = 1, 0, 1
    before = GOOD.copy()
    before[0], before[1], before[2] = 0, 1, (0, 1)
    (record,) = call("compare", made("before", before), made("after", values), "--json").records
    primary = record["primary"]
    assert [primary[name] for name in ("wins", "losses", "ties")] == [2, 1, PROMPTS - 3]
    assert [
        (change["item_id"], change["baseline"], change["candidate"]) for change in primary["largest_gains"]
    ] == [
        ("00000", 0, 1),
        ("00002", 0.5, 1),
    ]
    assert primary["largest_losses"] == [{"task": "odd", "item_id": "00001", "baseline": 1, "candidate": 0}]
    even, odd = record["tasks"]
    assert [even["wins"], even["losses"], odd["wins"], odd["losses"]] == [2, 0, 0, 1]


def test_categories_stand_in_the_order_of_the_benchmark(call, made):
    one, other = made("before", GOOD), made("after", drawn(0.7, 2))
    for folder in (one, other):
        content = json.loads((folder / "metrics.json").read_text())
        content["metrics"] += [{**content["metrics"][0], "name": name} for name in ("odd", "even")]
        (folder / "metrics.json").write_text(json.dumps(content))
    (record,) = call("compare", one, other, "--json").records
    assert [task["name"] for task in record["tasks"]] == ["odd", "even"]
    shown = call("compare", one, other, "--gate", "--margin", 0.1).stdout
    assert shown.index("| odd |") < shown.index("| even |")


def test_scores_of_groups_of_prompts_are_told_apart_by_their_number_alone(call, made):
    """A share of a whole set of images, as precision is: no unit says so, and no plan can be made for it."""
    one, other = made("before", GOOD), made("after", drawn(0.7, 2))
    for folder in (one, other):
        content = json.loads((folder / "metrics.json").read_text())
        content["metrics"][0]["n_images"] = 10 * PROMPTS * IMAGES
        (folder / "metrics.json").write_text(json.dumps(content))
    (record,) = call("compare", one, other, "--json").records
    assert (record["pairs"], record["plannable"], record["lower_is_better"]) == (
        "groups of prompts",
        False,
        False,
    )
    done = call("compare", one, other, "--gate", "--margin", 0.01)
    assert done.code == 3
    assert "paired by groups of prompts" in done.stdout
    assert "To decide it takes" not in done.stdout
    assert call("plan", "--detect", 0.05, "--run", one).code == 2


def test_the_gate_names_the_worst_share_of_the_printed_simulation(call, made):
    page = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text()
    table = page.split("<!-- simulation difference: begin -->")[1].split("<!-- simulation")[0]
    worst = max(float(row.split("|")[4]) for row in table.strip().splitlines()[2:])
    assert f"{100 * worst:g} %" == MOST_AT_MARGIN
    done = call("compare", made("before", GOOD), made("after", GOOD), "--gate", "--margin", 0.1)
    assert f"about 2.5 % of cases, at most {MOST_AT_MARGIN} in our simulation" in done.stdout


HOSTILE = "a|b `x` <img src=x onerror=alert(1)> @everyone [l](http://e.x) **b** _i_ </code>\n# h \u202e"


def test_hostile_names_break_no_markdown_and_call_nobody(call, made):
    """Rendered as a code host renders it, the name is text in one cell, and no more."""
    one, other = made("before", GOOD, title=HOSTILE), made("after", GOOD)
    done = call("compare", one, other, "--gate", "--margin", 0.1)
    assert done.code == 0
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(done.stdout)
    assert set(re.findall(r"<\s*([a-z0-9]+)", html)) <= {
        "p", "strong", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "details", "summary",
    }  # fmt: skip
    for row in re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL):
        assert len(re.findall(r"<t[hd]", row)) in (8, 4)
    assert "@" not in done.stdout
    assert "`" not in done.stdout
    assert "\u202e" not in done.stdout
    shown = "a|b `x` <img src=x onerror=alert(1)> @everyone [l](http://e.x) **b** _i_ </code> # h"
    assert shown in unescape(html).replace("@\u200b", "@")
    assert "http:" in shown
    assert "://" not in done.stdout


def test_markdown_goes_to_a_file_without_a_gate_and_json_stays_json(call, made, tmp_path):
    one, other = made("before", GOOD), made("after", drawn(0.7, 2))
    file = tmp_path / "comparison.md"
    done = call("compare", one, other, "--markdown", file, "--json")
    assert len(done.records) == 1
    assert file.read_text().startswith("**Undecided:** <code>after</code>")
    shown = call("compare", one, other)
    assert "after minus before: undecided" in shown.stdout
    assert "won/lost/tied" in shown.stdout


def test_the_best_is_chosen_on_one_half_and_reported_on_the_other(call, made):
    runs = [made(name, drawn(chance, 5)) for name, chance in (("a", 0.3), ("b", 0.9), ("c", 0.5))]
    *compared, best = call("compare", *runs, "--best", "--json").records
    assert [one["candidate"] for one in compared] == ["b", "c"]
    assert (best["best"], best["n_prompts"], best["metric"]) == ("b", PROMPTS // 2, "overall")
    assert best["chosen_on"].keys() == {"a", "b", "c"}
    assert "best of 3: b" in call("compare", *runs, "--best").stdout


def test_score_and_cost_and_images_that_cost_nothing_here(call, made):
    runs = []
    for name, chance, seconds in (("slow", 0.9, 20.0), ("worse", 0.5, 30.0), ("stored", 0.7, None)):
        folder = made(name, drawn(chance, 6))
        lines = [] if seconds is None else [{"step": "generate", "images": 10, "seconds": seconds}]
        (folder / "timings.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        runs.append(folder)
    worse, stored = call("compare", *runs, "--json").records
    assert worse["baseline_cost"] == {"seconds_per_image": 2.0, "images_made": 10, "on_front": True}
    assert worse["candidate_cost"]["on_front"] is False
    assert stored["candidate_cost"] == {"seconds_per_image": None, "images_made": 0, "on_front": None}
    assert "images came from the store" in call("compare", *runs).stdout


def test_seconds_of_few_images_say_of_how_many(call, made):
    names, counts = ("few", "enough", HOSTILE), (6, 20, 1)
    runs = []
    for place, (name, images) in enumerate(zip(names, counts, strict=True)):
        runs.append(folder := made(f"run{place}", GOOD, title=name))
        line = {"step": "generate", "images": images, "seconds": 20.0}
        (folder / "timings.jsonl").write_text(f"{json.dumps(line)}\n")
    shown = " ".join(call("compare", *runs).stdout.split())
    assert "Seconds per image are of few images (6 of few, 1 of a|b" in shown
    assert "of enough" not in shown
    text = call("compare", *runs, "--gate", "--margin", 0.1).stdout
    assert "Seconds per image are of few images (6 of <code>few</code>, 1 of <code>a" in text
    assert "@" not in text
    (runs[0] / "timings.jsonl").write_text("")
    assert "few images" not in call("compare", *runs[:2]).stdout


def test_unknown_timings_are_no_images_from_the_store_and_warn_of_no_machine(call, made):
    """As after reading a run back that an older version sent: the manifest says what it can."""
    times = {"finished": "2026-01-01T00:00:00+00:00"}
    other = {"provenance": {"hardware": {"processor": "other"}}}
    timed = made("timed", GOOD, **times, seconds={"generate": 20.0, "judge": 1.0})
    line = {"step": "generate", "images": 10, "seconds": 20.0}
    (timed / "timings.jsonl").write_text(f"{json.dumps(line)}\n")
    lost = made("lost", GOOD, **times, **other, seconds={"generate": 5.0, "judge": 1.0})
    stored = made("stored", GOOD, **times, **other, seconds={"generate": None, "judge": 1.0})
    for folder in (lost, stored):
        (folder / "timings.jsonl").unlink()
    done = call("compare", timed, lost, stored, "--json")
    assert [one["candidate_cost"]["images_made"] for one in done.records] == [None, 0]
    assert "different machines" not in done.stderr
    shown = call("compare", timed, lost, stored).stdout
    assert shown.count("timings are not here") == shown.count("images came from the store") == 1
    (lost / "timings.jsonl").write_text(f"{json.dumps(line)}\n")
    assert "different machines" in call("compare", timed, lost).stderr


def test_other_sampling_is_told_by_field_and_stands_in_the_provenance(call, made):
    def run(name, **manifest):
        sampling = {"guidance": 4.0, "steps": 20, "system_prompt": "real", "cache": None}
        return made(name, GOOD, **{"sampling": sampling | manifest.pop("sampling", {}), **manifest})

    before, same = run("before"), run("same")
    weaker, again = (run(name, sampling={"guidance": 3.0}) for name in ("weaker", "again"))
    seed = run("seed", base_seed=7, sampling={"system_prompt": "@everyone " * 30})
    blank = made("blank", GOOD, sampling={})
    assert "sampling" not in call("compare", before, same).stderr
    told = call("compare", before, weaker, same, again, seed, blank).stderr
    lines = [line for line in told.splitlines() if "sampling" in line]
    assert len(lines) == 3
    assert "weaker and again against before: guidance 4 → 3;" in lines[0]
    assert "seed against before: system prompt real → @everyone" in lines[1]
    assert "base seed 0 → 7;" in lines[1]
    assert "blank against before: the sampling of one of them is not known" in lines[2]
    text = call("compare", before, seed, "--gate", "--margin", 0.1).stdout
    assert "- Warning: seed against before: system prompt real" in text
    assert "2 images per prompt, base seed 7" in text
    assert (
        "1 image per prompt, base seed 7"
        in call(
            "compare", before, run("single", base_seed=7, images_per_prompt=1), "--gate", "--margin", 0.1
        ).stdout
    )
    assert "sampling: guidance 4, steps 20, system prompt real\n" in text
    assert "@" not in text


def test_a_folder_of_runs_is_compared_in_the_order_of_training(call, made, tmp_path):
    made("a", GOOD, step=300), made("b", GOOD, step=20), made("c", GOOD)
    done = call("compare", tmp_path / "made", "--json")
    assert [(one["baseline"], one["candidate"]) for one in done.records] == [("b", "a")]
    assert "left out, for want of a training step: " in done.stderr
    named = call("compare", *((tmp_path / "made" / "runs" / name) for name in ("c", "b")), "--json").records
    assert [(one["baseline"], one["candidate"]) for one in named] == [("c", "b")]


def test_what_does_not_compare_is_refused_or_told(call, made):
    one = made("before", GOOD)
    other = made("after", GOOD, judge="other@000000000000", images_per_prompt=3)
    done = call("compare", one, other)
    assert done.code == 0
    assert "different judges" in done.stderr
    assert "numbers of images per prompt" in done.stderr
    alone = call("compare", one)
    assert alone.code == 2
    assert "at least two" in alone.stderr
    strange = made("strange", GOOD, protocol_digest="f" * 64)
    assert "one benchmark and protocol" in call("compare", one, strange).stderr


def test_a_run_on_other_prompts_is_left_out_and_named(call, made):
    one, other, odd = made("before", GOOD), made("after", drawn(0.7, 2)), made("odd", GOOD)
    lines = (odd / "scores.jsonl").read_text().splitlines(keepends=True)
    (odd / "scores.jsonl").write_text("".join(lines[IMAGES:]))
    done = call("compare", one, odd, other, "--json")
    assert done.code == 0
    assert [(record["baseline"], record["candidate"]) for record in done.records] == [("before", "after")]
    assert done.records == call("compare", one, other, "--json").records
    reason = (
        "odd is not compared: expected the same prompts in both runs, found 1 only in before (even/00000)"
    )
    assert reason in done.stderr
    gated = call("compare", one, odd, other, "--gate", "--margin", 0.5)
    assert gated.code == 0
    assert "odd is not compared" in gated.stdout
    assert "odd" in call("compare", one, odd, other, "--best").stderr
    for words in ([one, odd], [odd, one, other], [one, other, odd, "--gate"]):
        refused = call("compare", *words)
        assert (refused.code, refused.stdout) == (2, "")
        assert "expected the same prompts in both runs" in refused.stderr


def test_a_difference_beyond_the_range_is_no_detectable_one(call, made):
    """Two prompts see nothing: a number of 6 beside scores from 0 to 1 would look as if they could."""
    one_of_two = np.zeros((PROMPTS, IMAGES))
    one_of_two[0] = 1
    folders = []
    for name, values in (("before", 0 * one_of_two), ("after", one_of_two)):
        folders.append(folder := made(name, values))
        lines = (folder / "scores.jsonl").read_text().splitlines()
        scores = [one for one in map(Score.model_validate_json, lines) if one.item_id in ("00000", "00002")]
        (folder / "scores.jsonl").write_text("".join(f"{one.model_dump_json()}\n" for one in scores))
        content = json.loads((folder / "metrics.json").read_text())
        content["metrics"] = [metric("overall", scores).model_dump(mode="json")]
        (folder / "metrics.json").write_text(json.dumps(content))
    (record,) = call("compare", *folders, "--json").records
    least = record["primary"]["minimum_detectable"]
    assert least > 1
    shown = call("compare", *folders).stdout
    assert "more than 1" in shown
    text = call("compare", *folders, "--gate", "--margin", 0.1).stdout
    assert "| more than 1 |" in text
    assert "true difference of more than 1 in 80 of 100 tries, and no two scores differ by so much." in text
    assert f"{least:.3f}" not in shown + text


def test_another_protocol_value_is_named(call, made):
    one, other = made("one", GOOD), made("other", GOOD, protocol_digest="f" * 64, changed=["threshold=0.5"])
    assert "threshold=0.5" in call("compare", one, other).stderr


# --- plan ---------------------------------------------------------------------------------------------------


def test_a_plan_from_nothing_from_a_benchmark_and_from_runs(call, made):
    (bare,) = call("plan", "--detect", 0.05, "--json").records
    assert "assumed" in bare["source"]
    assert bare["prompts_at_hand"] is None
    assert [row["images_per_prompt"] for row in bare["rows"]] == [1, 2, 4, 8]
    assert bare["runs"] == 0
    assert "shares of the metric's range" in call("plan", "--detect", 0.05).stdout
    (own,) = call("plan", "--margin", 0.05, "--benchmark", "fake", "--protocol", "plain", "--json").records
    assert (own["prompts_at_hand"], own["question"]) == (6, "margin")
    assert [row["prompts"] for row in own["rows"]] == [row["prompts"] for row in bare["rows"]]
    one, other = made("before", GOOD), made("after", drawn(0.7, 2)[:, :1])
    strange = call("plan", "--detect", 0.05, "--run", one, "--benchmark", "dpg")
    assert strange.code == 2
    assert "that of the runs, found dpg" in strange.stderr
    words = ["plan", "--detect", 0.05, "--run", one, "--run", other]
    (pair,) = call(*words, "--json").records
    (compared,) = call("compare", one, other, "--json").records
    assert (pair["prompts_at_hand"], pair["runs"]) == (PROMPTS, 2)
    assert pair["rows"][1]["smallest_difference"] == pytest.approx(
        compared["primary"]["minimum_detectable"], rel=0.02
    )
    text = call(*words).stdout
    assert f"With the {PROMPTS} prompts of the runs" in text
    assert "two runs" in text
    assert "shares of the metric's range" not in text
    assert "assumed" in call("plan", "--detect", 0.05, "--run", one).stdout


@pytest.mark.parametrize("value", [1.0, 0.1, 0.0])
def test_nothing_is_planned_from_prompts_that_all_agree(call, made, value):
    one, other, usual = made("one", value), made("other", value / 2), made("usual", GOOD)
    for runs, said in (([one], "expected a run"), ([one, other], "expected two runs")):
        done = call("plan", "--detect", 0.05, *(word for run in runs for word in ("--run", run)))
        assert (done.code, done.stdout) == (2, "")
        assert said in done.stderr
        assert "nothing can be planned; fix: --run of" in " ".join(done.stderr.split())
    assert call("plan", "--detect", 0.05, "--run", one, "--run", usual).code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "either --detect or --margin"),
        (["--detect", 0.1, "--margin", 0.1], "either --detect or --margin"),
        (["--detect", 0], "above 0"),
        (["--detect", "nan"], "above 0"),
        (["--detect", 2], "range"),
        (["--detect", 0.1, "--power", 1], "--power"),
        (["--detect", 0.1, "--correlation", 2], "--correlation"),
        (["--detect", 0.1, "--benchmark", "fale"], "did you mean fake"),
        (["--detect", 0.1, "--run", "nowhere"], "nowhere"),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused(call, words, said):
    done = call("plan", *words)
    assert done.code == 2
    assert said in done.stderr
