"""The one shared noun: a `Scene`, as plain validated data.

A scene is what a scan becomes and what cousins, environments and benchmarks start from. Everything is in SI units
(metres, kilograms, seconds, radians), in a right-handed Z-up world whose floor is z = 0; quaternions are (w, x, y, z);
cameras have MuJoCo axes (look along -Z, +Y up). Mesh and texture names are paths relative to the scene folder.
States are stored *settled*: poses are those at rest under gravity.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

SCHEMA_VERSION = 1

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Vec3 = tuple[Finite, Finite, Finite]
Size3 = tuple[Positive, Positive, Positive]
Rgba = tuple[Finite, Finite, Finite, Finite]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=120)]


def _unit(q: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    norm = math.sqrt(sum(v * v for v in q))
    if not 0.99 < norm < 1.01:
        raise ValueError(f"quaternion must have length 1, has {norm:.4f}")
    return q


def _relative(path: str) -> str:
    parts = Path(path).parts
    if not path or Path(path).is_absolute() or ".." in parts or "\\" in path:
        raise ValueError(f"path must lie inside the scene folder, got {path!r}")
    return path


Quaternion = Annotated[tuple[Finite, Finite, Finite, Finite], AfterValidator(_unit)]
RelativePath = Annotated[str, AfterValidator(_relative)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pose(_Model):
    """Position [m] and orientation (unit quaternion w, x, y, z) in the parent frame."""

    position: Vec3 = (0.0, 0.0, 0.0)
    quaternion: Quaternion = (1.0, 0.0, 0.0, 0.0)


class Estimate(_Model):
    """A physical quantity with its uncertainty: cousins sample it uniformly from [low, high]."""

    value: Positive
    low: Positive
    high: Positive
    source: str

    @model_validator(mode="after")
    def _ordered(self) -> Estimate:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"expected low <= value <= high, got {self.low}, {self.value}, {self.high}")
        return self


class Material(_Model):
    """Appearance: a base colour, multiplied by a texture where there is one.

    A drawn mesh wears its texture by its own coordinates, a surface on its top; each side of a plain shape shows it.
    """

    rgba: Rgba = (0.7, 0.7, 0.7, 1.0)
    texture: RelativePath | None = None


class CollisionGeom(_Model):
    """One convex collision shape, in the body's frame.

    `size` holds full extents: box (x, y, z), cylinder and capsule (diameter, diameter, full length), sphere (diameter,
    three times).
    For `shape="mesh"` the mesh file is convex, in the body's frame, and `size` is its bounding box. `scale` stretches
    the file's vertices along its axes, before `pose`: many objects may share one file.
    """

    shape: Literal["box", "cylinder", "capsule", "sphere", "mesh"]
    size: Size3
    pose: Pose = Pose()
    mesh: RelativePath | None = None
    scale: Size3 = (1.0, 1.0, 1.0)

    @model_validator(mode="after")
    def _mesh_matches_shape(self) -> CollisionGeom:
        if (self.shape == "mesh") != (self.mesh is not None):
            raise ValueError("`mesh` must be given exactly when shape is 'mesh'")
        return self


class Visual(_Model):
    """What is drawn: an OBJ mesh in the body's frame, stretched by `scale`, or (mesh None) the collision shapes."""

    mesh: RelativePath | None = None
    material: Material = Material()
    scale: Size3 = (1.0, 1.0, 1.0)


class Joint(_Model):
    """How a part moves in its parent: a hinge about, or a slide along, `axis` through `anchor` (part frame).

    Attributes:
        range: lowest and highest position [rad] or [m]; 0 is where the part was scanned.
        damping: [N m s/rad] or [N s/m]. friction_loss: dry friction [N m] or [N].
        stiffness: of a spring that pulls it to 0 [N m/rad] or [N/m], of a slide with its weight: a button comes back.
    """

    kind: Literal["hinge", "slide"]
    axis: Vec3
    anchor: Vec3 = (0.0, 0.0, 0.0)
    range: tuple[Finite, Finite]
    damping: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    friction_loss: float = Field(default=0.1, ge=0, allow_inf_nan=False)
    stiffness: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _valid(self) -> Joint:
        if math.sqrt(sum(a * a for a in self.axis)) < 1e-6:
            raise ValueError("joint axis must not be zero")
        if not self.range[0] < self.range[1]:
            raise ValueError(f"joint range must be increasing, got {self.range}")
        return self


class Inertial(_Model):
    """Mass, centre of mass [m] and inertia about it [kg m^2] (xx, yy, zz, xy, xz, yz), body frame axes."""

    mass: Estimate
    com: Vec3
    inertia: tuple[Positive, Positive, Positive, Finite, Finite, Finite]


class Body(_Model):
    """A rigid body: shape, look and mass. `pose` is in the world for an object, in the object's frame for a part."""

    pose: Pose = Pose()
    collision: tuple[CollisionGeom, ...] = ()
    visual: Visual = Visual()
    inertial: Inertial
    friction: Estimate


class Handle(_Model):
    """Where a hand takes a part, in the part's frame.

    Attributes:
        position: middle of the bar or knob, of a button the middle of its face [m].
        axis: unit vector along the bar; fingers close across it.
        outward: unit vector, at right angles to `axis`, from the part towards the hand.
    """

    position: Vec3
    axis: Vec3
    outward: Vec3

    @model_validator(mode="after")
    def _valid(self) -> Handle:
        for name, vector in (("axis", self.axis), ("outward", self.outward)):
            if abs(math.hypot(*vector) - 1) > 1e-6:
                raise ValueError(f"handle {name} must be a unit vector, got {vector}")
        if abs(sum(a * b for a, b in zip(self.axis, self.outward, strict=True))) > 1e-6:
            raise ValueError(f"handle axis {self.axis} and outward {self.outward} must be at right angles")
        return self


