"""What models of frames learn from: episodes of pictures, states and actions, in safetensors files read piece by piece.

A file (shard) holds E episodes of T frames: `image` uint8 (E, T, height, width, 3), `state` float32 (E, T, S), `action`
float32 (E, T, A) in [-1, 1] that leads from a frame to the next (the last means nothing), `scene` float32 (E, D) and
`motion` float32 (E, T), how far things move until the next frame, in metres or radians, whatever moved most. Its
metadata say what the numbers mean (`FrameSettings`); all files of a set must say the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...errors import DatasetError
from ..resuming import save_numbers
from .settings import FrameSettings

_KEY = "pocketworlds.frames"
_TYPES = {"image": torch.uint8, "state": torch.float32, "action": torch.float32, "scene": torch.float32}
LIVELY = 1e-3
"""Things that move farther than this [m], [rad] in a control period count as moving."""
_LOOKED_AT = 48  # frames of which a scene's background is the median


@dataclass(frozen=True)
class Windows:
    """n windows of L frames each. Before an episode's first frame lie copies of it, with actions of zero.

    Attributes:
        state: (n, L, S). action: (n, L, A): from each frame to the next. scene: (n, D). image: uint8 (n, L, height,
            width, 3). latent: (n, L, ...) what a tokeniser made of the pictures. background: uint8 (n, height, width,
            3). What was not asked for is None.
    """

    state: Tensor
    action: Tensor
    scene: Tensor
    image: Tensor | None
    latent: Tensor | None
    background: Tensor | None

    def to(self, device: torch.device) -> Windows:
        """The same on a device."""
        moved: dict[str, Any] = {
            name: value if value is None else value.to(device) for name, value in vars(self).items()
        }
        return Windows(**moved)


def save_frames(path: Path, settings: FrameSettings, episodes: Mapping[str, Tensor]) -> None:
    """Writes a shard, whole or not at all; `episodes` has the tensors that the module describes."""
    save_numbers(path, episodes, metadata={_KEY: settings.model_dump_json()})


class FrameData:
    """Episodes in several shards; nothing is read before it is asked for.

    Attributes:
        settings: what the numbers mean. episodes: (shard, row) of each. lengths: (E,) frames of each.
    """

    def __init__(
        self,
        shards: Sequence[Path],
        *,
        latents: Sequence[Path] | None = None,
        episodes: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        """Opens shards.

        Args:
            shards: files, in order. latents: for each the file of `latent` (E, T, ...), see `Windows`.
            episodes: those to use, as (shard, row); None: all.

        Raises:
            DatasetError: there are none, or one cannot be read, is damaged, or is about something else than the first.
        """
        if not shards:
            raise DatasetError("there are no recorded frames to learn from; record some first")
        self._paths, self._latent_paths = tuple(shards), None if latents is None else tuple(latents)
        self._files = [_opened(path) for path in shards]
        self._latents = None if latents is None else [_opened(path) for path in latents]
        found = [_settings(path, file) for path, file in zip(shards, self._files, strict=True)]
        self.settings = found[0]
        for path, other in zip(shards, found, strict=True):
            check_alike(str(path), self.settings, other)
        sizes = [_checked(path, file, self.settings) for path, file in zip(shards, self._files, strict=True)]
        everything = [(shard, row) for shard, size in enumerate(sizes) for row in range(size[0])]
        self.episodes = tuple(everything if episodes is None else episodes)
        self.lengths = torch.tensor([sizes[shard][1] for shard, _ in self.episodes])
        self._small = [{n: f.get_tensor(n) for n in ("state", "action", "scene", "motion")} for f in self._files]
        self._backgrounds: dict[bytes, Tensor] = {}

    def __len__(self) -> int:
        return len(self.episodes)

    @property
    def frames(self) -> int:
        """Frames of all episodes."""
        return int(self.lengths.sum())

    @property
    def shards(self) -> tuple[Path, ...]:
        """The files."""
        return self._paths

    def parted(self, share: float) -> tuple[FrameData, FrameData]:
        """The first episodes, and the last `share` of them, at least one.

        Raises:
            DatasetError: there is only one episode.
        """
        cut = len(self) - max(round(share * len(self)), 1)
        if cut < 1:
            raise DatasetError(f"{len(self)} episode(s) are too few to hold some out; record more")
        return self.chosen(range(cut)), self.chosen(range(cut, len(self)))

    def chosen(self, which: Sequence[int]) -> FrameData:
        """Only these episodes."""
        picked = [self.episodes[k] for k in which]
        return FrameData(self._paths, latents=self._latent_paths, episodes=picked)

    def with_latents(self, latents: Sequence[Path]) -> FrameData:
        """The same with what a tokeniser made of the pictures, a file of `latent` for each shard."""
        return FrameData(self._paths, latents=latents, episodes=self.episodes)

    def states(self) -> tuple[Tensor, Tensor, Tensor]:
        """All states (N, S), differences of successive ones (M, S), and the episodes' scenes (E, D)."""
        held = [self._small[shard] for shard, _ in self.episodes]
        state = [each["state"][row] for each, (_, row) in zip(held, self.episodes, strict=True)]
        scene = [each["scene"][row] for each, (_, row) in zip(held, self.episodes, strict=True)]
        return torch.cat(state), torch.cat([each.diff(dim=0) for each in state]), torch.stack(scene)

    def lively(self, length: int) -> Tensor:
        """Windows (m, 2) of so many frames, as episode and first frame, inside of which something moves."""
        found = []
        for number, (shard, row) in enumerate(self.episodes):
            moves = (self._small[shard]["motion"][row] > LIVELY).float()
            if len(moves) > length - 1 >= 1:
                wide = torch.nn.functional.max_pool1d(moves[None, :-1], length - 1, 1)[0]
                first = wide.nonzero()[:, 0]
                found.append(torch.stack([torch.full_like(first, number), first], 1))
        return torch.cat(found) if found else torch.zeros(0, 2, dtype=torch.int64)

    def draw(self, count: int, length: int, draws: torch.Generator, *, lively: Tensor, share: float) -> Tensor:
        """Random windows (count, 2); a `share` of them from `lively`, the others anywhere, before the start too."""
        some = round(share * count) if len(lively) else 0
        chosen = lively[_integers(len(lively), some, draws)] if some else lively[:0]
        episode = _integers(len(self), count - some, draws)
        before = min(self.settings.context - 1, max(length - 2, 0))
        room = (self.lengths[episode] - length).clamp_min(0) + before + 1
        first = (torch.rand(count - some, generator=draws, dtype=torch.float64) * room).long() - before
        return torch.cat([chosen, torch.stack([episode, first], 1)])

    def windows(
        self,
        which: Tensor,
        length: int,
        *,
        image: bool = False,
        latent: bool = False,
        background: bool = False,
    ) -> Windows:
        """Windows of `length` frames that begin at `which` (n, 2), as episode and first frame."""
        parts: dict[str, list[Tensor]] = {
            name: [] for name in ("state", "action", "scene", "image", "latent", "background")
        }
        for number, first in which.tolist():
            shard, row = self.episodes[number]
            small, start, end = self._small[shard], max(first, 0), first + length
            missing = start - first
            parts["state"].append(_padded(small["state"][row, start:end], missing))
            action = small["action"][row, start:end]
            parts["action"].append(torch.cat([action.new_zeros(missing, action.shape[1]), action]))
            parts["scene"].append(small["scene"][row])
            if image:
                parts["image"].append(_padded(self._files[shard].get_slice("image")[row, start:end], missing))
            if latent:
                if self._latents is None:
                    raise DatasetError("no latents were made of these frames; give `latents`")
                parts["latent"].append(_padded(self._latents[shard].get_slice("latent")[row, start:end], missing))
            if background:
                parts["background"].append(self.background(number))
        held = {name: torch.stack(values) if values else None for name, values in parts.items()}
        return Windows(**held)  # type: ignore[arg-type]

    def background(self, episode: int) -> Tensor:
        """What mostly stands still: the median picture, uint8 (height, width, 3), of an episode's scene."""
        shard, row = self.episodes[episode]
        key = self._small[shard]["scene"][row].numpy().tobytes()
        if key not in self._backgrounds:
            alike = [(s, r) for s, r in self.episodes if self._small[s]["scene"][r].numpy().tobytes() == key]
            alike = alike[:: max(len(alike) // _LOOKED_AT, 1)][:_LOOKED_AT]
            each = max(_LOOKED_AT // len(alike), 1)
            seen = []
            for s, r in alike:
                frames = self._files[s].get_slice("image")
                count = frames.get_shape()[1]
                for place in sorted({k * count // each for k in range(each)}):
                    seen.append(frames[r, place : place + 1])
            self._backgrounds[key] = torch.cat(seen).median(0).values
        return self._backgrounds[key]


def check_alike(where: str, first: FrameSettings, other: FrameSettings) -> None:
    """Compares what two recordings, or a model and an environment, are about.

    Raises:
        DatasetError: they differ; the message says in what.
    """
    for name in FrameSettings.model_fields:
        ours, theirs = getattr(first, name), getattr(other, name)
        if isinstance(ours, dict):
            ours, theirs = list(ours.items()), list(theirs.items())
        if name != "context" and ours != theirs:
            raise DatasetError(f"{where}: {name} is {theirs}, elsewhere {ours}; a model is for one of them")


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise DatasetError(f"{path} cannot be read ({error}); delete it and record it anew") from error


def _settings(path: Path, file: Any) -> FrameSettings:
    told = (file.metadata() or {}).get(_KEY)
    try:
        return FrameSettings.model_validate(json.loads(told or ""))
    except (ValueError, ValidationError) as error:
        raise DatasetError(f"{path} holds no recorded frames of this package; delete it and record it anew") from error


def _checked(path: Path, file: Any, settings: FrameSettings) -> tuple[int, int]:
    """Episodes and frames of a shard."""
    names = set(file.keys())
    if not {*_TYPES, "motion"} <= names:
        raise DatasetError(f"{path} lacks {sorted({*_TYPES, 'motion'} - names)[0]}; record it anew")
    count, frames = file.get_slice("image").get_shape()[:2]
    wanted = {
        "image": [count, frames, *settings.image_size, 3],
        "state": [count, frames, settings.state_size],
        "action": [count, frames, settings.action_size],
        "scene": [count, settings.scene_size],
        "motion": [count, frames],
    }
    for name, shape in wanted.items():
        found = file.get_slice(name).get_shape()
        if found != shape:
            raise DatasetError(f"{path}: {name} is {tuple(found)}, it should be {tuple(shape)}; record it anew")
    if frames < 2:
        raise DatasetError(f"{path}: episodes of {frames} frame(s) teach nothing; record longer ones")
    return int(count), int(frames)


def _padded(values: Tensor, missing: int) -> Tensor:
    """Rows (n, ...) with copies of the first before them."""
    if not missing:
        return values
    return torch.cat([values[:1].expand(missing, *values.shape[1:]), values])


def _integers(end: int, count: int, draws: torch.Generator) -> Tensor:
    return torch.randint(0, end, (count,), generator=draws)
