"""Pixels and masks are what the outlines' geometry says, to the byte the same everywhere."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.tabletop.world.renderer import render, silhouette, visible_masks
from benchmarks.tabletop.world.scene import Scene, Thing, sample_scene
from benchmarks.tabletop.world.vocabulary import COLORS, SHADES, SHAPES, TEXTURES

seeds = st.integers(0, 2**32 - 1)


def scene_of(seed: int) -> Scene:
    return sample_scene(np.random.default_rng(seed))


def in_polygon(u: np.ndarray, v: np.ndarray, corners: list[tuple[float, float]]) -> np.ndarray:
    """Even-odd rule, edge by edge."""
    inside = np.zeros(u.shape, dtype=bool)
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        crosses = (y1 > v) != (y2 > v)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crosses & (u < (x2 - x1) * (v - y1) / (y2 - y1) + x1)
    return inside


def bezier(points: list[tuple[float, float]], n: int = 50) -> list[tuple[float, float]]:
    t = np.linspace(0, 1, n, endpoint=False)[:, None]
    p = np.array(points)
    curve = (1 - t) ** 3 * p[0] + 3 * t * (1 - t) ** 2 * p[1] + 3 * t**2 * (1 - t) * p[2] + t**3 * p[3]
    return [(float(x), float(y)) for x, y in curve]


def inside(shape: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The outlines once more, as inequalities instead of paths."""
    star = [
        (r * math.sin(math.pi * k / 5), 0.03 - r * math.cos(math.pi * k / 5))
        for k in range(10)
        for r in ((0.52, 0.22)[k % 2],)
    ]
    half_heart = bezier([(0, 0.46), (0.18, 0.26), (0.5, 0.08), (0.5, -0.18)])[::-1]
    half_heart = bezier([(0, -0.2), (0.1, -0.52), (0.5, -0.5), (0.5, -0.18)]) + half_heart
    heart = [*half_heart, *((-x, y) for x, y in half_heart[::-1])]
    return {
        "circle": lambda: u**2 + v**2 < 0.47**2,
        "square": lambda: np.maximum(abs(u), abs(v)) < 0.41,
        "triangle": lambda: (v < 0.42) & (abs(u) < 0.5 * (v + 0.46) / 0.88),
        "diamond": lambda: abs(u) / 0.4 + abs(v) / 0.5 < 1,
        "star": lambda: in_polygon(u, v, star),
        "heart": lambda: in_polygon(u, v, heart),
        "cross": lambda: (np.minimum(abs(u), abs(v)) < 0.16) & (np.maximum(abs(u), abs(v)) < 0.48),
        "crescent": lambda: ((u - 0.02) ** 2 + v**2 < 0.48**2) & ((u - 0.26) ** 2 + v**2 > 0.36**2),
    }[shape]()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [64, 128])
def test_silhouette_is_the_half_covered_pixels(shape: str, size: int) -> None:
    thing = Thing(shape, "red", "plain", "large", 0.46, 0.53, tilt=7.0)
    fine = 8
    axis = (np.arange(size * fine) + 0.5) / fine
    dx, dy = (
        (axis[None, :] - thing.x * size) / (0.42 * size),
        (axis[:, None] - thing.y * size) / (0.42 * size),
    )
    turn = math.radians(thing.tilt)
    u, v = dx * math.cos(turn) + dy * math.sin(turn), dy * math.cos(turn) - dx * math.sin(turn)
    covered = inside(shape, u, v).reshape(size, fine, size, fine).mean(axis=(1, 3))
    mask = silhouette(thing, size)
    # Where geometry is clear, the mask must agree. Skia's own antialiasing is coarse on curves.
    assert mask[covered > 0.72].all()
    assert not mask[covered < 0.28].any()
    assert (mask != (covered > 0.5)).sum() <= 0.035 * mask.sum()


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_visible_masks_share_the_silhouettes_among_them(seed: int) -> None:
    scene = scene_of(seed)
    masks = visible_masks(scene, 64)
    whole = [silhouette(thing, 64) for thing in scene.things]
    assert np.array_equal(np.sum(masks, axis=0) > 0, np.any(whole, axis=0))
    assert np.sum(masks, axis=0).max() <= 1
    assert np.array_equal(masks[-1], whole[-1]), "the last thing lies on top"


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_the_table_shows_wherever_no_thing_is_near(seed: int) -> None:
    scene = scene_of(seed)
    picture = render(scene, 64)
    rows, columns = np.mgrid[:64, :64] + 0.5
    near = np.zeros((64, 64), dtype=bool)
    for thing in scene.things:
        reach = 0.66 * thing.diameter * 64 + 1.5
        near |= np.hypot(columns - thing.x * 64, rows - thing.y * 64) < reach
    assert (picture[~near] == scene.background).all()


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("texture", TEXTURES)
def test_a_surface_has_only_mixtures_of_its_two_tones(color: str, texture: str) -> None:
    scene = Scene((Thing("square", color, texture, "large", 0.5, 0.5),), (150, 150, 150))
    inner = render(scene, 128)[44:84, 44:84].reshape(-1, 3).astype(float)
    base, shade = np.array(COLORS[color], float), np.array(SHADES[color], float)
    way = shade - base
    share = ((inner - base) @ way) / (way @ way)
    assert np.abs(inner - base - share[:, None] * way).max() <= 2.5
    assert share.min() > -0.03
    assert share.max() < 1.03
    if texture == "plain":
        assert (inner == base).all()
    else:
        assert 0.25 < share.mean() < 0.6, "about half of the surface has the second tone"


def test_bytes_are_the_same_in_another_process() -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from benchmarks.tabletop.world.renderer import render\n"
        "from benchmarks.tabletop.world.scene import sample_scene\n"
        "total = hashlib.sha256()\n"
        "for k in range(8): total.update(render(sample_scene(np.random.default_rng(k)), 128).tobytes())\n"
        "print(total.hexdigest())\n"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    here = hashlib.sha256()
    for k in range(8):
        here.update(render(scene_of(k), 128).tobytes())
    assert there.strip() == here.hexdigest()


def test_an_unknown_shape_is_an_error() -> None:
    with pytest.raises(KeyError):
        silhouette(Thing("blob", "red", "plain", "small", 0.5, 0.5), 64)
