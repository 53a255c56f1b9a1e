"""The scene graph read back from a picture: what the judges that look up facts in it have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks.tabletop.sight import judge, scene_graph
from benchmarks.tabletop.sight.perception import Seen, see
from benchmarks.tabletop.sources import source_digest
from benchmarks.tabletop.world.facts import Fact, holds
from benchmarks.tabletop.world.scene import Thing

#: The files that a verdict depends on, beside that of the judge itself.
_SOURCES: Final = (
    *judge.SOURCES,
    *(f"tabletop/sight/{name}.py" for name in ("scene_reading", "scene_graph")),
    *(f"tabletop/world/{name}.py" for name in ("facts", "statements")),
)


@dataclass(frozen=True, slots=True)
class ReadScene:
    """What lies on the table of a picture."""

    seen: Sequence[Seen]
    """What the eye takes for a thing."""
    things: Sequence[Thing]
    """The same things in the words of a scene graph, in the same order."""
    side: int
    """Height of the picture in pixels."""

    def fulfils(self, fact: Mapping[str, Any]) -> bool:
        """Tell whether a fact, given as JSON values, is true of the things."""
        return holds(Fact.from_json(fact), self.things)

    def rows(self) -> list[list[Any]]:
        """Return the things for people; see :func:`benchmarks.tabletop.sight.scene_graph.rows`."""
        return scene_graph.rows(self.seen, self.things)


def read_scene(image: Image.Image) -> ReadScene:
    """Return what lies on the table, from pixels alone."""
    picture = np.asarray(image.convert("RGB"))
    seen = scene_graph.counted(see(picture))
    return ReadScene(seen, [scene_graph.thing_of(one, len(picture)) for one in seen], len(picture))


def digest_with(judge_file: str) -> str:
    """Return the sha256 of all files that a verdict depends on; ``judge_file`` is that of the judge."""
    return source_digest(*_SOURCES, judge_file)


def settings() -> dict[str, Any]:
    """Return the constants that decide what counts as a thing."""
    return {**judge.TabletopJudge().settings, "least": scene_graph.LEAST}
