"""What has to be trained before a part, and the command that trains it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lumina_model.errors import UserError

#: Folder of a part inside the training run → the rest of the command that trains it.
COMMANDS: Final = {"tokenizer": "tokenizer", "text_encoder": "text-encoder", "vae": "autoencoder"}


def expect_trained(run: Path, *parts: str, stage: str = "") -> None:
    """Check that the parts which come first are there.

    Args:
        run: folder of the training run.
        parts: out of :data:`COMMANDS`.
        stage: the stage to start from; empty for none.

    Raises:
        UserError: names the first that is missing, and its command.
    """
    needed = {run / part: COMMANDS[part] for part in parts}
    if stage:
        needed[run / "stages" / stage / "transformer"] = f"stage {stage}"
    for folder, command in needed.items():
        if not folder.is_dir():
            if kept := re.fullmatch(r"stage (.+)-\d{6}", command):
                raise UserError(
                    f"expected {folder}, a copy of stage {kept[1]} to go on from, found none; fix: when that "
                    f"stage is trained, cp -r {run / 'stages' / kept[1]} {run / 'stages' / stage}"
                )
            raise UserError(
                f"expected {folder}, which is trained before this, found none; "
                f"fix: lumina-model train {command} --data DATA --out {run}"
            )
