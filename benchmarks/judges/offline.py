"""No fetching where the user has said so: packages that get weights by themselves do not all ask."""

from __future__ import annotations

from lumina_eval.assets.fetching import is_offline
from lumina_eval.errors import UserError


def refuse_offline(what: str, address: str, mending: str) -> None:
    """Raise UserError if weights would have to come from an address and no network may be used.

    ``what`` needs them; ``mending`` follows "fix: ". ``HF_HUB_OFFLINE`` is what says so.
    """
    if is_offline() and "://" in address:
        raise UserError(
            f"expected the weights of {what} on this machine, found an address, {address}, and the network "
            f"may not be used (HF_HUB_OFFLINE); fix: {mending}"
        )
