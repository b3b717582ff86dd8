"""What is in the hub's cache is used without the network when it is whole, and is not called whole when it is not."""

import json
import shutil

import pytest

from vlm_perception.models import detection_head, factory, two_stage
from vlm_perception.models.factory import availability, build_model, build_segmenter
from vlm_perception.models.hub_cache import lacking_files
from vlm_perception.models.loading_errors import CheckpointError
from vlm_perception.models.registry import load_registry
from vlm_perception.types import ModelError


@pytest.fixture
def cached(tiny_checkpoints, tmp_path, monkeypatch):
    """``cached(hub_id, kind, drop)``: a tiny checkpoint in a cache of its own, as an interrupted download leaves it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    def put(hub_id, kind, drop=()):
        repository = tmp_path / f"models--{hub_id.replace('/', '--')}"
        snapshot = repository / "snapshots" / "abc"
        shutil.copytree(tiny_checkpoints(kind), snapshot)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("abc")
        for path in list(snapshot.iterdir()):
            if any(part in path.name for part in drop):
                path.unlink()
        return snapshot

    return put


OWL = "google/owlvit-base-patch32"
SAM2 = "facebook/sam2.1-hiera-tiny"


def test_a_whole_cache_is_ready_and_loads_without_network(cached):
    cached(OWL, "owlvit")
    cached(SAM2, "sam2_video")
    assert lacking_files(OWL) == ()
    rows = load_registry()
    assert availability(rows["owlvit-base"]) == availability(rows["sam2.1-hiera-tiny"]) == "ready"
    assert build_model("owlvit-base", device="cpu").name == "owlvit-base"
    assert build_model(OWL, device="cpu").name == OWL
    assert build_segmenter("sam2.1-hiera-tiny", device="cpu").name == "sam2.1-hiera-tiny"


@pytest.mark.parametrize(
    ("drop", "lacking"),
    [
        (["tokenizer", "vocab", "merges"], "a tokenizer"),
        (["processor"], "preprocessor_config.json"),
        (["config.json"], "config.json"),
        (["safetensors"], "model.safetensors"),
    ],
)
def test_what_an_interrupted_download_lacks(cached, drop, lacking):
    cached(OWL, "owlvit", drop)
    assert lacking in lacking_files(OWL)
    assert availability(load_registry()["owlvit-base"]) == "incomplete download"
    assert not factory._checkpoint("x", OWL, None, "grounder").offline


def test_every_shard_counts(cached):
    snapshot = cached(OWL, "owlvit", ["safetensors"])
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    index = snapshot / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shards[0], "b": shards[1], "c": shards[1]}}))
    (snapshot / shards[0]).touch()
    assert lacking_files(OWL) == (shards[1],)
    (snapshot / shards[1]).symlink_to(snapshot / "no-such-blob")
    assert lacking_files(OWL) == (shards[1],)
    (snapshot / shards[1]).unlink()
    (snapshot / shards[1]).touch()
    assert lacking_files(OWL) == ()
    index.write_text("{")
    assert lacking_files(OWL) == (index.name,)


def test_a_model_without_words_needs_no_tokenizer(cached):
    cached(SAM2, "sam2_video")
    assert lacking_files(SAM2) == ("a tokenizer",)
    assert lacking_files(SAM2, words=False) == ()
    assert lacking_files("nobody/nothing") is None


def test_offline_by_choice_says_what_the_cache_lacks(cached):
    cached(OWL, "owlvit", ["safetensors"])
    with pytest.raises(ModelError, match=r"offline mode is on and of its files the cache lacks model\.safetensors"):
        build_model("owlvit-base", device="cpu", offline=True)


@pytest.mark.parametrize("keep_config", [False, True])
def test_offline_by_choice_names_a_missing_tokenizer(cached, keep_config):
    drop = ["tokenizer.json", "vocab", "merges"] + ([] if keep_config else ["tokenizer_config"])
    cached(OWL, "owlvit", drop)
    with pytest.raises(ModelError, match=rf"its tokenizer .* is missing.*hf download {OWL}"):
        build_model("owlvit-base", device="cpu", offline=True)


def test_an_incomplete_download_asks_the_hub(cached, monkeypatch):
    """Without an answer the message says what is lacking, and of no mode that nobody turned on."""
    asked = []

    def out_of_reach(location, **arguments):
        asked.append(arguments["local_files_only"])
        raise OSError(f"{location} does not appear to have a file named model.safetensors.")

    cached(OWL, "owlvit", ["safetensors"])
    monkeypatch.setattr("transformers.AutoModelForZeroShotObjectDetection.from_pretrained", out_of_reach)
    with pytest.raises(ModelError, match=rf"the cache lacks model.safetensors .*, run `hf download {OWL}`") as caught:
        build_model("owlvit-base", device="cpu")
    assert "offline" not in str(caught.value)
    assert asked == [False]


def load_that_needs_the_hub(asked):
    def load(checkpoint, placement, options):
        asked.append(checkpoint.offline)
        if checkpoint.offline:
            raise CheckpointError("a file is not there after all")
        return "loaded"

    return load


def test_a_cache_that_lacks_a_file_after_all_is_asked_for_once_more(cached, monkeypatch):
    cached(OWL, "owlvit")
    asked = []
    monkeypatch.setattr(detection_head, "load", load_that_needs_the_hub(asked))
    assert build_model("owlvit-base", device="cpu") == "loaded"
    assert asked == [True, False]


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_offline_by_choice_never_asks_the_hub(cached, monkeypatch, by):
    cached(OWL, "owlvit")
    asked = []
    monkeypatch.setattr(detection_head, "load", load_that_needs_the_hub(asked))
    if by == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="not there after all"):
        build_model("owlvit-base", device="cpu", offline=True if by == "argument" else None)
    assert asked == [True]


def test_other_faults_are_not_tried_twice(cached, monkeypatch):
    cached(OWL, "owlvit")
    asked = []

    def load(checkpoint, placement, options):
        asked.append(1)
        raise ModelError("does not fit into the memory")

    monkeypatch.setattr(detection_head, "load", load)
    with pytest.raises(ModelError, match="does not fit"):
        build_model("owlvit-base", device="cpu")
    assert asked == [1]


def test_a_class_that_trips_over_its_files_is_no_traceback(tiny_checkpoints, monkeypatch):
    def load(checkpoint, placement, options):
        raise AttributeError("Qwen2Tokenizer has no attribute context_image_token")

    monkeypatch.setattr(detection_head, "load", load)
    with pytest.raises(ModelError, match=r"cannot load '.*owlvit': .*context_image_token \(AttributeError\); the folder holds"):
        build_model(str(tiny_checkpoints("owlvit")), device="cpu")


@pytest.mark.parametrize("choice", [None, True, False])
def test_a_proposer_takes_over_what_was_said_about_the_network(tiny_checkpoints, monkeypatch, choice):
    asked = []
    real = factory.build_segmenter

    def build(spec, **arguments):
        asked.append(arguments["offline"])
        return real(spec, **arguments)

    monkeypatch.setattr(factory, "build_segmenter", build)
    options = {"proposer": str(tiny_checkpoints("sam2"))}
    model = build_model(str(tiny_checkpoints("clip")), device="cpu", offline=choice, options=options)
    assert asked == [choice]
    assert isinstance(model, two_stage.TwoStage)
