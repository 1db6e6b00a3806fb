"""What the reconstruction benchmark records about a scene, an object and a motion: plain data, as in `results.json`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..real2sim.report import StageRecord
from .ground_truth_scenes import Layout


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MotionScore(_Model):
    """One push or drop in both simulations.

    Attributes:
        kind: "push +x", "push +y", "drop" or "tilted drop".
        mean_mm: distance between the two motions of the object's middle, averaged over time; final_mm: at the end.
        height_mm: vertical part at the end, rebuilt minus original.
        yaw_deg: turn about the vertical between the two ends; None for objects that look the same from all sides.
        tilt_deg: angle between the two ends' verticals.
        travel_mm: how far the original moved.
        touched: whether the original came to touch another object.
        failure: why it counts as gone wrong, or "".
    """

    kind: str
    mean_mm: float | None = None
    final_mm: float | None = None
    height_mm: float | None = None
    yaw_deg: float | None = None
    tilt_deg: float | None = None
    travel_mm: float | None = None
    touched: bool = False
    failure: str = ""


class ObjectScore(_Model):
    """One true object and the rebuilt one it was matched with.

    Attributes:
        truth, found: names; category, found_category: what each is called.
        completion: how its unseen sides were made; seen: share of its surface that was seen.
        box_iou, solid_iou: overlaps of boxes and of closed solids (None where the rebuilt mesh is not closed).
        chamfer_mm: mean distance between the surfaces, both ways.
        center_mm: distance between box centres; center_xyz_mm: rebuilt minus true, along the truth's axes.
        yaw_deg: None where the yaw means nothing.
        size_mm: mean absolute error of the three extents; sizes_mm: longer side, shorter side, height, signed.
        mass_ratio: rebuilt over true.
        settle_drift_mm, settle_tilt_deg: how settling moved it.
        stable, frozen: whether it stays under gravity; whether it was fixed in place because it did not.
        motions: pushes and drops, for objects that stand on the support.
    """

    truth: str
    found: str
    category: str
    found_category: str
    completion: str
    seen: float
    box_iou: float
    solid_iou: float | None
    chamfer_mm: float
    center_mm: float
    center_xyz_mm: tuple[float, float, float]
    yaw_deg: float | None
    size_mm: float
    sizes_mm: tuple[float, float, float]
    mass_ratio: float
    settle_drift_mm: float
    settle_tilt_deg: float
    stable: bool
    frozen: bool
    motions: tuple[MotionScore, ...] = ()


class Fault(_Model):
    """A true object that was missed, or a rebuilt one that is none, and why as far as geometry tells."""

    name: str
    category: str
    size_mm: tuple[float, float, float]
    reason: str


class SceneScore(_Model):
    """Everything about one scene. `unstable` names rebuilt objects that move under gravity, `frozen` those held fast.

    `well_found` counts matches at a box overlap of 0.5. `error` says why nothing was rebuilt, or is "".
    """

    name: str
    seed: int
    layout: Layout
    support: Literal["table", "floor"]
    true_objects: int
    found_objects: int = 0
    well_found: int = 0
    objects: tuple[ObjectScore, ...] = ()
    missed: tuple[Fault, ...]
    false: tuple[Fault, ...] = ()
    unstable: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    penetration_mm: float | None = None
    support_shift_mm: float | None = None
    left_out: tuple[str, ...] = ()
    stages: tuple[StageRecord, ...] = ()
    simulate_seconds: float = 0.0
    score_seconds: float = 0.0
    error: str = ""
