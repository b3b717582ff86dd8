"""Every class of the family, loaded by the real path from a tiny checkpoint."""

import gc
import importlib
import json
import shutil
import types
import weakref

import numpy as np
import pytest
import torch

from vlm_perception.models.base import GroundingModel
from vlm_perception.models.factory import build_model
from vlm_perception.types import ModelError

KINDS = ("grounding-dino", "mm-grounding-dino", "owlvit", "owlv2", "omdet-turbo")
SIZES = ((96, 160), (160, 96), (120, 120))  # (height, width)
BOX = (40, 24, 72, 60)


def noise(height=96, width=160, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def bright_box_image(size, box=BOX):
    image = np.zeros((*size, 3), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 255
    return image


def seen_box(pixel_values, pixel_mask=None):
    """Where the bright rectangle is in the network's own input, as cxcywh fractions of what it sees."""
    brightness = pixel_values[0].float().mean(0)
    height, width = brightness.shape
    if pixel_mask is not None:
        height, width = int(pixel_mask[0].any(1).sum()), int(pixel_mask[0].any(0).sum())
    rows, columns = torch.where(brightness > (brightness.max() + brightness.min()) / 2)
    x1, x2 = columns.min() / width, (columns.max() + 1) / width
    y1, y2 = rows.min() / height, (rows.max() + 1) / height
    return torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])


def make_it_see(monkeypatch, model, logits_of):
    """Let the network answer with the rectangle that its own input shows.

    ``logits_of(queries, columns)`` gives the logits; everything around the network stays real.
    """
    parts = model._head._parts
    network = parts.model
    kind = network.config.model_type
    if kind.startswith("owl"):
        state = {}

        def embed_image(pixel_values, **_):
            state["box"] = seen_box(pixel_values)
            return torch.zeros(len(pixel_values), 1, 2, 16), None

        monkeypatch.setattr(network, "image_embedder", embed_image)
        monkeypatch.setattr(network, "box_predictor", lambda *_: state["box"].expand(1, 2, 4))
        monkeypatch.setattr(
            network, "class_predictor", lambda features, queries, mask: (logits_of(2, queries.shape[1])[None], None)
        )
        return

    def forward(**inputs):
        if kind == "omdet-turbo":
            count = int(inputs["classes_structure"][0])
            box = seen_box(inputs["pixel_values"])  # this network knows no pixel mask
            return types.SimpleNamespace(
                decoder_class_logits=logits_of(2, count)[None], decoder_coord_logits=box.expand(1, 2, 4)
            )
        box = seen_box(inputs["pixel_values"], inputs.get("pixel_mask"))
        return types.SimpleNamespace(
            logits=logits_of(2, inputs["input_ids"].shape[1])[None], pred_boxes=box.expand(1, 2, 4)
        )

    object.__setattr__(parts, "model", forward)


