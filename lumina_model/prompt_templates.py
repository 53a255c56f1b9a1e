"""System prompts of Lumina-Image 2.0 and how they are put before a prompt.

The texts are those of the official sample.py (`--system_type`); `real` and `base` are Templates B and A of
the paper (arXiv 2503.21758). Every other word, or a missing space, is another input to the model.
"""

from lumina_model.errors import UserError

PROMPT_START = " <Prompt Start> "  # a literal string, no special token of the tokenizer

SYSTEM_PROMPTS: dict[str, str] = {
    "real": (
        "You are an assistant designed to generate superior images with the superior degree of image-text "
        "alignment based on textual prompts or user prompts."
    ),
    "base": "You are an assistant designed to generate high-quality images based on user prompts.",
    "align": (
        "You are an assistant designed to generate high-quality images with the highest degree of image-text "
        "alignment based on textual prompts."
    ),
    "aesthetics": (
        "You are an assistant designed to generate high-quality images with highest degree of aesthetics "
        "based on user prompts."
    ),
    "4grid": (
        "You are an assistant designed to generate four high-quality images with highest degree of "
        "aesthetics arranged in 2x2 grids based on user prompts."
    ),
    "empty": "",
}

PANELS: dict[str, str] = {
    "dual-panel": (
        "Generate a dual-panel image where the {place} displays a {target}, while the {other} retains the "
        "original image for direct visual comparison."
    ),
    "two-panel": (
        "Generate a two-panel depiction of a {target} from a rough sketch in the {place} to a "
        "hyper-realistic portrait in the {other}."
    ),
}
"""Template C of the paper, for two images in one (Figure 1); the slots: two places and what is shown."""

_OPPOSITE = {
    "lower half": "upper half",
    "upper half": "lower half",
    "left half": "right half",
    "right half": "left half",
}

UNCONDITIONAL = ""  # no system prompt: this is what caption dropout trains (official finetune.py)


def compose(system: str, prompt: str) -> str:
    """The text that the text encoder gets for a prompt.

    Args:
        system: name of a system prompt; `empty` leaves the prompt as it is.
        prompt: the user's words, or a caption.

    Raises:
        UserError: there is no system prompt of that name.
    """
    if system not in SYSTEM_PROMPTS:
        raise UserError(
            f"expected a system prompt out of {', '.join(SYSTEM_PROMPTS)}, found {system!r}; fix: take one"
        )
    if not SYSTEM_PROMPTS[system]:
        return prompt
    return SYSTEM_PROMPTS[system] + PROMPT_START + prompt


def compose_panels(prompt: str, target: str, place: str = "lower half", template: str = "dual-panel") -> str:
    """The text for two images in one (Template C, paper Figure 1); give it with the system prompt `empty`.

    Args:
        prompt: of the image.
        target: ``dual-panel``: what the other panel shows, e.g. ``depth map`` or ``pose estimation map``;
            ``two-panel``: what changes, e.g. ``human face transforming``.
        place: of the target: ``lower half``, ``upper half``, ``left half`` or ``right half``.
        template: name in `PANELS`.

    Raises:
        UserError: there is no such place or template.
    """
    for name, value, known in (("place", place, _OPPOSITE), ("template", template, PANELS)):
        if value not in known:
            raise UserError(f"expected a {name} out of {', '.join(known)}, found {value!r}; fix: take one")
    return PANELS[template].format(place=place, target=target, other=_OPPOSITE[place]) + PROMPT_START + prompt
