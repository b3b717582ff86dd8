"""Checkpoints that are not whole say so when they are loaded, instead of answering at random."""

import shutil

import pytest
from safetensors.torch import load_file, save_file

from vlm_perception.models.factory import build_model, build_segmenter
from vlm_perception.types import ModelError

WITH_WORDS = (
    "grounding-dino", "owlv2", "omdet-turbo", "clipseg", "clip", "siglip", "siglip2", "sam3", "florence2", "kosmos-2",
    "paligemma", "qwen3_vl", "internvl", "molmo2", "llava",
)  # fmt: skip


@pytest.fixture
def copied(tiny_checkpoints, tmp_path):
    """``copied(kind)`` -> a copy of a tiny checkpoint that may be damaged."""

    def copy(kind):
        return shutil.copytree(tiny_checkpoints(kind), tmp_path / kind)

    return copy


def without(folder, drops):
    """Drop those weights of a checkpoint whose name ``drops`` says true to; how many."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    kept = {name: value for name, value in weights.items() if not drops(name)}
    save_file(kept, path, metadata={"format": "pt"})
    return len(weights) - len(kept)


def is_vocabulary(name):
    return "token" in name or name in ("vocab.json", "merges.txt", "vocab.txt")


@pytest.mark.parametrize(
    ("kind", "build"),
    [
        ("owlvit", build_model),
        ("omdet-turbo", build_model),
        ("clipseg", build_model),
        ("siglip", build_model),
        ("sam", build_segmenter),
        ("sam2_video", build_segmenter),
        ("sam3", build_model),
        ("florence2", build_model),
        ("qwen3_vl", build_model),
    ],
)
def test_missing_weights_are_named(copied, kind, build):
    folder = copied(kind)
    assert without(folder, lambda name: "layers.0" in name or "blocks.0" in name) > 3
    with pytest.raises(ModelError, match=rf"cannot load '.*{kind}': its files lack \d+ of the \d+ weights of \w+ \(.*0.*\)"):
        build(str(folder), device="cpu", dtype="bfloat16")


def test_one_missing_weight_is_named_with_the_way_out(copied):
    folder = copied("owlvit")
    assert without(folder, lambda name: name == "class_head.dense0.weight") == 1
    with pytest.raises(ModelError, match=r"lack 1 of .*\(class_head.dense0.weight\).*Copy or download that folder again"):
        build_model(str(folder), device="cpu")


@pytest.mark.parametrize("allowed", ["class_head", ["class_head.dense0", "objectness"]])
def test_weights_that_the_network_does_without_may_be_missing(copied, allowed):
    folder = copied("owlvit")
    without(folder, lambda name: name == "class_head.dense0.weight")
    build_model(str(folder), device="cpu", options={"missing_weights": allowed})
    without(folder, lambda name: name.startswith("box_head.dense0"))
    with pytest.raises(ModelError, match=r"lack 2 of .*\(box_head.dense0.bias, box_head.dense0.weight\).*'missing_weights'"):
        build_model(str(folder), device="cpu", options={"missing_weights": allowed})


def test_what_the_class_itself_does_without_may_be_missing(copied):
    """Grounding DINO takes the stages of its Swin, not what follows them; public checkpoints hold no norm of that."""
    folder = copied("grounding-dino")
    assert without(folder, lambda name: "swin.layernorm" in name) == 2
    build_model(str(folder), device="cpu")


def test_running_means_count_and_counters_do_not(copied):
    folder = copied("omdet-turbo")
    assert without(folder, lambda name: name.endswith("num_batches_tracked"))
    build_model(str(folder), device="cpu")
    gone = without(folder, lambda name: name.endswith("running_mean"))
    with pytest.raises(ModelError, match=rf"its files lack {gone} of the .*running_mean"):
        build_model(str(folder), device="cpu")


@pytest.mark.parametrize("kind", ["grounding-dino", "florence2", "paligemma"])
def test_tied_weights_are_not_missing(copied, kind):
    """Each is saved once, under one of its names; which, is the saver's choice."""
    folder = copied(kind)
    model = build_model(str(folder), device="cpu")
    network = model._head._parts.model if kind == "grounding-dino" else model._model
    saved = set(load_file(folder / "model.safetensors"))
    assert {name for name, _ in network.named_parameters(remove_duplicate=False)} - saved


def test_a_detector_of_sam3_is_no_segmenter(tiny_checkpoints):
    """Its weights hold no tracker, which is what takes boxes; all of it used to be random."""
    with pytest.raises(ModelError, match="'.*sam3' .*detector alone.*phrases.*'sam3_video'"):
        build_segmenter(str(tiny_checkpoints("sam3")), device="cpu")


@pytest.mark.parametrize("kept", [(), ("tokenizer_config.json",)])
@pytest.mark.parametrize("kind", WITH_WORDS)
def test_a_missing_tokenizer_is_named(copied, kind, kept):
    folder = copied(kind)
    gone = [path for path in folder.iterdir() if is_vocabulary(path.name) and path.name not in kept]
    assert gone
    for path in gone:
        path.unlink()
    with pytest.raises(ModelError, match=r"its tokenizer .* is missing, so it would know no word.*folder holds: .*config"):
        build_model(str(folder), device="cpu")


def test_weights_of_another_size_are_named(copied):
    folder = copied("owlvit")
    weights = load_file(folder / "model.safetensors")
    weights["class_head.dense0.weight"] = weights["class_head.dense0.weight"][:1].clone()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    message = r"'class_head.dense0.weight' is \(1, 16\) in its files and \(16, 16\) in OwlViTForObjectDetection"
    with pytest.raises(ModelError, match=message):
        build_model(str(folder), device="cpu")


def test_a_cut_file_of_weights_is_named(copied):
    path = copied("owlvit") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="a file of weights is damaged or cut off .* Copy or download it again"):
        build_model(str(path.parent), device="cpu")
