"""Colours and textures of a model as one list of texels."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...world_models.hybrid.surfaces import SKY, Textures

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_LARGEST, _SIDE, _SKY = 256, 64, 32  # texels along a side: of a texture, a side of a cube, the sky
_RGB = int(mujoco.mjtTextureRole.mjTEXROLE_RGB)
_CUBE, _SKYBOX = int(mujoco.mjtTexture.mjTEXTURE_CUBE), int(mujoco.mjtTexture.mjTEXTURE_SKYBOX)
# Sides +x, -x, +y, -y, +z, -z of a cube: axis, and what goes right and down on their pictures (OpenGL's convention).
_SIDES = (
    (0, (0, 0, -1), (0, -1, 0)),
    (0, (0, 0, 1), (0, -1, 0)),
    (1, (1, 0, 0), (0, 0, 1)),
    (1, (1, 0, 0), (0, 0, -1)),
    (2, (1, 0, 0), (0, -1, 0)),
    (2, (-1, 0, 0), (0, -1, 0)),
)
# Likewise on a flat picture that each side shows: the same way on opposite sides.
_FLAT = (((0, 1, 0), (0, 0, -1)),) * 2 + (((1, 0, 0), (0, 0, -1)),) * 2 + (((1, 0, 0), (0, -1, 0)),) * 2
_HEAVEN = (0, 1, 5, 4, 2, 3)  # parts of a sky's texture that are seen along +x, -x, +y, -y, +z, -z


class Palette:
    """Collects the textures that a model's geoms ask for; each is stored once."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._known: dict[tuple[int, int, tuple[float, ...]], int] = {}
        self._pictures: list[Array] = []  # the sky's first: `SKY` of them
        sky = np.flatnonzero(model.tex_type == _SKYBOX)
        for side in _HEAVEN:
            self._pictures.append(self._picture(int(sky[0]), side, _SKY) if len(sky) else np.zeros((1, 1, 3)))

    def place(self, material: int, rgba: Array, unit: Array, normal: Array, half: Array) -> tuple[Array, Ints]:
        """Places on textures (F, 4, 2), and textures (F,), of faces without places of their own.

        Args:
            material: -1 for none. rgba: (4,). unit: (F, 4, 3) corners, in shares of half the extent. normal:
            (F, 4, 3) at the corners. half: (3,) half the extent [m].
        """
        texture = self._texture(material)
        if texture < 0:
            return np.zeros((*unit.shape[:2], 2)), np.full(len(unit), self._number(-1, 0, self._tint(material, rgba)))
        cube, tint = bool(self._model.tex_type[texture] == _CUBE), self._tint(material, rgba)
        repeat, scale = np.asarray(self._model.mat_texrepeat[material]), np.ones(3)
        if self._model.mat_texuniform[material]:
            scale = half
        if not cube and not unit[..., 2].any():  # a plane
            mapped = unit[..., :2] * [0.5, -0.5] * repeat * scale[:2] - 0.5
            return mapped, np.full(len(unit), self._number(texture, 0, tint))
        # Six sides: a cube's texture has a picture of each, any other shows whole on each.
        middle = unit.mean(1)
        axis = np.abs(middle).argmax(1)
        side = 2 * axis + (np.take_along_axis(middle, axis[:, None], 1)[:, 0] < 0)
        sides = [each[1:] for each in _SIDES] if cube else list(_FLAT)
        right, down = (np.array([each[k] for each in sides], dtype=float)[side] for k in (0, 1))
        depth = np.maximum(np.abs(np.take_along_axis(unit, axis[:, None, None], 2)), 1e-6)
        flat = unit / depth
        mapped = np.stack([(flat * right[:, None]).sum(2), (flat * down[:, None]).sum(2)], 2) / 2 + 0.5
        if not cube:
            sizes = np.stack([np.abs(right) @ scale, np.abs(down) @ scale], 1)
            return mapped * (repeat * sizes)[:, None], np.full(len(unit), self._number(texture, 0, tint))
        numbers = {k: self._number(texture, int(k), tint) for k in np.unique(side)}
        return np.clip(mapped, 0.002, 0.998), np.array([numbers[k] for k in side], dtype=np.int64)

    def wrap(self, material: int, rgba: Array, mapped: Array) -> tuple[Array, Ints]:
        """The same for faces with places (F, 4, 2) of their own."""
        texture = self._texture(material)
        if texture >= 0 and self._model.tex_type[texture] == _CUBE:
            texture = -1
        repeat = self._model.mat_texrepeat[material] if texture >= 0 else np.ones(2)
        return mapped * repeat, np.full(len(mapped), self._number(texture, 0, self._tint(material, rgba)))

    def textures(self) -> Textures:
        """All that was asked for."""
        sizes = np.array([picture.shape[:2] for picture in self._pictures], dtype=np.int64)
        area = sizes.prod(1)
        return Textures(
            texel=np.concatenate([picture.reshape(-1, 3) for picture in self._pictures]).astype(np.float32),
            start=np.cumsum(area) - area,
            width=sizes[:, 1],
            height=sizes[:, 0],
        )

    def _texture(self, material: int) -> int:
        return int(self._model.mat_texid[material, _RGB]) if material >= 0 else -1

    def _tint(self, material: int, rgba: Array) -> tuple[float, ...]:
        # A geom's own colour counts where it was given; MuJoCo's default is a grey that means "the material's".
        if material >= 0 and np.allclose(rgba, [0.5, 0.5, 0.5, 1.0]):
            rgba = self._model.mat_rgba[material]
        return tuple(float(v) for v in rgba[:3])

    def _number(self, texture: int, side: int, tint: tuple[float, ...]) -> int:
        key = (texture, side, tint)
        if key not in self._known:
            picture = np.ones((1, 1, 3))
            if texture >= 0:
                cube = self._model.tex_type[texture] == _CUBE
                picture = self._picture(texture, side if cube else -1, _SIDE if cube else _LARGEST)
            self._known[key] = len(self._pictures)
            self._pictures.append(picture * tint)
        return self._known[key]

    def _picture(self, texture: int, side: int, most: int) -> Array:
        """A texture, or a side of it, (height, width, 3) in [0, 1], at most so large."""
        model = self._model
        width, height, channels = (
            int(getattr(model, f"tex_{what}")[texture]) for what in ("width", "height", "nchannel")
        )
        first = int(model.tex_adr[texture])
        data = np.asarray(model.tex_data[first : first + width * height * channels]).reshape(height, width, channels)
        data = np.repeat(data, 3, axis=2) if channels == 1 else data[:, :, :3]
        if side >= 0:
            each = height // SKY if height >= SKY * width else height
            data = data[side * each : (side + 1) * each] if height >= SKY * width else data
        if max(data.shape[:2]) > most:
            size = [max(1, round(v * most / max(data.shape[:2]))) for v in (data.shape[1], data.shape[0])]
            data = np.asarray(Image.fromarray(np.ascontiguousarray(data)).resize(size, Image.Resampling.BOX))
        return np.asarray(data, dtype=float) / 255
