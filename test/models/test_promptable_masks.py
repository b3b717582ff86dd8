"""Every promptable segmenter, loaded by the real path from a tiny checkpoint."""

import gc
import types
import weakref

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vlm_perception.models.base import GroundingModel, PointSegmenter, Segmenter
from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.models.loading import torchvision_works
from vlm_perception.models.promptable_masks import ranked
from vlm_perception.types import ModelError

KINDS = ("sam", "sam_hq", "sam2", "sam2_video", "edgetam", "edgetam_video", "sam3_tracker", "sam3_video")
SIZES = ((96, 160), (160, 96), (120, 120))
BOX = (40, 24, 72, 60)


@pytest.fixture(scope="module")
def segmenter_of(tiny_checkpoints):
    cache = {}

    def get(kind):
        if kind not in cache:
            cache[kind] = build_segmenter(str(tiny_checkpoints(kind)), device="cpu")
        return cache[kind]

    return get


def noise(height=48, width=64, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def bright_box_image(size):
    image = np.zeros((*size, 3), np.uint8)
    x1, y1, x2, y2 = BOX
    image[y1:y2, x1:x2] = 255
    return image


class SeeingNetwork:
    """Answers with the bright region of its own input, as mask logits at a quarter of the size.

    Three proposals with rising scores: everything, nothing, the region.
    """

    def __init__(self, config):
        self.config = config
        self.seen = None

    def get_image_embeddings(self, pixel_values):
        return pixel_values

    def __call__(self, image_embeddings, input_boxes=None, input_points=None, input_labels=None, **_):
        pixel_values = image_embeddings
        self.seen = {"pixels": pixel_values, "boxes": input_boxes, "points": input_points, "labels": input_labels}
        count = (input_boxes if input_boxes is not None else input_points).shape[1]
        bright = pixel_values.mean(1, keepdim=True)
        # No blur: the tiny inputs have pixels to lose.
        middle = (bright.max() + bright.min()) / 2
        region = torch.where(bright > middle, 4.0, -4.0)[:, :, None].expand(1, 1, 1, *bright.shape[2:])
        every, none = torch.full_like(region, 4.0), torch.full_like(region, -4.0)
        masks = torch.cat([every, none, region], dim=2).expand(1, count, 3, *bright.shape[2:])
        return types.SimpleNamespace(pred_masks=masks, iou_scores=torch.tensor([[[0.2, 0.1, 1.3]]]).expand(1, count, 3))


def mask_box(mask):
    rows, columns = np.where(mask)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_prompts_and_masks_keep_their_place(tiny_checkpoints, kind, size):
    segmenter = build_segmenter(str(tiny_checkpoints(kind)), device="cpu")
    network = SeeingNetwork(segmenter._model.config)
    segmenter._model = network
    (proposal,) = segmenter.segment(bright_box_image(size), [BOX])
    pixel = max(size) / 56  # the smallest network input here
    assert mask_box(proposal.mask) == pytest.approx(BOX, abs=pixel)
    assert proposal.quality == 1.0  # clipped from 1.3
    assert [quality for _, quality in proposal.alternatives] == pytest.approx([0.2, 0.1])
    assert proposal.alternatives[0][0].all()
    assert not proposal.alternatives[1][0].any()
    bright = network.seen["pixels"][0].mean(0)
    rows, columns = torch.where(bright > (bright.max() + bright.min()) / 2)
    shown = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert network.seen["boxes"][0, 0].tolist() == pytest.approx([float(v) for v in shown], abs=1.0)
    (by_point,) = segmenter.segment_points(bright_box_image(size), [[(56, 42)]])
    u, v = (int(value) for value in network.seen["points"][0, 0, 0])
    assert bright[v, u] > bright.min()
    assert (by_point.mask == proposal.mask).all()


@pytest.mark.parametrize("kind", KINDS)
def test_one_proposal_a_box_in_order(segmenter_of, kind):
    segmenter = segmenter_of(kind)
    assert isinstance(segmenter, Segmenter)
    image = noise()
    boxes = [(10.0, 10.0, 30.0, 30.0), (0.0, 0.0, 64.0, 48.0)]
    proposals = segmenter.segment(image, boxes)
    assert len(proposals) == 2
    for proposal, box in zip(proposals, boxes, strict=True):
        assert proposal.mask.shape == (48, 64)
        assert proposal.mask.dtype == bool
        qualities = [proposal.quality, *(quality for _, quality in proposal.alternatives)]
        assert qualities == sorted(qualities, reverse=True)
        assert len(qualities) == 3
        (alone,) = segmenter.segment(image, [box])
        assert (alone.mask != proposal.mask).mean() < 0.01
    assert segmenter.segment(image, []) == []
    assert len(segmenter.segment_points(image, [[(5, 5)], [(20, 20), (30, 30)]])) == 2


@pytest.mark.parametrize(("kind", "processor_name"), [("sam", "SamProcessor"), ("sam_hq", "SamHQProcessor")])
def test_sam_equals_the_documented_call(segmenter_of, tiny_checkpoints, kind, processor_name):
    from transformers import AutoProcessor

    segmenter, image, box = segmenter_of(kind), noise(48, 80), [10.0, 5.0, 60.0, 40.0]
    processor = AutoProcessor.from_pretrained(str(tiny_checkpoints(kind)))
    assert type(processor).__name__ == processor_name
    inputs = processor(image, input_boxes=[[box]], return_tensors="pt")
    with torch.no_grad():
        output = segmenter._model(
            pixel_values=inputs["pixel_values"], input_boxes=inputs["input_boxes"].float(), multimask_output=True
        )
    (masks,) = processor.image_processor.post_process_masks(
        output.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"]
    )
    (ours,) = segmenter.segment(image, [tuple(box)])
    expected = ranked(masks[0].numpy(), output.iou_scores[0, 0].numpy())
    assert ours.quality == pytest.approx(expected.quality, abs=1e-6)
    assert (ours.mask == expected.mask).mean() > 0.999


@pytest.mark.skipif(not torchvision_works(), reason="Sam2Processor needs a torchvision that matches torch")
def test_sam2_equals_the_documented_call(segmenter_of, tiny_checkpoints):
    from transformers import Sam2ImageProcessor, Sam2Processor

    segmenter, image, box = segmenter_of("sam2"), noise(48, 80), [10.0, 5.0, 60.0, 40.0]
    processor = Sam2Processor(Sam2ImageProcessor.from_pretrained(str(tiny_checkpoints("sam2"))))
    inputs = processor(images=image, input_boxes=[[box]], return_tensors="pt")
    prepared = segmenter._prepare(image)
    assert (prepared.pixels - inputs["pixel_values"]).abs().max() < 0.02  # one step of 8 bits
    with torch.no_grad():
        output = segmenter._model(**{k: v for k, v in inputs.items() if k != "original_sizes"})
    masks = processor.post_process_masks(output.pred_masks, inputs["original_sizes"])[0]
    (ours,) = segmenter.segment(image, [tuple(box)])
    expected = ranked(masks[0].numpy(), output.iou_scores[0, 0].numpy())
    assert ours.quality == pytest.approx(expected.quality, abs=1e-3)
    assert (ours.mask == expected.mask).mean() > 0.99


def test_ranked_keeps_the_alternatives():
    masks = np.zeros((3, 2, 2), bool)
    masks[1, 0, 0] = True
    proposal = ranked(masks, np.array([0.1, 0.9, -0.2], np.float32))
    assert proposal.mask[0, 0]
    assert proposal.quality == pytest.approx(0.9)
    assert [quality for _, quality in proposal.alternatives] == pytest.approx([0.1, 0.0])


def test_single_mask_and_sam_hq_options(tiny_checkpoints):
    one = build_segmenter(str(tiny_checkpoints("sam")), device="cpu", options={"multimask": False})
    assert one.segment(noise(), [(1, 1, 20, 20)])[0].alternatives == ()
    hq = build_segmenter(str(tiny_checkpoints("sam_hq")), device="cpu", options={"hq_token_only": True})
    assert hq.segment(noise(), [(1, 1, 20, 20)])[0].alternatives == ()
    with pytest.raises(ModelError, match="has no option 'multimasks': did you mean 'multimask'"):
        build_segmenter(str(tiny_checkpoints("sam")), device="cpu", options={"multimasks": False})


def test_out_of_memory_splits_the_boxes(tiny_checkpoints):
    segmenter = build_segmenter(str(tiny_checkpoints("sam2")), device="cpu")
    real, asked = segmenter._model.forward, []

    def limited(**inputs):
        asked.append(inputs["input_boxes"].shape[1])
        if asked[-1] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(**inputs)

    segmenter._model.forward = limited
    proposals = segmenter.segment(noise(), [(1, 1, 20, 20), (5, 5, 30, 30), (2, 2, 9, 9)])
    assert len(proposals) == 3
    assert asked == [3, 1, 2, 1, 1]


@pytest.mark.parametrize("kind", ["sam", "sam_hq", "sam2", "edgetam", "sam3_tracker"])
def test_many_points_are_asked_in_passes_over_one_encoded_image(tiny_checkpoints, monkeypatch, kind):
    segmenter = build_segmenter(str(tiny_checkpoints(kind)), device="cpu")
    encoder, decoder = segmenter._model.vision_encoder.forward, segmenter._model.forward
    encoded, asked = [], []
    monkeypatch.setattr(segmenter._model.vision_encoder, "forward", lambda *a, **k: encoded.append(1) or encoder(*a, **k))
    monkeypatch.setattr(
        segmenter._model, "forward", lambda **k: asked.append(k["input_points"].shape[1]) or decoder(**k)
    )
    image, points = noise(), [[(float(u), float(v))] for v in range(2, 48, 4) for u in range(2, 64, 5)]
    found = segmenter.segment_points(image, points)
    assert len(points) == 156
    assert asked == [64, 64, 28]
    assert encoded == [1]
    for index in (0, 63, 64, 155):
        (alone,) = segmenter.segment_points(image, [points[index]])
        assert alone.quality == pytest.approx(found[index].quality, abs=1e-5)
        assert (alone.mask != found[index].mask).mean() < 0.01
    assert isinstance(segmenter, PointSegmenter)


def test_large_images_are_asked_of_fewer_points_together(tiny_checkpoints, monkeypatch):
    """Masks at 4000 x 3000 are 144 MB a point as the network's numbers."""
    segmenter = build_segmenter(str(tiny_checkpoints("sam2")), device="cpu")
    asked = []
    decoder = segmenter._model.forward
    monkeypatch.setattr(
        segmenter._model, "forward", lambda **k: asked.append(k["input_points"].shape[1]) or decoder(**k)
    )
    image = np.zeros((3000, 4000, 3), np.uint8)
    points = segmenter.at_points(image, [[(10.0, 10.0)], [(2000.0, 1500.0)], [(3900.0, 2900.0)]])
    assert next(points).mask.shape == (3000, 4000)
    assert asked == [1]  # the others are not worked out before they are wanted


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_nan_is_no_empty_mask(tiny_checkpoints, kind):
    segmenter = build_segmenter(str(tiny_checkpoints(kind)), device="cpu")
    break_norms(segmenter._model)
    with pytest.raises(ModelError, match=r"returned NaN masks in float32 on cpu; its weights are damaged: copy or download"):
        segmenter.segment(noise(), [(1, 1, 20, 20)])
    half = build_segmenter(str(tiny_checkpoints(kind)), device="cpu", dtype="bf16")
    break_norms(half._model)
    with pytest.raises(ModelError, match="returned NaN masks in bfloat16 on cpu; try dtype:=float32; if"):
        half.segment_points(noise(), [[(1, 1)]])


def test_nan_is_not_nothing_there(tiny_checkpoints):
    model = build_model(str(tiny_checkpoints("sam3")), device="cpu")
    break_norms(model._model)
    with pytest.raises(ModelError, match="returned NaN scores"):
        model.detect([noise()], ["mug"])


def break_norms(network):
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "norm" in name:
                value.fill_(float("nan"))


def test_boxes_alone_are_no_grounder(tiny_checkpoints):
    with pytest.raises(ModelError, match="turns boxes into masks and knows no phrases"):
        build_model(str(tiny_checkpoints("sam")))


def test_processor_configuration_without_size(tiny_checkpoints, tmp_path):
    import shutil

    folder = tmp_path / "broken"
    shutil.copytree(tiny_checkpoints("sam2"), folder)
    (folder / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ModelError, match="lacks size, image_mean or image_std"):
        build_segmenter(str(folder), device="cpu")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="cannot load"):
        build_segmenter(str(folder), device="cpu")


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_close_frees_the_network(tiny_checkpoints, kind):
    segmenter = build_segmenter(str(tiny_checkpoints(kind)), device="cpu", dtype="bfloat16")
    segmenter.segment(noise(), [(1, 1, 20, 20)])
    network = weakref.ref(segmenter._model)
    segmenter.close()
    segmenter.close()
    gc.collect()
    assert network() is None
    with pytest.raises(ModelError, match="is closed"):
        segmenter.segment(noise(), [(1, 1, 20, 20)])


