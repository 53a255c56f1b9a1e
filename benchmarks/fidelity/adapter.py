"""Fidelity as a benchmark of the harness: how far are generated images, all together, from real ones?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.fidelity import (
    from_statistics,
    layout,
    prompt_sets,
    reference,
    saved_verdicts,
    scoring,
    verification,
)
from benchmarks.fidelity.features.opening import open_extractor
from benchmarks.fidelity.judging import FeatureJudge
from benchmarks.fidelity.measures import MEASURES
from benchmarks.fidelity.metrics.moments import Moments
from benchmarks.fidelity.metrics.statistics_file import read_features, write_statistics
from benchmarks.fidelity.options import KEYS, ROLE_OF, Options, Role, options_of
from benchmarks.fidelity.reference import Reference
from benchmarks.fidelity.rows import output_of, rows_of
from lumina_eval.assets.catalogue import fetched, read_assets
from lumina_eval.digests import digest_of, sha256_bytes, sha256_file
from lumina_eval.errors import UserError
from lumina_eval.plugins import Judge
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Aggregate, Item, Verdict
from lumina_eval.verification import Check, Evidence

_PROTOCOLS: Final = Path(__file__).parent / "protocols"
_ASSETS: Final = Path(__file__).parent / "assets.toml"
#: Stands for the extractor of features that come from elsewhere: nobody says which it was.
UNKNOWN: Final = digest_of({"extractor": "unknown"})


class Fidelity:
    """FID and its kin, CLIP-score; a metric is a matter of all images together, and says its N."""

    name = "fidelity"
    #: Dotted keys that a protocol may hold beside the core's own.
    protocol_keys = KEYS
    default_protocol = "folder"

    def __init__(self, given: str | None = None, features: Path | None = None) -> None:
        """``given`` is the user's reference, ``features`` a folder where rows are kept between runs."""
        self._given, self._features = given, features

    def with_reference(self, address: str) -> Fidelity:
        """Return the benchmark with the user's reference; see ``reference.py`` for its forms."""
        reference.check_given(address)
        return Fidelity(address, self._features)

    def with_features(self, folder: Path) -> Fidelity:
        """Return the benchmark keeping features in a folder, so that no image is looked at twice."""
        return Fidelity(self._given, folder)

    @property
    def given(self) -> Mapping[str, str]:
        """Digest of the user's reference: another one makes another run."""
        return {} if self._given is None else {"reference": reference.listing_digest(self._given)}

    def protocols(self) -> Mapping[str, Path]:
        """Return the pinned variants."""
        return {file.stem: file for file in sorted(_PROTOCOLS.glob("*.toml"))}

    def assets(self) -> Path:
        """Return the declaration of what comes from elsewhere."""
        return _ASSETS

    def verification(self, evidence: Evidence) -> Iterator[Check]:
        """Hold our metrics against the tools that they are quoted from; see ``verification.py``."""
        return verification.checks(self, evidence)

    def items(self, protocol: ResolvedProtocol) -> list[Item]:
        """Return the prompts of the protocol; UserError where it has none."""
        self._check_given(options_of(protocol), protocol)
        return prompt_sets.items_of(protocol)

    def prompt_lines(self, protocol: ResolvedProtocol) -> Iterator[str]:
        """Yield the prompts, one a line."""
        for item in self.items(protocol):
            yield item.prompt

    def judge(self, protocol: ResolvedProtocol) -> Judge:
        """Return the judge, after looking whether there is a reference to hold its rows against."""
        options = options_of(protocol)
        self._check_reference(options, protocol)
        return FeatureJudge(options, self._features)

    def read_images(self, folder: Path, protocol: ResolvedProtocol) -> list[layout.Found]:
        """Find the images of a folder: all of them, or those of the protocol's prompts by name."""
        if options_of(protocol).source == "none":
            return layout.every_image(Path(folder))
        return layout.by_prompt(Path(folder), {item.id: item for item in self.items(protocol)})

    def write_images(
        self, folder: Path, protocol: ResolvedProtocol, images: Iterable[tuple[Item, int, Path]]
    ) -> None:
        """Write a folder for each prompt with its images."""
        layout.write(Path(folder), images)

    def read_features(self, address: str, protocol: ResolvedProtocol) -> tuple[list[Item], list[Verdict]]:
        """Read rows made elsewhere (``FILE.npz`` or ``FILE.npz:KEY``); each is an image of its own.

        A file of ``mu`` and ``sigma`` is one verdict; see ``from_statistics.py``.
        """
        options = options_of(protocol)
        if from_statistics.is_statistics(address):
            item, verdict = from_statistics.verdict_of(address, options.extractors, UNKNOWN)
            return [item], [verdict]
        rows = read_features(address)
        digest = UNKNOWN
        roles: dict[str, str] = {str(role): digest for role in options.extractors}
        items = [Item(id=f"{place:06d}", prompt="", task="all") for place in range(len(rows))]
        verdicts = [
            Verdict(
                item_id=item.id,
                index=0,
                image_sha256=sha256_bytes(row.tobytes()),
                judge=f"features@{digest[:12]}",
                output=output_of(roles, {digest: row}),
            )
            for item, row in zip(items, rows, strict=True)
        ]
        return items, verdicts

    def aggregate(
        self, protocol: ResolvedProtocol, items: Sequence[Item], verdicts: Sequence[Verdict]
    ) -> Aggregate:
        """Hold the rows, which are in the verdicts, against the reference, which is read or drawn here."""
        options = options_of(protocol)
        untold: dict[str, None] = {}

        def reference_of(role: Role, digest: str) -> Reference:
            found = self._reference(protocol, options, items, role, digest)
            if digest == UNKNOWN:
                untold["the images' features"] = None
            if found.extractor is None:
                untold[found.name] = None
            return found

        moments = from_statistics.moments_of(verdicts)
        if moments is not None:
            result = from_statistics.aggregate(options, moments, verdicts, reference_of)
        else:
            result = scoring.aggregate(options, protocol, items, verdicts, reference_of)
        told = self._told_of_trust(protocol, options)
        if untold:
            told.append(
                f"no extractor is named by {' and '.join(untold)}: that both sides are by the same weights "
                "and resizing is taken on trust"
            )
        return result.model_copy(update={"warnings": [*result.warnings, *told]})

    def _told_of_trust(self, protocol: ResolvedProtocol, options: Options) -> list[str]:
        """Name the fetched files that nothing pins but their first fetch, with their sums."""
        listed = protocol.value("prompts.file") or protocol.value("prompts.digest")
        names = [] if listed else [protocol.value("prompts.asset")]
        if options.reference == "given" and self._given is None:
            names.append(protocol.value("reference.asset"))
        told = []
        for name in names:
            if not name or read_assets(_ASSETS)[str(name)].pinned_by != "first fetch":
                continue
            if (file := fetched(_ASSETS, str(name))) is not None:
                told.append(
                    f"nobody publishes a sum of {name}: {file.name} is trusted as it came first, sha256 "
                    f"{sha256_file(file)}"
                )
        return told

    def read_verdicts(self, file: Path, protocol: ResolvedProtocol) -> tuple[list[Item], list[Verdict]]:
        """Read a copied ``verdicts.jsonl`` without its folder; prompts are the protocol's, by their ids."""
        if options_of(protocol).source == "none":
            return saved_verdicts.read(file, None)
        return saved_verdicts.read(file, {item.id: item for item in self.items(protocol)})

    def write_statistics(self, file: Path, protocol: ResolvedProtocol, verdicts: Sequence[Verdict]) -> None:
        """Write mean and covariance of the images' features, those of the first metric of sets.

        The format is clean-fid's; the extractor stands in it where it is known. Raises UserError where no
        metric is of sets, or the verdicts hold fewer than two rows.
        """
        roles = [ROLE_OF[name] for name in options_of(protocol).metrics if name in MEASURES]
        if not roles:
            raise UserError(
                f"expected a metric of sets for --write-statistics, found none, in protocol {protocol.name}; "
                "fix: --set 'metrics=[\"fid\"]'"
            )
        if not verdicts or from_statistics.moments_of(verdicts) is not None:
            raise UserError(
                "expected features of images to write statistics of, found none; fix: --images or --features"
            )
        rows, digest = rows_of(verdicts, roles[0])
        write_statistics(file, Moments.of(rows), None if digest == UNKNOWN else digest)

    def _check_given(self, options: Options, protocol: ResolvedProtocol) -> None:
        if self._given is not None and options.reference != "given":
            raise UserError(
                f"expected no --reference, since protocol {protocol.name} draws its own, found "
                f"{self._given}; fix: leave it out, or --set reference.source=given"
            )

    def _check_reference(self, options: Options, protocol: ResolvedProtocol) -> None:
        self._check_given(options, protocol)
        if options.reference == "given" and options.needs_reference and self._address(protocol) is None:
            asset = protocol.value("reference.asset")
            raise UserError(
                f"expected a reference for protocol {protocol.name}, found none; fix: --reference DIR, or "
                "--reference FILE.npz with statistics or features"
                + (f", or lumina-eval data fetch {asset}" if asset else "")
            )

    def _address(self, protocol: ResolvedProtocol) -> str | None:
        """Return the user's reference, else the one that the protocol names, if it was fetched."""
        name = protocol.value("reference.asset")
        found = fetched(_ASSETS, str(name)) if name and self._given is None else None
        return str(found) if found is not None else self._given

    def _reference(
        self, protocol: ResolvedProtocol, options: Options, items: Sequence[Item], role: Role, digest: str
    ) -> Reference:
        """Return the reference in the features of an extractor; those of the verdicts have its ``digest``."""
        self._check_reference(options, protocol)
        if options.reference == "given":
            address = self._address(protocol)
            assert address is not None
            own = None
            if reference.of_images(address):
                own = open_extractor(
                    options.extractors[role], options.prefix, options.device, options.batch_size
                )
            found = reference.given(address, own, self._features)
        else:
            found = reference.drawn(
                tuple(item.prompt for item in items),
                int(protocol.value("reference.images_per_prompt")),
                int(protocol.value("reference.base_seed")),
                int(protocol.value("reference.side")),
                open_extractor(options.extractors[role], options.prefix, options.device, options.batch_size),
            )
        if found.extractor is not None and digest not in (found.extractor, UNKNOWN):
            raise UserError(
                f"expected a reference by the extractor of the images, {digest[:12]}, found one by "
                f"{found.extractor[:12]} ({found.name}); fix: compute both with the same weights and resizing"
            )
        return found
