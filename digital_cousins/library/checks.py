"""What every asset must pass, measured independently of how it was made.

`check_asset` measures an asset; `Checks.problems` says what is wrong with it, one plain sentence each.

Mass properties are computed a second time by slicing: between the heights of two vertices the moments of a
polyhedron's cross-section are polynomials of at most fourth degree in height, which three-point Gauss-Legendre
quadrature integrates exactly.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import mujoco
import numpy as np
import trimesh
from manifold3d import Manifold, OpType

from ...scenes import Scene, SceneObject, Surface
from ...scenes.mjcf import compile_scene
from ...scenes.obj import read_obj
from ...scenes.physics import Simulation
from ...scenes.primitives import exact
from ...scenes.scene import Body, CollisionGeom, Part, Pose
from .asset import Asset
from .category import Category, Size
from .pieces import Design, Piece
from .shapes import FINE, Float

MAX_VOLUME_ERROR, MAX_INERTIA_ERROR = 0.10, 0.05
MAX_DRIFT, MAX_TILT, SECONDS = 0.002, np.radians(1.0), 2.0
MAX_OVERLAP = 0.0005
"""How deep [m] a moving part may pass into the rest."""
PLAY = {"slide": 0.0005, "hinge": 0.005}
"""How far a part may give at rest [m] or [rad]: a button sags a little on its spring."""
FORCES = {"fixed": 22.0, "free": 5.0}
"""Force [N] of a hand at a handle: 5 lbf, what the ADA Standards (2010, 309.4) let a person's operable parts take, and
less for what stands loosely."""
KNOB_ARM = 0.01
"""Lever arm [m] of fingers on a knob, whose handle lies on its axis."""


@dataclass(frozen=True)
class Checks:
    """What was measured of an asset.

    Attributes:
        volume_ratio: volume of the union of the collision shapes over that of the look, the worst of its bodies.
        inertia_error: largest relative error of mass and principal moments of inertia; None without a design.
        drift: how far [m] it moves by itself in two seconds on a floor. tilt: how far it turns [rad].
        opening: least share of its range that a moving part comes from end to end by hand, 1 without parts.
        shapes: collision shapes. vertices: of the look, 0 where that is the collision shapes.
        problems: what is wrong, one sentence each.
    """

    volume_ratio: float
    inertia_error: float | None
    drift: float
    tilt: float
    opening: float
    shapes: int
    vertices: int
    problems: tuple[str, ...]


def check_category(kind: Category, seed: int, size: Size | None = None) -> tuple[Asset, Checks]:
    """An asset of the category, drawn with a seed, and its checks, those of its inertia from its design included."""
    parameters = kind.sample(np.random.default_rng(seed), size).parameters
    extents = (parameters["x"], parameters["y"], parameters["z"])
    shape = {key: parameters[key] for key in kind.shape}
    asset = kind.build(extents, shape, np.random.default_rng(seed))
    design = kind.design(extents, shape, np.random.default_rng(seed))
    return asset, check_asset(asset, design, rolls=kind.rolls)


def check_asset(asset: Asset, design: Design | None = None, *, rolls: bool = False, volume_note: str = "") -> Checks:
    """Measures an asset.

    Args:
        asset: what to check. design: the pieces it was made of, to weigh it again; None leaves that out.
        rolls: it may turn in place. volume_note: why look and collision shapes differ in volume, if they do on purpose.
    """
    item = asset.item
    bodies = [(item.name, item.body), *((part.name, part.body) for part in item.parts)]
    problems: list[str] = []
    ratios, vertices = [], 0
    for name, body in bodies:
        problems += mesh_problems(asset, name, body)
        ratios.append(volume_ratio(asset, body))
        vertices += 0 if body.visual.mesh is None else len(read_obj(asset.files[body.visual.mesh].decode())[0])
    worst = max(ratios, key=lambda ratio: abs(ratio - 1))
    if abs(worst - 1) > MAX_VOLUME_ERROR and not volume_note:
        problems.append(f"its collision shapes have {worst:.0%} of the volume of its look")
    error = None if design is None else inertia_error(asset, design)
    if error is not None and error > MAX_INERTIA_ERROR:
        problems.append(f"its mass or inertia is off by {error:.0%}")
    drift, tilt, opened = stand(asset)
    if drift > MAX_DRIFT:
        problems.append(f"on a floor it moves by {1000 * drift:.1f} mm by itself")
    if tilt > MAX_TILT and not rolls:
        problems.append(f"on a floor it turns by {np.degrees(tilt):.1f} degrees by itself")
    if opened > 0.02:
        problems.append(f"a part opens by itself by {opened:.0%} of its range")
    told, opening = part_problems(asset)
    shapes = sum(len(body.collision) for _, body in bodies)
    return Checks(worst, error, drift, tilt, opening, shapes, vertices, (*problems, *told))


def mesh_problems(asset: Asset, name: str, body: Body) -> list[str]:
    """Whether the mesh that is drawn is closed and outward."""
    if body.visual.mesh is None:
        return []
    mesh = trimesh.Trimesh(*read_obj(asset.files[body.visual.mesh].decode()), process=False)
    if not (mesh.is_watertight and mesh.is_winding_consistent):
        return [f"the mesh of {name} is not closed"]
    return [] if mesh.volume > 0 else [f"the mesh of {name} is inside out"]


def volume_ratio(asset: Asset, body: Body) -> float:
    """Volume of the union of a body's collision shapes over the volume of its look; 1 where they are the same."""
    if body.visual.mesh is None:
        return 1.0
    vertices, faces = read_obj(asset.files[body.visual.mesh].decode())
    look = float(trimesh.Trimesh(vertices, faces, process=False).volume)
    felt = Manifold.batch_boolean([solid_of(shape, asset) for shape in body.collision], OpType.Add)
    return float(felt.volume()) / look if look > 0 else np.inf