# --------------------------------------------------------------------------- SAM 3 with phrases


def test_one_checkpoint_of_sam3_is_model_and_segmenter(tiny_checkpoints):
    """As the hub has it: each role takes its own weights out of it, and none is made up."""
    folder = tiny_checkpoints("sam3_video")
    saved = load_file(folder / "model.safetensors")
    model, segmenter = build_model(str(folder), device="cpu"), build_segmenter(str(folder), device="cpu")
    detector, tracker = model._model.state_dict(), segmenter._model.state_dict()
    for name, value in detector.items():
        assert torch.equal(value, saved[f"detector_model.{name}"]), name
    for name, value in tracker.items():
        stored = f"tracker_model.{name}"
        if name.startswith("vision_encoder.neck."):
            stored = name.replace("vision_encoder.neck.", "tracker_neck.")
        elif name.startswith("vision_encoder."):
            stored = f"detector_model.{name}"
        elif name.startswith("shared_image_embedding.") and stored not in saved:
            stored = "tracker_model.prompt_encoder.shared_embedding.positional_embedding"
        assert torch.equal(value, saved[stored]), name
    assert len(tracker) > 100


@pytest.mark.parametrize("kind", ["sam3", "sam3_video"])
def test_concepts_give_boxes_and_masks(tiny_checkpoints, kind):
    model = build_model(str(tiny_checkpoints(kind)), device="cpu")
    assert isinstance(model, GroundingModel)
    assert model.capabilities.masks
    results = model.detect([noise(), noise(64, 48)], ["red mug", "plate"], threshold=0.0)
    for image, found in zip([(48, 64), (64, 48)], results, strict=True):
        assert {d.phrase for d in found} == {"red mug", "plate"}
        for d in found:
            assert d.mask.shape == image
            assert 0 <= d.box_xyxy[0] < d.box_xyxy[2] <= image[1]
    assert model.detect([noise()], []) == [[]]
    calls = []
    real = model._model.get_text_features
    model._model.get_text_features = lambda **inputs: calls.append(1) or real(**inputs)
    model.detect([noise()], ["red mug", "bowl"])
    assert len(calls) == 1  # "red mug" was embedded before


