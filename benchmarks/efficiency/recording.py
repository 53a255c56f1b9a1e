"""A measurement as a run folder: the records of any other run, so that what reads runs reads this one too.

The same command again is another measurement, so the id of a run comes from the numbers as well: nothing is
written over, and nothing resumes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.efficiency.adapter import metrics_of
from benchmarks.efficiency.measurement import Measurement
from lumina_eval.digests import digest_of
from lumina_eval.evaluation import title_of
from lumina_eval.files import make_folder, write_lines
from lumina_eval.manifests import manifest_of, result_of
from lumina_eval.plan import model_identity
from lumina_eval.plugins import Model
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.provenance import provenance
from lumina_eval.records import Aggregate, Coverage, Item
from lumina_eval.runs import RunFolder, now, read_result, run_id
from lumina_eval.statistics.means import INTERVALS_VERSION
from lumina_eval.timed import CLOCK

BENCHMARK: Final = "efficiency"
#: Said of a run without a score.
ALONE: Final = "a speed without a score (--no-score) does not say what it costs"


@dataclass(frozen=True)
class Origin:
    """How a measurement came about."""

    protocol: ResolvedProtocol
    items: Sequence[Item]
    started: str
    argv: Sequence[str]
    distributions: Sequence[str]


def record(
    found: Measurement, model: Model, origin: Origin, out: Path, scored: Path | None = None, title: str = ""
) -> Path:
    """Write the run folder of a measurement below ``out`` and return it.

    ``results.jsonl`` holds the measurement whole, with every repetition; there are no verdicts and no scores
    of images. The judge's name stands for the device, so that two machines share no table. ``scored`` is the
    run that the score comes from, ``title`` the name in tables, the model's own if not given.
    """
    protocol = origin.protocol
    device = digest_of(found.device)
    identity = {
        "benchmark": BENCHMARK,
        "protocol": protocol.name,
        "protocol_digest": protocol.digest,
        "model": model.name,
        "identity": model_identity(model),
        "started": origin.started,
        "measurement": found.model_dump(mode="json"),
    }
    name = run_id(identity, BENCHMARK, protocol.name, model.name, model.stage)
    manifest = manifest_of(
        name,
        identity,
        BENCHMARK,
        protocol,
        model,
        title=title or title_of(model),
        suite="standard",
        images_per_prompt=1,
        batch_size=found.best_batch,
        judge=f"{CLOCK}@{device[:12]}",
        judge_kind=CLOCK,
        judge_digest=device,
        judge_settings={"device": found.device, **found.environment},
        store=os.path.relpath(out / "images", out / "runs" / name),
        provenance=provenance(origin.distributions),
        argv=list(origin.argv),
        started=origin.started,
    )
    folder = RunFolder(make_folder(out / "runs" / name))
    folder.begin(manifest, list(origin.items), [])
    write_lines(folder.verdicts_path, [])
    beside = None if scored is None else read_result(scored)
    worth = None if beside is None else beside.metric("overall")
    metrics = metrics_of(found, worth)
    images = sum(int(size) for size in found.batches) * found.repeats
    result = result_of(
        manifest,
        metrics,
        # The score's interval is the only one here, and it was made where the score was.
        INTERVALS_VERSION if beside is None else beside.intervals_version,
        # Nothing is judged, and nothing was to be.
        Coverage(expected=0, generated=images, judged=0),
        [ALONE if worth is None else f"the score is {found.score_of}"],
    )
    folder.finish(result, Aggregate(metrics=metrics, results=[found.model_dump_json()], scores=[]), [])
    folder.write_manifest(manifest.model_copy(update={"finished": now()}))
    return folder.path
