"""A page for each public module, grouped by what it is for; the text is that of the docstrings."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import mkdocs_gen_files

ROOT: Final = Path(__file__).parents[2]
#: Modules that no script and no plug-in has use for: the command lines.
PRIVATE: Final = ("lumina_eval.cli", "lumina_eval.commands", "lumina_model.cli")
#: The first group whose words a module's name begins with has it; the last has what is left.
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "To write a plug-in": (
        "lumina_eval.plugins",
        "lumina_eval.testing",
        "lumina_eval.records",
        "lumina_eval.protocol",
        "lumina_eval.errors",
        "lumina_eval.verification",
        "lumina_eval.assets.catalogue",
    ),
    "To compute scores and intervals": ("lumina_eval.statistics",),
    "To read runs and write reports": (
        "lumina_eval.runs",
        "lumina_eval.store",
        "lumina_eval.publishing",
        "lumina_eval.tracking",
        "lumina_eval.projection",
    ),
    "Rules of benchmarks": ("benchmarks",),
    "Within the harness": ("lumina_eval",),
    "The reference model": ("lumina_model",),
}
RULES: Final = ("benchmarks.geneval.rules", "benchmarks.t2i_compbench.rules")


def names() -> list[str]:
    """Return the public modules, sorted."""
    found = [*RULES]
    for package in ("lumina_eval", "lumina_model"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found.append(name.removesuffix(".__init__"))
    return [name for name in found if not name.startswith(PRIVATE) and documented(name)]


def documented(name: str) -> bool:
    """Tell whether a module says anything: an empty ``__init__`` has no page."""
    path = ROOT.joinpath(*name.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return len(file.read_text(encoding="utf-8").splitlines()) > 1


def write_pages() -> None:
    """Write ``api/``: a page for each module, an index and the order."""
    left = names()
    summary = ["* [All modules](index.md)"]
    index = ["# Python", "What scripts and plug-ins may import, by what it is for."]
    for group, beginnings in GROUPS.items():
        inside = [name for start in beginnings for name in left if (name + ".").startswith(start + ".")]
        left = [name for name in left if name not in inside]
        summary.append(f"* {group}")
        index += [f"## {group}", ""]
        for name in inside:
            with mkdocs_gen_files.open(f"api/{name}.md", "w") as page:
                page.write(f"# {name}\n\n::: {name}\n    options:\n      show_root_heading: false\n")
            summary.append(f"    * [{name}]({name}.md)")
            index[-1] += f"- [`{name}`]({name}.md)\n"
    with mkdocs_gen_files.open("api/index.md", "w") as page:
        page.write("\n\n".join(index) + "\n")
    with mkdocs_gen_files.open("api/SUMMARY.md", "w") as page:
        page.write("\n".join(summary) + "\n")


write_pages()
