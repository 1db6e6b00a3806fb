"""Procedural scenes whose truth is known exactly, scanned by the simulated phone: the reconstruction benchmark's questions.

    scene = generate_scene(seed=3, layout="contact", support="table")
    model, data = scene.simulation()          # free-jointed, settled, ready for pushes and drops
    scan_scene(model, data, out, rng=np.random.default_rng(3), path=scene.path())

    python -m pocketworlds.benchmarks.ground_truth_scenes --out captures --count 24

writes for each scene `<name>/capture/` (Stray Scanner layout), `<name>/truth.json` (see `truth_record`), `<name>/scene.xml` with
its assets, and `<name>/meshes/<object>.obj` (exact solids in the world of the MuJoCo scene, settled).

World: Z up, metres, floor at z = 0. Layout "apart" keeps at least 20 mm of air between objects; in "contact" some touch side by
side and some stand on others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import SceneError
from ..real2sim.phone import HandheldPath, PhoneModel, scan_scene
from .ground_truth_objects import (
    MAKERS,
    Blueprint,
    Visual,
    YawSymmetry,
    box_visual,
    plaster_texture,
    stone_texture,
    wood_texture,
)

Float = NDArray[np.float64]
Layout = Literal["apart", "contact"]
Support = Literal["table", "floor"]

GAP = 0.025
"""Least distance between footprints when objects are placed apart, metres; settling may eat 5 mm of it."""
TOUCH = 0.001
"""Objects closer than this touch, metres."""
_ATTEMPTS = 40
_SETTLE_SECONDS = 2.0
_COLLISION_GROUP = 3
"""Drawn by no default view; MuJoCo shows groups 0 to 2."""


@dataclass(frozen=True)
class TruthObject:
    """One object as it really is, settled.

    Attributes:
        name: its body in the model.
        category: box, can, bottle, bowl, mug, book or tool.
        vertices: float64 [V, 3], the exact closed solid in the world.
        faces: int32 [F, 3], outward.
        position: float64 [3], object frame's origin (middle of the base) in the world.
        quaternion: float64 [4], (w, x, y, z), object to world.
        box_center: float64 [3], centre of the box around it that is aligned with gravity and turned by `yaw`.
        box_size: float64 [3], full extents of that box along its own x, y and the vertical.
        yaw: turn of the box about the vertical, radians; 0 where `yaw_symmetry` is "any".
        yaw_symmetry: turns that leave the shape the same. A box fitted to it is the same after half a turn in any case, so
            compare yaws modulo 180 degrees for "none" and "180", modulo 90 for "90", not at all for "any".
        mass: kg.
        volume: m^3, of the solid (a can or bottle: closed outside, contents included).
        friction: sliding friction coefficient.
        stands_on: "table", "floor" or the name of the object below.
        touches: names of all other objects nearer than 1 mm.
    """

    name: str
    category: str
    vertices: Float
    faces: NDArray[np.int32]
    position: Float
    quaternion: Float
    box_center: Float
    box_size: Float
    yaw: float
    yaw_symmetry: YawSymmetry
    mass: float
    volume: float
    friction: float
    stands_on: str
    touches: tuple[str, ...]


@dataclass(frozen=True)
class GroundTruthScene:
    """A settled scene and everything there is to know about it.

    Attributes:
        name: such as "contact-table-0007".
        seed: what it was generated from, with layout and support.
        layout: "apart" or "contact".
        support: "table" or "floor".
        spec: the `mujoco.MjSpec`; every object has a free joint.
        model: the compiled `mujoco.MjModel`.
        qpos: float64 [nq], the settled state.
        objects: the objects, in body order.
        surface_height: z of the surface they stand on.
        surface_size: full extents (x, y) of the table top, metres; None for the floor.
        surface_center: (x, y) of the table top or of the scanned floor area.
        has_wall: whether a wall stands behind (at positive y).
    """

    name: str
    seed: int
    layout: Layout
    support: Support
    spec: Any
    model: Any
    qpos: Float
    objects: tuple[TruthObject, ...]
    surface_height: float
    surface_size: tuple[float, float] | None
    surface_center: tuple[float, float]
    has_wall: bool

    def simulation(self) -> tuple[Any, Any]:
        """The free-jointed model and fresh data in the settled state, at rest, `mj_forward` done."""
        import mujoco

        data = mujoco.MjData(self.model)
        data.qpos[:] = self.qpos
        mujoco.mj_forward(self.model, data)
        return self.model, data

    def path(self) -> HandheldPath:
        """How a person would walk around these objects; in front of a wall they cannot walk all the way."""
        rng = np.random.default_rng([self.seed, 77])
        points = np.concatenate([o.vertices for o in self.objects])
        low, high = points.min(axis=0), points.max(axis=0)
        middle = (low + high) / 2
        reach = float(np.max(np.linalg.norm((points - middle)[:, :2], axis=1)))
        near = float(np.clip(0.34 + 0.6 * reach, 0.45, 0.66))
        sweep = float(rng.uniform(200, 225)) if self.has_wall else float(rng.uniform(300, 360))
        start = -90 - sweep / 2 if self.has_wall else float(rng.uniform(0, 360))
        return HandheldPath(
            look_at=(float(middle[0]), float(middle[1]), self.surface_height + 0.05),
            start_azimuth_deg=start,
            sweep_deg=sweep,
            distance=(near, near + 0.25),
            frames=int(rng.integers(90, 121)),
            hold="portrait" if rng.random() < 0.3 else "landscape",
        )


def generate_scene(seed: int, layout: Layout = "apart", support: Support = "table") -> GroundTruthScene:
    """Draw, place and settle one scene; a pure function of its arguments.

    Raises:
        SceneError: no arrangement settled as it was placed (not seen for any seed below 200).
    """
    for attempt in range(_ATTEMPTS):
        # Numbers for the words, so that the two layouts of a seed are different scenes.
        key = [seed, ("apart", "contact").index(layout), ("table", "floor").index(support), attempt]
        scene = _try_scene(np.random.default_rng(key), seed, layout, support)
        if scene is not None:
            return scene
    raise SceneError(f"seed {seed} ({layout}, {support}): no stable arrangement in {_ATTEMPTS} attempts; use another seed")


def _try_scene(rng: np.random.Generator, seed: int, layout: Layout, support: Support) -> GroundTruthScene | None:
    blueprints = _draw(rng, layout)
    room = _Room(rng, support)
    spec = room.spec
    names = [f"{b.category}_{i}" for i, b in enumerate(blueprints)]
    for name, blueprint in zip(names, blueprints, strict=True):
        _add_object(spec, name, blueprint)
    model = spec.compile()
    yard = _Yard(model, names, blueprints, room)
    placed = yard.apart(rng) if layout == "apart" else yard.contact(rng)
    if not placed or not yard.settle():
        return None
    return yard.finish(seed, layout, support)


def _draw(rng: np.random.Generator, layout: Layout) -> list[Blueprint]:
    count = int(rng.integers(3 if layout == "apart" else 4, 11))
    kinds = list(rng.choice(list(MAKERS), size=count, p=[0.2, 0.18, 0.13, 0.12, 0.14, 0.11, 0.12]))
    if layout == "contact":
        kinds[0] = str(rng.choice(["box", "book"]))  # something to stand on
        kinds[1] = str(rng.choice(["can", "mug", "bowl", "box"]))  # something that stands
    drawn = [MAKERS[str(kind)](rng) for kind in kinds]
    if layout == "contact":  # supports first, largest first
        drawn.sort(key=lambda b: -(b.flat_top[0] * b.flat_top[1] if b.flat_top else 0.0))
    return drawn


# The room -------------------------------------------------------------------------------------------------------------


class _Room:
    """Floor, perhaps a table, perhaps a wall, light."""

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
        _add_visual(spec, world, "floor", box_visual(np.array([5.0, 5.0, 0.02]), np.array([0, 0, -0.01]), ground, 1.0))
        world.add_geom(
            name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[3, 3, 0.1], group=_COLLISION_GROUP, friction=[0.5, 0.005, 1e-4]
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
            _add_visual(spec, world, "wall", wall)
            half = [2.5, 0.02, 1.2]
            world.add_geom(
                name="wall", type=mujoco.mjtGeom.mjGEOM_BOX, size=half, pos=[self.middle[0], y, 1.2], group=_COLLISION_GROUP
            )

    def _add_far_walls(self, rng: np.random.Generator) -> None:
        """Walls around the room: what a camera sees past the table is not empty."""
        texture = plaster_texture(rng)
        for k, (size, x, y) in enumerate([((5.0, 0.02), 0, 2.5), ((5.0, 0.02), 0, -2.5), ((0.02, 5.0), 2.5, 0), ((0.02, 5.0), -2.5, 0)]):
            visual = box_visual(np.array([*size, 2.4]), np.array([x, y, 1.2]), texture, 1.0)
            _add_visual(self.spec, self.spec.worldbody, f"far_wall_{k}", visual)

    def _add_table(self, rng: np.random.Generator) -> None:
        import mujoco

        assert self.size is not None
        thick, (x, y) = float(rng.uniform(0.02, 0.04)), self.middle
        top = np.array([*self.size, thick])
        centre = np.array([x, y, self.height - thick / 2])
        texture = [wood_texture, wood_texture, stone_texture][rng.integers(3)](rng)
        table = self.spec.worldbody.add_body(name="table")
        _add_visual(self.spec, table, "table", box_visual(top, centre, texture, 0.7))
        table.add_geom(
            name="table",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=top / 2,
            pos=centre,
            group=_COLLISION_GROUP,
            friction=[0.5, 0.005, 1e-4],
        )
        shade = texture.reshape(-1, 3).mean(axis=0) / 255 * 0.8
        leg = (self.height - thick) / 2
        for sx in (-1, 1):
            for sy in (-1, 1):
                pos = [x + sx * (self.size[0] / 2 - 0.06), y + sy * (self.size[1] / 2 - 0.06), leg]
                table.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.022, 0.022, leg], pos=pos, rgba=[*shade, 1])


def _add_visual(spec: Any, body: Any, name: str, visual: Visual) -> None:
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


def _add_object(spec: Any, name: str, blueprint: Blueprint) -> None:
    import mujoco

    body = spec.worldbody.add_body(name=name)
    body.add_freejoint(name=name)
    for k, visual in enumerate(blueprint.visuals):
        _add_visual(spec, body, f"{name}_visual{k}", visual)
    shapes = {
        "box": mujoco.mjtGeom.mjGEOM_BOX,
        "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
        "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    }
    # Torsional friction keeps a round base from spinning for ever; the rest is sliding.
    common = {"group": _COLLISION_GROUP, "friction": [blueprint.friction, 0.005, 1e-4], "condim": 4, "mass": 0.0}
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


# Placing and settling -------------------------------------------------------------------------------------------------


class _Yard:
    """Places the bodies of a compiled model, lets them settle, and reads the truth off."""

    def __init__(self, model: Any, names: list[str], blueprints: list[Blueprint], room: _Room) -> None:
        import mujoco

        self._mj = mujoco
        self.model, self.data = model, mujoco.MjData(model)
        self.names, self.blueprints, self.room = names, blueprints, room
        self._bodies = [model.body(name).id for name in names]
        self._address = [int(model.jnt_qposadr[model.body_jntadr[b]]) for b in self._bodies]
        solid = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
        self._geoms = [np.flatnonzero((model.geom_bodyid == b) & solid) for b in self._bodies]
        self._size = [np.ptp(b.solid.vertices, axis=0) for b in blueprints]
        self._offset = [(b.solid.vertices.min(axis=0) + b.solid.vertices.max(axis=0))[:2] / 2 for b in blueprints]
        self._yaw = np.zeros(len(names))
        self._xy = np.zeros((len(names), 2))
        self._z = np.zeros(len(names))
        self.below: list[int | None] = [None] * len(names)

    def apart(self, rng: np.random.Generator) -> bool:
        """Place every object alone, `GAP` from all others."""
        return all(self._put_free(rng, i, range(i)) for i in range(len(self.names)))

    def contact(self, rng: np.random.Generator) -> bool:
        """Place objects beside, on top of, and some away from each other; at least one pair of each of the first two."""
        beside = stacked = 0
        for i in range(len(self.names)):
            wish = rng.random()
            on_table = [j for j in range(i) if self.below[j] is None]
            if i and (wish < 0.4 or (i >= 2 and not stacked)) and self._put_on(rng, i, on_table):
                stacked += 1
            elif i and (wish < 0.8 or (i >= 1 and not beside)) and self._put_beside(rng, i, on_table):
                beside += 1
            elif not self._put_free(rng, i, range(i)):
                return False
        return beside > 0 and stacked > 0

    def _put_free(self, rng: np.random.Generator, i: int, others: Any) -> bool:
        for _ in range(200):
            self._yaw[i] = rng.uniform(-np.pi, np.pi)
            self._xy[i] = self.room.middle + rng.uniform(-1, 1, 2) * self.room.half
            self._z[i] = self.room.height
            if self._inside(i) and all(self._gap(i, j) >= GAP for j in others):
                return True
        return False

    def _put_on(self, rng: np.random.Generator, i: int, candidates: list[int]) -> bool:
        if not self.blueprints[i].stackable:
            return False
        taken = {j for j in self.below if j is not None}
        for j in rng.permutation([j for j in candidates if j not in taken and self.blueprints[j].flat_top]):
            top = np.array(self.blueprints[j].flat_top)
            foot = self._size[i][:2] / 2
            # Its middle stays well inside and most of its foot on top: overhanging a little, as people stack things.
            if self.blueprints[j].category not in ("box", "book") or np.any(np.sort(foot) > 1.05 * np.sort(top)):
                continue
            if self._size[i][2] > 3.5 * min(foot):
                continue  # too slender
            free = np.maximum(top - np.max(foot) * 1.0, 0.0)
            self._yaw[i] = self._yaw[j] + (rng.uniform(-np.pi, np.pi) if np.all(top > np.linalg.norm(foot)) else rng.integers(2) * np.pi)
            if self._yaw[i] - self._yaw[j] in (0.0, np.pi) and np.any(foot > 1.05 * top):
                self._yaw[i] += np.pi / 2
            shift = rng.uniform(-1, 1, 2) * free
            self._xy[i] = self._xy[j] + self._turn(self._yaw[j]) @ shift - self._turn(self._yaw[i]) @ self._offset[i]
            self._z[i] = self._z[j] + self._size[j][2]
            others = [k for k in range(i) if k != j]
            if all(self._gap(i, k) >= GAP for k in others):
                self.below[i] = int(j)
                return True
        return False

    def _put_beside(self, rng: np.random.Generator, i: int, candidates: list[int]) -> bool:
        self._z[i] = self.room.height
        for _ in range(30):
            j = int(rng.choice(candidates))
            self._yaw[i] = self._yaw[j] + rng.integers(4) * np.pi / 2 if rng.random() < 0.6 else rng.uniform(-np.pi, np.pi)
            way = self._turn(self._yaw[j] + rng.integers(4) * np.pi / 2 + rng.uniform(-0.2, 0.2)) @ np.array([1.0, 0.0])
            far = float(np.linalg.norm(self._size[i][:2]) + np.linalg.norm(self._size[j][:2]))
            near = 0.0
            for _ in range(16):  # bisect on the true distance, down to a few micrometres
                middle = (near + far) / 2
                self._xy[i] = self._xy[j] + middle * way
                near, far = (near, middle) if self._distance(i, j) > 1e-4 else (middle, far)
            self._xy[i] = self._xy[j] + far * way
            neighbours = [k for k in range(i) if k != j]
            if self._inside(i) and all(self._gap(i, k) >= GAP for k in neighbours):
                return True
        return False

    def _turn(self, yaw: float) -> Float:
        return np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])

    def _corners(self, i: int) -> Float:
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        local = self._offset[i] + signs * self._size[i][:2] / 2
        return np.asarray(self._xy[i] + local @ self._turn(self._yaw[i]).T)

    def _inside(self, i: int) -> bool:
        return bool(np.all(np.abs(self._corners(i) - self.room.middle) < np.array(self.room.half) + 0.02))

    def _gap(self, i: int, j: int) -> float:
        """A lower bound of the distance between two footprints: the widest separating axis of their rectangles."""
        a, b = self._corners(i), self._corners(j)
        best = -np.inf
        for yaw in (self._yaw[i], self._yaw[i] + np.pi / 2, self._yaw[j], self._yaw[j] + np.pi / 2):
            axis = np.array([np.cos(yaw), np.sin(yaw)])
            pa, pb = a @ axis, b @ axis
            best = max(best, pb.min() - pa.max(), pa.min() - pb.max())
        return float(best)

    def _write(self, lift: float = 0.0) -> None:
        for i, address in enumerate(self._address):
            half = self._yaw[i] / 2
            pose = [*self._xy[i], self._z[i] + lift, np.cos(half), 0, 0, np.sin(half)]
            self.data.qpos[address : address + 7] = pose
        self.data.qvel[:] = 0

    def _distance(self, i: int, j: int, limit: float = 1.0) -> float:
        self._write()
        self._mj.mj_kinematics(self.model, self.data)
        return self._geom_distance(i, j, limit)

    def _geom_distance(self, i: int, j: int, limit: float) -> float:
        pairs = ((int(a), int(b)) for a in self._geoms[i] for b in self._geoms[j])
        return min(self._mj.mj_geomDistance(self.model, self.data, a, b, limit, None) for a, b in pairs)

    def settle(self) -> bool:
        """Simulate; false if anything fell, slid away, still moves or (apart) came close."""
        self._write()
        for i in range(len(self.names)):  # what stands on something starts a hair above it
            self.data.qpos[self._address[i] + 2] += 2e-4 * (1 + (self.below[i] is not None))
        start = self.data.qpos.copy()
        steps = int(_SETTLE_SECONDS / self.model.opt.timestep)
        for _ in range(steps):
            self._mj.mj_step(self.model, self.data)
        if np.max(np.abs(self.data.qvel)) > 0.005 or not np.all(np.isfinite(self.data.qpos)):
            return False
        self.data.qvel[:] = 0
        self._mj.mj_forward(self.model, self.data)
        for i, address in enumerate(self._address):
            moved = np.linalg.norm(self.data.qpos[address : address + 2] - start[address : address + 2])
            up = self.data.xmat[self._bodies[i]].reshape(3, 3)[2, 2]
            lean = 0.97 if self.blueprints[i].category == "tool" else 0.9998  # tools lie as they like; 1 degree else
            if moved > 0.01 or up < lean:
                return False
        contacts = self.data.contact
        return not len(contacts.dist) or float(contacts.dist.min()) > -1e-3

    def finish(self, seed: int, layout: Layout, support: Support) -> GroundTruthScene | None:
        """Read the settled truth; None if the layout is not what its name says."""
        count = len(self.names)
        near = np.full((count, count), np.inf)
        for i in range(count):
            for j in range(i):
                near[i, j] = near[j, i] = self._geom_distance(i, j, 0.05) if self._gap_settled(i, j) < 0.05 else 0.05
        pairs = near < TOUCH
        if layout == "apart" and near.min() < 0.02:
            return None
        if layout == "contact":
            on_top = {(i, j) for i, j in enumerate(self.below) if j is not None}
            beside = [(i, j) for i in range(count) for j in range(i) if pairs[i, j] and not {(i, j), (j, i)} & on_top]
            if not beside or not all(pairs[i, j] for i, j in on_top):
                return None
        objects = tuple(self._truth(i, support, np.flatnonzero(pairs[i])) for i in range(count))
        room = self.room
        return GroundTruthScene(
            name=f"{layout}-{support}-{seed:04d}",
            seed=seed,
            layout=layout,
            support=support,
            spec=room.spec,
            model=self.model,
            qpos=self.data.qpos.copy(),
            objects=objects,
            surface_height=room.height,
            surface_size=None if room.size is None else (float(room.size[0]), float(room.size[1])),
            surface_center=room.middle,
            has_wall=room.wall,
        )

    def _gap_settled(self, i: int, j: int) -> float:
        boxes = []
        for k in (i, j):
            points = self._world(k)
            boxes.append((points.min(axis=0), points.max(axis=0)))
        return float(np.max(np.maximum(boxes[0][0] - boxes[1][1], boxes[1][0] - boxes[0][1])))

    def _world(self, i: int) -> Float:
        rotation = self.data.xmat[self._bodies[i]].reshape(3, 3)
        return np.asarray(self.blueprints[i].solid.vertices @ rotation.T + self.data.xpos[self._bodies[i]])

    def _truth(self, i: int, support: Support, touching: NDArray[np.intp]) -> TruthObject:
        blueprint, points = self.blueprints[i], self._world(i)
        heading = self.data.xmat[self._bodies[i]].reshape(3, 3)[:, 0]
        yaw = 0.0 if blueprint.yaw_symmetry == "any" else float(np.arctan2(heading[1], heading[0]))
        turn = np.eye(3)
        turn[:2, :2] = self._turn(yaw)
        local = points @ turn
        below = self.below[i]
        return TruthObject(
            name=self.names[i],
            category=blueprint.category,
            vertices=points,
            faces=blueprint.solid.faces,
            position=self.data.xpos[self._bodies[i]].copy(),
            quaternion=self.data.xquat[self._bodies[i]].copy(),
            box_center=turn @ ((local.min(axis=0) + local.max(axis=0)) / 2),
            box_size=np.ptp(local, axis=0),
            yaw=yaw,
            yaw_symmetry=blueprint.yaw_symmetry,
            mass=blueprint.mass,
            volume=float(blueprint.solid.mesh().volume),
            friction=blueprint.friction,
            stands_on=support if below is None else self.names[below],
            touches=tuple(self.names[k] for k in touching),
        )


# Writing --------------------------------------------------------------------------------------------------------------


def truth_record(scene: GroundTruthScene) -> dict[str, Any]:
    """What `truth.json` holds: the fields of `GroundTruthScene` and `TruthObject` by name, metres, kilograms, radians.

    Meshes are left to `meshes/<name>.obj`; `write_scene` adds `world_from_arkit_zup` (4x4: the capture's world, turned Z-up by
    (x, y, z) -> (x, -z, y), to the MuJoCo world, before ARKit's drift) and `world_from_camera` (N x 4 x 4, true poses).
    """
    return {
        "name": scene.name,
        "seed": scene.seed,
        "layout": scene.layout,
        "support": scene.support,
        "surface_height": scene.surface_height,
        "surface_size": scene.surface_size,
        "surface_center": scene.surface_center,
        "has_wall": scene.has_wall,
        "qpos": scene.qpos.tolist(),
        "objects": [
            {
                "name": o.name,
                "category": o.category,
                "mesh": f"meshes/{o.name}.obj",
                "position": o.position.tolist(),
                "quaternion": o.quaternion.tolist(),
                "box_center": o.box_center.tolist(),
                "box_size": o.box_size.tolist(),
                "yaw": o.yaw,
                "yaw_symmetry": o.yaw_symmetry,
                "mass": o.mass,
                "volume": o.volume,
                "friction": o.friction,
                "stands_on": o.stands_on,
                "touches": list(o.touches),
            }
            for o in scene.objects
        ],
    }


def write_scene(scene: GroundTruthScene, folder: Path, *, phone: PhoneModel | None = None) -> Path:
    """Scan a scene and write capture and truth under `folder / scene.name`; returns that folder."""
    import trimesh

    home = folder / scene.name
    (home / "meshes").mkdir(parents=True, exist_ok=True)
    model, data = scene.simulation()
    poses = home / "poses.json"
    scan_scene(
        model,
        data,
        home / "capture",
        rng=np.random.default_rng([scene.seed, 99]),
        path=scene.path(),
        phone=phone,
        truth=poses,
    )
    record = truth_record(scene) | json.loads(poses.read_text())
    poses.unlink()
    for o in scene.objects:
        trimesh.Trimesh(o.vertices, o.faces, process=False).export(home / "meshes" / f"{o.name}.obj")
    (home / "truth.json").write_text(json.dumps(record, indent=1))
    return home


def benchmark_set(count: int, first_seed: int = 0) -> Iterator[tuple[int, Layout, Support]]:
    """The seeds, layouts and supports of a set: layouts alternate, every third pair stands on the floor."""
    for k in range(count):
        support: Support = "floor" if (k // 2) % 3 == 2 else "table"
        yield first_seed + k, "contact" if k % 2 else "apart", support


def main(arguments: list[str] | None = None) -> None:
    """Write a set of captures with truth."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the scenes (existing scenes are kept)")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args(arguments)
    for seed, layout, support in benchmark_set(options.count, options.first_seed):
        name = f"{layout}-{support}-{seed:04d}"
        if (options.out / name / "truth.json").exists():
            print(f"{name}: there already")
            continue
        scene = generate_scene(seed, layout, support)
        write_scene(scene, options.out)
        print(f"{name}: {len(scene.objects)} objects", flush=True)


if __name__ == "__main__":
    main()
