"""The seed of an image, from what it shows and from nothing else."""

from __future__ import annotations

import hashlib


def image_seed(base_seed: int, prompt: str, index: int) -> int:
    """Return the seed (0 to 2**63 - 1) of image ``index`` of ``prompt``.

    It does not depend on batch size, order, device count or on the other prompts; 0 is a base seed like any
    other. The three parts are length-prefixed or numeric, so that no two triples run together.
    """
    text = prompt.encode()
    message = b"%d\x00%d\x00%d\x00" % (base_seed, index, len(text)) + text
    return int.from_bytes(hashlib.sha256(message).digest()[:8], "big") >> 1
