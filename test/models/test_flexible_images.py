"""SigLIP 2 of variable resolution: its images, its scores, its maps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.models.factory import build_model
from vlm_perception.models.flexible_images import _pixels, load_flexible_images
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.options import Options
from vlm_perception.models.runtime import Placement
from vlm_perception.types import ModelError

HERE = Placement("cpu", "float32")
BOXES = [(40.0, 20.0, 88.0, 68.0), (0.0, 0.0, 160.0, 24.0), (100.0, 10.0, 109.0, 90.0), (5.0, 5.0, 6.0, 8.0)]


def noise(height=96, width=160, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def crop_of(image, box):
    x1, y1, x2, y2 = (int(value) for value in box)
    return image[y1:y2, x1:x2]


@pytest.fixture(scope="module")
def folder(tiny_checkpoints):
    return str(tiny_checkpoints("siglip2"))


@pytest.fixture(scope="module")
def towers(folder):
    return build_model(folder, device="cpu", options={"templates": ["a {}."]})._towers


def test_scores_are_the_documented_ones(towers, folder):
    """Processor and network as the library's documentation calls them, crop by crop."""
    from transformers import AutoProcessor, Siglip2Model

    processor, model = AutoProcessor.from_pretrained(folder), Siglip2Model.from_pretrained(folder).eval()
    with torch.no_grad():  # random towers start with a scale of 1 and no bias
        model.logit_scale.fill_(2.0)
        model.logit_bias.fill_(-1.5)
    image = noise()
    expected = []
    for box in BOXES:
        inputs = processor(
            text=["a red mug.", "a plate."], images=crop_of(image, box), padding="max_length",
            input_data_format="channels_last", return_tensors="pt",
        )  # fmt: skip
        with torch.no_grad():
            expected.append(torch.sigmoid(model(**inputs).logits_per_image)[0])
    towers._model.logit_scale.data.fill_(2.0)
    towers._model.logit_bias.data.fill_(-1.5)
    scores = towers.score_crops(image, BOXES, ["red mug", "plate"])
    torch.testing.assert_close(scores, torch.stack(expected), atol=1e-4, rtol=0)
    assert scores.std() > 1e-4  # not all the same


def test_inputs_are_those_of_the_processor(towers, folder):
    from transformers import AutoImageProcessor

    image, images = noise(), towers._images
    made = images.crops(image, BOXES, HERE)
    for index, box in enumerate(BOXES):
        theirs = AutoImageProcessor.from_pretrained(folder, backend=images.processor.backend)(
            images=crop_of(image, box), max_num_patches=256, input_data_format="channels_last", return_tensors="pt"
        )
        assert set(theirs) == set(made)
        for name, value in theirs.items():
            assert torch.equal(made[name][index], value[0]), name
    rows, columns = made["spatial_shapes"][1].tolist()
    assert columns / rows == pytest.approx(160 / 24, rel=0.35)  # a wide crop stays wide, in whole patches
    assert int(made["pixel_attention_mask"][1].sum()) == rows * columns <= 256


@given(
    low=st.floats(-300, 900, allow_nan=False), length=st.floats(0, 500, allow_nan=False), side=st.integers(1, 640)
)
@settings(max_examples=100, deadline=None)
def test_a_crop_lies_in_the_image_and_is_not_empty(low, length, side):
    first, end = _pixels(low, low + length, side)
    assert 0 <= first < end <= side
    if low >= 0 and length >= 1 and low + length <= side:
        assert abs(first - low) <= 0.5
        assert abs(end - low - length) <= 0.5


@pytest.mark.parametrize(("height", "width"), [(96, 160), (160, 96), (128, 128), (40, 400)])
def test_patches_lie_where_they_are_in_the_image(towers, monkeypatch, height, width):
    """Scores that are the brightness of each patch come out as a map of the bright corner."""
    image = np.zeros((height, width, 3), np.uint8)
    image[height // 2 :, : width // 2] = 255
    bright = towers._images.whole(image, HERE)["pixel_values"][0].mean(dim=1)
    head = towers._model.vision_model.head
    monkeypatch.setattr(head, "forward", lambda states, _mask=None: bright[: len(states), None])
    monkeypatch.setattr(towers, "_scores", lambda features, phrases: features)
    grid = towers.score_patches(image, "red mug")
    rows, columns = grid.shape
    assert columns / rows == pytest.approx(width / height, rel=0.2)
    assert rows * columns <= 256
    margin_v, margin_u = rows // 2 + 1, columns // 2 - 1
    assert grid[margin_v:, :margin_u].min() > 0.9
    assert grid[: rows // 2 - 1].max() < -0.9
    assert grid[:, columns // 2 + 1 :].max() < -0.9


def test_the_pooling_head_over_one_patch_at_a_time(towers):
    """An image of a single patch scores as its only patch."""
    inputs = {
        "pixel_values": torch.randn(1, 1, 768, generator=torch.Generator().manual_seed(0)),
        "pixel_attention_mask": torch.ones(1, 1, dtype=torch.int32),
        "spatial_shapes": torch.tensor([[1, 1]]),
    }
    vision = towers._model.vision_model
    with torch.no_grad():
        output = vision(**inputs)
        torch.testing.assert_close(output.pooler_output[0], vision.head(output.last_hidden_state[0][:, None])[0])


def test_padding_changes_nothing(towers):
    """More room than patches: the scores of the same patches are the same."""
    image = noise()
    whole = towers._images.whole(image, HERE)
    count = int(whole["pixel_attention_mask"].sum())
    assert count < 256
    cut = {**whole, "pixel_values": whole["pixel_values"][:, :count]}
    cut["pixel_attention_mask"] = whole["pixel_attention_mask"][:, :count]
    with torch.no_grad():
        padded, exact = (towers._model.get_image_features(**inputs).pooler_output for inputs in (whole, cut))
    torch.testing.assert_close(padded, exact, atol=1e-5, rtol=0)


def test_more_patches_see_finer(folder):
    coarse, fine = (
        build_model(folder, device="cpu", options={"max_num_patches": count})._towers.score_patches(noise(), "mug")
        for count in (64, 1024)
    )
    assert coarse.numel() <= 64
    assert 900 < fine.numel() <= 1024


@pytest.mark.parametrize("count", [8, 5000, 20.5, "many"])
def test_the_number_of_patches_is_checked(folder, count):
    with pytest.raises(ModelError, match="'max_num_patches' must be a (whole )?number"):
        build_model(folder, device="cpu", options={"max_num_patches": count})


def test_models_of_fixed_resolution_refuse_it(tiny_checkpoints):
    with pytest.raises(ModelError, match="has no option 'max_num_patches': it goes with siglip2"):
        build_model(str(tiny_checkpoints("clip")), device="cpu", options={"max_num_patches": 256})


def test_another_image_processor_is_named(tiny_checkpoints):
    checkpoint = Checkpoint("x", str(tiny_checkpoints("siglip")))
    with pytest.raises(ModelError, match="'x': SiglipImageProcessor.* makes no patches of variable resolution"):
        load_flexible_images(checkpoint, Options({}, "x"))
