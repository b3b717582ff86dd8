"""Score a checkpoint on rendered validation scenes, through the stock Auto classes only.

    python -m training.validate CHECKPOINT OUT_VAL
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForZeroShotObjectDetection, AutoTokenizer

from training.data import MIN_SHOWN, read_labels
from training.loss import corners
from training.phrases import COLORS, PAINTABLE, naming, vocabulary


def iou(a: list[float], b: list[float]) -> float:
    """IoU of two corner boxes."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(w, 0.0) * max(h, 0.0)
    return inter / max((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter, 1e-9)


def questions(row: dict[str, Any], rng: np.random.Generator) -> list[tuple[str, int, str]]:
    """Phrases to ask of a frame, each with the number of the one thing it means, or -1.

    Returns:
        Phrase, index into the frame's objects, kind (`there`, `absent`, `absent_kin`).
    """
    objects = row["objects"]
    said = [naming(o["key"], o["color"]) for o in objects]
    there: dict[str, int] = {}
    for index, (thing, names) in enumerate(zip(objects, said, strict=True)):
        if thing["shown"] < MIN_SHOWN:
            continue
        for phrase in (names.names[0], names.names[-1]):
            right = sum(phrase in s.names for s in said)
            if right == 1 and not any(phrase in s.unclear for s in said):
                there[phrase] = index
    taken = {p for s in said for p in s.names} | {p for s in said for p in s.unclear}
    free = [p for p in vocabulary(PAINTABLE) if p not in taken]
    # Asked as often as it is likely to be meant: a color in front of everything would drown the rest.
    free = [p for p in free if p.split()[0] not in COLORS or rng.random() < 0.3]
    heads = {p.split()[-1] for p in taken}
    kin = [p for p in free if p.split()[-1] in heads]
    out = [(p, k, "there") for p, k in there.items()]
    out += [(str(p), -1, "absent") for p in rng.choice(free, 4, replace=False)]
    out += [(str(p), -1, "absent_kin") for p in (rng.choice(kin, min(3, len(kin)), replace=False) if kin else [])]
    return out


class Detector:
    """A checkpoint through the stock Auto classes; the inputs are those of `OmDetTurboProcessor`.

    That class itself needs torchvision; its text settings and its post-processing (sigmoid, shares to
    pixels) are restated here. Suppression does not change which box is the best.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.model = AutoModelForZeroShotObjectDetection.from_pretrained(checkpoint).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self.pictures = AutoImageProcessor.from_pretrained(checkpoint, backend="pil")

    @torch.no_grad()
    def best(self, image: Image.Image, phrases: list[str]) -> list[tuple[float, list[float]]]:
        """Best score and box [x1, y1, x2, y2] px of each phrase."""
        settings = {"padding": "max_length", "truncation": True, "max_length": 77, "return_tensors": "pt"}
        classes = self.tokenizer(phrases, **settings)
        tasks = self.tokenizer([f"Detect {', '.join(phrases)}."], **settings)
        out = self.model(
            pixel_values=self.pictures(images=image, return_tensors="pt").pixel_values,
            classes_input_ids=classes.input_ids,
            classes_attention_mask=classes.attention_mask,
            tasks_input_ids=tasks.input_ids,
            tasks_attention_mask=tasks.attention_mask,
            classes_structure=torch.tensor([len(phrases)]),
        )
        scores, picks = out.decoder_class_logits[0].sigmoid().max(0)
        boxes = corners(out.decoder_coord_logits[0][picks]) * torch.tensor([*image.size, *image.size])
        return list(zip(scores.tolist(), boxes.tolist(), strict=True))


def evaluate(
    checkpoint: Path,
    root: Path,
    limit: int | None = None,
    seed: int = 0,
    threshold: float | None = None,
    refuse: float | None = None,
) -> dict[str, Any]:
    """Scores on validation scenes.

    Args:
        checkpoint: Folder in the hub's layout.
        root: Folder of chunks.
        limit: How many frames; None for all.
        seed: Of the questions.
        threshold: Score to decide at; None for the best one on these scenes.
        refuse: With no threshold given: not the best, but the lowest that refuses this share of absent phrases.

    Returns:
        `summary` (`acc@0.5` of single things whatever the score, `absent_rejection` and
        `acc_at_threshold` at the `threshold`) and finer tables.
    """
    detector = Detector(checkpoint)
    rng = np.random.default_rng(seed)
    rows = read_labels(root, {})
    rows = rows[:: max(1, len(rows) // limit)][:limit] if limit else rows
    scored: list[tuple[str, float, float, str, int]] = []
    for row in rows:
        asked = questions(row, rng)
        with Image.open(row["image"]) as image:
            got = detector.best(image.convert("RGB"), [p for p, _, _ in asked])
        for (phrase, index, kind), (score, box) in zip(asked, got, strict=True):
            overlap = iou(box, row["objects"][index]["box"]) if index >= 0 else 0.0
            pixels = row["objects"][index]["pixels"] if index >= 0 else 0
            scored.append((kind, score, overlap, phrase, pixels))
    there = [(s, o, n, p) for k, s, o, n, p in scored if k == "there"]
    absent = np.array([s for k, s, *_ in scored if k != "there"])
    kin = np.array([s for k, s, *_ in scored if k == "absent_kin"])
    score, overlap = (np.array([t[k] for t in there]) for k in (0, 1))
    hit = overlap >= 0.5
    grid = np.round(np.arange(0.05, 0.9, 0.01), 2)
    merit = [float((hit & (score >= t)).mean() + (absent < t).mean()) / 2 for t in grid]
    if threshold is None and refuse is not None:
        threshold = float(next((t for t in grid if (absent < t).mean() >= refuse), grid[-1]))
    elif threshold is None:
        threshold = float(grid[int(np.argmax(merit))])
    phrases: dict[str, list[bool]] = {}
    for (_, _, name, _), good in zip(there, hit, strict=True):
        phrases.setdefault(name, []).append(bool(good))
    small = np.array([p for *_, p in there]) < 400 * (480 * 360) / (640 * 480)
    return {
        "summary": {
            "acc@0.5": round(float(hit.mean()), 4),
            "acc_at_threshold": round(float((hit & (score >= threshold)).mean()), 4),
            "absent_rejection": round(float((absent < threshold).mean()), 4),
            "absent_kin_rejection": round(float((kin < threshold).mean()), 4) if len(kin) else None,
            "acc@0.75": round(float((overlap >= 0.75).mean()), 4),
            "acc@0.5_small": round(float(hit[small].mean()), 4) if small.any() else None,
            "threshold": threshold,
            "asked": len(scored),
        },
        "thresholds": {
            str(t): [round(float((hit & (score >= t)).mean()), 4), round(float((absent < t).mean()), 4)]
            for t in grid[::5]
        },
        "phrases": {p: [int(sum(v)), len(v)] for p, v in sorted(phrases.items())},
    }


def main() -> None:
    """Command line: print the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("val", type=Path)
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    print(json.dumps(evaluate(args.checkpoint, args.val, args.limit), indent=1))


if __name__ == "__main__":
    main()
