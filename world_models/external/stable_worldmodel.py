"""stable-worldmodel's models (LeWM, PLDM) behind `NeuralSimulator`: the future is latents, a probe says what they mean.

A checkpoint is a folder with `config.json` (Hydra's `_target_` tree) and `weights.safetensors`; the `weights.pt` that
they are published as may hold code, and is refused with a line that turns it into safetensors. Only classes of a few
libraries may be named. stable-worldmodel 0.1.1 is under the MIT licence; its weights have licences of theirs.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ...errors import CheckpointError, MissingDependencyError
from ..checkpoint import Card
from ..frames.measures import to_pictures
from ..frames.settings import Strict
from ..frames.worlds import HeldWorlds, check_context
from ..simulator import Context, Prediction, Spec
from .probe import PixelSettings, Probe, digest

KIND = "stable-worldmodel"
ALLOWED = ("stable_worldmodel.wm.", "stable_pretraining.backbone.", "transformers.", "torch.nn.")
"""What names in a checkpoint's `config.json` may begin with; anything else could run anything."""
_FUNCTIONS = ("stable_pretraining.backbone.utils.vit_hf",)  # makes the vision transformer of released LeWM models
_CLASS_OF = ("hydra.utils.get_class",)  # names a class, in `path`, and does not make one
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_HISTORY = 3  # frames, where a predictor does not say
_INSTALL = "pip install pocketworlds[stable-worldmodel] (its import takes lancedb, cv2 and imageio, too)"


class StableWorldModelOptions(Strict):
    """Options of an address.

    Attributes:
        download: whether weights may be fetched from Hugging Face. licence: of the weights, as their page says.
        device: "cuda", "cpu" or "" for what there is.
    """

    download: bool = False
    licence: str = ""
    device: str = ""


class LatentModel(Protocol):
    """What is used of a model: `encode` and `rollout` of stable-worldmodel, or the parts that `rollout` is made of."""

    def encode(self, info: dict[str, Any]) -> dict[str, Any]:
        """`info["pixels"]` (B, T, 3, H, W) become `info["emb"]` (B, T, size)."""

    def rollout(self, info: dict[str, Any], action_sequence: Tensor) -> dict[str, Any]:
        """From `info["emb"]` (B, 1, T, size) and actions (B, 1, T, A), `info["predicted_emb"]` (B, 1, T + 1, size)."""


class Latents:
    """A model as steps of its latents.

    Attributes:
        model: the module, which stays as it is. history: frames that it looks back on. pixels: how it takes pictures
            and actions. weights: SHA-256 of its weights.
    """

    def __init__(self, model: nn.Module, pixels: PixelSettings, *, weights: str = "", name: str = "the model") -> None:
        """Takes a module with `encode`, and `rollout` or `predict` and `action_encoder`.

        Raises:
            CheckpointError: it has not got them.
        """
        parts = {
            each: callable(getattr(model, each, None)) for each in ("encode", "predict", "action_encoder", "rollout")
        }
        if not parts["encode"] or not (parts["rollout"] or (parts["predict"] and parts["action_encoder"])):
            raise CheckpointError(
                f"{name} is {type(model).__name__}, which cannot encode and roll out; LeWM and PLDM can"
            )
        if callable(getattr(model, "replace_action_in_embedding", None)):
            raise CheckpointError(f"{name} is {type(model).__name__}, whose latents hold actions; LeWM and PLDM do not")
        self.model, self.pixels, self.weights, self._name = model.eval().requires_grad_(False), pixels, weights, name
        self._split = parts["predict"] and parts["action_encoder"]
        self.history = int(getattr(getattr(model, "predictor", None), "num_frames", _HISTORY))

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """Latents (B, T, size) of pictures uint8 (B, T, height, width, 3)."""
        model: Any = self.model
        found: Tensor = model.encode({"pixels": self.pixels.pictures(image)})["emb"]
        if found.ndim != 3:
            raise CheckpointError(
                f"{self._name} makes latents of shape {tuple(found.shape[2:])} a picture; a probe reads single vectors"
            )
        return found.float()

    @torch.no_grad()
    def step(self, latent: Tensor, action: Tensor) -> Tensor:
        """The latent (B, size) after T others (B, T, size) and the actions (B, T, A) after each of them."""
        model: Any = self.model
        given = self.pixels.actions(action)
        try:
            if self._split:
                made: Tensor = model.predict(latent, model.action_encoder(given))[:, -1]
            else:
                blank = latent.new_zeros(len(latent), 1, latent.shape[1], 1, 1, 1)  # `rollout` reads its length alone
                info = model.rollout({"pixels": blank, "emb": latent[:, None]}, given[:, None])
                made = info["predicted_emb"][:, 0, -1]
        except RuntimeError as error:
            raise CheckpointError(
                f"{self._name} does not take actions of {action.shape[-1]} numbers one control period at a time "
                f"({error}); train it on this robot without skipping frames"
            ) from error
        return made.float()


