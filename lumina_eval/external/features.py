"""Features of images that nobody sees: rules are applied to them; statistics of a run's can be saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lumina_eval import plugins
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError
from lumina_eval.evaluation import Question, Site, find_protocol
from lumina_eval.external.asking import offered, prompts_at_hand
from lumina_eval.external.expected import expect_rows
from lumina_eval.external.record import Source, add_up, manifest_of, saved_judge
from lumina_eval.records import Item, Verdict
from lumina_eval.runs import protocol_of, read_manifest, read_verdicts


def judge_features(
    benchmark: str,
    protocol: str,
    changes: Sequence[str],
    address: str,
    site: Site,
    reference: str | None = None,
    features: Path | None = None,
) -> Path:
    """Apply the rules to features made elsewhere, ``FILE.npz`` or ``FILE.npz:KEY``; return the run folder."""
    bench = plugins.benchmark(benchmark, None, None, reference, features)
    resolved = find_protocol(bench, protocol, changes)
    given: list[Item]
    verdicts: list[Verdict]
    given, verdicts = offered(bench, "read_features", "--features")(address, resolved)
    expected = expect_rows(given, prompts_at_hand(bench, resolved))
    content = digest_of([verdict.image_sha256 for verdict in verdicts])
    source = Source("features", Path(address), content)
    manifest = manifest_of(bench, resolved, source, expected, site, **saved_judge(verdicts))
    question = Question(bench, resolved, expected.selection)
    return add_up(question, manifest, verdicts, [], expected.images, site)


def statistics_writer(benchmark: str, file: Path) -> Callable[[Path], None]:
    """Return what writes statistics of a run folder's features to ``file``, an ``.npz``.

    Raises UserError, before anything is judged, for another ending or a benchmark without features.
    """
    offered(plugins.benchmark(benchmark), "write_statistics", "--write-statistics")
    if file.suffix != ".npz":
        raise UserError(f"expected an .npz file to write statistics to, found {file}; fix: {file}.npz")

    def write(run_dir: Path) -> None:
        bench = plugins.benchmark(benchmark)
        held = protocol_of(read_manifest(run_dir))
        offered(bench, "write_statistics", "--write-statistics")(file, held, read_verdicts(run_dir))

    return write
