"""The axes of variation: each takes a draft, changes one thing about it, and notes what was drawn.

They act in the order of `config.AXES`; layout, which needs geometry, is in `layout`.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..scenes import SceneObject
from ..scenes.scene import Body, Colour, Estimate, Lighting, Material, Part, Rgba, Vec3
from .config import CousinConfig
from .cousin import Factor
from .draft import Draft
from .draws import Draws
from .layout import vary_clutter, vary_poses
from .pools import Candidate
from .scaling import heavier_part, stretched, with_mass

Vary = Callable[[Draft, Draws, Any], None]
_STEEPEST = 1.2  # the far light leans by no more [rad]


def instance(draft: Draft, draws: Draws, section: Any) -> None:
    """Lets things of the library stand in for objects."""
    for name, item in draft.objects.items():
        pool, own = draft.family.pools[name].candidates, draws.of(name)
        swap = own.chance(section.share) and bool(pool)
        chosen = pool[own.pick(len(pool))] if swap else None
        draft.factors[f"instance.{name}"] = chosen.asset.name if chosen is not None else "twin"
        if chosen is not None:
            draft.objects[name] = stand_in(item, chosen)


def shape(draft: Draft, draws: Draws, section: Any) -> None:
    """Stretches objects along their own axes."""
    for name, item in draft.objects.items():
        if not _carries(draft, item):
            own = draws.of(name)
            x, y, z = (_fitting(item, own.factor(section.factor)) for _ in range(3))
            factors = (x, y, z)
            draft.objects[name] = _standing(item, stretched(item, factors))
            draft.factors |= {f"shape.{name}.{axis}": f for axis, f in zip("xyz", factors, strict=True)}


def scale(draft: Draft, draws: Draws, section: Any) -> None:
    """Makes objects larger and smaller."""
    for name, item in draft.objects.items():
        if not _carries(draft, item):
            factor = _fitting(item, draws.of(name).factor(section.factor))
            draft.objects[name] = _standing(item, stretched(item, (factor, factor, factor)))
            draft.factors[f"scale.{name}"] = factor


def articulation(draft: Draft, draws: Draws, section: Any) -> None:
    """Makes doors and drawers harder or easier to move, and lets them go less far."""
    for name, item in draft.objects.items():
        if item.parts:
            draft.objects[name] = item.model_copy(
                update={"parts": tuple(_moving(part, draft, draws.of(part.name), section) for part in item.parts)}
            )


def mass(draft: Draft, draws: Draws, section: Any) -> None:
    """Makes objects heavier and lighter."""
    for name, item in draft.objects.items():
        factor = draws.of(name).factor(section.factor)
        parts = tuple(heavier_part(part, factor) for part in item.parts)
        draft.objects[name] = item.model_copy(update={"body": with_mass(item.body, factor), "parts": parts})
        draft.factors[f"mass.{name}"] = factor


def friction(draft: Draft, draws: Draws, section: Any) -> None:
    """Makes objects and surfaces rougher and smoother: MuJoCo takes the larger of the two in contact."""
    for name, item in draft.objects.items():
        factor = draws.of(name).factor(section.factor)
        parts = tuple(part.model_copy(update={"body": _rougher(part.body, factor)}) for part in item.parts)
        draft.objects[name] = item.model_copy(update={"body": _rougher(item.body, factor), "parts": parts})
        draft.factors[f"friction.{name}"] = factor
    for name, surface in draft.surfaces.items():
        factor = draws.of(name).factor(section.factor)
        draft.surfaces[name] = surface.model_copy(update={"friction": _times(surface.friction, factor)})
        draft.factors[f"friction.{name}"] = factor


def look(draft: Draft, draws: Draws, section: Any) -> None:
    """Changes colours, and gives plain things procedural textures."""
    for name, item in draft.objects.items():
        paint = _Paint.drawn(draft, draws.of(name), section)
        parts = tuple(part.model_copy(update={"body": paint.body(part.body)}) for part in item.parts)
        draft.objects[name] = item.model_copy(update={"body": paint.body(item.body), "parts": parts})
        plain = any(map(_plain, (item.body, *(part.body for part in item.parts))))
        draft.factors |= paint.factors(name, plain)
    for name, surface in draft.surfaces.items():
        paint, plain = _Paint.drawn(draft, draws.of(name), section), surface.material.texture is None
        draft.surfaces[name] = surface.model_copy(update={"material": paint.on(surface.material, plain)})
        draft.factors |= paint.factors(name, plain)


@dataclass(frozen=True)
class _Paint:
    """How one thing's look changes: `hue` [rad], `lightness` (a factor), and a texture for what is plain, or None."""

    hue: float
    lightness: float
    texture: str | None

    @classmethod
    def drawn(cls, draft: Draft, draws: Draws, section: Any) -> _Paint:
        hue, lightness = draws.shift(section.hue), draws.factor(section.lightness)
        textures = draft.family.textures if draws.chance(section.textured) else ()
        return cls(hue, lightness, textures[draws.pick(len(textures))] if textures else None)

    def on(self, material: Material, plain: bool) -> Material:
        return _recoloured(material, self.hue, self.lightness, self.texture if plain else None)

    def body(self, body: Body) -> Body:
        material = self.on(body.visual.material, _plain(body))
        return body.model_copy(update={"visual": body.visual.model_copy(update={"material": material})})

    def factors(self, name: str, plain: bool) -> dict[str, Factor]:
        texture = self.texture if plain and self.texture is not None else "none"
        return {
            f"look.{name}.hue": self.hue,
            f"look.{name}.lightness": self.lightness,
            f"look.{name}.texture": texture,
        }


