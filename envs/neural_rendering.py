"""Pictures without OpenGL: where everything is goes to `world_models.hybrid.rendering`, whole batches at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..world_models.hybrid.reflectance import load_renderer
from ..world_models.hybrid.rendering import Painter
from ..world_models.shipped import SHIPPED
from .backends.appearance import appearance
from .marks import Mark, paint
from .rendering import Drawn, roundness
from .segmentation import Segmentation
from .simulator import Ids, Images, RendererInfo

RENDERER = SHIPPED / "renderer.safetensors"
"""The renderer that comes with the package, for all robots and scenes."""


class NeuralRenderer:
    """Draws by a learned model, on the processor; see `envs.rendering.Renderer`."""

    def __init__(
        self,
        world: Drawn,
        table: Segmentation,
        qpos: NDArray[np.float64],
        *,
        width: int,
        height: int,
        fine: bool,
        checkpoint: str | Path | None = None,
    ) -> None:
        """Looks at the scene; see `GLRenderer`.

        Args:
            world, table, qpos, width, height, fine: see `GLRenderer`.
            checkpoint: of the model; None: the one that comes with the package.

        Raises:
            CheckpointError: it cannot be used. TaskError: there is something in the scene that it cannot draw.
        """
        _, slices, stacks, _ = roundness(width, height, fine=fine)
        network, _ = load_renderer(checkpoint or RENDERER)
        self._painter = Painter(appearance(world.drawn, table, slices=slices, stacks=stacks), network)
        self._qpos, self._size, self._fine = qpos, (width, height), fine
        self.info = RendererInfo("neural", "torch", "cpu")

    def draw(self, ids: Ids, camera: str, kinds: Sequence[str], mark: Mark | None = None) -> Images:
        """See `envs.rendering.Renderer`."""
        if not self._fine or "rgb" not in kinds:
            return self._drawn(ids, camera, kinds, mark, self._size)
        # Four samples a pixel, of colours only: there is nothing between two things, or two distances.
        width, height = self._size
        large = torch.from_numpy(self._drawn(ids, camera, ("rgb",), mark, (2 * width, 2 * height))["rgb"])
        four = large.view(len(ids), height, 2, width, 2, 3).to(torch.int32).sum((2, 4))
        rest = [kind for kind in kinds if kind != "rgb"]
        smooth: Images = {"rgb": ((four + 2) // 4).to(torch.uint8).numpy()}
        return smooth | self._drawn(ids, camera, rest, None, self._size) if rest else smooth

    def _drawn(self, ids: Ids, camera: str, kinds: Sequence[str], mark: Mark | None, size: tuple[int, int]) -> Images:
        """Pictures of worlds with one sample a pixel."""
        qpos = torch.from_numpy(self._qpos[ids].astype(np.float32))
        marked = mark is not None and "rgb" in kinds
        asked = [*kinds, "depth"] if marked and "depth" not in kinds else kinds
        drawn = self._painter.draw(qpos, camera, asked, width=size[0], height=size[1])
        found: Images = {kind: pictures.numpy() for kind, pictures in drawn.items()}
        if mark is not None and marked:
            eye, axes, slope = self._painter.stand(qpos, camera)
            paint(mark, found["rgb"], found["depth"], mark.places(ids), eye.numpy(), axes.numpy(), slope)
        return {kind: found[kind] for kind in kinds}

    def close(self) -> None:
        """See `envs.rendering.Renderer`."""
