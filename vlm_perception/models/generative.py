"""Models that answer in text, behind the same protocols as detectors.

What differs between families (prompts, how a place is written, how inputs are laid out) is a *dialect*; the
generation, the scores, the out-of-memory recovery and the phrase assignment are here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from vlm_perception.models.base import Capabilities, GroundedText, Heatmap, Mention, RgbImage
from vlm_perception.models.boxes import nms
from vlm_perception.models.capability import refuse
from vlm_perception.models.heatmaps import check_request
from vlm_perception.models.options import Options
from vlm_perception.models.parsers.base import Parsed, Place
from vlm_perception.models.polygons import fill_polygons
from vlm_perception.models.prompts import clean_phrase
from vlm_perception.models.regions import RegionWish, check_region, cut_out, moved
from vlm_perception.models.runtime import Placement, free_memory, inference, split_on_oom
from vlm_perception.models.text_attention import METHODS, TextAttention
from vlm_perception.models.token_grids import Reading
from vlm_perception.types import BoolMask, BoxXyxy, CommandError, Detection, MaskProposal, ModelError

_LOG = logging.getLogger(__name__)

OPTION_NAMES = ("threshold", "max_new_tokens", "num_beams", "heatmap", "masks", "task")


@dataclass(frozen=True)
class Ask:
    """One thing to generate.

    Attributes:
        prompt: the text for the model.
        phrases: what is looked for; places whose label fits none of several are dropped.
        read: the generated text -> places.
        mask: a place (in pixels) and the image's (width, height) -> its mask, for families that write masks as codes.
    """

    prompt: str
    read: Callable[[str, Sizes], Parsed]
    phrases: tuple[str, ...] = ()
    mask: Callable[[Place, tuple[int, int]], BoolMask | None] | None = None


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


class GenerativeModel:
    """A text-generating model behind GroundingModel and VisionLanguageModel.

    ``Detection.score`` is the geometric mean of the probabilities of the tokens of the answer the box stands
    in: the model's own confidence, not calibrated, and the same for all boxes of one answer.

    Options:
        threshold, max_new_tokens, num_beams: of the answers.
        heatmap: "relative" (default) or "mean", see :mod:`vlm_perception.models.text_attention`.
    """

    def __init__(self, name: str, model: Any, dialect: Dialect, placement: Placement, options: Options) -> None:
        """Put a loaded network and its dialect behind the protocols."""
        self._name = name
        self._model: Any = model
        self._dialect = dialect
        self.placement = placement
        self._threshold = options.number("threshold", 0.0, low=0.0, high=1.0)
        method = options.choice("heatmap", METHODS)
        self._attention: TextAttention | None = TextAttention(name, model, placement, method)
        self._arguments = {
            "max_new_tokens": options.integer("max_new_tokens", 1024, low=1, high=32768),
            "num_beams": options.integer("num_beams", 1, low=1, high=16),
            "do_sample": False,
        }

    @property
    def name(self) -> str:
        """What the user called it."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What the dialect can say."""
        return self._dialect.capabilities

    def detect(
        self, images_rgb: Sequence[RgbImage], phrases: Sequence[str], *, threshold: float | None = None
    ) -> list[list[Detection]]:
        """See :meth:`vlm_perception.models.base.GroundingModel.detect`."""
        asked = [phrase for phrase in dict.fromkeys(phrases) if clean_phrase(phrase)]
        lowest = self._threshold if threshold is None else threshold
        results: list[list[Detection]] = []
        for image in images_rgb:
            found: list[Detection] = []
            for ask in self._dialect.locate(asked) if asked else []:
                parsed, score = self._ask(image, ask)
                if score >= lowest:
                    found += self._detections(parsed, score, ask, image)
            results.append(sorted(found, key=lambda detection: -detection.score))
        return results

    def caption(self, image_rgb: RgbImage) -> GroundedText:
        """See :meth:`vlm_perception.models.base.VisionLanguageModel.caption`."""
        return self._say(image_rgb, self._dialect.caption(), "captions")

    def answer(self, image_rgb: RgbImage, question: str) -> GroundedText:
        """See :meth:`vlm_perception.models.base.VisionLanguageModel.answer`."""
        if not question.strip():
            raise CommandError("the question is empty")
        return self._say(image_rgb, self._dialect.answer(" ".join(question.split())), "answers")

    def describe_region(self, image_rgb: RgbImage, box_xyxy: BoxXyxy) -> GroundedText:
        """See :meth:`vlm_perception.models.base.VisionLanguageModel.describe_region`."""
        ask = self._region(image_rgb, box_xyxy, RegionWish.DESCRIPTION)
        return self._say(image_rgb, ask, "describes_regions")

    def name_region(self, image_rgb: RgbImage, box_xyxy: BoxXyxy) -> GroundedText:
        """See :meth:`vlm_perception.models.base.VisionLanguageModel.name_region`."""
        return self._say(image_rgb, self._region(image_rgb, box_xyxy, RegionWish.CATEGORY), "names_regions")

    def read_text(self, image_rgb: RgbImage, box_xyxy: BoxXyxy | None = None) -> GroundedText:
        """See :meth:`vlm_perception.models.base.VisionLanguageModel.read_text`.

        A model without a prompt for the writing in a box is shown the box alone.
        """
        if box_xyxy is None:
            return self._say(image_rgb, self._dialect.read_text(), "reads_text")
        ask = self._region(image_rgb, box_xyxy, RegionWish.TEXT)
        if ask is not None:
            return self._say(image_rgb, ask, "reads_text")
        part_rgb, corner = cut_out(image_rgb, box_xyxy)
        return moved(self._say(part_rgb, self._dialect.read_text(), "reads_text"), corner)

    def outline_region(self, image_rgb: RgbImage, box_xyxy: BoxXyxy) -> MaskProposal:
        """The thing in a box as a mask; ``quality`` is the confidence of the answer, 0 where it holds no outline.

        Raises:
            CommandError: the model has no prompt for it, or the box does not lie in the image.
            ModelError: the model failed.
        """
        ask = self._region(image_rgb, box_xyxy, RegionWish.OUTLINE)
        if ask is None:
            raise refuse(self._name, "masks")
        parsed, score = self._ask(image_rgb, ask)
        mask = np.zeros(image_rgb.shape[:2], dtype=np.bool_)
        for place in parsed.places:
            mask |= fill_polygons(place.polygons, mask.shape)
        return MaskProposal(mask, score if mask.any() else 0.0)

    def point(self, image_rgb: RgbImage, phrase: str) -> GroundedText:
        """See :meth:`vlm_perception.models.base.VisionLanguageModel.point`."""
        return self._say(image_rgb, self._dialect.point(clean_phrase(phrase)), "points")

    def heatmap(self, image_rgb: RgbImage, phrase: str) -> Heatmap:
        """Where it looks while it reads the phrase; see :class:`vlm_perception.models.base.HeatmapModel`.

        The peak is 1 whatever the phrase, even for what is not there.
        """
        check_request(image_rgb, phrase)
        attention = self._attention
        if attention is None:
            raise ModelError(f"'{self._name}' is closed; build it again")

        def read(words: str) -> Reading:
            reading = self._dialect.reading(image_rgb, words, self.placement)
            if reading is None:
                raise refuse(self._name, "heatmaps")
            return reading

        def work(batch: Sequence[str]) -> list[Heatmap]:
            return [attention.heatmap(words, read, (image_rgb.shape[1], image_rgb.shape[0])) for words in batch]

        (heat,) = split_on_oom(work, [clean_phrase(phrase)], what=self._name)
        return heat

    def _region(self, image_rgb: RgbImage, box_xyxy: BoxXyxy, wish: RegionWish) -> Ask | None:
        check_region(box_xyxy, image_rgb)
        return self._dialect.region(box_xyxy, (image_rgb.shape[1], image_rgb.shape[0]), wish)

    def _say(self, image_rgb: RgbImage, ask: Ask | None, task: str) -> GroundedText:
        if ask is None:
            raise refuse(self._name, task)
        parsed, score = self._ask(image_rgb, ask)
        by_words: dict[tuple[tuple[int, int] | None, str], list[BoxXyxy]] = {}
        for place in parsed.places:
            by_words.setdefault((place.span, place.label), []).append(place.box)
        mentions = tuple(Mention(span, label, tuple(boxes)) for (span, label), boxes in by_words.items())
        return GroundedText(parsed.text, mentions, score, parsed.problems)

    def _ask(self, image_rgb: RgbImage, ask: Ask) -> tuple[Parsed, float]:
        """Generate, read; places in original pixels."""
        if self._model is None:
            raise ModelError(f"'{self._name}' is closed; build it again")
        if image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.dtype != np.uint8 or 0 in image_rgb.shape:
            raise ModelError(f"the image must be (H, W, 3) uint8, got {image_rgb.shape} {image_rgb.dtype}")

        def work(batch: Sequence[str]) -> list[tuple[str, float, tuple[int, int]]]:
            return [self._generate(image_rgb, prompt) for prompt in batch]

        ((text, score, network_wh),) = split_on_oom(work, [ask.prompt], what=self._name)
        sizes = Sizes((image_rgb.shape[1], image_rgb.shape[0]), network_wh)
        parsed = ask.read(text, sizes)
        for problem in parsed.problems:
            _LOG.info("%s: %s", self._name, problem)
        return parsed, score

    def _generate(self, image_rgb: RgbImage, prompt: str) -> tuple[str, float, tuple[int, int]]:
        encoded = self._dialect.encode(image_rgb, prompt, self.placement)
        with inference(self.placement):
            output = self._model.generate(
                **encoded.inputs, **self._arguments, output_scores=True, return_dict_in_generate=True
            )
        prompt_length = encoded.inputs["input_ids"].shape[1]
        text = self._dialect.decode(output.sequences[0], prompt_length)
        return text, self._confidence(output), encoded.network_wh

    def _confidence(self, output: Any) -> float:
        if getattr(output, "sequences_scores", None) is not None:  # beam search: mean log probability already
            return float(output.sequences_scores[0].float().exp().clamp(0.0, 1.0))
        steps = self._model.compute_transition_scores(output.sequences, output.scores, normalize_logits=True)
        finite = steps[0][steps[0].isfinite()].float()
        return float(finite.mean().exp()) if len(finite) else 0.0

    def _detections(
        self, parsed: Parsed, score: float, ask: Ask, image_rgb: RgbImage
    ) -> list[Detection]:
        found: dict[str, list[Detection]] = {}
        height, width = image_rgb.shape[:2]
        for place in parsed.places:
            phrase = assign_phrase(place.label, ask.phrases)
            if phrase is None:
                _LOG.info("%s: dropped %r, which is none of %s", self._name, place.label, list(ask.phrases))
            elif not place.is_point:
                mask = fill_polygons(place.polygons, (height, width)) if place.polygons else None
                if place.codes and ask.mask is not None:
                    mask = ask.mask(place, (width, height))
                label = place.label or phrase
                found.setdefault(phrase, []).append(Detection(phrase, label, score, place.box, mask=mask))
        return [
            boxes[index]
            for boxes in found.values()
            for index in nms([d.box_xyxy for d in boxes], [d.score for d in boxes], 0.9)
        ]

    def close(self) -> None:
        """Free the network's memory."""
        if self._model is not None:
            self._model = self._attention = None
            free_memory()


def assign_phrase(label: str, phrases: Sequence[str]) -> str | None:
    """Which of the phrases asked for a model's label means.

    The same words, else the phrase all of whose words are in the label, or the other way round; the longest
    wins. A single phrase takes whatever the model calls it. None: it fits nothing that was asked.
    """
    if len(phrases) == 1:
        return phrases[0]
    words = set(clean_phrase(label).lower().split())
    best: tuple[int, str] | None = None
    for phrase in phrases:
        asked = set(clean_phrase(phrase).lower().split())
        if asked == words:
            return phrase
        if words and (asked <= words or words <= asked) and (best is None or len(asked & words) > best[0]):
            best = (len(asked & words), phrase)
    return best[1] if best else None


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