def _plain(body: Body) -> bool:
    """Whether a body is drawn as primitives of one colour."""
    return body.visual.mesh is None and body.visual.material.texture is None


def light(draft: Draft, draws: Draws, section: Any) -> None:
    """Moves the far light, and makes all lights stronger, weaker, warmer or colder."""
    lean, around = min(draws.amount(section.lean), _STEEPEST), float(draws.rng.uniform(0, 2 * math.pi))
    strength, warmth = draws.factor(section.strength), draws.shift(section.warmth)
    old = draft.lighting

    def tinted(colour: Colour) -> Colour:
        red, green, blue = (v * strength for v in colour)
        return (min(red * (1 + warmth), 1.0), min(green, 1.0), min(max(blue * (1 - warmth), 0.0), 1.0))

    x, y, z = (v / math.hypot(*old.direction) for v in old.direction)
    draft.lighting = Lighting(
        direction=(x + math.tan(lean) * math.cos(around), y + math.tan(lean) * math.sin(around), z),
        far=tinted(old.far),
        camera=tinted(old.camera),
        ambient=tinted(old.ambient),
    )
    draft.factors |= {"light.lean": lean, "light.around": around, "light.strength": strength, "light.warmth": warmth}


def camera(draft: Draft, draws: Draws, section: Any) -> None:
    """Moves, turns and zooms the scene's camera."""
    shift, turn = _vector(draws, section.shift), _vector(draws, section.turn)
    zoom = draws.factor(section.zoom)
    draft.rig |= {"camera_shift": shift, "camera_turn": turn, "camera_zoom": zoom}
    draft.factors |= {f"camera.shift.{axis}": v for axis, v in zip("xyz", shift, strict=True)}
    draft.factors |= {f"camera.turn.{axis}": v for axis, v in zip("xyz", turn, strict=True)}
    draft.factors["camera.zoom"] = zoom


def mount(draft: Draft, draws: Draws, section: Any) -> None:
    """Puts the robot elsewhere, and lets it err about where it stands."""
    x, y = draws.disc(section.shift)
    yaw, error = draws.shift(section.yaw), draws.shift(section.calibration_yaw)
    off = _vector(draws, section.calibration_shift)
    draft.rig |= {"mount_shift": (x, y), "mount_yaw": yaw, "calibration_shift": off, "calibration_yaw": error}
    draft.factors |= {"mount.x": x, "mount.y": y, "mount.yaw": yaw, "mount.calibration_yaw": error}
    draft.factors |= {f"mount.calibration.{axis}": v for axis, v in zip("xyz", off, strict=True)}


def servo(draft: Draft, draws: Draws, section: Any) -> None:
    """Changes the gains and force limits of the arm's servos, and delays what they are told."""
    values = {name: draws.factor(getattr(section, name)) for name in ("stiffness", "damping", "strength")}
    values["latency"] = min(draws.amount(section.latency), 0.05)
    draft.rig |= values
    draft.factors |= {f"servo.{name}": value for name, value in values.items()}


def noise(draft: Draft, draws: Draws, section: Any) -> None:
    """Chooses how noisy measurements are."""
    values = {"joint_noise": draws.amount(section.joint), "pose_noise": draws.amount(section.pose)}
    draft.rig |= values
    draft.factors |= {"noise.joint": values["joint_noise"], "noise.pose": values["pose_noise"]}