def solid_of(shape: CollisionGeom, asset: Asset) -> Manifold:
    """A collision shape as a solid, in its body's frame."""
    x, y, z = shape.size
    if shape.mesh is not None:
        return Manifold.hull_points(read_obj(asset.files[shape.mesh].decode())[0])
    if shape.shape == "box":
        solid = Manifold.cube((x, y, z), True)
    elif shape.shape == "sphere":
        solid = Manifold.sphere(x / 2, FINE)
    elif shape.shape == "capsule":
        ends = [Manifold.sphere(x / 2, FINE).translate((0, 0, s * (z - x) / 2)) for s in (-1, 1)]
        solid = Manifold.batch_hull(ends)
    else:
        solid = Manifold.cylinder(z, x / 2, -1.0, FINE, True)
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, np.array(shape.pose.quaternion))
    return solid.transform(np.column_stack([turn.reshape(3, 3), shape.pose.position]))


def inertia_error(asset: Asset, design: Design) -> float:
    """Largest relative error of mass and principal moments of inertia of its bodies, weighed again by slicing."""
    pairs: list[tuple[Body, Sequence[Piece]]] = [(asset.item.body, design.pieces)]
    pairs += [(part.body, moving.pieces) for part, moving in zip(asset.item.parts, design.parts, strict=True)]
    worst = 0.0
    for body, pieces in pairs:
        mass, moments = _weighed(pieces)
        xx, yy, zz, xy, xz, yz = body.inertial.inertia
        told = np.linalg.eigvalsh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        errors = [abs(body.inertial.mass.value / mass - 1), *np.abs(told / moments - 1)]
        worst = max(worst, *(float(error) for error in errors))
    return worst


def _weighed(pieces: Sequence[Piece]) -> tuple[float, Float]:
    """Mass [kg] and principal moments of inertia [3] of pieces, by slicing."""
    taken: list[Manifold] = []
    total = np.zeros(10)
    for piece in pieces:
        for shape, substance in piece.weighs:
            solid = shape.make(FINE)
            total += substance.density.value * _sliced(Manifold.batch_boolean([solid, *taken], OpType.Subtract))
            taken.append(solid)
    mass, first, xx, yy, zz, xy, xz, yz = total[0], total[1:4], *total[4:]
    second = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) - np.outer(first, first) / mass
    inertia = np.trace(second) * np.eye(3) - second
    return float(mass), np.linalg.eigvalsh(inertia)


def _sliced(solid: Manifold) -> Float:
    """Volume, first moments (x, y, z) and second moments (xx, yy, zz, xy, xz, yz) of a solid [10]."""
    vertices = np.asarray(solid.to_mesh64().vert_properties[:, 2])
    heights = np.unique(vertices.round(7))
    nodes, weights = np.polynomial.legendre.leggauss(3)
    total = np.zeros(10)
    for low, high in pairwise(heights):
        for node, weight in zip(nodes, weights, strict=True):
            z = (low + high) / 2 + node * (high - low) / 2
            area, x, y, xx, yy, xy = _section(solid.slice(float(z)).to_polygons())
            moments = np.array([area, x, y, z * area, xx, yy, z * z * area, xy, z * x, z * y])
            total += weight * (high - low) / 2 * moments
    return total


def _section(polygons: Sequence[Float]) -> Float:
    """Area, first and second moments (x, y, xx, yy, xy) of polygons [6], holes clockwise (Green's theorem)."""
    total = np.zeros(6)
    for polygon in polygons:
        points = np.asarray(polygon, np.float64)
        (x, y), (u, v) = points.T, np.roll(points, -1, axis=0).T
        cross = x * v - u * y
        total += [
            cross.sum() / 2,
            (cross * (x + u)).sum() / 6,
            (cross * (y + v)).sum() / 6,
            (cross * (x * x + x * u + u * u)).sum() / 12,
            (cross * (y * y + y * v + v * v)).sum() / 12,
            (cross * (x * v + 2 * x * y + 2 * u * v + u * y)).sum() / 24,
        ]
    return total


