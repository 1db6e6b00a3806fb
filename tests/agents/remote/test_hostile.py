"""Servers that answer nonsense, or mean harm: every answer is refused with a reason, and nothing of it is run."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pocketworlds.agents.remote.client import RemoteAgent
from pocketworlds.agents.remote.registry import remote_agent
from pocketworlds.errors import AgentError

from .servers import Groot, Web, assignment, groot_pack, observation, openpi, openpi_pack, vla_eval, vla_pack

ROWS = np.zeros((4, 7), np.float32)
FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Bomb:
    """Whoever unpickles it runs a command of ours."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (Path.touch, (self.marker,))


class Table:
    """Protocols, each with a server that answers whatever it is told."""

    def __init__(self) -> None:
        self.next: Any = None
        self.webs = {
            "openpi": Web(openpi(lambda message: self.next)),
            "vla_eval": Web(vla_eval(lambda payload, step: self.next)),
            "roboarena": Web(openpi(lambda m: "reset successful" if m["endpoint"] == "reset" else self.next, {})),
        }
        self.groot = Groot(lambda seen: self.next)
        addresses = {name: f"{name}:ws://127.0.0.1:{web.port}" for name, web in self.webs.items()}
        addresses["groot"] = f"groot:tcp://127.0.0.1:{self.groot.port}"
        self.agents: dict[str, RemoteAgent] = {}
        for name, address in addresses.items():
            self.agents[name] = remote_agent(f"{address}?image_size=8&timeout=5&attempts=1&wait=0")
            self.agents[name].reset(assignment())

    def refuses(self, protocol: str, found: Any) -> str:
        """That an agent refuses an answer, and why."""
        self.next = found
        agent = self.agents[protocol]
        with pytest.raises(AgentError) as caught:
            agent.act(observation(side=8))
        told = str(caught.value)
        assert agent.server.split()[-1] in told
        assert 40 < len(told) < 3000
        return told

    def stop(self) -> None:
        for agent in self.agents.values():
            agent.close()
        for web in self.webs.values():
            web.stop()
        self.groot.stop()


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    found = Table()
    yield found
    found.stop()


# -- answers that make no sense ----------------------------------------------------------------------------------------

