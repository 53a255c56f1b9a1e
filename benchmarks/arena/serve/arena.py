"""An arena that is served: an exported folder, its manifest, its ballot box, and what comes next in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.arena.layouts import IMAGES, Shown, read_match_ups
from benchmarks.arena.manifest import ArenaManifest
from benchmarks.arena.serve.ballots import BallotBox, ShownPair, Voter
from benchmarks.arena.serve.next_pair import Chooser, Way, still_open
from benchmarks.arena.serve.signing import Signer
from lumina_eval.errors import UserError


@dataclass
class Arena:
    """What is behind the pages; raises UserError if folder, manifest and votes do not belong together.

    ``goal`` is how many votes fill a voter's bar; ``open_leaderboard`` shows it without its key.
    """

    folder: Path
    manifest: ArenaManifest
    goal: int = 30
    way: Way = "active"
    open_leaderboard: bool = False
    box: BallotBox = field(init=False)

    def __post_init__(self) -> None:
        shown = read_match_ups(self.folder)
        unknown = [one.id for one in shown if one.id not in self.manifest.matchups]
        if unknown:
            raise UserError(
                f"expected the manifest of {self.folder}, found one that lacks {len(unknown)} of its "
                f"{len(shown)} match-ups; fix: --manifest FILE"
            )
        self.match_ups: dict[str, Shown] = {one.id: one for one in shown}
        self.images = self._images()
        self.categories = sorted({one.category for one in shown})
        self.signer = Signer(self.manifest.secret)
        self.chooser = Chooser(shown, self.manifest.matchups, self.way)
        self.box = BallotBox(self.folder / "votes.sqlite")
        self._know_all_voted_on()

    def pair_for(self, voter: Voter) -> ShownPair | None:
        """Return the pair that the voter has before them, or a new one; None if all were seen."""
        pair = self.box.open_pair(voter)
        if pair is not None and pair.matchup in self.match_ups:
            return pair
        box = self.box
        found = self.chooser.next(
            box.seen(voter.name),
            voter.category,
            box.tallies(),
            box.open_models(still_open()),
            box.times_shown(),
        )
        if found is None:
            return None
        who = self.manifest.matchups[found.id]
        return box.show(voter, found.id, (who.left, who.right), found.prompt, found.category)

    def _know_all_voted_on(self) -> None:
        known = {one.name for one in self.manifest.contenders}
        strange = self.box.models() - known
        if strange:
            raise UserError(
                f"expected votes on {', '.join(sorted(known))}, found some on {', '.join(sorted(strange))}, "
                f"in {self.folder / 'votes.sqlite'}; fix: move the votes of another export away"
            )

    def _images(self) -> dict[str, Path]:
        names = sorted({name for one in self.match_ups.values() for name in (one.left, one.right)})
        paths = {f"{name}.png": self.folder / IMAGES / f"{name}.png" for name in names}
        missing = [name for name, path in paths.items() if not path.is_file()]
        if missing:
            raise UserError(
                f"expected {len(paths)} images, found {len(missing)} missing, the first is {missing[0]}, "
                f"in {self.folder / IMAGES}; fix: export anew"
            )
        return paths
