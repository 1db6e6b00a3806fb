"""Opens other people's models by address: `<scheme>:<target>[?option=value&...][#probe=FILE]`.

* `dreamdojo:ws://host:port`: a server, see `dreamdojo`.
* `cosmos3:<folder or id>?domain=...&stats=...`: diffusers' pipeline, see `cosmos3`.
* `stable-worldmodel:<folder or id>#probe=FILE`: a model of latents, see `stable_worldmodel`.

None of them says states or rewards; a probe (`probe`) says states, from which tasks reckon rewards as ever. Without
one, a model of pictures can be opened, and its `Spec.state` is empty: no environment can be made of it.
"""

from __future__ import annotations

from pathlib import Path

import torch

from ...errors import CheckpointError
from ..checkpoint import Card
from ..frames.chunks import Buffered
from ..simulator import NeuralSimulator, Spec
from .address import ModelAddress, parse_address, read_options
from .probe import Probe, load_probe

SCHEMES = ("dreamdojo", "cosmos3", "stable-worldmodel")


def open_external(checkpoint: str, num_envs: int, *, device: str = "") -> NeuralSimulator:
    """Worlds of another people's model.

    Args:
        checkpoint: its address, see the module. num_envs: how many. device: to compute on, unless the address says;
            "" for what there is.

    Raises:
        CheckpointError: the address makes no sense, or the model or its probe cannot be used; the message says why, and
            where to get what is missing, under which licence. MissingDependencyError: a library is missing.
    """
    address = parse_address(checkpoint)
    if address.scheme not in SCHEMES:
        raise CheckpointError(
            f"{checkpoint!r}: there are no models of kind {address.scheme!r}; there are {list(SCHEMES)}"
        )
    probe = None if address.probe is None else load_probe(address.probe)
    if address.scheme == "dreamdojo":
        return _probed(_dreamdojo(address, num_envs), probe, address)
    if address.scheme == "cosmos3":
        return _probed(_cosmos3(address, num_envs, probe, device), probe, address)
    return _stable_worldmodel(address, num_envs, probe, device)


def require_states(spec: Spec, name: str) -> None:
    """That a model says states, without which no task can say how it goes.

    Raises:
        CheckpointError: it says none; the message says how to change that.
    """
    if not spec.state:
        raise CheckpointError(
            f"{name} foretells pictures and no states, so no task can reckon rewards or success; train a probe that "
            "reads states off its pictures (docs/neural.md) and add it to the address: #probe=FILE.safetensors"
        )


def _dreamdojo(address: ModelAddress, num_envs: int) -> Buffered:
    from .dreamdojo import DreamDojoOptions, open_dreamdojo

    return Buffered(open_dreamdojo(address.target, num_envs, read_options(address, DreamDojoOptions)))


def _cosmos3(address: ModelAddress, num_envs: int, probe: tuple[Probe, Card] | None, device: str) -> Buffered:
    from .cosmos3 import Cosmos3Options, open_cosmos3

    options = read_options(address, Cosmos3Options)
    if not options.device:
        options = options.model_copy(update={"device": device})
    if probe is None:
        return Buffered(open_cosmos3(address.target, num_envs, options))
    frames = probe[0].settings.frames
    if {"camera", "period"} & set(address.options):
        raise CheckpointError(f"{address.text!r}: the probe says camera and period; leave them out")
    options = options.model_copy(update={"camera": frames.camera, "period": frames.period})
    model = open_cosmos3(address.target, num_envs, options, layout=frames.state, scene_size=frames.scene_size)
    return Buffered(model)


def _stable_worldmodel(
    address: ModelAddress, num_envs: int, probe: tuple[Probe, Card] | None, device: str
) -> NeuralSimulator:
    from .stable_worldmodel import StableWorldModelOptions, StableWorldModelSimulator, load_latents

    options = read_options(address, StableWorldModelOptions)
    if probe is None:
        raise CheckpointError(
            f"{address.text!r} foretells latents, which nobody but a probe can read: train one on this environment "
            "(docs/neural.md) and add #probe=FILE.safetensors"
        )
    network, card = probe
    latents = load_latents(address.target, network.settings.pixels, options)
    kind = options.device or device or ("cuda" if torch.cuda.is_available() else "cpu")
    return StableWorldModelSimulator(latents, network, card, num_envs, licence=options.licence, device=kind)


def _probed(model: Buffered, probe: tuple[Probe, Card] | None, address: ModelAddress) -> NeuralSimulator:
    """The model with its probe, if it has one; closed if they do not fit, as nobody else could close it."""
    if probe is None:
        return model
    from .probed import Probed

    try:
        return Probed(model, *probe, name=str(address.probe or Path()))
    except BaseException:
        model.close()
        raise