numbers = st.one_of(st.integers(-(2**60), 2**60), st.floats(), st.booleans(), st.none())
scraps = st.recursive(
    st.one_of(numbers, st.text(max_size=8), st.binary(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
dtypes = st.one_of(
    st.sampled_from(
        [
            "O", "|O", "<O8", "object", "V8", "|V3", "<c8", "<c16", "<U4", "|S4", "<M8[s]", "<m8", "<f3", "<f16", "?",
            "f4,f4", "(2,)f4", "{'a':'f4'}", "<b2", "<i3", "b", "", "float32\n", "<f4;", "<f4 ", "<f4" * 50,
        ]
    ),
    st.none(), st.integers(-9, 9), st.binary(max_size=4), st.text(max_size=6), st.just(["<f4"]),
)  # fmt: skip
shapes = st.one_of(
    st.lists(st.integers(-(2**63), -1), min_size=1, max_size=3),
    st.lists(st.integers(2**31, 2**63), min_size=1, max_size=3),
    st.just([4, 7.0]), st.just([4, True, 7]), st.just([0, 2**62]), st.just([2**32, 2**32]), st.just([1] * 40 + [4, 7]),
    st.just([[4, 7]]), st.just({"0": 4}), st.just("47"), st.none(), st.integers(-9, 9),
)  # fmt: skip
datas = st.one_of(
    st.binary(max_size=111), st.binary(min_size=113, max_size=150), st.none(), st.text(max_size=5),
    st.lists(st.integers(0, 9), max_size=3),
)  # fmt: skip


@st.composite
def false_arrays(draw: st.DrawFn) -> dict[str, Any]:
    """Descriptions of an array (4, 7) of float32, of which one part is false."""
    part = {"dtype": "<f4", "shape": [4, 7], "data": ROWS.tobytes()}
    name, values = draw(st.sampled_from([("dtype", dtypes), ("shape", shapes), ("data", datas)]))
    if draw(st.booleans()):
        part[name] = draw(values)
    else:
        del part[name]
    return part


@st.composite
def wrong_actions(draw: st.DrawFn) -> np.ndarray:
    """True arrays that are no actions of 7 numbers."""
    kind = draw(st.sampled_from(["shape", "value", "type"]))
    if kind == "shape":
        shape = draw(
            st.lists(st.integers(0, 9), max_size=4).filter(
                lambda s: not (len(s) in (1, 2) and s[-1] == 7 and (len(s) == 1 or s[0] > 0))
            )
        )
        return np.zeros(shape, np.float32)
    if kind == "type":
        return ROWS.astype(bool)
    rows = ROWS.astype(np.float64)
    rows[draw(st.integers(0, 3)), draw(st.integers(0, 6))] = draw(
        st.sampled_from([np.nan, np.inf, -np.inf, 1e39, -1e300])
    )
    return rows


def spoilt(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes that are no message: cut off, with something behind, or drawn at random."""
    kind = draw(st.sampled_from(["cut", "longer", "random", "extension"]))
    if kind == "cut":
        return whole[: draw(st.integers(0, len(whole) - 1))]
    if kind == "longer":
        return whole + draw(st.binary(min_size=1, max_size=9))
    if kind == "extension":
        return msgpack.packb({"actions": msgpack.ExtType(draw(st.integers(0, 127)), draw(st.binary(max_size=9)))})
    return draw(st.binary(max_size=60))


@st.composite
def openpi_answers(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from(["bytes", "array", "actions", "scraps", "other"]))
    if kind == "bytes":
        return spoilt(draw, openpi_pack({"actions": ROWS}))
    if kind == "array":
        named = {name.encode(): value for name, value in draw(false_arrays()).items()}
        return msgpack.packb({"actions": {b"__ndarray__": True, **named}})
    if kind == "actions":
        return openpi_pack({"actions": draw(wrong_actions())})
    if kind == "scraps":
        return msgpack.packb({"actions": draw(scraps)})
    return msgpack.packb(draw(scraps))


@st.composite
def vla_answers(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from(["bytes", "array", "actions", "scraps", "other", "parts"]))
    if kind == "bytes":
        return spoilt(draw, vla_pack({"type": "action", "payload": {"actions": ROWS}, "seq": 1, "timestamp": 0.0}))
    if kind == "array":
        return {"payload": {"actions": {"__ndarray__": True, **draw(false_arrays())}}}
    if kind == "actions":
        return {"payload": {"actions": draw(wrong_actions())}}
    if kind == "scraps":
        return {"payload": {"actions": draw(scraps)}}
    if kind == "parts":
        name = draw(st.sampled_from(["type", "payload", "seq"]))
        return {"payload": {"actions": ROWS}} | {name: draw(scraps.filter(lambda v: v != "action"))}
    return msgpack.packb(draw(scraps))


@st.composite
def npy_files(draw: st.DrawFn) -> bytes:
    """Bytes that are no .npy file of plain numbers, though some look much like one."""
    file = io.BytesIO()
    np.save(file, np.zeros((1, 4, 6), np.float32))
    whole = file.getvalue()
    header = draw(
        st.sampled_from(
            [
                "{'descr': '|O', 'fortran_order': False, 'shape': (1, 4, 6), }",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999999, 999999999999999), }",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4, 6), }",
                "{'descr': '<f4', 'fortran_order': 0, 'shape': (1, 4, 6), }",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4, 6), 'x': 1, }",
                "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 4, 6), }",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (int(open('/etc/hostname').read()),), }",
                "__import__('os').abort()",
                "(" * 3000,
                "",
            ]
        )
    )
    kind = draw(st.sampled_from(["header", "cut", "version", "zip", "random", "length"]))
    if kind == "header":
        line = header.encode() + b"\n"
        return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line + whole[-96:]
    if kind == "cut":
        return whole[: draw(st.integers(0, len(whole) - 1))]
    if kind == "version":
        return whole[:6] + bytes([draw(st.integers(2, 255)), 0]) + whole[8:]
    if kind == "zip":
        packed = io.BytesIO()
        np.savez(packed, ROWS)
        return packed.getvalue()
    if kind == "length":
        return whole[:8] + draw(st.integers(0, 65535).filter(lambda n: n != 118)).to_bytes(2, "little") + whole[10:]
    return draw(st.binary(max_size=99))


@st.composite
def groot_answers(draw: st.DrawFn) -> Any:
    arm, gripper = np.zeros((1, 4, 6), np.float32), np.zeros((1, 4, 1), np.float32)
    kind = draw(st.sampled_from(["bytes", "npy", "arm", "length", "value", "scraps", "other", "parts"]))
    if kind == "bytes":
        return spoilt(draw, groot_pack([{"arm": arm, "gripper": gripper}, {}]))
    if kind == "npy":
        said = {"__ndarray_class__": True, "as_npy": draw(st.one_of(npy_files(), scraps))}
        return groot_pack([{"arm": said, "gripper": gripper}, {}])
    if kind == "arm":
        shape = draw(st.lists(st.integers(0, 5), max_size=4))
        return [{"arm": np.zeros(shape, np.float32), "gripper": gripper}, {}]
    if kind == "length":
        return [{"arm": np.zeros((1, draw(st.sampled_from([0, 3, 5])), 6)), "gripper": gripper}, {}]
    if kind == "value":
        arm[0, draw(st.integers(0, 3)), 0] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
        return [{"arm": arm, "gripper": gripper}, {}]
    if kind == "scraps":
        return groot_pack([{"arm": draw(scraps), "gripper": gripper}, {}])
    if kind == "parts":
        return [b"", groot_pack([{"arm": arm, "gripper": gripper}, {}])]
    return msgpack.packb(draw(scraps))


@FUZZ
@given(openpi_answers())
def test_openpi(table: Table, found: Any):
    table.refuses("openpi", found)


@FUZZ
@given(openpi_answers())
def test_roboarena(table: Table, found: Any):
    table.refuses("roboarena", found)


@FUZZ
@given(vla_answers())
def test_vla_eval(table: Table, found: Any):
    table.refuses("vla_eval", found)


@FUZZ
@given(groot_answers())
def test_groot(table: Table, found: Any):
    table.refuses("groot", found)


# -- answers that mean harm --------------------------------------------------------------------------------------------


def test_nothing_is_unpickled(table: Table, tmp_path: Path):
    marker = tmp_path / "harm"
    bomb = pickle.dumps([Bomb(marker)])
    for dtype in ("|O", "O", "<O8", "object"):
        said: dict[str, Any] = {"dtype": dtype, "shape": [1], "data": bomb}
        named = {name.encode(): value for name, value in said.items()}
        table.refuses("openpi", msgpack.packb({"actions": {b"__ndarray__": True, **named}}))
        table.refuses("vla_eval", {"payload": {"actions": {"__ndarray__": True, **said}}})
    file = io.BytesIO()
    np.save(file, np.array([Bomb(marker)], dtype=object), allow_pickle=True)
    for data in (file.getvalue(), bomb):
        said = {"__ndarray_class__": True, "as_npy": data}
        table.refuses("groot", groot_pack([{"arm": said, "gripper": ROWS}, {}]))
    assert not marker.exists()
    pickle.loads(bomb)  # it would have gone off
    assert marker.exists()


def test_nests_of_thousands_are_refused(table: Table):
    deep = b"\x91" * 100_000 + b"\xc0"
    for protocol in table.agents:
        assert "no msgpack" in table.refuses(protocol, deep)


def test_maps_as_keys_are_refused(table: Table):
    for protocol in table.agents:
        table.refuses(protocol, b"\x81\x81\xa1a\x01\x02")


def test_lengths_that_are_not_there_take_no_memory(table: Table):
    for head in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"):
        for protocol in table.agents:
            assert "no msgpack" in table.refuses(protocol, head + b"x")


def test_after_all_that_true_answers_are_taken(table: Table):
    table.next = openpi_pack({"actions": ROWS})
    assert table.agents["openpi"].act(observation(side=8)).shape == (1, 4, 7)
    table.next = [{"arm": np.zeros((1, 4, 6)), "gripper": np.zeros((1, 4, 1))}, {}]
    assert table.agents["groot"].act(observation(side=8)).shape == (1, 4, 7)
    table.next = {"payload": {"actions": ROWS}}
    table.agents["vla_eval"].reset(assignment())
    assert table.agents["vla_eval"].act(observation(side=8)).shape == (1, 4, 7)
