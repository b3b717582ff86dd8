"""Run a ROS 2 XML launch file where there is no `ros2 launch`.

Covers what this project's launch files use, with the meaning that launch_xml and launch_ros give
it: arg (with choices), let, node, executable, group, include, param, remap, env, if/unless, and
the substitutions var, env, dirname, find-pkg-share, find-pkg-prefix, eval, not, and, or, equals.
Anything else is refused by name, rather than skipped.

Usage: python launch_xml.py [--show-args] FILE [NAME:=VALUE ...]

Ctrl-C (or SIGTERM) interrupts every process and waits for it. The exit code is 1 when the launch
file is wrong or a process fails by itself, else 0.
"""

from __future__ import annotations

import ast
import contextlib
import itertools
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

import yaml
from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)

# How long a process may take to stop after SIGINT, and again after SIGTERM.
_GRACE_S = (10.0, 5.0)

_PARAMETER_TYPES = {"bool": bool, "float": float, "int": int, "str": str}
_ATTRIBUTES = {
    "arg": {"name", "default", "description"},
    "choice": {"value"},
    "env": {"name", "value"},
    "executable": {"cmd", "cwd", "name", "output", "if", "unless"},
    "group": {"scoped", "if", "unless"},
    "include": {"file", "if", "unless"},
    "let": {"name", "value", "if", "unless"},
    "node": {
        *("pkg", "exec", "name", "namespace", "args", "ros_args", "output", "respawn"),
        *("respawn_delay", "if", "unless"),
    },
    "param": {"name", "value", "type", "from", "allow_substs"},
    "remap": {"from", "to"},
}
_CHILDREN = {
    "arg": {"choice"},
    "executable": {"env"},
    "include": {"arg"},
    "node": {"param", "remap", "env"},
    "param": {"param"},
}
_ACTIONS = {"arg", "executable", "group", "include", "let", "node"}


class LaunchError(Exception):
    """The launch file, or an argument to it, is wrong."""


@dataclass(frozen=True)
class Argument:
    """A declared launch argument; `default` is None when it has to be given."""

    name: str
    default: str | None
    description: str
    choices: tuple[str, ...]


@dataclass
class Process:
    """A process to run."""

    name: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    cwd: str | None = None
    respawn: bool = False
    respawn_delay_s: float = 0.0


@dataclass
class Launch:
    """What a launch file comes to: its arguments and its processes."""

    folder: Path
    arguments: dict[str, Argument] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)


# --- substitutions ------------------------------------------------------------------------------


def expand(text: str, variables: dict[str, str], *, file: Path) -> str:
    """Replace every $(...) in a text.

    Raises:
        LaunchError: A substitution is malformed, unknown or has no value.
    """
    out, rest = [], text
    while (start := rest.find("$(")) >= 0:
        end = _closing(rest, start + 2)
        out += [rest[:start], _substitute(rest[start + 2 : end], variables, file)]
        rest = rest[end + 1 :]
    return "".join([*out, rest])


def _closing(text: str, start: int) -> int:
    """The index of the parenthesis that closes a substitution, whose inside begins at start."""
    depth, quote = 1, ""
    for index in range(start, len(text)):
        char = text[index]
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                return index
    raise LaunchError(f"$( is not closed in {text!r}")


def _words(text: str) -> list[str]:
    """Split at spaces that are not inside quotes or parentheses; quotes around a word go."""
    words, word, depth, quote, quoted = [], "", 0, "", False
    for char in text:
        if quote:
            if char == quote and depth == 0:
                quote = ""
                continue
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
            if depth == 0:
                quoted = True
                continue
        elif char == " " and depth == 0:
            if word or quoted:
                words.append(word)
            word, quoted = "", False
            continue
        else:
            depth += (char == "(") - (char == ")")
        word += char
    return [*words, word] if word or quoted else words


