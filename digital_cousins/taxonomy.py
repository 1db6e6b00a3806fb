"""Categories, the groups they form, and what things of a group are for: which category may stand in for which."""

from __future__ import annotations

AFFORDANCES: dict[str, dict[str, tuple[str, ...]]] = {
    "contain": {
        "cups": ("mug", "cup", "glass", "vase", "holder"),
        "dishes": ("bowl", "dish", "plate", "saucer"),
        "basins": ("tray", "basket", "bin", "crate"),
        "cookware": ("pan", "pot", "kettle"),
    },
    "grasp": {
        "boxes": ("box", "carton", "book", "block", "board", "brick", "sponge", "eraser"),
        "cylinders": ("can", "bottle", "jar"),
        "sticks": ("tool", "pen", "peg", "spoon", "fork", "knife", "spatula", "screwdriver", "hammer", "wrench"),
        "balls": ("ball", "fruit"),
    },
    "open": {
        "storage": ("cabinet", "drawer_unit", "chest"),
        "appliances": ("fridge", "oven", "microwave", "dishwasher", "washerdryer", "stove"),
        "doors": ("door",),
    },
    "press": {"buttons": ("button",)},
    "sit": {"seats": ("chair", "stool", "bench", "sofa"), "beds": ("bed",)},
    "carry": {"tables": ("table",), "shelves": ("shelf",)},
}
"""affordance -> group -> categories."""

SYNONYMS = {
    "apple": "fruit",
    "bookcase": "shelf",
    "counter": "table",
    "cube": "block",
    "cupboard": "cabinet",
    "desk": "table",
    "dresser": "drawer_unit",
    "marker": "pen",
    "orange": "fruit",
    "pen_holder": "holder",
    "refrigerator": "fridge",
    "sphere": "ball",
    "storage": "cabinet",
    "switch": "button",
}
"""Other words for a category: those of RoomPlan, and of people."""

UNKNOWN = "object"
"""The category of what nobody has named."""

_PLACE = {
    category: (affordance, group)
    for affordance, groups in AFFORDANCES.items()
    for group, categories in groups.items()
    for category in categories
}


def canonical(category: str) -> str:
    """The one word for a category that has several."""
    return SYNONYMS.get(category, category)


def group_of(category: str) -> str:
    """The group of a category; a category that is in none is a group of its own."""
    word = canonical(category)
    return _PLACE[word][1] if word in _PLACE else word


def affordance_of(category: str) -> str:
    """What a category is for; a category that is in no group is for itself only."""
    word = canonical(category)
    return _PLACE[word][0] if word in _PLACE else word
