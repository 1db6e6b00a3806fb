"""Cosmos 3 behind `NeuralSimulator`, through diffusers: pictures of what actions lead to ("forward dynamics").

It goes on from one picture by chunks, says no states and no rewards, and sees through one camera; states come from a
probe, see `probed`. Its pipeline takes one prompt a call, so worlds are made one after the other: that is a loop over
worlds which this adapter cannot avoid.

Sources: `Cosmos3OmniPipeline` of diffusers 0.42; arXiv:2606.02800. A step of a pose is "backward framewise" and brought
to [-1, 1] by the 1st and 99th percentiles of a domain's data (cosmos-framework, `BridgeOrigLeRobotDataset`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ...errors import CheckpointError, MissingDependencyError
from ..frames.settings import Size, Strict
from ..frames.worlds import HeldWorlds
from ..simulator import Context, Prediction, Spec
from .poses import gripper_frame, poses10

KIND = "cosmos3"
LICENCE = "OpenMDW-1.1"
_ID = "nvidia/Cosmos3-Nano"
_FLOW_SHIFT = 10.0  # of the released action recipes
_CLOSED_IS_ONE = {"bridge_orig_lerobot": False, "droid_lerobot": True}
_ACTION = 7
_WIDTH = 10
_FLAT = 1e-8  # percentiles that are no farther apart are one number; as in cosmos-framework
DOMAINS = ("bridge_orig_lerobot", "droid_lerobot", "robomind-franka", "robomind-ur", "fractal", "umi")
"""Domains whose actions are a pose's step and a gripper."""


class Cosmos3Options(Strict):
    """Options of an address.

    Attributes:
        domain: see `DOMAINS`. stats: a JSON file with `q01` and `q99` (10 numbers each) of the domain's actions, as
            in cosmos-framework; "none": the model was trained on metres. gripper: what is 1 in the domain, "open" or
            "closed"; "": as known of bridge and DROID. chunk: actions at once. size: of pictures, square [pixels].
        tier: the model's resolution. steps: of denoising. guidance: scale of. prompt: what is done. view: "ego_view",
            "third_person_view" or "wrist_view". camera, period: that the environment must have where no probe says
            [s]. device: "cuda", "cpu" or "" for what there is. download: whether weights may be fetched.
    """

    domain: str = DOMAINS[0]
    stats: str = ""
    gripper: Literal["", "open", "closed"] = ""
    chunk: Annotated[int, Field(ge=1, le=128)] = 16
    size: Size = 256
    tier: Literal["256", "480", "704", "720"] = "256"
    steps: Annotated[int, Field(ge=1, le=200)] = 30
    guidance: Annotated[float, Field(ge=0, le=20)] = 1.0
    prompt: str = "The robot arm moves."
    view: Literal["ego_view", "third_person_view", "wrist_view"] = "third_person_view"
    camera: str = "front"
    period: Annotated[float, Field(gt=0, le=10)] = 0.05
    device: str = ""
    download: bool = False

    def closed_is_one(self) -> bool:
        """What the gripper's number means.

        Raises:
            CheckpointError: it is not known of this domain, and the address does not say.
        """
        if self.gripper:
            return self.gripper == "closed"
        if self.domain not in _CLOSED_IS_ONE:
            raise CheckpointError(
                f"whether a 1 opens or closes in domain={self.domain!r} is not known; add gripper=open"
            )
        return _CLOSED_IS_ONE[self.domain]


