"""Which surface each pixel of many pictures shows: flat faces, row by row, and the nearest wins.

A point p of a face is seen in the direction d = p / t, t its distance along the camera's axis. Both the edges of a face
and 1 / t are then linear in the pixel: with corners p_i, the inside of the edge from i to j is where
(p_j x p_i) . d >= 0, and 1 / t = n . d / n . p_0 with the normal n (M. Olano and T. Greer, "Triangle Scan Conversion
using 2D Homogeneous Coordinates", 1997). No face is ever clipped. For every face and row of pixels the edges leave
one span; spans of all pictures are written at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .surfaces import Camera, Faces

_EDGES = 4
_NEAR = 4  # rows of a table of linear functions: the edges, what is too near, 1 / t
_INVERSE = 5
_LOW = (1 << 32) - 1
_THIN = 1e-14  # [m^3]: faces that span less with the camera are seen from the edge


@dataclass(frozen=True)
class View:
    """How a camera's picture is divided into pixels.

    Attributes:
        camera: whose. width, height: [pixels].
    """

    camera: Camera
    width: int
    height: int

    @property
    def step(self) -> float:
        """Tangent of a pixel's width."""
        return 2 * self.camera.slope / self.height

    @property
    def scale(self) -> Tensor:
        """(3,) what a pixel's column and row from the middle, and 1, are multiplied with to give its direction d."""
        return torch.tensor([self.step, -self.step, -1.0])

    def middle(self, pixel: Tensor) -> tuple[Tensor, Tensor]:
        """Columns and rows of pixels (P,), see `Seen`, from the middle of the picture."""
        inside = pixel % (self.width * self.height)
        x = (inside % self.width).to(torch.float32) + (0.5 - self.width / 2)
        return x, (inside // self.width).to(torch.float32) + (0.5 - self.height / 2)


@dataclass(frozen=True)
class Seen:
    """What is in front in P pixels of m pictures, on V faces: each face counts once a picture.

    Attributes:
        pixel: (P,) where: column, row and picture as one number, columns fastest. number: (P,) which of the V.
        picture, face: (V,) pictures, and faces of the scene. nearness: (V, 3) 1 / t as a linear function of the pixel's
            column and row from the middle, and 1.
    """

    pixel: Tensor
    number: Tensor
    picture: Tensor
    face: Tensor
    nearness: Tensor


class Raster:
    """Draws some of a scene's faces."""

    def __init__(self, faces: Faces, chosen: Tensor) -> None:
        """Takes faces `chosen` (F,), indices into `faces`, in ascending order."""
        self._chosen = chosen
        corner = torch.from_numpy(faces.corner)[chosen]
        used, corner = torch.unique(corner, return_inverse=True)
        self._vertex, self._corner = torch.from_numpy(faces.vertex)[used], corner.T.contiguous()
        self._carrier = torch.from_numpy(faces.carrier)[used]
        self._owner = torch.from_numpy(faces.owner)[chosen]
        a, b, c = (self._vertex[corner[:, k]] for k in range(3))
        self._normal = _cross(b - a, c - a)
        self._offset = (self._normal * a).sum(1)

    def __call__(self, place: Tensor, frame: Tensor, view: View, behind: Tensor | None = None) -> tuple[Tensor, Seen]:
        """What is seen of the faces.

        Args:
            place, frame: (m, C, 3), (m, C, 3, 3) poses of carriers in the camera's frame. view: of the camera.
            behind: (height * width,) 1 / t of what is drawn already, the same in all pictures.

        Returns:
            1 / t of everything, (m, height * width), 0 for nothing; and where one of these faces is in front.
        """
        buffer = torch.zeros(len(place), view.width * view.height, dtype=torch.int64)
        if behind is not None:
            buffer += behind.view(torch.int32).to(torch.int64) << 32
        picture, face = self._facing(place, frame)
        table, first, count = self._functions(place, frame, view, picture, face)
        # One entry for every face and row of pixels.
        number, row = _expand(first, count)
        flat = table[number]
        y = row.to(torch.float32) + (0.5 - view.height / 2)
        left, right = _span(flat[:, : _EDGES + 1], y)
        begin = (left + (view.width / 2 - 0.5)).clamp(0, view.width).ceil().to(torch.int64)
        end = (right + (view.width / 2 - 0.5)).clamp(-1, view.width - 1).floor().to(torch.int64)
        there = (end >= begin).nonzero()[:, 0]
        number, row, begin = number[there], row[there], begin[there]
        # One entry for every face and pixel.
        linear = flat[there, _INVERSE]
        slope = linear[:, 0].contiguous()
        start = linear[:, 1] * y[there] + linear[:, 2]
        start = start + slope * (begin.to(torch.float32) + (0.5 - view.width / 2))
        first = (picture[number] * view.height + row) * view.width + begin
        span, along = _expand(torch.zeros_like(begin), end[there] - begin + 1)
        inverse = start[span] + slope[span] * along.to(torch.float32)
        pixel = first[span] + along
        key = (inverse.clamp_min_(0).view(torch.int32).to(torch.int64) << 32) | (number + 1)[span]
        flat_buffer = buffer.view(-1)
        flat_buffer.scatter_reduce_(0, pixel, key, "amax", include_self=True)
        number = flat_buffer & _LOW
        won = number.nonzero()[:, 0]
        number = number[won] - 1
        seen = torch.zeros(len(face), dtype=torch.int64)
        seen[number] = 1
        kept = seen.nonzero()[:, 0]
        nearest = (buffer >> 32).to(torch.int32).view(torch.float32)
        order = seen.cumsum(0) - 1
        return nearest, Seen(won, order[number], picture[kept], self._chosen[face[kept]], table[kept, _INVERSE])

    def _facing(self, place: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (Q,) and faces (Q,) whose outside the camera is on."""
        eye = -(frame * place[..., None]).sum(2)  # the camera, in the carriers' frames
        mine = eye[:, self._owner]
        front = (mine * self._normal).sum(2) > self._offset
        found = front.nonzero()
        return found[:, 0], found[:, 1]

    def _functions(
        self, place: Tensor, frame: Tensor, view: View, picture: Tensor, face: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Linear functions (Q, 6, 3) of pixels, for column, row and 1; first row of pixels (Q,) and number of rows."""
        turned, at = frame[:, self._carrier], place[:, self._carrier]
        points = (turned * self._vertex[:, None]).sum(3) + at
        points = points.reshape(-1, 3)
        base = picture * len(self._vertex)
        p = [points[base + self._corner[k, face]] for k in range(_EDGES)]
        normal = _cross(p[1] - p[0], p[2] - p[0])
        apart = (normal * p[0]).sum(1, keepdim=True)
        edgewise = apart[:, 0] > -_THIN
        inverse = normal / torch.where(edgewise[:, None], -1.0, apart)
        edges = [_cross(p[(k + 1) % _EDGES], p[k]) for k in range(_EDGES)]
        table = torch.stack([*edges, -inverse, inverse], 1)
        table *= view.scale
        table[:, _NEAR, 2] += 1 / view.camera.near
        depth = -torch.stack([each[:, 2] for each in p])
        ahead = depth > view.camera.near
        safe = torch.where(ahead, depth, 1.0) * view.step
        rows = torch.stack([each[:, 1] for each in p]) / -safe + (view.height / 2 - 0.5)
        columns = torch.stack([each[:, 0] for each in p]) / safe + (view.width / 2 - 0.5)
        whole = ahead.all(0)
        low = torch.where(whole, rows.amin(0), 0.0).clamp(0, view.height).ceil()
        high = torch.where(whole, rows.amax(0), view.height - 1.0).clamp(-1, view.height - 1).floor()
        missed = whole & ((columns.amax(0) < 0) | (columns.amin(0) > view.width - 1))
        missed |= edgewise | ~ahead.any(0) | (depth > view.camera.far).all(0)
        count = torch.where(missed, 0.0, (high - low + 1).clamp_min(0))
        return table, low.to(torch.int64), count.to(torch.int64)


def _expand(first: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """For runs of `count` (Q,) whole numbers that begin with `first` (Q,): run and number of all, one after another."""
    number = torch.repeat_interleave(count)
    before = first - (count.cumsum(0) - count)
    return number, before[number] + torch.arange(len(number))


def _span(functions: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Where (R,) to where (R,) in a row all functions (R, E, 3) are at least 0."""
    slope = functions[..., 0]
    value = functions[..., 1] * y[:, None] + functions[..., 2]
    cut = -value / slope
    left = torch.where(slope > 0, cut, -torch.inf).amax(1)
    right = torch.where(slope < 0, cut, torch.inf).amin(1)
    never = ((slope == 0) & (value < 0)).any(1)
    return torch.where(never, torch.inf, left), right


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross products (n, 3), exactly opposite for exchanged vectors, and 0 for equal ones.

    So neighbours agree on their common edge and leave no gap (`torch.linalg.cross` rounds differently by order).
    """
    x, y, z = a.unbind(1)
    u, v, w = b.unbind(1)
    return torch.stack([y * w - z * v, z * u - x * w, x * v - y * u], 1)


def still_and_moving(faces: Faces) -> tuple[Tensor, Tensor]:
    """Indices of the faces that the world carries, and of the others."""
    still = torch.from_numpy(faces.owner == 0)
    return still.nonzero()[:, 0], (~still).nonzero()[:, 0]
