"""What a protocol of fidelity may say: which extractor is whose, and what is refused before any work."""

from __future__ import annotations

import pytest

from benchmarks.fidelity.adapter import Fidelity
from benchmarks.fidelity.options import Options, options_of
from lumina_eval.errors import UserError
from lumina_eval.evaluation import find_protocol


def options(name: str, *changes: str) -> Options:
    return options_of(find_protocol(Fidelity(), name, changes))


def test_cmmd_has_an_extractor_of_its_own() -> None:
    """Its authors' model and order of cropping, not CLIP-FID's."""
    found = options("folder", 'metrics=["cmmd", "clip_fid"]').extractors
    assert found == {
        "cmmd": "cmmd:ViT-L-14-336-quickgelu/openai",
        "clip": "clip:ViT-B-32-quickgelu/openai",
    }
    assert options("tabletop").extractors["cmmd"] == "tabletop"


def test_no_cosine_with_a_prompt_that_there_is_not() -> None:
    for metric in ("clip_score", "clip_score_gap"):
        with pytest.raises(UserError, match=rf"prompts.*{metric}.*folder; fix: "):
            options("folder", f'metrics=["fid", "{metric}"]')
    assert options("coco30k").metrics[-1] == "clip_score"