@pytest.mark.parametrize("kind", KINDS)
def test_loads_and_detects_inside_every_image(model_of, kind):
    model = model_of(kind)
    assert isinstance(model, GroundingModel)
    assert model.capabilities.detects
    assert model.capabilities.vocabulary is None
    images = [noise(96, 160), noise(96, 160, seed=1), noise(160, 96, seed=2)]
    results = model.detect(images, ["red mug", "the Plate."], threshold=0.0)
    assert len(results) == len(images)
    for image, found in zip(images, results, strict=True):
        assert {d.phrase for d in found} == {"red mug", "the Plate."}
        assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)
        for d in found:
            x1, y1, x2, y2 = d.box_xyxy
            assert 0 <= x1 < x2 <= image.shape[1]
            assert 0 <= y1 < y2 <= image.shape[0]
            assert 0 < d.score <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_gives_what_single_images_give(model_of, kind):
    model = model_of(kind)
    images = [noise(96, 160), noise(160, 96, seed=1), noise(96, 160, seed=2)]
    together = model.detect(images, ["red mug", "plate"], threshold=0.0)
    for image, found in zip(images, together, strict=True):
        (alone,) = model.detect([image], ["red mug", "plate"], threshold=0.0)
        assert len(alone) == len(found)
        np.testing.assert_allclose(
            [d.score for d in alone], [d.score for d in found], atol=1e-4
        )


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_asked_or_nothing_seen(model_of, kind):
    model = model_of(kind)
    assert model.detect([], ["mug"]) == []
    assert model.detect([noise()], []) == [[]]
    assert model.detect([noise()], ["", " .?! "]) == [[]]


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_images_are_refused(model_of, kind):
    for image in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ModelError, match=r"image 0 must be \(H, W, 3\) uint8"):
            model_of(kind).detect([image], ["mug"])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_network_sees_comes_back_in_camera_pixels(tiny_checkpoints, monkeypatch, kind, size):
    """A rectangle found in the network's own input must come back where the camera saw it.

    One pixel of the tiny networks' inputs (48 or 64 wide) is the most that resizing may cost.
    """
    model = build_model(str(tiny_checkpoints(kind)), device="cpu")
    make_it_see(monkeypatch, model, lambda queries, columns: torch.full((queries, columns), 3.0))
    (found,) = model.detect([bright_box_image(size)], ["mug"], threshold=0.5)
    assert len(found) == 1
    one_pixel = max(size) / 48
    np.testing.assert_allclose(found[0].box_xyxy, BOX, atol=one_pixel)


def library_output(kind, logits, boxes, input_ids=None, phrases=1):
    if kind == "omdet-turbo":
        return types.SimpleNamespace(
            decoder_class_logits=logits, decoder_coord_logits=boxes, classes_structure=torch.tensor([phrases])
        )
    return types.SimpleNamespace(logits=logits, pred_boxes=boxes, input_ids=input_ids)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_the_librarys_post_processing(tiny_checkpoints, monkeypatch, kind, size):
    """One one-word phrase, boxes far apart: both must give the same boxes and scores."""
    from transformers import AutoProcessor

    folder = str(tiny_checkpoints(kind))
    model = build_model(folder, device="cpu")
    logits = torch.tensor([[[2.0], [0.5], [-4.0]]])
    boxes = torch.tensor([[[0.2, 0.2, 0.1, 0.2], [0.45, 0.45, 0.2, 0.1], [0.5, 0.5, 0.2, 0.2]]])
    parts = model._head._parts
    target = [size]
    if kind in ("owlvit", "owlv2"):
        monkeypatch.setattr(parts.model, "image_embedder", lambda **_: (torch.zeros(1, 1, 3, 16), None))
        monkeypatch.setattr(parts.model, "box_predictor", lambda *_: boxes)
        monkeypatch.setattr(parts.model, "class_predictor", lambda *_: (logits, None))
        theirs = AutoProcessor.from_pretrained(folder).post_process_grounded_object_detection(
            library_output(kind, logits, boxes), threshold=0.3, target_sizes=target
        )[0]
    elif kind == "omdet-turbo":
        library = importlib.import_module("transformers.models.omdet_turbo.processing_omdet_turbo")

        monkeypatch.setattr(library, "batched_nms", lambda b, s, *_: torch.argsort(-s), raising=False)
        object.__setattr__(parts, "model", lambda **_: library_output(kind, logits, boxes))
        scores, labels = library.compute_score(logits)
        found = library._post_process_boxes_for_image(
            boxes[0], scores[0], labels, 1, size, threshold=0.3, nms_threshold=0.5
        )
        theirs = {"boxes": found[0], "scores": found[1]}
    else:
        ids = parts.tokenizer("mug.", return_tensors="pt")["input_ids"]
        wide = torch.full((1, 3, ids.shape[1]), -9.0)
        wide[:, :, 1:2] = logits  # [CLS] mug . [SEP]
        object.__setattr__(parts, "model", lambda **_: library_output(kind, wide, boxes, ids))
        theirs = AutoProcessor.from_pretrained(folder).post_process_grounded_object_detection(
            library_output(kind, wide, boxes, ids), threshold=0.3, text_threshold=0.25, target_sizes=target
        )[0]
        assert theirs["text_labels"] == ["mug", "mug"]
    (ours,) = model.detect([np.zeros((*size, 3), np.uint8)], ["mug"], threshold=0.3)
    np.testing.assert_allclose([d.score for d in ours], theirs["scores"].numpy(), atol=1e-6)
    expected = theirs["boxes"].numpy()
    expected[:, 0::2] = expected[:, 0::2].clip(0, size[1])
    expected[:, 1::2] = expected[:, 1::2].clip(0, size[0])
    np.testing.assert_allclose([d.box_xyxy for d in ours], expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["grounding-dino", "mm-grounding-dino"])
