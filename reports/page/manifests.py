"""The manifest of each run as a link: the file itself is in the page."""

from __future__ import annotations

import dataclasses

from lumina_eval.errors import UserError
from reports.groups import Group
from reports.pictures import data_uri


@dataclasses.dataclass(frozen=True)
class Download:
    """A file that the page hands out: whose it is, under which name, and the bytes as a ``data:`` URI."""

    label: str
    name: str
    uri: str


def manifests(group: Group) -> tuple[Download, ...]:
    """Return ``manifest.json`` of each run of a group, byte by byte.

    Raises UserError for a file that went away while the report was made.
    """
    found = []
    for run in group.runs:
        path = run.folder / "manifest.json"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}; fix: make the report again") from error
        name = f"{run.manifest.run_id}.manifest.json"
        found.append(Download(group.label(run), name, data_uri(data, "application/json")))
    return tuple(found)
