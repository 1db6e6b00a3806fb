"""Any learned simulator of frames behind the same environments.

Episodes begin as in physics: that is asked once for the sensors of a start, and OpenGL for a picture of it, of which
the model gets as many copies as it takes, with actions of zero between them. From then on the model is alone. It says
the next state vector, which becomes sensors, so that tasks reward it with the same code; and the next picture, which is
what its camera shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import CheckpointError, TaskError
from ...world_models.checkpoint import Card, read_card
from ...world_models.simulator import Context, NeuralSimulator
from ..config import Config
from ..marks import Mark
from ..simulator import Array, Episodes, Ids, Images, RendererInfo, Sensors, SimulatorState
from ..world import World
from .frame_vectors import SensorVectors, scene_size, scene_vector
from .physics import PhysicsSimulator

KINDS = ("latent_flow", "pixel_edm")
"""Kinds of checkpoint that `make_frame_simulator` opens."""

_MODEL, _PICTURE = "model/", "picture"
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # SplitMix64's


class FrameSimulator:
    """`num_envs` worlds in a model's dreams, each of one of a few scenes; see `Simulator`.

    What a model draws by chance is a function of how an episode begins: the same episode is the same dream, in a batch
    of any size.
    """

    def __init__(
        self,
        worlds: Sequence[World],
        num_envs: int,
        model: NeuralSimulator,
        *,
        control_mode: str = "ee_delta",
        num_threads: int = 0,
        name: str = "the model",
        card: Card | None = None,
    ) -> None:
        """Looks at the scenes.

        Args:
            worlds: the compiled scenes with their robot, of one layout. num_envs: number of worlds.
            model: of as many worlds, behind `chunks.Buffered` if it takes several actions at once.
            control_mode: see `envs.control`. num_threads: with which episodes begin, 0 for all processors.
            name: of the model in errors, its file for example. card: of its checkpoint, if it has one.

        The model is closed with the simulator, but stays open if that cannot be made.

        Raises:
            CheckpointError: the model is for something else; the message says what differs.
            TaskError: a scene has not got the model's camera.
        """
        self._worlds, self._model, self._name = tuple(worlds), model, name
        self._card = card
        self.num_envs = num_envs
        self._start = PhysicsSimulator(
            worlds, num_envs, control_mode=control_mode, num_threads=num_threads, renderer="gl"
        )
        self.control_period = self._start.control_period
        self.action_size = self._start.action_size
        self.segmentation_names = self._start.segmentation_names
        self._vectors = SensorVectors(self._start.sensors())
        self._camera = model.spec.camera
        try:
            self._check(control_mode)
        except BaseException:
            self._start.close()
            raise
        self._scenes: dict[int, NDArray[np.float32]] = {}
        self._member = np.zeros(num_envs, dtype=np.int64)
        self._all = np.arange(num_envs)
        self._sensors = {name: values.copy() for name, values in self._start.sensors().items()}
        size = model.spec.image_size
        self._picture = None if size is None else np.zeros((num_envs, *size, 3), dtype=np.uint8)
        self._spread = np.zeros(num_envs)

    def reset(self, ids: Ids, episodes: Episodes) -> None:
        """See `Simulator`."""
        self._member[ids] = episodes.member
        self._start.reset(ids, episodes)
        begun = {name: values[ids] for name, values in self._start.sensors().items()}
        for name, values in begun.items():
            self._sensors[name][ids] = values
        spec, count = self._model.spec, len(ids)
        state = torch.from_numpy(self._vectors.packed(begun))
        scene = np.stack([self._scene(int(member)) for member in episodes.member])
        image: Tensor | None = None
        if self._picture is not None:
            height, width = self._picture.shape[1:3]
            drawn = self._start.images(ids, self._camera, ("rgb",), width=width, height=height)["rgb"]
            self._picture[ids] = drawn
            image = torch.from_numpy(drawn)[:, None].expand(-1, spec.context, -1, -1, -1)
        context = Context(
            image=image,
            state=state[:, None].expand(-1, spec.context, -1),
            action=torch.zeros(count, spec.context - 1, spec.action_size),
            scene=torch.from_numpy(scene),
            seed=torch.from_numpy(_keys(episodes)),
        )
        self._model.reset(torch.from_numpy(ids), context)
        self._spread[ids] = 0.0

    def step(self, action: Array, ids: Ids | None = None) -> NDArray[np.bool_]:
        """See `Simulator`: a world is lost where the model says what is not finite."""
        rows = self._all if ids is None else ids
        made = self._model.step(torch.from_numpy(rows), torch.from_numpy(action[rows].astype(np.float32)))
        if made.state is None:
            raise CheckpointError(
                f"{self._name} foretells no states, so no task can say how it goes; train it with them"
            )
        sensed = self._vectors.unpacked(made.state.numpy())
        good = np.isfinite(np.concatenate([values.reshape(len(rows), -1) for values in sensed.values()], 1).sum(1))
        failed = np.zeros(self.num_envs, dtype=np.bool_)
        failed[rows[~good]] = True
        for name, values in sensed.items():
            self._sensors[name][rows[good]] = values[good]
        if self._picture is not None and made.image is not None:
            self._picture[rows[good]] = made.image.numpy()[good]
        if made.uncertainty is not None:
            self._spread[rows[good]] = made.uncertainty.numpy()[good]
        return failed

    def diagnostics(self) -> Mapping[str, NDArray[Any]]:
        """See `Simulator`: `neural/spread`, how far several guesses are apart, where the model makes several.

        It is in units of the model's own and not calibrated: no bound in metres, as `neural/uncertainty` is.
        """
        return {"neural/spread": self._spread} if self._model.spec.uncertainty else {}

    def meter(self) -> None:
        """See `Simulator`: models do not tell it."""
        return None

    def audited(self, env_id: str) -> int:
        """See `Simulator`."""
        return self._model.spec.horizon if self._card is None else self._card.audited(env_id)

    def sensors(self) -> Sensors:
        """See `Simulator`."""
        return self._sensors

    def get_state(self, ids: Ids | None = None) -> SimulatorState:
        """See `Simulator`; what the model holds is under `controller`."""
        rows = self._all if ids is None else ids
        held: dict[str, Any] = {
            _MODEL + name: values.numpy().copy()
            for name, values in self._model.get_state(torch.from_numpy(rows)).items()
        }
        if self._picture is not None:
            held[_PICTURE] = self._picture[rows].copy()
        return SimulatorState(
            member=self._member[rows].copy(),
            physics=self._spread[rows, None].copy(),
            controller=held,
            sensors={name: values[rows].copy() for name, values in self._sensors.items()},
        )

    def set_state(self, state: SimulatorState, ids: Ids | None = None) -> None:
        """See `Simulator`."""
        rows = self._all if ids is None else ids
        self._member[rows] = state.member
        self._spread[rows] = state.physics[:, 0]
        held = {
            name.removeprefix(_MODEL): torch.from_numpy(values.copy())
            for name, values in state.controller.items()
            if name.startswith(_MODEL)
        }
        self._model.set_state(torch.from_numpy(rows), held)
        if self._picture is not None:
            self._picture[rows] = state.controller[_PICTURE]
        for name, values in self._sensors.items():
            values[rows] = state.sensors[name]

    def mark(self, mark: Mark | None) -> None:
        """See `Simulator`: the pictures that episodes begin with; the model dreams it on."""
        self._start.mark(mark)

    def images(
        self, ids: Ids, camera: str, kinds: Sequence[str], *, width: int, height: int, fine: bool = False
    ) -> Images:
        """See `Simulator`: what the model dreams, in another size if that is asked for.

        Raises:
            TaskError: another camera or kind of picture is asked for.
        """
        check_pictures(self._model, camera, kinds, self._name)
        assert self._picture is not None
        return {"rgb": _resized(self._picture[ids], height, width)}

    def show(self, world: int, camera: str) -> None:
        """See `Simulator`.

        Raises:
            TaskError: always: there is nothing that a window could show from all sides.
        """
        raise TaskError("a model of frames has no window; use render_mode='rgb_array'")

    def renderer_info(self, *, width: int, height: int) -> RendererInfo:
        """See `Simulator`."""
        device = getattr(self._model, "device", torch.device("cpu"))
        return RendererInfo("neural", self._model.spec.kind, str(device))

    def close(self) -> None:
        """See `Simulator`."""
        self._start.close()
        _close(self._model)

    def _scene(self, member: int) -> NDArray[np.float32]:
        """The vector of scene number `member`, made when it is first needed."""
        if member not in self._scenes:
            made = scene_vector(self._worlds[member], self._camera) if self._model.spec.scene_size else np.zeros(0)
            self._scenes[member] = np.asarray(made, dtype=np.float32)
        return self._scenes[member]

    def _check(self, control_mode: str) -> None:
        """Compares the model with what is here; see `__init__` for what it raises."""
        spec, world = self._model.spec, self._worlds[0]
        state = ", ".join(f"{name} {size}" for name, size in self._vectors.layout.items())
        told = ", ".join(f"{name} {size}" for name, size in spec.state.items())
        pairs: list[tuple[str, Any, Any]] = [
            ("worlds", self._model.num_envs, self.num_envs),
            ("robot", getattr(spec, "robot", "") or world.robot.name, world.robot.name),
            ("control_mode", spec.control_mode, control_mode),
            ("action_size", spec.action_size, self.action_size),
            ("state", told, state),
            ("scene_size", spec.scene_size or scene_size(world), scene_size(world)),
            ("period", round(spec.period, 9), round(self.control_period, 9)),
        ]
        for what, theirs, ours in pairs:
            if theirs != ours:
                raise CheckpointError(
                    f"{self._name} is for something else: {what} is {theirs!r}, here it is {ours!r}; train a model (or "
                    "a probe) for this one, see docs/neural.md"
                )
        for world in self._worlds:
            world.camera(spec.camera)


def make_frame_simulator(config: Config, worlds: Sequence[World], num_envs: int) -> FrameSimulator:
    """The simulator of a checkpoint of frames (see `KINDS`) that keywords ask for.

    Raises:
        CheckpointError: it cannot be used, or not here. TaskError: pictures are asked for that the model has not got.
    """
    if config.checkpoint is None:
        raise CheckpointError("models of frames do not come with the package; pass checkpoint=<file>")
    path = Path(config.checkpoint)
    _check_keywords(config, str(path))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    card = read_card(path)
    model = opener(path, card)(path, num_envs, device=device)
    return _frames(config, worlds, num_envs, model, str(path), card)


def make_external_simulator(config: Config, worlds: Sequence[World], num_envs: int) -> FrameSimulator:
    """The simulator of other people's model, by its address; see `world_models.external.registry`.

    Raises:
        CheckpointError, MissingDependencyError: see `open_external`. TaskError: it has not got what is asked for.
    """
    from ...world_models.external.registry import open_external, require_states

    name = str(config.checkpoint)
    _check_keywords(config, name)
    model = open_external(name, num_envs)
    try:
        require_states(model.spec, name)
        return _frames(config, worlds, num_envs, model, name, None)
    except BaseException:
        _close(model)
        raise


def _check_keywords(config: Config, name: str) -> None:
    if config.on_ood in {"truncate", "fallback_physics"}:
        raise TaskError(
            f"{name} is a model of frames, which does not say where it is unsure; it takes no on_ood={config.on_ood!r}"
        )
    if config.render_mode == "human":
        raise TaskError(f"{name} is a model of frames, which has no window; use render_mode='rgb_array'")


def _frames(
    config: Config, worlds: Sequence[World], num_envs: int, model: NeuralSimulator, name: str, card: Card | None
) -> FrameSimulator:
    pictures = [kind for kind in config.observations if kind != "state"]
    check_pictures(model, config.camera if pictures else model.spec.camera, pictures, name)
    return FrameSimulator(
        worlds,
        num_envs,
        model,
        control_mode=config.control_mode,
        num_threads=config.num_threads,
        name=name,
        card=card,
    )


def _close(model: NeuralSimulator) -> None:
    """Closes what a model holds open, a connection for example, if it does."""
    close = getattr(model, "close", None)
    if close is not None:
        close()


def opener(path: Path, card: Card) -> Callable[..., NeuralSimulator]:
    """What opens a checkpoint with such a card: takes its path, the number of worlds and a `device`.

    Raises:
        CheckpointError: it is of a kind that is none of frames.
    """
    kind = card.kind
    if kind == "latent_flow":
        from ...world_models.latent_flow.model import open_simulator as open_latent_flow

        return open_latent_flow
    if kind == "pixel_edm":
        from ...world_models.pixel_edm.model import open_simulator as open_pixel_edm

        return open_pixel_edm
    raise CheckpointError(f"{path} is a model of kind {kind!r}; models of frames are {list(KINDS)}")


def check_pictures(model: NeuralSimulator, camera: str, kinds: Sequence[str], name: str) -> None:
    """Whether a model has pictures of these kinds from this camera.

    Raises:
        TaskError: it has not; the message says what it has.
    """
    spec = model.spec
    if kinds and spec.image_size is None:
        raise TaskError(f"{name} dreams no pictures; use obs_mode='state'")
    for kind in kinds:
        if kind != "rgb":
            raise TaskError(f"{name} dreams pictures of kind 'rgb' only, not {kind!r}; ask for 'rgb', or use physics")
    if kinds and camera != spec.camera:
        raise TaskError(f"{name} sees through camera={spec.camera!r} only, not {camera!r}; ask for that one")


def _keys(episodes: Episodes) -> NDArray[np.int64]:
    """Seeds (m,) from how episodes begin: SplitMix64's finaliser over the bits of their numbers."""
    count = len(episodes.member)
    parts = [episodes.joint_pos, episodes.object_pos, episodes.object_quat, episodes.part_pos, episodes.member]
    flat = np.concatenate([np.asarray(part, dtype=np.float64).reshape(count, -1) for part in parts], axis=1)
    bits = (np.ascontiguousarray(flat) + 0.0).view(np.uint64)  # one zero, not two
    found = np.full(count, np.uint64(bits.shape[1]))
    for column in bits.T:
        found = found ^ column
        found = (found ^ (found >> np.uint64(30))) * _FIRST
        found = (found ^ (found >> np.uint64(27))) * _SECOND
        found = found ^ (found >> np.uint64(31))
    return found.view(np.int64)


def _resized(pictures: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Pictures (m, h, w, 3) in another size, smoothly."""
    if pictures.shape[1:3] == (height, width):
        return pictures
    signal = torch.from_numpy(pictures).movedim(-1, 1).float()
    mode = {"mode": "bilinear", "antialias": True, "align_corners": False}
    found = torch.nn.functional.interpolate(signal, (height, width), **mode)  # type: ignore[arg-type]
    return np.ascontiguousarray(found.clamp(0, 255).round().to(torch.uint8).movedim(1, -1).numpy())
