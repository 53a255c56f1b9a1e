"""From prompts to scores, with models of the true architectures and random weights."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_answerers
from PIL import Image
from tiny_t2i_models import clip_folder, detr_folder, dpt_folder

from benchmarks.judges.depth import DptDepth
from benchmarks.judges.detectors.detection import Detection
from benchmarks.judges.detectors.object_detection import ObjectDetector
from benchmarks.judges.detectors.unidet import files
from benchmarks.judges.similarity import ClipSimilarity
from benchmarks.judges.vqa.blip import BlipAnswerer
from benchmarks.t2i_compbench import prompt_set
from benchmarks.t2i_compbench.adapter import T2ICompBench
from benchmarks.t2i_compbench.judging import resized
from benchmarks.t2i_compbench.parses import read_parses
from benchmarks.t2i_compbench.prompt_set import CATEGORIES, item_of
from benchmarks.t2i_compbench.three_in_one import prompt_key
from lumina_eval import cli
from lumina_eval.errors import UserError
from lumina_eval.plugins import Judge, injected
from lumina_eval.protocol import resolve
from lumina_eval.records import Item
from lumina_eval.runs import read_plan
from lumina_eval.store import ImageStore

#: Words with parts of speech; chunks are what stands between "|".
PROMPTS: Mapping[str, list[str]] = {
    "color": ["a/DET red/ADJ cat/NOUN | and/CCONJ | a/DET blue/ADJ dog/NOUN", "runs/VERB"],
    "shape": ["the/DET wheel/NOUN"],
    "texture": ["a/DET wooden/ADJ drum/NOUN | near/ADP | a/DET cat/NOUN | ./PUNCT"],
    "spatial": ["a/DET dog/NOUN | near/ADP | a/DET person/NOUN"],
    "3d_spatial": ["a/DET car/NOUN | behind/ADP | a/DET dog/NOUN"],
    "numeracy": ["two/NUM dogs/NOUN | and/CCONJ | one/NUM car/NOUN"],
    "non_spatial": ["A/DET man/NOUN | reads/VERB | ./PUNCT"],
    "complex": ["The/DET red/ADJ dog/NOUN | waves/VERB near/ADP | a/DET big/ADJ car/NOUN | ./PUNCT"],
}
SIZE = (52, 40)
THRESHOLD = 0.7


def plain(tagged: str) -> tuple[str, list[list[Any]], list[list[int]]]:
    """Return prompt, tokens and chunks of a tagged text, in the offsets of a parse file."""
    prompt, tokens, chunks = "", [], []
    for part in tagged.split(" | "):
        words = [word.rsplit("/", 1) for word in part.split(" ")]
        first = None
        for text, pos in words:
            prompt += " " if prompt and pos != "PUNCT" else ""
            first = len(prompt) if first is None else first
            tokens.append([len(prompt), len(prompt) + len(text), pos])
            prompt += text
        if words[-1][1] == "NOUN":
            chunks.append([first or 0, len(prompt)])
    return prompt, tokens, chunks


@dataclass(frozen=True)
class Bench:
    """Prompts of our own, their parse file, tiny models, and the words that name them all."""

    folder: Path
    parses: Path
    models: Mapping[str, Path]

    @property
    def changes(self) -> list[str]:
        pins = [
            f"prompts.sha256.{category}={hashlib.sha256(self.file(category).read_bytes()).hexdigest()}"
            for category in CATEGORIES
        ]
        models = [f"judge.{name}={folder}" for name, folder in self.models.items()]
        return [*pins, *models, "judge.device=cpu", "judge.batch_size=3", f"judge.threshold={THRESHOLD}"]

    @property
    def words(self) -> list[str]:
        sets = [word for change in self.changes for word in ("--set", change)]
        return ["--protocol", "hf", "--questions", str(self.folder), "--parses", str(self.parses), *sets]

    def file(self, category: str) -> Path:
        return self.folder / f"{category}_val.txt"

    def items(self) -> list[Item]:
        return [item_of(name, plain(tagged)[0]) for name, some in PROMPTS.items() for tagged in some]

    def judge(self, *changes: str) -> Judge:
        bench = T2ICompBench().with_questions(self.folder).with_parses(self.parses)
        return bench.judge(
            resolve("hf", bench.protocols(), [*self.changes, *changes], T2ICompBench.protocol_keys)
        )


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    root = tmp_path_factory.mktemp("bench")
    lines = [json.dumps({"schema": 1, "spacy": "3.5.3", "model": "by_hand", "model_version": "1"})]
    (root / "prompts").mkdir()
    for category, some in PROMPTS.items():
        texts = [plain(tagged) for tagged in some]
        (root / "prompts" / f"{category}_val.txt").write_text("\n".join(text for text, _, _ in texts))
        lines += [
            json.dumps(
                {
                    "prompt_sha256": hashlib.sha256(text.encode()).hexdigest(),
                    "tokens": tokens,
                    "chunks": chunks,
                }
            )
            for text, tokens, chunks in texts
        ]
    (root / "parses.jsonl").write_text("".join(f"{line}\n" for line in lines))
    models = {
        "vqa": tiny_answerers.blip(root / "blip"),
        "detector": detr_folder(root / "detr", ["dog", "car", "person"]),
        "clip": clip_folder(root / "clip"),
        "depth": dpt_folder(root / "dpt"),
    }
    return Bench(root / "prompts", root / "parses.jsonl", models)


@pytest.fixture
def images(bench: Bench) -> list[Image.Image]:
    noise = np.random.default_rng(3)
    return [
        Image.fromarray(noise.integers(0, 256, (5, 4, 3), dtype=np.uint8)).resize(SIZE) for _ in bench.items()
    ]


@pytest.fixture
def lumina_eval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, list[Any], str]]:
    """Run a command in this process: exit code, the objects of stdout, stderr."""

    def run(*words: object) -> tuple[int, list[Any], str]:
        monkeypatch.setattr(
            sys, "argv", ["lumina-eval", *map(str, words), "--out", str(tmp_path / "out"), "--json"]
        )
        capsys.readouterr()
        with injected("benchmarks", t2i_compbench=T2ICompBench), pytest.raises(SystemExit) as end:
            cli.main()
        told = capsys.readouterr()
        return int(end.value.code or 0), [json.loads(line) for line in told.out.splitlines()], told.err

    return run


def test_each_category_is_looked_at_with_its_own_models(bench: Bench, images: list[Image.Image]) -> None:
    """Against the models themselves, asked one by one."""
    items = bench.items()
    found = bench.judge().judge(images, items)
    blip = BlipAnswerer(bench.models["vqa"], "probability", "cpu")
    detr, dpt = ObjectDetector(bench.models["detector"], "cpu"), DptDepth(bench.models["depth"], "cpu")
    clip = ClipSimilarity(str(bench.models["clip"]), "cpu")
    assert [one["category"] for one in found] == [item.task for item in items]
    red_cat = found[0]["phrases"]
    assert [phrase["text"] for phrase in red_cat] == ["a red cat", "a blue dog"]
    for phrase in red_cat:
        (answer,) = blip.answer(images[:1], [phrase["text"] + "?"])
        assert phrase["yes_probability"] == pytest.approx(answer.yes_probability, abs=1e-5)
    assert found[1]["phrases"] == [], "no noun chunk, nothing asked"
    by_task = {item.task: (image, one) for item, image, one in zip(items, images, found, strict=True)}
    kept = left = 0
    for task in ("spatial", "3d_spatial", "numeracy", "complex"):
        image, one = by_task[task]
        (seen,) = detr.detect([image.resize((480, 369), Image.Resampling.BILINEAR)])
        sure = [detection for detection in seen if detection.score > THRESHOLD]
        kept, left = kept + len(sure), left + len(seen) - len(sure)
        assert [row[5] for row in one["detections"]] == [detection.label for detection in sure]
        rows = np.array([row[:5] for row in one["detections"]])
        np.testing.assert_allclose(rows, [[*one.box, one.score] for one in sure], atol=1e-3)
    assert min(kept, left) > 0, "the threshold tells"
    image, one = by_task["3d_spatial"]
    (picture,) = dpt.depth_pictures([image])
    depth = np.asarray(picture.resize((480, 369), Image.Resampling.BILINEAR)) / 255
    for row, (transposed, right) in zip(one["detections"], one["nearness"], strict=True):
        x1, y1, x2, y2 = map(int, row[:4])
        assert right == pytest.approx(depth[y1:y2, x1:x2].mean(), abs=0.01)
        assert transposed == (None if x1 >= 369 else pytest.approx(depth[x1:x2, y1:y2].mean(), abs=0.01))
    assert by_task["spatial"][1]["tokens"][1] == ["dog", "NOUN"]
    image, one = by_task["non_spatial"]
    assert one["similarity"] == pytest.approx(clip.similarities([image], ["A man reads."])[0], abs=1e-5)
    image, one = by_task["complex"]
    wanted = clip.similarities([image], ["The dog waves near a car ."])[0]
    assert one["similarity"] == pytest.approx(wanted, abs=1e-5), "no adjectives, one space between words"
    assert {"phrases", "tokens", "detections", "similarity"} < set(one)


def test_a_prompt_of_complex_is_looked_at_for_what_it_asks(
    bench: Bench, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    item = bench.items()[-1]
    key = hashlib.sha256(prompt_key(item.prompt).encode()).hexdigest()[:16]
    for kind, keys in [
        ("spatial", {"phrases", "tokens", "detections"}),
        ("action", {"phrases", "similarity"}),
    ]:
        monkeypatch.setattr(prompt_set, "_kinds", lambda kind=kind: {key: kind})
        (found,) = bench.judge().judge(images[:1], [item])
        assert set(found) == {"category", *keys}


def test_only_the_models_of_the_categories_asked_are_opened(bench: Bench, images: list[Image.Image]) -> None:
    nothing = [f"judge.{name}=nowhere" for name in ("vqa", "detector", "depth")]
    judge = bench.judge(*nothing, 'prompts.categories=["non_spatial"]')
    assert set(judge.settings) == {"clip", "threshold", "parses"}
    (item,) = [item for item in bench.items() if item.task == "non_spatial"]
    assert set(judge.judge(images[:1], [item])[0]) == {"category", "similarity"}
    for name, category in [("vqa", "color"), ("detector", "numeracy"), ("depth", "3d_spatial")]:
        with pytest.raises(UserError, match=rf"nowhere.*judge.{name}="):
            bench.judge(f"judge.{name}=nowhere", f'prompts.categories=["{category}"]')


def test_models_and_parses_are_part_of_the_digest(bench: Bench, tmp_path: Path) -> None:
    judge = bench.judge()
    assert judge.digest == bench.judge("judge.batch_size=1").digest
    assert judge.settings["parses"]["sha256"] == hashlib.sha256(bench.parses.read_bytes()).hexdigest()
    assert judge.name == "blip-detector-clip"
    assert bench.judge("judge.threshold=0.3").settings != judge.settings
    other = tmp_path / "parses.jsonl"
    other.write_text(bench.parses.read_text() + "\n")
    assert Bench(bench.folder, other, bench.models).judge().digest != judge.digest
    clip = clip_folder(tmp_path / "clip")
    (clip / "note.txt").write_text("other content")
    assert bench.judge(f"judge.clip={clip}").digest != judge.digest


def test_unidet_is_two_networks(
    bench: Bench, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The official scripts take the smaller one in three dimensions and to count."""

    class Told:
        digest = "0" * 64
        settings: Mapping[str, Any] = {}

        def __init__(self, kind: str, folder: str, device: str) -> None:
            self.name = f"unidet-{kind.lower()}"
            assert (folder, device) == ("somewhere", "cpu")

        def detect(self, images: list[Image.Image]) -> list[list[Detection]]:
            return [[Detection((0.0, 0.0, 9.0, 9.0), 0.9, self.name)] for _ in images]

    monkeypatch.setattr(files, "open_unidet", Told)
    judge = bench.judge("judge.detector=unidet:somewhere")
    assert judge.name == "blip-unidet-clip"
    assert {"unidet-r50", "unidet-rs200"} < set(judge.settings)
    seen = {
        verdict["category"]: verdict["detections"][0][5]
        for verdict in judge.judge(images, bench.items())
        if "detections" in verdict
    }
    assert seen == {
        "spatial": "unidet-rs200", "3d_spatial": "unidet-r50", "numeracy": "unidet-r50",
        "complex": "unidet-rs200",
    }  # fmt: skip
    one = bench.judge("judge.detector=unidet:somewhere", 'prompts.categories=["numeracy"]')
    assert set(one.settings) == {"unidet-r50", "threshold", "parses"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["judge.detector=unidet:/none"], r"judge\.detector=unidet.*; or take --protocol hf with"),
        (["judge.vqa="], r"the weights of BLIP .*, found no folder ''; fix: --set judge.vqa=DIR"),
        (["judge.clip=ViT-B-32/openai"], r"with QuickGELU"),
        (["judge.detector=detectron2:COCO-Detection/x.yaml"], r"expected detectron2 for .*fix: pip install"),
        (["judge.threshold=1.5"], r"expected a number .* below 1 for judge.threshold, found 1.5"),
        (["judge.batch_size=0"], r"expected a whole number of at least 1 for judge.batch_size, found 0"),
        (["judge.device=tpu"], r"judge.device"),
    ],
)  # fmt: skip
def test_what_the_judge_cannot_work_with_is_told_before_any_image(
    bench: Bench, changes: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "detectron2", None)
    with pytest.raises(UserError, match=message):
        bench.judge(*changes)


