"""``lumina-model generate`` and ``solvers``: what a user types, and what a user mistypes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from lumina_model import NextDiT, Sampling, load_pipeline
from lumina_model.adapter import LuminaModel, checkpoint_parts
from lumina_model.cli import app, main
from lumina_model.errors import UserError
from lumina_model.formats import write_official
from lumina_model.pictures import read_picture, read_pictures, write_pictures

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
    sampling = Sampling(solver="euler", steps=4, max_text_tokens=200)
    red = np.broadcast_to(np.array([250, 10, 10], dtype=np.uint8), (64, 64, 3))
    expected = load_pipeline(pipeline_folder).generate(
        ["a cube", "a cone"], [0, 0], sampling, images=[red, red], strength=0.5
    )
    assert np.array_equal(pixels(tmp_path / "0001.png"), expected[1])


def test_pictures_are_upright_on_white_and_not_squashed(tmp_path: Path) -> None:
    file = tmp_path / "wide.png"
    wide = Image.new("RGBA", (300, 100), (0, 0, 0, 0))  # transparent black, with a blue square in the middle
    wide.paste((0, 0, 255, 255), (125, 25, 175, 75))
    wide.save(file)
    picture = read_picture(file, 64, 64)
    assert picture.shape == (64, 64, 3)
    assert picture[0, 0].tolist() == [255, 255, 255]
    blue = (picture == [0, 0, 255]).all(axis=-1)
    assert blue.any(axis=0).sum() == pytest.approx(blue.any(axis=1).sum(), abs=2)  # still a square
    with pytest.raises(UserError, match="expected one image or 3, found 2"):
        read_pictures([file, file], 3, 64, 64)


def test_pictures_that_are_there_stay(tmp_path: Path) -> None:
    white = np.full((8, 8, 3), 255, dtype=np.uint8)
    assert [file.name for file in write_pictures([white, white], tmp_path)] == ["0000.png", "0001.png"]
    (tmp_path / "cat.png").touch()
    assert [file.name for file in write_pictures([0 * white], tmp_path)] == ["0002.png"]
    assert [pixels(file).max() for file in sorted(tmp_path.glob("0*"))] == [255, 255, 0]


def test_low_memory_and_another_transformer_with_an_adapter(
    pipeline_folder: Path, tmp_path: Path, model: NextDiT
) -> None:
    words = ("a cube", "--model", pipeline_folder, "--seed", "3")
    assert call(*words, "--out", tmp_path / "plain").exit_code == 0
    assert call(*words, "--out", tmp_path / "lean", "--low-memory").exit_code == 0
    plain = pixels(tmp_path / "plain" / "0000.png")
    assert np.array_equal(pixels(tmp_path / "lean" / "0000.png"), plain)
    width = model.config.hidden_size
    key = "transformer.layers.0.attn.to_out.0.lora"
    adapter = {f"{key}_A.weight": torch.randn(2, width), f"{key}_B.weight": torch.randn(width, 2)}
    save_file(adapter, str(tmp_path / "style.safetensors"))
    write_official(model, tmp_path / "official")
    done = call(
        *words, "--out", tmp_path / "styled", "--transformer", tmp_path / "official",
        "--lora", f"{tmp_path / 'style.safetensors'}=0.5", "--low-memory",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    styled = load_pipeline(
        pipeline_folder, transformer=tmp_path / "official", lora=[(tmp_path / "style.safetensors", 0.5)]
    ).generate(["a cube"], [3], Sampling(solver="euler", steps=4, max_text_tokens=200))
    assert np.array_equal(pixels(tmp_path / "styled" / "0000.png"), styled[0])
    assert not np.array_equal(styled[0], plain)


def test_the_harness_model_takes_another_transformer_and_adapters(
    pipeline_folder: Path, tmp_path: Path, model: NextDiT
) -> None:
    write_official(model, tmp_path / "official")
    width = model.config.hidden_size
    key = "transformer.layers.0.attn.to_out.0.lora"
    style = tmp_path / "style.safetensors"
    save_file(
        {f"{key}_A.weight": torch.randn(2, width), f"{key}_B.weight": torch.randn(width, 2)}, str(style)
    )
    options = {"device": "cpu", "steps": "2"}
    keyed = {
        name: LuminaModel("m", "m", checkpoint_parts(str(pipeline_folder)), options | more)
        for name, more in {
            "own": {},
            "official": {"transformer": str(tmp_path / "official")},
            "styled": {"lora": str(style)},
            "half": {"lora": f"{style}=0.5"},
            "twice": {"lora": f"{style},{style}=0.5"},
        }.items()
    }
    digests = [tuple(sorted(one.components().items())) for one in keyed.values()]
    assert len(set(digests)) == len(digests)  # whatever changes a pixel is part of the image key
    assert all(one.sampling() == keyed["own"].sampling() for one in keyed.values())
    titles = {name: one.title for name, one in keyed.items()}
    assert titles["own"] == "m"
    assert titles["half"] == "m with style=0.5"
    drawn = np.asarray(keyed["half"].generate(["a cube"], [3])[0])
    expected = load_pipeline(pipeline_folder, lora=[(style, 0.5)]).generate(
        ["a cube"], [3], keyed["half"].settings
    )
    assert np.array_equal(drawn, expected[0])


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
        (["--strength", "0.5"], "--image with --strength"),
        (["--lora", "MISSING.safetensors"], "MISSING.safetensors"),
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
    """Each error to a tenth of itself: last digits may differ on another machine."""
    done = CliRunner().invoke(app, ["solvers"])
    assert done.exit_code == 0
    written = (Path(__file__).parents[2] / "docs" / "sampling.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.output.splitlines()[2:]]
    in_docs = [[cell.strip() for cell in line.split("|")[1:-1]] for line in written.splitlines()]
    assert len(rows) == 10
    for row in rows:
        (same,) = (line for line in in_docs if line[:2] == row[:2])
        assert [float(cell) for cell in same[2:9]] == pytest.approx(
            [float(cell) for cell in row[2:9]], rel=0.1
        )
