"""``vlm-perception describe``, and the ``--heatmap`` of it and of ``ground``: words about image files, without ROS."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlm_perception import cli_models
from vlm_perception.types import (
    Answer,
    BoxXyxy,
    CameraIntrinsics,
    RgbdFrame,
    Status,
    VlmPerceptionError,
)

_TASKS = ("caption", "ask", "verify", "check", "region", "category", "read", "point", "count")
_EXIT_OK, _EXIT_NO_ANSWER = 0, 1


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Declare the subcommand, without the model options that all share."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "describe",
        help="caption, ask, verify, check a caption, region, category, read, point, count: on image files, without ROS",
        description="Words about an image, each tied to its box, and to its place in 3-D where there is depth.",
    )
    parser.add_argument(
        "text",
        nargs="?",
        default="",
        help="the question, statements, caption to check, or thing (for point, count; in place of --region for region, "
        "category, read); 'check' without it checks the model's caption",
    )
    parser.add_argument("--task", choices=_TASKS, help="default: caption without text, ask with a text")
    parser.add_argument("--color", type=Path, required=True, help="color image")
    parser.add_argument("--depth", type=Path, help="depth registered to color (needs --camera)")
    parser.add_argument("--camera", type=Path, help="JSON with K, width, height, depth_unit_m; for places in 3-D")
    parser.add_argument(
        "--region",
        type=_region,
        metavar="X1,Y1,X2,Y2",
        help="for 'region' (default with it), 'category', 'read' and 'ask', pixels: a box; or one point X,Y; or a scribble "
        "'X,Y X,Y ...' over the thing",
    )
    parser.add_argument("--heatmap", metavar="PHRASE", help="also write heatmap.png: where the model looked for it")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for overlay.png, result.json")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=_describe)
    return parser


def with_region(argv: Sequence[str]) -> list[str]:
    """The arguments, with a region that begins with a minus tied to its flag: else it is taken for one itself."""
    tied: list[str] = []
    for argument in argv:
        if tied and tied[-1] == "--region" and argument[:1] == "-" and argument[1:2].isdigit():
            tied[-1] = f"--region={argument}"
        else:
            tied.append(argument)
    return tied


def write_heatmap(path: Path, model: Any, frame: RgbdFrame, phrase: str) -> None:
    """Write where a model looked for a phrase, as a picture.

    Raises:
        CommandError: the model gives no heatmaps; names those that do.
        ModelError: the model failed.
    """
    import cv2

    from vlm_perception.attention import attention_image

    picture = attention_image(model, frame.color_rgb, phrase)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[:, :, ::-1])


def _describe(options: argparse.Namespace) -> int:
    import cv2

    from vlm_perception.describing import DescribeRequest, DescribeTask
    from vlm_perception.draw import draw_answer
    from vlm_perception.summary import answer_to_dict

    points, box = options.region or ((), None)
    task = DescribeTask(options.task or _default_task(options.text, bool(points or box)))
    request = DescribeRequest(task, options.text, region_xyxy=box, points_uv=points)
    frame = _frame(options)
    pipeline = cli_models.build_pipeline(options, heatmap=options.heatmap is not None)
    answer = pipeline.describe(frame, request)

    result = json.dumps({"task": task.value, **answer_to_dict(answer, frame.frame_id), **_extra(answer)}, indent=2)
    options.out.mkdir(parents=True, exist_ok=True)
    written = [options.out / "overlay.png", options.out / "result.json"]
    cv2.imwrite(str(written[0]), draw_answer(frame, answer)[:, :, ::-1])
    written[1].write_text(result + "\n", encoding="utf-8")
    if options.heatmap is not None:
        written.append(options.out / "heatmap.png")
        write_heatmap(written[-1], pipeline.model, frame, options.heatmap)
    if options.json:
        text = result
    else:
        text = f"{_table(answer, frame.frame_id)}\nwrote   {', '.join(str(path) for path in written)}"
    sys.stdout.write(text + "\n")
    return _EXIT_OK if answer.status is Status.SUCCEEDED else _EXIT_NO_ANSWER


def _default_task(text: str, region: bool) -> str:
    if text.strip():
        return "ask"
    return "region" if region else "caption"


def _frame(options: argparse.Namespace) -> RgbdFrame:
    from vlm_perception.files import load_frame, read_color

    if options.camera is not None:
        return load_frame(options.color, options.depth, options.camera)
    if options.depth is not None:
        raise VlmPerceptionError("--depth needs --camera: without intrinsics, depth has no place in 3-D")
    color_rgb = read_color(options.color)
    height, width = color_rgb.shape[:2]
    # Without depth nothing is projected; the boxes need a size only.
    camera = CameraIntrinsics(width, height, float(width), float(width), width / 2, height / 2)
    return RgbdFrame(color_rgb=color_rgb, depth_m=None, camera=camera)


def _region(text: str) -> tuple[tuple[tuple[float, float], ...], BoxXyxy | None]:
    """ "x1,y1,x2,y2" -> a box; "x,y" and "x,y x,y ..." -> points."""
    try:
        groups = [tuple(float(value) for value in group.split(",")) for group in text.split()]
        if len(groups) == 1 and len(groups[0]) == 4:
            x1, y1, x2, y2 = groups[0]
            return (), (x1, y1, x2, y2)
        points = tuple((u, v) for u, v in groups)
        if not points:
            raise ValueError(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a box x1,y1,x2,y2 nor points 'x,y x,y ...', in pixels"
        ) from error
    return points, None


def _extra(answer: Answer) -> dict[str, Any]:
    claims = [
        {"text": claim.text, "holds": claim.holds, "reason": claim.reason, "instance_ids": list(claim.instance_ids)}
        for claim in answer.extra.get("claims", ())
    ]
    return {
        "hyperlinks": answer.extra.get("hyperlinks", ""),
        "caption": answer.extra.get("caption", ""),
        "claims": claims,
    }


def _table(answer: Answer, frame_id: str) -> str:
    from vlm_perception.summary import answer_table, text_table

    lines = [answer_table(answer, frame_id)]
    claims = answer.extra.get("claims", ())
    if claims:
        words = {True: "yes", False: "NO", None: "?"}
        rows = [[words[c.holds], c.text, c.reason, " ".join(str(k) for k in c.instance_ids)] for c in claims]
        lines += ["", text_table(["holds", "claim", "why", "objects"], rows)]
    if answer.extra.get("hyperlinks"):
        lines += ["", f"links   {answer.extra['hyperlinks']}"]
    return "\n".join(lines)