class Cosmos3Model(HeldWorlds):
    """`num_envs` worlds of a pipeline, by chunks; see `chunks.ChunkModel`."""

    def __init__(
        self,
        pipeline: Any,
        num_envs: int,
        options: Cosmos3Options,
        *,
        layout: Mapping[str, int] | None = None,
        scene_size: int = 0,
        weights: str = "",
    ) -> None:
        """Takes a pipeline.

        Args:
            pipeline: `Cosmos3OmniPipeline`. num_envs: worlds. options: see there. layout, scene_size: names and sizes
                of what contexts' states are made of, and numbers of a scene, from which the gripper's frame is read.
            weights: SHA-256, "" where they are not one file.

        Raises:
            CheckpointError: an option makes no sense; the message says which, and what to give.
        """
        if options.domain not in DOMAINS:
            raise CheckpointError(
                f"domain={options.domain!r} has no actions for a gripper's motion; Cosmos 3 has {list(DOMAINS)}"
            )
        spec = Spec(
            kind=KIND,
            control_mode="ee_delta",
            action_size=_ACTION,
            state={},
            scene_size=scene_size,
            image_size=(options.size, options.size),
            camera=options.camera,
            period=options.period,
            context=1,
            chunk=options.chunk,
            horizon=0,
            licence=LICENCE,
            weights=weights,
        )
        super().__init__(num_envs, spec, torch.device("cpu"))
        self._pipeline, self._options, self._layout = pipeline, options, dict(layout or {})
        self._closed_is_one = options.closed_is_one()
        self._middle, self._half = read_stats(options)

    def reset(self, ids: Tensor, context: Context) -> None:
        """See `NeuralSimulator`.

        Raises:
            CheckpointError: there is no picture, or nothing says where the gripper points.
        """
        size = self.spec.image_size
        if context.image is None or tuple(context.image.shape[2:4]) != size:
            told = None if context.image is None else tuple(context.image.shape[2:4])
            raise CheckpointError(f"Cosmos 3 was opened for pictures of {size}, the context has {told}")
        held = {
            "image": context.image[:, -1],
            "frame": gripper_frame(context, self._layout),
            "seed": context.seed,
            "counter": torch.zeros(len(ids), dtype=torch.int64),
        }
        self._put(ids, held)

    def step_chunk(self, ids: Tensor, action: Tensor) -> Prediction:
        """See `chunks.ChunkModel`."""
        held = self._take(ids)
        poses, frames = poses10(action, held["frame"], closed_is_one=self._closed_is_one)
        raw = ((poses - self._middle) / self._half).clamp(-1, 1) if self._scaled else poses
        images = torch.stack(
            [
                self._made(held["image"][row], raw[row].float(), int(held["seed"][row]), int(held["counter"][row]))
                for row in range(len(ids))  # one prompt a call
            ]
        )
        changed = {
            "image": images[:, -1],
            "frame": frames[:, -1],
            "seed": held["seed"],
            "counter": held["counter"] + 1,
        }
        self._put(ids, changed)
        return Prediction(image=images, state=None, uncertainty=None)

    @property
    def _scaled(self) -> bool:
        return self._options.stats != "none"

    def _made(self, image: Tensor, raw: Tensor, seed: int, counter: int) -> Tensor:
        """Pictures (C, height, width, 3) uint8 after one (height, width, 3)."""
        from diffusers import CosmosActionCondition
        from PIL import Image

        options = self._options
        draws = torch.Generator().manual_seed((seed * 1_000_003 + counter) & 0x7FFFFFFFFFFFFFFF)
        made = self._pipeline(
            options.prompt,
            action=CosmosActionCondition(
                mode="forward_dynamics",
                chunk_size=options.chunk,
                domain_name=options.domain,
                resolution_tier=int(options.tier),
                image=Image.fromarray(image.numpy()),
                raw_actions=raw,
                view_point=options.view,
            ),
            fps=1 / options.period,
            num_inference_steps=options.steps,
            guidance_scale=options.guidance,
            use_system_prompt=False,
            generator=draws,
            output_type="np",
        ).video
        frames = torch.from_numpy(np.asarray(made, dtype=np.float32)).reshape(-1, *np.shape(made)[-3:])
        if len(frames) != options.chunk + 1:
            raise CheckpointError(f"Cosmos 3 made {len(frames)} pictures of {options.chunk} actions; update diffusers")
        after = frames[1:].movedim(-1, 1)
        size = (options.size, options.size)
        if tuple(after.shape[2:]) != size:
            after = torch.nn.functional.interpolate(after, size, mode="bilinear", antialias=True)
        return torch.nan_to_num(after * 255).clamp(0, 255).round().to(torch.uint8).movedim(1, -1).contiguous()