def test_inputs_are_the_librarys_own_grounding_dino(model_of, tiny_checkpoints, kind):
    from transformers import AutoProcessor

    parts = model_of(kind)._head._parts
    theirs = AutoProcessor.from_pretrained(str(tiny_checkpoints(kind)))(
        images=noise(), text=[["Red mug", "plate"]], return_tensors="pt"
    )
    from vlm_perception.models.prompts import grounding_caption

    caption, _ = grounding_caption(["Red mug", "plate"])
    ours = parts.tokenizer([caption], return_tensors="pt", return_token_type_ids=True)
    assert torch.equal(ours["input_ids"], theirs["input_ids"])
    assert torch.equal(ours["token_type_ids"], theirs["token_type_ids"])
    assert torch.equal(parts.pixels([noise()])["pixel_values"], theirs["pixel_values"])


@pytest.mark.parametrize("kind", ["owlvit", "owlv2"])
def test_owl_equals_the_documented_call(model_of, tiny_checkpoints, kind):
    """Cached text embeddings and split forward against processor + model as the documentation has it."""
    from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

    folder = str(tiny_checkpoints(kind))
    processor = AutoProcessor.from_pretrained(folder)
    network = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    labels = [["a photo of a red mug", "a photo of a plate"]]
    inputs = processor(text=labels, images=noise(), return_tensors="pt", truncation=True, max_length=16)
    with torch.no_grad():
        output = network(**inputs)
    (ours,) = model_of(kind)._head.forward([noise()], ["red mug", "plate"])
    np.testing.assert_allclose(ours.scores, output.logits[0].sigmoid().numpy(), atol=1e-5)
    np.testing.assert_allclose(ours.boxes_cxcywh, output.pred_boxes[0].numpy(), atol=1e-5)


def test_omdet_equals_the_documented_call(model_of, tiny_checkpoints):
    from transformers import AutoModelForZeroShotObjectDetection

    module = importlib.import_module("transformers.models.omdet_turbo.processing_omdet_turbo")
    folder = str(tiny_checkpoints("omdet-turbo"))
    head = model_of("omdet-turbo")._head
    processor = object.__new__(module.OmDetTurboProcessor)  # its constructor asks for torchvision
    processor.image_processor, processor.tokenizer = head._parts.image_processor, head._parts.tokenizer
    classes = ["red mug", "plate"]
    inputs = processor(noise(), text=classes, task="Detect red mug, plate.", return_tensors="pt")
    network = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    names = ("pixel_values", "classes_structure", "classes_input_ids", "classes_attention_mask",
             "tasks_input_ids", "tasks_attention_mask")  # fmt: skip
    with torch.no_grad():
        output = network(**{name: inputs[name] for name in names})
    (ours,) = head.forward([noise()], classes)
    np.testing.assert_allclose(ours.scores, output.decoder_class_logits[0].sigmoid().numpy(), atol=1e-5)
    np.testing.assert_allclose(ours.boxes_cxcywh, output.decoder_coord_logits[0].numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["owlvit", "owlv2"])
