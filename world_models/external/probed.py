"""A model of pictures that says no states, with a probe that reads them off its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ...errors import CheckpointError
from ..checkpoint import Card
from ..frames.worlds import HeldWorlds
from ..simulator import Context, NeuralSimulator, Prediction, Spec
from .probe import Probe

_MODEL = "model/"
_ASPECT = 0.02  # by which the shape of pictures may differ from those that a probe learned from


class Probed(HeldWorlds):
    """`num_envs` worlds of a model, with states; see `NeuralSimulator`."""

    def __init__(self, model: NeuralSimulator, probe: Probe, card: Card, name: str) -> None:
        """Puts a probe beside a model.

        Args:
            model: of pictures, without states. probe: of pictures. card: the probe's. name: of the probe in errors.

        Raises:
            CheckpointError: they do not fit; the message says in what.
        """
        check_probe(model.spec, probe, name)
        frames = probe.settings.frames
        spec = replace(
            model.spec,
            state=dict(frames.state),
            scene_size=frames.scene_size,
            robot=model.spec.robot or frames.robot,
            context=max(model.spec.context, probe.settings.history),
            horizon=card.horizon,
            uncertainty=probe.settings.members > 1,
        )
        super().__init__(model.num_envs, spec, torch.device("cpu"))
        self._model, self._probe = model, probe.eval()

    @torch.no_grad()
    def reset(self, ids: Tensor, context: Context) -> None:
        """See `NeuralSimulator`."""
        assert context.image is not None
        history = self._probe.settings.history
        seen = context.image[:, -history:]
        features = self._probe.features(seen.flatten(0, 1)).reshape(len(ids), history, -1)
        self._put(ids, {"features": features, "scene": context.scene})
        last = self._model.spec.context
        self._model.reset(
            ids,
            replace(
                context,
                image=context.image[:, -last:],
                state=context.state[:, -last:],
                action=context.action[:, context.action.shape[1] - (last - 1) :],
            ),
        )

    @torch.no_grad()
    def step(self, ids: Tensor, action: Tensor) -> Prediction:
        """See `NeuralSimulator`."""
        held, made = self._take(ids), self._model.step(ids, action)
        if made.image is None:
            raise CheckpointError("a probe of pictures reads a model's pictures, and this model makes none")
        now = self._probe.features(made.image)[:, None]
        features = torch.cat([held["features"][:, 1:], now], 1)
        state, doubt = self._probe.tell(features, held["scene"])
        self._put_good(ids, {"features": features, "scene": held["scene"]}, state)
        return Prediction(image=made.image, state=state, uncertainty=doubt)

    def get_state(self, ids: Tensor) -> dict[str, Tensor]:
        """See `NeuralSimulator`."""
        inner = {_MODEL + name: values for name, values in self._model.get_state(ids).items()}
        return inner | super().get_state(ids)

    def set_state(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """See `NeuralSimulator`."""
        inner = {name.removeprefix(_MODEL): v for name, v in state.items() if name.startswith(_MODEL)}
        self._model.set_state(ids, inner)
        super().set_state(ids, {name: v for name, v in state.items() if not name.startswith(_MODEL)})

    def close(self) -> None:
        """Closes what the model holds open, if it does."""
        close = getattr(self._model, "close", None)
        if close is not None:
            close()


def check_probe(spec: Spec, probe: Probe, name: str) -> None:
    """Compares a probe of pictures with the model that it is to read.

    Raises:
        CheckpointError: they do not fit; the message says in what.
    """
    settings, frames = probe.settings, probe.settings.frames
    if settings.source != "picture":
        raise CheckpointError(f"{name} reads latents, and {spec.kind} makes pictures; train one with source=picture")
    if settings.made_for and settings.made_for != spec.weights:
        raise CheckpointError(f"{name} is for the pictures of another model, or of other weights of it; train it anew")
    pairs = [
        ("control_mode", frames.control_mode, spec.control_mode),
        ("action_size", frames.action_size, spec.action_size),
        ("camera", frames.camera, spec.camera),
        ("period", round(frames.period, 9), round(spec.period, 9)),
        ("robot", frames.robot, spec.robot or frames.robot),
    ]
    for what, theirs, ours in pairs:
        if theirs != ours:
            raise CheckpointError(f"{name} does not fit {spec.kind}: {what} is {theirs!r}, the model has {ours!r}")
    assert spec.image_size is not None
    shape, wanted = (side[1] / side[0] for side in (frames.image_size, spec.image_size))
    if abs(shape / wanted - 1) > _ASPECT:
        raise CheckpointError(
            f"{name} learned from pictures of {frames.image_size}, {spec.kind} makes {spec.image_size}, of another "
            "shape; open the model with pictures of that shape, or train a probe on others"
        )
