"""The report of a scan: what came out, from what, how long it took, and in plain words what to trust and what not.

    report = build_report(scene, capture_info, stages)
    write_report(report, folder)       # report.json and a self-contained report.html

The page holds its own style and pictures; it loads nothing, and everything that came from the user is escaped.
"""

from __future__ import annotations

import base64
import io
import math
import os
import platform
import statistics
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from ..errors import MissingDependencyError
from ..scenes.folder import SCENE_FILE, load_scene
from ..scenes.scene import Estimate, Scene, SceneObject
from ..scenes.settle import FROZEN_NOTE

REPORT_JSON = "report.json"
REPORT_HTML = "report.html"

Seconds = Annotated[float, Field(ge=0)]
Trust = Literal["good", "fair", "poor"]

# An object is trusted as far as it was seen. The limits are those the reconstruction benchmark reports against: 5 mm is
# the chamfer distance asked for, half the surface is what one walk around a table usually sees.
GOOD_SEEN, FAIR_SEEN = 0.5, 0.25
GOOD_FIT, FAIR_FIT = 0.005, 0.015
STILL = 0.005
WIDE_RANGE = 4.0


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StageRecord(_Model):
    """One stage of the pipeline: wall time [s], whether it was reused, peak memory [MB] and its key numbers."""

    name: str
    seconds: Seconds
    cached: bool = False
    peak_memory_mb: float = Field(default=0.0, ge=0)
    summary: dict[str, float | int | str] = Field(default_factory=dict)


class CaptureInfo(_Model):
    """What was scanned: format, frames used, and (what, reason) for everything left out."""

    path_name: str
    format: str
    frames_total: int = Field(ge=0)
    frames_used: int = Field(ge=0)
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    is_metric: bool = True
    has_gravity: bool = True


class ObjectReport(_Model):
    """One object. Lengths in metres, masses in kilograms, angles in radians.

    Attributes:
        number: its number in the top view, from 1.
        footprint: extents along its own X and Y.
        mass, friction: estimates with range and source.
        fit_error: root mean square distance of seen points to the surface, None for an authored object.
        observed_fraction: share of the surface that was seen, None for an authored object.
        completion: how the unseen part was made, None for an authored object.
        parts: what opens ("drawer_1 (slides)").
        trust: "good", "fair" or "poor".
        notes: what to trust and what not, in plain sentences.
    """

    number: int
    name: str
    category: str
    mobility: Literal["free", "fixed"]
    support: str | None
    footprint: tuple[float, float]
    height: float
    mass: Estimate
    friction: Estimate
    fit_error: float | None = None
    observed_fraction: float | None = None
    completion: str | None = None
    settle_drift: float = 0.0
    settle_tilt: float = 0.0
    collision_shapes: int = 0
    parts: tuple[str, ...] = ()
    trust: Trust
    notes: tuple[str, ...] = ()


class SurfaceReport(_Model):
    """One surface of the structure: kind, extents [m] along its own axes, and the height [m] of its top."""

    name: str
    kind: str
    size: tuple[float, float, float]
    top: float


class SceneReport(_Model):
    """Everything the report says, as data; `report.json` is this."""

    schema_version: Literal[1] = 1
    scene: str
    summary: str
    trust: tuple[str, ...]
    caution: tuple[str, ...]
    capture: CaptureInfo
    objects: tuple[ObjectReport, ...]
    structure: tuple[SurfaceReport, ...]
    stages: tuple[StageRecord, ...]
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Wall time [s] of all stages."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def peak_memory_mb(self) -> float:
        """Largest peak memory [MB] of any stage."""
        return max((stage.peak_memory_mb for stage in self.stages), default=0.0)


def build_report(scene: Scene, capture: CaptureInfo, stages: Sequence[StageRecord]) -> SceneReport:
    """Gathers the figures of a finished scene and judges them."""
    objects = tuple(_object_report(number, item) for number, item in enumerate(scene.objects, start=1))
    structure = tuple(
        SurfaceReport(name=s.name, kind=s.kind, size=s.exported_size or s.size, top=_top(s.pose.quaternion, s))
        for s in scene.surfaces
    )
    trust, caution = _verdict(scene, capture, objects)
    return SceneReport(
        scene=scene.name,
        summary=_summary(scene, capture),
        trust=trust,
        caution=caution,
        capture=capture,
        objects=objects,
        structure=structure,
        stages=tuple(stages),
        versions=_versions(),
    )