def _substitute(inside: str, variables: dict[str, str], file: Path) -> str:
    name, _, tail = inside.strip().partition(" ")
    words = [expand(word, variables, file=file) for word in _words(tail)]
    try:
        return _SUBSTITUTIONS[name](words, variables, file)
    except KeyError as err:
        raise LaunchError(f"$({inside}): there is no substitution {name!r} here") from err
    except (IndexError, ValueError) as err:
        raise LaunchError(f"$({inside}) has the wrong arguments: {err}") from err


def _var(words: list[str], variables: dict[str, str], _: Path) -> str:
    name, *default = words
    if name in variables:
        return variables[name]
    if default:
        return default[0]
    raise LaunchError(f"$(var {name}): {name!r} is neither an <arg> nor a <let> above this line")


def _env(words: list[str], _: dict[str, str], __: Path) -> str:
    name, *default = words
    if name in os.environ:
        return os.environ[name]
    if default:
        return default[0]
    raise LaunchError(f"$(env {name}): the environment variable {name!r} is not set")


def _package(finder):
    def find(words: list[str], _: dict[str, str], __: Path) -> str:
        (package,) = words
        try:
            return finder(package)
        except PackageNotFoundError as err:
            raise LaunchError(f"there is no package {package!r}: build it, or install it") from err

    return find


def _eval(words: list[str], _: dict[str, str], __: Path) -> str:
    expression = " ".join(words)
    allowed = (
        *(ast.Expression, ast.BoolOp, ast.boolop, ast.UnaryOp, ast.unaryop, ast.BinOp),
        *(ast.operator, ast.Compare, ast.cmpop, ast.IfExp, ast.Constant, ast.Tuple, ast.List),
    )
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError as err:
        raise LaunchError(f"$(eval {expression}) is not an expression") from err
    for node in ast.walk(tree):
        if not isinstance(node, allowed):
            raise LaunchError(f"$(eval {expression}): {type(node).__name__} is not supported here")
    return str(eval(compile(tree, "<eval>", "eval"), {"__builtins__": {}}))  # noqa: S307 -- checked


def _truth(text: str, what: str) -> bool:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]
    except KeyError as err:
        raise LaunchError(f"{what} is {text!r}; it has to be true or false") from err


_SUBSTITUTIONS = {
    "var": _var,
    "env": _env,
    "dirname": lambda _, __, file: str(file.parent),
    "find-pkg-share": _package(get_package_share_directory),
    "find-pkg-prefix": _package(get_package_prefix),
    "eval": _eval,
    "not": lambda words, _, __: str(not _truth(words[0], "$(not)")).lower(),
    "and": lambda words, _, __: str(all(_truth(w, "$(and)") for w in words)).lower(),
    "or": lambda words, _, __: str(any(_truth(w, "$(or)") for w in words)).lower(),
    "equals": lambda words, _, __: str(words[0] == words[1]).lower(),
}


# --- reading ------------------------------------------------------------------------------------


