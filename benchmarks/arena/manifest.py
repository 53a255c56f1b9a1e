"""The manifest of an export: who is behind each name. It is the one file that voters must not see."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from lumina_eval.errors import UserError
from lumina_eval.files import write_atomic
from lumina_eval.records import Record


class Contender(Record):
    """A model of the arena, and the run that its images come from."""

    name: str
    run_id: str
    digest: str | None = None


class BlindImage(Record):
    """What an image's name stands for."""

    model: str
    prompt: str
    index: int = Field(ge=0)


class BlindMatchUp(Record):
    """What a match-up's name stands for."""

    left: str
    right: str


class ArenaManifest(Record):
    """All that undoes the anonymity of one export."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    secret: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Key of the names, and of the signatures of the place to vote."""
    layout: str
    seed: int
    contenders: list[Contender]
    images: dict[str, BlindImage]
    matchups: dict[str, BlindMatchUp]


def new_secret() -> str:
    """Return 256 random bits in hex."""
    return secrets.token_hex(32)


def manifest_path(folder: Path) -> Path:
    """Return where the manifest of an export lies: beside its folder, which can so be given away."""
    folder = folder.absolute()
    return folder.with_name(f"{folder.name}.manifest.json")


def write_manifest(path: Path, manifest: ArenaManifest) -> None:
    """Write the manifest so that only its owner can read it."""
    write_atomic(path, f"{manifest.model_dump_json(indent=1)}\n".encode())
    os.chmod(path, 0o600)


def read_manifest_of_export(path: Path) -> ArenaManifest:
    """Read a manifest; raise UserError if it is not there or not ours."""
    try:
        return ArenaManifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"expected the manifest of an arena, found {error.strerror}, at {path}; "
            "fix: --manifest FILE says where it lies, lumina-eval arena export writes one"
        ) from error
    except ValidationError as error:
        raise UserError(
            f"{path} is no manifest of an arena: {error.errors()[0]['msg']}; "
            "fix: --manifest FILE names one that lumina-eval arena export wrote"
        ) from error
