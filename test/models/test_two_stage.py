"""Proposals and crop scores: CLIP and SigLIP."""

import gc
import weakref

import cv2
import numpy as np
import pytest
import torch

from vlm_perception.evaluation.bench import five_boxes
from vlm_perception.models.boxes import iou_matrix
from vlm_perception.models.factory import build_model
from vlm_perception.models.image_text import load_image_text
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.options import Options
from vlm_perception.models.proposers import PointProposer, Proposal
from vlm_perception.models.runtime import Placement
from vlm_perception.types import MaskProposal, ModelError

KINDS = ("clip", "siglip", "siglip2")


def noise(height=96, width=160, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model_of(tiny_checkpoints):
    cache = {}

    def get(kind):
        if kind not in cache:
            cache[kind] = build_model(str(tiny_checkpoints(kind)), device="cpu", options={"templates": ["a {}."]})
        return cache[kind]

    return get


def test_clip_scores_are_the_documented_ones(model_of, tiny_checkpoints):
    """On one crop, over the phrase and the background prompts, what CLIPModel gives as logits_per_image.softmax."""
    from transformers import AutoProcessor, CLIPModel

    folder = str(tiny_checkpoints("clip"))
    towers = model_of("clip")._towers
    image, box = noise(), (40.0, 20.0, 88.0, 68.0)
    crop = image[20:68, 40:88]
    texts = [f"a {words}." for words in ("red mug", *towers._background)]
    inputs = AutoProcessor.from_pretrained(folder)(
        text=texts, images=crop, padding="max_length", max_length=40, return_tensors="pt"
    )
    with torch.no_grad():
        expected = CLIPModel.from_pretrained(folder).eval()(**inputs).logits_per_image.softmax(dim=1)[0, 0]
    (score,) = towers.score_crops(image, [box], ["red mug"])
    assert float(score[0]) == pytest.approx(float(expected), abs=1e-4)


def test_siglip_scores_are_the_documented_ones(model_of, tiny_checkpoints):
    from transformers import AutoImageProcessor, AutoTokenizer, SiglipModel

    folder = str(tiny_checkpoints("siglip"))
    image, box = noise(), (40.0, 20.0, 88.0, 68.0)
    pixels = AutoImageProcessor.from_pretrained(folder, backend="pil")(images=image[20:68, 40:88], return_tensors="pt")
    tokens = AutoTokenizer.from_pretrained(folder)(
        ["a red mug.", "a plate."], padding="max_length", max_length=40, return_tensors="pt"
    )
    with torch.no_grad():
        expected = torch.sigmoid(SiglipModel.from_pretrained(folder).eval()(**tokens, **pixels).logits_per_image)[0]
    (scores,) = model_of("siglip")._towers.score_crops(image, [box], ["red mug", "plate"])
    torch.testing.assert_close(scores, expected, atol=1e-4, rtol=0)


def test_crops_are_squares_with_surroundings(model_of):
    images = model_of("clip")._towers._images
    placement = model_of("clip").placement
    image = np.zeros((96, 160, 3), np.uint8)
    image[:, 80:] = 255
    pixels = images.crops(image, [(70, 10, 90, 90), (0, 0, 40, 20)], placement)["pixel_values"]
    assert pixels.shape == (2, 3, 48, 48)
    white = pixels[0].amax(dim=(1, 2), keepdim=True)
    assert (pixels[0][:, :, 30:] == white).float().mean() > 0.95  # the image's own right half, not padding
    assert pixels[1][:, :10].abs().max() < 0.02  # above the image: the mean color, 0 when normalised
    assert pixels[1][:, 20:].max() < -1.0


def shown(shape, folder):
    """A landscape picture of boxes, or the same turned upright or squeezed into a square; where each box is."""
    frame = five_boxes(folder).frames[0]
    image = frame.load().color_rgb
    truth = {instance.labels[0]: instance.box_xyxy for instance in frame.instances}
    if shape == "portrait":
        upright = np.ascontiguousarray(image.transpose(1, 0, 2))
        return upright, {name: (y1, x1, y2, x2) for name, (x1, y1, x2, y2) in truth.items()}
    if shape == "square":
        side, ratio = image.shape[0], image.shape[0] / image.shape[1]
        squeezed = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        return squeezed, {name: (x1 * ratio, y1, x2 * ratio, y2) for name, (x1, y1, x2, y2) in truth.items()}
    return image, truth


@pytest.mark.parametrize(("shape", "size"), [("landscape", (480, 640)), ("portrait", (640, 480)), ("square", (480, 480))])
@pytest.mark.parametrize("kind", KINDS)
def test_the_crop_that_fits_is_the_detection(model_of, monkeypatch, tmp_path, kind, shape, size):
    """Towers that know red from blue: their proposals come back in camera pixels."""
    model = model_of(kind)
    image, truth = shown(shape, tmp_path)
    assert image.shape[:2] == size

    def score(image_rgb, boxes, phrases):
        crops = [image_rgb[int(y1) : int(y2), int(x1) : int(x2)].mean(axis=(0, 1)) for x1, y1, x2, y2 in boxes]
        channel = {"red box": 0, "blue box": 2}
        return torch.tensor([[c[channel[p]] / c.sum() for p in phrases] for c in crops])

    monkeypatch.setattr(model._towers, "score_crops", score)
    (found,) = model.detect([image], ["red box", "blue box"], threshold=0.5)
    assert found == sorted(found, key=lambda d: -d.score)
    for phrase, other in (("red box", "blue box"), ("blue box", "red box")):
        boxes = [d.box_xyxy for d in found if d.phrase == phrase]
        assert iou_matrix(boxes, [truth[phrase]]).max() > 0.55
        assert iou_matrix(boxes, [truth[other]]).max() < 0.1
    assert all(d.mask is None for d in found)
    assert model.detect([image], [" . "]) == [[]]
    assert model.detect([np.full((60, 80, 3), 5, np.uint8)], ["red box"]) == [[]]  # nothing stands out


@pytest.mark.parametrize(("kind", "expected"), [("clip", [5, 5]), ("siglip", [1]), ("siglip2", [1])])
def test_phrases_are_embedded_once(tiny_checkpoints, kind, expected):
    """CLIP: its ensemble of five, for the phrase and for the background; SigLIP: its one template."""
    model = build_model(str(tiny_checkpoints(kind)), device="cpu", options={"background": "table"} if kind == "clip" else {})
    network, texts = model._towers._model, []
    real = network.get_text_features
    network.get_text_features = lambda **tokens: texts.append(len(tokens["input_ids"])) or real(**tokens)
    model.heatmap(noise(), "red mug")
    model.heatmap(noise(), "red mug")
    assert texts == expected


def test_siglip_patches_are_the_pooling_heads_own(model_of):
    """With a single patch the head's attention has no choice, so a one-patch image scores as its only patch."""
    towers = model_of("siglip")._towers
    vision = towers._model.vision_model
    states = torch.randn(1, 1, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(vision.head(states)[0], vision.head(states[0][:, None])[0])
    scores = towers.score_patches(noise(48, 48), "red mug")
    assert scores.shape == (6, 6)


def test_out_of_memory_splits_the_crops(model_of, monkeypatch):
    model = model_of("clip")
    real, sizes = model._towers.score_crops, []

    def limited(image, boxes, phrases):
        sizes.append(len(boxes))
        if len(boxes) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(image, boxes, phrases)

    boxes = [(float(k), 5.0, float(k + 30), 40.0) for k in range(0, 100, 20)]
    monkeypatch.setattr(model._proposer, "propose", lambda image, limit: [Proposal(box) for box in boxes])
    monkeypatch.setattr(model._towers, "score_crops", limited)
    (found,) = model.detect([noise()], ["mug"], threshold=0.0)
    assert sizes[0] == 5
    assert max(sizes[1:]) <= 3
    assert found


class Pointed:
    """A segmenter: the quarter of the image that a point is in, and a poor alternative."""

    closed = False

    def at_points(self, image_rgb, points_uv):
        height, width = image_rgb.shape[:2]
        for ((u, v),) in points_uv:
            mask = np.zeros((height, width), bool)
            row, column = int(v > height / 2), int(u > width / 2)
            mask[row * height // 2 : (row + 1) * height // 2, column * width // 2 : (column + 1) * width // 2] = True
            yield MaskProposal(
                mask, 0.95, ((np.ones_like(mask), 0.99), (np.zeros_like(mask), 0.99), (mask.T if height == width else mask, 0.2))
            )

    def close(self):
        self.closed = True


@pytest.mark.parametrize(("height", "width"), [(96, 160), (160, 96), (120, 120)])
def test_points_propose_masks_once_each(height, width):
    segmenter = Pointed()
    proposer = PointProposer(segmenter, 4)
    proposals = proposer.propose(noise(height, width), 10)
    # Sixteen points, four quarters; the whole image and empty masks are no things.
    u, v = width // 2, height // 2
    expected = [(0, 0, u, v), (0, v, u, height), (u, 0, width, v), (u, v, width, height)]
    assert sorted(p.box_xyxy for p in proposals) == expected
    for proposal in proposals:
        x1, y1, x2, y2 = (int(value) for value in proposal.box_xyxy)
        assert proposal.mask.shape == (height, width)
        assert proposal.mask[y1:y2, x1:x2].all()
        assert proposal.mask.sum() == u * v
    assert len(proposer.propose(noise(height, width), 2)) == 2
    proposer.close()
    assert segmenter.closed


def test_a_grid_of_points_is_asked_in_passes(tiny_checkpoints):
    options = {"proposer": str(tiny_checkpoints("sam2")), "points_per_side": 12}
    model = build_model(str(tiny_checkpoints("clip")), device="cpu", options=options)
    network, asked = model._proposer._segmenter._model, []
    decoder = network.forward
    network.forward = lambda **inputs: asked.append(inputs["input_points"].shape[1]) or decoder(**inputs)
    model._proposer._min_quality = 0.0
    assert model._proposer.propose(noise(), 5)
    assert asked == [64, 64, 16]


@pytest.mark.parametrize("kind", KINDS)
def test_nan_is_not_nothing_there(tiny_checkpoints, kind):
    model = build_model(str(tiny_checkpoints(kind)), device="cpu")
    model._proposer.propose = lambda image, limit: [Proposal((10.0, 10.0, 60.0, 60.0))]
    with torch.no_grad():
        for name, value in model._towers._model.named_parameters():
            if "norm" in name:
                value.fill_(float("nan"))
    with pytest.raises(ModelError, match="returned NaN scores in float32 on cpu; its weights are damaged"):
        model.detect([noise()], ["red mug"])
    with pytest.raises(ModelError, match="returned NaN scores"):
        model.heatmap(noise(), "red mug")


def test_a_segmenter_as_proposer(tiny_checkpoints):
    options = {"proposer": str(tiny_checkpoints("sam2")), "points_per_side": 2}
    model = build_model(str(tiny_checkpoints("clip")), device="cpu", options=options)
    assert model.capabilities.masks
    model._proposer._min_quality = 0.0
    (found,) = model.detect([noise()], ["mug"], threshold=0.0)
    assert all(d.mask.shape == (96, 160) for d in found)
    network = weakref.ref(model._towers._model)
    model.close()
    gc.collect()
    assert network() is None
    with pytest.raises(ModelError, match="'depth-grabcut' takes no points"):
        build_model(str(tiny_checkpoints("clip")), device="cpu", options={"proposer": "depth-grabcut"})


def test_the_proposers_own_options(tiny_checkpoints):
    sam2 = str(tiny_checkpoints("sam2"))
    one = {"proposer": sam2, "points_per_side": 2, "proposer_options": {"multimask": False}}
    counts = {}
    for name, options in (("several", {**one, "proposer_options": {}}), ("one", one)):
        model = build_model(str(tiny_checkpoints("clip")), device="cpu", options=options)
        segmenter = model._proposer._segmenter
        counts[name] = [1 + len(found.alternatives) for found in segmenter.at_points(noise(), [[(40.0, 30.0)]])]
    assert counts == {"several": [3], "one": [1]}
    with pytest.raises(ModelError, match="has no option 'multimsk': did you mean 'multimask'?"):
        build_model(
            str(tiny_checkpoints("clip")), device="cpu", options={**one, "proposer_options": {"multimsk": False}}
        )


@pytest.mark.parametrize("options", [{"proposer": "depth-grabcut"}, {"compile": "no-such-backend"}])
def test_what_is_wrong_is_said_before_the_towers_are_loaded(tiny_checkpoints, monkeypatch, options):
    loaded = []
    load = Checkpoint.load
    monkeypatch.setattr(Checkpoint, "load", lambda self, auto, **k: loaded.append(auto.__name__) or load(self, auto, **k))
    with pytest.raises(ModelError, match="option '(proposer|compile)' must be"):
        build_model(str(tiny_checkpoints("clip")), device="cpu", options=options)
    assert not [name for name in loaded if "Processor" not in name and "Tokenizer" not in name]


def test_other_towers_are_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "align"}')
    checkpoint = Checkpoint("x", str(tmp_path))
    with pytest.raises(ModelError, match="'x' is a 'align', not one of clip, siglip, siglip2"):
        load_image_text(checkpoint, Placement("cpu", "float32"), Options({}, "x"))


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_runs(tiny_checkpoints, kind):
    model = build_model(str(tiny_checkpoints(kind)), device="cpu", dtype="bf16")
    assert model.heatmap(noise(), "mug").shape == (96, 160)
    assert isinstance(model.detect([noise()], ["mug"], threshold=0.0)[0], list)
