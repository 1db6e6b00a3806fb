"""Addresses and options of remote agents."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pocketworlds.addresses import read_options
from pocketworlds.agents.remote.options import check_url, parse_address
from pocketworlds.agents.remote.registry import REMOTE, remote_agent
from pocketworlds.errors import AgentError


def test_an_address_has_a_scheme_a_url_and_options():
    found = parse_address("openpi:wss://host:8000/path?image=a%20b,c&state=x:y+z&blank=")
    assert (found.scheme, found.target) == ("openpi", "wss://host:8000/path")
    assert found.options == {"image": "a b,c", "state": "x:y+z", "blank": ""}
    options = read_options(found, REMOTE["openpi"].options, error=AgentError)
    assert (options.image, options.blank) == (("a b", "c"), ())
    assert options.state == (("x", ("y", "z")),)


@pytest.mark.parametrize("text", ["", "openpi", "openpi:", ":ws://host:1", "openpi:?execute=5"])
def test_what_is_no_address_is_refused(text: str):
    with pytest.raises(AgentError, match="it should look like 'openpi:ws://host:8000"):
        remote_agent(text)


@pytest.mark.parametrize("query", ["execute", "=5", "execute=5&execute=6", "execute=5&&wait=1", ""])
def test_options_are_names_and_values(query: str):
    with pytest.raises(AgentError, match="should be name=value, each name once"):
        remote_agent(f"openpi:ws://host:8000?{query}")


def test_an_unknown_kind_is_told_which_there_are():
    with pytest.raises(AgentError, match=r"no servers of kind 'pi'; there are \['openpi', 'roboarena', 'groot', 'vla_"):
        remote_agent("pi:ws://host:8000")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("speed=2", r"speed='2'.*openpi takes \['timeout', 'attempts', 'wait', 'execute'.*'prompt'\]"),
        ("timeout=0", "timeout='0'"),
        ("timeout=nan", "timeout='nan'"),
        ("timeout=9999999", "timeout='9999999'"),
        ("attempts=0", "attempts='0'"),
        ("wait=-1", "wait='-1'"),
        ("execute=-1", "execute='-1'"),
        ("execute=2.5", "execute='2.5'"),
        ("scale=1,x", "scale='1,x'"),
        ("scale=inf", "scale='inf'"),
        ("offset=", "one number, or one for every number of an action"),
        ("image_size=4", "image_size='4'"),
        ("image_size=100x9999", "image_size='100x9999'"),
        ("image_size=1x2x3", "image_size='1x2x3'"),
        ("state=joint_pos", r"'joint_pos' should be THEIR_NAME:part\+part"),
        ("state=a:x,a:y", r"each of their names once"),
        ("state=a:x++y", r"THEIR_NAME:part\+part"),
        ("state=:x", r"THEIR_NAME:part\+part"),
        ("flat=maybe", "flat='maybe'"),
    ],
)
def test_options_that_make_no_sense_are_told(option: str, says: str):
    with pytest.raises(AgentError, match=says):
        remote_agent(f"openpi:ws://host:8000?{option}")


@pytest.mark.parametrize("scheme", list(REMOTE))
def test_examples_of_addresses_can_be_read(scheme: str):
    address = parse_address(REMOTE[scheme].example)
    assert address.scheme == scheme
    options = read_options(address, REMOTE[scheme].options, error=AgentError)
    assert options.model_dump(exclude_unset=True).keys() == address.options.keys()
    hash(options)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str):
    with contextlib.suppress(AgentError):
        found = parse_address(text)
        assert read_options(found, REMOTE["groot"].options, error=AgentError).attempts >= 1
        check_url(found.target, ("tcp",))
