"""Still lifes: random shapes in random light, to learn from how a renderer shows surfaces.

They share nothing with the scenes, robots and cameras of environments but that they are made of geoms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray

from ..envs.backends.appearance import appearance
from ..envs.rendering import GLRenderer, roundness
from ..envs.segmentation import Segmentation
from ..world_models.hybrid.reflectance import Sightings
from ..world_models.hybrid.rendering import Painter

LIGHTS = 4
"""Lights of a still life at most, with the camera's."""
_CLOSE = 2e-3  # where both renderers agree on the distance [shares of it], they show the same surface
_SHAPES = ("BOX", "BOX", "SPHERE", "CAPSULE", "CYLINDER", "ELLIPSOID")


@dataclass(frozen=True)
class StillLife:
    """A random scene; what it is follows from its seed.

    Attributes:
        seed: of everything. cameras: how many look at it. size: of their pictures [pixels].
    """

    seed: int
    cameras: int = 6
    size: int = 64

    @cached_property
    def drawn(self) -> mujoco.MjModel:
        """The model."""
        rng = np.random.default_rng([self.seed, 7])
        spec = mujoco.MjSpec()
        spec.stat.extent = float(rng.uniform(0.5, 5))
        spec.stat.center = [0, 0, 0]
        _light(spec, rng)
        world = spec.worldbody
        ground = {"type": mujoco.mjtGeom.mjGEOM_BOX, "rgba": _colour(rng)}
        world.add_geom(size=[2, 2, 0.05], pos=[0, 0, -0.05], **ground, **_material(spec, rng))
        half = rng.uniform(0.1, 0.8, 3) * [1, 1, 0.2]
        ground["rgba"] = _colour(rng)
        world.add_geom(
            size=half, pos=[*rng.uniform(-0.3, 0.3, 2), rng.uniform(0, 0.3)], **ground, **_material(spec, rng)
        )
        for _ in range(rng.integers(8, 20)):
            size = np.exp(rng.uniform(np.log(0.015), np.log(0.2), 3))
            quat = rng.normal(size=4)
            world.add_geom(
                type=getattr(mujoco.mjtGeom, f"mjGEOM_{rng.choice(_SHAPES)}"),
                size=size,
                pos=rng.uniform([-0.6, -0.6, 0.05], [0.6, 0.6, 0.8]),
                quat=quat / np.linalg.norm(quat),
                rgba=_colour(rng),
                **_material(spec, rng),
            )
        for number in range(self.cameras):
            _aim(world, f"camera_{number}", rng)
        return spec.compile()

    def sightings(self, count: int) -> Sightings:
        """What OpenGL shows of it: about `count` pixels a camera, half of them of smaller things.

        Raises:
            MissingDependencyError: nothing on this machine can draw.
        """
        model, rng = self.drawn, np.random.default_rng([self.seed, 8])
        table = Segmentation(np.arange(1, model.ngeom + 1, dtype=np.int32), np.zeros(model.nsite, dtype=np.int32))
        qpos = np.zeros((1, model.nq))
        _, slices, stacks, _ = roundness(self.size, self.size, fine=False)
        painter = Painter(appearance(model, table, slices=slices, stacks=stacks), None)
        theirs = GLRenderer(self, table, qpos, width=self.size, height=self.size, fine=False)
        parts = []
        try:
            for number in range(self.cameras):
                shown = theirs.draw(np.zeros(1, dtype=np.int64), f"camera_{number}", ("rgb", "depth", "segmentation"))
                parts.append(_compare(painter, f"camera_{number}", shown, count, rng))
        finally:
            theirs.close()
        return Sightings.joined(parts)