class _Reader:
    """Walks a launch file's elements in order, as launch does."""

    def __init__(self, launch: Launch, given: dict[str, str]) -> None:
        self.launch = launch
        self.given = given
        self.numbers = itertools.count(1)
        self.file_numbers = itertools.count(1)

    def read(self, file: Path, variables: dict[str, str]) -> None:
        try:
            root = ET.parse(file).getroot()  # noqa: S314 -- a launch file runs programs anyway
        except OSError as err:
            raise LaunchError(f"cannot read the launch file {file}: {err.strerror}") from err
        except ET.ParseError as err:
            raise LaunchError(f"{file} is not XML: {err}") from err
        if root.tag != "launch":
            raise LaunchError(f"{file}: the outermost element is <{root.tag}>, not <launch>")
        self.block(root, variables, file)

    def block(self, parent: ET.Element, variables: dict[str, str], file: Path) -> None:
        for element in parent:
            if element.tag not in _ACTIONS:
                raise LaunchError(f"{file}: <{element.tag}> is not supported here")
            _check(element, file)
            try:
                if self.wanted(element, variables, file):
                    getattr(self, f"on_{element.tag}")(element, variables, file)
            except LaunchError as err:
                if str(err).startswith(str(file)):
                    raise
                raise LaunchError(f"{file}: <{element.tag}>: {err}") from err

    def wanted(self, element, variables, file) -> bool:
        for attribute, meaning in (("if", True), ("unless", False)):
            if attribute in element.attrib:
                value = self.get(element, attribute, variables, file)
                if _truth(value, f'"{attribute}"') is not meaning:
                    return False
        return True

    def get(self, element, attribute, variables, file, default=None) -> str:
        value = element.get(attribute, default)
        if value is None:
            raise LaunchError(f"{attribute!r} is missing")
        return expand(value, variables, file=file)

    def on_arg(self, element, variables, file) -> None:
        name = element.get("name", "")
        default = element.get("default")
        if default is not None:
            default = expand(default, variables, file=file)
        choices = tuple(self.get(c, "value", variables, file) for c in element.findall("choice"))
        description = " ".join(element.get("description", "").split())
        self.launch.arguments.setdefault(name, Argument(name, default, description, choices))
        value = variables.get(name, self.given.get(name, default))
        if value is None:
            raise LaunchError(f"the argument {name!r} has to be given: {name}:=VALUE")
        if choices and value not in choices:
            raise LaunchError(f"{name}:={value} is not one of: {', '.join(choices)}")
        variables[name] = value

    def on_let(self, element, variables, file) -> None:
        variables[element.get("name", "")] = self.get(element, "value", variables, file)

    def on_group(self, element, variables, file) -> None:
        scoped = _truth(self.get(element, "scoped", variables, file, "true"), '"scoped"')
        self.block(element, dict(variables) if scoped else variables, file)

    def on_include(self, element, variables, file) -> None:
        for child in element:
            _check(child, file)
            variables[child.get("name", "")] = self.get(child, "value", variables, file)
        self.read(Path(self.get(element, "file", variables, file)), variables)

    def on_executable(self, element, variables, file) -> None:
        command = shlex.split(self.get(element, "cmd", variables, file))
        cwd = self.get(element, "cwd", variables, file, "") or None
        self.add(Path(command[0]).name, command, element, variables, file, cwd=cwd)

    def on_node(self, element, variables, file) -> None:
        package = self.get(element, "pkg", variables, file)
        executable = self.get(element, "exec", variables, file)
        program = Path(_package(get_package_prefix)([package], variables, file))
        program = program / "lib" / package / executable
        if not os.access(program, os.X_OK):
            raise LaunchError(f"the package {package!r} has no executable {executable!r}")
        ros_args: list[str] = []
        for attribute, rule in (("name", "__node"), ("namespace", "__ns")):
            if value := self.get(element, attribute, variables, file, ""):
                if attribute == "namespace" and not value.startswith("/"):
                    value = f"/{value}"
                ros_args += ["-r", f"{rule}:={value}"]
        ros_args += self.parameters(element, variables, file)
        for child in element.findall("remap"):
            source, target = (self.get(child, a, variables, file) for a in ("from", "to"))
            ros_args += ["-r", f"{source}:={target}"]
        ros_args += shlex.split(self.get(element, "ros_args", variables, file, ""))
        command = [str(program), *shlex.split(self.get(element, "args", variables, file, ""))]
        if ros_args:
            command += ["--ros-args", *ros_args]
        respawn = _truth(self.get(element, "respawn", variables, file, "false"), '"respawn"')
        delay = float(self.get(element, "respawn_delay", variables, file, "0"))
        self.add(executable, command, element, variables, file, respawn=respawn, respawn_delay_s=delay)

    def add(self, name, command, element, variables, file, **kwargs) -> None:
        env = {
            self.get(child, "name", variables, file): self.get(child, "value", variables, file)
            for child in element.findall("env")
        }
        name = f"{name}-{next(self.numbers)}"
        self.launch.processes.append(Process(name, command, env, **kwargs))

    def parameters(self, element, variables, file) -> list[str]:
        """The arguments that hand over a node's parameters, files and values in their order: the last one wins."""
        args: list[str] = []
        values: dict[str, object] = {}

        def write_values() -> None:
            if values:
                path = self.launch.folder / f"launch_params_{next(self.file_numbers)}.yaml"
                path.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}), encoding="utf-8")
                args.extend(["--params-file", str(path)])
                values.clear()

        for child in element.findall("param"):
            if "from" in child.attrib:
                write_values()
                path = Path(self.get(child, "from", variables, file))
                if not path.is_file():
                    raise LaunchError(f"the parameter file {path} does not exist")
                args += ["--params-file", str(path)]
            else:
                values[self.get(child, "name", variables, file)] = self.parameter(child, variables, file)
        write_values()
        return args

    def parameter(self, element, variables, file) -> object:
        if len(element):
            return {self.get(c, "name", variables, file): self.parameter(c, variables, file) for c in element}
        name = self.get(element, "name", variables, file)
        text = self.get(element, "value", variables, file)
        kind = element.get("type")
        if kind is None:
            value = yaml.safe_load(text)
            if isinstance(value, dict):
                raise LaunchError(f"the parameter {name!r} is {text!r}, which is no single value or list of values")
            return "" if value is None else value
        if kind not in _PARAMETER_TYPES:
            raise LaunchError(f"type={kind!r} is not one of: {', '.join(_PARAMETER_TYPES)}")
        if kind == "bool":
            return _truth(text, f"the parameter {name!r}")
        try:
            return _PARAMETER_TYPES[kind](text)
        except ValueError as err:
            raise LaunchError(f"the parameter {name!r} is {text!r}, which is no {kind}") from err


