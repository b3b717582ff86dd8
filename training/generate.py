"""Render training scenes in the background, chunk by chunk.

    MUJOCO_GL=osmesa python -m training.generate OUT --frames 10000 --workers 2
    MUJOCO_GL=osmesa python -m training.generate OUT_VAL --frames 400 --seed 900 --workers 1

A chunk is a folder of `CHUNK` pictures and one `labels.jsonl`, written last: a chunk without it
is unfinished and will be made again. Chunks depend only on the seed and their number.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from training.sensor import sensor_depth

CHUNK = 50


@dataclass(frozen=True)
class Extras:
    """What to write beside the picture.

    Attributes:
        masks: instance numbers, `.png`.
        depth: as a sensor sees it, 16-bit mm, `.depth.png`.
        exact_depth: what it saw it of, 16-bit tenths of a mm up to 6.5 m, `.exact.png`.
    """

    masks: bool = False
    depth: bool = False
    exact_depth: bool = False


def make_chunk(out: Path, seed: int, chunk: int, world, camera, extras: Extras) -> None:  # noqa: ANN001
    """Render one chunk of scenes into `out/<chunk>/`."""
    folder = out / f"{chunk:05d}"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 7, chunk])
    lines: list[str] = []
    while len(lines) < CHUNK:
        placed = world.randomize(rng)
        # Two views of a layout: posing is cheap, but so is a second look.
        for _ in range(2):
            frame = camera.shoot(placed, rng, with_depth=extras.depth or extras.exact_depth)
            if frame is None or len(lines) >= CHUNK:
                continue
            name = f"{len(lines):03d}"
            Image.fromarray(frame.color).save(folder / f"{name}.jpg", quality=int(rng.integers(80, 96)))
            record = {"image": f"{name}.jpg", "width": world.width, "height": world.height, "objects": frame.objects}
            if extras.masks:
                Image.fromarray(frame.instances).save(folder / f"{name}.png")
            if frame.depth_m is not None:
                record["focal_px"] = round(frame.focal_px, 3)
            if extras.exact_depth:
                tenths = np.rint(np.minimum(frame.depth_m, 6.5) * 1e4).astype(np.uint16)
                Image.fromarray(tenths).save(folder / f"{name}.exact.png")
                record["exact_depth_unit_m"] = 0.0001
            if extras.depth:
                # Noise of its own: the scenes stay the same with and without.
                noise = np.random.default_rng([seed, 11, chunk, len(lines)])
                Image.fromarray(sensor_depth(frame.depth_m, noise)).save(folder / f"{name}.depth.png")
                record["depth_unit_m"] = 0.001
            lines.append(json.dumps(record))
    part = folder / "labels.part"
    part.write_text("\n".join(lines) + "\n")
    part.replace(folder / "labels.jsonl")


def work(out: Path, cache: Path, seed: int, chunks: list[int], extras: Extras) -> None:
    """Make every chunk of the list that is not there yet."""
    from training.render import Camera
    from training.scene import World

    world = World(cache, seed)
    camera = Camera(world)
    for chunk in chunks:
        if (out / f"{chunk:05d}" / "labels.jsonl").exists():
            continue
        begin = time.perf_counter()
        make_chunk(out, seed, chunk, world, camera, extras)
        rate = CHUNK / (time.perf_counter() - begin)
        print(f"chunk {chunk}: {rate:.1f} frames/s", flush=True)


def main() -> None:
    """Command line: render scenes."""
    os.environ.setdefault("MUJOCO_GL", "osmesa")
    # One process a core beats threads inside the software renderer.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=None, help="shrunk textures; default OUT/../cache")
    parser.add_argument("--masks", action="store_true", help="also write instance masks")
    parser.add_argument("--depth", action="store_true", help="also write depth as a sensor would see it")
    parser.add_argument("--exact-depth", action="store_true", help="also write depth without noise and holes")
    args = parser.parse_args()
    extras = Extras(args.masks, args.depth, args.exact_depth)
    cache = args.cache or args.out.parent / "cache"
    chunks = list(range((args.frames + CHUNK - 1) // CHUNK))
    shares = [chunks[k :: args.workers] for k in range(args.workers)]
    context = get_context("spawn")
    processes = [context.Process(target=work, args=(args.out, cache, args.seed, s, extras)) for s in shares]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


if __name__ == "__main__":
    main()