VARY: dict[str, Vary] = {
    "instance": instance,
    "shape": shape,
    "scale": scale,
    "articulation": articulation,
    "mass": mass,
    "friction": friction,
    "pose": vary_poses,
    "clutter": vary_clutter,
    "look": look,
    "light": light,
    "camera": camera,
    "mount": mount,
    "servo": servo,
    "noise": noise,
}
"""What each axis does."""
assert list(VARY) == [name for name in CousinConfig.model_fields if name not in ("kinship", "spread")]


def stand_in(item: SceneObject, candidate: Candidate) -> SceneObject:
    """A candidate in the place of an object: under its name, on its support, with its middle where that had it."""
    new = candidate.asset.named(item.name)
    pose = item.body.pose.model_copy(
        update={"quaternion": _turned(item.body.pose.quaternion, candidate.quarter * math.pi / 2)}
    )
    moved = new.model_copy(update={"body": new.body.model_copy(update={"pose": pose}), "support": item.support})
    return _standing(item, moved)


def _standing(old: SceneObject, new: SceneObject) -> SceneObject:
    """The new object with its bottom where the old one had it: bodies' frames are in the middle of their boxes."""
    x, y, z = old.body.pose.position
    pose = new.body.pose.model_copy(update={"position": (x, y, z + (new.size[2] - old.size[2]) / 2)})
    return new.model_copy(update={"body": new.body.model_copy(update={"pose": pose})})


def _turned(q: tuple[float, float, float, float], angle: float) -> tuple[float, float, float, float]:
    """Orientation of a frame turned about its own Z."""
    c, s = math.cos(angle / 2), math.sin(angle / 2)
    w, x, y, z = q
    return (w * c - z * s, x * c + y * s, y * c - x * s, z * c + w * s)


def _fitting(item: SceneObject, factor: float) -> float:
    """A factor of size: furniture has its place between other furniture, and gets no larger."""
    return min(factor, 1 / factor) if item.mobility == "fixed" else factor


def _carries(draft: Draft, item: SceneObject) -> bool:
    """Whether it is furniture that bears other things, which would have to follow its size."""
    graph = draft.family.graph
    return item.mobility == "fixed" and any(
        item.name in graph.supports(other) or graph.container(other) == item.name for other in graph.order
    )


def _moving(part: Part, draft: Draft, draws: Draws, section: Any) -> Part:
    damping, dry, less = draws.factor(section.damping), draws.factor(section.friction), draws.amount(section.travel)
    low, high = part.joint.range
    kept = 1 - min(less, 0.5)
    joint = part.joint.model_copy(
        update={
            "damping": part.joint.damping * damping,
            "friction_loss": part.joint.friction_loss * dry,
            "range": (low * kept, high * kept),  # 0, where it was scanned, stays within
        }
    )
    draft.factors |= {
        f"articulation.{part.name}.damping": damping,
        f"articulation.{part.name}.friction": dry,
        f"articulation.{part.name}.travel": kept,
    }
    return part.model_copy(update={"joint": joint})


def _rougher(body: Body, factor: float) -> Body:
    return body.model_copy(update={"friction": _times(body.friction, factor)})


def _times(estimate: Estimate, factor: float) -> Estimate:
    return estimate.model_copy(update={key: getattr(estimate, key) * factor for key in ("value", "low", "high")})


def _recoloured(material: Material, hue: float, lightness: float, texture: str | None) -> Material:
    red, green, blue, alpha = material.rgba
    h, s, v = colorsys.rgb_to_hsv(red, green, blue)
    if material.texture is not None:  # a photograph is tinted, no more
        tint = colorsys.hsv_to_rgb((hue / (2 * math.pi)) % 1.0, min(abs(hue) * 0.3, 0.3), 1.0)
        rgba: Rgba = (*(min(c * t * lightness, 1.0) for c, t in zip((red, green, blue), tint, strict=True)), alpha)  # type: ignore[assignment]
        return material.model_copy(update={"rgba": rgba})
    red, green, blue = colorsys.hsv_to_rgb((h + hue / (2 * math.pi)) % 1.0, s, min(max(v * lightness, 0.03), 1.0))
    return material.model_copy(update={"rgba": (red, green, blue, alpha), "texture": texture})


def _vector(draws: Draws, most: float) -> Vec3:
    return (draws.shift(most), draws.shift(most), draws.shift(most))
