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

    def draw(self, ids: Ids, camera: str, kinds: Sequence[str]) -> Images:
        """See `envs.rendering.Renderer`."""
        qpos = torch.from_numpy(self._qpos[ids].astype(np.float32))
        if not self._fine or "rgb" not in kinds:
            return self._drawn(qpos, camera, kinds)
        # Four samples a pixel, of colours only: there is nothing between two things, or two distances.
        width, height = self._size
        large = self._painter.draw(qpos, camera, ("rgb",), width=2 * width, height=2 * height)["rgb"]
        four = large.view(len(ids), height, 2, width, 2, 3).to(torch.int32).sum((2, 4))
        rest = [kind for kind in kinds if kind != "rgb"]
        smooth: Images = {"rgb": ((four + 2) // 4).to(torch.uint8).numpy()}
        return smooth | self._drawn(qpos, camera, rest) if rest else smooth

    def _drawn(self, qpos: torch.Tensor, camera: str, kinds: Sequence[str]) -> Images:
        """Pictures with one sample a pixel, at positions (m, nq)."""
        width, height = self._size
        drawn = self._painter.draw(qpos, camera, kinds, width=width, height=height)
        return {kind: pictures.numpy() for kind, pictures in drawn.items()}

    def close(self) -> None:
        """See `envs.rendering.Renderer`."""
