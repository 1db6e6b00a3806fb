"""What every learned simulator of pictures offers: a context in, then actions in and predictions out.

`latent_flow`, `pixel_edm` and other people's models (`external`) implement `NeuralSimulator`; `envs.backends.frames`
puts one behind an environment. The hybrid simulator knows shapes instead of pictures and has a seam of its own; see
`hybrid`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor


@dataclass(frozen=True)
class Spec:
    """What a model takes and gives.

    Attributes:
        kind: of model, "latent_flow" for example. control_mode: what its actions mean, see `envs.control`.
        action_size: A, numbers of an action. state: names and sizes of what the state vector is made of, in order;
            empty: it says nothing of states. scene_size: D, numbers that say what a scene is like, 0: it needs none.
        image_size: (height, width) of its pictures [pixels], None: it has none. camera: that it sees through.
        period: length of a control period [s]. context: K, frames with which an episode begins. chunk: C, actions that
            it takes at once; others wait until they are C.
        horizon: control periods up to which it was audited, 0: it was not. licence: of its weights.
        weights: SHA-256 of the file they came from, "" where they are not one file. robot: its name, "": any.
        uncertainty: whether predictions say how sure they are.
    """

    kind: str
    control_mode: str
    action_size: int
    state: Mapping[str, int]
    scene_size: int
    image_size: tuple[int, int] | None
    camera: str
    period: float
    context: int
    chunk: int
    horizon: int
    licence: str
    weights: str
    robot: str = ""
    uncertainty: bool = False


@dataclass(frozen=True)
class Context:
    """How episodes of m worlds begin: K frames, the last of them now.

    Attributes:
        image: uint8 (m, K, height, width, 3), None where the model has no pictures. state: float32 (m, K, S).
        action: float32 (m, K - 1, A) in [-1, 1], between the frames. scene: float32 (m, D) what their scenes are like.
        seed: int64 (m,) of all that the model draws in these episodes.
    """

    image: Tensor | None
    state: Tensor
    action: Tensor
    scene: Tensor
    seed: Tensor


@dataclass(frozen=True)
class Prediction:
    """What comes after an action, in m worlds; None is what a model does not say.

    Attributes:
        image: uint8 (m, height, width, 3). state: float32 (m, S). uncertainty: float32 (m,), how far several guesses
            are apart, in units of the model's own.
    """

    image: Tensor | None
    state: Tensor | None
    uncertainty: Tensor | None


@runtime_checkable
class NeuralSimulator(Protocol):
    """`num_envs` worlds. What happens in one does not depend on the others, nor on how many there are.

    A world whose next state is not finite stays as it was; the prediction says so by its NaN.
    """

    num_envs: int
    spec: Spec

    def reset(self, ids: Tensor, context: Context) -> None:
        """Begins episodes in worlds `ids` (m,) int64."""

    def step(self, ids: Tensor, action: Tensor) -> Prediction:
        """One control period of worlds `ids` (m,) with actions (m, A) in [-1, 1]."""

    def get_state(self, ids: Tensor) -> dict[str, Tensor]:
        """Everything that worlds `ids` (m,) need to go on as if never stopped: tensors of m rows."""

    def set_state(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """Puts states from `get_state` into worlds `ids` (m,)."""
