"""Round trips within one bin, and agreement with the library where it has the same codec."""

import importlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.models import codecs

SIZES = st.sampled_from([(640, 480), (480, 640), (500, 500), (1280, 720), (33, 1000)])


@st.composite
def boxes(draw):
    width, height = draw(SIZES)
    x1, x2 = sorted(draw(st.tuples(*[st.floats(0, width - 1)] * 2)))
    y1, y2 = sorted(draw(st.tuples(*[st.floats(0, height - 1)] * 2)))
    return (width, height), (x1, y1, x2 + 1, y2 + 1)


def assert_within(found, box, size, bins):
    for index, (a, b) in enumerate(zip(found, box, strict=True)):
        assert abs(a - b) <= size[index % 2] / bins * (1 + 1e-9), (found, box)


@settings(deadline=None, max_examples=100)
@given(boxes())
def test_round_trips(case):
    size, box = case
    assert_within(codecs.florence_to_pixels(codecs.pixels_to_florence(box, size), size), box, size, 1000)
    assert_within(codecs.paligemma_to_pixels(codecs.pixels_to_paligemma(box, size), size), box, size, 1024)
    assert_within(codecs.per_mille_to_pixels(codecs.pixels_to_per_mille(box, size), size), box, size, 1000)
    assert_within(codecs.kosmos_to_pixels(*codecs.pixels_to_kosmos(box, size), size), box, size, 32)
    assert codecs.fraction_to_pixels(codecs.pixels_to_fraction(box, size), size) == pytest.approx(box)
    resized = (size[0] * 0.7 // 28 * 28 + 28, size[1] * 0.7 // 28 * 28 + 28)
    back = codecs.resized_to_pixels(codecs.pixels_to_resized(box, size, resized), size, resized)
    for index, (a, b) in enumerate(zip(back, box, strict=True)):
        assert abs(a - b) <= 0.5 * size[index % 2] / resized[index % 2] + 1e-6


@settings(deadline=None, max_examples=100)
@given(boxes())
def test_kosmos_is_the_librarys(case):
    library = importlib.import_module("transformers.models.kosmos2.processing_kosmos2")
    size, box = case
    fractions = codecs.pixels_to_fraction(box, size)
    cells = codecs.pixels_to_kosmos(box, size)
    if fractions[2] <= 1 and fractions[3] <= 1:
        assert cells == library.coordinate_to_patch_index(fractions, 32)
    assert codecs.kosmos_to_pixels(*cells, (1, 1)) == pytest.approx(library.patch_index_to_coordinate(*cells, 32))


@settings(deadline=None, max_examples=50)
@given(boxes())
def test_florence_is_the_librarys(case):
    import torch

    library = importlib.import_module("transformers.models.florence2.processing_florence2")
    size, box = case
    theirs = object.__new__(library.Florence2PostProcessor)
    theirs.quantize_bins = (1000, 1000)
    bins = theirs.quantize(torch.tensor([box], dtype=torch.float64), size)
    ours = codecs.pixels_to_florence(box, size)
    assert all(abs(a - b) <= 1 for a, b in zip(ours, bins[0].tolist(), strict=True))  # float32 at a bin's edge
    back = theirs.dequantize(bins, size)[0].tolist()
    assert [int(v + 1e-4) for v in codecs.florence_to_pixels(bins[0].tolist(), size)] == pytest.approx(back, abs=1)


def test_known_values():
    assert codecs.paligemma_to_pixels((256, 512, 512, 1023), (1024, 512)) == (512, 128, 1023, 256)
    assert codecs.florence_to_pixels((0, 0, 999, 999), (1000, 500)) == pytest.approx((0.5, 0.25, 999.5, 499.75))
    assert codecs.resized_to_pixels((28, 56, 56, 112), (640, 480), (280, 280)) == pytest.approx((64, 96, 128, 192))
    assert codecs.fraction_to_bin(1.0, 1000) == 999
    assert codecs.fraction_to_bin(-0.1, 1000) == 0


@settings(deadline=None, max_examples=60)
@given(st.integers(20, 3000), st.integers(20, 3000), st.sampled_from([28, 32]))
def test_qwen_resizes_as_the_library(width, height, factor):
    library = importlib.import_module("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    limits = {"min_pixels": 56 * 56, "max_pixels": 1280 * 28 * 28}
    theirs = library.smart_resize(height, width, factor=factor, **limits)
    assert codecs.qwen_resized((width, height), factor=factor, **limits) == theirs[::-1]
