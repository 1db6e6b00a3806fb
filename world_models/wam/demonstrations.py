"""What a World Action Model learns from: episodes of states, pictures and actions, and videos, which have no actions.

Episodes are held in memory, end to end, an hour of 64 x 64 pictures in 0.9 GB; windows are gathered without a loop.
Films stay on disk, and only those of their pictures are kept that lie a decision of the model apart: see `films`.
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
from .films import Films
from .settings import WamSettings
from .words import letters

_WITHIN = 1.001  # the largest action that counts as one in [-1, 1]
_PACE = 0.05  # by how much control steps may be longer or shorter than those of the model


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
    """An episode out of a recorded one; if nothing was seen after its last step, without that step.

    Raises:
        DatasetError: it lacks something, or something has another shape, scale or rate.
    """
    seen = trajectory.observations
    steps = trajectory.num_observations - 1
    if steps < 1:
        raise DatasetError("the episode has one frame, and nothing after it; record longer ones")
    if trajectory.actions.shape[1] != settings.action_size:
        raise DatasetError(
            f"actions have {trajectory.actions.shape[1]} numbers, the model is for {settings.action_size}"
        )
    if abs(trajectory.actions).max() > _WITHIN:
        raise DatasetError(
            f"actions go up to {abs(trajectory.actions).max():g}, those of the model from -1 to 1; scale them as "
            f"{settings.control_mode} does"
        )
    if abs(trajectory.origin.control_rate * settings.period - 1) > _PACE:
        raise DatasetError(
            f"the episode has {trajectory.origin.control_rate} control steps a second, the model has "
            f"{1 / settings.period:g}; record it at that rate"
        )
    state = None
    if "state" in seen:
        if seen["state"].shape[1:] != (settings.state_size,):
            raise DatasetError(f"states have {seen['state'].shape[1]} numbers, the model is for {settings.state_size}")
        state = torch.from_numpy(np.array(seen["state"], dtype=np.float32))
    pictures = [_pictures(seen, name, settings, steps) for name in settings.cameras]
    height, width = settings.image_size
    blank = torch.zeros(steps + 1, 0, height, width, 3, dtype=torch.uint8)
    action = torch.from_numpy(np.clip(trajectory.actions[:steps], -1, 1).astype(np.float32))
    meant = None
    if trajectory.intended is not None:
        meant = torch.from_numpy(np.clip(trajectory.intended[:steps], -1, 1).astype(np.float32))
    return Episode(state, torch.stack(pictures, 1) if pictures else blank, action, trajectory.instruction, meant)


class Demonstrations:
    """Episodes and films to learn from; what `FrameTrainer` asks of its data.

    Attributes:
        settings: of the model. lengths: (E,) frames of each episode, and then of each film. frames: of all of them.
        has_states: whether any episode has states.
    """

    def __init__(self, episodes: Iterable[Episode], settings: WamSettings, films: Films | None = None) -> None:
        """Takes them in.

        Raises:
            DatasetError: there are none.
        """
        held = list(episodes)
        shown = 0 if films is None else len(films.frames)
        if not held and not shown:
            raise DatasetError("there are no episodes to learn from; record some, or give a folder that has some")
        self.settings = settings
        self.lengths = torch.tensor([len(each.image) for each in held], dtype=torch.int64)
        # Row 0 is blank: that is what films have of states and actions.
        self._first = 1 + self.lengths.cumsum(0) - self.lengths
        sizes = settings.state_size, settings.action_size
        blank = torch.zeros(1, len(settings.cameras), *settings.image_size, 3, dtype=torch.uint8)
        meant = [each.action if each.intended is None else each.intended for each in held]
        rows = [len(each.image) for each in held]
        self._state = _laid([each.state for each in held], rows, sizes[0])
        self._action, self._meant = _laid([each.action for each in held], rows, sizes[1]), _laid(meant, rows, sizes[1])
        self._image = torch.cat([blank, *(each.image for each in held)])
        self._known = torch.tensor([each.state is not None for each in held] + [False] * shown)
        self._labelled = torch.tensor([each.action is not None for each in held] + [False] * shown)
        self._filmed = torch.tensor([False] * len(held) + [True] * shown)
        self._hop = torch.where(self._filmed, 1, settings.chunk)
        words = [each.instruction for each in held]
        self._films = blank
        if films is not None:
            self._films = films.pictures
            self.lengths = torch.cat([self.lengths, films.frames])
            self._first = torch.cat([self._first, films.first])
            words += films.words
        self._told = letters(words, settings.net.letters)
        self.frames = int(self.lengths.sum())
        self.has_states = bool(self._known.any())

    def __len__(self) -> int:
        return len(self.lengths)

    def scales(self) -> tuple[Tensor, Tensor, Tensor]:
        """States (N, S), their changes over a chunk (M, S), and nothing (E, 0): see `Scales.measure`.

        Raises:
            DatasetError: no episode has states.
        """
        if not self.has_states:
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
        """Random windows (count, 2), as episode and last frame: every control step is as likely as any other."""
        apart = self.settings.chunk // self._hop
        last = (self.lengths - 1).clamp_min(1) * apart
        step = torch.randint(0, int(last.sum()), (count,), generator=draws)
        episode = torch.searchsorted(last.cumsum(0), step, right=True)
        return torch.stack([episode, (step - (last.cumsum(0) - last)[episode]) // apart[episode]], 1)

    def windows(self, which: Tensor, length: int, **needs: bool) -> Lessons:
        """Windows of `length` frames that end at `which` (n, 2), as episode and frame."""
        chunk = self.settings.chunk
        episode, last = which[:, 0, None], which[:, 1, None]
        filmed, hop = self._filmed[episode], self._hop[episode]
        at = last - hop * torch.arange(length - 1, -1, -1)
        ends, first = self.lengths[episode] - 1, self._first[episode]
        step = torch.arange(chunk)
        before = at[..., None] - chunk + step
        after = at[..., None] + step
        there = first + at.clamp_min(0)
        later = first + (at + hop).clamp_min(0).minimum(ends)
        done = (first[..., None] + before.clamp_min(0)).masked_fill(filmed[..., None], 0)
        action = (first[..., None] + after.clamp_min(0).minimum(ends[..., None])).masked_fill(filmed[..., None], 0)
        labelled = self._labelled[which[:, 0]]
        known = self._known[episode].expand(-1, length)
        was_done = (before >= 0) & labelled[:, None, None]
        will = (after >= 0) & (after < ends[..., None]) & labelled[:, None, None]
        return Lessons(
            state=self._state[there.masked_fill(filmed, 0)],
            next_state=self._state[later.masked_fill(filmed, 0)],
            known=known,
            image=self._pictures(filmed[:, 0], there),
            next_image=self._pictures(filmed[:, 0], later),
            done=self._action[done] * was_done[..., None],
            was_done=was_done,
            action=self._action[action] * will[..., None],
            intended=self._meant[action] * will[..., None],
            will=will,
            there=(at >= 0) & (at + hop <= ends),
            labelled=labelled,
            told=self._told[which[:, 0]],
        )

    def _pictures(self, filmed: Tensor, rows: Tensor) -> Tensor:
        """Pictures of rows (n, L), which are of films or of episodes (n,)."""
        found = self._image[rows.masked_fill(filmed[:, None], 0)]
        if bool(filmed.any()):
            found[filmed] = self._films[rows[filmed]]
        return found


def _laid(values: Sequence[Tensor | None], rows: Sequence[int], size: int) -> Tensor:
    """Values (.., size) of episodes end to end after a blank row, each with zero rows behind it, `rows` in all."""
    parts = [torch.zeros(1, size)]
    for each, count in zip(values, rows, strict=True):
        held = torch.zeros(0, size) if each is None else each
        parts += [held, held.new_zeros(count - len(held), size)]
    return torch.cat(parts)


def _pictures(seen: dict[str, Any], name: str, settings: WamSettings, steps: int) -> Tensor:
    wanted = (steps + 1, *settings.image_size, 3)
    if name not in seen:
        raise DatasetError(f"the episode has no pictures {name!r}; it has {sorted(seen)}")
    if seen[name].shape != wanted or seen[name].dtype != np.uint8:
        raise DatasetError(f"pictures {name!r} are {seen[name].dtype} {seen[name].shape}, wanted are uint8 {wanted}")
    return torch.from_numpy(np.ascontiguousarray(seen[name]))
