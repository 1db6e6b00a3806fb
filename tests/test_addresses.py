"""Addresses, as a browser would write them."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pocketworlds.addresses import parse_address
from pocketworlds.errors import AgentError

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
TARGETS = NAMES.filter(lambda text: "?" not in text)


@given(
    st.from_regex(r"[a-z_]{2,9}", fullmatch=True),
    TARGETS,
    st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), NAMES),
)
def test_what_is_percent_encoded_is_read_back(scheme: str, target: str, options: dict[str, str]) -> None:
    query = "&".join(f"{name}={quote(value, safe='+')}" for name, value in options.items())
    text = f"{scheme}:{target}" + (f"?{query}" if options else "")
    found = parse_address(text, noun="a thing", example="a:b", error=AgentError)
    assert (found.scheme, found.target, found.options, found.text) == (scheme, target, options, text)


def test_what_is_none_is_told_what_one_looks_like() -> None:
    with pytest.raises(AgentError, match=r"'there' is no address of a thing; it should look like 'a:b'"):
        parse_address("there", noun="a thing", example="a:b", error=AgentError)
