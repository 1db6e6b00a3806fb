"""What a World Action Model is for, and how large it is."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from ..frames.settings import Size, Strict


class NetSettings(Strict):
    """Sizes of the network.

    Attributes:
        width, depth, heads: of the transformer. state_tokens: that a state takes. patch: edge of a square of a picture
            that is one token [pixels]. letters: of an instruction that are read.
    """

    width: Annotated[int, Field(ge=32, le=8192, multiple_of=16)] = 128
    depth: Annotated[int, Field(ge=1, le=96)] = 4
    heads: Annotated[int, Field(ge=1, le=128)] = 4
    state_tokens: Annotated[int, Field(ge=1, le=64)] = 4
    patch: Annotated[int, Field(ge=4, le=128)] = 16
    letters: Annotated[int, Field(ge=1, le=1024)] = 64

    @model_validator(mode="after")
    def _fits(self) -> NetSettings:
        if self.width % (2 * self.heads):
            raise ValueError(f"width={self.width} must be a multiple of twice heads={self.heads}")
        if self.patch & (self.patch - 1):
            raise ValueError(f"patch={self.patch} must be a power of two")
        return self


class SteerSettings(Strict):
    """A small network that shifts where flows of actions begin, and corrects what comes out.

    Attributes:
        width: of its two hidden layers. noise: the largest shift of a flow's start. residual: the largest correction.
    """

    width: Annotated[int, Field(ge=16, le=4096, multiple_of=16)] = 256
    noise: Annotated[float, Field(gt=0, le=5)] = 0.5
    residual: Annotated[float, Field(ge=0, le=1)] = 0.1


class WamSettings(Strict):
    """What goes into a World Action Model and comes out of it.

    Attributes:
        robot: its name. control_mode: what actions mean, see `envs.control`. action_size: A.
        state: names and sizes of the parts of a state, in order; S is their sum. The model dreams all of them.
        seen: the parts that it is given, R numbers; a robot without motion capture sees its own joints, and pictures.
        cameras: whose pictures it is given and dreams, C of them; none: it lives on states alone.
        image_size: (height, width) of a picture [pixels], multiples of `net.patch`.
        period: of a control step [s]. chunk: H, control steps of a decision. past: L, frames that are known, the
            present one among them; they lie H control steps apart.
        net: sizes. steer: of what steers it, if anything does.
    """

    robot: Annotated[str, Field(min_length=1)]
    control_mode: Annotated[str, Field(min_length=1)]
    action_size: Size
    state: Annotated[dict[str, Size], Field(min_length=1)]
    seen: Annotated[tuple[str, ...], Field(min_length=1)]
    cameras: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    image_size: tuple[Size, Size] = (64, 64)
    period: Annotated[float, Field(gt=0, le=10)] = 0.05
    chunk: Annotated[int, Field(ge=1, le=256)] = 8
    past: Annotated[int, Field(ge=1, le=64)] = 1
    net: NetSettings = NetSettings()
    steer: SteerSettings | None = None

    @model_validator(mode="after")
    def _fits(self) -> WamSettings:
        unknown = [name for name in self.seen if name not in self.state]
        if unknown or len(set(self.seen)) != len(self.seen):
            raise ValueError(f"seen={list(self.seen)} must be different parts of the state {list(self.state)}")
        if len(set(self.cameras)) != len(self.cameras):
            raise ValueError(f"cameras={list(self.cameras)} must be different")
        if self.cameras and any(edge % self.net.patch for edge in self.image_size):
            raise ValueError(f"image_size={self.image_size} must be multiples of net.patch={self.net.patch}")
        return self

    @property
    def state_size(self) -> int:
        """S, numbers of a state."""
        return sum(self.state.values())

    @property
    def seen_at(self) -> list[int]:
        """Places (R,) in a state of the numbers that the model is given."""
        starts, start = {}, 0
        for name, size in self.state.items():
            starts[name] = start
            start += size
        return [starts[name] + k for name in self.seen for k in range(self.state[name])]

    @property
    def blind(self) -> bool:
        """Whether parts of the state must be guessed."""
        return set(self.seen) != set(self.state)

    @property
    def patches(self) -> int:
        """P, tokens of the pictures of all cameras."""
        height, width = self.image_size
        return len(self.cameras) * (height // self.net.patch) * (width // self.net.patch)

    @property
    def tokens(self) -> int:
        """N, tokens of a frame."""
        return self.net.state_tokens + self.patches + self.chunk
