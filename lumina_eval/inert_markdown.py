"""Text of others within Markdown: it calls nobody and leads nowhere, whoever shows it."""

from __future__ import annotations

import re


def inert(escaped: str) -> str:
    """Return Markdown in which no name is called and no bare address becomes a link.

    ``escaped`` is text whose markup is escaped already; what is added here are entities. A zero-width space
    follows each at sign, since code hosts may look for names after entities are read; addresses are known by
    their ``://`` or ``www.`` before that (GitHub Flavored Markdown, "Autolinks (extension)").

    >>> inert("@all see www.x.org, http://x.org")
    '&#64;&#8203;all see www&#46;x.org, http:&#47;&#47;x.org'
    """
    called = re.sub(r"@|&#64;", "&#64;&#8203;", escaped)
    return re.sub(r"(www)\.", r"\1&#46;", called.replace("://", ":&#47;&#47;"), flags=re.IGNORECASE)
