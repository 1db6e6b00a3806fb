"""Household objects with exactly known shape: closed solids, procedural textures, real masses, convex collision parts.

Each maker draws one object of its category. Object frame: Z up in the resting pose, base at z = 0, and +X the object's
own heading (the mug's handle, the head of a hammer), which is what its yaw is measured by.

Sizes and masses are those of ordinary products: a 330 ml drink can is 66 x 115 mm and 350 to 370 g full; a 400 g food
can 74 x 110 mm and 460 g; a 0.5 l bottle 65 x 200 to 230 mm and 520 g; a mug 80 to 90 x 90 to 100 mm and 300 to 400 g;
a cereal bowl 130 to 170 mm (both stoneware, 2200 to 2400 kg/m^3); packed food boxes 250 to 600 kg/m^3 gross (between
cereal at 150 and sugar at 850); books 700 to 900 kg/m^3 (coated paper is the heavier); steel 7850, beech 700 and handle
plastics 1100 kg/m^3 (Engineering ToolBox, densities of materials). Sliding friction 0.3 to 0.6 covers cardboard, glaze,
painted metal and wood on a table (same source, friction coefficients).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .ground_truth_shapes import (
    Blueprint,
    Part,
    Solid,
    Visual,
    box_solid,
    capsule,
    cuboid,
    lathed,
    lying_prism,
    ring_points,
    ring_wedges,
    slab,
    tube,
    union,
)
from .ground_truth_textures import ceramic_texture, colour, label_texture, package_texture


def make_box(rng: np.random.Generator) -> Blueprint:
    """A packed carton, resting on any of its sides."""
    size = np.array([rng.uniform(0.05, 0.11), rng.uniform(0.08, 0.17), rng.uniform(0.04, 0.10)])
    size = size[rng.permutation(3)]
    if size[2] > 2.2 * min(size[0], size[1]):  # would topple at a touch
        size = np.sort(size)[[1, 2, 0]]
    mass = float(np.prod(size) * rng.uniform(250, 600))
    return cuboid("box", size, mass, rng, package_texture(rng))


def make_book(rng: np.random.Generator) -> Blueprint:
    """A book lying flat."""
    size = np.array([rng.uniform(0.11, 0.17), rng.uniform(0.17, 0.24), rng.uniform(0.015, 0.045)])
    return cuboid("book", size, float(np.prod(size) * rng.uniform(700, 900)), rng, package_texture(rng))


def make_can(rng: np.random.Generator) -> Blueprint:
    """A full drink or food can, upright."""
    radius, height, density = [(0.033, 0.115, 900.0), (0.037, 0.110, 970.0), (0.0425, 0.060, 1000.0)][rng.integers(3)]
    radius, height = radius * rng.uniform(0.95, 1.05), height * rng.uniform(0.92, 1.08)
    profile = [(0.0, 0.0), (radius, 0.0), (radius, height), (0.0, height)]
    solid, visual = lathed(profile, 32, label_texture(rng), specular=0.4)
    return Blueprint(
        "can",
        solid,
        (visual,),
        (Part("cylinder", (radius, height / 2), (0, 0, height / 2)),),
        mass=float(density * np.pi * radius**2 * height),
        friction=float(rng.uniform(0.3, 0.45)),
        yaw_symmetry="any",
        flat_top=(radius * 0.8, radius * 0.8),
    )


def make_bottle(rng: np.random.Generator) -> Blueprint:
    """A filled, opaque bottle with a shoulder and a neck, upright."""
    radius, height = rng.uniform(0.029, 0.040), rng.uniform(0.17, 0.24)
    neck, shoulder, top = (
        radius * rng.uniform(0.36, 0.5),
        height * rng.uniform(0.55, 0.68),
        height * rng.uniform(0.76, 0.84),
    )
    bulge = 0.35 * neck + 0.65 * radius, shoulder + 0.55 * (top - shoulder)
    profile = [(0.0, 0.0), (radius, 0.0), (radius, shoulder), bulge, (neck, top), (neck, height), (0.0, height)]
    solid, visual = lathed(profile, 24, label_texture(rng), specular=0.3)
    parts = (
        Part("cylinder", (radius, shoulder / 2), (0, 0, shoulder / 2)),
        Part("hull", points=ring_points([profile[2], profile[3]], 16)),
        Part("hull", points=ring_points([profile[3], profile[4]], 16)),
        Part("cylinder", (neck, (height - top) / 2), (0, 0, (height + top) / 2)),
    )
    mass = float(solid.mesh().volume * rng.uniform(900, 1050))
    return Blueprint("bottle", solid, (visual,), parts, mass, float(rng.uniform(0.35, 0.5)), "any")


def make_bowl(rng: np.random.Generator) -> Blueprint:
    """An open stoneware bowl."""
    rim, height, wall = rng.uniform(0.060, 0.082), rng.uniform(0.048, 0.072), rng.uniform(0.004, 0.0055)
    foot = rim * rng.uniform(0.45, 0.6)
    angles = np.linspace(0, np.pi / 2, 5)  # a quarter ellipse from the foot to the rim
    outer = [(foot + (rim - foot) * np.sin(a), height * (1 - np.cos(a))) for a in angles]
    inner = [
        (max(foot * 0.9 + (rim - wall - foot * 0.9) * np.sin(a), 0.0), wall + (height - wall) * (1 - np.cos(a)))
        for a in angles
    ]
    profile = [(0.0, 0.0), *outer, *inner[::-1], (0.0, wall)]
    solid, visual = lathed(profile, 24, ceramic_texture(rng), specular=0.3)
    walls = [ring_wedges(outer[i], outer[i + 1], inner[i], inner[i + 1], 12) for i in range(4)]
    base = Part("cylinder", (foot * 0.95, wall / 2), (0, 0, wall / 2))
    mass = float(solid.mesh().volume * rng.uniform(2200, 2400))
    parts = (base, *(p for ring in walls for p in ring))
    return Blueprint("bowl", solid, (visual,), parts, mass, float(rng.uniform(0.3, 0.5)), "any")


def make_mug(rng: np.random.Generator) -> Blueprint:
    """A hollow stoneware mug; its handle points along +X."""
    radius, height = rng.uniform(0.038, 0.045), rng.uniform(0.085, 0.105)
    wall, bottom, thick = rng.uniform(0.0040, 0.0052), 0.006, rng.uniform(0.0045, 0.006)
    inside = radius - wall
    profile = [(0.0, 0.0), (radius, 0.0), (radius, height), (inside, height), (inside, bottom), (0.0, bottom)]
    cup, cup_visual = lathed(profile, 32, ceramic_texture(rng), specular=0.4)
    low, high, reach = height * 0.22, height * 0.82, rng.uniform(0.026, 0.034)
    turns = np.linspace(-np.pi / 2, np.pi / 2, 9)
    root = radius - 0.5 * wall
    path = np.stack(
        [root + reach * np.cos(turns), np.zeros(9), (low + high) / 2 + (high - low) / 2 * np.sin(turns)], axis=-1
    )
    handle = tube(path, thick, 8)
    solid = union([cup, handle])
    glaze = (
        tuple(float(c) for c in cup_visual.texture.reshape(-1, 3).mean(axis=0) / 255)
        if cup_visual.texture is not None
        else (0.5, 0.5, 0.5)
    )
    handle_visual = Visual(handle.vertices, handle.faces, rgb=(glaze[0], glaze[1], glaze[2]), specular=0.4)
    wedges = ring_wedges((radius, bottom), (radius, height), (inside, bottom), (inside, height), 16)
    capsules = tuple(capsule(path[i], path[i + 2], thick) for i in range(0, 8, 2))
    parts = (Part("cylinder", (radius, bottom / 2), (0, 0, bottom / 2)), *wedges, *capsules)
    mass = float(solid.mesh().volume * rng.uniform(2200, 2400))
    return Blueprint("mug", solid, (cup_visual, handle_visual), parts, mass, float(rng.uniform(0.3, 0.5)), "none")


def make_hammer(rng: np.random.Generator) -> Blueprint:
    """A hammer lying on its side: a wooden handle along X, a steel head across it."""
    length, head = rng.uniform(0.24, 0.31), rng.uniform(0.085, 0.115)
    thick, half = rng.uniform(0.022, 0.028), rng.uniform(0.011, 0.014)
    grip = box_solid(np.array([length, 2 * half * 1.2, 2 * half]), np.array([0, 0, half]))
    block = box_solid(np.array([thick, head, thick]), np.array([length / 2 - thick / 2, 0, thick / 2]))
    solid = union([grip, block])
    # The solid is one piece; each material's share of the mass is its own volume.
    mass = float(grip.mesh().volume * 700 + block.mesh().volume * (7850 - 700))
    parts = (
        Part("box", (length / 2, half * 1.2, half), (0, 0, half)),
        Part("box", (thick / 2, head / 2, thick / 2), (length / 2 - thick / 2, 0, thick / 2)),
    )
    wood, steel = rng.uniform(0.8, 1.1), float(rng.uniform(0.2, 0.5))
    visuals = (
        Visual(grip.vertices, grip.faces, rgb=(0.62 * wood, 0.42 * wood, 0.22 * wood), flat=True),
        Visual(block.vertices, block.faces, rgb=(steel, steel, steel * 1.05), specular=0.5, flat=True),
    )
    return Blueprint(
        "tool",
        solid,
        visuals,
        parts,
        mass,
        float(rng.uniform(0.35, 0.55)),
        "none",
        stackable=False,
        materials=((grip, 700.0), (block, 7850.0 - 700.0)),
    )


def make_screwdriver(rng: np.random.Generator) -> Blueprint:
    """A screwdriver lying down: an eight-sided plastic handle, a steel shaft along +X."""
    grip, shaft = rng.uniform(0.09, 0.12), rng.uniform(0.09, 0.14)
    wide, thin = rng.uniform(0.014, 0.018), rng.uniform(0.0035, 0.005)
    handle = lying_prism(wide, 0.0, grip, 8)
    rod = lying_prism(thin, grip - 0.01, grip + shaft, 8)
    lift = np.array([-(grip + shaft) / 2, 0, wide * np.cos(np.pi / 8)])
    handle, rod = Solid(handle.vertices + lift, handle.faces), Solid(rod.vertices + lift, rod.faces)
    parts = (Part("hull", points=handle.vertices), Part("hull", points=rod.vertices))
    mass = float(handle.mesh().volume * 1100 + rod.mesh().volume * 7850)
    hue = colour(rng)
    visuals = (
        Visual(handle.vertices, handle.faces, rgb=hue, specular=0.3, flat=True),
        Visual(rod.vertices, rod.faces, rgb=(0.6, 0.6, 0.62), specular=0.6, flat=True),
    )
    solid = union([handle, rod])
    return Blueprint(
        "tool",
        solid,
        visuals,
        parts,
        mass,
        float(rng.uniform(0.35, 0.55)),
        "none",
        stackable=False,
        materials=((handle, 1100.0), (rod, 7850.0)),
    )


def make_wrench(rng: np.random.Generator) -> Blueprint:
    """A flat double-ended spanner: a bar along X with a ring at one end and an open jaw at the other."""
    from manifold3d import CrossSection  # type: ignore[import-not-found]

    length, thick, ring = rng.uniform(0.15, 0.22), rng.uniform(0.008, 0.012), rng.uniform(0.016, 0.021)
    bar = rng.uniform(0.011, 0.015)
    outline = CrossSection.square((length, bar), True)
    outline += CrossSection.circle(ring, 24).translate((-length / 2, 0)) + CrossSection.circle(ring, 24).translate(
        (length / 2, 0)
    )
    outline -= CrossSection.circle(ring * 0.58, 12).translate((-length / 2, 0))
    outline -= CrossSection.square((2 * ring, ring), True).translate((length / 2 + ring * 0.9, 0))
    mesh = outline.extrude(thick).to_mesh()
    solid = Solid(np.asarray(mesh.vert_properties[:, :3], dtype=np.float64), np.asarray(mesh.tri_verts, dtype=np.int32))
    middle = (solid.vertices.min(axis=0) + solid.vertices.max(axis=0)) / 2
    shift = np.array([-middle[0], -middle[1], 0.0])
    solid = Solid(solid.vertices + shift, solid.faces)
    # The jaw's end is three convex pieces: a lobe on either side of the slot and what lies behind it.
    turn = 2 * np.pi * np.arange(48) / 48
    circle = ring * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    behind = circle[circle[:, 0] <= -0.1 * ring]
    lobes = [circle[s * circle[:, 1] >= 0.5 * ring] for s in (-1.0, 1.0)]
    end_of_bar = np.array([length / 2 + shift[0], 0])
    jaw = [Part("hull", points=slab(piece + end_of_bar, thick)) for piece in (behind, *lobes)]
    eye = ring_wedges((ring, 0.0), (ring, thick), (ring * 0.58, 0.0), (ring * 0.58, thick), 12)
    start, end = -length / 2 + 0.8 * ring, length / 2 - 0.1 * ring
    parts = (
        Part("box", ((end - start) / 2, bar / 2, thick / 2), (float((start + end) / 2 + shift[0]), 0, thick / 2)),
        *(Part("hull", points=p.points + np.array([-length / 2 + shift[0], 0, 0])) for p in eye),
        *jaw,
    )
    shade = float(rng.uniform(0.35, 0.6))
    visuals = (Visual(solid.vertices, solid.faces, rgb=(shade, shade, shade * 1.04), specular=0.5, flat=True),)
    mass = float(solid.mesh().volume * 7850)
    return Blueprint("tool", solid, visuals, parts, mass, float(rng.uniform(0.3, 0.5)), "none", stackable=False)


def make_tool(rng: np.random.Generator) -> Blueprint:
    """A hammer, a screwdriver or a wrench."""
    return (make_hammer, make_screwdriver, make_wrench)[rng.integers(3)](rng)


MAKERS: dict[str, Callable[[np.random.Generator], Blueprint]] = {
    "box": make_box,
    "can": make_can,
    "bottle": make_bottle,
    "bowl": make_bowl,
    "mug": make_mug,
    "book": make_book,
    "tool": make_tool,
}
