"""``lumina-model generate`` and ``solvers``: what a user types, and what a user mistypes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from lumina_model import Sampling, load_pipeline
from lumina_model.cli import app, main

SMALL = ["solver=euler", "steps=4", "max_text_tokens=200"]


def call(*words: str | Path, options: list[str] = SMALL) -> Result:
    chosen = [word for option in options for word in ("--option", option)]
    return CliRunner().invoke(app, ["generate", *map(str, words), *chosen])


def pixels(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file))


def test_the_command_draws_what_the_library_draws(pipeline_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "images"
    done = call("a cube", "a cone", "--model", pipeline_folder, "--out", out, "--seed", "3")
    assert done.exit_code == 0, done.output
    sampling = Sampling(solver="euler", steps=4, max_text_tokens=200, height=64, width=64)
    images = load_pipeline(pipeline_folder).generate(["a cube", "a cone"], seeds=[3, 3], sampling=sampling)
    assert images.shape == (2, 64, 64, 3)
    assert images.dtype == np.uint8
    for index, image in enumerate(images):
        assert np.array_equal(pixels(out / f"{index:04d}.png"), image)


def test_an_image_to_start_from_is_fitted_and_changed(pipeline_folder: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.png"
    Image.new("RGBA", (200, 100), (250, 10, 10, 255)).save(start)
    words = ("a cube", "a cone", "--model", pipeline_folder, "--out", tmp_path, "--image", start)
    assert call(*words, "--strength", "0.5").exit_code == 0
    half = pixels(tmp_path / "0000.png")
    assert half.shape == (64, 64, 3)
    assert call(*words, "--strength", "1").exit_code == 0
    assert not np.array_equal(pixels(tmp_path / "0000.png"), half)
    assert call("a cube", "--model", pipeline_folder, "--out", tmp_path, "--low-memory").exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--option", "solver=rk5"], "found 'rk5'"),
        (["--option", "steps=0"], "steps"),
        (["--option", "guidance=nan"], "guidance"),
        (["--option", "height=40"], "multiple of 16"),
        (["--option", "dtype=float16"], "black images"),
        (["--option", "device=cuda:9"], "device"),
        (["--image", "MISSING.png"], "MISSING.png"),
        (["--image", "WORDS.png"], "expected an image"),
        (["--image", "START.png", "--strength", "0"], "strength"),
        (["--model", "NOWHERE"], "expected a checkpoint folder"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    words: list[str], message: str, pipeline_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("WORDS.png").write_text("no image")
    Image.new("RGB", (64, 64)).save("START.png")
    model = [] if "--model" in words else ["--model", str(pipeline_folder)]
    small = [word for option in SMALL for word in ("--option", option)]
    monkeypatch.setattr("sys.argv", ["lumina-model", "generate", "a cube", *small, *model, *words])
    with pytest.raises(SystemExit) as left:
        main()
    told = capsys.readouterr().err
    assert left.value.code == 2
    assert message in told
    assert "Traceback" not in told


def test_solvers_prints_the_table_of_the_docs() -> None:
    done = CliRunner().invoke(app, ["solvers"])
    assert done.exit_code == 0
    written = (Path(__file__).parents[2] / "docs" / "sampling.md").read_text(encoding="utf-8")
    rows = [line for line in done.output.splitlines() if line.startswith("|")]
    assert len(rows) == 12
    for row in rows:  # last digits may differ on another machine
        assert row.rsplit("|", 3)[0].split("|")[1:3] in [
            line.split("|")[1:3] for line in written.splitlines()
        ]