def _compare(
    painter: Painter, camera: str, shown: dict[str, NDArray[np.generic]], count: int, rng: np.random.Generator
) -> Sightings:
    """Pixels of a picture in which both renderers show the same surface."""
    height, width = shown["rgb"].shape[1:3]
    seen, corners, share, label = painter.surfaces(torch.zeros(1, 0), camera, width=width, height=height)
    flat = {
        kind: torch.from_numpy(np.array(values).reshape(height * width, -1))[seen.pixel]
        for kind, values in shown.items()
    }
    x, y = painter.view(camera, width, height).middle(seen.pixel)
    near = (torch.stack([x, y, torch.ones_like(x)], 1) * seen.nearness[seen.number]).sum(1)
    same = (label == flat["segmentation"][:, 0]) & ((near * flat["depth"][:, 0] - 1).abs() < _CLOSE)
    rows = same.nonzero()[:, 0].numpy()
    weight = np.where(label.numpy()[rows] > 2, 1.0, 0.0)  # the two largest come first
    even = np.full(len(rows), 1 / max(len(rows), 1))
    weight = 0.5 * even + 0.5 * (weight / weight.sum() if weight.any() else even)
    chosen = np.sort(rng.choice(rows, min(count, len(rows)), replace=False, p=weight)) if len(rows) else rows
    kept = torch.from_numpy(chosen)
    lights = painter.lights
    spare = LIGHTS - len(lights.colour)
    angles = torch.cat(
        [corners.angles, corners.angles.new_zeros(*corners.angles.shape[:2], spare, corners.angles.shape[3])], 2
    )
    dark = torch.zeros(spare, 3)
    return Sightings(
        target=flat["rgb"][kept].to(torch.float32) / 255,
        face=seen.number[kept],
        share=share[kept],
        angles=angles,
        tint=corners.tint,
        scene=torch.zeros(len(corners.tint), dtype=torch.int64),
        ambient=lights.ambient[None],
        colour=torch.cat([lights.colour, dark])[None],
        gloss=torch.cat([lights.gloss, dark])[None],
    )


def _light(spec: mujoco.MjSpec, rng: np.random.Generator) -> None:
    head = spec.visual.headlight
    head.ambient, head.diffuse = rng.uniform(0.1, 0.5) * np.ones(3), rng.uniform(0, 0.6) * np.ones(3)
    head.specular = rng.uniform(0, 0.5) * np.ones(3)
    for number in range(rng.integers(0, LIGHTS)):
        way = np.array([*rng.normal(0, 0.6, 2), -1.0])
        spec.worldbody.add_light(
            name=f"light_{number}",
            pos=[0, 0, 3],
            dir=way / np.linalg.norm(way),
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            diffuse=rng.uniform(0, 0.6, 3),
            specular=rng.uniform(0, 0.5) * np.ones(3),
            castshadow=False,
        )


def _material(spec: mujoco.MjSpec, rng: np.random.Generator) -> dict[str, str]:
    """A material, or none."""
    if rng.random() < 0.4:
        return {}
    name = f"material_{len(spec.materials)}"
    spec.add_material(name=name, specular=rng.uniform(0, 1), shininess=rng.uniform(0, 1), rgba=_colour(rng))
    return {"material": name}


def _colour(rng: np.random.Generator) -> list[float]:
    return [*rng.uniform(0.05, 1, 3), 1.0]


def _aim(world: mujoco.MjsBody, name: str, rng: np.random.Generator) -> None:
    """A camera somewhere, that looks at somewhere in the middle."""
    turn, lift, far = rng.uniform(-np.pi, np.pi), rng.uniform(0.1, 1.4), np.exp(rng.uniform(np.log(0.3), np.log(2.5)))
    target = rng.uniform([-0.3, -0.3, 0.1], [0.3, 0.3, 0.5])
    back = np.array([np.cos(lift) * np.cos(turn), np.cos(lift) * np.sin(turn), np.sin(lift)])
    right = np.cross([0, 0, 1], back)
    right /= np.linalg.norm(right)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.stack([right, np.cross(back, right), back], 1).ravel())
    world.add_camera(name=name, pos=target + far * back, quat=quat, fovy=rng.uniform(30, 80))