def _check(element: ET.Element, file: Path) -> None:
    """Refuse attributes and children that would be ignored."""
    allowed = _ATTRIBUTES[element.tag] | ({"value"} if element.tag == "arg" else set())
    if unknown := set(element.attrib) - allowed:
        raise LaunchError(f"{file}: <{element.tag}> has no attribute {min(unknown)!r}")
    if element.tag == "group":
        return
    for child in element:
        if child.tag not in _CHILDREN.get(element.tag, set()):
            raise LaunchError(f"{file}: <{child.tag}> does not belong in <{element.tag}>")
        _check(child, file)


def read_launch_file(file: Path, given: dict[str, str], *, folder: Path) -> Launch:
    """Read a launch file with its arguments.

    Args:
        file: The launch file.
        given: Values for its arguments, by name.
        folder: Where to write parameter files for the processes.

    Raises:
        LaunchError: The file is wrong, or an argument is missing or not one of its choices.
    """
    launch = Launch(folder)
    _Reader(launch, given).read(file.resolve(), {})
    return launch


def declared_arguments(file: Path) -> list[Argument]:
    """Return the arguments that a launch file declares at its outermost level."""
    launch = Launch(file.parent)
    reader = _Reader(launch, {})
    variables: dict[str, str] = {}
    for element in ET.parse(file).getroot():  # noqa: S314
        if element.tag == "arg":
            # A required argument is declared too; only its value is missing.
            with contextlib.suppress(LaunchError):
                reader.on_arg(element, variables, file)
    return list(launch.arguments.values())


# --- running ------------------------------------------------------------------------------------


