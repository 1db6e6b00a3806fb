"""Fixtures of the tests of cousins."""

from __future__ import annotations

import pytest
from pocketworlds.digital_cousins.draft import Family
from pocketworlds.envs.builtin import builtin_scene

from .families import FEW, family, laid_table


@pytest.fixture(scope="session")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Family:
    """A cube in a tray, a block on a board, and a can; a block or a can may stand in."""
    return family(laid_table(), tmp_path_factory.mktemp("laid"), FEW)


@pytest.fixture(scope="session")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Family:
    """The built-in kitchen, with its doors and drawers; nothing stands in."""
    return family(builtin_scene("kitchen"), tmp_path_factory.mktemp("kitchen"))
