"""Train the embedded `tabletop` detector from scratch on rendered scenes, against the clock.

    python -m training.train RUN --data OUT --val OUT_VAL --minutes 60 --ranks 2

Writes `RUN/last.pt` (to resume), `RUN/log.csv`, `RUN/curve.png` and `RUN/checkpoint/` in the hub's
layout. Scenes that appear while it runs join in.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import multiprocessing
import os
import time
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed
from torch.utils.data import DataLoader

from training.data import Batch, Scenes
from training.export import export
from training.loss import detection_loss
from training.network import build_config, build_model, dense_forward
from training.phrases import COLORS, PAINTABLE, vocabulary, words
from training.tokenizer import TASK, build_tokenizer
from training.validate import evaluate

# Height and width in px (multiples of 32), and the share of the time until which they are used: small pictures teach more of them.
SIZES = (((192, 256), 0.35), ((224, 288), 0.65), ((288, 384), 1.0))
FULL = SIZES[-1][0]
# The same for weights that have learned from small pictures already.
SIZES_WARM = (((224, 288), 0.3), (FULL, 1.0))
# Weight of telling things apart, beside the focal loss that finds them.
APART = 0.5
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
MADE_UP = 6
# Processes on a busy machine wait for each other at every meeting: they meet every so many steps.
SYNC = 8


def choose_phrases(batch: Batch, phrases: tuple[str, ...], most: int, rng: np.random.Generator) -> np.ndarray:
    """Vocabulary indices to ask a batch for: what is there, what shares a word with it, and others.

    Args:
        batch: The pictures.
        phrases: The vocabulary.
        most: How many to return.
        rng: Source of the choice.
    """
    present = torch.cat([n.any(0, keepdim=True) for n in batch.names if len(n)] or [torch.zeros(1, len(phrases)).bool()])
    count = present.sum(0).numpy()
    there = np.nonzero(count)[0]
    there = rng.permutation(there)[: int(most * 0.7)]
    heads = {phrases[k].split()[-1] for k in there}
    kin = np.array([p.split()[-1] in heads for p in phrases])
    weight = np.where(kin, 3.0, 1.0) * np.array([0.5 if p.split()[0] in COLORS else 1.5 for p in phrases])
    weight[there] = 0
    others = rng.choice(len(phrases), min(most - len(there), int((weight > 0).sum())), replace=False, p=weight / weight.sum())
    return np.concatenate([there, others])


class Average:
    """Exponential moving average of weights and buffers, taken when the processes meet."""

    def __init__(self, model: torch.nn.Module, decay: float = 0.97) -> None:
        self.decay, self.steps = decay, 0
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: torch.nn.Module) -> None:
        """Take in the current weights."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (8 + self.steps))
        for key, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)


def _agree(value: float, ranks: int) -> float:
    """The first process's value, so that all leave the loop and change size together."""
    if ranks == 1:
        return value
    shared = torch.tensor([value], dtype=torch.float64)
    distributed.broadcast(shared, 0)
    return float(shared)


@torch.no_grad()
def _share_weights(model: torch.nn.Module, ranks: int) -> None:
    """Average weights and buffers over the processes in one message."""
    if ranks == 1:
        return
    tensors = [v for v in model.state_dict().values() if v.dtype.is_floating_point]
    flat = torch.cat([t.ravel() for t in tensors])
    distributed.all_reduce(flat)
    flat /= ranks
    start = 0
    for tensor in tensors:
        tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
        start += tensor.numel()


def draw_curve(log: Path, out: Path) -> None:
    """Picture of the loss and the validation scores over pictures seen."""
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt
    except ModuleNotFoundError:
        return
    rows = list(csv.DictReader(log.open()))
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), constrained_layout=True)
    seen = [float(r["images"]) / 1000 for r in rows]
    axes[0].plot(seen, [float(r["loss"]) for r in rows])
    axes[0].set(xlabel="thousand pictures seen", ylabel="training loss")
    scored = [r for r in rows if r["acc@0.5"]]
    at = [float(r["images"]) / 1000 for r in scored]
    for key in ("acc@0.5", "absent_rejection"):
        axes[1].plot(at, [float(r[key]) for r in scored], marker="o", label=key)
    axes[1].set(xlabel="thousand pictures seen", ylim=(0, 1))
    axes[1].legend()
    axes[1].grid(alpha=0.3)
    figure.savefig(out, dpi=90)
    plt.close(figure)


