"""GenEval's published images, judged here: against the published scores, and against what people said.

Images: three models of the authors' data set, laid out ``MODEL/00220/samples/00002.png`` without metadata;
the folder's number is the prompt's. Saved verdicts are told apart by the model in their file name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.geneval.annotations import Annotations, Place, read_annotations
from benchmarks.geneval.vocabulary import TASKS
from lumina_eval.digests import sha256_file
from lumina_eval.errors import UserError
from lumina_eval.evaluation import find_protocol
from lumina_eval.external.images import image_reader
from lumina_eval.files import make_folder
from lumina_eval.judging import Sight, judge_images
from lumina_eval.progress import progress
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item, Metric, Verdict
from lumina_eval.verification import Check, Evidence

if TYPE_CHECKING:
    from benchmarks.geneval.adapter import GenEval

#: Main results in the README of djghosh13/geneval at af4902f2, by the models' folders in the image set:
#: overall, then the tasks in their order.
PUBLISHED: Final[Mapping[str, tuple[float, ...]]] = {
    "clip": (0.35, 0.89, 0.22, 0.37, 0.62, 0.03, 0.00),
    "sdv2": (0.50, 0.98, 0.51, 0.44, 0.85, 0.07, 0.17),
    "if-xl": (0.61, 0.97, 0.74, 0.66, 0.81, 0.13, 0.35),
}
_FIGURES: Final = ("overall", *TASKS)
_README: Final = "README of djghosh13/geneval"
#: Our choice: the figures are rounded to 0.01, and as much again is left to another machine's arithmetic
#: near the thresholds (two images of 400).
TOLERANCE: Final = 0.01
#: Our choice: the judge may agree with the majority of the raters less often than two raters agree with each
#: other, by so much.
BEHIND_RATERS: Final = 0.10


def checks(bench: GenEval, evidence: Evidence) -> Iterator[Check]:
    """Yield the rows of all models: seven figures each, then the agreement with people.

    Raises UserError for images and verdicts at once, and for a file of verdicts that is broken.
    """
    if evidence.images is not None and evidence.verdicts is not None:
        raise UserError("expected either --images DIR or --verdicts FILE, found both; fix: leave one out")
    protocol = find_protocol(bench, "official")
    items = {item.id: item for item in bench.items(protocol)}
    per_prompt = protocol.suite("standard").images_per_prompt
    saved = _saved(bench, protocol, items, evidence) if evidence.verdicts is not None else None
    for model in PUBLISHED:
        verdicts: Sequence[Verdict] = ()
        why = ""
        try:
            if saved is None:
                verdicts, why = _judged(bench, protocol, items, model, evidence)
            else:
                verdicts = _of_model(saved, model, evidence)
        except UserError as error:
            why = str(error)
        published = [verdict for verdict in verdicts if verdict.index < per_prompt]
        figures = bench.aggregate(protocol, list(items.values()), published)
        yield from _figures(model, items, published, figures.metrics, per_prompt, why)
        found = bench.aggregate(protocol, list(items.values()), verdicts)
        right = {(score.item_id, score.index): score.value == 1.0 for score in found.scores}
        yield _agreement(model, items, right, evidence, why)


def _judged(
    bench: GenEval, protocol: ResolvedProtocol, items: Mapping[str, Item], model: str, evidence: Evidence
) -> tuple[Sequence[Verdict], str]:
    """Return one verdict for each image of a model, in order, and why the first that lacks one does.

    Raises UserError if there is no way to them.
    """
    judge = bench.judge(protocol)  # before anything large is fetched for it
    root = evidence.images or evidence.folder("geneval-images") / "images"
    sights = _sights(root / model, items)
    journal = make_folder(evidence.site.out / "verify") / f"geneval-{model}.jsonl"
    with progress(evidence.site.console, f"judge {model}", len(sights)) as bar:
        judged = judge_images(sights, judge, journal, evidence.site.batch_size, bar)
    evidence.used[f"{model} judge"] = judged.verdicts[0].judge if judged.verdicts else judge.name
    why = next((f"image {index} of {item_id}: {why}" for (item_id, index), why in judged.failed.items()), "")
    return judged.verdicts, why


def _saved(
    bench: GenEval, protocol: ResolvedProtocol, items: Mapping[str, Item], evidence: Evidence
) -> list[Verdict]:
    """Read the file of verdicts; UserError for a broken one, and for a prompt that is not official."""
    assert evidence.verdicts is not None
    file = evidence.verdicts
    evidence.used[file.name] = sha256_file(file)
    asked, verdicts = bench.read_verdicts(file, protocol)
    if strange := next((item for item in asked if item.id not in items), None):
        raise UserError(
            f"expected the official prompts alone, found {strange.prompt!r}, in {file}; fix: leave its "
            "lines out"
        )
    return verdicts


def _of_model(verdicts: Sequence[Verdict], model: str, evidence: Evidence) -> list[Verdict]:
    """Pick a model's verdicts out of those of several; the image's number is that in its file name."""
    found = {}
    for verdict in verdicts:
        path = Path(str(verdict.output["filename"]))
        number = re.match(r"\d+", path.name)
        if model in path.parts and number is not None:
            index = int(number[0])
            found[verdict.item_id, index] = verdict.model_copy(update={"index": index})
    if not found:
        raise UserError(
            f"expected verdicts of .../{model}/00000/samples/00000.png, found none, in {evidence.verdicts}; "
            "fix: name the folder of the model in each filename"
        )
    return [found[place] for place in sorted(found)]


def _sights(folder: Path, items: Mapping[str, Item]) -> list[Sight]:
    found = []
    for prompt in sorted(folder.iterdir()) if folder.is_dir() else ():
        item = items.get(prompt.name)
        for path in sorted((prompt / "samples").glob("*.png")) if item is not None else ():
            if item is not None and path.stem.isdigit():
                found.append(Sight(item, int(path.stem), sha256_file(path), image_reader(path)))
    if not found:
        raise UserError(
            f"expected images like {folder}/00000/samples/00000.png, found none; "
            "fix: name the folder above those of the models with --images"
        )
    return found


def _figures(
    model: str,
    items: Mapping[str, Item],
    verdicts: Sequence[Verdict],
    metrics: Sequence[Metric],
    per_prompt: int,
    why: str,
) -> Iterator[Check]:
    """Compare with the published figures; one whose images are not all judged is not run."""
    asked = Counter(item.task for item in items.values())
    there = Counter(items[verdict.item_id].task for verdict in verdicts)
    for name, published in zip(_FIGURES, PUBLISHED[model], strict=True):
        tasks = TASKS if name == "overall" else (name,)
        n, expected = (sum(counts[task] for task in tasks) for counts in (there, asked))
        whole = n == expected * per_prompt
        lacking = "" if whole else f"{n} of {expected * per_prompt} images judged"
        value = next(one.value for one in metrics if one.name == name)
        yield Check(
            name=f"{model} {name}",
            against=_README,
            expected=published,
            found=value if whole else None,
            tolerance=TOLERANCE,
            n=n,
            note="" if whole else _both(lacking if n else "", why) or lacking,
        )


def _agreement(
    model: str, items: Mapping[str, Item], right: Mapping[Place, bool], evidence: Evidence, why: str
) -> Check:
    """Compare the judge with the majority of an image's raters."""
    people: Annotations | None = None
    try:
        people = read_annotations(evidence.file("geneval-annotations", f"annotations_{model}.csv"), items)
    except UserError as error:
        why = why or str(error)
    majority = people.majority() if people else {}
    judged = [right[place] == vote for place, vote in majority.items() if place in right]
    whole = bool(judged) and len(judged) == len(majority)
    lacking = f"{len(judged)} of {len(majority)} annotated images judged"
    return Check(
        name=f"{model} agreement with people",
        against=f"pairs of raters, less {BEHIND_RATERS:g}",
        expected=people.agreement() if people else None,
        found=sum(judged) / len(judged) if whole else None,
        tolerance=BEHIND_RATERS,
        at_least=True,
        n=len(judged),
        note="" if whole else _both(lacking if majority and right else "", why) or lacking,
    )


def _both(what: str, why: str) -> str:
    return "; ".join(text for text in (what, why) if text)
