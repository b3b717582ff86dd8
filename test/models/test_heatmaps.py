"""Where did it look: maps over the camera's pixels, by every model that says it gives them."""

import numpy as np
import pytest
import torch

from vlm_perception.models.base import GroundingModel, HeatmapModel
from vlm_perception.models.capability import require, who_can
from vlm_perception.models.factory import build_model
from vlm_perception.models.heads.base import split_levels
from vlm_perception.models.heads.grounding_dino import phrase_scores
from vlm_perception.models.heatmaps import over_image
from vlm_perception.types import CommandError, ModelError

KINDS = ("grounding-dino", "mm-grounding-dino", "owlvit", "owlv2", "omdet-turbo", "clipseg", "clip", "siglip", "siglip2")
SIZES = ((96, 160), (160, 96), (120, 140))
BOX = (80, 60, 96, 84)  # lower right of the middle in all three sizes, so that a swapped or padded axis shows


def with_box(size, box=BOX):
    image = np.full((*size, 3), 90, np.uint8)
    if box is not None:
        x1, y1, x2, y2 = box
        image[y1:y2, x1:x2] = (255, 20, 20)
    return image


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_map_covers_the_image(model_of, kind, size):
    model = model_of(kind)
    assert isinstance(model, GroundingModel)
    assert isinstance(model, HeatmapModel)
    require(model, "heatmaps")
    heat = model.heatmap(with_box(size), "red mug")
    assert heat.shape == size
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    assert heat.max() <= 1
    assert heat.max() > heat.min()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["clipseg", "clip", "siglip", "siglip2"])
def test_what_changes_in_the_image_changes_the_map_there(model_of, kind, size):
    """Even random towers see: put a thing into an image, and the map changes most where the thing is."""
    heat, without = (model_of(kind).heatmap(with_box(size, box), "red mug") for box in (BOX, None))
    change = np.abs(heat.astype(float) - without)
    x1, y1, x2, y2 = BOX
    assert change[y1:y2, x1:x2].mean() > 1.5 * change.mean()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["owlvit", "owlv2"])
def test_owls_patches_keep_their_place(tiny_checkpoints, kind, size):
    """Features that are the brightness of the network's own input come out as a map of the bright thing."""
    model = build_model(str(tiny_checkpoints(kind)), device="cpu")
    network = model._head._parts.model

    def embed(pixel_values, **_):
        bright = torch.nn.functional.interpolate(pixel_values[:, :1], (12, 12), mode="area")
        return bright.permute(0, 2, 3, 1), None

    network.image_embedder = embed
    network.class_predictor = lambda features, *_: (20 * features, None)
    heat = model.heatmap(with_box(size), "red mug")
    rows, columns = np.where(heat > heat.max() - 0.05)
    x1, y1, x2, y2 = BOX
    cell = max(size) / 12
    assert columns.mean() == pytest.approx((x1 + x2) / 2, abs=cell)
    assert rows.mean() == pytest.approx((y1 + y2) / 2, abs=cell)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["grounding-dino", "mm-grounding-dino", "omdet-turbo"])
