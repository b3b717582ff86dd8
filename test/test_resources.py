"""config/ is found in a checkout and in every layout that an install makes."""

from pathlib import Path

import pytest

from vlm_perception.resources import asset_path, config_path, find_config


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def test_here():
    assert config_path("models.yaml").is_file()
    assert asset_path("tabletop", "x.json").parts[-4:] == ("vlm_perception", "assets", "tabletop", "x.json")


@pytest.mark.parametrize(
    ("module", "config"),
    [
        ("src/vlm_perception", "src/config/models.yaml"),
        ("ws/install/vlm_perception/lib/python3.12/site-packages/vlm_perception",
         "ws/install/vlm_perception/share/vlm_perception/config/models.yaml"),
        ("ws/install/vlm_perception/local/lib/python3.10/dist-packages/vlm_perception",
         "ws/install/vlm_perception/share/vlm_perception/config/models.yaml"),
        ("opt/lib/python3.12/site-packages/vlm_perception", "venv/share/vlm_perception/config/models.yaml"),
    ],
)  # fmt: skip
def test_layouts(tmp_path, module, config):
    expected = put(tmp_path / config)
    assert find_config("models.yaml", module_dir=tmp_path / module, python_prefix=tmp_path / "venv") == expected


def test_missing_says_where_it_looked(tmp_path):
    with pytest.raises(FileNotFoundError, match="'models.yaml' of vlm_perception is missing; looked in: .*venv"):
        find_config("models.yaml", module_dir=tmp_path / "a" / "vlm_perception", python_prefix=tmp_path / "venv")
