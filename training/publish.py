"""Put a trained checkpoint into the package: weights, processor, tokenizer, thresholds, card.

    python -m training.publish data/run vlm_perception/assets/tabletop --calibration data/cal --val data/val

The score threshold is the lowest that refuses `REFUSE` of absent phrases on the calibration scenes: a target that is not
there costs a robot more than a question. The scores are those at it on the validation scenes, which had no say in it.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from training.phrases import PAINTABLE, vocabulary
from training.validate import evaluate

FILES = (
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
# Of the second boxes that single things of the calibration scenes get, two thirds lie in the first by more than
# this (a drawer of the cabinet); of pairs of true things with one name, one in a hundred does.
CONTAINMENT = 0.6
# Up to here, what more is refused makes up for what less is found (things of 800 px and more, three quarters seen).
REFUSE = 0.965


def publish(run: Path, out: Path, scores: dict[str, Any]) -> None:
    """Copy the files the product loads and write `tabletop.json`.

    Args:
        run: Folder of the training.
        out: The package's folder for the model.
        scores: What `validate.evaluate` returned.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(run / "checkpoint" / name, out / name)
    settings = {
        "score_threshold": scores["summary"]["threshold"],
        "nms_containment": CONTAINMENT,
        "phrase_form": "no article, singular, lower case; the tokenizer strips articles and plurals itself",
        "validation": scores["summary"],
        "vocabulary": list(vocabulary(PAINTABLE)),
    }
    (out / "tabletop.json").write_text(json.dumps(settings, indent=1) + "\n")
    if (run / "curve.png").exists():
        shutil.copyfile(run / "curve.png", out / "curve.png")


def main() -> None:
    """Command line: validate and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    checkpoint = args.run / "checkpoint"
    threshold = evaluate(checkpoint, args.calibration, args.limit, refuse=REFUSE)["summary"]["threshold"]
    scores = evaluate(checkpoint, args.val, args.limit, threshold=threshold)
    print(json.dumps(scores["summary"], indent=1))
    publish(args.run, args.out, scores)


if __name__ == "__main__":
    main()
