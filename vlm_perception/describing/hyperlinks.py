"""Words with their boxes in one line of text, as Kosmos-2 writes it.

Peng et al., "Kosmos-2: Grounding Multimodal Large Language Models to the World", 2023: a span of text, and after it
the cells of a 32 x 32 grid that its boxes' corners lie in::

    An image of <phrase>a snowman</phrase><object><patch_index_0044><patch_index_0863></object>
"""

from __future__ import annotations

from collections.abc import Sequence

from vlm_perception.models.base import Mention
from vlm_perception.models.codecs import pixels_to_kosmos
from vlm_perception.types import BoxXyxy

_BETWEEN = "</delimiter_of_multi_objects/>"


def hyperlinked(text: str, mentions: Sequence[Mention], image_wh: tuple[int, int]) -> str:
    """Put every mention's boxes after its words.

    Args:
        text: plain words.
        mentions: of that text; those that are not part of it (``span`` None), have no box, or overlap an earlier
            one are left out.
        image_wh: width and height of the image the boxes are in, px.

    Returns:
        The text with ``<phrase>`` and ``<object>`` tags; ``models.parsers.kosmos.parse_kosmos`` reads it back.
    """
    pieces: list[str] = []
    end = 0
    placed = [(m.span, m.boxes_xyxy) for m in mentions if m.span is not None and m.boxes_xyxy]
    for (start, stop), boxes in sorted(placed):
        if start < end or stop <= start:
            continue
        cells = _BETWEEN.join(_cells(box, image_wh) for box in boxes)
        pieces += [text[end:start], f"<phrase>{text[start:stop]}</phrase><object>{cells}</object>"]
        end = stop
    return "".join([*pieces, text[end:]])


def _cells(box_xyxy: BoxXyxy, image_wh: tuple[int, int]) -> str:
    first, last = pixels_to_kosmos(box_xyxy, image_wh)
    if box_xyxy[0] == box_xyxy[2] and box_xyxy[1] == box_xyxy[3]:  # a point has one cell
        last = first
    return f"<patch_index_{first:04d}><patch_index_{last:04d}>"