class StableWorldModelSimulator(HeldWorlds):
    """`num_envs` worlds of a model's latents, told by a probe; see `NeuralSimulator`."""

    def __init__(self, latents: Latents, probe: Probe, card: Card, num_envs: int, *, licence: str, device: str) -> None:
        """Puts a probe beside a model.

        Raises:
            CheckpointError: the probe is for another model.
        """
        check_latent_probe(latents, probe)
        frames = probe.settings.frames
        spec = Spec(
            kind=KIND,
            control_mode=frames.control_mode,
            action_size=frames.action_size,
            state=dict(frames.state),
            scene_size=frames.scene_size,
            image_size=frames.image_size,
            camera=frames.camera,
            period=frames.period,
            context=max(latents.history, probe.settings.history),
            chunk=1,
            horizon=card.horizon,
            licence=licence or "code MIT; of the weights: see where they came from",
            weights=latents.weights,
            robot=frames.robot,
            uncertainty=probe.settings.members > 1,
        )
        super().__init__(num_envs, spec, torch.device(device))
        self._latents, self._probe = latents, probe.to(self.device).eval()
        latents.model.to(self.device)

    @torch.no_grad()
    def reset(self, ids: Tensor, context: Context) -> None:
        """See `NeuralSimulator`.

        Raises:
            CheckpointError: the context is not what the model takes.
        """
        check_context(context, self.spec)
        assert context.image is not None
        action = context.action.to(self.device)
        held = {
            "latent": self._latents.encode(context.image.to(self.device)),
            "action": torch.cat([action, action.new_zeros(len(action), 1, action.shape[2])], 1),
            "scene": context.scene.to(self.device),
        }
        self._put(ids.to(self.device), held)

    @torch.no_grad()
    def step(self, ids: Tensor, action: Tensor) -> Prediction:
        """See `NeuralSimulator`."""
        rows = ids.to(self.device)
        held, back = self._take(rows), self._latents.history
        given = action.to(self.device, torch.float32)
        actions = torch.cat([held["action"][:, :-1], given[:, None]], 1)
        now = self._latents.step(held["latent"][:, -back:], actions[:, -back:])
        latent = torch.cat([held["latent"][:, 1:], now[:, None]], 1)
        state, doubt = self._probe.tell(latent[:, -self._probe.settings.history :], held["scene"])
        picture = to_pictures(self._probe.draw(now))
        changed = {
            "latent": latent,
            "action": torch.cat([actions[:, 1:], torch.zeros_like(given)[:, None]], 1),
            "scene": held["scene"],
        }
        self._put_good(rows, changed, state)
        return Prediction(image=picture.cpu(), state=state.cpu(), uncertainty=doubt.cpu())


def check_latent_probe(latents: Latents, probe: Probe) -> None:
    """Compares a probe of latents with the model that it is to read.

    Raises:
        CheckpointError: it reads something else, or was made for other weights; or the model takes other actions.
    """
    settings = probe.settings
    if settings.source != "latent":
        raise CheckpointError("the probe reads pictures, and the model makes latents; train one with source=latent")
    if settings.made_for != latents.weights:
        raise CheckpointError(
            "the probe was trained on the latents of other weights, so it says nothing true of these; train it anew"
        )
    latents.pixels.check(settings.frames.action_size)


def load_latents(target: str, pixels: PixelSettings, options: StableWorldModelOptions) -> Latents:
    """The model in a folder, or of an id on Hugging Face.

    Raises:
        MissingDependencyError: a library is missing. CheckpointError: the files are not there, name what may not be
            made, or do not fit together; the message says which, and what to do.
    """
    folder = _folder(target, options)
    config = read_config(folder / "config.json")
    weights = _weights(folder)
    try:
        import stable_worldmodel.wm  # noqa: F401 - fails early, and says what is missing
        from hydra.utils import instantiate
        from omegaconf import OmegaConf
    except ImportError as error:
        raise MissingDependencyError(f"{target} needs stable-worldmodel ({error}): {_INSTALL}") from error
    check_classes(config, folder / "config.json")
    try:
        model = instantiate(OmegaConf.create(config))
        if not isinstance(model, nn.Module):
            raise CheckpointError(f"{folder / 'config.json'} makes {type(model).__name__}, which is no model")
        model.load_state_dict(_numbers(weights))
    except CheckpointError:
        raise
    except Exception as error:  # Hydra and torch raise many kinds
        raise CheckpointError(
            f"{folder}: its model cannot be made ({error}); take the version of stable-worldmodel that wrote it"
        ) from error
    for name, values in model.state_dict().items():
        if values.is_floating_point() and not bool(values.isfinite().all()):
            raise CheckpointError(f"{weights}: {name} holds numbers that are not finite; fetch it anew")
    return Latents(model, pixels, weights=digest(weights), name=str(folder))


