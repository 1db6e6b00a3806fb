"""The training loop of all models of frames.

Everything that is drawn at a step is a pure function of seed, process and step: training that was interrupted goes on
bit for bit, and batches can be read ahead. On several devices (`torchrun`), each process draws its own windows and
gradients are averaged.
"""

from __future__ import annotations

import importlib.util
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from ...errors import DatasetError, MissingDependencyError, TrainingError
from ..resuming import Means, restore_training, training_state
from .settings import Strict

Notify = Callable[[int, dict[str, float]], None]
"""Is told the number of steps made and the mean losses since it was told last."""

_AHEAD = 2  # batches that are read ahead
_PICTURES_EVERY = 1000  # steps
_ASKED_EVERY = 10  # steps after which processes agree on the time
_PATIENCE = timedelta(hours=12)  # that processes wait for the one that plays
_WARM = 10.0  # the average's memory is at most the number of steps so far over this


class TrainConfig(Strict):
    """How long and how.

    Attributes:
        steps: of the optimiser. rate: its highest learning rate; it rises for `warmup` steps and falls as a cosine to a
            hundredth. decay: of weights. clip: largest norm of a gradient. average: memory of the moving average of
            the weights that is used in the end. batch: windows in each process. length: frames of a window.
        lively: share of windows in which something moves that is not the robot.
        bf16: multiply matrices in bfloat16. compile: with torch.compile. ahead: read batches in the background.
        distributed: one process a device, as `torchrun` starts them. device: "cpu", "cuda", or "" for what there is.
    """

    steps: Annotated[int, Field(ge=1)] = 2000
    rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    warmup: Annotated[int, Field(ge=0)] = 100
    decay: Annotated[float, Field(ge=0, lt=1)] = 1e-2
    clip: Annotated[float, Field(gt=0)] = 1.0
    average: Annotated[float, Field(ge=0, lt=1)] = 0.995
    batch: Annotated[int, Field(ge=1)] = 16
    length: Annotated[int, Field(ge=1)] = 8
    lively: Annotated[float, Field(ge=0, le=1)] = 0.5
    bf16: bool = False
    compile: bool = False
    ahead: bool = True
    distributed: bool = False
    device: str = ""
    seed: Annotated[int, Field(ge=0)] = 0


class Batch(Protocol):
    """What a model is shown at a step."""

    def to(self, device: torch.device) -> Any:
        """The same on a device."""


class Data(Protocol):
    """What a model learns from, such as `FrameData`."""

    @property
    def lengths(self) -> Tensor:
        """Frames (E,) of each episode."""

    def lively(self, length: int) -> Tensor:
        """Windows (m, 2) of so many frames in which much happens."""

    def draw(self, count: int, length: int, draws: torch.Generator, *, lively: Tensor, share: float) -> Tensor:
        """Random windows (count, 2), a `share` of them from `lively`."""

    def windows(self, *which: Any, **needs: Any) -> Any:
        """`windows(which, length, **needs)`: a `Batch` of these windows (n, 2) with all that a learner needs."""


class Learner(nn.Module):
    """A model as it is trained.

    Attributes:
        needs: what windows must hold, see `FrameData.windows`.
    """

    needs: Mapping[str, bool]

    def forward(self, windows: Any, draws: torch.Generator, progress: float) -> dict[str, Tensor]:
        """Losses () by name, which are added; `progress` in [0, 1] says how much of the training is done."""
        raise NotImplementedError

    def pictures(self, windows: Any) -> Tensor | None:
        """What to look at while it is trained: uint8 (height, width, 3), or nothing."""
        return None