def write_report(
    report: SceneReport, folder: str | Path, *, scene: Scene | None = None, photo: NDArray[np.uint8] | None = None
) -> Path:
    """Writes `report.json` and `report.html` into `folder`; gives the path of the page.

    Args:
        report: from `build_report`.
        folder: the scene folder, or any other that exists.
        scene: what to take pictures of; None loads the scene in `folder`, if there is one.
        photo: uint8 [H, W, 3], a picture of the real place to put beside the preview.

    Where this machine cannot render, the page says so and has no pictures.
    """
    from .report_page import page

    folder = Path(folder)
    if scene is None and (folder / SCENE_FILE).is_file():
        scene = load_scene(folder)
    pictures = _pictures(scene) if scene is not None else {}
    if photo is not None:
        pictures["photo"] = data_uri(photo, largest=960)
    _write(folder / REPORT_JSON, report.model_dump_json(indent=1) + "\n")
    _write(folder / REPORT_HTML, page(report, pictures))
    return folder / REPORT_HTML


def data_uri(picture: NDArray[np.uint8], *, largest: int = 0, quality: int = 88) -> str:
    """A picture, uint8 [H, W, 3], as a JPEG data URI, scaled down to `largest` pixels a side if that is not 0."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture[..., :3], dtype=np.uint8))
    if largest:
        image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _object_report(number: int, item: SceneObject) -> ObjectReport:
    body, seen = item.body, item.provenance
    return ObjectReport(
        number=number,
        name=item.name,
        category=item.category,
        mobility=item.mobility,
        support=item.support,
        footprint=item.size[:2],
        height=item.size[2],
        mass=body.inertial.mass,
        friction=body.friction,
        fit_error=seen.fit_error if seen else None,
        observed_fraction=seen.observed_fraction if seen else None,
        completion=seen.completion if seen else None,
        settle_drift=seen.settle_drift if seen else 0.0,
        settle_tilt=seen.settle_tilt if seen else 0.0,
        collision_shapes=len(body.collision),
        parts=tuple(f"{part.name} ({'turns' if part.joint.kind == 'hinge' else 'slides'})" for part in item.parts),
        trust=_grade(item),
        notes=_notes(item),
    )


def _grade(item: SceneObject) -> Trust:
    seen = item.provenance
    if seen is None:
        return "good"
    if seen.observed_fraction < FAIR_SEEN or seen.fit_error > FAIR_FIT:
        return "poor"
    if (
        seen.observed_fraction < GOOD_SEEN
        or seen.fit_error > GOOD_FIT
        or seen.settle_drift > STILL
        or _frozen(seen.notes)
    ):
        return "fair"
    return "good"


def _notes(item: SceneObject) -> tuple[str, ...]:
    seen = item.provenance
    notes: list[str] = []
    if seen is not None:
        share = f"{seen.observed_fraction:.0%} of its surface was seen"
        if seen.observed_fraction >= GOOD_SEEN:
            notes.append(f"{share}: its size and place can be trusted.")
        elif seen.observed_fraction >= FAIR_SEEN:
            notes.append(f"Only {share}; the other sides are completed ({seen.completion}).")
        else:
            notes.append(f"Only {share}: its hidden sides are a guess ({seen.completion}).")
        if seen.fit_error > GOOD_FIT:
            notes.append(f"The shape misses the scanned points by {seen.fit_error * 1000:.0f} mm on average.")
        if seen.settle_drift > STILL:
            moved = f"{seen.settle_drift * 1000:.0f} mm and {math.degrees(seen.settle_tilt):.0f} degrees"
            notes.append(f"It was moved by {moved} to stand without overlap.")
        notes += [note for note in seen.notes if note not in notes]
    mass = item.body.inertial.mass
    if mass.high > WIDE_RANGE * mass.low:
        notes.append(f"Its mass is a guess: anything from {mass.low:.2g} to {mass.high:.2g} kg is plausible.")
    return tuple(notes)


def _verdict(
    scene: Scene, capture: CaptureInfo, objects: Sequence[ObjectReport]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    trust: list[str] = []
    caution: list[str] = []
    if capture.is_metric:
        trust.append("Lengths are metric, as the phone measured them.")
    else:
        caution.append("This capture has no scale of its own: every length, and with it every mass, is a guess.")
    if not capture.has_gravity:
        caution.append("The capture did not record gravity: up was taken from the largest level surface.")
    fits = [item.fit_error for item in objects if item.fit_error is not None]
    if fits:
        worst = max(objects, key=lambda item: item.fit_error or 0.0)
        sentence = f"Surfaces lie {statistics.median(fits) * 1000:.1f} mm from the scanned points"
        if len(fits) > 1:
            sentence += f" (median over objects; the worst is {worst.name} with {max(fits) * 1000:.1f} mm)"
        (trust if max(fits) <= FAIR_FIT else caution).append(sentence + ".")
    poor = [item.name for item in objects if item.trust == "poor"]
    if poor:
        caution.append(f"Shapes that are mostly a guess: {_listed(poor)}.")
    free = [item for item in objects if item.mobility == "free"]
    if free and scene.settled:
        trust.append(
            "Every object that can move stays where it stands under gravity; "
            f"settling moved none by more than {max(item.settle_drift for item in free) * 1000:.1f} mm."
        )
    elif free:
        caution.append("The scene is not settled: objects may move when the simulation starts.")
    frozen = [item.name for item in objects if item.mobility == "fixed" and _frozen(item.notes)]
    if frozen:
        caution.append(f"Fixed in place, because they would not stand by themselves: {_listed(frozen)}.")
    if objects:
        factor = max(item.mass.high / item.mass.value for item in objects)
        caution.append(
            f"A camera cannot weigh: masses follow from size and material, and may be off by a factor of {factor:.1f}. "
            "Friction comes from tables. Vary both when you train."
        )
    left_out = capture.frames_total - capture.frames_used
    if capture.frames_total and left_out > 0.5 * capture.frames_total:
        caution.append(f"{left_out} of {capture.frames_total} frames were not used; see the capture below.")
    caution += [note for note in capture.notes if note not in caution]
    return tuple(trust), tuple(caution)


def _frozen(notes: Sequence[str]) -> bool:
    return any(FROZEN_NOTE in note for note in notes)


def _summary(scene: Scene, capture: CaptureInfo) -> str:
    free = sum(item.mobility == "free" for item in scene.objects)
    fixed = len(scene.objects) - free
    parts = sum(len(item.parts) for item in scene.objects)
    kind_of = {surface.name: surface.kind for surface in scene.surfaces}
    # A floor's picture is drawn on the floor: it is not another one.
    kinds = Counter(s.kind for s in scene.surfaces if s.parent is None or kind_of.get(s.parent) != s.kind)
    counts = [_count(free, "object that can be moved", "objects that can be moved")]
    if fixed:
        counts.append(_count(fixed, "fixed object", "fixed objects"))
    if parts:
        counts.append(_count(parts, "part that opens", "parts that open"))
    shell = _listed([_count(number, kind, _PLURAL.get(kind, f"{kind}s")) for kind, number in kinds.items()])
    source = f"{capture.frames_used} frames of a {capture.format} capture" if capture.frames_used else capture.format
    return f"{_listed(counts)}; {shell or 'no structure'}. Rebuilt from {source}."


_PLURAL = {"shelf": "shelves"}


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _listed(words: Sequence[str]) -> str:
    if len(words) > 12:
        words = [*words[:11], f"{len(words) - 11} more"]
    return ", ".join(words[:-1]) + f" and {words[-1]}" if len(words) > 1 else "".join(words)


def _top(quaternion: tuple[float, float, float, float], surface: Any) -> float:
    """Height [m] of the highest point of a box: its centre plus its half extents along world Z."""
    w, x, y, z = quaternion
    row = (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y))
    half: float = sum(abs(r) * s for r, s in zip(row, surface.size, strict=True)) / 2
    return float(surface.pose.position[2]) + half


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for name in ("pocketworlds", "mujoco", "open3d", "trimesh", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _pictures(scene: Scene) -> dict[str, Any]:
    """Data URIs: "preview", "top", "thumbnails" by object name; outlines in the top view by object name, in pixels."""
    from ..scenes.preview import Photographer

    try:
        with Photographer(scene, (960, 720), shadows=True) as photographer:
            pictures: dict[str, Any] = {"preview": data_uri(photographer.overview())}
        with Photographer(scene, (800, 600)) as photographer:
            top = photographer.top()
            pictures["top"] = data_uri(top.picture)
            pictures["top_size"] = (800, 600)
            pictures["metres_per_pixel"] = top.metres_per_pixel
            pictures["outlines"] = {
                item.name: top.pixels(photographer.footprint(item.name)).round(1).tolist() for item in scene.objects
            }
            pictures["thumbnails"] = {item.name: data_uri(photographer.thumbnail(item.name)) for item in scene.objects}
    except MissingDependencyError as error:
        return {"missing": str(error)}
    return pictures


def _write(path: Path, text: str) -> None:
    """Writes beside and renames: a reader never sees half a file."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
