"""``python -m vlm_perception.ros.demo``: a sentence in, a pose out, between real processes over real topics.

Plays recorded frames whose truth is known, asks the perception node for things in them, and compares.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlm_perception.evaluation.dataset import RgbdRecDataset, load_rgbd_rec
from vlm_perception.ros.demo_files import write_overlay, write_ply
from vlm_perception.ros.demo_processes import Processes, isolate
from vlm_perception.ros.demo_session import DemoSession, Reply
from vlm_perception.ros.demo_truth import TOLERANCE_M, Verdict, best_target, find_truth, judge
from vlm_perception.ros.player_sources import BUNDLED_RECORDING
from vlm_perception.ros.result_text import status_name
from vlm_perception.summary import text_table
from vlm_perception.types import VlmPerceptionError

_ANSWER_S = 60.0
_OK, _NOT_REACHED, _ERROR = 0, 1, 2


@dataclass(frozen=True)
class Case:
    """A sentence about a bundled frame, and what the thing it means is called there ("": look it up)."""

    frame_id: str
    sentence: str
    label: str = ""


CASES = (
    Case("libero_90-71-00", "pick up the white mug to the left of the plate", "white mug"),
    Case("libero_90-71-00", "the red mug", "red mug"),
    Case("libero_90-30-00", "please find the black bowl to the right of the plate", "black bowl"),
    Case("libero_90-52-00", "the milk carton", "milk carton"),
    Case("libero_90-18-00", "where is the moka pot?", "moka pot"),
    Case("libero_90-36-00", "the white bowl to the left of the plate", "white bowl"),
)


@dataclass(frozen=True, eq=False)
class Shown:
    """One case, asked and judged."""

    case: Case
    reply: Reply
    verdict: Verdict
    files: tuple[str, ...] = ()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns 0 when every target is where the recording says, 1 when not, 2 when it cannot run."""
    options = _parser().parse_args(argv)
    # Both end like Ctrl-C, so that nothing is left running; a shell's background jobs inherit SIGINT as ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        dataset = load_rgbd_rec(options.source)
        shown = run(dataset, _cases(options, dataset), options)
    except VlmPerceptionError as error:
        print(f"demo: {error}", file=sys.stderr)
        return _ERROR
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    print()
    print(describe(shown[0]) if len(shown) == 1 else overview(shown))
    problems = [entry for entry in shown if entry.verdict.problem]
    for entry in problems:
        print(f'\nNot reached: "{entry.case.sentence}" ({entry.case.frame_id}): {entry.verdict.problem}')
    reached = len(shown) - len(problems)
    print(f"\n{reached} of {len(shown)} targets within {TOLERANCE_M * 100:.0f} cm of the truth")
    return _NOT_REACHED if problems else _OK


def run(dataset: RgbdRecDataset, cases: Sequence[Case], options: argparse.Namespace) -> list[Shown]:
    """Start the nodes, ask every case, end the nodes.

    Raises:
        VlmPerceptionError: a node does not come up, or ended.
    """
    start = time.monotonic()

    def progress(text: str) -> None:
        print(f"[{time.monotonic() - start:5.1f} s] {text}", flush=True)

    domain = isolate()
    shown = []
    with Processes(options.out / "log") as processes:
        progress(f"starting the player and the perception node on ROS domain {domain}")
        # With a frame from the start, the camera's pose is static TF.
        player = {"source": str(options.source), "frame": cases[0].frame_id, "rate_hz": "5.0"}
        node = {"target_frame": "world", "model": options.model, "device": options.device}
        processes.start("player", "vlm_perception.ros.rgbd_player_node", player)
        processes.start("perception_node", "vlm_perception.ros.perception_node", node)
        with DemoSession(processes) as session:
            session.wait_for_player()
            progress(f"the player plays {options.source}; loading the model {options.model!r}")
            progress(f"the perception node is active: {session.wait_for_node(options.timeout)}")
            for number, case in enumerate(cases, start=1):
                if number > 1 and case.frame_id != cases[number - 2].frame_id:
                    session.show(case.frame_id)
                reply = session.ask(case.sentence, _ANSWER_S)
                status = "no answer" if reply.result is None else status_name(reply.result)
                progress(f'{case.frame_id}: "{case.sentence}": {status} after {reply.round_trip_ms:.0f} ms')
                files = _write(options.out, "" if number == 1 else f"_{number}", reply)
                frame = dataset.frame(case.frame_id)
                truth = find_truth(dataset, frame, case.sentence, case.label)
                shown.append(Shown(case, reply, judge(reply.result, frame, truth), files))
    return shown


