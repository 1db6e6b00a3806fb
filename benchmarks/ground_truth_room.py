"""The room of a benchmark scene (floor, light, walls, perhaps a table) and what it takes to put objects into it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .ground_truth_shapes import Blueprint, Visual, box_visual
from .ground_truth_textures import plaster_texture, stone_texture, wood_texture

Float = NDArray[np.float64]
Support = Literal["table", "floor"]

COLLISION_GROUP = 3
"""Drawn by no default view; MuJoCo shows groups 0 to 2."""


class Room:
    """A drawn room and its `mujoco.MjSpec`.

    Attributes:
        spec: the `MjSpec` under construction.
        height: z of the surface objects stand on, metres.
        size: full extents (x, y) of the table top, or None for the floor.
        middle: (x, y) of the middle of the area objects stand in.
        half: half extents of that area.
        wall: whether a wall stands close behind it, at larger y.
    """

    def __init__(self, rng: np.random.Generator, support: Support) -> None:
        import mujoco

        self.spec = spec = mujoco.MjSpec()
        spec.option.timestep = 0.002
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        spec.option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        spec.visual.headlight.ambient = [0.5, 0.5, 0.5]
        spec.visual.headlight.diffuse = [0.0, 0.0, 0.0]
        spec.visual.headlight.specular = [0.0, 0.0, 0.0]
        world = spec.worldbody
        for share in (0.5, 0.3):  # a lamp and a window
            azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.9, 2.0)
            world.add_light(
                type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
                dir=[np.cos(azimuth), np.sin(azimuth), -height],
                pos=[0, 0, 3],
                diffuse=[share * rng.uniform(0.9, 1.1)] * 3,
                ambient=[0, 0, 0],
                specular=[0.3, 0.3, 0.3],
                castshadow=False,
            )
        ground = [wood_texture, stone_texture][rng.integers(2)](rng)
        add_visual(spec, world, "floor", box_visual(np.array([5.0, 5.0, 0.02]), np.array([0, 0, -0.01]), ground, 1.0))
        world.add_geom(
            name="floor",
            type=mujoco.mjtGeom.mjGEOM_PLANE,
            size=[3, 3, 0.1],
            group=COLLISION_GROUP,
            friction=[0.5, 0.005, 1e-4],
        )
        self._add_far_walls(*rng.spawn(1))
        self.height, self.size = 0.0, None if support == "floor" else (rng.uniform(0.95, 1.3), rng.uniform(0.68, 0.85))
        self.middle = (float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.3, 0.3)))
        self.half = (0.36, 0.29)
        if self.size is not None:
            self.height = float(rng.uniform(0.4, 0.8))
            self._add_table(rng)
        self.wall = bool(rng.random() < 0.4)
        if self.wall:
            y = self.middle[1] + (self.size[1] / 2 if self.size else 0.45) + rng.uniform(0.01, 0.15) + 0.02
            wall = box_visual(np.array([5.0, 0.04, 2.4]), np.array([self.middle[0], y, 1.2]), plaster_texture(rng), 1.0)
            add_visual(spec, world, "wall", wall)
            half = [2.5, 0.02, 1.2]
            world.add_geom(
                name="wall",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=half,
                pos=[self.middle[0], y, 1.2],
                group=COLLISION_GROUP,
            )

    def _add_far_walls(self, rng: np.random.Generator) -> None:
        """Walls around the room: what a camera sees past the table is not empty."""
        texture = plaster_texture(rng)
        for k, (size, x, y) in enumerate(
            [((5.0, 0.02), 0, 2.5), ((5.0, 0.02), 0, -2.5), ((0.02, 5.0), 2.5, 0), ((0.02, 5.0), -2.5, 0)]
        ):
            visual = box_visual(np.array([*size, 2.4]), np.array([x, y, 1.2]), texture, 1.0)
            add_visual(self.spec, self.spec.worldbody, f"far_wall_{k}", visual)

    def _add_table(self, rng: np.random.Generator) -> None:
        import mujoco

        assert self.size is not None
        thick, (x, y) = float(rng.uniform(0.02, 0.04)), self.middle
        top = np.array([*self.size, thick])
        centre = np.array([x, y, self.height - thick / 2])
        texture = [wood_texture, wood_texture, stone_texture][rng.integers(3)](rng)
        table = self.spec.worldbody.add_body(name="table")
        add_visual(self.spec, table, "table", box_visual(top, centre, texture, 0.7))
        table.add_geom(
            name="table",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=top / 2,
            pos=centre,
            group=COLLISION_GROUP,
            friction=[0.5, 0.005, 1e-4],
        )
        shade = texture.reshape(-1, 3).mean(axis=0) / 255 * 0.8
        leg = (self.height - thick) / 2
        for sx in (-1, 1):
            for sy in (-1, 1):
                pos = [x + sx * (self.size[0] / 2 - 0.06), y + sy * (self.size[1] / 2 - 0.06), leg]
                table.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.022, 0.022, leg], pos=pos, rgba=[*shade, 1])


def add_visual(spec: Any, body: Any, name: str, visual: Visual) -> None:
    """Draw something on a body: no mass, no contacts, with its own mesh, material and texture called `name`."""
    import mujoco

    material = spec.add_material(name=name, specular=visual.specular, shininess=0.4)
    mesh = spec.add_mesh(name=name, inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    # Vertices that faces share get a normal between theirs: flat shading needs every face to have its own.
    corners = visual.vertices[visual.faces].reshape(-1, 3) if visual.flat else visual.vertices
    faces = np.arange(visual.faces.size) if visual.flat else visual.faces
    mesh.uservert = corners.ravel().tolist()
    mesh.userface = faces.ravel().tolist()
    if visual.texture is not None and visual.uv is not None and visual.uv_faces is not None:
        h, w = visual.texture.shape[:2]
        texture = spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=w, height=h, nchannel=3)
        texture.data = visual.texture.tobytes()
        mesh.usertexcoord = visual.uv.ravel().tolist()
        mesh.userfacetexcoord = visual.uv_faces.ravel().tolist()
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    else:
        material.rgba = [*visual.rgb, 1.0]
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, material=name, contype=0, conaffinity=0, group=2, mass=0.0
    )


def add_object(spec: Any, name: str, blueprint: Blueprint) -> None:
    """Add a free-jointed object: visuals, invisible collision parts, and the blueprint's own mass and inertia."""
    import mujoco

    body = spec.worldbody.add_body(name=name)
    body.add_freejoint(name=name)
    for k, visual in enumerate(blueprint.visuals):
        add_visual(spec, body, f"{name}_visual{k}", visual)
    shapes = {
        "box": mujoco.mjtGeom.mjGEOM_BOX,
        "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
        "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    }
    # Torsional friction keeps a round base from spinning for ever; the rest is sliding.
    common = {"group": COLLISION_GROUP, "friction": [blueprint.friction, 0.005, 1e-4], "condim": 4, "mass": 0.0}
    for k, part in enumerate(blueprint.parts):
        if part.kind == "hull":
            mesh = spec.add_mesh(name=f"{name}_part{k}", inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX)
            mesh.uservert = part.points.ravel().tolist()
            body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=f"{name}_part{k}", **common)
        else:
            size = [*part.size, 0.0, 0.0][:3]
            body.add_geom(type=shapes[part.kind], size=size, pos=part.pos, quat=part.quat, **common)
    centre, inertia = blueprint.inertial()
    body.explicitinertial = True
    body.mass, body.ipos = blueprint.mass, centre
    i = inertia
    body.fullinertia = [i[0, 0], i[1, 1], i[2, 2], i[0, 1], i[0, 2], i[1, 2]]
