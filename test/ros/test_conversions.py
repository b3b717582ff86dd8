"""Encodings, byte order, padding, truncation: images and cameras to NumPy and back."""

from __future__ import annotations

import array
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy")
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest
from std_msgs.msg import Header

from vlm_perception.ros import conversions as conv
from vlm_perception.types import CameraIntrinsics, ImageError

_CHANNELS = {"rgb8": "rgb", "bgr8": "bgr", "rgba8": "rgba", "bgra8": "bgra", "8UC3": "bgr", "8UC4": "bgra"}


def _message(pixels: np.ndarray, encoding: str, *, padding: int = 0, big_endian: bool = False) -> Image:
    """An image message written the slow, obvious way: row by row."""
    wire = pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<"))
    rows = [row.tobytes() + b"\xab" * padding for row in wire]
    msg = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, is_bigendian=int(big_endian))
    msg.step = len(rows[0])
    msg.data = array.array("B", b"".join(rows))
    return msg


def _random(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


@settings(deadline=None, max_examples=60)
@given(
    encoding=st.sampled_from(sorted(_CHANNELS)),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    padding=st.integers(0, 7),
    big_endian=st.booleans(),
    seed=st.integers(0, 99),
)
def test_color_encodings(encoding, height, width, padding, big_endian, seed):
    order = _CHANNELS[encoding]
    pixels = _random((height, width, len(order)), "u1", seed)
    rgb = conv.color_to_rgb(_message(pixels, encoding, padding=padding, big_endian=big_endian))
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    for channel, name in enumerate("rgb"):
        assert (rgb[..., channel] == pixels[..., order.index(name)]).all()


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_is_repeated(encoding):
    grey = _random((4, 5), "u1", 0)
    assert (conv.color_to_rgb(_message(grey, encoding, padding=3)) == grey[..., None]).all()


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("encoding", ["rgb16", "bgr16", "mono16"])
def test_sixteen_bit_color_keeps_the_upper_byte(encoding, big_endian):
    wide = _random((4, 5, 3), "u2", 1) if encoding != "mono16" else _random((4, 5), "u2", 1)
    rgb = conv.color_to_rgb(_message(wide, encoding, padding=2, big_endian=big_endian))
    expected = np.atleast_3d(wide >> 8)
    assert (rgb == (expected[..., ::-1] if encoding == "bgr16" else expected)).all()


@settings(deadline=None, max_examples=40)
@given(padding=st.integers(0, 5), big_endian=st.booleans(), seed=st.integers(0, 99), mono=st.booleans())
def test_depth_millimetres(padding, big_endian, seed, mono):
    millimetres = _random((5, 7), "u2", seed)
    msg = _message(millimetres, "mono16" if mono else "16UC1", padding=padding, big_endian=big_endian)
    depth_m = conv.depth_to_metres(msg)
    assert depth_m.dtype == np.float32
    np.testing.assert_allclose(depth_m, millimetres / 1000.0, rtol=1e-6)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(("encoding", "dtype"), [("32FC1", "f4"), ("64FC1", "f8")])
def test_depth_metres_keep_what_is_no_depth(encoding, dtype, big_endian):
    depth = np.array([[0.0, np.nan, np.inf], [0.5, 1.25, -1.0]], dtype)
    np.testing.assert_array_equal(conv.depth_to_metres(_message(depth, encoding, padding=4, big_endian=big_endian)), depth)


def test_last_rows_padding_may_be_missing():
    msg = _message(_random((3, 4, 3), "u1", 2), "rgb8", padding=5)
    whole = conv.color_to_rgb(msg)
    msg.data = msg.data[:-5]
    assert (conv.color_to_rgb(msg) == whole).all()


def test_truncated_data_names_expected_and_got():
    msg = _message(_random((480, 640, 3), "u1", 3), "rgb8")
    msg.data = msg.data[:1000]
    with pytest.raises(ImageError, match="expected 921600 bytes of data, got 1000"):
        conv.color_to_rgb(msg)


def test_step_too_small():
    msg = _message(_random((4, 5), "u2", 3), "16UC1")
    msg.step = 9
    with pytest.raises(ImageError, match="step 9, less than the 10 bytes"):
        conv.depth_to_metres(msg)


@pytest.mark.parametrize("convert", [conv.color_to_rgb, conv.depth_to_metres])
def test_empty_image(convert):
    encoding = "rgb8" if convert is conv.color_to_rgb else "16UC1"
    with pytest.raises(ImageError, match="0x0"):
        convert(Image(encoding=encoding))


def test_unknown_color_encoding_names_it_and_the_way_out():
    with pytest.raises(ImageError, match=r"'x-klingon'.*rgb8"):
        conv.color_to_rgb(Image(encoding="x-klingon", height=2, width=2, step=2, data=[0] * 4))


@pytest.mark.parametrize("encoding", ["rgb8", "bayer_rggb8", ""])
def test_depth_from_a_color_topic_is_refused(encoding):
    with pytest.raises(ImageError, match="16UC1"):
        conv.depth_to_metres(Image(encoding=encoding, height=2, width=2, step=6, data=[0] * 12))


@pytest.mark.parametrize("encoding", ["bayer_rggb8", "yuv422_yuy2"])
def test_rare_encodings_go_through_cv_bridge(encoding, monkeypatch):
    seen = []

    class CvBridge:
        def imgmsg_to_cv2(self, msg, desired):
            seen.append((msg.encoding, desired))
            return np.full((2, 2, 3), 7, np.uint8)

    monkeypatch.setitem(sys.modules, "cv_bridge", type(sys)("cv_bridge"))
    monkeypatch.setattr(sys.modules["cv_bridge"], "CvBridge", CvBridge, raising=False)
    assert (conv.color_to_rgb(Image(encoding=encoding, height=2, width=2, step=4, data=[0] * 8)) == 7).all()
    assert seen == [(encoding, "rgb8")]


def test_cv_bridge_that_dies_on_import_or_in_use_is_an_image_error(monkeypatch):
    broken = type(sys)("cv_bridge")  # has no CvBridge: ImportError
    monkeypatch.setitem(sys.modules, "cv_bridge", broken)
    msg = Image(encoding="bayer_rggb8", height=2, width=2, step=2, data=[0] * 4)
    with pytest.raises(ImageError, match=r"bayer_rggb8.*Install cv_bridge"):
        conv.color_to_rgb(msg)

    class CvBridge:
        def imgmsg_to_cv2(self, msg, desired):
            raise KeyError(16)  # what cv_bridge 3.4 does under OpenCV 5

    broken.CvBridge = CvBridge
    with pytest.raises(ImageError, match="KeyError: 16"):
        conv.color_to_rgb(msg)


@settings(deadline=None, max_examples=30)
@given(height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 99))
def test_color_round_trip(height, width, seed):
    rgb = _random((height, width, 3), "u1", seed)
    header = Header(frame_id="camera")
    msg = conv.rgb_to_image(rgb, header)
    assert (msg.header.frame_id, msg.encoding, msg.step) == ("camera", "rgb8", width * 3)
    assert (conv.color_to_rgb(msg) == rgb).all()


