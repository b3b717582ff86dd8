"""These tests hold the stand-ins to the real packages' behaviour, so they pass on both.

Where real packages are installed they are what is tested; only the launch runner is ours alone.
"""

import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "underlay" / "tools"


@pytest.fixture(autouse=True, scope="session")
def _tools_on_path():
    sys.path.insert(0, str(TOOLS))
    yield
    sys.path.remove(str(TOOLS))