def describe(shown: Shown) -> str:
    """One case in full."""
    result, verdict = shown.reply.result, shown.verdict
    rows = [("heard", shown.case.sentence if result is None else result.command), ("frame", shown.case.frame_id)]
    if result is not None:
        rows.append(("status", f"{status_name(result)}: {result.message}"))
    target = best_target(result)
    if result is not None and target is not None:
        pose, size = target.pose.pose, target.size
        p, q = pose.position, pose.orientation
        rows += [
            ("found", f"{target.phrase} ({target.id})"),
            ("score", f"{target.score:.2f}"),
            ("position", f"{p.x:+.3f} {p.y:+.3f} {p.z:+.3f} m in {result.header.frame_id}"),
            ("quaternion", f"{q.x:+.3f} {q.y:+.3f} {q.z:+.3f} {q.w:+.3f} (x y z w)"),
            ("size", f"{size.x * 100:.1f} x {size.y * 100:.1f} x {size.z * 100:.1f} cm"),
        ]
    if verdict.truth is not None and verdict.surface_error_m is not None:
        kind = "the truth" if verdict.truth.known else "the nearest thing (no truth is recorded for this sentence)"
        rows.append(("off", f"{verdict.surface_error_m * 100:.2f} cm from {kind}: {verdict.truth.label}, surface"))
    if verdict.body_error_m is not None:
        rows.append(
            (
                "",
                f"{verdict.body_error_m * 100:.2f} cm from the box's centre to the origin of the thing's own model (which need not be its middle)",
            )
        )
    if result is not None:
        stages = "  ".join(f"{entry.stage} {entry.ms:.0f}" for entry in result.latency)
        rows.append(("time", f"{stages} ms; over the topics, there and back, {shown.reply.round_trip_ms:.0f} ms"))
    rows.append(("wrote", ", ".join(shown.files) or "nothing"))
    return "\n".join(f"{name:<12}{text}" for name, text in rows)


def overview(shown: Sequence[Shown]) -> str:
    """All cases, a line each."""
    header = ["heard", "found", "score", "position m in world", "off cm", "model ms", "all ms"]
    rows = []
    for entry in shown:
        result, verdict = entry.reply.result, entry.verdict
        target = best_target(result)
        position = "-"
        if target is not None:
            p = target.pose.pose.position
            position = f"{p.x:+.3f} {p.y:+.3f} {p.z:+.3f}"
        latency = {stage.stage: stage.ms for stage in result.latency} if result is not None else {}
        rows.append([
            entry.case.sentence,
            target.phrase if target is not None else "-" if result is None else status_name(result),
            f"{target.score:.2f}" if target is not None else "-",
            position,
            _centimetres(verdict.surface_error_m),
            f"{latency['detect']:.0f}" if "detect" in latency else "-",
            f"{entry.reply.round_trip_ms:.0f}",
        ])  # fmt: skip
    files = [name for entry in shown for name in entry.files]
    return f"{text_table(header, rows)}\n\nwrote {', '.join(files) or 'nothing'}"


def _centimetres(metres: float | None) -> str:
    return "-" if metres is None else f"{metres * 100:.2f}"


def _write(folder: Path, suffix: str, reply: Reply) -> tuple[str, ...]:
    files = []
    if reply.overlay is not None:
        path = folder / f"overlay{suffix}.png"
        write_overlay(path, reply.overlay)
        files.append(str(path))
    if reply.cloud is not None and reply.cloud.width:
        path = folder / f"target{suffix}.ply"
        points = write_ply(path, reply.cloud)
        files.append(f"{path} ({points} points)")
    return tuple(files)


def _cases(options: argparse.Namespace, dataset: RgbdRecDataset) -> tuple[Case, ...]:
    if options.command is None and options.frame is None and options.source == BUNDLED_RECORDING:
        return CASES[:1] if options.once else CASES
    frame_id = options.frame if options.frame is not None else dataset.frames[0].frame_id
    if options.frame is None and options.source == BUNDLED_RECORDING:
        frame_id = CASES[0].frame_id
    dataset.frame(frame_id)
    if options.command is not None:
        return (Case(frame_id, options.command),)
    known = [case for case in CASES if case.frame_id == frame_id and options.source == BUNDLED_RECORDING]
    if not known:
        known = [
            Case(frame_id, expression.expression)
            for expression in dataset.expressions_of(frame_id)
            if len(expression.targets) == 1
        ]
    if not known:
        raise VlmPerceptionError(f"nothing is recorded to be said about frame {frame_id}: give --command")
    return tuple(known[:1] if options.once else known)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev demo", description=(__doc__ or "").partition("\n\n")[2].strip())
    parser.add_argument("--once", action="store_true", help="one sentence instead of several")
    parser.add_argument("--command", help="say this instead")
    parser.add_argument("--frame", help="about this frame of the recording")
    parser.add_argument("--source", type=Path, default=BUNDLED_RECORDING, help="another rgbd-rec/1 folder")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for overlay.png, target.ply, log/")
    parser.add_argument("--model", default="tabletop", help="registry name, hub id or local folder")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda ...")
    parser.add_argument("--timeout", type=float, default=180.0, help="seconds the node may take to load its model")
    return parser


if __name__ == "__main__":
    sys.exit(main())
