"""Frozen value types that every layer speaks.

Conventions, used in every name below:

* ``_xyxy``: pixel box ``(x_min, y_min, x_max, y_max)`` of the *original* color image, max exclusive.
* ``_m``: metres; ``_ns``: nanoseconds since the epoch of the image's clock.
* Points are in the camera's optical frame (REP 103: x right, y down, z forward) unless the name says otherwise.
* ``T_a_b`` (4x4) and ``R_a_b`` (3x3) take coordinates in frame ``b`` to frame ``a``.

This module imports NumPy and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolMask = NDArray[np.bool_]
BoxXyxy = tuple[float, float, float, float]


class VlmPerceptionError(Exception):
    """Base of every error this package raises on purpose; ``str(error)`` is fit for a user."""


class CommandError(VlmPerceptionError):
    """The command cannot be understood or is not for this model (status ``INVALID_COMMAND``)."""


class ModelError(VlmPerceptionError):
    """A model cannot be loaded or failed while running (status ``MODEL_ERROR``)."""


class ImageError(VlmPerceptionError):
    """An image message or file cannot be read; names the encoding, size or path at fault."""


class Status(IntEnum):
    """Outcome of one command; the values are those of ``GroundingResult.msg``."""

    SUCCEEDED = 0
    NOT_FOUND = 1
    AMBIGUOUS = 2
    NO_DEPTH = 3
    NO_TRANSFORM = 4
    STALE_INPUT = 5
    NO_INPUT = 6
    INVALID_COMMAND = 7
    MODEL_ERROR = 8
    CANCELED = 9


class Role(str, Enum):
    """What a grounded object is to the command."""

    TARGET = "target"
    DESTINATION = "destination"
    ANCHOR = "anchor"


class Task(str, Enum):
    """What the command asks for."""

    LOCATE = "locate"
    COUNT = "count"
    DESCRIBE = "describe"
    ASK = "ask"
    VERIFY = "verify"
    POINT = "point"


# --------------------------------------------------------------------------- images


@dataclass(frozen=True)
class CameraIntrinsics:
    """A pinhole camera with OpenCV-style distortion, in pixels.

    Attributes:
        distortion_model: ``""`` (none), ``"plumb_bob"``, ``"rational_polynomial"`` or ``"equidistant"``.
        distortion: coefficients in OpenCV's order; empty means none.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = ""
    distortion: tuple[float, ...] = ()

    @property
    def K(self) -> FloatArray:
        """The 3x3 camera matrix."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])


@dataclass(frozen=True, eq=False)
class RgbdFrame:
    """One synchronized color + depth + intrinsics set.

    Attributes:
        color_rgb: (H, W, 3) uint8.
        depth_m: (H, W) float32 along Z, registered to color; 0, NaN and Inf are no depth. None: no depth at all.
        camera: intrinsics at the color image's size.
        stamp_ns: the color image's time.
        frame_id: the camera's optical frame.
    """

    color_rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32] | None
    camera: CameraIntrinsics
    stamp_ns: int = 0
    frame_id: str = "camera_optical_frame"


# --------------------------------------------------------------------------- language


@dataclass(frozen=True)
class Attribute:
    """A property that is asked for or excluded, e.g. ``("color", "red")``."""

    kind: str  # "color" | "size" | "material" | "shape" | "state" | "other"
    value: str
    negated: bool = False


@dataclass(frozen=True)
class Relation:
    """``predicate(subject, *anchors)``; the subject is the entity that holds it.

    ``predicate`` is one of the names in ``vlm_perception.spatial.predicates`` ("left_of", "between", "on", ...).
    Without anchors it speaks of the whole scene ("on the left", "in the middle of the table").
    """

    predicate: str
    anchors: tuple[Entity, ...] = ()
    negated: bool = False
    text: str = ""


@dataclass(frozen=True)
class Ranking:
    """Superlatives, comparatives and ordinals: order by ``key``, take the ``rank``-th.

    Attributes:
        key: what to order by: "left", "right", "near", "far", "high", "low", "large", "small", "tall", "short",
            "wide", "narrow", "long", "thin", "distance" (to ``anchor``) ...; the first in that order has rank 1.
        rank: 1-based; negative counts from the end.
        anchor: for "closest to the plate", "third closest to me" (None: the viewpoint).
        among: for "the larger of the two" (None: all that answer to the noun).
        step: for "every other can": the ``rank``-th and every ``step``-th after it; 0: only the ``rank``-th.
        of: in a claim, what the subject is held against ("the red mug is the largest mug": all mugs).
    """

    key: str
    rank: int = 1
    anchor: Entity | None = None
    among: int | None = None
    text: str = ""
    step: int = 0
    of: Entity | None = None


@dataclass(frozen=True)
class Entity:
    """A thing the command speaks of.

    Attributes:
        noun: head noun phrase, singular, without article or attributes ("cookie box"); "" or "thing" when only
            described ("the red one", "something red").
        phrase: what a detector is asked for: attributes it can see + noun ("red mug").
        attributes: parsed attributes; those not negated are also in ``phrase``.
        number: how many are meant; 1 by default, None for "all"/bare plural.
        rankings: applied in order.
        exclude: entities that must not be it ("except the red one", "not the red mug").
        definite: false for "a mug" / "any mug": any one will do, so ties are no ambiguity.
        text: the words it came from.
        bounds: fewest and most that are meant, for "at least two" (2, None), "at most three" (0, 3), "exactly one" (1, 1).
        subject: in a claim about all of several, what it is claimed of ("all mugs are red": the mugs).
    """

    noun: str
    phrase: str
    attributes: tuple[Attribute, ...] = ()
    relations: tuple[Relation, ...] = ()
    rankings: tuple[Ranking, ...] = ()
    number: int | None = 1
    exclude: tuple[Entity, ...] = ()
    definite: bool = True
    text: str = ""
    bounds: tuple[int, int | None] | None = None
    subject: Entity | None = None


@dataclass(frozen=True)
class RoleEntity:
    """An entity with its role, and for destinations the relation the target is to have to it.

    Attributes:
        predicate: for DESTINATION: "on", "in", "left_of", ...
        also: for DESTINATION: further relations the target is to have ("on the tray, left of the plate").
    """

    role: Role
    entity: Entity
    predicate: str = ""
    also: tuple[Relation, ...] = ()


@dataclass(frozen=True)
class Query:
    """A command, understood.

    Attributes:
        text: the command as heard (normalised white space).
        task: what is asked for.
        action: the manipulation verb in base form ("pick", "open", "place"), or "".
        items: what to ground, targets first in the order spoken, then destinations.
        statement: for VERIFY: the claims to check, each an entity with relations/attributes asserted.
        steps: action sequence for compound commands, as (action, index into items).
    """

    text: str
    task: Task = Task.LOCATE
    action: str = ""
    items: tuple[RoleEntity, ...] = ()
    statement: tuple[Entity, ...] = ()
    steps: tuple[tuple[str, int], ...] = ()

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Every entity, nested ones (anchors, exclusions) included, each once, outermost first."""
        found: dict[Entity, None] = {}

        def visit(entity: Entity) -> None:
            found.setdefault(entity)
            for relation in entity.relations:
                for anchor in relation.anchors:
                    visit(anchor)
            for ranking in entity.rankings:
                for other in (ranking.anchor, ranking.of):
                    if other is not None:
                        visit(other)
            for other in entity.exclude:
                visit(other)
            if entity.subject is not None:
                visit(entity.subject)

        for item in self.items:
            visit(item.entity)
            for relation in item.also:
                for anchor in relation.anchors:
                    visit(anchor)
        for claim in self.statement:
            visit(claim)
        return tuple(found)

    @property
    def phrases(self) -> tuple[str, ...]:
        """What a detector is to be asked for: full phrases first, then the nouns they rest on, each once."""
        found: dict[str, None] = {}
        for entity in self.entities:
            if entity.phrase:
                found.setdefault(entity.phrase)
        for entity in self.entities:
            if entity.noun:
                found.setdefault(entity.noun)
            for attribute in entity.attributes:
                if attribute.negated and entity.noun:
                    found.setdefault(f"{attribute.value} {entity.noun}")
        return tuple(found)