def read_stats(options: Cosmos3Options) -> tuple[Tensor, Tensor]:
    """The middle and half the distance (10,) of the 1st and 99th percentiles of a domain's actions.

    Numbers that never changed in the data are at an infinite distance, so they are sent as zero, whatever the robot
    here does: that is what cosmos-framework makes of the one value that the data have (`action_processing.py`).

    Raises:
        CheckpointError: the address says nothing of them, or the file cannot be used.
    """
    if options.stats == "none":
        return torch.zeros(_WIDTH, dtype=torch.float64), torch.ones(_WIDTH, dtype=torch.float64)
    if not options.stats:
        raise CheckpointError(
            "Cosmos 3 takes actions scaled by its domain's percentiles: add stats=<file>, the domain's JSON file of "
            f"https://github.com/NVIDIA/cosmos-framework ({options.domain}_stats.json), or stats=none for a model "
            "trained on metres"
        )
    try:
        told = json.loads(Path(options.stats).expanduser().read_text())
        low, high = (torch.tensor(told[name], dtype=torch.float64) for name in ("q01", "q99"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"stats={options.stats}: {error!r}; it must be a JSON file with lists q01 and q99"
        ) from error
    good = low.shape == high.shape == (_WIDTH,) and bool((low.isfinite() & high.isfinite() & (high >= low)).all())
    if not good:
        raise CheckpointError(f"stats={options.stats}: q01 and q99 must be {_WIDTH} finite numbers each, q01 the lower")
    half = (high - low) / 2
    return (high + low) / 2, torch.where(high - low < _FLAT, torch.inf, half)


def load_pipeline(target: str, options: Cosmos3Options) -> Any:
    """The pipeline in a folder, in diffusers' format, or of an id on Hugging Face; what is on this machine comes first.

    Its guardrail model is left out: it is gated, and looks at words and faces. Only safetensors files are read.

    Raises:
        MissingDependencyError: diffusers is missing, or too old. CheckpointError: the weights are not there, or cannot
            be used; the message says where to get them, and under which licence.
    """
    try:
        import accelerate  # noqa: F401 - without it, diffusers cannot read the Wan tokeniser
        from diffusers import Cosmos3OmniPipeline, UniPCMultistepScheduler
    except ImportError as error:
        raise MissingDependencyError(
            f"Cosmos 3 needs diffusers >= 0.42, transformers >= 5 and accelerate ({error}): pip install "
            "pocketworlds[cosmos3]"
        ) from error
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    kind = torch.bfloat16 if device.startswith("cuda") else torch.float32
    local = Path(target).expanduser()
    here = local.is_dir()
    if not here and (local.is_absolute() or target.startswith((".", "~"))):
        raise CheckpointError(f"there is no folder {local}; give a folder in diffusers' format, or an id such as {_ID}")
    try:
        pipeline = Cosmos3OmniPipeline.from_pretrained(
            str(local) if here else target,
            enable_safety_checker=False,
            local_files_only=here or not options.download,
            use_safetensors=True,
            dtype=kind,
        )
    except Exception as error:  # diffusers and the hub raise many kinds
        if here:
            raise CheckpointError(
                f"{local} holds no Cosmos 3 pipeline that can be used ({error}); fetch it anew"
            ) from error
        raise CheckpointError(
            f"Cosmos 3's weights {target} are not on this machine ({type(error).__name__}): fetch them with "
            f"`hf download {target}` (licence {LICENCE}, https://huggingface.co/{target}; tens of GB), or let it be "
            "done with ?download=true in the address"
        ) from error
    pipeline.scheduler = UniPCMultistepScheduler.from_config(
        pipeline.scheduler.config, flow_shift=_FLOW_SHIFT, use_karras_sigmas=False
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def open_cosmos3(
    target: str,
    num_envs: int,
    options: Cosmos3Options,
    *,
    layout: Mapping[str, int] | None = None,
    scene_size: int = 0,
) -> Cosmos3Model:
    """Worlds of a pipeline; see `load_pipeline` and `Cosmos3Model`."""
    options.closed_is_one()
    read_stats(options)  # before tens of GB are read
    return Cosmos3Model(load_pipeline(target, options), num_envs, options, layout=layout, scene_size=scene_size)
