"""Recorded frames that tests run on: six that ship with the package, and some that do not."""

from pathlib import Path

import pytest

from vlm_perception.resources import asset_path

SHIPPED = asset_path("recordings", "libero_90")
_BESIDE = Path(__file__).parents[2] / "shared"  # beside the repository, not in it
TWELVE = _BESIDE / "rgbd_rec_dev"
KINECT = _BESIDE / "real_rgbd"

NO_TWELVE = (
    f"twelve more frames, which are not part of the repository, belong in {TWELVE}; any other rgbd-rec/1 folder of "
    "LIBERO scenes does: training/README.md says how to render one"
)
NO_KINECT = (
    f"a Kinect's frame, which is not part of the repository, belongs in {KINECT}: milk_cartoon_all_small_clorox.pcd of "
    "the Point Cloud Library's test data as color.png, depth.png (mm) and camera.json (K, width, height, depth_unit_m, points)"
)


def recordings():
    """Folders to run a test on; those that are not here are skipped with the reason."""
    absent = pytest.mark.skipif(not (TWELVE / "meta.json").is_file(), reason=NO_TWELVE)
    return pytest.mark.parametrize(
        "folder", [pytest.param(SHIPPED, id="shipped"), pytest.param(TWELVE, id="twelve", marks=absent)]
    )
