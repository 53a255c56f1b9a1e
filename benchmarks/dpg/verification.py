"""DPG-Bench's rules over DSG's published answers: against its published scores, and against other sums.

Two steps. The sums of ``dsg_answers.py`` are held to the scores that DSG's README gives for the answers of
PaLI-17B, so that the files are read right. Then our rules are held to the same sums, as DPG-Bench adds up,
for each of the three models that answered. No image is looked at and no model runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Final

from benchmarks.dpg.dsg_answers import GROUPS, Asked, group_of, read_answered, share_fulfilled
from benchmarks.dpg.questions import Question, make_item
from lumina_eval.errors import UserError
from lumina_eval.evaluation import find_protocol
from lumina_eval.records import Verdict
from lumina_eval.verification import Check, Evidence

if TYPE_CHECKING:
    from benchmarks.dpg.adapter import Dpg

#: "DSG-1k score calculation" in the README of j-min/DSG at 7330119a, in percent to one decimal. That these
#: are PaLI-17B's answers is the default of the script, and none of the other two files gives them.
PUBLISHED: Final[Mapping[str, float]] = {
    "all": 80.5, "tifa": 88.1, "paragraph": 85.1, "relation": 34.4, "count": 70.4, "real_user": 89.7,
    "pose": 89.6, "defying": 84.4, "text": 83.7,
}  # fmt: skip
#: Half of the last digit.
ROUNDING: Final = 0.05
#: Of two ways to add up the same numbers.
SAME: Final = 1e-9
_ANSWERERS: Final = ("mplug", "instructblip", "pali17b")


def checks(bench: Dpg, evidence: Evidence) -> Iterator[Check]:
    """Yield the rows of the published scores, then those of our rules.

    Raises UserError for images or verdicts, which nothing here looks at.
    """
    if evidence.images is not None or evidence.verdicts is not None:
        raise UserError(
            "expected no --images and no --verdicts for dpg, which is verified on published answers, found "
            f"{evidence.images or evidence.verdicts}; fix: leave the option out, or give files with --data"
        )
    answered: dict[str, dict[str, list[Asked]]] = {}
    why: dict[str, str] = {}
    for model in _ANSWERERS:
        try:
            answered[model] = read_answered(
                evidence.file("dsg-questions", "dsg-1k-anns.csv"),
                evidence.file("dsg-answers", f"{model}_dsg.csv"),
            )
        except UserError as error:
            why[model] = str(error)
    yield from _published(answered.get("pali17b"), why.get("pali17b", ""))
    for model in _ANSWERERS:
        # The item without answers depends on questions that are not there, and so is none for our rules.
        there = {
            item: asked for item, asked in answered.get(model, {}).items() if any(one.answer for one in asked)
        }
        yield from _rules(bench, model, there, why.get(model, ""))


def _published(items: Mapping[str, Sequence[Asked]] | None, why: str) -> Iterator[Check]:
    for name, published in PUBLISHED.items():
        shares = [
            share_fulfilled(asked, in_place=False)
            for item, asked in (items or {}).items()
            if name in ("all", group_of(item))
        ]
        yield Check(
            name=f"DSG's own rule, {name}",
            against="README of j-min/DSG",
            expected=published,
            found=100 * fmean(shares) if shares else None,
            tolerance=ROUNDING,
            n=len(shares),
            note=why,
        )


def _rules(bench: Dpg, model: str, items: Mapping[str, Sequence[Asked]], why: str) -> Iterator[Check]:
    found, n = _ours(bench, items) if items else ({}, 0)
    shares = {item: share_fulfilled(asked, in_place=True) for item, asked in items.items()}
    yield Check(
        name=f"our rules, {model}, all",
        against="sums by another way",
        expected=100 * fmean(shares.values()) if shares else None,
        found=found.get("all"),
        tolerance=SAME,
        n=n,
        note=why,
    )
    for group in GROUPS:
        part = [share for item, share in shares.items() if group_of(item) == group]
        yield Check(
            name=f"our rules, {model}, {group}",
            against="sums by another way",
            expected=100 * fmean(part) if part else None,
            found=found.get(group),
            tolerance=SAME,
            n=len(part),
            note=why,
        )


def _ours(bench: Dpg, items: Mapping[str, Sequence[Asked]]) -> tuple[dict[str, float], int]:
    """Return the score by our rules, over all items and by group.

    The first row of the file is asked here: that bug is about one item of DPG-Bench's own file.
    """
    protocol = find_protocol(bench, "official", ["skip_first_row=false"])
    asked, verdicts, row = [], [], 0
    for item, answered in items.items():
        questions = []
        for one in answered:
            questions.append(Question(row, one.id, one.parents or (0,), one.tuple, f"question {one.id}"))
            row += 1
        asked.append(make_item(item, "", questions, ""))
        answers = {f"question {one.id}": one.answer for one in answered}
        verdicts.append(
            Verdict(item_id=item, index=0, image_sha256="", judge="published", output={"answers": answers})
        )
    found = bench.aggregate(protocol, asked, verdicts)
    groups: dict[str, list[float]] = {}
    for score in found.scores:
        groups.setdefault(group_of(score.item_id), []).append(score.value)
    values = {name: fmean(scores) for name, scores in groups.items()}
    overall = next(metric.value for metric in found.metrics if metric.name == "overall")
    return values | ({} if overall is None else {"all": overall}), len(found.scores)
