"""Object ids that stay the same across frames: greedy matching in space, then in the image.

An object that leaves the view keeps its id for a while and gets it back when it is seen again near where it was.
Several cameras may take turns: where their objects are told in one common frame, a thing has one id for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from vlm_perception.scene import box_iou
from vlm_perception.types import BoxXyxy, FloatArray, SceneObject


@dataclass(frozen=True)
class TrackingSettings:
    """What counts as the same object.

    Attributes:
        max_jump_m: an object may have moved this far between two sightings, plus half its own size.
        min_iou: overlap that makes two boxes the same object where depth is missing.
        forget_s: time after which an unseen object's id is not given back.
    """

    max_jump_m: float = 0.05
    min_iou: float = 0.3
    forget_s: float = 30.0


@dataclass
class _Track:
    id: str
    label: str
    phrases: frozenset[str]
    center_m: FloatArray | None
    center_frame: str
    size_m: float
    seen_s: float
    boxes: dict[str, tuple[int, BoxXyxy]] = field(default_factory=dict)  # camera -> its frame's number, box there


@dataclass
class Tracker:
    """Gives every object of every frame an id; the same object gets the same one."""

    settings: TrackingSettings = field(default_factory=TrackingSettings)
    _tracks: list[_Track] = field(default_factory=list)
    _frames: dict[str, int] = field(default_factory=dict)  # camera -> how many frames it gave
    _last_s: float = 0.0
    _numbers: dict[str, int] = field(default_factory=dict)

    def update(
        self,
        objects: Sequence[SceneObject],
        time_s: float,
        T_fixed_camera: FloatArray | None = None,
        *,
        fixed_frame: str = "",
        camera: str = "",
    ) -> dict[int, str]:
        """Match one frame's objects with what was seen before.

        Args:
            objects: of one frame.
            time_s: the frame's time; going back by more than ``forget_s`` starts over.
            T_fixed_camera: (4, 4) optical frame to a frame that does not move with the camera; None: the camera
                is taken to stand still.
            fixed_frame: that frame's name; places in different frames are not compared.
            camera: whose frame it is, where several cameras take turns; boxes of different cameras are not compared.

        Returns:
            Instance id -> id such as ``"mug-1"``. Ids are never given to another object.
        """
        if time_s < self._last_s - self.settings.forget_s:
            self._tracks.clear()
        self._last_s = time_s
        number = self._frames[camera] = self._frames.get(camera, 0) + 1
        T = np.eye(4) if T_fixed_camera is None else T_fixed_camera
        centers = [_center(found, T) for found in objects]
        self._tracks = [t for t in self._tracks if time_s - t.seen_s <= self.settings.forget_s]

        costs = self._costs(objects, centers, fixed_frame, camera)
        candidates = sorted(costs, key=lambda candidate: candidate[0])
        matched: dict[int, _Track] = {}
        taken: set[str] = set()
        for _, index, track in candidates:
            if index not in matched and track.id not in taken:
                matched[index] = track
                taken.add(track.id)

        ids: dict[int, str] = {}
        for index, (found, center_m) in enumerate(zip(objects, centers, strict=True)):
            track = matched.get(index) or self._new(found)
            track.label, track.phrases = found.label, frozenset(found.scores)
            track.boxes[camera], track.seen_s = (number, found.box_xyxy), time_s
            if center_m is not None and found.geometry is not None:
                track.center_frame = fixed_frame
                track.center_m, track.size_m = center_m, float(np.max(found.geometry.size_m))
            ids[found.instance_id] = track.id
        return ids

    def _costs(
        self, objects: Sequence[SceneObject], centers: Sequence[FloatArray | None], fixed_frame: str, camera: str
    ) -> Iterator[tuple[float, int, _Track]]:
        """(cost in [0, 2), object index, track) of every pair that may be the same; another label costs 1 more."""
        before = self._frames[camera] - 1
        for index, (found, center_m) in enumerate(zip(objects, centers, strict=True)):
            for track in self._tracks:
                number, box_xyxy = track.boxes.get(camera, (-1, found.box_xyxy))
                if center_m is not None and track.center_m is not None and track.center_frame == fixed_frame:
                    reach_m = self.settings.max_jump_m + 0.5 * track.size_m
                    cost = float(np.linalg.norm(center_m - track.center_m)) / reach_m
                    if cost >= 1.0:
                        continue
                elif number == before:
                    overlap = box_iou(found.box_xyxy, box_xyxy)
                    if overlap < self.settings.min_iou:
                        continue
                    cost = 1.0 - overlap
                else:
                    continue  # without depth a box is only comparable with that of the frame before
                same = found.label == track.label or bool(track.phrases & found.scores.keys())
                yield (cost if same else cost + 1.0), index, track

    def _new(self, found: SceneObject) -> _Track:
        name = re.sub(r"\W+", "_", found.label.strip().lower()).strip("_") or "object"
        self._numbers[name] = number = self._numbers.get(name, 0) + 1
        track = _Track(f"{name}-{number}", found.label, frozenset(), None, "", 0.0, self._last_s)
        self._tracks.append(track)
        return track


def _center(found: SceneObject, T: FloatArray) -> FloatArray | None:
    if found.geometry is None:
        return None
    return np.asarray(T[:3, :3] @ found.geometry.center_m + T[:3, 3])
