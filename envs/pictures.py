"""Pictures of the worlds of a batch, and the window, from where everything is: the same for all backends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .marks import Mark
from .rendering import GLRenderer, Renderer
from .segmentation import segmentation, segmentation_names
from .simulator import Ids, Images, RendererInfo
from .warp_rendering import WarpRenderer
from .window import Window
from .world import World


class Pictures:
    """Draws worlds that may be of several scenes; renderers and window are made when they are first needed.

    Attributes:
        segmentation_names: see `Simulator`. mark: what is marked in colours, if anything.
    """

    def __init__(
        self,
        worlds: Sequence[World],
        qpos: NDArray[np.float64],
        member: Ids,
        *,
        renderer: str,
        period: float,
    ) -> None:
        """Draws nothing yet.

        Args:
            worlds: the scenes. qpos: (num_envs, nq) of all worlds, live. member: (num_envs,) their scenes, live.
            renderer: see `envs.rendering`. period: of the window's pictures [s].
        """
        self._worlds, self._qpos, self._member = worlds, qpos, member
        self._kind = _kind(renderer)
        self._period = period
        self.mark: Mark | None = None
        self.segmentation_names = segmentation_names(worlds)
        self._renderers: dict[tuple[int, int, int, bool], Renderer] = {}
        self._window: Window | None = None
        self._shown = 0  # the scene in the window

    def draw(self, ids: Ids, camera: str, kinds: Sequence[str], *, width: int, height: int, fine: bool) -> Images:
        """See `Simulator.images`."""
        found: Images = {}
        for member in np.unique(self._member[ids]):
            rows = np.flatnonzero(self._member[ids] == member)
            name = self._worlds[member].camera(camera)
            drawn = self._renderer(int(member), width, height, fine).draw(ids[rows], name, kinds, self.mark)
            if len(rows) == len(ids):
                return drawn
            for kind, pictures in drawn.items():
                if kind not in found:
                    found[kind] = np.empty((len(ids), *pictures.shape[1:]), dtype=pictures.dtype)
                found[kind][rows] = pictures
        return found

    def show(self, index: int, camera: str) -> None:
        """See `Simulator.show`."""
        member = int(self._member[index])
        if self._window is not None and member != self._shown:
            self._window.close()
            self._window = None
        if self._window is None:
            world, self._shown = self._worlds[member], member
            self._window = Window(world.drawn, self._qpos, camera=world.camera(camera), period=self._period)
        self._window.show(index, self.mark)

    def info(self, *, width: int, height: int) -> RendererInfo:
        """See `Simulator.renderer_info`."""
        return self._renderer(0, width, height, fine=False).info

    def close(self) -> None:
        """Frees graphics contexts, and closes the window."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
        if self._window is not None:
            self._window.close()
            self._window = None

    def _renderer(self, member: int, width: int, height: int, fine: bool) -> Renderer:
        """The renderer of scene number `member`."""
        key = (member, width, height, fine)
        if key not in self._renderers:
            world = self._worlds[member]
            table = segmentation(world.drawn, self.segmentation_names)
            self._renderers[key] = self._kind(world, table, self._qpos, width=width, height=height, fine=fine)
        return self._renderers[key]


def _kind(renderer: str) -> Callable[..., Renderer]:
    """What makes a renderer."""
    if renderer == "warp":
        return WarpRenderer
    if renderer == "gl":
        return GLRenderer
    from .neural_rendering import NeuralRenderer  # torch takes its time

    _, _, file = renderer.partition(":")
    return partial(NeuralRenderer, checkpoint=file or None)
