"""Fridge, oven and sink. The front is at -Y, handles included."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ...scenes.primitives import BAR, REACH, bar_handle, box
from ...scenes.scene import CollisionGeom, Handle, Joint, Pose
from .category import Category, Palette, Parameter, Size
from .pieces import Design, Finish, Moving, Piece, board, boards, disc, mass_of, shifted
from .shapes import lathe
from .storage import carcass, hinged_front
from .tableware import open_box
from .vessels import bow

_QUARTER = math.sqrt(0.5)


def fridge(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A fridge and freezer one above the other, with insulated walls, shelves, and doors hinged on one side."""
    x, y, z = size
    skin, grip, glass = palette.finish("foam_panel"), palette.finish("steel"), palette.finish("glass")
    t, feet = shape["wall"], 0.03
    face = -y / 2 + REACH
    front = face + t + 0.004
    deep = y / 2 - front
    low = z * shape["split"] if shape["freezer_below"] else z * (1 - shape["split"])
    shapes = carcass(x, deep, feet, z, t, front)
    shapes.append(box(x - 2 * t, deep - t, t, at=(0, front + (deep - t) / 2, low)))
    pieces = list(boards(shapes, skin))
    inner, depth = x - 2 * t, deep - t - 0.06
    wide, narrow = (
        ((low + t / 2, z - t), (feet + t, low - t / 2))
        if shape["freezer_below"]
        else ((feet + t, low - t / 2), (low + t / 2, z - t))
    )
    for span, count in ((wide, 3), (narrow, 1)):
        for k in range(count):
            level = span[0] + (span[1] - span[0]) * (k + 1) / (count + 1)
            pieces.append(board(inner, depth, 0.006, (0, front + 0.06 + depth / 2, level), glass))
    dark = palette.finish("bakelite")
    pieces += [
        disc(0.04, 0.04, feet, (sx * (x / 2 - 0.05), front + deep / 2 + sy * (deep / 2 - 0.05), feet / 2), dark)
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    # The compressor: a third of a fridge's mass sits low at its back.
    pump = palette.finish("painted_steel")
    size_of_pump = (0.45 * inner, 0.4 * t, 0.6 * t)
    pieces.append(board(*size_of_pump, (0, y / 2 - t / 2, feet + t / 2), pump))
    joint = Joint(kind="hinge", axis=(0, 0, 1), range=(0.0, 1.9), damping=1.0, friction_loss=0.5)
    hinge = -1 if shape["hinge"] < 0.5 else 1
    parts = []
    for name, span in (("lower_door", (feet, low)), ("upper_door", (low, z))):
        bar = min(0.4, 0.55 * (span[1] - span[0]))
        at = span[1] - 0.05 - bar / 2 if name == "lower_door" else span[0] + 0.05 + bar / 2
        parts.append(
            hinged_front(name, (-x / 2, x / 2), span, face, t, skin, grip, hinge=hinge, handle=bar, at=at, joint=joint)
        )
    return Design(tuple(pieces), tuple(parts))


def oven(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A free-standing cooker: hob, knobs on a panel, a glazed door that folds down, and a plinth."""
    x, y, z = size
    skin, grip = palette.finish("foam_panel"), palette.finish("steel")
    black = Finish(palette.finish("glass").substance, (0.1, 0.1, 0.11, 1.0))
    t, panel, thick = 0.04, shape["panel"], 0.04
    plinth = max(0.09, shape["plinth"] * z)
    face = -y / 2 + REACH
    front = face + thick + 0.004
    deep = y / 2 - front
    hob, burner = z - 0.012, 0.008
    shapes = carcass(x, deep, plinth, hob, t, front)
    shapes.append(box(x, thick, panel, at=(0, face + thick / 2 + 0.004, hob - panel / 2)))
    shapes.append(box(x, deep - 0.04, plinth, at=(0, y / 2 - (deep - 0.04) / 2, plinth / 2)))
    pieces = [
        *boards(shapes, skin),
        board(x, deep + thick, z - hob - burner, (0, y / 2 - (deep + thick) / 2, (z - burner + hob) / 2), black),
    ]
    for sx in (-1, 1):
        for sy in (-1, 1):
            wide = min(0.3 * x, 0.42 * deep) * (1.0 if sx * sy > 0 else 0.8)
            at = (sx * 0.23 * x, front + deep / 2 + sy * 0.24 * deep, z - burner / 2)
            pieces.append(disc(wide, wide, burner, at, _dark(grip)))
    rack = board(
        x - 2 * t, deep - t - 0.04, 0.008, (0, front + 0.02 + (deep - t - 0.04) / 2, (plinth + hob - panel) / 2), grip
    )
    low, high = plinth + 0.004, hob - panel - 0.004
    tall, wide = high - low, x - 0.008
    middle = (low + high) / 2
    frame = 0.06
    window = (wide - 2 * frame, 0.5 * tall)
    leaf = boards(
        [
            box(wide, thick, (tall - window[1]) / 2, at=(0, face + thick / 2, middle + s * (tall + window[1]) / 4))
            for s in (-1, 1)
        ]
        + [box(frame, thick, window[1], at=(s * (wide - frame) / 2, face + thick / 2, middle)) for s in (-1, 1)],
        skin,
    )
    pane = board(window[0], 0.15 * thick, window[1], (0, face + thick / 2, middle), black)
    bar = bar_handle((0, face, high - 0.05), "x", 0.7 * wide)
    swings = (*leaf, pane, *boards(bar, grip))
    weight = mass_of(swings)
    # Real doors are balanced by springs: they take up most of the door's own torque where it hangs horizontally.
    spring = 0.85 * weight.mass.value * 9.81 * (weight.com[2] - low) / 1.5
    door = Moving(
        "door",
        "door",
        Joint(
            kind="hinge", axis=(1, 0, 0), range=(0.0, 1.5), damping=1.5, friction_loss=1.5, stiffness=round(spring, 3)
        ),
        (0.0, face, low),
        swings,
        Handle(position=(0, face - REACH + BAR / 2, high - 0.05), axis=(1, 0, 0), outward=(0, -1, 0)),
    )
    count = int(shape["knobs"])
    knobs = [
        _knob(
            f"knob_{k + 1}",
            ((k - (count - 1) / 2) * 0.8 * x / count, face + 0.004, hob - panel / 2),
            0.45 * panel,
            grip,
        )
        for k in range(count)
    ]
    return Design((*pieces, rack), (door, *knobs))


def _dark(finish: Finish) -> Finish:
    """The same material, blackened."""
    return Finish(finish.substance, (0.18, 0.18, 0.19, 1.0))


def _knob(name: str, at: tuple[float, float, float], wide: float, finish: Finish) -> Moving:
    """A knob on a front at `at`, turning about -Y, with a ridge that shows where it points."""
    x, y, z = at
    length, wide = 0.024, min(wide, 0.045)
    pose = Pose(position=(x, y - length / 2, z), quaternion=(_QUARTER, _QUARTER, 0.0, 0.0))
    felt = CollisionGeom(shape="cylinder", size=(wide, wide, length), pose=pose)
    look = lathe([(0, -length / 2), (wide / 2, -length / 2), (wide / 2, length / 2), (0, length / 2)])
    body = Piece(look.turned(x=math.pi / 2).moved(x, y - length / 2, z), finish, (felt,), plain=True)
    ridge = board(0.15 * wide, 0.006, 0.5 * wide, (x, y - length - 0.003, z + 0.2 * wide), _dark(finish))
    return Moving(
        name,
        "knob",
        Joint(kind="hinge", axis=(0, -1, 0), range=(0.0, 4.7), damping=0.005, friction_loss=0.01),
        at,
        (body, ridge),
        Handle(position=(x, y - length / 2, z), axis=(0, 0, 1), outward=(0, -1, 0)),
    )


def sink(size: Size, shape: Mapping[str, float], palette: Palette) -> Design:
    """A sink: a basin below a rim, a swan-necked tap behind it, and a lever that turns beside the tap."""
    x, y, z = size
    metal, chrome = palette.finish("steel", "ceramic", "stone"), palette.finish("steel")
    wall = 0.003 if metal.substance.name == "steel" else 0.012
    depth, rim, ledge, plate = shape["depth"], 0.04, 0.09, max(0.006, wall)
    wide, deep = x - 2 * rim, y - rim - ledge
    middle = -y / 2 + rim + deep / 2
    basin = shifted(open_box(wide, deep, depth, wall, 0.01, metal), 0.0, middle, 0.0)
    top = depth - plate / 2
    deck = [
        box(x, rim, plate, at=(0, (rim - y) / 2, top)),
        box(x, ledge, plate, at=(0, (y - ledge) / 2, top)),
        *(box(rim, deep, plate, at=(s * (x - rim) / 2, middle, top)) for s in (-1, 1)),
    ]
    thick, back = 0.024, y / 2 - ledge / 2
    reach, high = min(0.55 * deep, 0.24), z - thick / 2
    path = [
        (0, back, depth - plate),
        (0, back, high - 0.06),
        (0, back - 0.02, high - 0.018),
        (0, back - 0.06, high),
        (0, back - 0.07, high),
        (0, back - 0.8 * reach, high),
        (0, back - 0.96 * reach, high - 0.012),
        (0, back - reach, high - 0.05),
    ]
    spout = bow(path, thick, thick, chrome, across=(1, 0, 0))
    side = 0.075
    post = disc(0.03, 0.03, 0.05, (side, back, depth + 0.025), chrome)
    lever_at = (side, back, depth + 0.05)
    length = 0.075
    cap = disc(0.03, 0.03, 0.014, (side, back, lever_at[2] + 0.007), chrome)
    arm = board(0.012, length, 0.008, (side, back - length / 2, lever_at[2] + 0.01), chrome)
    lever = Moving(
        "lever",
        "lever",
        Joint(kind="hinge", axis=(0, 0, 1), range=(0.0, 1.5), damping=0.02, friction_loss=0.05),
        lever_at,
        (cap, arm),
        Handle(position=(side, back - 0.85 * length, lever_at[2] + 0.01), axis=(0, 1, 0), outward=(0, 0, 1)),
    )
    return Design((basin, *boards(deck, metal), spout, post), (lever,))


APPLIANCES = (
    Category(
        "fridge",
        fridge,
        ("container", "openable", "door", "appliance"),
        ((0.48, 0.95), (0.52, 0.85), (1.0, 2.1)),
        {
            "wall": Parameter(0.04, 0.06, "thickness of walls and doors", "m"),
            "split": Parameter(0.28, 0.42, "share of the height taken by the freezer"),
            "freezer_below": Parameter(0, 1, "whether the freezer is the lower one", whole=True),
            "hinge": Parameter(0, 1, "0 hinged on the left (-X), 1 on the right", whole=True),
        },
        ("foam_panel",),
        mobility="fixed",
    ),
    Category(
        "oven",
        oven,
        ("container", "openable", "door", "turnable", "appliance"),
        ((0.45, 0.95), (0.5, 0.75), (0.7, 1.0)),
        {
            "panel": Parameter(0.07, 0.11, "height of the panel with the knobs", "m"),
            "plinth": Parameter(0.12, 0.22, "height of the plinth over that of the oven"),
            "knobs": Parameter(3, 6, "knobs", whole=True),
        },
        ("foam_panel",),
        mobility="fixed",
    ),
    Category(
        "sink",
        sink,
        ("container", "turnable", "appliance"),
        ((0.38, 0.95), (0.38, 0.65), (0.34, 0.6)),
        {"depth": Parameter(0.13, 0.21, "depth of the basin", "m")},
        ("steel", "ceramic", "stone"),
        mobility="fixed",
    ),
)
