"""Pictures without OpenGL: from where everything is to colours, distances and what each pixel shows.

Faces are projected and the nearest kept (`raster`): what a pixel shows, and how far away it is, is exact. What colour
it has is a matter of how surfaces throw light back, and that is learned (`reflectance`). The network is asked at the
corners of faces that are seen; between them colours are mixed.

What stands still before a camera that stands still is drawn once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .kinematics import matmul_back, turn, turn_back
from .raster import Raster, Seen, View, still_and_moving
from .reflectance import ANGLES, Reflectance, lambert, lighten
from .surfaces import SKY, Appearance, Bones, Lights

_PICTURES = 32  # are drawn at once: what is worked on stays in the processor's cache


@dataclass(frozen=True)
class Corners:
    """Corners of the V faces that are seen, in the light of S lights.

    Attributes:
        angles: (V, 4, S, ANGLES). tint: (V, 3) colour of the faces, white where they have a texture.
    """

    angles: Tensor
    tint: Tensor


@dataclass(frozen=True)
class Scenery:
    """What stands still before a camera that stands still, in one size.

    Attributes:
        nearness: (height * width,) 1 / distance, 0 for the sky. label, colour: (height * width[, 3]).
    """

    nearness: Tensor
    label: Tensor
    colour: Tensor


class Painter:
    """Draws worlds of one scene."""

    def __init__(self, appearance: Appearance, reflectance: Reflectance | None) -> None:
        """Takes how the scene looks, and how surfaces throw light back; None: as matt ones."""
        self._appearance, self._reflectance = appearance, reflectance
        self._bones = Bones(appearance.skeleton)
        faces, textures = appearance.faces, appearance.textures
        still, moving = still_and_moving(faces)
        self._still, self._moving = Raster(faces, still), Raster(faces, moving)
        self._all = Raster(faces, torch.arange(len(faces.corner)))
        self._owner, self._label = torch.from_numpy(faces.owner), torch.from_numpy(faces.label).to(torch.int32)
        self._corner = torch.from_numpy(faces.vertex[faces.corner])
        self._normal, self._gloss = torch.from_numpy(faces.normal), torch.from_numpy(faces.gloss)
        self._map, self._weight = torch.from_numpy(faces.map), torch.from_numpy(faces.weight)
        self._texel = torch.from_numpy(textures.texel)
        sizes = torch.from_numpy(np.stack([textures.start, textures.width, textures.height], 1))
        self._sky, self._texture = sizes[:SKY], sizes[torch.from_numpy(faces.texture)]
        self._pictured = self._texture[:, 1:].prod(1) > 1
        self._tint = torch.where(self._pictured[:, None], 1.0, self._texel[self._texture[:, 0]])
        self._lights = appearance.lights
        self._scenery: dict[tuple[str, int, int], Scenery] = {}

    def draw(self, qpos: Tensor, camera: str, kinds: Sequence[str], *, width: int, height: int) -> dict[str, Tensor]:
        """Pictures of worlds.

        Args:
            qpos: float32 (m, nq) positions of everything. camera: name of one of the scene's. kinds: of "rgb", uint8
                (m, height, width, 3); "depth", float32 (m, height, width, 1) along the camera's axis [m];
                "segmentation", int32 (m, height, width, 1). width, height: [pixels].
        """
        view = self.view(camera, width, height)
        with torch.no_grad():
            scenery = self._behind(camera, view) if view.camera.carrier == 0 else None
            parts = [self._draw(rows, kinds, view, scenery) for rows in _groups(qpos, _PICTURES)]
        return {kind: torch.cat([part[kind] for part in parts]) for kind in kinds}

    def _draw(self, qpos: Tensor, kinds: Sequence[str], view: View, scenery: Scenery | None) -> dict[str, Tensor]:
        m, pixels = len(qpos), view.width * view.height
        place, frame, axes = self._poses(qpos, view)
        if scenery is None:
            nearness, seen = self._all(place, frame, view)
        else:
            nearness, seen = self._moving(place, frame, view, scenery.nearness)
        found = {}
        if "depth" in kinds:
            found["depth"] = (1 / nearness).clamp_max(view.camera.far)
        if "segmentation" in kinds:
            label = torch.zeros(m * pixels, dtype=torch.int32) if scenery is None else scenery.label.repeat(m)
            label[seen.pixel] = self._label[seen.face][seen.number]
            found["segmentation"] = label
        if "rgb" in kinds:
            if scenery is None:
                colour = torch.zeros(m * pixels, 3, dtype=torch.uint8)
                empty = (nearness.view(-1) == 0).nonzero()[:, 0]
                colour[empty] = _bytes(self._heaven(empty, view, axes))
            else:
                colour = scenery.colour.repeat(m, 1)
            colour[seen.pixel] = _bytes(self._colours(seen, view, place, frame))
            found["rgb"] = colour
        return {kind: values.view(m, view.height, view.width, -1) for kind, values in found.items()}

    def surfaces(self, qpos: Tensor, camera: str, *, width: int, height: int) -> tuple[Seen, Corners, Tensor, Tensor]:
        """What colours of pictures are made from, to learn from pictures of another renderer.

        Returns:
            seen, corners: of all faces. share: (P, 4) of the corners in the colour of a pixel. label: (P,) of pixels.
        """
        view = self.view(camera, width, height)
        place, frame, _ = self._poses(qpos, view)
        _, seen = self._all(place, frame, view)
        each = torch.eye(4).expand(len(seen.face), 4, 4)
        share = self._mixed(self._functions(each, seen, view, place, frame), seen, view)
        return seen, self._look(seen, place, frame), share, self._label[seen.face][seen.number]

    def view(self, camera: str, width: int, height: int) -> View:
        """How pictures of a camera are divided into pixels."""
        return View(self._appearance.cameras[camera], width, height)

    def stand(self, qpos: Tensor, camera: str) -> tuple[Tensor, Tensor, float]:
        """Where a camera is in worlds, float64: places (m, 3), frames (m, 3, 3), and the tangent of half its view."""
        held = self._appearance.cameras[camera]
        place, frame = (each[:, held.carrier].double() for each in self._bones(qpos))
        eye = place + turn(frame, torch.from_numpy(held.position).double())
        return eye, frame @ torch.from_numpy(held.rotation).double(), held.slope

    @property
    def lights(self) -> Lights:
        """The scene's lights."""
        return self._lights

    def _colours(self, seen: Seen, view: View, place: Tensor, frame: Tensor) -> Tensor:
        """Colours (P, 3) of pixels."""
        corners = self._look(seen, place, frame)
        respond = lambert if self._reflectance is None else self._reflectance
        share = respond(corners.angles.reshape(-1, ANGLES)).view(*corners.angles.shape[:3], 2)
        lit = lighten(share, corners.tint, self._lights)
        colour = self._mixed(self._functions(lit, seen, view, place, frame), seen, view)
        pictured = self._pictured[seen.face]
        if bool(pictured.any()):
            rows = pictured[seen.number].nonzero()[:, 0]
            mapped = self._functions(self._map[seen.face], seen, view, place, frame)
            there = Seen(seen.pixel[rows], seen.number[rows], seen.picture, seen.face, seen.nearness)
            address = _address(self._mixed(mapped, there, view), self._texture[seen.face][there.number])
            colour[rows] *= self._texel[address]
        return colour

    def _look(self, seen: Seen, place: Tensor, frame: Tensor) -> Corners:
        """How the corners of faces that are seen are turned to lights and camera; all in the frames of carriers."""
        owner, face = (seen.picture, self._owner[seen.face]), seen.face
        turned, at = frame[owner], place[owner]
        eye = -turn_back(turned, at)
        back = _unit(eye[:, None] - self._corner[face])
        world = self._lights.direction[1:]
        head = self._lights.direction[:1].expand(len(frame), 1, 3)
        toward = torch.cat([head, turn(frame[:, :1], world)], 1)
        toward = turn_back(turned[:, None], toward[seen.picture])[:, None]
        normal = self._normal[face]
        half = _unit(toward + back[:, :, None])
        shape = half.shape[:3]
        angles = [
            (normal[:, :, None] * toward).sum(3),
            (normal * back).sum(2)[:, :, None].expand(shape),
            (normal[:, :, None] * half).sum(3),
            *(self._gloss[face, k, None, None].expand(shape) for k in range(2)),
        ]
        return Corners(torch.stack(angles, 3), self._tint[face])

    def _functions(self, value: Tensor, seen: Seen, view: View, place: Tensor, frame: Tensor) -> Tensor:
        """Values (V, 4, K) at corners, divided by distance, as linear functions (V, 3, K) of the pixel."""
        owner = (seen.picture, self._owner[seen.face])
        turned, at = frame[owner], place[owner]
        affine = (self._weight[seen.face][..., None] * value[:, :, None]).sum(1)  # (V, 4, K), in the carrier's frame
        slope = (turned[..., None] * affine[:, None, :3]).sum(2)
        rest = affine[:, 3] - (slope * at[..., None]).sum(1)
        return slope * view.scale[:, None] + seen.nearness[..., None] * rest[:, None]

    def _mixed(self, functions: Tensor, seen: Seen, view: View) -> Tensor:
        """Values (P, K) in pixels of linear functions (V, 3, K) of the pixel."""
        x, y = (each[:, None] for each in view.middle(seen.pixel))
        rows = torch.cat([functions, seen.nearness[..., None]], 2)[seen.number]
        mixed = rows[:, 0] * x + rows[:, 1] * y + rows[:, 2]
        return mixed[:, :-1] / mixed[:, -1:]

    def _poses(self, qpos: Tensor, view: View) -> tuple[Tensor, Tensor, Tensor]:
        """Places and frames of carriers seen from the camera, and the camera's frame in the world."""
        place, frame = self._bones(qpos)
        camera = view.camera
        axes = (frame[:, camera.carrier, :, :, None] * torch.from_numpy(camera.rotation)).sum(2)
        eye = place[:, camera.carrier] + turn(frame[:, camera.carrier], torch.from_numpy(camera.position))
        return turn_back(axes[:, None], place - eye[:, None]), matmul_back(axes[:, None], frame), axes

    def _behind(self, name: str, view: View) -> Scenery:
        """What stands still before a camera that stands still."""
        key = (name, view.width, view.height)
        if key not in self._scenery:
            axes = torch.from_numpy(view.camera.rotation)[None]
            place = turn_back(axes, -torch.from_numpy(view.camera.position))[:, None]
            frame = axes.transpose(1, 2)[:, None].contiguous()
            nearness, seen = self._still(place, frame, view)
            label = torch.zeros(view.width * view.height, dtype=torch.int32)
            label[seen.pixel] = self._label[seen.face][seen.number]
            colour = self._heaven(torch.arange(len(label)), view, axes)
            colour[seen.pixel] = self._colours(seen, view, place, frame)
            self._scenery[key] = Scenery(nearness[0], label, _bytes(colour))
        return self._scenery[key]

    def _heaven(self, pixel: Tensor, view: View, axes: Tensor) -> Tensor:
        """Colours (P, 3) of the sky in pixels (P,)."""
        x, y = view.middle(pixel)
        ray = torch.stack([x, y, torch.ones_like(x)], 1) * view.scale
        ray = turn(axes[pixel // (view.width * view.height)], ray)
        size, axis = ray.abs().max(1)
        side = 2 * axis + (ray.gather(1, axis[:, None])[:, 0] < 0)
        across = ray / size[:, None]
        u = torch.where(axis == 0, across[:, 1], across[:, 0])
        v = torch.where(axis == 2, across[:, 1], -across[:, 2])
        mapped = (torch.stack([u, v], 1) / 2 + 0.5).clamp(0.001, 0.999)
        return self._texel[_address(mapped, self._sky[side])]


def _groups(values: Tensor, most: int) -> list[Tensor]:
    """Rows of a tensor in groups of at most so many; without rows one group of none."""
    return [values[first : first + most] for first in range(0, max(len(values), 1), most)]


def _unit(vector: Tensor) -> Tensor:
    return vector * (vector * vector).sum(-1, keepdim=True).clamp_min(1e-12).rsqrt()


def _bytes(colour: Tensor) -> Tensor:
    return (colour.clamp(0, 1) * 255 + 0.5).to(torch.uint8)


def _address(mapped: Tensor, texture: Tensor) -> Tensor:
    """Where in the list of texels (P,) places (P, 2) on textures (P, 3) of start, width and height are."""
    share = mapped - mapped.floor()
    column = torch.minimum((share[:, 0] * texture[:, 1]).to(torch.int64), texture[:, 1] - 1)
    row = torch.minimum((share[:, 1] * texture[:, 2]).to(torch.int64), texture[:, 2] - 1)
    return texture[:, 0] + row * texture[:, 1] + column
