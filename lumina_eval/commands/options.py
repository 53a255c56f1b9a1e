"""Options that several commands share: one spelling and one help text for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lumina_eval.batch_sizes import AUTO, is_auto
from lumina_eval.errors import UserError
from lumina_eval.models import nearest_device
from lumina_eval.runs import DEFAULT_OUT

BenchmarkName = Annotated[
    str, typer.Argument(help="Name of the benchmark, e.g. geneval.", show_default=False)
]
RunDirs = Annotated[list[Path], typer.Argument(help="Run folders, or folders that hold runs/.")]
ProtocolName = Annotated[
    str,
    typer.Option(
        "--protocol", help="Pinned variant by name, or a TOML file; fidelity's own default is folder."
    ),
]
Models = Annotated[
    list[str],
    typer.Option("--model", help="SCHEME[:SPEC] or FILE.py:function; may be given several times."),
]
Options = Annotated[
    list[str],
    typer.Option("--option", help="KEY=VALUE for the model, e.g. dtype=bfloat16.", show_default=False),
]
Rewrite = Annotated[
    str | None,
    typer.Option(
        "--rewrite",
        help="Texts for the model in place of the prompts: FILE.jsonl, endpoint:URL, transformers:DIR.",
        show_default=False,
    ),
]
RewriteOptions = Annotated[
    list[str],
    typer.Option("--rewrite-option", help="KEY=VALUE, e.g. template=FILE, model=NAME.", show_default=False),
]
SuiteName = Annotated[str, typer.Option("--suite", help="How much of the protocol: quick, standard, paper.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="This many prompts of each task.")]
Changes = Annotated[
    list[str], typer.Option("--set", help="KEY=VALUE changes a protocol value.", show_default=False)
]
Questions = Annotated[
    Path | None,
    typer.Option(
        "--questions",
        help="Questions of a benchmark that ships none (dpg: dpg_bench.csv).",
        show_default=False,
    ),
]
Parses = Annotated[
    Path | None,
    typer.Option(
        "--parses",
        help="Parse file of the prompts, for a benchmark that reads one (t2i_compbench: nox -s parses).",
        show_default=False,
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        help="What images are held against (fidelity): DIR, FILE.npz, FILE.npz:KEY or datasets:PLACE.",
        show_default=False,
    ),
]
ImagesPerPrompt = Annotated[
    int | None, typer.Option("--images-per-prompt", min=1, help="Instead of the protocol's number.")
]
Out = Annotated[Path, typer.Option("--out", help="Folder for runs, images and the MLflow database.")]
Store = Annotated[
    Path | None, typer.Option("--store", help="Image store; OUT/images if not given.", show_default=False)
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Images made at once.")]
BatchSizeOrAuto = Annotated[
    str,
    typer.Option(
        "--batch-size", metavar="N|auto", help="Images made at once; auto: as many as the model finds best."
    ),
]
ShardText = Annotated[
    str | None,
    typer.Option(
        "--shard", metavar="I/N", show_default=False,
        help="One of N parts, I from 0, for N processes on one store.",
    ),
]  # fmt: skip
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on stdout; all else on stderr.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
MinOverall = Annotated[
    float | None,
    typer.Option(
        "--min-overall", help="Gate: exit 1 if overall of the last checkpoint is below.", show_default=False
    ),
]
StrictGate = Annotated[
    bool, typer.Option("--strict-gate", help="The whole interval must pass; exit 3 if it holds the border.")
]
Report = Annotated[bool, typer.Option("--report/--no-report", help="Write the report when all is scored.")]
Mlflow = Annotated[bool, typer.Option("--mlflow/--no-mlflow", help="Log to MLflow.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri", help="MLflow store; MLFLOW_TRACKING_URI, else OUT/mlflow.db.", show_default=False
    ),
]

NONE: list[str] = []
DEFAULT_PROTOCOL = "official"
DEFAULT_MODELS = ["embedded"]
DEFAULT_SUITE = "standard"
DEFAULT_BATCH_SIZE = 16
DEFAULT_BATCH_WORD = str(DEFAULT_BATCH_SIZE)
OUT = DEFAULT_OUT


def features_folder(out: Path, store: Path | None) -> Path:
    """Return where features of images are kept: beside the image store."""
    return (store or out / "images").parent / "features"


def batch_size_of(text: str) -> int | None:
    """Return the number of ``--batch-size``; None for ``auto``."""
    if is_auto(text):
        return None
    if not text.strip().isdecimal() or int(text) < 1:
        raise UserError(
            f"expected --batch-size with a number from 1, or {AUTO}, found {text!r}; fix: --batch-size {AUTO}"
        )
    return int(text)


def model_options(pairs: list[str], device: str) -> dict[str, str]:
    """Return the options of ``--option KEY=VALUE`` and ``--device`` as one mapping."""
    if device not in ("auto", "cpu") and not device.startswith("cuda"):
        raise UserError(
            f"expected --device auto, cpu or cuda, found {device!r}; fix: {nearest_device(device)}"
        )
    return {"device": device, **key_values(pairs, "--option")}


def key_values(pairs: list[str], option: str) -> dict[str, str]:
    """Return pairs of ``KEY=VALUE`` as a mapping."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UserError(f"expected {option} KEY=VALUE, found {pair!r}")
        found[key] = value
    return found