def test_a_phrase_is_embedded_once(tiny_checkpoints, monkeypatch, kind):
    model = build_model(str(tiny_checkpoints(kind)), device="cpu")
    towers, seen = model._head._towers, []
    real = towers.get_text_features

    def counting(**inputs):
        seen.append(len(inputs["input_ids"]))
        return real(**inputs)

    monkeypatch.setattr(towers, "get_text_features", counting)
    first = model.detect([noise()], ["red mug", "plate"], threshold=0.0)
    again = model.detect([noise()], ["plate", "red mug", "bowl"], threshold=0.0)
    assert seen == [2, 1]
    by_phrase = {d.phrase: d.score for d in again[0][::-1]}
    assert {d.phrase: d.score for d in first[0][::-1]} == pytest.approx(
        {phrase: by_phrase[phrase] for phrase in ("red mug", "plate")}, abs=1e-6
    )


def test_omdet_embeds_a_phrase_once(tiny_checkpoints, monkeypatch):
    model = build_model(str(tiny_checkpoints("omdet-turbo")), device="cpu")
    backbone = model._head._parts.model.language_backbone
    seen = []
    real = backbone.forward

    def counting(hidden_states, **kwargs):
        seen.append((kwargs["encode_type"], len(hidden_states)))
        return real(hidden_states, **kwargs)

    monkeypatch.setattr(backbone, "forward", counting)
    model.detect([noise()], ["red mug", "plate"])
    model.detect([noise()], ["red mug", "plate"])
    assert seen == [("class", 2), ("task", 1)]


def test_long_lists_go_in_several_prompts(model_of):
    """The tiny text encoder reads 40 tokens; more phrases than fit are asked in turns, none is lost."""
    model = model_of("grounding-dino")
    phrases = [f"{color} {thing}" for color in ("red", "green", "blue", "white") for thing in
               ("mug", "plate", "bowl", "book", "soup")]  # fmt: skip
    assert len(model._head.groups(phrases)) > 1
    (found,) = model.detect([noise()], phrases, threshold=0.0)
    assert {d.phrase for d in found} == set(phrases)


def test_a_phrase_longer_than_the_text_encoder_is_refused(model_of):
    with pytest.raises(ModelError, match="tokens, the model reads 38: shorten it"):
        model_of("grounding-dino").detect([noise()], ["red " * 60 + "mug"])


def test_checkpoint_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="model_type 'bert'"):
        build_model(str(tmp_path))


def test_file_beside_the_weights_sets_threshold_and_vocabulary(tiny_checkpoints, tmp_path):
    folder = tmp_path / "with-file"
    shutil.copytree(tiny_checkpoints("omdet-turbo"), folder)
    (folder / "tabletop.json").write_text(
        json.dumps({"score_threshold": 0.42, "vocabulary": ["Red mug", "plate"], "phrase_thresholds": {"plate": 0.9}})
    )
    model = build_model(str(folder), device="cpu", options={"threshold_file": "tabletop.json"})
    assert model.default_threshold == 0.42
    assert model.capabilities.vocabulary == {"red", "mug", "plate"}
    phrases = {d.phrase for d in model.detect([noise()], ["red mug", "plate"])[0]}
    assert "plate" not in phrases
    overridden = build_model(
        str(folder), device="cpu", options={"threshold_file": "tabletop.json", "threshold": 0.1}
    )
    assert overridden.default_threshold == 0.1


def test_broken_files_are_named(tiny_checkpoints, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(tiny_checkpoints("owlv2"), folder)
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match=r"cannot load .*broken"):
        build_model(str(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"holds: config.json"):
        build_model(str(folder))
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"cannot read .*config\.json"):
        build_model(str(folder))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tresh": 1}, "did you mean 'threshold'"),
        ({"threshold": 2.0}, r"must be a number in \[0, 1\], got 2.0"),
        ({"nms_iou": "x"}, "'nms_iou' must be a number"),
        ({"calibrated": 1}, "must be true or false"),
        ({"phrase_thresholds": [1]}, "must be a mapping from phrases to a number"),
        ({"load_in_4bit": True}, "needs a CUDA GPU"),
        ({"load_in_4bit": True, "load_in_8bit": True}, "exclude each other"),
    ],
)
def test_wrong_options_are_refused(tiny_checkpoints, options, message):
    with pytest.raises(ModelError, match=message):
        build_model(str(tiny_checkpoints("owlv2")), device="cpu", options=options)


