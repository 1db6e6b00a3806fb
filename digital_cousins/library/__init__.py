"""The asset library: things of a category, of any size they may have, made from a seed; and a user's own.

from pocketworlds.digital_cousins.library import category
asset = category("mug").build((0.12, 0.08, 0.095), {...}, np.random.default_rng(0))
asset = category("mug").sample(np.random.default_rng(0), size=(0.12, 0.08, 0.095))
asset.write(scene_folder); asset.item            # a `SceneObject` that stands on z = 0
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from ...errors import AssetError
from .appliances import APPLIANCES
from .asset import Asset
from .category import Category, Parameter
from .cookware import COOKWARE
from .doors import DOORS
from .furniture import FURNITURE
from .household import HOUSEHOLD
from .packages import PACKAGES
from .storage import STORAGE
from .tableware import TABLEWARE
from .tools import TOOLS
from .toys import TOYS
from .vessels import VESSELS

__all__ = ["CATEGORIES", "Asset", "Category", "Parameter", "category"]

CATEGORIES: Mapping[str, Category] = {
    kind.name: kind
    for family in (
        VESSELS, TABLEWARE, COOKWARE, PACKAGES, TOOLS, TOYS, HOUSEHOLD, FURNITURE, STORAGE, APPLIANCES, DOORS
    )
    for kind in family
}  # fmt: skip
"""Every built-in category by its name."""


def category(name: str) -> Category:
    """The built-in category called `name`.

    Raises:
        AssetError: there is none; the message suggests names that look like it and lists all.
    """
    try:
        return CATEGORIES[name]
    except KeyError:
        close = difflib.get_close_matches(name, CATEGORIES)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise AssetError(
            f"the library has no category {name!r}; {hint}it has {', '.join(sorted(CATEGORIES))}"
        ) from None
