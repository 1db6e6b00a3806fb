"""Makes the capture that `pocketworlds demo` scans: a simulated phone walks once around a procedural table.

    python examples/make_demo_capture.py [folder]

Poses, depth and confidence are the same at every run; the video differs with the encoder. Smaller than a real capture:
60 frames of 640 x 480.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from pocketworlds.benchmarks.ground_truth_scenes import generate_scene
from pocketworlds.demo import demo_capture
from pocketworlds.real2sim.phone import PhoneModel, scan_scene

SEED = 105
"""A box, a can, two bottles and a screwdriver on a table: each can be grasped from above."""


def main(out: Path) -> None:
    """Writes the capture to `out`, replacing what is there."""
    scene = generate_scene(SEED, "apart", "table")
    model, data = scene.simulation()
    shutil.rmtree(out, ignore_errors=True)
    scan_scene(
        model,
        data,
        out,
        rng=np.random.default_rng(SEED),
        path=replace(scene.path(), frames=60, hold="landscape"),
        phone=PhoneModel(width=640, height=480),
    )
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    print(f"{out}: {', '.join(item.category for item in scene.objects)}; {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else demo_capture())
