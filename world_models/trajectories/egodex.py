"""EgoDex: films of people who use their hands, `N.mp4`, each with poses and words in `N.hdf5`.

    transforms/<joint>      (T, 4, 4) of the camera and 68 joints at every frame of the film
    camera/intrinsic        (3, 3)
    attributes              llm_type, llm_description, llm_description2, which_llm_description, ...

Tasks of `llm_type` "reversible" are described in both directions, and `which_llm_description` ("1" or "2") says which
one the film shows. Layout: Hoque et al., EgoDex, arXiv:2505.11709, and its data loader.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DatasetError
from . import hdf5
from .dataset import reading


def read_poses(path: Path) -> tuple[str, int]:
    """What was done, in words, and of how many frames there are poses.

    Raises:
        DatasetError: the file is damaged, has no poses, or not the same number of all joints.
        MissingDependencyError: h5py is not installed.
    """
    with reading(path, "EgoDex"), hdf5.open_file(path) as file:
        poses = file.get("transforms")
        if poses is None or "camera" not in poses:
            raise DatasetError(f"{path} has no poses (transforms/camera), so it is not of EgoDex; take it away")
        frames = int(poses["camera"].shape[0])
        for joint, values in poses.items():
            if values.shape != (frames, 4, 4):
                raise DatasetError(
                    f"{path}: transforms/{joint} is {values.shape}, wanted is {(frames, 4, 4)}; copy the file again"
                )
        return _description(file.attrs), frames


def _description(attributes: Any) -> str:
    second = _text(attributes, "llm_type") in ("", "reversible") and _text(attributes, "which_llm_description") == "2"
    words = _text(attributes, "llm_description2") if second else ""
    return words or _text(attributes, "llm_description")


def _text(attributes: Any, name: str) -> str:
    """An attribute as text, whether it is kept as text, bytes or a number, alone or as the only one of an array."""
    value = attributes.get(name, "")
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0] if value.size else ""
    told = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
    return " ".join(told.split())
