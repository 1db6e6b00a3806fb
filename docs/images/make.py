"""Makes the pictures of the README from what `pocketworlds demo` wrote: capture, rebuilt scene, lift.

pocketworlds demo --out out/demo && python docs/images/make.py out/demo
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pocketworlds.demo import FILM, SCENE, demo_capture

HERE = Path(__file__).parent
SIZE = (480, 360)


def frames(video: Path) -> list[NDArray[np.uint8]]:
    """Every picture of a video, uint8 [H, W, 3]."""
    with av.open(str(video)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


def write(name: str, picture: Image.Image) -> None:
    """Saves a picture small, with a palette of its own."""
    small = picture.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)
    small.quantize(192, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(HERE / name, optimize=True)
    print(f"{HERE / name}: {(HERE / name).stat().st_size / 1000:.0f} kB")


def main(demo: Path) -> None:
    """Writes `capture.png`, `scene.png` and `lift.png` beside this file."""
    write("capture.png", Image.fromarray(frames(demo_capture() / "rgb.mp4")[20]))
    write("scene.png", Image.open(demo / SCENE / "preview.png"))
    write("lift.png", Image.fromarray(frames(demo / FILM)[-1]))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out/demo"))
