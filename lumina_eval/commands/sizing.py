"""``--batch-size auto`` of a command: each model with the size that it finds, and what is said of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from lumina_eval.batch_sizes import batch_file, find_batch, finds_its_batch, kept_batch
from lumina_eval.console import Output
from lumina_eval.evaluation import Question, Site, title_of
from lumina_eval.generation import missing
from lumina_eval.plan import make_plan
from lumina_eval.plugins import Model


def sizing(
    question: Question, models: Sequence[Model], site: Site, streams: Output, dry_run: bool
) -> Callable[[Model], Site]:
    """Return what gives each model the site with its own batch size, for ``--batch-size auto``.

    Models that look for none get the size of ``site``, which is said here, once.
    """
    selection = question.selection
    prompts = [item.prompt for item in selection.items for _ in range(selection.images_per_prompt)]
    default = f"batch size {site.batch_size}, the default"
    if fixed := [title_of(model) for model in models if not finds_its_batch(model)]:
        streams.say(f"{', '.join(fixed)}: {default}; only a model with best_batch looks for its own")

    def sized(model: Model) -> Site:
        if not finds_its_batch(model):
            return site
        title, file = title_of(model), batch_file(model, prompts, site.out)
        found = kept_batch(model, prompts, site.out)
        if found is not None:
            streams.say(f"{title}: batch size {found.batch_size}, as found before; kept in {file}")
        elif dry_run:
            streams.say(f"{title}: the batch size will be found, and kept in {file}; planned with {default}")
            return site
        elif not missing(make_plan(selection, question.protocol, model, site.batch_size), site.store):
            streams.say(f"{title}: {default}; no image is to be made, so none is looked for")
            return site
        else:
            streams.say(f"{title}: looking for the batch size")
            found = find_batch(model, prompts, site.out)
            streams.say(f"{title}: {found.in_words}; kept in {file}")
        return dataclasses.replace(site, batch_size=found.batch_size, batch_size_found=True)

    return sized
