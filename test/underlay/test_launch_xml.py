import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "underlay" / "tools" / "launch_xml.py"


@pytest.fixture
def launch_xml():
    import launch_xml

    return launch_xml


@pytest.fixture
def read(launch_xml, tmp_path):
    """Write a launch file, read it, and return what it comes to."""

    def read(inside, **given):
        file = tmp_path / "test.launch.xml"
        file.write_text(f"<launch>{inside}</launch>")
        return launch_xml.read_launch_file(file, given, folder=tmp_path)

    return read


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `some_pkg` with an executable `some_node`, on the ament index."""
    prefix = tmp_path / "prefix"
    (prefix / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (prefix / "share/ament_index/resource_index/packages/some_pkg").touch()
    (prefix / "share/some_pkg").mkdir()
    program = prefix / "lib/some_pkg/some_node"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(prefix))
    return prefix


def commands(launch):
    return [process.command for process in launch.processes]


# --- arguments and substitutions ---


def test_an_argument_has_its_default_unless_given(read):
    inside = '<arg name="x" default="a"/><executable cmd="echo $(var x)"/>'
    assert commands(read(inside)) == [["echo", "a"]]
    assert commands(read(inside, x="b")) == [["echo", "b"]]


def test_a_default_may_use_what_stands_above(read):
    inside = '<arg name="x" default="a"/><arg name="y" default="$(var x)/b"/><executable cmd="echo $(var y)"/>'
    assert commands(read(inside, x="c")) == [["echo", "c/b"]]


def test_an_argument_without_default_has_to_be_given(read, launch_xml):
    with pytest.raises(launch_xml.LaunchError, match="x:=VALUE"):
        read('<arg name="x"/>')


def test_a_value_has_to_be_one_of_the_choices(read, launch_xml):
    inside = '<arg name="x" default="a"><choice value="a"/><choice value="b"/></arg>'
    read(inside, x="b")
    with pytest.raises(launch_xml.LaunchError, match="one of: a, b"):
        read(inside, x="c")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$(var x)-$(var y)", "1-two words"),
        ("$(env NOT_SET_ANYWHERE 'a default')", "a default"),
        ("$(dirname)/x", "/folder/x"),
        ("$(var missing other)", "other"),
        ("$(eval '$(var x) + 1')", "2"),
        ("$(eval \"'$(var y)' == 'two words'\")", "True"),
        ("$(eval 'not ($(var x) > 2)')", "True"),
        ("$(not true)", "false"),
        ("$(and true $(not false))", "true"),
        ("$(or false 0)", "false"),
        ("$(equals $(var x) 1)", "true"),
        ("a (b) $5", "a (b) $5"),
    ],
)
def test_substitutions(launch_xml, text, expected):
    variables = {"x": "1", "y": "two words"}
    assert launch_xml.expand(text, variables, file=Path("/folder/a.launch.xml")) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$(var nothing)", "neither an <arg>"),
        ("$(var x", "not closed"),
        ("$(anon x)", "no substitution 'anon'"),
        ("$(find-pkg-share no_such_package)", "no_such_package"),
        ("$(env NOT_SET_ANYWHERE)", "NOT_SET_ANYWHERE"),
        ("$(eval '__import__(\"os\")')", "Call is not supported"),
        ("$(eval '1 +')", "not an expression"),
        ("$(not maybe)", "true or false"),
        ("$(equals 1)", "wrong arguments"),
    ],
)
def test_wrong_substitutions_are_named(launch_xml, text, words):
    with pytest.raises(launch_xml.LaunchError, match=words.replace("(", r"\(")):
        launch_xml.expand(text, {"x": "1"}, file=Path("/folder/a.launch.xml"))


# --- structure ---


@pytest.mark.parametrize(("value", "runs"), [("true", 1), ("True", 1), ("1", 1), ("false", 0), ("0", 0)])
def test_conditions(read, value, runs):
    assert len(read(f'<executable cmd="a" if="{value}"/>').processes) == runs
    assert len(read(f'<executable cmd="a" unless="{value}"/>').processes) == 1 - runs


def test_a_group_keeps_its_variables_to_itself(read):
    inside = '<let name="x" value="a"/><group><let name="x" value="b"/></group><executable cmd="$(var x)"/>'
    assert commands(read(inside)) == [["a"]]
    assert commands(read(inside.replace("<group>", '<group scoped="false">'))) == [["b"]]


def test_an_include_gets_its_arguments(read, tmp_path):
    (tmp_path / "other.launch.xml").write_text(
        '<launch><arg name="x" default="a"/><executable cmd="echo $(var x) $(dirname)"/></launch>'
    )
    launch = read('<include file="$(dirname)/other.launch.xml"><arg name="x" value="b"/></include>')
    assert commands(launch) == [["echo", "b", str(tmp_path)]]


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("<nod/>", "<nod> is not supported"),
        ('<node pkg="a" exec="b" colour="c"/>', "no attribute 'colour'"),
        ('<node pkg="a" exec="b"><arg name="c"/></node>', "<arg> does not belong in <node>"),
        ('<executable cmd="a" if="maybe"/>', "true or false"),
        ('<node pkg="no_such_package" exec="b"/>', "no_such_package"),
        ("<node pkg='a'/>", "'exec' is missing"),
        ("<include file='/no/such/file.xml'/>", "/no/such/file.xml"),
        ("<node", "is not XML"),
    ],
)
def test_mistakes_are_named(read, launch_xml, inside, words):
    with pytest.raises(launch_xml.LaunchError, match=words):
        read(inside)


# --- nodes ---


def test_a_node_becomes_a_command(read, package):
    launch = read(
        '<node pkg="some_pkg" exec="some_node" name="me" namespace="here" args="-d \'a b\'" ros_args="--log-level debug">'
        '<remap from="image" to="/camera/image"/></node>'
    )
    assert commands(launch) == [
        [
            *(str(package / "lib/some_pkg/some_node"), "-d", "a b", "--ros-args"),
            *("-r", "__node:=me", "-r", "__ns:=/here", "-r", "image:=/camera/image", "--log-level", "debug"),
        ]
    ]
    assert launch.processes[0].name == "some_node-1"


def test_a_missing_executable_is_named(read, package, launch_xml):
    with pytest.raises(launch_xml.LaunchError, match="no executable 'other_node'"):
        read('<node pkg="some_pkg" exec="other_node"/>')


@pytest.mark.parametrize(
    ("attributes", "value"),
    [
        ('value="1"', 1),
        ('value="1.5"', 1.5),
        ('value="true"', True),
        ('value="text"', "text"),
        ('value="[1, 2]"', [1, 2]),
        ('value=""', ""),
        ('value="" type="str"', ""),
        ('value="1" type="str"', "1"),
        ('value="true" type="str"', "true"),
        ('value="1" type="float"', 1.0),
        ('value="$(var x)" type="str"', "7"),
        ('value="$(var x)"', 7),
        ('value="True" type="bool"', True),
    ],
)
def test_parameters_have_their_types(read, package, attributes, value):
    launch = read(
        '<let name="x" value="7"/><node pkg="some_pkg" exec="some_node">'
        f'<param name="p" {attributes}/><param name="nested"><param name="q" value="2"/></param></node>'
    )
    command = commands(launch)[0]
    loaded = yaml.safe_load(Path(command[command.index("--params-file") + 1]).read_text())
    got = loaded["/**"]["ros__parameters"]
    assert got == {"p": value, "nested": {"q": 2}}
    assert type(got["p"]) is type(value)


def test_a_wrong_parameter_type_is_named(read, package, launch_xml):
    with pytest.raises(launch_xml.LaunchError, match="'p' is 'x', which is no float"):
        read('<node pkg="some_pkg" exec="some_node"><param name="p" value="x" type="float"/></node>')


def test_parameters_keep_their_order(read, package, tmp_path):
    """Files and values alike; the node takes the last."""
    (tmp_path / "p.yaml").write_text("/**: {ros__parameters: {p: 1}}")
    launch = read(
        '<node pkg="some_pkg" exec="some_node"><param name="p" value="2"/><param name="q" value="3"/>'
        '<param from="$(dirname)/p.yaml"/><param name="p" value="4"/></node>'
    )
    files = [path for word, path in pairwise(commands(launch)[0]) if word == "--params-file"]
    values = [yaml.safe_load(Path(path).read_text())["/**"]["ros__parameters"] for path in files]
    assert values == [{"p": 2, "q": 3}, {"p": 1}, {"p": 4}]


def test_the_name_of_a_parameter_may_be_a_substitution(read, package):
    inside = (
        '<arg name="x" default="no"/><let name="x_sets" value="x" unless="$(equals $(var x) no)"/>'
        '<node pkg="some_pkg" exec="some_node"><param name="$(var x_sets not_given)" value="$(var x)"/>'
        '<param name="nested"><param name="$(var x_sets not_given)" value="1"/></param></node>'
    )
    for given, name, value in (({}, "not_given", False), ({"x": "7"}, "x", 7)):
        command = commands(read(inside, **given))[0]
        loaded = yaml.safe_load(Path(command[command.index("--params-file") + 1]).read_text())
        assert loaded["/**"]["ros__parameters"] == {name: value, "nested": {name: 1}}


def test_a_mapping_is_no_parameter_value(read, package, launch_xml):
    with pytest.raises(launch_xml.LaunchError, match="'p' is '{a: 1}', which is no single value"):
        read('<node pkg="some_pkg" exec="some_node"><param name="p" value="{a: 1}"/></node>')


def test_two_nodes_do_not_share_parameters(read, package):
    node = '<node pkg="some_pkg" exec="some_node"><param name="p" value="{}"/></node>'
    first, second = commands(read(node.format(1) + node.format(2)))
    assert first[-1] != second[-1]


def test_arguments_are_listed_without_being_given(launch_xml, tmp_path):
    file = tmp_path / "a.launch.xml"
    file.write_text(
        '<launch><arg name="x" description="needed\n  here"/><arg name="y" default="1"><choice value="1"/></arg></launch>'
    )
    assert launch_xml.declared_arguments(file) == [
        launch_xml.Argument("x", None, "needed here", ()),
        launch_xml.Argument("y", "1", "", ("1",)),
    ]


# --- running ---


def start(tmp_path, inside, *arguments):
    file = tmp_path / "run.launch.xml"
    file.write_text(f"<launch>{inside}</launch>")
    return subprocess.Popen(
        [sys.executable, str(RUNNER), str(file), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def executable(tmp_path, name, code):
    program = tmp_path / name
    program.write_text(f"#!{sys.executable}\n{code}")
    program.chmod(0o755)
    return f'<executable cmd="{program}"/>'


def test_output_carries_the_name_of_its_process(tmp_path):
    out, err = start(tmp_path, '<executable cmd="echo one"/><executable cmd="echo two"/>').communicate(timeout=30)
    assert sorted(out.splitlines()) == ["[echo-1] one", "[echo-2] two"]
    assert "finished cleanly" in err


def test_a_failing_process_is_told_and_the_others_go_on(tmp_path):
    inside = '<executable cmd="false"/>' + executable(tmp_path, "slow", "import time; time.sleep(0.5); print('done')")
    runner = start(tmp_path, inside)
    out, err = runner.communicate(timeout=30)
    assert runner.returncode == 1
    assert "[false-1] died with code 1" in err
    assert "[slow-2] done" in out


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_reaches_every_process_once_and_is_waited_for(tmp_path, signum):
    code = (
        "import signal, time\n"
        "count = 0\n"
        "def got(*_):\n    global count; count += 1\n"
        "signal.signal(signal.SIGINT, got)\n"
        "print('ready', flush=True)\n"
        "while not count: time.sleep(0.01)\n"
        "time.sleep(0.5)\n"
        "print('count', count, flush=True)\n"
    )
    runner = start(tmp_path, executable(tmp_path, "a", code) + executable(tmp_path, "b", code))
    assert sorted(runner.stdout.readline() for _ in range(2)) == ["[a-1] ready\n", "[b-2] ready\n"]
    runner.send_signal(signum)
    out, _ = runner.communicate(timeout=30)
    assert sorted(out.splitlines()) == ["[a-1] count 1", "[b-2] count 1"]
    assert runner.returncode == 0


def test_respawn(tmp_path, package, monkeypatch):
    program = package / "lib/some_pkg/some_node"
    program.write_text(f"#!/bin/sh\necho again >>{tmp_path}/runs\n")
    runner = start(tmp_path, '<node pkg="some_pkg" exec="some_node" respawn="true" respawn_delay="0.05"/>')
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if (tmp_path / "runs").exists() and (tmp_path / "runs").read_text().count("again") >= 3:
            break
        time.sleep(0.05)
    runner.send_signal(signal.SIGINT)
    runner.communicate(timeout=30)
    assert (tmp_path / "runs").read_text().count("again") >= 3


def test_a_mistake_on_the_command_line_is_an_error(tmp_path):
    for argument, words in (("x=1", "name:=value"), ("y:=1", "no argument 'y'")):
        runner = start(tmp_path, '<arg name="x" default="1"/>', argument)
        _, err = runner.communicate(timeout=30)
        assert words in err
        assert "Traceback" not in err


# --- this project's own launch files ---


@pytest.mark.parametrize("file", sorted((ROOT / "launch").glob("*.launch.xml")), ids=lambda p: p.name)
def test_every_launch_file_of_the_project_can_be_read(launch_xml, file, tmp_path):
    launch = launch_xml.read_launch_file(file, {}, folder=tmp_path)
    assert launch.processes
    assert all(argument.description for argument in launch.arguments.values())
    assert all(os.access(process.command[0], os.X_OK) for process in launch.processes)
