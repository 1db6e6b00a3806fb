"""Models that come with the package, and where they lie."""

from __future__ import annotations

from pathlib import Path

from ..errors import CheckpointError

SHIPPED = Path(__file__).parent / "checkpoints"
"""Neural simulators and the renderer; World Action Models in `wam/`."""
OURS = "wam:"


def located(address: str | Path) -> Path:
    """The file of a checkpoint: where its path says or, for `wam:<task>`, the one that comes with the package.

    Raises:
        CheckpointError: no World Action Model comes with the package for that task.
    """
    told = str(address)
    if not told.startswith(OURS):
        return Path(address)
    files = {file.stem: file for file in sorted((SHIPPED / "wam").glob("*.safetensors"))}
    if told.removeprefix(OURS) not in files:
        names = ", ".join(f"{OURS}{name}" for name in files)
        raise CheckpointError(f"no model {told} comes with the package; these do: {names}")
    return files[told.removeprefix(OURS)]