def read_config(path: Path) -> dict[str, Any]:
    """A checkpoint's `config.json`, in which only classes of `ALLOWED` libraries are named.

    Raises:
        CheckpointError: it cannot be read, or names something else; the message says what.
    """
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}); a model is a folder with config.json and weights"
        ) from error
    if not isinstance(config, dict) or "_target_" not in config:
        raise CheckpointError(f"{path} says no _target_, so what it is the configuration of is not known")
    for name in _targets(config):
        if not (name.startswith(ALLOWED) and _NAME.fullmatch(name)):
            raise CheckpointError(
                f"{path} would run {name!r}, and only classes of {[each.rstrip('.') for each in ALLOWED]} may be made "
                "from a file; if you trust it, make the model yourself and give it to `stable_worldmodel.Latents`"
            )
    return config


def check_classes(config: Any, path: Path) -> None:
    """That what a configuration names is a network or its configuration, and not what a library happens to import.

    Raises:
        CheckpointError: it is not; the message says what.
    """
    for name in _targets(config):
        found: Any = None
        parts = name.split(".")
        for count in range(len(parts) - 1, 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:count]))
            except ImportError:
                continue
            for part in parts[count:]:
                found = getattr(found, part, None)
            break
        home = f"{getattr(found, '__module__', '')}."
        network = isinstance(found, type) and (issubclass(found, nn.Module) or found.__name__.endswith("Config"))
        if not home.startswith(ALLOWED) or not (network or name in _FUNCTIONS):
            raise CheckpointError(
                f"{path} names {name!r}, which is no network of the libraries here; take the version of "
                "stable-worldmodel that wrote it, or fetch another"
            )


def _targets(config: Any) -> list[str]:
    """Every class or function that a Hydra configuration names; interpolations could name more, so they count."""
    if isinstance(config, dict):
        own = [str(config["_target_"])] if "_target_" in config else []
        if own and own[0] in _CLASS_OF:
            own = [str(config.get("path"))]
        return own + [name for value in config.values() for name in _targets(value)]
    if isinstance(config, list):
        return [name for value in config for name in _targets(value)]
    return [config] if isinstance(config, str) and "${" in config else []


def _folder(target: str, options: StableWorldModelOptions) -> Path:
    path = Path(target).expanduser()
    if path.is_dir():
        return path
    if path.is_absolute() or target.startswith((".", "~")) or target.count("/") != 1:
        raise CheckpointError(
            f"there is no folder {path}; give one, or an id on Hugging Face such as quentinll/lewm-pusht"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingDependencyError(
            f"{target} is looked up with huggingface_hub: pip install huggingface_hub"
        ) from error
    try:
        found = snapshot_download(
            target, allow_patterns=["config.json", "weights.*"], local_files_only=not options.download
        )
    except Exception as error:  # the hub raises many kinds
        raise CheckpointError(
            f"the weights of {target} are not on this machine ({type(error).__name__}): fetch them with `hf download "
            f"{target}` (their licence is on https://huggingface.co/{target}), or let it be done with ?download=true"
        ) from error
    return Path(found)


def _weights(folder: Path) -> Path:
    """The one file of weights in a folder: safetensors, which cannot hold code."""
    found = sorted(folder.glob("*.safetensors"))
    if len(found) == 1:
        return found[0]
    if found:
        raise CheckpointError(f"{folder} has several files of weights, {[each.name for each in found]}; keep one")
    if any(folder.glob("*.pt")):
        raise CheckpointError(
            f"{folder} has its weights as a pickle, which may hold code and is not read here; turn them into "
            "safetensors where you trust them: "
            "safetensors.torch.save_file(torch.load('weights.pt', weights_only=True), 'weights.safetensors')"
        )
    raise CheckpointError(f"{folder} has no weights (weights.safetensors); fetch it anew")


def _numbers(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)
