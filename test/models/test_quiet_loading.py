"""The shipped model loads without a word; of a user's own checkpoint all is said, and nothing stays switched off."""

import shutil
import warnings

import pytest
from transformers.utils import logging

from vlm_perception.models.factory import build_model
from vlm_perception.resources import asset_path
from vlm_perception.types import ModelError

ADVICE = "You'd better set embed_dim"


@pytest.fixture
def bar():
    """The library's progress bar, on: its default."""
    before = logging.is_progress_bar_enabled()
    logging.enable_progress_bar()
    yield logging.is_progress_bar_enabled
    if not before:
        logging.disable_progress_bar()


@pytest.mark.filterwarnings("error")
def test_the_shipped_model_loads_without_a_word(bar, capfd):
    filters = list(warnings.filters)
    build_model("tabletop").close()
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert bar()
    assert warnings.filters == filters


def test_of_a_copy_all_is_said(bar, capfd, tmp_path):
    folder = shutil.copytree(asset_path("tabletop"), tmp_path / "mine")
    with pytest.warns(UserWarning, match=ADVICE):
        build_model(str(folder)).close()
    assert "Loading weights" in capfd.readouterr().err


def test_a_shipped_model_that_cannot_be_loaded_leaves_the_bar_on(bar, monkeypatch, tmp_path):
    """The fault is told as ever."""
    shipped = shutil.copytree(asset_path("tabletop"), tmp_path / "assets" / "tabletop")
    (shipped / "model.safetensors").write_bytes(b"cut off")
    monkeypatch.setattr("vlm_perception.models.quiet_loading.asset_path", lambda: tmp_path / "assets")
    with pytest.raises(ModelError, match="damaged or cut off"):
        build_model(str(shipped))
    assert bar()
