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
    needed = {run / part: f"lumina-model train {COMMANDS[part]} --data DATA --out {run}" for part in parts}
    if stage:
        kept = re.fullmatch(r"(.+)-\d{6}", stage)  # of a stage that is taken up again
        needed[run / "stages" / stage / "transformer"] = (
            f"train {kept[1]}, then cp -r {run / 'stages' / kept[1]} {run / 'stages' / stage}"
            if kept
            else f"lumina-model train stage {stage} --data DATA --out {run}"
        )
    for folder, fix in needed.items():
        if not folder.is_dir():
            raise UserError(f"expected {folder}, which is trained before this, found none; fix: {fix}")