class Runner:
    """Runs processes side by side until they end or `stop` is called."""

    def __init__(self, processes: list[Process]) -> None:
        self._stopping = threading.Event()
        self._failed = False
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._threads = [threading.Thread(target=self._look_after, args=(p,)) for p in processes]

    def run(self) -> int:
        """Run everything; return the exit code."""
        for thread in self._threads:
            thread.start()
        while any(t.is_alive() for t in self._threads) and not self._stopping.is_set():
            time.sleep(0.05)
        if self._stopping.is_set():
            self._interrupt()
        for thread in self._threads:
            thread.join()
        return int(self._failed)

    def stop(self) -> None:
        """Ask for everything to end; safe in a signal handler."""
        self._stopping.set()

    def _look_after(self, process: Process) -> None:
        while not self._stopping.is_set():
            try:
                with self._lock:
                    if self._stopping.is_set():
                        return
                    child = subprocess.Popen(  # noqa: S603
                        process.command,
                        env={**os.environ, "PYTHONUNBUFFERED": "1", **process.env},
                        cwd=process.cwd,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        text=True,
                        errors="replace",
                        # Ctrl-C in the terminal reaches this runner only, which passes it on once.
                        start_new_session=True,
                    )
                    self._running[process.name] = child
            except OSError as err:
                _log(f"cannot start {process.command[0]}: {err.strerror}")
                self._failed = True
                return
            _log(f"[{process.name}] started with pid {child.pid}")
            for line in child.stdout or ():
                print(f"[{process.name}] {line}", end="", flush=True)
            code = child.wait()
            del self._running[process.name]
            if self._stopping.is_set() or code == 0:
                _log(f"[{process.name}] finished cleanly" if code == 0 else f"[{process.name}] ended with code {code}")
            else:
                self._failed = True
                _log(f"[{process.name}] died with code {code}: {shlex.join(process.command)}")
            if not process.respawn:
                return
            self._stopping.wait(process.respawn_delay_s)

    def _interrupt(self) -> None:
        for signum, grace_s in zip((signal.SIGINT, signal.SIGTERM), _GRACE_S, strict=True):
            self._send(signum)
            end = time.monotonic() + grace_s
            while any(t.is_alive() for t in self._threads):
                if time.monotonic() > end:
                    _log(f"still running {grace_s:.0f} s after {signum.name}: {', '.join(self._running)}")
                    break
                time.sleep(0.02)
            else:
                return
        self._send(signal.SIGKILL)

    def _send(self, signum: signal.Signals) -> None:
        with self._lock:
            children = list(self._running.values())
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signum)


def _log(text: str) -> None:
    print(f"[launch] {text}", file=sys.stderr, flush=True)


def _show_arguments(file: Path) -> None:
    print("Arguments (pass arguments as '<name>:=<value>'):\n")
    for argument in declared_arguments(file):
        print(f"    '{argument.name}':")
        print(f"        {argument.description or 'no description given'}")
        if argument.choices:
            print(f"        One of: {', '.join(argument.choices)}")
        if argument.default is None:
            print()
        else:
            print(f"        (default: '{argument.default}')\n")


def main(argv: list[str]) -> int:
    """Run the command line; return the exit code."""
    show = any(a in ("-s", "--show-args") for a in argv)
    argv = [a for a in argv if a not in ("-s", "--show-args")]
    if not argv or argv[0].startswith("-"):
        print(__doc__)
        return 2
    file = Path(argv[0])
    try:
        given = {}
        for argument in argv[1:]:
            name, assigned, value = argument.partition(":=")
            if not assigned:
                raise LaunchError(f"{argument!r} is not of the form name:=value")
            given[name] = value
        if not file.is_file():
            raise LaunchError(f"there is no launch file {file}")
        if show:
            _show_arguments(file)
            return 0
        with tempfile.TemporaryDirectory(prefix="launch_") as folder:
            launch = read_launch_file(file, given, folder=Path(folder))
            for name in sorted(set(given) - set(launch.arguments)):
                _log(f"warning: {file.name} has no argument {name!r}; see --show-args")
            runner = Runner(launch.processes)
            for signum in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signum, lambda *_: runner.stop())
            return runner.run()
    except LaunchError as err:
        _log(f"error: {err}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