# --------------------------------------------------------------------------- models


@dataclass(frozen=True, eq=False)
class Detection:
    """One box a model gave for one phrase.

    Attributes:
        phrase: the phrase asked for, exactly as given to the model.
        label: the model's own words for it.
        score: in [0, 1].
        box_xyxy: original image pixels.
        mask: (H, W) bool at the image's size, for models that give masks.
        calibrated: whether ``score`` is a probability fitted on held-out data.
    """

    phrase: str
    label: str
    score: float
    box_xyxy: BoxXyxy
    mask: BoolMask | None = None
    calibrated: bool = False


@dataclass(frozen=True, eq=False)
class MaskProposal:
    """A segmenter's answer for one prompt: best mask first, alternatives kept.

    Attributes:
        mask: (H, W) bool at the image's size.
        quality: in [0, 1]; the segmenter's own estimate of the IoU, or a heuristic that its docstring defines.
        alternatives: further (mask, quality), best first.
    """

    mask: BoolMask
    quality: float
    alternatives: tuple[tuple[BoolMask, float], ...] = ()


# --------------------------------------------------------------------------- geometry and space


@dataclass(frozen=True, eq=False)
class ObjectGeometry:
    """What depth says of one object, in the camera's optical frame.

    Attributes:
        points_m: (N, 3) float64 visible surface points, outliers removed.
        pixels_uv: (N, 2) int the pixels those points came from.
        center_m: (3,) centre of the oriented box.
        R_camera_object: (3, 3) the box's axes as columns, right-handed; z is up when "up" is known.
        size_m: (3,) lengths along those axes.
        covariance: (6, 6) of (x, y, z, roll, pitch, yaw), m^2 and rad^2, ROS order.
        surface_point_m: (3,) the visible point nearest the mask's middle.
        surface_centroid_m: (3,) mean of the visible surface points.
        valid_depth_fraction: share of the mask's pixels with valid depth.
    """

    points_m: FloatArray
    pixels_uv: NDArray[np.int64]
    center_m: FloatArray
    R_camera_object: FloatArray
    size_m: FloatArray
    covariance: FloatArray
    surface_point_m: FloatArray
    surface_centroid_m: FloatArray
    valid_depth_fraction: float

    @property
    def num_points(self) -> int:
        """Number of 3-D points."""
        return len(self.points_m)


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One thing in the frame: detections that overlap, merged, with mask and geometry.

    Attributes:
        instance_id: 1-based, its value in the label image.
        box_xyxy: original image pixels.
        scores: phrase -> the model's score for it on this object; a phrase that did not fire is absent.
        label: the model's words of the best detection.
        mask: (H, W) bool, or None when only the box is known.
        geometry: None when depth is missing or too little of it is valid.
        valid_depth_fraction: also when ``geometry`` is None.
        mean_rgb: (3,) in [0, 255], median color under the mask; for attributes that a model did not score.
    """

    instance_id: int
    box_xyxy: BoxXyxy
    scores: Mapping[str, float]
    label: str
    mask: BoolMask | None = None
    geometry: ObjectGeometry | None = None
    valid_depth_fraction: float = 0.0
    mean_rgb: tuple[float, float, float] | None = None
    calibrated: bool = False

    @property
    def best_score(self) -> float:
        """The highest of ``scores``; 0.0 when there is none."""
        return max(self.scores.values(), default=0.0)


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """Where "left", "in front" and "up" are judged from. All in the camera's optical frame, unit length.

    The default is the camera itself. For a REP 103 body frame such as base_link, ``forward`` is its x,
    ``right`` its -y, ``up`` its z and ``origin_m`` its origin.
    "In front of B" means nearer than B along ``-forward`` (between the viewer and B).
    """

    right: FloatArray = field(default_factory=lambda: np.array([1.0, 0.0, 0.0]))
    up: FloatArray = field(default_factory=lambda: np.array([0.0, -1.0, 0.0]))
    forward: FloatArray = field(default_factory=lambda: np.array([0.0, 0.0, 1.0]))
    origin_m: FloatArray = field(default_factory=lambda: np.zeros(3))
    up_known: bool = False  # whether ``up`` is gravity (TF or support plane), not just the image's up
    frame: str = "camera"


@dataclass(frozen=True, eq=False)
class PlacePose:
    """A free spot for a destination: pose in the camera's optical frame, and the room there.

    Attributes:
        T_camera_place: (4, 4), z along "up", origin on the supporting surface (or the container's inside centre).
        size_m: (3,) extent that is free, along its axes.
        clearance_m: distance to the nearest obstacle.
    """

    T_camera_place: FloatArray
    size_m: FloatArray
    clearance_m: float


@dataclass(frozen=True, eq=False)
class Grounding:
    """One object with its part in the command, as the resolver decided.

    ``place`` is set for destinations where a free spot was found.
    """

    object: SceneObject
    role: Role
    phrase: str
    score: float
    place: PlacePose | None = None


@dataclass(frozen=True, eq=False)
class Resolution:
    """The resolver's verdict. ``message`` says what happened and what to do about it.

    Attributes:
        groundings: targets best first, then destinations, then anchors.
        runner_ups: what else was considered for the target, best first.
        count: for COUNT, else None.
        answer: words for COUNT / VERIFY / ASK, else "".
        verdict: for VERIFY, else None.
    """

    status: Status
    message: str
    groundings: tuple[Grounding, ...] = ()
    runner_ups: tuple[Grounding, ...] = ()
    count: int | None = None
    answer: str = ""
    verdict: bool | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What the pipeline returns for one command on one frame; everything still in the optical frame."""

    query: Query | None
    command: str
    status: Status
    message: str
    groundings: tuple[Grounding, ...] = ()
    runner_ups: tuple[Grounding, ...] = ()
    objects: tuple[SceneObject, ...] = ()
    count: int | None = None
    answer: str = ""
    verdict: bool | None = None
    viewpoint: Viewpoint | None = None
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def targets(self) -> tuple[Grounding, ...]:
        """Groundings whose role is TARGET."""
        return tuple(g for g in self.groundings if g.role is Role.TARGET)
