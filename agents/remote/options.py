"""Addresses of remote agents, `<scheme>:<url>[?name=value&...]`, and the options that all of them take."""

from __future__ import annotations

import os
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from ... import addresses
from ...addresses import Address
from ...errors import AgentError

EVERYTHING = "all"
"""In place of names of parts: the whole state vector."""
_SMALLEST, _LARGEST = 8, 2048  # sides of pictures, as environments take them


def _split(value: Any) -> Any:
    return tuple(part for part in value.split(",") if part) if isinstance(value, str) else value


def _size(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    sides = value.split("x")
    return tuple(sides * 2 if len(sides) == 1 else sides)


def _parts(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found: dict[str, tuple[str, ...]] = {}
    for entry in _split(value):
        theirs, separator, ours = entry.rpartition(":")
        if not separator or not theirs or theirs in found or not all(ours.split("+")):
            raise ValueError(f"{entry!r} should be THEIR_NAME:part+part, each of their names once")
        found[theirs] = tuple(ours.split("+"))
    return tuple(found.items())


def _some(value: tuple[float, ...]) -> tuple[float, ...]:
    if not value:
        raise ValueError("it should be one number, or one for every number of an action, joined by ','")
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Written as "a,b"."""
Numbers = Annotated[
    tuple[Annotated[float, Field(allow_inf_nan=False)], ...], BeforeValidator(_split), AfterValidator(_some)
]
"""Written as "1,2.5"."""
Parts = Annotated[tuple[tuple[str, tuple[str, ...]], ...], BeforeValidator(_parts)]
"""Their names, and the parts of a state that stand there, one after the other: "state:joint_pos+gripper_width,..."."""
Side = Annotated[int, Field(ge=_SMALLEST, le=_LARGEST)]


class RemoteOptions(BaseModel):
    """Options that every remote agent takes.

    Attributes:
        timeout: seconds to wait for an answer; a compiled policy's first one takes minutes. attempts: how often to
            knock at a server that is not there, and to ask one that goes away. wait: seconds between them.
        execute: how many actions of an answer are played before the next is asked for; 0: all.
        scale, offset: an action is what the server gives times `scale` plus `offset`; one number each, or one for
            every number of an action.
        image_size: (width, height) of pictures, written "224" or "320x180". camera, control_mode, renderer: keywords
            of the environment; "": its own.
        state: their names for states, see `Parts`. image: their names for the picture. blank: their names for
            pictures that there are none of, such as of a second camera; black ones are sent.
        key: environment variable that holds the server's key; an address may be published, a key may not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout: Annotated[float, Field(gt=0, le=3600)] = 120.0
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    wait: Annotated[float, Field(ge=0, le=60)] = 1.0
    execute: Annotated[int, Field(ge=0, le=1024)] = 0
    scale: Numbers = (1.0,)
    offset: Numbers = (0.0,)
    image_size: Annotated[tuple[Side, Side], BeforeValidator(_size)] = (224, 224)
    camera: str = ""
    control_mode: str = ""
    renderer: str = ""
    state: Parts = (("state", ("joint_pos", "gripper_width")),)
    image: Names = ("rgb",)
    blank: Names = ()
    key: str = ""

    def secret(self) -> str | None:
        """The server's key; None: it wants none.

        Raises:
            AgentError: the environment variable is not set.
        """
        if not self.key:
            return None
        found = os.environ.get(self.key)
        if not found:
            raise AgentError(
                f"key={self.key} names an environment variable that is not set; put the server's key there"
            )
        return found


def parse_address(text: str) -> Address:
    """The parts of an address; its target is the server's URL.

    Raises:
        AgentError: it is none; the message says what it should look like.
    """
    return addresses.parse_address(text, noun="a policy", example="openpi:ws://host:8000?execute=5", error=AgentError)


def check_url(url: str, schemes: tuple[str, ...]) -> str:
    """The URL of a server, if it is one.

    Raises:
        AgentError: it is of another scheme, or names no host or port.
    """
    try:
        parts = urlsplit(url)
        sound = parts.scheme in schemes and bool(parts.hostname) and parts.port is not None
    except ValueError:
        sound = False
    if not sound:
        raise AgentError(f"{url!r} is no address of such a server; write {schemes[0]}://host:port")
    return url
