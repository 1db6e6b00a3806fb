"""How alike pictures are: PSNR, SSIM and LPIPS, on the whole picture and on what moves.

What moves in a picture are the pixels that differ from the first picture of the true sequence by more than `CHANGED` of
255 in any colour, and their eight neighbours. The mask is of the true picture alone, so that all rows of a table are
measured on the same pixels.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from ...world_models.frames import measures

Pictures = NDArray[np.uint8]
Distance = Callable[[Pictures, Pictures], NDArray[np.float64]]

CHANGED = measures.MOVED
"""Of 255: what differs by more in any colour has changed."""
_LEAST = 7  # sides of SSIM's window, which is to fit


def moving(first: Pictures, then: Pictures) -> NDArray[np.bool_]:
    """Masks (n, height, width) of what moves between true pictures (n, height, width, 3)."""
    return np.asarray(measures.moving(torch.from_numpy(first), torch.from_numpy(then), around=1).numpy())


@dataclass
class Likeness:
    """Gathers pictures of one row of a table, batch by batch.

    PSNR is of the mean squared error over all pixels gathered, so that a few pictures without any error, which are
    common where nothing has moved yet, do not make it infinite. SSIM is Wang et al. (2004): Gaussian weights of 1.5
    pixels, colours apart, where the window lies inside; on what moves, the mean of its map there. LPIPS on what moves
    is that of pictures whose other pixels are the true ones.
    """

    distance: Distance | None = None
    _squares: list[float] = field(default_factory=lambda: [0.0, 0.0])
    _pixels: list[float] = field(default_factory=lambda: [0.0, 0.0])
    _ssim: list[list[float]] = field(default_factory=lambda: [[], []])
    _lpips: list[list[float]] = field(default_factory=lambda: [[], []])
    _count: int = 0

    def add(self, truth: Pictures, found: Pictures, mask: NDArray[np.bool_]) -> None:
        """More pictures (n, height, width, 3) and what moves in the true ones (n, height, width)."""
        squares = ((truth.astype(np.float64) - found.astype(np.float64)) ** 2).mean(axis=3)
        self._count += len(truth)
        self._squares[0] += float(squares.sum())
        self._pixels[0] += squares.size
        self._squares[1] += float(squares[mask].sum())
        self._pixels[1] += float(mask.sum())
        for one, other, where in zip(truth, found, mask, strict=True):
            if min(one.shape[:2]) < _LEAST:
                continue
            whole, index = _similarity(one, other)
            self._ssim[0].append(whole)
            if where.any():
                self._ssim[1].append(float(index[where].mean()))
        if self.distance is not None:
            self._lpips[0] += self.distance(truth, found).tolist()
            some = mask.any(axis=(1, 2))
            masked = np.where(mask[..., None], found, truth)[some]
            if some.any():
                self._lpips[1] += self.distance(truth[some], masked).tolist()

    def figures(self) -> dict[str, Any]:
        """`psnr` [dB] (infinite: alike), `ssim` and `lpips`, and the same of `moving`; None where nothing was seen."""
        both = [
            {
                "psnr": psnr(self._squares[k], self._pixels[k]),
                "ssim": _mean(self._ssim[k]),
                "lpips": _mean(self._lpips[k]),
            }
            for k in (0, 1)
        ]
        share = self._pixels[1] / self._pixels[0] if self._pixels[0] else None
        return {**both[0], "moving": both[1], "moving_share": share, "pictures": self._count}


def psnr(squares: float, pixels: float) -> float | None:
    """Peak signal-to-noise ratio [dB] of a sum of squared errors over so many pixels of 0 to 255."""
    if pixels == 0:
        return None
    return float("inf") if squares == 0 else float(10 * np.log10(255.0**2 * pixels / squares))


def lpips_distance() -> tuple[Distance | None, str]:
    """LPIPS (Zhang et al. 2018, AlexNet), or None and why it is not measured; nothing is downloaded."""
    try:
        lpips = importlib.import_module("lpips")  # not among what this package needs
    except ImportError:
        return None, "not measured: `pip install lpips torchvision`"
    from pathlib import Path

    weights = Path(torch.hub.get_dir()) / "checkpoints"
    if not any(weights.glob("alexnet-*.pth")):
        return (
            None,
            f"not measured: AlexNet's weights are not in {weights}; `lpips.LPIPS(net='alex')` fetches them once",
        )
    net = lpips.LPIPS(net="alex", verbose=False).eval()

    def distance(truth: Pictures, found: Pictures) -> NDArray[np.float64]:
        one, other = (torch.from_numpy(x.astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1 for x in (truth, found))
        with torch.no_grad():
            return np.asarray(net(one, other).flatten().numpy(), dtype=np.float64)

    return distance, ""


def _similarity(one: Pictures, other: Pictures) -> tuple[float, NDArray[np.float64]]:
    """SSIM, and its map (height, width), the mean of the colours': at the border that looks at pixels made up."""
    sides = min(one.shape[:2])
    plain = sides < 11  # the Gaussian window is 11 wide
    whole, index = structural_similarity(  # type: ignore[no-untyped-call]
        one,
        other,
        channel_axis=2,
        data_range=255,
        gaussian_weights=not plain,
        sigma=1.5,
        use_sample_covariance=False,
        win_size=_LEAST if plain else None,
        full=True,
    )
    return float(whole), np.asarray(index.mean(axis=2), dtype=np.float64)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