def test_levels_keep_their_place(model_of, kind, size):
    """Each place the network would make a query of lies in the map where its anchor is."""
    head = model_of(kind)._head
    network = head._parts.model
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    levels = [level.float().cpu() for level in head.heatmap(image, "red mug").levels]
    if kind == "omdet-turbo":
        last = network.decoder.encoder_bbox_head.layers[-1]
    else:
        last = network.model.encoder_output_bbox_embed.layers[-1]
    torch.nn.init.zeros_(last.weight)  # no offsets: what is left are the anchors
    torch.nn.init.zeros_(last.bias)
    if kind == "omdet-turbo":
        output, _ = head._run([image], ["red mug"])
        anchors, scores = output.encoder_coord_logits[0], output.encoder_class_logits[0, :, 0].float().sigmoid()
    else:
        inputs, groups = head._inputs([image], ["red mug"])
        with torch.no_grad():
            output = network(**inputs)
        anchors = output.enc_outputs_coord_logits[0].sigmoid()
        scores = torch.from_numpy(phrase_scores(output.enc_outputs_class[0].sigmoid().numpy(), groups)[:, 0])
    assert len(scores) >= 10
    for (cx, cy, w, _), score in zip(anchors.tolist(), scores.tolist(), strict=True):
        if w >= 0.99 or cx >= 0.99 or cy >= 0.99:
            continue  # at the border there is no anchor
        level = levels[round(np.log2(w / 0.05))]
        value = level[int(cy * level.shape[0]), int(cx * level.shape[1])]
        assert float(value) == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_phrases_have_maps_of_their_own(model_of, kind):
    model, image = model_of(kind), with_box((96, 160))
    first, second = model.heatmap(image, "red mug"), model.heatmap(image, "plate")
    assert not np.array_equal(first, second)
    np.testing.assert_allclose(first, model.heatmap(image, "red mug"), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_empty_phrases_and_wrong_images(model_of, kind):
    for phrase in ("", " . "):
        with pytest.raises(CommandError, match="phrase is empty"):
            model_of(kind).heatmap(with_box((96, 160)), phrase)
    with pytest.raises(ModelError, match=r"must be \(H, W, 3\) uint8"):
        model_of(kind).heatmap(np.zeros((8, 8), np.uint8), "mug")


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_model_says_so(tiny_checkpoints, kind):
    model = build_model(str(tiny_checkpoints(kind)), device="cpu")
    model.close()
    model.close()
    with pytest.raises(ModelError, match="is closed"):
        model.heatmap(with_box((96, 160)), "mug")
    with pytest.raises(ModelError, match="is closed"):
        model.detect([with_box((96, 160))], ["mug"])


def test_the_map_is_where_the_detector_looks(model_of):
    """OWL-ViT: the patch that scores best is the brightest of the map."""
    model = model_of("owlvit")
    image = np.random.default_rng(1).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    (output,) = model._head.forward([image], ["red mug"])
    row, column = divmod(int(output.scores[:, 0].argmax()), 3)
    heat = model.heatmap(image, "red mug")
    v, u = np.unravel_index(heat.argmax(), heat.shape)
    assert (v // 32, u // 32) == (row, column)


def test_omdet_scores_are_the_librarys_own(model_of):
    """The best places of the map are the queries that the network picks itself."""
    model = model_of("omdet-turbo")
    image = np.random.default_rng(1).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    output, _ = model._head._run([image], ["red mug"])
    theirs = output.encoder_class_logits[0, :, 0].float().sigmoid().sort(descending=True).values
    ours = torch.cat([level.flatten() for level in model._head.heatmap(image, "red mug").levels])
    top = ours.sort(descending=True).values[: len(theirs)]
    torch.testing.assert_close(top, theirs, atol=1e-5, rtol=0)


def test_levels_and_padding():
    coarse, fine = torch.tensor([[0.0, 1.0]]), torch.zeros(4, 4)
    fine[0, 0] = 0.5
    image = np.zeros((8, 16, 3), np.uint8)
    both = over_image([coarse, fine], image)
    assert both.shape == (8, 16)
    assert both[0, 0] == pytest.approx(0.5)
    assert both[:, -1].min() == pytest.approx(1.0)
    # The network saw 16 x 16; the lower half is padding.
    square = torch.zeros(2, 2)
    square[1] = 1.0
    padded = over_image([square], image, (16.0, 16.0))
    assert padded.shape == (8, 16)
    assert padded.max() < 0.5
    assert over_image([torch.tensor([[float("nan"), 7.0]])], image).max() == 1.0
    assert not over_image([], image).any()
    parts = split_levels(torch.arange(8.0), [(2, 3), (1, 2)])
    assert [tuple(part.shape) for part in parts] == [(2, 3), (1, 2)]
    assert parts[1].tolist() == [[6.0, 7.0]]


def test_who_gives_heatmaps():
    able = who_can("heatmaps")
    assert {"tabletop", "grounding-dino-tiny", "clipseg-rd64", "clip-base", "florence-2-base", "molmo2-4b"} <= set(able)
    assert "sam3" not in able


@pytest.mark.parametrize("kind", ["grounding-dino", "owlvit", "omdet-turbo"])
def test_nan_is_no_cold_map(tiny_checkpoints, kind):
    model = build_model(str(tiny_checkpoints(kind)), device="cpu")
    with torch.no_grad():
        for name, value in model._head._parts.model.named_parameters():
            if "norm" in name:
                value.fill_(float("nan"))
    with pytest.raises(ModelError, match="returned NaN scores in float32 on cpu; its weights are damaged"):
        model.heatmap(with_box(SIZES[0]), "red mug")
    with pytest.raises(ModelError, match="returned NaN scores"):
        model.detect([with_box(SIZES[0])], ["red mug"])
