"""The rules of T2I-CompBench and ++, all in one place: pure functions, one file for each idea."""

from __future__ import annotations

from benchmarks.t2i_compbench.attribute import asked_phrases, binding_answer, pre_question, question
from benchmarks.t2i_compbench.boxes import Box, Detection, iou, is_same_object
from benchmarks.t2i_compbench.nouns import Nouns
from benchmarks.t2i_compbench.numeracy import Asked, asked_for, numeracy_score, without_duplicates
from benchmarks.t2i_compbench.objects import around_phrase, first_and_last, without_adjectives
from benchmarks.t2i_compbench.position import (
    determine_position_2d,
    determine_position_3d,
    locality_in,
    mean_depth,
)
from benchmarks.t2i_compbench.scoring import similarity_score
from benchmarks.t2i_compbench.spatial import depth_score, spatial_score
from benchmarks.t2i_compbench.three_in_one import prompt_key, three_in_one

__all__ = [
    "Asked",
    "Box",
    "Detection",
    "Nouns",
    "around_phrase",
    "asked_for",
    "asked_phrases",
    "binding_answer",
    "depth_score",
    "determine_position_2d",
    "determine_position_3d",
    "first_and_last",
    "iou",
    "is_same_object",
    "locality_in",
    "mean_depth",
    "numeracy_score",
    "pre_question",
    "prompt_key",
    "question",
    "similarity_score",
    "spatial_score",
    "three_in_one",
    "without_adjectives",
    "without_duplicates",
]
