"""The JavaScript that draws the charts: Vega, Vega-Lite and Vega-Embed in one text, from a package."""

from __future__ import annotations

import functools
import re
from typing import Any


@functools.cache
def chart_library() -> str:
    """Return the library, about 0.9 MB, ready to stand in a ``<script>`` element.

    It is put together by vl-convert, of parts that its package brings; nothing is fetched. It defines
    ``vegaEmbed`` and ``vega`` in the page.
    """
    import vl_convert

    bundle: Any = vl_convert.javascript_bundle  # its stub takes the snippet to be needed
    return re.sub(r"</(script)", r"<\\/\1", bundle(), flags=re.IGNORECASE)
