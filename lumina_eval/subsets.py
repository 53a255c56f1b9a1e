"""What a part of a protocol is called: one rule and one wording, whoever made the images.

The words mark a run in every table and part the tables, so that a part stands in no column with the whole.
"""

from __future__ import annotations


def subset_of(prompts: str | None, fewest: int, most: int, usual_images: int) -> str | None:
    """Return how much of a protocol is asked; None for all of it.

    Args:
        prompts: Which prompts, in words; None for all.
        fewest: Images of the prompt that has the fewest.
        most: Images of the prompt that has the most.
        usual_images: Images of each prompt where nothing else is asked for. More than these are no subset.

    >>> subset_of("2 per task (4 of 6 prompts)", 1, 1, 4)
    '2 per task (4 of 6 prompts), 1 of 4 images per prompt'
    >>> subset_of(None, 3, 8, 4)
    '3 to 4 of 4 images per prompt'
    """
    parts = [] if prompts is None else [prompts]
    if fewest < usual_images:
        span = f"{fewest}" if fewest == most else f"{fewest} to {min(most, usual_images)}"
        parts.append(f"{span} of {usual_images} images per prompt")
    return ", ".join(parts) or None
