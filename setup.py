"""Installs the core without ROS: `pip install -e .` (the ROS package is CMakeLists.txt's)."""

import re
from pathlib import Path

from setuptools import find_packages, setup

root = Path(__file__).parent
version = re.search(r'__version__ = "(.+)"', (root / "vlm_perception/__init__.py").read_text())[1]


def requirements(name: str) -> list[str]:
    """Return the requirements of one file, less its comments."""
    lines = (root / "requirements" / f"{name}.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


setup(
    name="vlm-perception",
    version=version,
    description="Language-grounded RGB-D perception: a sentence in, a 3-D target pose out.",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["vlm_perception", "vlm_perception.*"]),
    package_data={"vlm_perception": ["py.typed", "assets/**/*", "config/**/*"]},
    include_package_data=True,
    data_files=[
        ("share/vlm_perception/config", [str(p.relative_to(root)) for p in root.glob("config/*")]),
    ],
    install_requires=[*requirements("core"), "torch>=2.6,<3"],
    extras_require={
        "view": ["open3d>=0.18"],
        "models": ["timm", "torchvision"],  # what some models need; many are faster with torchvision
        "quantised": ["accelerate", "bitsandbytes"],  # for load_in_8bit and load_in_4bit
        "dev": requirements("dev"),
    },
    entry_points={"console_scripts": ["vlm-perception=vlm_perception.cli:main"]},
)
