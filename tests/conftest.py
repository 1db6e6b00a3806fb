"""Fixtures of every room."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of real phone captures: `$POCKETWORLDS_CAPTURES`, or `shared/captures` beside the repository."""
    folder = Path(os.environ.get("POCKETWORLDS_CAPTURES") or REPOSITORY.parent / "shared" / "captures")
    if not folder.is_dir():
        pytest.skip(f"no real captures: {folder} is not there; set POCKETWORLDS_CAPTURES to their folder")
    return folder
