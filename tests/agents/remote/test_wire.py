"""Messages: what is packed comes back, and arrays are what NumPy says they are."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pocketworlds.agents.remote import groot, openpi, vla_eval
from pocketworlds.agents.remote.wire import WireError, array_of, from_npy, pack, to_npy, told, unpack

from . import servers

KINDS = ["bool", "uint8", "int16", "uint32", "int64", "float16", "float32", "float64", ">f4", ">i8"]
any_array = arrays.arrays(st.sampled_from(KINDS), arrays.array_shapes(min_dims=0, min_side=0, max_dims=4, max_side=4))
CODECS = [
    (openpi, servers.openpi_pack, servers.openpi_unpack),
    (vla_eval, servers.vla_pack, servers.vla_unpack),
    (groot, servers.groot_pack, servers.groot_unpack),
]


@pytest.mark.parametrize(("ours", "theirs_pack", "theirs_unpack"), CODECS, ids=["openpi", "vla_eval", "groot"])
@settings(max_examples=60, deadline=None)
@given(array=any_array)
def test_arrays_go_both_ways(ours: Any, theirs_pack: Any, theirs_unpack: Any, array: np.ndarray):
    for found in (
        theirs_unpack(pack({"x": array, "n": np.float32(1.5)}, ours.encode))["x"],
        unpack(theirs_pack({"x": [array]}), ours.decode)["x"][0],
    ):
        np.testing.assert_array_equal(found, array)
        assert (found.dtype, found.shape) == (array.dtype, array.shape)


@given(array=any_array, fortran=st.booleans())
def test_npy_files_are_numpys(array: np.ndarray, fortran: bool):
    array = np.asfortranarray(array) if fortran else array
    found = from_npy(to_npy(array))
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(np.load(io.BytesIO(to_npy(array)), allow_pickle=False), array)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_message_or_refused(data: bytes):
    for codec in (openpi, vla_eval, groot):
        with contextlib.suppress(WireError):
            unpack(data, codec.decode)
    with contextlib.suppress(WireError):
        from_npy(b"\x93NUMPY\x01\x00" + data)


def test_single_numbers_of_openpi_are_numbers():
    for mark in (b"__npgeneric__", "__npgeneric__"):
        data = b"data" if isinstance(mark, bytes) else "data"
        assert openpi.decode({mark: True, data: 2.5}) == 2.5
        with pytest.raises(WireError, match="a number is list"):
            openpi.decode({mark: True, data: [1]})


STRANGE = {
    8: ["O", "|O", "V8", "<c8", "<M8[s]", "<m8", "f4,f4", "(2,)f4"],
    4: ["|V4", "<U1", "|S4", "float32", "<f4 ", "<f4\n", " <f4"],
    16: ["<f16", "<c16"],
    3: ["<f3"],
    0: [""],
}
"""Types that are refused, by the bytes that an array of one would have."""


@pytest.mark.parametrize(("dtype", "size"), [(dtype, size) for size, found in STRANGE.items() for dtype in found])
def test_only_plain_numbers_are_taken_even_where_the_bytes_fit(dtype: str, size: int):
    with pytest.raises(WireError, match="only truth values and numbers are taken"):
        array_of(dtype, [1], b"\0" * size)


def test_arrays_take_no_memory_that_was_not_sent():
    for shape in ([2**40], [2**20, 2**20], [0, 2**40], [2**62, 4]):
        with pytest.raises(WireError, match=r"an array has (0|4) bytes"):
            array_of("<f4", shape, b"" if 0 in shape else b"1234")


def test_what_cannot_be_sent_is_not_sent():
    with pytest.raises(TypeError, match="object cannot be sent"):
        pack({"x": object()}, openpi.encode)


def test_what_a_server_says_cannot_steer_a_terminal():
    assert told("a\x1b[2Jb\r\nc\u202e") == "a [2Jb \nc"
    assert told("x" * 5000).startswith("... x")
    assert len(told("x" * 5000)) < 1100