class FrameTrainer:
    """Trains a model; `advance` goes on, `state` and `restore` keep and bring back where it was.

    Attributes:
        done: steps made. device: it trains on. chief: whether this process is the one that writes files.
    """

    def __init__(self, learner: Learner, data: Data, config: TrainConfig, *, log: Path | None = None) -> None:
        """Begins.

        Args:
            learner: what to train. data: what from. config: how. log: folder for TensorBoard's scalars and pictures.

        Raises:
            DatasetError: episodes are shorter than windows. MissingDependencyError: `log` is given without TensorBoard.
        """
        if int(data.lengths.min()) < config.length:
            raise DatasetError(
                f"the shortest episode has {int(data.lengths.min())} frames, windows are to have {config.length}; "
                "record longer episodes, or train with a shorter length"
            )
        self._data, self._config = data, config
        self._rank, self.device = joined(config)
        self.chief = self._rank == 0
        self.learner = learner.to(self.device)
        self._run: Callable[..., dict[str, Tensor]] = self.learner
        if config.distributed and torch.distributed.is_initialized():
            devices = [self.device.index] if self.device.type == "cuda" else None
            self._run = nn.parallel.DistributedDataParallel(
                self.learner, device_ids=devices, broadcast_buffers=False, find_unused_parameters=True
            )
        if config.compile:
            self._run = torch.compile(self._run)
        self._trained = {name: value for name, value in self.learner.named_parameters() if value.requires_grad}
        self._average = {name: value.detach().clone() for name, value in self._trained.items()}
        self._optimizer = torch.optim.AdamW(
            _groups(self._trained, config.decay), lr=config.rate, betas=(0.9, 0.99), fused=True
        )
        self._lively = data.lively(config.length)
        self._log = log_writer(log) if log is not None and self.chief else None
        self._threads: ThreadPoolExecutor | None = None
        self._waiting: dict[int, Future[Batch]] = {}
        self._means = Means()
        self.done = 0

    def advance(self, notify: Notify | None = None, *, every: int = 50, until: float | None = None) -> bool:
        """Goes on to the end, or until a time (`time.monotonic`) is reached; says whether it is finished.

        Raises:
            TrainingError: a loss is no longer finite, or memory is used up; what was kept before is as it was.
        """
        self.learner.train()
        try:
            while self.done < self._config.steps:
                if until is not None and self._late(until):
                    return False
                self._means.add(self._tried())
                if self.done % every == 0:
                    means = self._means.take()
                    self._write(means)
                    if notify is not None:
                        notify(self.done, means)
            return True
        finally:
            self.learner.eval()
            self._stop_reading()

    def state(self) -> dict[str, Tensor]:
        """Where it is, as numbers: give it to `restore` of a trainer made of the same, to go on as if never stopped."""
        found = training_state(self.learner, self._optimizer, self.done)
        return found | {f"average/{name}": value.clone().cpu() for name, value in self._average.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where `state` was taken."""
        for name, value in self._average.items():
            value.copy_(state[f"average/{name}"])
        self.done = restore_training(state, self.learner, self._optimizer)
        self._stop_reading()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the model has the moving average of its weights."""
        kept = {name: value.detach().clone() for name, value in self._trained.items()}
        with torch.no_grad():
            for name, value in self._trained.items():
                value.copy_(self._average[name])
            try:
                yield
            finally:
                for name, value in self._trained.items():
                    value.copy_(kept[name])

    def settle(self) -> None:
        """Gives the model the moving average of its weights, for good."""
        with torch.no_grad():
            for name, value in self._trained.items():
                value.copy_(self._average[name])

    def _late(self, until: float) -> bool:
        """Whether a time is reached, the same in all processes: the first one's clock counts."""
        if not (self._config.distributed and torch.distributed.is_initialized()):
            return time.monotonic() > until
        if self.done % _ASKED_EVERY:
            return False
        told = torch.tensor([float(time.monotonic() > until)], device=self.device)
        torch.distributed.broadcast(told, 0)
        return bool(told)

    def _tried(self) -> dict[str, Tensor]:
        """A step whose failures are told in a sentence."""
        try:
            losses = self._step()
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"the memory of {self.device} is used up by a batch of {self._config.batch} windows of "
                f"{self._config.length} frames; take fewer with train.batch, or a smaller model"
            ) from error
        bad = [name for name, loss in losses.items() if not bool(torch.isfinite(loss.detach()))]
        if bad:
            raise TrainingError(
                f"after {self.done} steps the loss {bad[0]!r} is no longer finite; what was kept last is intact: go on "
                f"from there with a rate below {self._config.rate:g} (train.rate), or look for such numbers in the data"
            )
        return losses

    def _step(self) -> dict[str, Tensor]:
        config = self._config
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate()
        windows = self._read(self.done).to(self.device)
        draws = _draws(config.seed, self._rank, self.done, 1)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.bf16):
            losses = self._run(windows, draws, self.done / config.steps)
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
        self._optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._trained.values(), config.clip)
        self._optimizer.step()
        self.done += 1
        keep = min(config.average, 1 - _WARM / (_WARM + self.done))
        with torch.no_grad():
            for name, value in self._trained.items():
                self._average[name].lerp_(value, 1 - keep)
        return losses

    def _rate(self) -> float:
        config = self._config
        fall = 0.5 * (1 + math.cos(math.pi * self.done / config.steps))
        return config.rate * min(1.0, (self.done + 1) / max(config.warmup, 1)) * (0.01 + 0.99 * fall)

    # -- reading ---------------------------------------------------------------------------------------------------

    def _read(self, step: int) -> Batch:
        if not self._config.ahead:
            return self._windows(step)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1)
        for number in range(step, min(step + 1 + _AHEAD, self._config.steps)):
            if number not in self._waiting:
                self._waiting[number] = self._threads.submit(self._windows, number)
        return self._waiting.pop(step).result()

    def _stop_reading(self) -> None:
        self._waiting.clear()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
            self._threads = None

    def _windows(self, step: int) -> Batch:
        config = self._config
        draws = _draws(config.seed, self._rank, step, 0)
        which = self._data.draw(config.batch, config.length, draws, lively=self._lively, share=config.lively)
        found: Batch = self._data.windows(which, config.length, **self.learner.needs)
        return found

    def _write(self, means: Mapping[str, float]) -> None:
        if self._log is None:
            return
        for name, value in means.items():
            self._log.add_scalar(f"loss/{name}", value, self.done)
        self._log.add_scalar("rate", self._rate(), self.done)
        if self.done % _PICTURES_EVERY == 0 or self.done == self._config.steps:
            self.learner.eval()
            with torch.no_grad():
                picture = self.learner.pictures(self._windows(self.done).to(self.device))
            self.learner.train()
            if picture is not None:
                self._log.add_image("pictures", picture.cpu().numpy(), self.done, dataformats="HWC")
        self._log.flush()


