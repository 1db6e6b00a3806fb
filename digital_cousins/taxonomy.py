"""Categories, the groups they form, and what things of a group are for: which category may stand in for which."""

from __future__ import annotations

AFFORDANCES: dict[str, dict[str, tuple[str, ...]]] = {
    "contain": {
        "drinkware": ("mug", "cup", "glass"),
        "dish": ("bowl", "dish", "plate", "saucer", "pan"),
        "basin": ("tray", "basket", "bin", "crate"),
        "holder": ("holder", "vase", "pot", "pen_holder"),
    },
    "grasp": {
        "boxy": ("box", "carton", "book", "block", "cube", "board", "brick", "sponge", "eraser"),
        "cylindrical": ("can", "bottle", "jar"),
        "slender": (
            "tool", "pen", "marker", "peg", "spoon", "fork", "knife", "spatula", "screwdriver", "hammer", "wrench",
        ),
        "round": ("ball", "sphere", "apple", "orange"),
    },
    "open": {
        "storage": ("storage", "cabinet", "cupboard", "drawer_unit", "dresser", "chest"),
        "appliance": ("refrigerator", "oven", "microwave", "dishwasher", "washerdryer", "stove"),
        "door": ("door",),
    },
    "press": {"button": ("button", "switch")},
    "sit": {"seat": ("chair", "stool", "bench", "sofa"), "bed": ("bed",)},
    "carry": {"table": ("table", "desk", "counter"), "shelf": ("shelf", "bookcase")},
}  # fmt: skip
"""affordance -> group -> categories."""

UNKNOWN = "object"
"""The category of what nobody has named."""

_PLACE = {
    category: (affordance, group)
    for affordance, groups in AFFORDANCES.items()
    for group, categories in groups.items()
    for category in categories
}


def group_of(category: str) -> str:
    """The group of a category; a category that is in none is a group of its own."""
    return _PLACE[category][1] if category in _PLACE else category


def affordance_of(category: str) -> str:
    """What a category is for; a category that is in no group is for itself only."""
    return _PLACE[category][0] if category in _PLACE else category
