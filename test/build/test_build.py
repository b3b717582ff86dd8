"""The package builds with colcon, with and without --symlink-install, and what it installs works."""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("package.xml", "CMakeLists.txt", "msg", "srv", "action", "launch", "config", "scripts", "vlm_perception")
EXECUTABLES = ("perception_node", "rgbd_player_node", "vlm-perception")


def build(workspace, *options):
    """Build a copy of the package, as it would lie in a workspace; return the install prefix."""
    source = workspace / "src" / "vlm_perception"
    source.mkdir(parents=True)
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, source / part)
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "COLCON_PREFIX_PATH")}
    if "_ROS_WHEELS_BOOTSTRAP_COMPLETE" in env:
        # ROS from wheels: the environment itself is the prefix that everything is found in.
        env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = sys.prefix
    done = subprocess.run(
        [
            *("colcon", "--log-base", "log", "build", "--merge-install", *options),
            *("--cmake-args", f"-DPython3_EXECUTABLE={sys.executable}", "-DBUILD_TESTING=OFF"),
        ],
        cwd=workspace,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return workspace / "install"


@pytest.fixture(scope="module", params=[(), ("--symlink-install",)], ids=["copied", "symlinked"])
def installed(request, tmp_path_factory):
    return build(tmp_path_factory.mktemp("workspace"), *request.param)


def site_packages(installed):
    (folder,) = installed.glob("**/vlm_perception/__init__.py")
    return folder.parents[1]


def run(installed, *command):
    """Run a command with the install space in place of the source tree."""
    env = dict(os.environ, PYTHONNOUSERSITE="1")
    kept = [p for p in env.get("PYTHONPATH", "").split(":") if p and not p.startswith(str(ROOT / "build"))]
    kept = [p for p in kept if Path(p) != ROOT]
    env["PYTHONPATH"] = ":".join([str(site_packages(installed)), *kept])
    env["LD_LIBRARY_PATH"] = f"{installed}/lib:{env.get('LD_LIBRARY_PATH', '')}"
    env["AMENT_PREFIX_PATH"] = f"{installed}:{env.get('AMENT_PREFIX_PATH', '')}"
    done = subprocess.run(command, cwd=installed, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.build
@pytest.mark.timeout(600)
class TestInstall:
    def test_messages_and_module_are_one_package(self, installed):
        code = (
            "import vlm_perception, vlm_perception.types, vlm_perception.msg as m, vlm_perception.srv as s,"
            " vlm_perception.action as a\n"
            "from rclpy.serialization import deserialize_message, serialize_message\n"
            "sent = m.GroundingResult(command='x', status=m.GroundingResult.AMBIGUOUS, targets=[m.GroundedObject(id='1')])\n"
            "assert deserialize_message(serialize_message(sent), m.GroundingResult) == sent\n"
            "s.Ground.Request(), s.Describe.Response(), a.Find.Goal()\n"
            "print(vlm_perception.__version__)\n"
            "print(vlm_perception.types.__file__)\n"
            "print(m.__file__)\n"
        )
        version, types, messages = run(installed, sys.executable, "-c", code).split()
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert types.startswith(str(installed))
        assert messages.startswith(str(installed))

    def test_every_module_is_installed(self, installed):
        source = installed.parent / "src" / "vlm_perception"
        there = {p.relative_to(source) for p in (source / "vlm_perception").rglob("*.py")}
        missing = [p for p in there if not (site_packages(installed) / p).is_file()]
        assert not missing
        assert not list((installed / "lib").glob("**/vlm_perception/**/test_*.py"))

    def test_assets_are_installed(self, installed):
        source = installed.parent / "src" / "vlm_perception"
        assets = [p for p in (source / "vlm_perception").glob("assets/**/*") if p.is_file()]
        missing = [p for p in assets if not (site_packages(installed) / p.relative_to(source)).is_file()]
        assert not missing

    @pytest.mark.parametrize("folder", ["launch", "config"])
    def test_shared_files_are_installed(self, installed, folder):
        names = {p.name for p in (installed.parent / "src/vlm_perception" / folder).iterdir()}
        assert {p.name for p in (installed / "share/vlm_perception" / folder).iterdir()} == names

    @pytest.mark.parametrize("name", EXECUTABLES)
    def test_executables_are_installed(self, installed, name):
        assert os.access(installed / "lib/vlm_perception" / name, os.X_OK)

    def test_the_command_line_starts(self, installed):
        assert "ground" in run(installed, str(installed / "lib/vlm_perception/vlm-perception"), "--help")

    def test_ament_finds_it(self, installed):
        assert (installed / "share/ament_index/resource_index/packages/vlm_perception").is_file()
        code = (
            "from ament_index_python import get_package_prefix, get_resource\n"
            "print(get_package_prefix('vlm_perception'))\n"
            "print(get_resource('rosidl_interfaces', 'vlm_perception')[0])\n"
        )
        prefix, *interfaces = run(installed, sys.executable, "-c", code).split()
        assert Path(prefix) == installed
        for part in ("msg", "srv", "action"):
            for file in (ROOT / part).iterdir():
                assert f"{part}/{file.name}" in interfaces


def test_package_xml_is_complete():
    root = ET.parse(ROOT / "package.xml").getroot()
    assert root.get("format") == "3"
    assert re.fullmatch(r"[^@\s]+@[^@\s]+\.[a-z]+", root.find("maintainer").get("email"))
    assert root.find("export/build_type").text == "ament_cmake"
    assert root.find("member_of_group").text == "rosidl_interface_packages"
    named = [e.text for e in root if e.tag.endswith("depend")]
    assert len(named) == len(set(named))


def test_versions_agree():
    import vlm_perception

    assert ET.parse(ROOT / "package.xml").getroot().find("version").text == vlm_perception.__version__


def test_package_xml_names_every_package_that_is_imported():
    """ROS packages that the code imports are exec_depends under their own names."""
    named = {e.text for e in ET.parse(ROOT / "package.xml").getroot()}
    ros = re.compile(r"^\s*(?:from|import) (\w+_msgs|rclpy|tf2_ros|message_filters|cv_bridge|\w+_interfaces|ament_index_python)\b", re.MULTILINE)
    imported = {m for p in (ROOT / "vlm_perception").rglob("*.py") for m in ros.findall(p.read_text())}
    assert imported <= named