def joined(config: TrainConfig) -> tuple[int, torch.device]:
    """This process's number and device, after it has joined the others."""
    kind = config.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if not (config.distributed and "WORLD_SIZE" in os.environ):
        return 0, torch.device(kind)
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if kind == "cuda" else "gloo", timeout=_PATIENCE)
    if kind == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        torch.cuda.set_device(local)
        return torch.distributed.get_rank(), torch.device("cuda", local)
    return torch.distributed.get_rank(), torch.device(kind)


@contextmanager
def chief_first(config: TrainConfig) -> Iterator[None]:
    """Inside, the first process is alone, the others come after it: they find what it has made."""
    rank, device = joined(config)
    together = config.distributed and torch.distributed.is_initialized()
    devices = [device.index] if device.type == "cuda" else None
    if together and rank:
        torch.distributed.barrier(device_ids=devices)
    yield
    if together and not rank:
        torch.distributed.barrier(device_ids=devices)


def _draws(seed: int, rank: int, step: int, stream: int) -> torch.Generator:
    """What is drawn at a step, in one of its streams."""
    mixed = (seed * 1_000_003 + rank) * 1_000_003 + step
    return torch.Generator().manual_seed((2 * mixed + stream) & 0x7FFFFFFFFFFFFFFF)


def _groups(parameters: Mapping[str, Tensor], decay: float) -> list[dict[str, Any]]:
    """Matrices and kernels decay; biases, scales and embeddings of one dimension do not."""
    wide = [value for value in parameters.values() if value.ndim > 1]
    flat = [value for value in parameters.values() if value.ndim <= 1]
    return [{"params": wide, "weight_decay": decay}, {"params": flat, "weight_decay": 0.0}]


def log_writer(folder: Path) -> Any:
    """TensorBoard's, which writes into a folder.

    Raises:
        MissingDependencyError: it is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingDependencyError("a log needs TensorBoard, which is not installed: pip install tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))  # type: ignore[no-untyped-call]
