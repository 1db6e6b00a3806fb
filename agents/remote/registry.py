"""Opens remote agents by address: `<scheme>:<url>[?option=value&...]`.

* `openpi:ws://host:8000`: openpi's servers; `roboarena:ws://host:8000`: RoboArena's and DreamZero's; see `openpi`.
* `groot:tcp://host:5555`: GR00T's servers, see `groot`.
* `vla_eval:ws://host:8000`: vla-eval's, and LeRobot's policies behind `examples/serve_lerobot.py`; see `vla_eval`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ...addresses import read_options
from ...errors import AgentError
from .client import RemoteAgent
from .groot import GrootAgent, GrootOptions
from .openpi import OpenPiAgent, OpenPiOptions, RoboArenaAgent, RoboArenaOptions
from .options import RemoteOptions, parse_address
from .vla_eval import VlaEvalAgent, VlaEvalOptions


@dataclass(frozen=True)
class Remote:
    """A protocol.

    Attributes:
        options: that its addresses take. open: makes an agent of a server's URL and options.
        example: of an address.
    """

    options: type[RemoteOptions]
    open: Callable[[str, Any], RemoteAgent]
    example: str


REMOTE: Mapping[str, Remote] = MappingProxyType(
    {
        "openpi": Remote(OpenPiOptions, OpenPiAgent, "openpi:ws://host:8000?execute=5"),
        "roboarena": Remote(RoboArenaOptions, RoboArenaAgent, "roboarena:ws://host:8000?image_size=320x180"),
        "groot": Remote(GrootOptions, GrootAgent, "groot:tcp://host:5555?state=arm:joint_pos,gripper:gripper_width"),
        "vla_eval": Remote(VlaEvalOptions, VlaEvalAgent, "vla_eval:ws://host:8000?image_size=96"),
    }
)
"""Protocols by their schemes."""


def remote_agent(address: str) -> RemoteAgent:
    """An agent that asks the server of an address. It is connected: a server that is missing is told of at once.

    Raises:
        AgentError: the address makes no sense, or the server is not there or cannot be used; the message says why.
        MissingDependencyError: a library is missing.
    """
    found = parse_address(address)
    if found.scheme not in REMOTE:
        raise AgentError(f"{address!r}: there are no servers of kind {found.scheme!r}; there are {list(REMOTE)}")
    kind = REMOTE[found.scheme]
    return kind.open(found.target, read_options(found, kind.options, error=AgentError))
