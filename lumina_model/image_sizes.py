"""Resolution buckets: the sizes that the official demo offers and the official training crops to."""

from collections.abc import Sequence

from lumina_model.errors import UserError

Size = tuple[int, int]
"""Height and width."""


def buckets(side: int = 1024, multiple: int = 64, aspect: float = 4.0) -> list[Size]:
    """Sizes of about the area of a square, as the official demo (1024, 64) and training (1024, 16) list them.

    Official imgproc.py, ``generate_crop_size_list``: along the largest rectangles of the area, from the
    widest to the tallest, every one whose longer side is at most ``aspect`` times the shorter, and whose
    sides have an even number of whole 32 pixels, so that latents pooled by four still divide into patches.

    Args:
        side: of the square in pixels, at least ``multiple``.
        multiple: both sides are multiples of this.
        aspect: at least 1.

    Returns:
        (height, width) in pixels.

    Raises:
        UserError: an argument out of range.
    """
    if not 1 <= multiple <= side or aspect < 1:
        raise UserError(
            f"expected 1 <= multiple <= side and aspect >= 1, found {multiple}, {side}, {aspect}; fix: them"
        )
    area = round((side / multiple) ** 2)
    stairs = (
        (rows, columns)
        for columns in range(area, 0, -1)
        for rows in range(max(1, area // (columns + 1)), area // columns + 1)
    )
    return [
        (rows * multiple, columns * multiple)
        for rows, columns in stairs
        if max(rows, columns) <= aspect * min(rows, columns)
        and all(length * multiple // 32 % 2 == 0 for length in (rows, columns))
    ]


def nearest_bucket(height: int, width: int, sizes: Sequence[Size] = ()) -> Size:
    """The size that loses least of an image when it is scaled to cover and cropped; of equals the widest.

    Official imgproc.py, ``var_center_crop`` with ``random_top_k = 1``, as finetune.py calls it.

    Args:
        height: of the image.
        width: of the image.
        sizes: to choose from; by default those of :func:`buckets`.
    """

    def kept(size: Size) -> float:
        scales = (size[0] / height, size[1] / width)
        return min(scales) / max(scales)

    return max(sizes or buckets(), key=lambda size: (kept(size), size[1], size[0]))
