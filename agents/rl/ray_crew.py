"""Rollout workers on several machines, as actors of Ray; the process that started them learns.

Each worker holds some of the shards. At every turn it is told the version of what is learned, and fetches that from
Ray's object store (which brings it to each machine once) if it has another. A worker that dies, alone or with its
machine, is replaced: its worlds begin other episodes, and the turn goes on. What the others have played is kept.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from ...errors import MissingDependencyError, PocketWorldsError, TrainingError
from ...world_models.frames.settings import Strict
from ...world_models.wam.network import Wam
from ...world_models.wam.settings import WamSettings
from .actor_critic import ActorCritic, PPOSettings
from .crew import Crew, MakeWorlds, make_players
from .rollout import Rollout, Team, Turn

_LIVES = 3
"""Workers that may die at one place in one turn: more do not die by accident."""


class RaySettings(Strict):
    """Where workers are.

    Attributes:
        address: of a cluster, "auto" for the one of this machine; None starts one here, for as long as it takes.
        cpus, gpus, resources: what each worker asks for; resources are names that machines were started with.
        patience: seconds to wait for a place.
    """

    address: str | None = None
    cpus: Annotated[float, Field(gt=0)] = 1
    gpus: Annotated[float, Field(ge=0)] = 0
    resources: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    patience: Annotated[float, Field(gt=0)] = 300


class Worker:
    """What runs in an actor."""

    def __init__(self, make: MakeWorlds, num_envs: int, shards: int, which: Sequence[int], device: str) -> None:
        """Remembers what to make: what fails is told by `play`."""
        self._worlds, self._device = (make, num_envs, shards, which), device
        self._mind: ActorCritic | None = None
        self._players: list[Team] = []
        self._version = -1

    def pid(self) -> int:
        """The number of its process, as soon as it runs."""
        return os.getpid()

    def play(
        self, net: WamSettings, settings: PPOSettings, version: int, numbers: Sequence[Any], turn: Turn
    ) -> list[Rollout]:
        """What was played in its shards by a version of the policy, whose numbers are one object of Ray's."""
        import ray

        if self._mind is None:
            self._mind = ActorCritic(Wam(net).to(self._device), settings)
            self._players = make_players(*self._worlds)
        if version != self._version:
            self._mind.load_state_dict(ray.get(numbers[0]))
            self._version = version
        return [player.play(self._mind, turn).to(torch.device("cpu")) for player in self._players]


class RayCrew(Crew):
    """Workers as actors of Ray; see the module."""

    def __init__(self, make: MakeWorlds, num_envs: int, shards: int, workers: int, settings: RaySettings) -> None:
        """Starts workers for so many worlds, or joins a cluster and starts them there.

        Args:
            make: is sent to workers. num_envs: worlds of all of them. shards: that these are split into.
            workers: at most as many as shards. settings: where they are.

        Raises:
            MissingDependencyError: Ray is not installed. TrainingError: the cluster cannot be reached, or has no place.
        """
        if importlib.util.find_spec("ray") is None:
            raise MissingDependencyError(
                'workers need Ray, which is not installed: pip install "pocketworlds[ray]", or train with workers=0'
            )
        self._settings, self._shards = settings, shards
        self._ours = _join(settings, workers)
        device = "cuda" if settings.gpus else "cpu"
        self._posts = [(make, num_envs, shards, range(k, shards, workers), device) for k in range(workers)]
        self._workers: dict[int, Any] = {}
        self._version = -1
        self._numbers: Any = None  # what was put into Ray's store last
        try:
            self._hire(range(workers))
        except BaseException:
            self.close()
            raise

    def play(self, mind: ActorCritic, turn: Turn) -> Rollout:
        """See `Crew`; what a worker raises is raised here."""
        import ray

        if mind.version != self._version:
            held: dict[str, Tensor] = {name: value.cpu() for name, value in mind.state_dict().items()}
            self._version, self._numbers = mind.version, ray.put(held)

        def asked(number: int) -> Any:
            told = (mind.net.settings, mind.settings, self._version, [self._numbers], turn)
            return self._workers[number].play.remote(*told)

        waiting = {asked(number): number for number in self._workers}
        deaths = dict.fromkeys(self._workers, 0)
        found: list[Rollout | None] = [None] * self._shards
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            number = waiting.pop(ready)
            try:
                found[number :: len(self._workers)] = ray.get(ready)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, PocketWorldsError):
                    raise error.cause from error
                raise
            except ray.exceptions.RayError as error:
                deaths[number] += 1
                if deaths[number] > _LIVES:
                    raise TrainingError(
                        f"worker {number} has died {deaths[number]} times in iteration {turn.iteration} "
                        f"({_first_line(error)}); what was kept last is intact: give workers fewer worlds (num_envs, "
                        "workers) if memory is short, and run the same command again"
                    ) from error
                self._hire([number])
                waiting[asked(number)] = number
        return Rollout.joined([each for each in found if each is not None]).to(mind.net.device)

    def pids(self) -> list[int]:
        """The processes of all workers, on their machines."""
        import ray

        found: list[int] = ray.get([self._workers[number].pid.remote() for number in sorted(self._workers)])
        return found

    def close(self) -> None:
        """See `Crew`; a cluster that was started is ended."""
        import ray

        if ray.is_initialized():
            for number in list(self._workers):
                self._dismiss(number)
            if self._ours:
                ray.shutdown()

    def _hire(self, numbers: Iterable[int]) -> None:
        """New workers for these places, and waits until they run or have died."""
        import ray

        settings, begun = self._settings, []
        actor = ray.remote(
            num_cpus=settings.cpus, num_gpus=settings.gpus, resources=settings.resources, scheduling_strategy="SPREAD"
        )(Worker)
        for number in numbers:
            self._dismiss(number)
            self._workers[number] = actor.remote(*self._posts[number])
            begun.append(self._workers[number].pid.remote())
        _, missing = ray.wait(begun, num_returns=len(begun), timeout=settings.patience)
        if missing:
            wanted = {"CPU": settings.cpus, "GPU": settings.gpus, **settings.resources}
            left = ray.available_resources()  # type: ignore[no-untyped-call]
            free = {name: amount for name, amount in left.items() if name in wanted}
            raise TrainingError(
                f"after {settings.patience:g} s there is no place for {len(missing)} of {len(begun)} workers, which "
                f"ask for {wanted} each: the cluster has {free} left; start more machines, or ask for less (workers, "
                "ray.cpus, ray.gpus, ray.resources); what was kept last is intact"
            )

    def _dismiss(self, number: int) -> None:
        """Ends a worker, whatever is left of it."""
        import ray

        worker = self._workers.pop(number, None)
        if worker is not None:
            with suppress(ray.exceptions.RayError):
                ray.kill(worker)


def _join(settings: RaySettings, workers: int) -> bool:
    """Joins a cluster, or starts one with room for the workers; says whether this process is to leave it again."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to Ray's makers
    os.environ.setdefault("RAY_worker_niceness", "0")  # the learner waits for workers: they are not to come last
    import ray

    if ray.is_initialized():
        return False
    room: dict[str, Any] = {}
    if settings.address is None:
        resources = {name: amount * workers for name, amount in settings.resources.items()}
        room = {"num_cpus": math.ceil(settings.cpus * workers), "resources": resources, "include_dashboard": False}
    try:
        ray.init(address=settings.address or "local", log_to_driver=False, logging_level=logging.ERROR, **room)
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"Ray at {settings.address or 'this machine'} cannot be reached ({_first_line(error)}); start it with `ray "
            "start --head`, and give its address as ray.address, or null to start one here"
        ) from error
    return True


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