def test_strided_input_is_written_right():
    rgb = _random((6, 8, 3), "u1", 5)
    assert (conv.color_to_rgb(conv.rgb_to_image(rgb[::-1, ::2], Header())) == rgb[::-1, ::2]).all()


def test_depth_round_trip():
    depth_m = np.array([[0.0, np.nan, np.inf, -1.0], [0.4996, 1.0, 65.535, 70.0]], np.float32)
    back = conv.depth_to_metres(conv.depth_to_image(depth_m, "16UC1", Header()))
    np.testing.assert_allclose(back, [[0, 0, 0, 0], [0.5, 1.0, 65.535, 0]], atol=1e-6)
    np.testing.assert_array_equal(conv.depth_to_metres(conv.depth_to_image(depth_m, "32FC1", Header())), depth_m)
    with pytest.raises(ImageError, match="'rgb8'"):
        conv.depth_to_image(depth_m, "rgb8", Header())


def test_label_and_mask():
    labels = np.array([[0, 1], [300, 65535]])
    msg = conv.label_to_image(labels, Header())
    assert msg.encoding == "16UC1"
    assert (np.frombuffer(msg.data, "<u2").reshape(2, 2) == labels).all()
    with pytest.raises(ImageError, match="65536"):
        conv.label_to_image(np.array([[65536]]), Header())
    mask = conv.mask_to_image(labels > 0, Header())
    assert (mask.encoding, list(mask.data)) == ("mono8", [0, 255, 255, 255])


def test_publishing_a_large_image_is_fast():
    """Data given as bytes or a list is checked element by element: 90 ms and more for this size."""
    rgb = _random((720, 1280, 3), "u1", 0)
    conv.rgb_to_image(rgb, Header())
    times = []
    for _ in range(5):
        start = time.perf_counter()
        msg = conv.rgb_to_image(rgb, Header())
        times.append(time.perf_counter() - start)
    assert isinstance(msg.data, array.array)
    assert min(times) < 0.02


CAMERA = CameraIntrinsics(640, 480, 500.0, 510.0, 321.5, 240.25, "plumb_bob", (0.1, -0.2, 0.001, 0.002, 0.03))


def test_camera_round_trip():
    msg = conv.intrinsics_to_camera_info(CAMERA, Header(frame_id="camera"))
    assert conv.camera_info_to_intrinsics(msg) == CAMERA
    assert (msg.p[0], msg.p[6], msg.header.frame_id) == (500.0, 240.25, "camera")


def test_zero_distortion_is_none():
    plain = CameraIntrinsics(640, 480, 500.0, 510.0, 321.5, 240.25)
    assert conv.camera_info_to_intrinsics(conv.intrinsics_to_camera_info(plain, Header())) == plain


def test_rectified_images_use_p():
    msg = conv.intrinsics_to_camera_info(CAMERA, Header())
    msg.p[0], msg.p[2] = 450.0, 319.0
    camera = conv.camera_info_to_intrinsics(msg, rectified=True)
    assert (camera.fx, camera.cx, camera.distortion) == (450.0, 319.0, ())


def test_region_of_interest_and_binning():
    msg = conv.intrinsics_to_camera_info(CAMERA, Header())
    msg.roi = RegionOfInterest(x_offset=100, y_offset=40, width=400, height=200)
    msg.binning_x = msg.binning_y = 2
    camera = conv.camera_info_to_intrinsics(msg)
    assert (camera.width, camera.height) == (200, 100)
    assert (camera.fx, camera.cx, camera.cy) == (250.0, (321.5 - 100) / 2, (240.25 - 40) / 2)


def test_uncalibrated_camera():
    with pytest.raises(ImageError, match="no calibration"):
        conv.camera_info_to_intrinsics(CameraInfo(width=640, height=480))


def test_unknown_distortion_model():
    msg = conv.intrinsics_to_camera_info(CAMERA, Header())
    msg.distortion_model = "kaleidoscope"
    with pytest.raises(ImageError, match="kaleidoscope"):
        conv.camera_info_to_intrinsics(msg)
    msg.distortion_model = "fisheye"
    assert conv.camera_info_to_intrinsics(msg).distortion_model == "equidistant"
