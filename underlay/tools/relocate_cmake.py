"""Point the CMake files of the ROS wheels at this Python.

The wheels' exported CMake targets carry include folders of the machine that built them
(/opt/python/cp311-cp311/...). A build against them needs this interpreter's folders instead.

Usage: python relocate_cmake.py [PREFIX]     (default: the running environment)
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy as np

_NUMPY_INCLUDE = re.compile(r"/opt/python/cp3\d+-cp3\d+/lib/python3\.\d+/site-packages/numpy/_?core/include")
_PYTHON_INCLUDE = re.compile(r"/opt/python/cp3\d+-cp3\d+/include/python3\.\d+")


def relocated(text: str, *, python_include: str, numpy_include: str) -> str:
    """Return the CMake text with the build machine's include folders replaced."""
    text = _NUMPY_INCLUDE.sub(lambda _: numpy_include, text)
    return _PYTHON_INCLUDE.sub(lambda _: python_include, text)


def relocate(prefix: Path) -> int:
    """Rewrite every CMake file under PREFIX/share; return how many changed."""
    python_include = sysconfig.get_paths()["include"]
    numpy_include = np.get_include()
    changed = 0
    for path in sorted((prefix / "share").rglob("*.cmake")):
        before = path.read_text(encoding="utf-8")
        after = relocated(before, python_include=python_include, numpy_include=numpy_include)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed += 1
    return changed


if __name__ == "__main__":
    relocate(Path(sys.argv[1] if len(sys.argv) > 1 else sys.prefix))