class _OutOfMemory:
    """Raises for batches larger than ``fits``."""

    def __init__(self, real, fits):
        self.real, self.fits, self.asked = real, fits, []

    def __call__(self, images, phrases):
        self.asked.append((len(images), len(phrases)))
        if len(images) * len(phrases) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.real(images, phrases)


def test_out_of_memory_is_retried_in_halves(tiny_checkpoints, monkeypatch):
    model = build_model(str(tiny_checkpoints("owlv2")), device="cpu")
    images = [noise(seed=seed) for seed in range(4)]
    expected = model.detect(images, ["mug"], threshold=0.0)
    limited = _OutOfMemory(model._head.forward, fits=1)
    monkeypatch.setattr(model._head, "forward", limited)
    found = model.detect(images, ["mug"], threshold=0.0)
    assert limited.asked == [(4, 1), (2, 1), (1, 1), (1, 1), (2, 1), (1, 1), (1, 1)]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose([d.score for d in ours], [d.score for d in theirs], atol=1e-5)


def test_out_of_memory_on_one_image_splits_the_phrases(tiny_checkpoints, monkeypatch):
    model = build_model(str(tiny_checkpoints("owlv2")), device="cpu")
    (expected,) = model.detect([noise()], ["mug", "plate"], threshold=0.0)
    limited = _OutOfMemory(model._head.forward, fits=1)
    monkeypatch.setattr(model._head, "forward", limited)
    (found,) = model.detect([noise()], ["mug", "plate"], threshold=0.0)
    assert limited.asked == [(1, 2), (1, 1), (1, 1)]
    np.testing.assert_allclose([d.score for d in found], [d.score for d in expected], atol=1e-5)


def test_out_of_memory_for_good_says_what_to_do_and_keeps_nothing(tiny_checkpoints, monkeypatch):
    model = build_model(str(tiny_checkpoints("owlv2")), device="cpu")
    kept = []

    def forward(images, phrases):
        big = torch.zeros(1000)
        kept.append(weakref.ref(big))
        raise torch.OutOfMemoryError("CUDA out of memory")

    real = model._head.forward
    monkeypatch.setattr(model._head, "forward", forward)
    with pytest.raises(ModelError, match="ran out of memory even on its smallest batch"):
        model.detect([noise()], ["mug"])
    assert len(kept) == 2
    assert all(reference() is None for reference in kept)
    monkeypatch.setattr(model._head, "forward", real)
    assert model.detect([noise()], ["mug"], threshold=0.0)[0]  # the next frame works


def test_nan_scores_are_an_error(tiny_checkpoints, monkeypatch):
    model = build_model(str(tiny_checkpoints("owlv2")), device="cpu")
    monkeypatch.setattr(
        model._head._parts.model, "class_predictor", lambda *_: (torch.full((1, 9, 1), float("nan")), None)
    )
    with pytest.raises(ModelError, match="NaN scores in float32 on cpu"):
        model.detect([noise()], ["mug"])


@pytest.mark.parametrize("kind", KINDS)
def test_close_frees_the_network(tiny_checkpoints, kind):
    model = build_model(str(tiny_checkpoints(kind)), device="cpu")
    model.detect([noise()], ["mug"])
    network = weakref.ref(model._head._parts.model)
    model.close()
    model.close()
    gc.collect()
    assert network() is None
    with pytest.raises(ModelError, match="is closed"):
        model.detect([noise()], ["mug"])


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_runs(tiny_checkpoints, kind):
    model = build_model(str(tiny_checkpoints(kind)), device="cpu", dtype="bf16")
    (found,) = model.detect([noise()], ["mug", "plate"], threshold=0.0)
    assert found