def main() -> None:
    """Command line: train until the clock says stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="last.pt of an earlier run to start from: its weights and its log go on, with a new schedule")
    parser.add_argument("--minutes", type=float, default=60.0, help="the learning rate reaches zero then")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--phrases", type=int, default=96, help="phrases asked for in a step")
    parser.add_argument("--validate-every", type=float, default=10.0, help="minutes")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ranks", type=int, default=2, help="processes that share the work, a core each")
    parser.add_argument("--device", default="auto", help="cpu, cuda, or auto: a GPU where there is one, in one process")
    args = parser.parse_args()
    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"
    if args.device != "cpu":
        args.ranks = 1
    args.run.mkdir(parents=True, exist_ok=True)
    if args.ranks == 1:
        train(0, args)
        return
    context = multiprocessing.get_context("spawn")
    ranks = [context.Process(target=train, args=(rank, args)) for rank in range(args.ranks)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()


def train(rank: int, args: argparse.Namespace) -> None:
    """One process of the training; the first one also validates, saves and logs."""
    torch.set_num_threads(1)
    if args.ranks > 1:
        rendezvous = f"file://{args.run.absolute()}/rendezvous-{os.getppid()}"
        # Patient: the others wait while the first one validates.
        distributed.init_process_group("gloo", rendezvous, timedelta(minutes=15), args.ranks, rank)
    torch.manual_seed(args.seed)
    device = torch.device(args.device)
    rng = np.random.default_rng([args.seed, rank])
    phrases = vocabulary(PAINTABLE)
    tokenizer = build_tokenizer(words(phrases))
    encoded = tokenizer(list(phrases), padding=True, return_tensors="pt").input_ids.to(device)
    task_ids = tokenizer(TASK, return_tensors="pt").input_ids.to(device)
    made_up = ["stapler", "zebra toy", "red gadget", "blue thing", "large unknown", "green whatsit"]
    unknown = tokenizer(made_up, padding="max_length", max_length=encoded.shape[1], return_tensors="pt").input_ids.to(device)
    config = build_config(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id, FULL)
    model = build_model(config).to(device)
    average = Average(model)
    decay = [p for n, p in model.named_parameters() if p.ndim > 1 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if not (p.ndim > 1 and "embed" not in n)]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}], lr=args.lr, betas=(0.9, 0.99)
    )
    step = images = 0
    spent_s = 0.0
    last = args.run / "last.pt"
    if last.exists():
        state = torch.load(last, map_location=device, weights_only=False)
        model.load_state_dict(state["model"])
        average.state, average.steps = state["average"], state["step"] // SYNC
        optimizer.load_state_dict(state["optimizer"])
        step, images, spent_s = state["step"], state["images"], state["spent_s"]
    elif args.weights:
        state = torch.load(args.weights, map_location=device, weights_only=False)
        model.load_state_dict(state["average"])
        average, images = Average(model), state["images"]
    sizes = SIZES_WARM if args.weights else SIZES
    height, width = (multiprocessing.Value("i", v) for v in sizes[0][0])
    scenes = Scenes(args.data, phrases, args.batch // args.ranks, height, width, 1000 * rank + args.seed)
    loader = iter(DataLoader(scenes, batch_size=None, num_workers=1, prefetch_factor=3))
    fields = "step images minutes lr loss anchor_class anchor_apart anchor_box query_class query_apart query_box acc@0.5 absent_rejection threshold".split()
    log_path = args.run / "log.csv"
    if rank == 0 and not log_path.exists():
        before = args.weights.parent / "log.csv" if args.weights else log_path
        log_path.write_text(before.read_text() if before.exists() else ",".join(fields) + "\n")
    begin = time.monotonic() - spent_s
    next_validation = spent_s + args.validate_every * 60
    running: dict[str, float] = {}
    model.train()
    while True:
        if step % SYNC == 0:
            _share_weights(model, args.ranks)
            average.update(model)
            spent_s = _agree(time.monotonic() - begin, args.ranks)
        progress = spent_s / (args.minutes * 60)
        if progress >= 1:
            break
        size = next(s for s, until in sizes if progress < until)
        height.value, width.value = size
        lr = args.lr * min(1.0, (step + 1) / 150) * (0.5 + 0.5 * math.cos(math.pi * progress)) + 1e-6
        for group in optimizer.param_groups:
            group["lr"] = lr
        batch: Batch = next(loader)
        # Some steps ask for few phrases, as users do: the queries then go elsewhere.
        most = args.phrases if rng.random() < 0.75 else int(rng.integers(8, 24))
        picked = torch.from_numpy(choose_phrases(batch, phrases, most, rng))
        none = torch.zeros(1, MADE_UP, dtype=torch.bool)
        names, unclear = (
            [torch.cat([n[:, picked], none.expand(len(n), -1)], 1).to(device) for n in rows]
            for rows in (batch.names, batch.unclear)
        )
        boxes, ignored = ([part.to(device) for part in rows] for rows in (batch.boxes, batch.ignored))
        pixels = (batch.images.to(device).float() / 255 - MEAN.to(device)) / STD.to(device)
        with torch.autocast(device.type, torch.bfloat16) if args.bf16 else nullcontext():
            out = dense_forward(model, pixels, torch.cat([encoded[picked.to(device)], unknown]), task_ids)
        parts = detection_loss(out, boxes, names, unclear, ignored)
        total = sum((APART if key.endswith("apart") else 1.0) * value for key, value in parts.items())
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        if torch.isfinite(norm):
            optimizer.step()
        step += 1
        images += len(pixels) * args.ranks
        for key, value in {**parts, "loss": total}.items():
            running[key] = running.get(key, value.item()) * 0.95 + value.item() * 0.05
        due = step % SYNC == 0 and spent_s >= next_validation
        if rank == 0 and step % 512 == 0 and not due:
            _save(last, model, average, optimizer, step, images, time.monotonic() - begin)
        next_validation += args.validate_every * 60 * due
        if rank == 0 and (step % 64 == 0 or due):
            row: dict[str, Any] = {"step": step, "images": images, "minutes": round(spent_s / 60, 2), "lr": f"{lr:.2e}"}
            row |= {k: round(v, 4) for k, v in running.items()}
            if due:
                export(average.state, config, tokenizer, FULL, args.run / "checkpoint")
                row |= evaluate(args.run / "checkpoint", args.val, limit=24)["summary"]
                model.train()
                _save(last, model, average, optimizer, step, images, time.monotonic() - begin)
            with log_path.open("a", newline="") as file:
                csv.DictWriter(file, fields, extrasaction="ignore").writerow(row)
            print(json.dumps(row), flush=True)
            if due:
                draw_curve(log_path, args.run / "curve.png")
    if rank:
        return
    export(average.state, config, tokenizer, FULL, args.run / "checkpoint")
    _save(last, model, average, optimizer, step, images, spent_s)
    scores = evaluate(args.run / "checkpoint", args.val)
    (args.run / "validation.json").write_text(json.dumps(scores, indent=1))
    row = {"step": step, "images": images, "minutes": round(spent_s / 60, 2), "lr": 0}
    row |= {k: round(v, 4) for k, v in running.items()} | scores["summary"]
    with log_path.open("a", newline="") as file:
        csv.DictWriter(file, fields, extrasaction="ignore").writerow(row)
    draw_curve(log_path, args.run / "curve.png")
    print(json.dumps(scores["summary"]), flush=True)


def _save(path: Path, model, average: Average, optimizer, step: int, images: int, spent_s: float) -> None:  # noqa: ANN001
    part = path.with_suffix(".part")
    torch.save(
        {
            "model": model.state_dict(),
            "average": average.state,
            "optimizer": optimizer.state_dict(),
            "step": step,
            "images": images,
            "spent_s": spent_s,
        },
        part,
    )
    part.replace(path)


if __name__ == "__main__":
    main()
