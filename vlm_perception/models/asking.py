"""What is asked of a model that answers in text, and what a dialect is: how one family is spoken to and understood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from vlm_perception.models.base import Capabilities, RgbImage
from vlm_perception.models.parsers.base import Parsed, Place
from vlm_perception.models.regions import RegionWish
from vlm_perception.models.runtime import Placement
from vlm_perception.models.token_grids import Reading
from vlm_perception.types import BoolMask, BoxXyxy


@dataclass(frozen=True)
class Ask:
    """One thing to generate.

    Attributes:
        prompt: the text for the model.
        phrases: what is looked for.
        read: the generated text -> places.
        mask: a place (in pixels) and the image's (width, height) -> its mask, for families that write masks as codes.
        listed: the answer is a list of places, and its only words are their labels.
        at_start: the answer stands at the beginning; where the model ends after it is of no account.
        may_be_empty: no words at all are a list without places, and so an answer.
    """

    prompt: str
    read: Callable[[str, Sizes], Parsed]
    phrases: tuple[str, ...] = ()
    mask: Callable[[Place, tuple[int, int]], BoolMask | None] | None = None
    listed: bool = False
    at_start: bool = False
    may_be_empty: bool = False


@dataclass(frozen=True)
class Sizes:
    """The image as the camera and as the network saw it, ``(width, height)`` each."""

    image_wh: tuple[int, int]
    network_wh: tuple[int, int]


@dataclass(frozen=True)
class Encoded:
    """Inputs of ``generate``; ``network_wh`` is the size that the image was resized to."""

    inputs: dict[str, Any]
    network_wh: tuple[int, int]


class Dialect(Protocol):
    """How one family is spoken to. Readers return places in *original image pixels*."""

    capabilities: Capabilities

    def encode(self, image_rgb: RgbImage, prompt: str, placement: Placement) -> Encoded:
        """Image and prompt as the model's inputs."""

    def decode(self, tokens: Any, prompt_length: int) -> str:
        """Generated ids (one sequence, as ``generate`` returns it) as text."""

    def locate(self, phrases: Sequence[str]) -> list[Ask]:
        """Prompts that find phrases."""

    def caption(self) -> Ask | None:
        """A prompt that captions."""

    def answer(self, question: str) -> Ask | None:
        """A prompt that answers."""

    def region(
        self, box_xyxy: BoxXyxy, image_wh: tuple[int, int], wish: RegionWish = RegionWish.DESCRIPTION
    ) -> Ask | None:
        """A prompt that describes, names, reads or outlines a region."""

    def read_text(self) -> Ask | None:
        """A prompt that reads."""

    def point(self, phrase: str) -> Ask | None:
        """A prompt that points."""

    def reading(self, image_rgb: RgbImage, phrase: str, placement: Placement) -> Reading | None:
        """A prompt about a phrase, with the places of the image's tokens; None: their places are not known."""


def map_places(parsed: Parsed, to_pixels: Callable[[Sequence[float]], BoxXyxy]) -> Parsed:
    """All places of an answer in another unit; outlines too."""
    places = []
    for place in parsed.places:
        polygons = tuple(
            tuple(value for x, y in zip(outline[0::2], outline[1::2], strict=True) for value in to_pixels((x, y, x, y))[:2])
            for outline in place.polygons
        )
        places.append(Place(place.label, to_pixels(place.box), place.span, polygons, place.is_point, place.codes))
    return Parsed(tuple(places), parsed.problems, parsed.text)
