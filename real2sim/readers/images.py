"""Pictures, depth and confidence: decoding with limits, and units checked on every load."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from ...errors import CaptureError
from ..capture import Depth, Image, Intrinsics
from .archive import Source
from .guard import lazy

MAX_PIXELS = 100_000_000
"""Largest picture: an iPhone's largest is 48 megapixels."""

MAX_DEPTH_PIXELS = 4_000_000
"""Largest depth map: LiDAR gives 256 x 192, TrueDepth 640 x 480, portrait photos 768 x 576."""

DEPTH_MEDIAN_RANGE = (0.005, 100.0)
"""Metres. A LiDAR ranges 0.2 to 5 m, so a median outside shows wrong units."""

ASPECT_TOLERANCE = 0.05


def image_size(source: Source, name: str) -> tuple[int, int]:
    """Width and height from a picture's header."""
    with source.store.open(source.prefix + name) as stream, PILImage.open(stream) as image:
        return image.size


def image_mode(source: Source, name: str) -> str:
    """Pillow's name of a picture's pixel type, from its header."""
    with source.store.open(source.prefix + name) as stream, PILImage.open(stream) as image:
        return image.mode


def color_loader(source: Source, name: str, size: tuple[int, int] | None = None) -> Callable[[], Image]:
    """A loader of uint8 [H, W, 3]; a `size` (width, height) given must be the picture's."""

    def load() -> Image:
        image = _open(source, name, MAX_PIXELS)
        if size is not None and image.size != size:
            raise CaptureError(f"{source.where(name)}: {image.size} pixels where the capture says {size}")
        return np.asarray(image.convert("RGB"), dtype=np.uint8)

    return lazy(source.where(name), load)


def depth_loader(source: Source, name: str, intrinsics: Intrinsics, *, scale: float = 1e-3) -> Callable[[], Depth]:
    """A loader of float32 [h, w] metres from a 16-bit PNG, `scale` metres a count (1e-3: millimetres)."""

    def load() -> Depth:
        image = _open(source, name, MAX_DEPTH_PIXELS)
        if not image.mode.startswith("I"):
            raise CaptureError(f"{source.where(name)}: {image.mode} pixels; depth must be a 16-bit grey PNG")
        counts = np.asarray(image, dtype=np.float32)
        return checked_depth(counts * np.float32(scale), source.where(name), intrinsics)

    return lazy(source.where(name), load)


def confidence_loader(source: Source, name: str, depth_name: str | None = None) -> Callable[[], Image]:
    """A loader of uint8 [h, w] in {0, 1, 2} from an 8-bit PNG, which must be as large as the depth PNG `depth_name`."""

    def load() -> Image:
        image = _open(source, name, MAX_DEPTH_PIXELS)
        if image.mode not in {"L", "P", "I;16", "I"}:
            raise CaptureError(f"{source.where(name)}: {image.mode} pixels; confidence must be a grey PNG")
        if depth_name is not None and image.size != (expected := image_size(source, depth_name)):
            raise CaptureError(f"{source.where(name)}: {image.size} pixels, but its depth has {expected}")
        return checked_confidence(np.asarray(image), source.where(name))

    return lazy(source.where(name), load)


def checked_depth(depth: NDArray[np.generic], where: str, intrinsics: Intrinsics | None) -> Depth:
    """Float32 [h, w] metres with 0 where unknown (NaN, infinite and negative readings become 0).

    Raises:
        CaptureError: for an empty image, a shape that contradicts the camera, or a median of impossible depth.
    """
    if depth.ndim != 2 or depth.size == 0:
        raise CaptureError(f"{where}: depth of shape {depth.shape} has no pixels")
    height, width = depth.shape
    if intrinsics is not None and not (
        abs(width / height * intrinsics.height / intrinsics.width - 1) < ASPECT_TOLERANCE
    ):
        raise CaptureError(
            f"{where}: depth of {width} x {height} does not cover a {intrinsics.width} x {intrinsics.height} picture "
            "(portrait and landscape mixed up?)"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        metres = depth.astype(np.float32)
    metres = np.where(np.isfinite(metres) & (metres > 0), metres, np.float32(0))
    known = metres[metres > 0]
    if known.size:
        median = float(np.median(known))
        low, high = DEPTH_MEDIAN_RANGE
        if not low < median < high:
            unit = "millimetres were written as metres" if median >= high else "metres were written as millimetres"
            raise CaptureError(f"{where}: median depth is {median:.4g} m, which no phone measures: perhaps {unit}")
    return metres


def checked_confidence(values: NDArray[np.generic], where: str) -> Image:
    """Uint8 [h, w] in {0, 1, 2}; Polycam's 0/127/255 is brought to that scale."""
    if values.ndim != 2 or values.size == 0:
        raise CaptureError(f"{where}: confidence of shape {values.shape} has no pixels")
    largest = int(values.max())
    if largest <= 2:
        return values.astype(np.uint8)
    if np.isin(values, (0, 127, 128, 254, 255)).all():
        return (values.astype(np.float32) / 127).round().clip(0, 2).astype(np.uint8)
    raise CaptureError(f"{where}: confidence goes to {largest}; ARKit's is 0, 1 or 2")


def _open(source: Source, name: str, max_pixels: int) -> PILImage.Image:
    """A decoded picture whose size was checked before its pixels were unpacked."""
    image = PILImage.open(io.BytesIO(source.read(name)), formats=["PNG", "JPEG"])
    if image.width * image.height > max_pixels:
        raise CaptureError(f"{source.where(name)}: {image.width} x {image.height} pixels are too many")
    image.load()
    return image
