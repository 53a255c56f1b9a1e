"""The small CLIP of the embedded world: what it reads, how it is trained, what the embedded one can do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.tabletop.extractor import training
from benchmarks.tabletop.extractor.architecture import make_model, model_config
from benchmarks.tabletop.extractor.bundle import write_bundle
from benchmarks.tabletop.extractor.embedder import TabletopEmbedder
from benchmarks.tabletop.extractor.pool import SIDE, draw
from benchmarks.tabletop.extractor.retrieval import measure
from benchmarks.tabletop.extractor.tokenizer import CONTEXT, make_tokenizer
from benchmarks.tabletop.extractor.told import MOST_WORDS, told
from benchmarks.tabletop.extractor.training import Recipe
from benchmarks.tabletop.extractor.weights import FILES, FOLDER, weights_folder
from benchmarks.tabletop.extractor.wrong_captions import KINDS
from benchmarks.tabletop.trial.truth import accepts, perfect_output, read_prompt
from benchmarks.tabletop.world.captions import LEVELS, caption
from benchmarks.tabletop.world.scene import Scene, sample_scene
from lumina_eval.errors import UserError

SMALL = Recipe(steps=3, batch=8, warmup=1, save_every=1)


def scenes(count: int, seed: int = 0) -> list[Scene]:
    rng = np.random.default_rng(seed)
    return [sample_scene(rng) for _ in range(count)]


def test_every_english_caption_is_made_of_known_words() -> None:
    tokenizer, rng = make_tokenizer(), np.random.default_rng(1)
    texts = [caption(scene, level, "en", rng) for scene in scenes(60) for level in LEVELS]
    tokens = tokenizer(texts).input_ids
    assert not any(tokenizer.unk_token_id in line for line in tokens)
    assert all(max(line) == line[-1] == tokenizer.eos_token_id for line in tokens)  # where open_clip pools


def test_what_is_told_fits() -> None:
    tokenizer, rng = make_tokenizer(), np.random.default_rng(2)
    captions = [told(scene, rng, len(KINDS)) for scene in scenes(60)]
    assert max(len(tokenizer(right).input_ids) for right, _ in captions) <= CONTEXT == MOST_WORDS + 2
    assert {kind for _, wrong in captions for kind, _ in wrong} == {*KINDS}


def test_wrong_captions_are_wrong_and_right_ones_are_right() -> None:
    """Judged by GenEval's rules, on the captions that are in its form."""
    rng, judged = np.random.default_rng(3), 0
    for scene in scenes(300):
        right, wrong = told(scene, rng, len(KINDS))
        truth = perfect_output(scene, 128)
        for kind, text in [("", right), *wrong]:
            try:
                asked = read_prompt(text)
            except UserError:
                continue
            shapes = [clause["class"] for clause in asked["include"]]
            # These rules let two things pass where one is asked for, and know each shape in one clause alone.
            if kind == "number" or len({*shapes}) < len(shapes):
                continue
            judged += 1
            assert accepts(asked, truth) == (kind == ""), (kind, text, scene)
    assert judged > 60


def test_pictures_of_both_sizes_come_at_one_side() -> None:
    pool = draw(7, 12)
    assert pool.pictures.shape == (12, SIDE, SIDE, 3)
    assert (draw(7, 12).pictures == pool.pictures).all()


def test_an_interrupted_training_ends_like_one_that_was_not(tmp_path: Path) -> None:
    class InterruptedHereError(Exception):
        pass

    def stop_after_two(done: int) -> None:
        seen.append(done)
        if len(seen) == 3:  # nothing, then two steps
            raise InterruptedHereError

    pool = draw(0, 16)
    seen: list[int] = []
    with pytest.raises(InterruptedHereError):
        training.train(pool, tmp_path / "cut", SMALL, stop_after_two)
    whole = training.train(pool, tmp_path / "whole", SMALL, lambda _: None)
    resumed = training.train(pool, tmp_path / "cut", SMALL, lambda _: None)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)
    with pytest.raises(UserError, match="expected a training with"):
        training.train(pool, tmp_path / "cut", Recipe(steps=4, batch=8), lambda _: None)


def test_a_bundle_gives_the_rows_of_its_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = make_model(model_config()).eval()
    write_bundle(model, tmp_path)
    embedder, pictures = TabletopEmbedder(tmp_path), draw(1, 5).pictures

    rows = embedder.images([Image.fromarray(picture) for picture in pictures])
    with torch.inference_mode():
        expected = model.encode_image(training.as_input(torch.from_numpy(pictures))).numpy()
    assert rows.shape == (5, embedder.width)
    np.testing.assert_allclose(rows, expected, atol=0.01 * np.abs(expected).max())  # weights are in float16


def test_an_altered_bundle_is_refused(tmp_path: Path) -> None:
    write_bundle(make_model(model_config()), tmp_path)
    (tmp_path / FILES[0]).write_text("{}")
    with pytest.raises(UserError, match="SHA256SUMS"):
        TabletopEmbedder(tmp_path)


def test_the_embedded_weights_are_small_and_tell_right_from_wrong() -> None:
    folder = weights_folder()
    assert folder == FOLDER
    assert sum((folder / name).stat().st_size for name in FILES) < 1_800_000
    found = measure(TabletopEmbedder(), 200)
    assert found.first_ten > 0.9
    assert found.right["color"][0] > 0.9
    assert found.right["shape"][0] > 0.9
    assert found.right["number"][0] > 0.9
