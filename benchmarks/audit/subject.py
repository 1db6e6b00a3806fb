"""What is audited: an environment, twice, behind it physics and a model of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from ... import __version__
from ...envs import WorldVectorEnv
from ...envs.catalogue import known_ids
from ...envs.config import Config
from ...errors import CheckpointError, TaskError
from ...world_models.external.address import is_external, parse_address
from ..throughput_result import host

_LIBRARIES = ("torch", "scipy", "scikit-image", "stable-baselines3")
_OURS = ("backend", "checkpoint", "obs_mode", "terminate_on_success", "render_mode", "on_ood")


@dataclass(frozen=True)
class Subject:
    """One environment and one model of it.

    Attributes:
        env_id: of `gym.make_vec`. keywords: of both sides, such as `scene` or `object_jitter`.
        backend: the model's. checkpoint: its file, or the address of another people's model (a `str`, docs/neural.md);
            None: the one that comes with the package for the robot.

    Raises:
        TaskError: there is no such environment, or a keyword is the audit's to choose.
    """

    env_id: str
    keywords: Mapping[str, Any] = field(default_factory=dict)
    backend: str = "neural"
    checkpoint: str | Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "env_id", known_ids([self.env_id])[0])
        taken = sorted(set(self.keywords) & set(_OURS))
        if taken:
            raise TaskError(f"the audit chooses {taken[0]!r} itself; leave it out")

    def physics(self, num_envs: int, **more: Any) -> WorldVectorEnv:
        """`num_envs` worlds of physics, without autoreset; success does not end an episode. `more`: other keywords."""
        return self._made(num_envs, more)

    def model(self, num_envs: int, **more: Any) -> WorldVectorEnv:
        """The same with the model behind it.

        Raises:
            CheckpointError: it cannot be used.
        """
        return self._made(num_envs, {**self.model_keywords(), **guard("ignore"), **more})

    def pinned(self) -> Subject:
        """The same with its model named: where something is changed, it stays the model that is audited."""
        return self if self.checkpoint is not None else replace(self, checkpoint=self.file())

    def model_keywords(self) -> dict[str, Any]:
        """What tells the model's side from physics."""
        given: dict[str, Any] = {"backend": self.backend}
        if self.checkpoint is not None:
            given["checkpoint"] = str(self.checkpoint)
        return given

    def file(self) -> Path | None:
        """Where the model is; None where there is no file, but physics or an address."""
        if self.backend != "neural" or is_external(self.checkpoint):
            return None
        if self.checkpoint is not None:
            return Path(self.checkpoint)
        from ...envs.backends.neural import shipped

        env = self.physics(1)
        env.close()
        return shipped(env.worlds, env.config.task)

    def facts(self) -> dict[str, Any]:
        """What is run, and on what: environment, model, machine and versions.

        Of a model with an address, `weights` changes with the address and with the probe's numbers; what is behind the
        address cannot be looked into from here.

        Raises:
            CheckpointError: the file, or the probe's, cannot be read.
        """
        told: dict[str, Any] = {
            "environment": self.env_id,
            "keywords": json.loads(json.dumps(dict(self.keywords), default=str)),
            "backend": self.backend,
        }
        file = self.file()
        if file is not None:
            told |= {"checkpoint": str(file), "checkpoint sha256": file_digest(file), "weights": weights_digest(file)}
        elif self.backend == "neural":
            told |= _behind(str(self.checkpoint))
        told |= {"pocketworlds": __version__, **host()}
        return {**told, **{name: _version(name) for name in _LIBRARIES}}

    def _made(self, num_envs: int, more: Mapping[str, Any]) -> WorldVectorEnv:
        given = {"autoreset_mode": AutoresetMode.DISABLED, "terminate_on_success": False, **self.keywords, **more}
        env = gym.make_vec(self.env_id, num_envs=num_envs, **given).unwrapped
        assert isinstance(env, WorldVectorEnv)
        if env.max_episode_steps is None:
            env.close()
            raise TaskError(f"{self.env_id} never ends; give max_episode_steps")
        return env


def guard(how: str) -> dict[str, str]:
    """The keyword that says what the model does when it is unsure, where this version has it."""
    return {"on_ood": how} if "on_ood" in Config.__dataclass_fields__ else {}


def read_keywords(settings: Sequence[str]) -> dict[str, Any]:
    """Keywords of an environment out of words such as "object_jitter=0.1".

    Raises:
        TaskError: one of them is none.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    bad = next((each for each in settings if not each.partition("=")[0] or "=" not in each), None)
    if bad is not None:
        raise TaskError(f"{bad!r} is no keyword; write NAME=VALUE, such as scene=my_kitchen")
    try:
        found: Any = OmegaConf.to_container(OmegaConf.from_dotlist(list(settings)), resolve=True)
    except OmegaConfBaseException as error:
        raise TaskError(f"the keywords {list(settings)} cannot be read: {error}") from error
    return {str(name): value for name, value in found.items()}


def length(env: WorldVectorEnv) -> int:
    """Control steps of an episode."""
    return int(env.max_episode_steps or 0)


def weights_digest(file: Path) -> str:
    """SHA-256 of a model's numbers and of what calibrates it: what an audit wrote into its card changes nothing.

    Raises:
        CheckpointError: the file cannot be read.
    """
    from ...world_models.checkpoint import load_checkpoint

    card, tensors = load_checkpoint(file)
    digest = hashlib.sha256()
    calibrated = {name: value for name, value in card.measured.items() if name != "audit"}
    digest.update(json.dumps([card.kind, card.robot, dict(card.settings), calibrated], sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name].numpy()).tobytes())
    return digest.hexdigest()


def file_digest(file: Path) -> str:
    """SHA-256 of a file.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(f"there is no checkpoint {file} ({error.strerror})") from error


def _behind(checkpoint: str) -> dict[str, str]:
    """What an address tells of a model, and its probe's file."""
    address = parse_address(checkpoint)
    told, numbers = {"checkpoint": checkpoint}, ""
    if address.probe is not None:
        told["probe sha256"], numbers = file_digest(address.probe), weights_digest(address.probe)
    where = json.dumps([address.scheme, address.target, dict(address.options), numbers], sort_keys=True)
    return {**told, "weights": hashlib.sha256(where.encode()).hexdigest()}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
