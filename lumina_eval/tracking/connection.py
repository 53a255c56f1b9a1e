"""A tracking store that answered, or an error at once: the one door through which mlflow is imported.

On first use, since the import takes seconds and looks for the telemetry switch. Every call names its run,
because MLflow's fluent interface keeps global state.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lumina_eval.tracking.address import sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient


def connect(uri: str, make: bool = True) -> MlflowClient:
    """Import mlflow and ask something cheap, so that a store that is away is noticed once.

    With `make` a SQLite database that is not there yet is made; without it that is a FileNotFoundError.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at import
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # by default seven: minutes of waiting
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # stdout is for records
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    database = sqlite_file(uri)
    if database is not None and not make and not database.is_file():
        raise FileNotFoundError(f"there is no database {database}")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):  # they tell of every table they make
        logging.getLogger(name).setLevel(logging.WARNING)
    if database is not None:
        _make_database(database)
    client = MlflowClient(tracking_uri=uri)
    client.search_experiments(max_results=1)
    return client


def _make_database(database: Path) -> None:
    """Make the tables aside and put them in place at once: a kill in between would leave half of them.

    mlflow makes them in dozens of migrations and refuses a database that has only some.
    """
    from mlflow import MlflowClient

    database.parent.mkdir(parents=True, exist_ok=True)
    if database.exists():
        return
    with tempfile.TemporaryDirectory(
        prefix=".mlflow-", dir=database.parent, ignore_cleanup_errors=True
    ) as folder:
        partial = Path(folder) / database.name
        MlflowClient(tracking_uri=f"sqlite:///{partial}").search_experiments(max_results=1)
        try:
            os.link(partial, database)
        except FileExistsError:  # another process was quicker
            pass
        except OSError:  # a file system without links
            shutil.copyfile(partial, database)
