"""The formats by name, and by what lies on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ...errors import DatasetError
from . import lerobot, minari, robomimic
from .dataset import TrajectoryDataset, new_folder, read_json, reading
from .lerobot_reader import LeRobotDataset
from .trajectory import Trajectory

_READERS: dict[str, Callable[[Path], TrajectoryDataset]] = {
    "lerobot": LeRobotDataset,
    "minari": minari.MinariDataset,
    "robomimic": robomimic.RobomimicDataset,
}
FORMATS = tuple(_READERS)
"""Names of the formats."""
_MARKS = (lerobot.INFO, minari.METADATA, robomimic.FILE)
_HDF5 = b"\x89HDF\r\n\x1a\n"

Notify = Callable[[str, float], None]


def write_trajectories(
    out: str | Path,
    trajectories: Iterable[Trajectory],
    format: str = "lerobot",
    *,
    pictures: lerobot.Pictures = "video",
    replace: bool = False,
    total: int | None = None,
    notify: Notify | None = None,
) -> TrajectoryDataset:
    """Writes a data set, wholly or not at all.

    Args:
        out: folder to make. trajectories: of one environment; read once, one at a time.
        format: one of `FORMATS`. pictures: of "lerobot": "video", which is lossy, or "png".
        replace: overwrite a data set that is there.
        total: number of trajectories, for progress. notify: called with ("write", share in [0, 1]).

    Returns:
        The data set, opened.

    Raises:
        DatasetError: the format is not known, the trajectories do not go together, or `out` cannot be written.
        MissingDependencyError: h5py or pyarrow is not installed.
    """
    out = Path(out)
    if format not in FORMATS:
        raise DatasetError(f"format {format!r} is not known; choose one of {', '.join(FORMATS)}")
    if pictures not in ("video", "png"):
        raise DatasetError(f"pictures={pictures!r} is not known; choose 'video' or 'png'")
    tell = notify or (lambda stage, share: None)
    told = _told(trajectories, total, tell)
    with new_folder(out, replace=replace, marks=_MARKS) as folder:
        if format == "lerobot":
            lerobot.write_lerobot(folder, told, pictures=pictures)
        elif format == "minari":
            minari.write_minari(folder, told, name=str(out))
        else:
            robomimic.write_robomimic(folder, told)
    tell("write", 1.0)
    return open_trajectories(out)


def _told(trajectories: Iterable[Trajectory], total: int | None, tell: Notify) -> Iterator[Trajectory]:
    for index, trajectory in enumerate(trajectories):
        tell("write", min(index / total, 0.999) if total else 0.0)
        yield trajectory


def open_trajectories(path: str | Path) -> TrajectoryDataset:
    """Opens a data set of any of the formats, recognised by its content.

    Args:
        path: a LeRobotDataset v3 or Minari folder, a robomimic HDF5 file or the folder around it.

    Raises:
        DatasetError: nothing is there, it is none of the formats, or it is damaged.
        MissingDependencyError: h5py or pyarrow is not installed.
    """
    path = Path(path)
    kind, root = recognise(path)
    with reading(path, kind):
        return _READERS[kind](root)


def recognise(path: Path) -> tuple[str, Path]:
    """The format of a data set and the path its reader takes.

    Raises:
        DatasetError: see `open_trajectories`.
    """
    if not path.exists():
        raise DatasetError(f"{path}: no such file or folder; `pocketworlds record` makes data sets")
    if path.is_dir():
        if (path / lerobot.INFO).is_file():
            return "lerobot", path
        for root in (path, path.parent):
            if (root / minari.METADATA).is_file() and (root == path or path.name == "data"):
                with reading(path, "minari"):
                    if "data_format" in read_json(root / minari.METADATA):
                        return "minari", root
        inside = sorted(file for file in path.glob("*.hdf5") if _is_hdf5(file))
        if len(inside) == 1:
            return "robomimic", inside[0]
        found = f"{len(inside)} HDF5 files" if inside else "nothing of the kind"
        raise DatasetError(
            f"{path} is no data set: there is {found} in it; known are LeRobotDataset v3 (meta/info.json), "
            "Minari (data/metadata.json) and robomimic (one .hdf5 file); a World Action Model learns what is seen from "
            "videos, too (.mp4, .mov, .mkv, .webm; train it with labels=false)"
        )
    if path.name == Path(minari._MAIN).name and (path.parent / "metadata.json").is_file():
        return "minari", path.parent.parent
    if _is_hdf5(path):
        return "robomimic", path
    raise DatasetError(f"{path} is no data set: not an HDF5 file, and not a folder with one")


def _is_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_HDF5)) == _HDF5
    except OSError:
        return False
