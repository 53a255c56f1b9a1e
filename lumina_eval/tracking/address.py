"""Where the tracking store is, and what a person types to look at it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from lumina_eval.errors import first_line

TRACKING_URI = "MLFLOW_TRACKING_URI"


def resolve_uri(tracking_uri: str | None, out: Path) -> str:
    """Return the argument, else `MLFLOW_TRACKING_URI`, else the database `out/mlflow.db`."""
    return tracking_uri or os.environ.get(TRACKING_URI) or f"sqlite:///{out.absolute() / 'mlflow.db'}"


def shown_uri(uri: str) -> str:
    """Return the address without the name and the password that it may hold."""
    return re.sub(r"(?<=://)[^/@]*@", "", uri)


def ui_command(uri: str) -> str:
    """Return what shows the runs: a shell line for a database, the address itself for a server.

    The line names the ``mlflow`` of this environment, by its path where a shell would not find it.
    """
    if "://" in uri and not uri.startswith(("sqlite:", "mysql", "postgresql", "mssql")):
        return shown_uri(uri)
    database = sqlite_file(uri)
    store = shown_uri(uri) if database is None else f"sqlite:///{database}"
    return f"{_mlflow()} ui --backend-store-uri {shlex.quote(store)} --host 127.0.0.1 --port 5000"


def _mlflow() -> str:
    """Return the word for a shell: ``mlflow`` if that is this environment's own, or if it has no other.

    A runner such as nox puts an environment on the path of its commands, not on that of the shell; one that
    is activated is named by a variable, too.
    """
    own, found = Path(sys.executable).with_name("mlflow"), shutil.which("mlflow")
    if not own.is_file():
        return "mlflow"
    variables = [os.environ.get(name) for name in ("VIRTUAL_ENV", "CONDA_PREFIX")]
    named = [Path(value).resolve() for value in variables if value]
    active = sys.prefix == sys.base_prefix or Path(sys.prefix).resolve() in named
    return "mlflow" if active and found is not None and own.samefile(found) else shlex.quote(str(own))


def sqlite_file(uri: str) -> Path | None:
    """The database file of `sqlite:///relative` or `sqlite:////absolute`; None for any other store."""
    path = uri.removeprefix("sqlite:///")
    return None if path == uri or path.startswith(":memory:") else Path(path).absolute()


def reason(error: Exception, uri: str) -> str:
    """Return the first line of what an error says, without the secrets of the address."""
    return first_line(error).replace(uri, shown_uri(uri))
