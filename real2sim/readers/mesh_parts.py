"""Joins the parts of a scanned mesh (one per material) into one `CaptureMesh`: one texture, UV per face corner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from ...errors import CaptureError
from ..capture import CaptureMesh, Float, Image

MAX_TEXTURE = 16384
"""Largest side of a joined texture, pixels."""

MAX_COORDINATE = 1e5
"""Metres; coordinates beyond are damaged (or not in metres by a factor of a thousand)."""

UNTEXTURED = np.full((4, 4, 3), 200, dtype=np.uint8)
"""Light grey for the parts without a picture in a mesh where others have one."""


@dataclass(frozen=True)
class MeshPart:
    """Triangles of one material.

    Attributes:
        vertices: float64 [V, 3] in the Z-up world, metres.
        faces: int64 [F, 3].
        uv: float64 [F, 3, 2], V upwards, or None.
        texture: uint8 [H, W, 3], or None.
        colors: uint8 [V, 3], or None.
    """

    vertices: Float
    faces: NDArray[np.int64]
    uv: Float | None = None
    texture: Image | None = None
    colors: Image | None = None


def join(parts: list[MeshPart], name: str, where: str) -> CaptureMesh:
    """One mesh of all parts; several textures are stacked into one and the UV moved along.

    Vertices keep their order and are neither merged nor split.

    Raises:
        CaptureError: if there are no triangles, an index is out of range, or a coordinate is not finite.
    """
    parts = [part for part in parts if len(part.faces)]
    if not parts:
        raise CaptureError(f"{where}: no triangles (a point cloud?); export a mesh")
    for part in parts:
        if not np.isfinite(part.vertices).all() or np.abs(part.vertices).max() > MAX_COORDINATE:
            raise CaptureError(f"{where}: vertices are not finite, or lie further than {MAX_COORDINATE:g} m away")
        if part.faces.min() < 0 or part.faces.max() >= len(part.vertices):
            raise CaptureError(f"{where}: a face names a vertex that is not there")
        if part.uv is not None and not np.isfinite(part.uv).all():
            raise CaptureError(f"{where}: texture coordinates are not finite")
    starts = np.cumsum([0] + [len(part.vertices) for part in parts])
    uv, texture = _stack_textures(parts)
    colors = None
    if any(part.colors is not None for part in parts):
        grey = [
            np.full((len(part.vertices), 3), 200, np.uint8) if part.colors is None else part.colors for part in parts
        ]
        colors = np.concatenate(grey)
    return CaptureMesh(
        vertices=np.concatenate([part.vertices for part in parts]),
        faces=np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=False)]),
        uv=uv,
        texture=texture,
        colors=colors,
        name=name,
    )


def triangulated(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Corner numbers [F, 3] of the triangle fans of polygons with `counts` [P] corners each.

    Corner numbers count through all polygons, so they index vertex indices and per-corner UV alike.
    """
    fans = np.maximum(counts - 2, 0)
    first = np.repeat(np.cumsum(counts) - counts, fans)
    step = np.arange(fans.sum()) - np.repeat(np.cumsum(fans) - fans, fans)
    return np.stack([first, first + step + 1, first + step + 2], axis=1).astype(np.int64)


def _stack_textures(parts: list[MeshPart]) -> tuple[Float | None, Image | None]:
    """UV and texture of the joined mesh."""
    textured = [part for part in parts if part.texture is not None and part.uv is not None]
    if not textured:
        return None, None
    if len(textured) == len(parts) and all(part.texture is textured[0].texture for part in parts):
        return np.concatenate([part.uv for part in parts if part.uv is not None]), textured[0].texture
    pictures: list[Image] = []
    slots: list[int] = []
    for part in parts:
        picture = UNTEXTURED if part.texture is None or part.uv is None else part.texture
        slot = next((i for i, known in enumerate(pictures) if known is picture), len(pictures))
        if slot == len(pictures):
            pictures.append(picture)
        slots.append(slot)
    width, height = max(p.shape[1] for p in pictures), sum(p.shape[0] for p in pictures)
    shrink = min(1.0, MAX_TEXTURE / max(width, height))
    pictures = [_resized(picture, shrink) for picture in pictures]
    sheet = np.zeros((sum(p.shape[0] for p in pictures), max(p.shape[1] for p in pictures), 3), np.uint8)
    tops = np.cumsum([0] + [p.shape[0] for p in pictures])
    for picture, top in zip(pictures, tops, strict=False):
        sheet[top : top + picture.shape[0], : picture.shape[1]] = picture
    moved = []
    for part, slot in zip(parts, slots, strict=True):
        h, w = pictures[slot].shape[:2]
        uv = np.full((len(part.faces), 3, 2), 0.5) if part.uv is None or part.texture is None else part.uv
        uv = uv - np.floor(uv.min(axis=1, keepdims=True))  # a tile other than the first shows the same picture
        uv = uv.clip(0.5 / np.array([w, h]), 1 - 0.5 / np.array([w, h]))  # never bleed into the neighbour
        left, bottom = uv[..., 0] * w, tops[slot] + (1 - uv[..., 1]) * h
        moved.append(np.stack([left / sheet.shape[1], 1 - bottom / sheet.shape[0]], axis=-1))
    return np.concatenate(moved), sheet


def _resized(picture: Image, factor: float) -> Image:
    if factor >= 1:
        return picture
    size = (max(1, int(picture.shape[1] * factor)), max(1, int(picture.shape[0] * factor)))
    return np.asarray(PILImage.fromarray(picture).resize(size, PILImage.Resampling.BOX), dtype=np.uint8)
