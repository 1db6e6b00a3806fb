"""Procedural scenes whose truth is known exactly, scanned by the simulated phone: what the benchmark reconstructs.

    scene = generate_scene(seed=3, layout="contact", support="table")
    model, data = scene.simulation()          # free-jointed, settled, ready for pushes and drops
    scan_scene(model, data, out, rng=np.random.default_rng(3), path=scene.path())

    python -m pocketworlds.benchmarks.ground_truth_scenes --out captures --count 24

writes for each scene `<name>/capture/` (Stray Scanner layout), `<name>/truth.json` (see `truth_record`) and
`<name>/meshes/<object>.obj` (exact solids in the world of the MuJoCo scene, settled).

World: Z up, metres, floor at z = 0. Layout "apart" keeps at least 20 mm of air between objects; in "contact" some touch
side by side and some stand on others.
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
from .ground_truth_objects import MAKERS
from .ground_truth_placement import Yard
from .ground_truth_room import Room, Support, add_object
from .ground_truth_shapes import Blueprint, YawSymmetry

Float = NDArray[np.float64]
Layout = Literal["apart", "contact"]

TOUCH = 0.001
"""Objects closer than this touch, metres."""
_ATTEMPTS = 40


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
        yaw_symmetry: turns that leave the shape the same. A box fitted to it is the same after half a turn in any
            case: compare yaws modulo 180 degrees for "none" and "180", modulo 90 for "90", not at all for "any".
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
    raise SceneError(
        f"seed {seed} ({layout}, {support}): no stable arrangement in {_ATTEMPTS} attempts; use another seed"
    )


def _try_scene(rng: np.random.Generator, seed: int, layout: Layout, support: Support) -> GroundTruthScene | None:
    blueprints = _draw(rng, layout)
    room = Room(rng, support)
    spec = room.spec
    names = [f"{b.category}_{i}" for i, b in enumerate(blueprints)]
    for name, blueprint in zip(names, blueprints, strict=True):
        add_object(spec, name, blueprint)
    model = spec.compile()
    yard = Yard(model, names, blueprints, room)
    placed = yard.apart(rng) if layout == "apart" else yard.contact(rng)
    if not placed or not yard.settle():
        return None
    return _read_truth(yard, seed, layout, support)


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


def _read_truth(yard: Yard, seed: int, layout: Layout, support: Support) -> GroundTruthScene | None:
    """The settled scene; None if the layout is not what its name says."""
    near = yard.distances()
    touching = near < TOUCH
    if layout == "apart" and near.min() < 0.02:
        return None
    if layout == "contact":
        on_top = {(i, j) for i, j in enumerate(yard.below) if j is not None}
        pairs = {(int(i), int(j)) for i, j in zip(*np.nonzero(np.tril(touching)), strict=True)}
        beside = pairs - on_top - {(j, i) for i, j in on_top}
        if not beside or not all(touching[i, j] for i, j in on_top):
            return None
    room = yard.room
    return GroundTruthScene(
        name=f"{layout}-{support}-{seed:04d}",
        seed=seed,
        layout=layout,
        support=support,
        spec=room.spec,
        model=yard.model,
        qpos=yard.data.qpos.copy(),
        objects=tuple(_truth(yard, i, support, np.flatnonzero(touching[i])) for i in range(len(yard.names))),
        surface_height=room.height,
        surface_size=None if room.size is None else (float(room.size[0]), float(room.size[1])),
        surface_center=room.middle,
        has_wall=room.wall,
    )


def _truth(yard: Yard, i: int, support: Support, touching: NDArray[np.intp]) -> TruthObject:
    blueprint, points, body = yard.blueprints[i], yard.world(i), yard.bodies[i]
    heading = yard.data.xmat[body].reshape(3, 3)[:, 0]
    yaw = 0.0 if blueprint.yaw_symmetry == "any" else float(np.arctan2(heading[1], heading[0]))
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0.0], [np.sin(yaw), np.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
    local = points @ turn
    below = yard.below[i]
    return TruthObject(
        name=yard.names[i],
        category=blueprint.category,
        vertices=points,
        faces=blueprint.solid.faces,
        position=yard.data.xpos[body].copy(),
        quaternion=yard.data.xquat[body].copy(),
        box_center=turn @ ((local.min(axis=0) + local.max(axis=0)) / 2),
        box_size=np.ptp(local, axis=0),
        yaw=yaw,
        yaw_symmetry=blueprint.yaw_symmetry,
        mass=blueprint.mass,
        volume=float(blueprint.solid.mesh().volume),
        friction=blueprint.friction,
        stands_on=support if below is None else yard.names[below],
        touches=tuple(yard.names[k] for k in touching),
    )


# Writing --------------------------------------------------------------------------------------------------------------


def truth_record(scene: GroundTruthScene) -> dict[str, Any]:
    """What `truth.json` holds: the fields of `GroundTruthScene` and `TruthObject` by name, metres, kilograms, radians.

    Meshes are left to `meshes/<name>.obj`; `write_scene` adds `world_from_arkit_zup` (4x4: the capture's world, turned
    Z-up by (x, y, z) -> (x, -z, y), to the MuJoCo world, before ARKit's drift) and `world_from_camera` (N x 4 x 4, the
    true poses).
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