def stand(asset: Asset) -> tuple[float, float, float]:
    """How far [m] and by what angle [rad] it moves by itself in two seconds on a floor, and the largest share of its
    range by which a part opens; what is fixed stands loosely for this.
    """
    model = _model(asset, asset.item.model_copy(update={"mobility": "free"}))
    data = mujoco.MjData(model)
    motion = Simulation(model, data, [asset.item.name]).run(SECONDS)[asset.item.name]
    opened = [
        max(0.0, abs(float(data.joint(f"{part.name}_joint").qpos[0])) - PLAY[part.joint.kind])
        / np.ptp(part.joint.range)
        for part in asset.item.parts
    ]
    return motion.drift, motion.tilt, float(max(opened, default=0.0))


def part_problems(asset: Asset) -> tuple[list[str], float]:
    """Whether a hand can move every part from end to end and back, past the rest; and the least share it comes."""
    if not asset.item.parts:
        return [], 1.0
    model = _model(asset, asset.item.model_copy(update={"mobility": "fixed"}))
    problems, least = [], 1.0
    for part in asset.item.parts:
        depth, other = _deepest(model, asset.item, part)
        if depth > MAX_OVERLAP:
            problems.append(f"{part.name} passes {1000 * depth:.1f} mm into {other} as it opens")
        opened, closed = _by_hand(model, part, FORCES[asset.item.mobility])
        least = min(least, opened, 1 - closed)
        if opened < 0.9:
            problems.append(f"a hand opens {part.name} by {opened:.0%} only")
        if closed > 0.1:
            problems.append(f"a hand leaves {part.name} open by {closed:.0%}")
    return problems, least


def _by_hand(model: mujoco.MjModel, part: Part, force: float) -> tuple[float, float]:
    """Shares of its range to which a part comes when it is pulled for three seconds, and then pushed for three."""
    data = mujoco.MjData(model)
    joint = model.joint(f"{part.name}_joint")
    arm = 1.0
    if part.joint.kind == "hinge":
        axis = np.array(part.joint.axis) / np.linalg.norm(part.joint.axis)
        at = np.array(part.joint.anchor if part.handle is None else part.handle.position) - part.joint.anchor
        arm = max(KNOB_ARM, float(np.linalg.norm(at - (at @ axis) * axis)))
    low, high = part.joint.range
    shares = []
    for direction in (1.0, -1.0):
        data.qfrc_applied[joint.dofadr[0]] = direction * force * arm
        mujoco.mj_step(model, data, nstep=round(3.0 / model.opt.timestep))
        share = float((data.qpos[joint.qposadr[0]] - low) / (high - low))
        shares.append(min(1.0, max(0.0, share)))  # limits give way a little
    return shares[0], shares[1]


def _deepest(model: mujoco.MjModel, item: SceneObject, part: Part) -> tuple[float, str]:
    """How deep [m] the part gets into the rest of the object, the other parts closed, and into what."""
    data = mujoco.MjData(model)
    joint, moving = model.joint(f"{part.name}_joint"), model.body(part.name).id
    ours = [g for g in range(model.ngeom) if model.geom_bodyid[g] == moving and model.geom_contype[g]]
    names = [item.name, *(other.name for other in item.parts if other.name != part.name)]
    rest = {model.body(name).id: name for name in names}
    theirs = [g for g in range(model.ngeom) if int(model.geom_bodyid[g]) in rest and model.geom_contype[g]]
    worst, where = 0.0, ""
    segment = np.zeros((6, 1))
    for share in np.linspace(0, 1, 9):
        data.qpos[joint.qposadr[0]] = part.joint.range[0] + share * np.ptp(part.joint.range)
        mujoco.mj_kinematics(model, data)
        for first in ours:
            for second in theirs:
                depth = -float(mujoco.mj_geomDistance(model, data, first, second, 0.001, segment))
                if depth > worst:
                    worst, where = depth, rest[int(model.geom_bodyid[second])]
    return worst, where


def _model(asset: Asset, item: SceneObject) -> mujoco.MjModel:
    """The object on a floor."""
    floor = Surface(
        name="floor", kind="floor", pose=Pose(position=(0, 0, -0.05)), size=(8, 8, 0.1), friction=exact(0.6)
    )
    with tempfile.TemporaryDirectory() as folder:
        asset.write(Path(folder))
        scene = Scene(name="check", surfaces=(floor,), objects=(item,)).in_folder(Path(folder))
        return compile_scene(scene, visuals=False)
