"""Texts without places on the machine: of an absolute path the last part stays."""

from __future__ import annotations

import re
from typing import Final

#: An absolute path or one below the home folder, at the start of a text or behind what may stand before one.
#: A path behind a host name is part of an address, which stays.
_PATH: Final = re.compile(
    r"""(?:(?<=^)|(?<=[\s=:,;@'"(\[]))(?:~[^/\s]*/|/(?=[^/\s])|[A-Za-z]:[\\/](?!/))(?:[^/\\:=,;'"\s]*[/\\])*"""
)


def without_places(text: str) -> str:
    """Return a text whose absolute paths are shortened to their last part.

    >>> without_places("--checkpoint=/home/me/run/final.pt, ~/x/weights, org/name, https://host/a/b")
    '--checkpoint=final.pt, weights, org/name, https://host/a/b'
    """
    return _PATH.sub("", text)