@pytest.mark.parametrize("size", SIZES)
def test_concepts_agree_with_the_librarys_post_processing(tiny_checkpoints, size):
    import importlib

    model = build_model(str(tiny_checkpoints("sam3")), device="cpu")
    logits = torch.tensor([[3.0, -0.2, -5.0]])
    boxes = torch.tensor([[[0.1, 0.2, 0.5, 0.6], [0.3, 0.3, 0.9, 0.8], [0.0, 0.0, 1.0, 1.0]]])
    masks = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 4
    output = types.SimpleNamespace(
        pred_logits=logits, pred_boxes=boxes, pred_masks=masks, presence_logits=torch.tensor([[2.0]])
    )
    real = model._model

    class Network:
        vision_encoder = staticmethod(lambda pixels: None)
        get_text_features = real.get_text_features

        def __call__(self, **_):
            return output

    model._model = Network()
    (found,) = model.detect([np.zeros((*size, 3), np.uint8)], ["mug"])
    # The library's class imports torchvision with its module, so its four documented steps are restated.
    scores = logits.sigmoid() * torch.tensor(2.0).sigmoid()
    keep = scores[0] > 0.3
    assert int(keep.sum()) == len(found) == 2
    scale = torch.tensor([size[1], size[0], size[1], size[0]])
    np.testing.assert_allclose([d.box_xyxy for d in found], (boxes[0][keep] * scale).numpy(), rtol=1e-5)
    np.testing.assert_allclose([d.score for d in found], scores[0][keep].numpy(), rtol=1e-5)
    expected = torch.nn.functional.interpolate(
        masks.sigmoid()[0][keep][None], size=size, mode="bilinear", align_corners=False
    )[0]
    assert all((d.mask == (m > 0.5).numpy()).all() for d, m in zip(found, expected, strict=True))
    if torchvision_works():
        library = importlib.import_module("transformers.models.sam3.image_processing_sam3")
        theirs = library.Sam3ImageProcessor().post_process_instance_segmentation(output, target_sizes=[size])[0]
        np.testing.assert_allclose([d.box_xyxy for d in found], theirs["boxes"].numpy(), rtol=1e-5)
        assert all((d.mask == m.bool().numpy()).all() for d, m in zip(found, theirs["masks"], strict=True))
