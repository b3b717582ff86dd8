"""The family that answers boxes and points with masks: SAM, SAM-HQ, SAM 2 / 2.1, EdgeTAM, SAM 3.

Kirillov et al., "Segment Anything", 2023; Ke et al., "Segment Anything in High Quality", 2023; Ravi et al.,
"SAM 2", 2024; Zhou et al., "EdgeTAM", 2025; "SAM 3: Segment Anything with Concepts", 2025.
SAM 3 also takes phrases: :mod:`vlm_perception.models.concept_masks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vlm_perception.models.base import RgbImage
from vlm_perception.models.inputs import check_boxes, check_points
from vlm_perception.models.loading import Checkpoint, load_weights
from vlm_perception.models.network_images import NetworkImage, padding, stretching
from vlm_perception.models.options import Options
from vlm_perception.models.runtime import (
    Placement,
    free_memory,
    import_torch,
    import_transformers,
    inference,
    refuse_nan,
    split_on_oom,
)
from vlm_perception.types import BoolMask, BoxXyxy, MaskProposal, ModelError

# The video checkpoints of a family hold its image model; that is how the hub publishes SAM 2.1 and SAM 3.
CLASSES: Final[Mapping[str, str]] = {
    "sam": "SamModel",
    "sam_hq": "SamHQModel",
    "sam2": "Sam2Model",
    "sam2_video": "Sam2Model",
    "edgetam": "EdgeTamModel",
    "edgetam_video": "EdgeTamModel",
    "sam3_video": "Sam3TrackerModel",
    "sam3_tracker": "Sam3TrackerModel",
    "sam3_tracker_video": "Sam3TrackerModel",
}
_PADDED: Final = ("sam", "sam_hq")
# Prompts that the decoder is given together: as many as the library's mask generator takes, and fewer where their masks
# at the image's size would be more than this many pixels.
_PROMPTS_A_PASS: Final = 64
_PIXELS_A_PASS: Final = 1 << 26
_MASKS_A_PROMPT: Final = 3


class PromptableMasks:
    """A promptable segmenter behind :class:`~vlm_perception.models.base.Segmenter`.

    Options:
        multimask: let the network propose several masks a prompt (default), or one.
        hq_token_only: SAM-HQ: take the high-quality mask alone instead of its sum with SAM's.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        prepare: Callable[[RgbImage], NetworkImage],
        placement: Placement,
        options: Options,
    ) -> None:
        """Put a loaded network behind the protocol; :func:`load_segmenter` is the usual way in."""
        self._name = name
        self._model: Any = model
        self._prepare = prepare
        self.placement = placement
        self._arguments: dict[str, Any] = {"multimask_output": options.flag("multimask", default=True)}
        if type(model).__name__.startswith("SamHQ"):
            self._arguments["hq_token_only"] = options.flag("hq_token_only")

    @property
    def name(self) -> str:
        """What the user called it."""
        return self._name

    def segment(
        self,
        image_rgb: RgbImage,
        boxes_xyxy: Sequence[BoxXyxy],
        *,
        depth_m: NDArray[np.float32] | None = None,  # noqa: ARG002  the protocol's: these networks see color only
    ) -> list[MaskProposal]:
        """See :meth:`vlm_perception.models.base.Segmenter.segment`; quality is the network's predicted IoU."""
        prompts = list(check_boxes(boxes_xyxy, image_rgb).astype(np.float32))
        return list(self._proposals(image_rgb, prompts, self._box_prompt))

    def segment_points(
        self, image_rgb: RgbImage, points_uv: Sequence[Sequence[tuple[float, float]]]
    ) -> list[MaskProposal]:
        """See :meth:`vlm_perception.models.base.PointSegmenter.segment_points`."""
        return list(self.at_points(image_rgb, points_uv))

    def at_points(
        self, image_rgb: RgbImage, points_uv: Sequence[Sequence[tuple[float, float]]]
    ) -> Iterator[MaskProposal]:
        """:meth:`segment_points`, a pass at a time: masks of many points need not be in memory together."""
        prompts = [group.astype(np.float32) for group in check_points(points_uv, image_rgb)]
        return self._proposals(image_rgb, prompts, self._point_prompt)

    def _proposals(
        self,
        image_rgb: RgbImage,
        prompts: Sequence[NDArray[np.float32]],
        layout: Callable[[Sequence[NDArray[np.float32]], NetworkImage], dict[str, Any]],
    ) -> Iterator[MaskProposal]:
        """In the prompts' order. The image goes through its encoder once."""
        if self._model is None:
            raise ModelError(f"'{self._name}' is closed; build it again")
        if not prompts:
            return
        ((image, features),) = split_on_oom(lambda batch: [self._encoded(i) for i in batch], [image_rgb], what=self._name)

        def work(batch: Sequence[NDArray[np.float32]]) -> list[MaskProposal]:
            with inference(self.placement, autocast=True):
                output = self._model(**features, **layout(batch, image), **self._arguments)
                refuse_nan(output.pred_masks, self._name, self.placement, "masks")
                masks = image.to_original(output.pred_masks[0].float()) > 0.0
            scores = output.iou_scores[0].float().cpu().numpy()
            refuse_nan(scores, self._name, self.placement)
            return [ranked(m, s) for m, s in zip(masks.cpu().numpy(), scores, strict=True)]

        height, width = image_rgb.shape[:2]
        a_pass = max(1, min(_PROMPTS_A_PASS, _PIXELS_A_PASS // (_MASKS_A_PROMPT * height * width)))
        for start in range(0, len(prompts), a_pass):
            yield from split_on_oom(work, prompts[start : start + a_pass], what=self._name)

    def _encoded(self, image_rgb: RgbImage) -> tuple[NetworkImage, dict[str, Any]]:
        """The image as the network takes it, and what its encoder makes of it, by the names of the network's inputs."""
        image = self._prepare(image_rgb)
        with inference(self.placement, autocast=True):
            found = self._model.get_image_embeddings(image.pixels)
        if isinstance(found, tuple):  # SAM-HQ
            return image, dict(zip(("image_embeddings", "intermediate_embeddings"), found, strict=True))
        return image, {"image_embeddings": found}

    def _box_prompt(self, boxes: Sequence[NDArray[np.float32]], image: NetworkImage) -> dict[str, Any]:
        scaled = np.stack(boxes) * np.tile(np.asarray(image.scale_xy, dtype=np.float32), 2)
        return {"input_boxes": import_torch().from_numpy(scaled)[None].to(self.placement.device)}

    def _point_prompt(self, groups: Sequence[NDArray[np.float32]], image: NetworkImage) -> dict[str, Any]:
        torch = import_torch()
        longest = max(len(group) for group in groups)
        points = np.zeros((1, len(groups), longest, 2), dtype=np.float32)
        labels = np.full((1, len(groups), longest), -10, dtype=np.int64)  # -10: padding, as the library has it
        for index, group in enumerate(groups):
            points[0, index, : len(group)] = group * np.asarray(image.scale_xy, dtype=np.float32)
            labels[0, index, : len(group)] = 1
        device = self.placement.device
        return {
            "input_points": torch.from_numpy(points).to(device),
            "input_labels": torch.from_numpy(labels).to(device),
        }

    def close(self) -> None:
        """Free the network's memory."""
        if self._model is not None:
            self._model = None
            free_memory()


def ranked(masks: BoolMask, scores: NDArray[np.float32]) -> MaskProposal:
    """The network's proposals for one prompt, best predicted IoU first.

    Args:
        masks: (M, H, W).
        scores: (M,) or more, clipped to [0, 1]; SAM-HQ alone gives one mask and the scores of SAM's three,
            best first.
    """
    scores = scores[: len(masks)]
    order = np.argsort(-scores, kind="stable")
    quality = np.clip(scores, 0.0, 1.0)
    best, *others = ((masks[i], float(quality[i])) for i in order)
    return MaskProposal(best[0], best[1], tuple(others))


def load_segmenter(checkpoint: Checkpoint, placement: Placement, options: Options) -> PromptableMasks:
    """Load a checkpoint of any class of the family.

    Raises:
        ModelError: it cannot be loaded, or is of another family.
    """
    model_type = str(checkpoint.config().get("model_type", ""))
    if model_type == "sam3":
        raise ModelError(
            f"'{checkpoint.name}' (sam3) holds SAM 3's detector alone, which takes phrases and no boxes: use it as the "
            "model. A checkpoint of 'sam3_video', as the hub has it, is a segmenter too"
        )
    if model_type not in CLASSES:
        raise ModelError(f"'{checkpoint.name}' is a '{model_type}', not one of {', '.join(CLASSES)}")
    model = load_weights(
        checkpoint,
        getattr(import_transformers(), CLASSES[model_type]),
        placement,
        options=options.values,
        keep_float32=True,
        hot=("vision_encoder.forward", "forward"),
    )
    if model_type in _PADDED:
        prepare = padding(checkpoint, placement, options)
    else:
        prepare = stretching(checkpoint, placement)
    return PromptableMasks(checkpoint.name, model, prepare, placement, options)


def load(checkpoint: Checkpoint, placement: Placement, options: Options) -> Any:
    """SAM 3 alone of the family understands phrases.

    Raises:
        ModelError: for the others.
    """
    from vlm_perception.models.concept_masks import load_concepts

    return load_concepts(checkpoint, placement, options)