def test_without_parses_the_command_is_told(bench: Bench) -> None:
    alone = T2ICompBench().with_questions(bench.folder)
    protocol = resolve("hf", alone.protocols(), bench.changes, T2ICompBench.protocol_keys)
    with pytest.raises(UserError, match=r"expected --parses FILE .*fix: nox -s parses -- PROMPTS --out FILE"):
        alone.judge(protocol)
    short = bench.parses.parent / "short.jsonl"
    short.write_text("\n".join(bench.parses.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(UserError, match=rf"found none for item {bench.items()[-1].id}; fix: nox -s parses"):
        alone.with_parses(short).items(protocol)


@pytest.mark.parametrize(("size", "wanted"), [
    ((512, 512), (479, 479)), ((1024, 768), (480, 360)), ((300, 400), (360, 480)), ((480, 479), (480, 479)),
    ((479, 480), (479, 480)), ((64, 64), (479, 479)),
])  # fmt: skip
def test_the_detector_s_picture_has_the_official_size(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert resized(Image.new("RGB", size)).size == wanted


MODEL = """
from PIL import Image
def generate(prompts, seeds):
    return [Image.new("RGB", (52, 40), tuple(seed // n % 256 for n in (1, 7, 77))) for seed in seeds]
"""


def test_run_judge_and_saved_verdicts_give_the_same_scores(
    bench: Bench, tmp_path: Path, lumina_eval: Callable[..., tuple[int, list[Any], str]]
) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    code, records, errors = lumina_eval(
        "run", "t2i_compbench", "--model", f"{tmp_path / 'model.py'}:generate", "--images-per-prompt", 2,
        "--no-mlflow", "--no-report", *bench.words,
    )  # fmt: skip
    assert code == 0, errors
    (made,) = records
    values = {metric["name"]: metric["value"] for metric in made["metrics"]}
    assert set(values) == set(CATEGORIES)
    assert None not in values.values()
    assert made["coverage"]["judged"] == 2 * len(bench.items())
    folder = Path(made["run_dir"])
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert [row["filename"] for row in rows[:4]] == [
        "a red cat and a blue dog_000000.png", "a red cat and a blue dog_000001.png", "runs_000002.png",
        "runs_000003.png",
    ]  # fmt: skip
    assert rows[2]["answer"] == "1.0000", "nothing asked"

    verdicts = [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]
    saved = tmp_path / "saved.jsonl"
    saved.write_text(
        "".join(
            json.dumps({"filename": row["filename"], **verdict["output"]}) + "\n"
            for row, verdict in zip(rows, verdicts, strict=True)
        )
    )
    code, (again,), errors = lumina_eval("judge", "t2i_compbench", "--protocol", "hf", "--verdicts", saved)
    assert code == 0, errors
    assert again["metrics"] == made["metrics"]
    assert (Path(again["run_dir"]) / "results.jsonl").read_text() == (folder / "results.jsonl").read_text()

    adapter = T2ICompBench()
    store = ImageStore(tmp_path / "out" / "images")
    by_id = {item.id: item for item in bench.items()}
    adapter.write_images(
        tmp_path / "layout",
        resolve("hf", adapter.protocols(), bench.changes, T2ICompBench.protocol_keys),
        [(by_id[ref.item_id], ref.index, store.path(ref.key)) for ref in read_plan(folder)],
    )
    code, (elsewhere,), errors = lumina_eval(
        "judge", "t2i_compbench", "--images", tmp_path / "layout", *bench.words
    )
    assert code == 0, errors
    assert elsewhere["metrics"] == made["metrics"]
    assert (Path(elsewhere["run_dir"]) / "results.jsonl").read_text() == (
        folder / "results.jsonl"
    ).read_text()

    (tmp_path / "layout" / "color" / "samples" / "runs_000002.png").unlink()
    words = ["judge", "t2i_compbench", *bench.words, "--set", 'prompts.categories=["color"]', "--images"]
    code, (fewer,), errors = lumina_eval(*words, tmp_path / "layout" / "color")
    assert code == 4, errors
    coverage = fewer["coverage"]
    assert (coverage["expected"], coverage["generated"], coverage["failed"]) == (4, 3, 1)
    (missed,) = (Path(fewer["run_dir"]) / "failures.jsonl").read_text().splitlines()
    assert (json.loads(missed)["item_id"], json.loads(missed)["index"]) == (item_of("color", "runs").id, 0)
    code, _, errors = lumina_eval(*words, tmp_path / "layout" / "shape")
    assert (code, "found 2 images of others" in errors) == (2, True)


def test_parses_are_for_images_only(
    bench: Bench, tmp_path: Path, lumina_eval: Callable[..., tuple[int, list[Any], str]]
) -> None:
    file = tmp_path / "saved.jsonl"
    file.write_text(json.dumps({"filename": "a_0.png", "category": "non_spatial", "similarity": 0.3}) + "\n")
    code, _, errors = lumina_eval("judge", "t2i_compbench", "--verdicts", file, "--parses", bench.parses)
    assert (code, "expected --parses with --images" in errors) == (2, True)
    assert read_parses(bench.parses).made_with["model"] == "by_hand"
