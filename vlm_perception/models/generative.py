"""Models that answer in text, behind the same protocols as detectors.

What differs between families (prompts, how a place is written, how inputs are laid out) is a *dialect*; what is
asked of it, and what becomes of its answers, is here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vlm_perception.models.asking import Ask, Dialect, Sizes
from vlm_perception.models.base import Capabilities, GroundedText, Heatmap, Mention, RgbImage, Unread
from vlm_perception.models.boxes import nms
from vlm_perception.models.capability import refuse
from vlm_perception.models.control_tokens import control_tokens, refuse_control_tokens
from vlm_perception.models.generation import generate
from vlm_perception.models.heatmaps import check_request
from vlm_perception.models.inputs import check_image, check_images
from vlm_perception.models.options import Options
from vlm_perception.models.parsers.base import Parsed, Place
from vlm_perception.models.phrase_labels import by_phrase, losses
from vlm_perception.models.polygons import fill_polygons
from vlm_perception.models.prompts import clean_phrase, one_line
from vlm_perception.models.regions import RegionWish, check_region, cut_out, moved
from vlm_perception.models.runtime import Placement, free_memory, split_on_oom
from vlm_perception.models.text_attention import METHODS, TextAttention
from vlm_perception.models.token_grids import Reading
from vlm_perception.types import BoxXyxy, CommandError, Detection, MaskProposal, ModelError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Said:
    text: str
    score: float
    network_wh: tuple[int, int]
    cut_off: bool


class GenerativeModel:
    """A text-generating model behind GroundingModel and VisionLanguageModel.

    ``Detection.score`` is the geometric mean of the probabilities of the tokens of the answer the box stands
    in: the model's own confidence, not calibrated, and the same for all boxes of one answer.

    Questions and phrases are the user's words: one that holds a control token of the model is refused with a CommandError
    before anything runs.

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
        self._control_tokens = control_tokens(dialect)
        self._unread: tuple[tuple[Unread, ...], ...] = ()

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
        asked = [phrase for phrase in dict.fromkeys(phrases) if self._cleaned(phrase)]
        if asked:
            check_images(images_rgb)
        lowest = self._threshold if threshold is None else threshold
        results: list[list[Detection]] = []
        unread: list[tuple[Unread, ...]] = []
        for image in images_rgb:
            found: list[Detection] = []
            lost: list[Unread] = []
            for ask in self._dialect.locate(asked) if asked else []:
                parsed, score = self._ask(image, ask)
                places, missing = by_phrase(parsed, ask.phrases)
                lost += missing
                if score >= lowest:
                    found += self._detections(places, score, ask, image)
            results.append(sorted(found, key=lambda detection: -detection.score))
            unread.append(tuple(lost))
        self._unread = tuple(unread)
        return results

    @property
    def unread(self) -> Sequence[tuple[Unread, ...]]:
        """See :class:`vlm_perception.models.base.TellsUnread`."""
        return self._unread

    def caption(self, image_rgb: RgbImage) -> GroundedText:
        """See :meth:`vlm_perception.models.base.VisionLanguageModel.caption`."""
        return self._say(image_rgb, self._dialect.caption(), "captions")

    def answer(self, image_rgb: RgbImage, question: str) -> GroundedText:
        """See :meth:`vlm_perception.models.base.VisionLanguageModel.answer`."""
        words = one_line(question)
        if not words:
            raise CommandError("the question is empty")
        refuse_control_tokens(words, self._control_tokens)
        return self._say(image_rgb, self._dialect.answer(words), "answers")

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
        words = self._cleaned(phrase)
        if not words:
            raise CommandError("there is nothing to point at: the phrase is empty")
        return self._say(image_rgb, self._dialect.point(words), "points")

    def heatmap(self, image_rgb: RgbImage, phrase: str) -> Heatmap:
        """Where it looks while it reads the phrase; see :class:`vlm_perception.models.base.HeatmapModel`.

        The peak is 1 whatever the phrase, even for what is not there.
        """
        check_request(image_rgb, phrase)
        asked = self._cleaned(phrase)
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

        (heat,) = split_on_oom(work, [asked], what=self._name)
        return heat

    def _cleaned(self, phrase: str) -> str:
        words = clean_phrase(phrase)
        refuse_control_tokens(words, self._control_tokens)
        return words

    def _region(self, image_rgb: RgbImage, box_xyxy: BoxXyxy, wish: RegionWish) -> Ask | None:
        check_image(image_rgb)
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
        text = "\n".join(place.label for place in parsed.places if place.label) if ask.listed else parsed.text
        return GroundedText(text, mentions, score, parsed.problems, losses(parsed.problems))

    def _ask(self, image_rgb: RgbImage, ask: Ask) -> tuple[Parsed, float]:
        """Generate, read; places in original pixels."""
        if self._model is None:
            raise ModelError(f"'{self._name}' is closed; build it again")
        check_image(image_rgb)

        def work(batch: Sequence[str]) -> list[_Said]:
            return [self._generate(image_rgb, prompt) for prompt in batch]

        (said,) = split_on_oom(work, [ask.prompt], what=self._name)
        parsed = ask.read(said.text, Sizes((image_rgb.shape[1], image_rgb.shape[0]), said.network_wh))
        if ask.may_be_empty and parsed.problems == ("empty answer",):
            parsed = replace(parsed, problems=())
        if said.cut_off and not ask.at_start:
            cut = f"the answer was cut off at {self._arguments['max_new_tokens']} tokens; raise max_new_tokens"
            parsed = replace(parsed, problems=(*parsed.problems, cut))
        for problem in parsed.problems:
            _LOG.info("%s: %s", self._name, problem)
        return parsed, said.score

    def _generate(self, image_rgb: RgbImage, prompt: str) -> _Said:
        encoded = self._dialect.encode(image_rgb, prompt, self.placement)
        made = generate(self._name, self._model, encoded.inputs, self._arguments, self.placement)
        text = self._dialect.decode(made.tokens, encoded.inputs["input_ids"].shape[1])
        return _Said(text, made.score, encoded.network_wh, made.cut_off)

    def _detections(
        self, places: Sequence[tuple[str, Place]], score: float, ask: Ask, image_rgb: RgbImage
    ) -> list[Detection]:
        found: dict[str, list[Detection]] = {}
        height, width = image_rgb.shape[:2]
        for phrase, place in places:
            mask = fill_polygons(place.polygons, (height, width)) if place.polygons else None
            if place.codes and ask.mask is not None:
                mask = ask.mask(place, (width, height))
            found.setdefault(phrase, []).append(Detection(phrase, place.label or phrase, score, place.box, mask=mask))
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
