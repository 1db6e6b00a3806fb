"""Scenes made for a single question."""

from __future__ import annotations

from pocketworlds.envs.builtin.authoring import authored_object, table_surfaces
from pocketworlds.scenes import Scene, Surface
from pocketworlds.scenes.primitives import box
from pocketworlds.scenes.scene import Estimate, Pose


def single(
    size: tuple[float, float, float], *, at: tuple[float, float] = (0.0, -0.1), mass: float | None = None
) -> Scene:
    """One box called `thing` on the table."""
    item = authored_object("thing", "box", [box(*size)], size, at=at, mass=mass)
    return Scene(name="single", surfaces=table_surfaces(), objects=(item,), settled=True)


def walled(scene: Scene) -> Scene:
    """The same scene in a room of four walls."""
    exact = Estimate(value=0.6, low=0.6, high=0.6, source="authored")
    walls = tuple(
        Surface(name=f"wall{i}", kind="wall", pose=Pose(position=at), size=size, friction=exact)
        for i, (at, size) in enumerate(
            [
                ((1.55, 0, 1.2), (0.1, 3, 2.4)),
                ((-1.55, 0, 1.2), (0.1, 3, 2.4)),
                ((0, 1.55, 1.2), (3, 0.1, 2.4)),
                ((0, -1.55, 1.2), (3, 0.1, 2.4)),
            ]
        )
    )
    return scene.model_copy(update={"surfaces": (*scene.surfaces, *walls), "name": scene.name + "-walled"})
