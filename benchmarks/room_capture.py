"""Time and memory of a long scan: a furnished room of 5 x 5 m, walked round by the simulated phone.

    python -m pocketworlds.benchmarks.room_capture --out out/room --frames 300

prints what each stage of `pocketworlds scan` took, texture included, and how much memory the process held at most.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..real2sim.phone import HandheldPath, scan_scene
from ..real2sim.pipeline import ScanOptions, scan
from .ground_truth_room import add_visual
from .ground_truth_scenes import GroundTruthScene, generate_scene
from .ground_truth_shapes import box_visual
from .ground_truth_textures import package_texture, wood_texture

MINUTES, GIGABYTES = 5.0, 8.0
"""What a room of 300 frames may take on two cores."""

FURNITURE: dict[str, list[tuple[tuple[float, float, float], tuple[float, float, float]]]] = {
    "sofa": [
        ((1.8, 0.8, 0.42), (-0.4, -1.6, 0.21)),
        ((1.8, 0.2, 0.45), (-0.4, -1.9, 0.645)),
        ((0.18, 0.8, 0.2), (-1.21, -1.6, 0.52)),
        ((0.18, 0.8, 0.2), (0.41, -1.6, 0.52)),
    ],
    "cabinet": [((0.45, 1.2, 0.85), (-1.9, 0.4, 0.425))],
    "shelf": [((0.3, 0.9, 1.7), (2.1, 0.7, 0.85))],
    "crate": [((0.4, 0.3, 0.28), (1.3, -1.3, 0.14))],
    "chair": [
        ((0.42, 0.42, 0.05), (0.2, 1.45, 0.44)),
        ((0.42, 0.04, 0.45), (0.2, 1.64, 0.69)),
        *(((0.035, 0.035, 0.42), (0.2 + x, 1.45 + y, 0.21)) for x in (-0.18, 0.18) for y in (-0.18, 0.18)),
    ],
}
"""Blocks of each piece of furniture: full extents and middle [m]."""


def furnished_room(seed: int) -> tuple[Any, Any, GroundTruthScene]:
    """The model and settled state of a benchmark table in a furnished room, and the table's truth."""
    import mujoco

    scene = generate_scene(seed, "apart", "table")
    rng = np.random.default_rng([seed, 5])
    for name, blocks in FURNITURE.items():
        texture = package_texture(rng) if name == "crate" else wood_texture(rng)
        body = scene.spec.worldbody.add_body(name=name)
        for number, (size, middle) in enumerate(blocks):
            add_visual(scene.spec, body, f"{name}_{number}", box_visual(np.array(size), np.array(middle), texture, 1.0))
    model = scene.spec.compile()
    data = mujoco.MjData(model)
    data.qpos[:] = scene.qpos
    mujoco.mj_forward(model, data)
    return model, data, scene


def main(arguments: list[str] | None = None) -> int:
    """Walk, scan, and compare with the bounds; returns 0 if both hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/room"), help="folder for capture, scene and figures")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    capture = options.out / f"capture-{options.seed}-{options.frames}"
    model, data, truth = furnished_room(options.seed)
    if not capture.exists():
        walk = HandheldPath(
            look_at=(0.0, 0.0, 0.55),
            distance=(1.5, 2.1),
            elevation_deg=(18.0, 42.0),
            sweep_deg=345.0,
            frames=options.frames,
            duration=options.frames / 5,
        )
        scan_scene(model, data, capture, rng=np.random.default_rng([options.seed, 7]), path=walk)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["POCKETWORLDS_CACHE"] = cache  # nothing of an earlier run is reused
        start = time.perf_counter()
        limits = ScanOptions(maximum_frames=options.frames)
        result = scan(capture, options.out / "scene", options=limits, replace_existing=True)
        seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    held = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    memory = sum(held) * unit / 1e9
    for stage in result.report.stages:
        print(f"{stage.name:12s} {stage.seconds:7.1f} s  {stage.peak_memory_mb:7.0f} MB")
    print(
        f"{options.frames} frames of a furnished room, {len(truth.objects)} objects on its table, "
        f"{len(result.scene.objects)} rebuilt: {seconds:.0f} s, at most {memory:.1f} GB (largest child included)"
    )
    record = {"frames": options.frames, "seed": options.seed, "seconds": seconds, "memory_gb": memory}
    (options.out / "room.json").write_text(json.dumps(record, indent=1))
    passed = seconds < 60 * MINUTES and memory < GIGABYTES
    print(f"under {MINUTES:.0f} minutes and {GIGABYTES:.0f} GB: {'PASS' if passed else 'FAIL'}")
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
