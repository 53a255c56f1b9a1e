"""Where people are told things: a rich console that shows what it is given as it is.

Names of models, files and stages are text: brackets in them are no markup, and `:x:` is no picture.
"""

from typing import Any

from rich.console import Console


def plain(**given: Any) -> Console:
    """A console with rich's own arguments, e.g. `stderr=True`."""
    return Console(markup=False, emoji=False, highlight=False, **given)
