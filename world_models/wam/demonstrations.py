"""What a World Action Model learns from: episodes of states, pictures and actions, and videos, which have no actions.

All is held in memory, end to end, and windows are gathered without a loop: an hour of 64 x 64 pictures takes 0.9 GB.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import DatasetError
from ..trajectories.trajectory import Trajectory
from .settings import WamSettings
from .words import letters


@dataclass(frozen=True)
class Episode:
    """T control steps.

    Attributes:
        state: float32 (T + 1, S), or None: a video. image: uint8 (T + 1, C, height, width, 3).
        action: float32 (T, A) in [-1, 1], or None. instruction: what was asked for.
        intended: (T, A) what was meant to be done, None for just that: where a demonstration is disturbed on purpose,
            to show how to get back, the disturbance is not to be learned (DART, Laskey et al., arXiv:1703.09327).
    """

    state: Tensor | None
    image: Tensor
    action: Tensor | None
    instruction: str = ""
    intended: Tensor | None = None


@dataclass(frozen=True)
class Lessons:
    """n windows of L frames that lie H control steps apart. Before an episode lie copies of its first frame.

    Attributes:
        state, next_state: (n, L, S) there and H control steps later. known: bool (n, L), whether there is a state.
        image, next_image: uint8 (n, L, C, height, width, 3). done, action: (n, L, H, A) before and after each frame.
        intended: (n, L, H, A) what was meant by `action`.
        was_done, will: bool (n, L, H), which of them are known. there: bool (n, L), whether the frame and what comes H
            later are within the episode. labelled: bool (n,), whether actions are known. told: (n, letters).
    """

    state: Tensor
    next_state: Tensor
    known: Tensor
    image: Tensor
    next_image: Tensor
    done: Tensor
    was_done: Tensor
    action: Tensor
    intended: Tensor
    will: Tensor
    there: Tensor
    labelled: Tensor
    told: Tensor

    def to(self, device: torch.device) -> Lessons:
        """The same on a device."""
        return Lessons(**{name: value.to(device) for name, value in vars(self).items()})


def from_trajectory(trajectory: Trajectory, settings: WamSettings) -> Episode:
    """An episode out of a recorded one.

    Raises:
        DatasetError: it lacks something, or something has another shape.
    """
    seen = trajectory.observations
    steps = len(trajectory)
    if not trajectory.has_final:
        raise DatasetError("the episode lacks what was seen after its last step; record it with that")
    if trajectory.actions.shape[1] != settings.action_size:
        raise DatasetError(
            f"actions have {trajectory.actions.shape[1]} numbers, the model is for {settings.action_size}"
        )
    state = None
    if "state" in seen:
        if seen["state"].shape[1:] != (settings.state_size,):
            raise DatasetError(f"states have {seen['state'].shape[1]} numbers, the model is for {settings.state_size}")
        state = torch.from_numpy(np.asarray(seen["state"], dtype=np.float32))
    pictures = [_pictures(seen, name, settings, steps) for name in settings.cameras]
    height, width = settings.image_size
    blank = torch.zeros(steps + 1, 0, height, width, 3, dtype=torch.uint8)
    action = torch.from_numpy(np.clip(trajectory.actions, -1, 1).astype(np.float32))
    meant = None
    if trajectory.intended is not None:
        meant = torch.from_numpy(np.clip(trajectory.intended, -1, 1).astype(np.float32))
    return Episode(state, torch.stack(pictures, 1) if pictures else blank, action, trajectory.instruction, meant)


class Demonstrations:
    """Episodes to learn from; what `FrameTrainer` asks of its data.

    Attributes:
        settings: of the model. lengths: (E,) frames of each episode. frames: of all of them.
    """

    def __init__(self, episodes: Iterable[Episode], settings: WamSettings) -> None:
        """Takes them in.

        Raises:
            DatasetError: there are none.
        """
        held = list(episodes)
        if not held:
            raise DatasetError("there are no episodes to learn from; record some, or give a folder that has some")
        self.settings = settings
        self.lengths = torch.tensor([len(each.image) for each in held])
        self.frames = int(self.lengths.sum())
        self._first = self.lengths.cumsum(0) - self.lengths
        sizes = settings.state_size, settings.action_size
        self._state = torch.cat([_or_blank(each.state, len(each.image), sizes[0]) for each in held])
        self._action = torch.cat([_or_blank(each.action, len(each.image), sizes[1]) for each in held])
        meant = [each.action if each.intended is None else each.intended for each in held]
        self._meant = torch.cat(
            [_or_blank(each, len(one.image), sizes[1]) for each, one in zip(meant, held, strict=True)]
        )
        self._image = torch.cat([each.image for each in held])
        self._known = torch.tensor([each.state is not None for each in held])
        self._labelled = torch.tensor([each.action is not None for each in held])
        self._told = letters([each.instruction for each in held], settings.net.letters)

    def __len__(self) -> int:
        return len(self.lengths)

    def scales(self) -> tuple[Tensor, Tensor, Tensor]:
        """States (N, S), their changes over a chunk (M, S), and nothing (E, 0): see `Scales.measure`.

        Raises:
            DatasetError: no episode has states.
        """
        if not bool(self._known.any()):
            raise DatasetError("no episode has states, so nothing tells their scale; give some with states")
        states, changes = [], []
        for number in self._known.nonzero()[:, 0].tolist():
            one = self._state[self._first[number] : self._first[number] + self.lengths[number]]
            states.append(one)
            changes.append(one[self.settings.chunk :] - one[: -self.settings.chunk])
        return torch.cat(states), torch.cat(changes), torch.zeros(len(self), 0)

    def lively(self, length: int) -> Tensor:
        """No windows are preferred: (0, 2)."""
        return torch.zeros(0, 2, dtype=torch.int64)

    def draw(self, count: int, length: int, draws: torch.Generator, *, lively: Tensor, share: float) -> Tensor:
        """Random windows (count, 2), as episode and last frame."""
        last = (self.lengths - 1).clamp_min(1)
        step = torch.randint(0, int(last.sum()), (count,), generator=draws)
        episode = torch.searchsorted(last.cumsum(0), step, right=True)
        return torch.stack([episode, step - (last.cumsum(0) - last)[episode]], 1)

    def windows(self, which: Tensor, length: int, **needs: bool) -> Lessons:
        """Windows of `length` frames that end at `which` (n, 2), as episode and frame."""
        chunk = self.settings.chunk
        episode, last = which[:, 0, None], which[:, 1, None]
        at = last - chunk * torch.arange(length - 1, -1, -1)
        ends, first = self.lengths[episode] - 1, self._first[episode]
        step = torch.arange(chunk)
        before = at[..., None] - chunk + step
        after = at[..., None] + step
        there = first + at.clamp_min(0)
        later = first + (at + chunk).clamp_min(0).minimum(ends)
        labelled = self._labelled[which[:, 0]]
        known = self._known[episode].expand(-1, length)
        was_done = (before >= 0) & labelled[:, None, None]
        will = (after >= 0) & (after < ends[..., None]) & labelled[:, None, None]
        coming = first[..., None] + after.clamp_min(0).minimum(ends[..., None])
        return Lessons(
            state=self._state[there],
            next_state=self._state[later],
            known=known,
            image=self._image[there],
            next_image=self._image[later],
            done=self._action[first[..., None] + before.clamp_min(0)] * was_done[..., None],
            was_done=was_done,
            action=self._action[coming] * will[..., None],
            intended=self._meant[coming] * will[..., None],
            will=will,
            there=(at >= 0) & (at + chunk <= ends),
            labelled=labelled,
            told=self._told[which[:, 0]],
        )


def _or_blank(values: Tensor | None, rows: int, size: int) -> Tensor:
    """Values with zero rows behind them, `rows` in all."""
    if values is None:
        return torch.zeros(rows, size)
    return torch.cat([values, values.new_zeros(rows - len(values), size)])


def _pictures(seen: dict[str, Any], name: str, settings: WamSettings, steps: int) -> Tensor:
    wanted = (steps + 1, *settings.image_size, 3)
    if name not in seen:
        raise DatasetError(f"the episode has no pictures {name!r}; it has {sorted(seen)}")
    if seen[name].shape != wanted or seen[name].dtype != np.uint8:
        raise DatasetError(f"pictures {name!r} are {seen[name].dtype} {seen[name].shape}, wanted are uint8 {wanted}")
    return torch.from_numpy(np.ascontiguousarray(seen[name]))


def parted(episodes: Sequence[Episode], share: float) -> tuple[Sequence[Episode], Sequence[Episode]]:
    """The first episodes, and the last `share` of them, at least one.

    Raises:
        DatasetError: there is only one.
    """
    cut = len(episodes) - max(round(share * len(episodes)), 1)
    if cut < 1:
        raise DatasetError(f"{len(episodes)} episode(s) are too few to hold some out; record more")
    return episodes[:cut], episodes[cut:]