class Part(_Model):
    """A door, drawer, lid or button: a body that moves in its object by one joint.

    Attributes:
        kind: word for instructions and tasks ("drawer", "door", "lid", "button", ...).
        handle: where to take or press it, None where nothing is known.
    """

    name: Name
    kind: str = "part"
    joint: Joint
    body: Body
    handle: Handle | None = None


class Provenance(_Model):
    """What a scanned object rests on: how it was completed, how much was seen, how well it fits, how it settled.

    Attributes:
        completion: method that supplied the unseen sides ("box", "cylinder", "revolution", "carved", "roomplan", ...).
        observed_fraction: share of the final surface (without the resting face) that the capture saw, in [0, 1].
        fit_error: root mean square distance [m] of observed points to the final surface.
        settle_drift: distance [m] the object moved while settling.
        settle_tilt: angle [rad] it turned while settling.
        notes: plain sentences: what to trust and what not.
    """

    completion: str
    observed_fraction: float = Field(ge=0, le=1)
    fit_error: float = Field(ge=0)
    settle_drift: float = Field(default=0.0, ge=0)
    settle_tilt: float = Field(default=0.0, ge=0)
    notes: tuple[str, ...] = ()


class SceneObject(_Model):
    """Something a robot may act on.

    Attributes:
        name: unique in the scene; MuJoCo body name.
        category: word for cousins and instructions ("box", "can", "chair", "storage", "object", ...).
        mobility: "free" (six degrees of freedom) or "fixed" (does not move, its parts may).
        size: full extents [m] of the bounding box in the body frame (body Z up at rest).
        support: name of the surface or object it stands on, or None.
        body: its rigid body; parts: its doors, drawers, lids.
        provenance: quality of the reconstruction, None for authored objects.
    """

    name: Name
    category: str
    mobility: Literal["free", "fixed"]
    size: Size3
    support: str | None = None
    body: Body
    parts: tuple[Part, ...] = ()
    provenance: Provenance | None = None


SurfaceKind = Literal["floor", "table", "shelf", "wall", "ceiling", "door", "window", "opening"]


class Surface(_Model):
    """A fixed box of the room's structure; a table's or floor's top face is at its box's top.

    Attributes:
        size: full extents [m] in its own frame; for horizontal surfaces local Z is up. A RoomPlan wall keeps its
            exported zero thickness in `exported_size` and gets a real thickness here.
        collides: False for openings, and for doors and windows that are drawn only.
        exported_size: the size the capture's parametric room gave, untouched, or None.
        parent: name of the surface it belongs to (a door's wall).
    """

    name: Name
    kind: SurfaceKind
    pose: Pose
    size: Size3
    material: Material = Material()
    friction: Estimate
    collides: bool = True
    exported_size: Vec3 | None = None
    parent: str | None = None


class Camera(_Model):
    """A viewpoint in MuJoCo axes (looks along -Z, +Y up)."""

    name: Name
    pose: Pose
    fovy: Positive = 0.9
    width: int = Field(default=640, gt=0, le=8192)
    height: int = Field(default=480, gt=0, le=8192)


Colour = tuple[
    Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]
]


class Lighting(_Model):
    """One light far away, one at the camera, and light from everywhere; colours (red, green, blue) in [0, 1].

    Attributes:
        direction: the way the far light shines; need not have length 1.
        far, camera, ambient: colours of the three.
    """

    direction: Vec3 = (0.2, 0.1, -1.0)
    far: Colour = (0.4, 0.4, 0.4)
    camera: Colour = (0.45, 0.45, 0.45)
    ambient: Colour = (0.35, 0.35, 0.35)

    @model_validator(mode="after")
    def _valid(self) -> Lighting:
        if math.hypot(*self.direction) < 1e-6:
            raise ValueError("light direction must not be zero")
        return self


class Scene(_Model):
    """Objects, structure and cameras: everything needed to compile a MuJoCo model. See the module docstring.

    Attributes:
        name: short name, used for files and the MJCF model.
        source: where it came from (capture format, path name, software versions): free-form, JSON-serialisable.
        settled: True if the poses are at rest (see `scenes.settle`).
    """

    schema_version: Literal[1] = 1
    name: Name
    surfaces: tuple[Surface, ...]
    objects: tuple[SceneObject, ...] = ()
    cameras: tuple[Camera, ...] = ()
    lighting: Lighting = Lighting()
    settled: bool = False
    source: dict[str, Any] = Field(default_factory=dict)
    _folder: Path | None = PrivateAttr(default=None)

    @property
    def folder(self) -> Path | None:
        """The folder its meshes and textures are in, or None for a scene made of primitives."""
        return self._folder

    def in_folder(self, folder: Path) -> Scene:
        """The same scene, with its assets looked up in `folder`."""
        copy = self.model_copy()
        copy._folder = folder
        return copy

    def object(self, name: str) -> SceneObject:
        """The object called `name`; KeyError lists the names there are."""
        for item in self.objects:
            if item.name == name:
                return item
        raise KeyError(f"no object {name!r} in scene {self.name!r}; it has {[item.name for item in self.objects]}")

    @model_validator(mode="after")
    def _names(self) -> Scene:
        names = [s.name for s in self.surfaces]
        for item in self.objects:
            names += [item.name, *(part.name for part in item.parts)]
        doubles = sorted({name for name in names if names.count(name) > 1})
        if doubles:
            raise ValueError(f"names of surfaces, objects and parts must be unique; repeated: {doubles}")
        known = set(names)
        for item in self.objects:
            if item.support is not None and item.support not in known:
                raise ValueError(f"object {item.name!r}: support {item.support!r} is not in the scene")
        return self
