"""``vlm-perception``: say, ground, describe, evaluate, models."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from vlm_perception import cli_describe, cli_models
from vlm_perception.types import Status, VlmPerceptionError

_EXIT_OK, _EXIT_NO_TARGET, _EXIT_ERROR = 0, 1, 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vlm-perception", description="One sentence in, one 3-D target pose out, or the reason why not."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    say = commands.add_parser("say", help="send a command to a running perception node")
    say.add_argument("text", help="what to look for, e.g. 'the red mug left of the plate'")
    say.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for the answer")
    say.add_argument("--namespace", default="", help="the node's namespace")
    say.add_argument("--node", default="vlm_perception", help="the node's name")
    say.add_argument("--json", action="store_true", help="print the whole result as JSON")
    say.set_defaults(run=_say)

    ground = commands.add_parser("ground", help="resolve a command on image files, without ROS")
    ground.add_argument("text", help="what to look for")
    ground.add_argument("--color", type=Path, required=True, help="color image")
    ground.add_argument("--depth", type=Path, help="depth registered to color: 16-bit PNG, float TIFF, .npy")
    ground.add_argument("--camera", type=Path, required=True, help="JSON with K, width, height, depth_unit_m")
    ground.add_argument("--out", type=Path, default=Path("out"), help="folder for overlay.png, result.json")
    ground.add_argument("--json", action="store_true", help="print the result as JSON")
    ground.add_argument("--scene", type=Path, help="also write the frame's colored cloud, .ply or .pcd (Open3D)")
    ground.add_argument("--heatmap", metavar="PHRASE", help="also write heatmap.png: where the model looked for it")
    ground.add_argument("--show", action="store_true", help="open the cloud and the boxes in a window (Open3D)")
    cli_models.add_arguments(ground)
    ground.set_defaults(run=_ground)

    cli_models.add_arguments(cli_describe.add_parser(commands))

    evaluate = commands.add_parser("evaluate", help="score a model on a folder of referring expressions")
    evaluate.add_argument("folder", type=Path, help="an rgbd-rec/1 folder, or a RefCOCO-style JSON file")
    evaluate.add_argument("--oracle-detections", action="store_true", help="true masks in place of a model")
    evaluate.add_argument("--json", type=Path, help="write the scores here")
    evaluate.add_argument("--report", type=Path, help="write an HTML report with the worst failures here")
    evaluate.add_argument("--limit", type=int, help="only the first N expressions")
    cli_models.add_arguments(evaluate)
    evaluate.set_defaults(run=_evaluate)

    cli_models.add_models_parser(commands)
    return parser


def _say(options: argparse.Namespace) -> int:
    try:
        from vlm_perception.ros import client
    except ImportError as error:
        raise VlmPerceptionError(
            f"'say' needs ROS 2 and the built interfaces ({error}). "
            "Source your workspace, or use ./dev exec vlm-perception say ..."
        ) from error
    return client.say_command(
        options.text,
        timeout_s=options.timeout,
        node_name=options.node,
        namespace=options.namespace,
        as_json=options.json,
    )


def _ground(options: argparse.Namespace) -> int:
    import cv2

    from vlm_perception.draw import draw_answer
    from vlm_perception.files import load_frame
    from vlm_perception.summary import answer_table, answer_to_dict

    frame = load_frame(options.color, options.depth, options.camera)
    pipeline = cli_models.build_pipeline(options, heatmap=options.heatmap is not None)
    answer = pipeline.answer(frame, options.text)
    result = json.dumps(answer_to_dict(answer, frame.frame_id), indent=2)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "result.json").write_text(result + "\n", encoding="utf-8")
    cv2.imwrite(str(options.out / "overlay.png"), draw_answer(frame, answer)[:, :, ::-1])
    print(result if options.json else answer_table(answer, frame.frame_id))
    if options.scene is not None or options.show:
        from vlm_perception import view3d

        if options.scene is not None:
            points = view3d.write_scene(options.scene, frame)
            print(f"wrote   {options.scene} ({points} points)", file=sys.stderr)
        if options.show:
            view3d.show(frame, answer)
    if options.heatmap is not None:
        cli_describe.write_heatmap(options.out / "heatmap.png", pipeline.model, frame, options.heatmap)
        print(f"wrote   {options.out / 'heatmap.png'}", file=sys.stderr)
    if not options.json:
        print(f"wrote   {options.out / 'overlay.png'}, {options.out / 'result.json'}")
    return _EXIT_OK if answer.status is Status.SUCCEEDED else _EXIT_NO_TARGET


def _evaluate(options: argparse.Namespace) -> int:
    from vlm_perception.evaluation.command import EvaluateOptions, run_evaluate

    return run_evaluate(
        EvaluateOptions(
            folder=options.folder,
            model=options.model,
            segmenter=options.segmenter,
            device=options.device,
            threshold=options.threshold,
            dtype=options.dtype,
            model_options=dict(options.model_options),
            segmenter_options=dict(options.segmenter_options),
            oracle_detections=options.oracle_detections,
            json_file=options.json,
            report_dir=options.report,
            limit=options.limit,
        )
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 good, 1 no target, 2 an error that is explained)."""
    given = sys.argv[1:] if argv is None else argv
    options = _parser().parse_args(cli_describe.with_region(given))
    try:
        code: int = options.run(options)
    except VlmPerceptionError as error:
        print(f"vlm-perception: {error}", file=sys.stderr)
        return _EXIT_ERROR
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    raise SystemExit(main())
