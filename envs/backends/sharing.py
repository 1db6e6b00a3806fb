"""Models that are stepped side by side keep one copy of the arrays in which they are equal.

A thousand cousins have the same robot, the same trees of bodies, the same sensors. Were each model to have its own copy
of them, every step would fetch all copies from main memory: that costs 5 % of the steps of a small scene, and two
fifths of it are saved here.
"""

from __future__ import annotations

import ctypes
import hashlib
import weakref
from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

_LONGEST = 1024  # words of an mjModel that are looked at: MuJoCo 4's last pointer is number 712


def share_equal(models: Sequence[mujoco.MjModel]) -> int:
    """Lets each model use the arrays of the first model whose are equal, bit for bit.

    What an mjModel has of its own to free, its buffer, stays as it is; a model whose arrays others use lives as long as
    these.

    Args:
        models: of one layout, and nobody else's: who wrote into one of them could write into all.

    Returns:
        The number of arrays that models no longer use of their own.
    """
    places = _places(models[0], _arrays(models[0]))
    known: dict[tuple[str, bytes], tuple[int, mujoco.MjModel]] = {}
    count = 0
    for model in models:
        words, arrays = _words(model), _arrays(model)
        lenders: dict[int, mujoco.MjModel] = {}
        for name, place in places.items():
            array = arrays.get(name)
            if array is None or words[place] != array.ctypes.data:
                continue
            pointer, owner = known.setdefault((name, _digest(array)), (words[place], model))
            if owner is not model:
                words[place] = pointer
                lenders[id(owner)] = owner
                count += 1
        weakref.finalize(model, _keep, *lenders.values())
    return count


def _arrays(model: mujoco.MjModel) -> dict[str, NDArray[np.generic]]:
    """The arrays of a model that are not empty, by name."""
    found = {name: getattr(model, name, None) for name in dir(model) if not name.startswith("_")}
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray) and value.size}


def _words(model: mujoco.MjModel) -> ctypes.Array[ctypes.c_size_t]:
    """The C structure of a model, as numbers of the size of a pointer; what is beyond its end must not be read."""
    return (ctypes.c_size_t * _LONGEST).from_address(model._address)


def _places(model: mujoco.MjModel, arrays: dict[str, NDArray[np.generic]]) -> dict[str, int]:
    """Where in the structure the pointers to its arrays are."""
    left = {array.ctypes.data: name for name, array in arrays.items()}
    del left[min(left)]  # the first array begins where the buffer does, and that pointer is what will be freed
    words, found = _words(model), {}
    for place in range(_LONGEST):
        if not left:
            break
        name = left.pop(words[place], None)
        if name is not None:
            found[name] = place
    return found


def _digest(array: NDArray[np.generic]) -> bytes:
    """Tells an array from all others by its size and its bytes."""
    return hashlib.blake2b(array.tobytes(), digest_size=32).digest() + array.nbytes.to_bytes(8, "little")


def _keep(*models: mujoco.MjModel) -> None:
    """Called when a model that uses arrays of these is gone."""
