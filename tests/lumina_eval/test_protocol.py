"""Protocol files: inheritance, changes on the command line, and errors that name file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumina_eval.errors import UserError
from lumina_eval.protocol import resolve

OFFICIAL = """\
title = "Official"
images_per_prompt = 4
threshold = 0.3
strict = true

[judge]
name = "box"
boxes = [1, 2]

[suites.quick]
prompts_per_task = 3
"""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "official.toml").write_text(OFFICIAL)
    (tmp_path / "corrected.toml").write_text(
        'extends = "official"\nthreshold = 0.4\n[judge]\nname = "better"\n'
    )
    return {path.stem: path for path in tmp_path.glob("*.toml")}


def test_a_protocol_that_extends_another_holds_the_lines_that_differ(files: dict[str, Path]) -> None:
    corrected = resolve("corrected", files)
    assert corrected.value("threshold") == 0.4
    assert corrected.value("judge.name") == "better"
    assert corrected.value("judge.boxes") == [1, 2]
    assert corrected.suite("quick").prompts_per_task == 3
    assert "extends" not in corrected.values


def test_every_protocol_has_the_three_suites(files: dict[str, Path]) -> None:
    official = resolve("official", files)
    assert official.suite("standard").prompts_per_task is None
    assert official.suite("paper").images_per_prompt == 4
    with pytest.raises(UserError, match="did you mean quick"):
        official.suite("quik")
    with pytest.raises(UserError, match="at least 1 for images_per_prompt"):
        resolve("official", files, ["images_per_prompt=0"]).suite("standard")


def test_a_change_is_typed_recorded_and_changes_the_digest(files: dict[str, Path]) -> None:
    plain, changed = resolve("official", files), resolve("official", files, ["threshold=0.9", "base_seed=7"])
    assert changed.value("threshold") == 0.9
    assert changed.base_seed == 7
    assert plain.base_seed == 0
    assert changed.changed == ("base_seed=7", "threshold=0.9")
    assert plain.digest != changed.digest


def test_how_a_judge_runs_is_no_change_of_the_protocol(files: dict[str, Path]) -> None:
    files["official"].write_text(OFFICIAL.replace("boxes = [1, 2]", 'device = "auto"\nboxes = [1, 2]'))
    plain = resolve("official", files)
    moved = resolve("official", files, ["judge.device=cuda:1"])
    assert moved.value("judge.device") == "cuda:1"
    assert moved.changed == ()
    assert moved.digest == plain.digest
    other = resolve("official", files, ["judge.device=cuda:1", "judge.boxes=[3]"])
    assert other.changed == ("judge.boxes=[3]",)
    assert other.digest != plain.digest


def test_how_a_folder_is_cut_is_no_change(tmp_path: Path) -> None:
    plain = tmp_path / "plain.toml"
    plain.write_text("threshold = 0.3\n[prompts]\n")
    file = tmp_path / "cut.toml"
    file.write_text("threshold = 0.3\n[prompts]\n[images]\nside = 0\n")
    cut = resolve(str(file), {}, ["images.side=512"])
    assert cut.value("images.side") == 512
    assert cut.changed == ()
    assert cut.digest == resolve(str(file), {}).digest == resolve(str(plain), {}).digest
    plain.write_text("threshold = 0.3\n")
    assert cut.digest != resolve(str(plain), {}).digest, "an empty table of its own counts"


def test_a_title_changes_no_digest(files: dict[str, Path]) -> None:
    before = resolve("official", files).digest
    files["official"].write_text(OFFICIAL.replace('"Official"', '"Other"').replace("= 3", "= 5"))
    assert resolve("official", files).digest == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("treshold=1", "did you mean threshold"),
        ("judge.nam=x", "did you mean judge.name"),
        ("threshold", "KEY=VALUE"),
        ("threshold=high", "expected float"),
        ("strict=1", "expected bool"),
        ("images_per_prompt=many", "expected int"),
        ("title=x", "unknown key"),
        ("judge.boxes=1", "expected list"),
    ],
)
def test_a_change_that_means_nothing_is_refused(files: dict[str, Path], change: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        resolve("official", files, [change])


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('title = "x"\nthreshold = = 3\n', ":2: broken TOML", "threshold"),
        ("a = 1\na = 2\n", ":2: broken TOML", "'a'"),
        ('extends = "official"\n\ntreshold = 1\n', ":3: unknown key 'treshold'", "did you mean threshold"),
        (
            'extends = "official"\n[judge]\nnmae = "x"\n',
            ":3: unknown key 'judge.nmae'",
            "did you mean judge.name",
        ),
        ('extends = "oficial"\n', ":1: extends", "did you mean official"),
        ('extends = "official"\nthreshold = "high"\n', ":2: expected float", "'high'"),
        ('extends = "official"\n[judge]\nname = 3\n', ":3: expected str", "'judge.name'"),
        ('title = "x"\nimages_per_prompt = "4"\n', ":2: expected int", "'4'"),
        ("[suites.quick]\nprompts = 3\n", ":2: unknown key", "prompts_per_task"),
        ("[suites.quick]\nprompts_per_task = 0\n", ":2: expected a count", "prompts_per_task"),
        ("suites = 3\n", ":1: expected dict", "suites"),
        ("[suites]\nquick = 3\n", "suites.quick", "unknown key"),
    ],
)
def test_a_broken_file_is_told_by_line_and_key(
    files: dict[str, Path], text: str, place: str, words: str
) -> None:
    path = files["official"].parent / "mine.toml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        resolve(str(path), files)
    assert "mine.toml" in str(error.value)
    assert place in str(error.value)
    assert words in str(error.value)


def test_a_root_file_is_held_to_the_keys_that_the_benchmark_knows(files: dict[str, Path]) -> None:
    known = ["threshold", "strict", "judge.name", "judge.boxes"]
    assert resolve("official", files, known=known).value("strict") is True
    with pytest.raises(UserError, match=r"official\.toml:4: unknown key 'strict'"):
        resolve("official", files, known=["threshold", "judge"])


def test_a_ring_of_files_is_told(files: dict[str, Path]) -> None:
    files["official"].write_text('extends = "corrected"\n')
    with pytest.raises(UserError, match="extends itself"):
        resolve("official", files)


def test_unknown_names_and_absent_files_are_told(files: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="did you mean official"):
        resolve("offical", files)
    with pytest.raises(UserError, match="cannot read"):
        resolve("nowhere.toml", files)
