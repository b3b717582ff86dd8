"""Names in, models or clear errors out."""

import subprocess
import sys

import pytest

from vlm_perception.models import factory, registry
from vlm_perception.models.base import Segmenter
from vlm_perception.models.factory import availability, build_model, build_segmenter, list_models
from vlm_perception.models.loading import Checkpoint
from vlm_perception.models.registry import ModelEntry, load_registry
from vlm_perception.types import ModelError


def test_every_row_is_one_the_factory_can_run():
    for name, entry in load_registry().items():
        assert entry.family == "no-weights" or entry.family in factory.FAMILIES, name
        if entry.family != "no-weights":
            assert entry.model_type in factory.FAMILIES[entry.family].model_types, name
            assert entry.hub_id.count("/") == 1 or entry.asset, name
            assert entry.licence, name
            assert "torch" in entry.requires, name


def test_every_row_is_loaded_by_its_family_in_each_role():
    import importlib

    for name, entry in load_registry().items():
        if entry.family != "no-weights":
            module = importlib.import_module(factory.FAMILIES[entry.family].module)
            for role in entry.roles:
                assert hasattr(module, factory._ENTRY_POINT[role]), (name, role)


def test_no_model_type_has_two_families():
    kinds = [kind for family in factory.FAMILIES.values() for kind in family.model_types]
    assert len(kinds) == len(set(kinds))


def test_listing_imports_no_torch():
    code = (
        "import sys\n"
        "from vlm_perception.models.factory import list_models, build_segmenter\n"
        "rows = list_models(); assert rows and build_segmenter('none') is None\n"
        "bad = {'torch', 'transformers', 'rclpy'} & set(sys.modules); assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_states(monkeypatch, tmp_path):
    row = {"family": "detection-head", "roles": ("grounder",), "tasks": ("detects",)}
    assert availability(ModelEntry("a", requires=("numpy", "no_such_module_xyz"), **row)) == "missing no_such_module_xyz"
    assert availability(ModelEntry("a", hub_id="nobody/nothing", **row)) == "needs download"
    assert availability(ModelEntry("a", **row)) == "ready"
    monkeypatch.setattr(registry, "asset_path", tmp_path.joinpath)
    entry = ModelEntry("a", asset="some", **row)
    assert availability(entry) == "missing files"
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "config.json").write_text("{}")
    assert availability(entry) == "ready"
    assert {state for _, state in list_models()} <= {"ready", "needs download", "missing files"} | {
        state for _, state in list_models() if state.startswith("missing ")
    }


def test_segmenters():
    assert build_segmenter("none") is None
    segmenter = build_segmenter("depth-grabcut")
    assert isinstance(segmenter, Segmenter)
    with pytest.raises(ModelError, match="has no option 'speed'"):
        build_segmenter("depth-grabcut", options={"speed": 1})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("groundingdino-tiny", "did you mean 'grounding-dino-tiny'"),
        ("zzz", "Known are tabletop"),
        ("", "unknown grounder ''"),
        ("./no/such", "no model folder './no/such'"),
        ("/no/such", "no model folder"),
        ("depth-grabcut", "is a segmenter, not a grounder; grounders are: tabletop"),
    ],
)
def test_unknown_models(spec, message):
    with pytest.raises(ModelError, match=message):
        build_model(spec, offline=True)


def test_a_detector_is_no_segmenter(tiny_checkpoints):
    with pytest.raises(ModelError, match="'owlv2-base' is a grounder, not a segmenter; segmenters are: .*grabcut"):
        build_segmenter("owlv2-base")
    with pytest.raises(ModelError, match="is of the family detection-head, which is no segmenter"):
        build_segmenter(str(tiny_checkpoints("owlv2")))


def test_folders_that_are_no_checkpoint(tmp_path):
    with pytest.raises(ModelError, match="holds no config.json.*nothing"):
        build_model(str(tmp_path))
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(ModelError, match="expected a JSON object, got list"):
        build_model(str(tmp_path))


def test_offline_is_said_and_does_not_wait():
    with pytest.raises(ModelError, match="offline mode is on.*hf download IDEA-Research/grounding-dino-tiny"):
        build_model("grounding-dino-tiny", offline=True)
    with pytest.raises(ModelError, match="hf download nobody/owns-this --local-dir FOLDER"):
        build_model("nobody/owns-this", offline=True)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(factory, "missing_modules", lambda names: ["timm"])
    with pytest.raises(ModelError, match="'omdet-turbo-tiny' needs timm: pip install timm"):
        build_model("omdet-turbo-tiny")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"device": "cuda:99"}, "cuda:99"),
        ({"device": "cpu", "dtype": "int3"}, "unknown dtype 'int3'"),
    ],
)
def test_wrong_placement(tiny_checkpoints, arguments, message):
    with pytest.raises(ModelError, match=message):
        build_model(str(tiny_checkpoints("owlv2")), **arguments)


class GatedRepoError(Exception):
    pass


class RepositoryNotFoundError(Exception):
    pass


class ConnectError(Exception):
    pass


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (GatedRepoError("401"), r"licence has to be accepted first.*huggingface\.co/some/model.*hf auth login"),
        (RepositoryNotFoundError("404"), "the hub has no such repository"),
        (ConnectError("no route"), "the hub cannot be reached.*hf download some/model"),
        (ImportError("requires the Torchvision library"), "pip install torchvision"),
        (KeyError("weird"), "KeyError.*weird"),
    ],
)
def test_loading_errors_are_explained(monkeypatch, cause, message):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    class Auto:
        @staticmethod
        def from_pretrained(*_, **__):
            if isinstance(cause, (ImportError, KeyError)):
                raise cause
            raise OSError("cannot load") from cause

    with pytest.raises(ModelError, match=message):
        Checkpoint("name", "some/model").load(Auto)


def test_registry_errors(tmp_path):
    path = tmp_path / "models.yaml"
    for text, message in (
        ("models: [", "cannot read the model registry"),
        ("- a", "top-level mapping 'models'"),
        ("models: {a: 1}", "model 'a' must be a mapping, got int"),
        ("models: {a: {family: x, colour: 1}}", r"unknown keys \['colour'\]"),
        ("models: {a: {family: x}}", "model 'a' lacks 'roles'"),
        ("models: {a: {family: x, roles: [cook], tasks: [detects]}}", r"unknown roles \['cook'\]"),
    ):
        path.write_text(text)
        with pytest.raises(ModelError, match=message):
            load_registry(path)
    with pytest.raises(ModelError, match="cannot read the model registry"):
        load_registry(tmp_path / "none.yaml")


KINDS = ("grounding-dino", "mm-grounding-dino", "owlvit", "owlv2", "omdet-turbo", "clipseg", "clip", "siglip", "siglip2", "molmo2", "sam3_video")


@pytest.mark.parametrize("kind", KINDS)
def test_the_registrys_tasks_are_what_the_models_can(tiny_checkpoints, kind):
    rows = [entry for entry in load_registry().values() if entry.model_type == kind]
    assert rows
    model = build_model(str(tiny_checkpoints(kind)), device="cpu")
    names = ("detects", "masks", "points", "captions", "answers", "counts", "reads_text", "describes_regions", "heatmaps")
    for entry in rows:
        assert {name for name in names if getattr(model.capabilities, name)} == set(entry.tasks), entry.name
