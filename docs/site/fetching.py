"""No page of the site fetches anything: it works without a network, and tells nobody who reads it."""

from __future__ import annotations

import logging
import re
from typing import Any

FETCHED = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?(?:src|href)=[\"']?(https?:)?//[^>]*>")
_log = logging.getLogger("mkdocs.hooks.fetching")


def on_post_page(output: str, page: Any, **_: Any) -> None:
    """Warn of a page that would fetch; a strict build fails on it."""
    found = FETCHED.search(output)
    if found and 'rel="canonical"' not in found[0]:
        _log.warning(f"{page.file.src_uri} would fetch {found[0]}")
