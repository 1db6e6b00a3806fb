"""Clips of any folder of videos, however nested.

Each film is a clip; its words stand in `clip.txt` beside `clip.mp4`, or in the file of poses that EgoDex lays there. In
LeRobot data sets, of any robot, each episode is one.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import DatasetError
from . import egodex, video
from .clip import Clip
from .dataset import reading
from .lerobot import INFO
from .lerobot_clips import lerobot_clips
from .video import Picture

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")
"""How the names of films end."""


@dataclass(frozen=True)
class FilmClip(Clip):
    """A whole film: `files` are the film, its words (`.txt`) and its poses (`.hdf5`)."""

    def words(self) -> str:
        """See `Clip`."""
        film, words, poses = self.files
        if not film.is_file():
            raise DatasetError(f"{poses} has no film beside it; put {film.name} there, or take {poses.name} away")
        if words.is_file():
            with reading(words, "text"):
                return " ".join(words.read_text(encoding="utf-8").split())
        return egodex.read_poses(poses)[0] if poses.is_file() else ""

    def pictures(self) -> Iterator[Picture]:
        """See `Clip`."""
        film, _, poses = self.files
        count = 0
        for picture in video.watch(film):
            count += 1
            yield picture
        if poses.is_file():
            posed = egodex.read_poses(poses)[1]
            if abs(posed - count) > 1:
                raise DatasetError(f"{poses} has poses of {posed} frames, {film.name} has {count}; copy both again")


def find_clips(path: Path, camera: str | None = None) -> list[Clip]:
    """All clips of a folder and of those inside it, in the order of their names; of a film, the one clip.

    Args:
        path: a film, or a folder with films, EgoDex' pairs of film and poses, or LeRobot data sets. camera: of LeRobot
            data sets, whose pictures; the first that they name if not given.

    Raises:
        DatasetError: a LeRobot data set cannot be read, or has no such pictures.
    """
    if path.is_file():
        return [_film(path)] if path.suffix.lower() in SUFFIXES else []
    found: list[Clip] = []
    poses: list[Clip] = []
    for root, inside, files in os.walk(path):
        folder = Path(root)
        if (folder / INFO).is_file():
            found += lerobot_clips(folder, camera)
            inside.clear()
            continue
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        here = [folder / name for name in sorted(files) if not name.startswith(".")]
        films = [file for file in here if file.suffix.lower() in SUFFIXES]
        filmed = {file.with_suffix("") for file in films}
        found += map(_film, films)
        poses += [_film(file.with_suffix(".mp4")) for file in here if _is_alone(file, filmed)]
    return found + poses if found else []


def _film(path: Path) -> FilmClip:
    return FilmClip(str(path), (path, path.with_suffix(".txt"), path.with_suffix(".hdf5")))


def _is_alone(path: Path, filmed: Container[Path]) -> bool:
    """Whether a file has poses of a film that is not there."""
    return path.suffix.lower() == ".hdf5" and path.with_suffix("") not in filmed
