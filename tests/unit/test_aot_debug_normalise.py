"""A program's debug information that is slim and says nothing of where things stand."""

import re

import pytest
from debug_text import function, module, normalised, text

from nativecache.aot.debug.normalise import keep_debug, normalise


def test_a_function_is_the_same_wherever_it_stands() -> None:
    one = normalised(function(30, "f", 10))
    other = normalised(function(50, "g", 5), function(70, "f", 900))
    assert text(one, "f") == text(other, "f")
    assert one.debug is not None and other.debug is not None
    assert (one.debug.ranges["f"], other.debug.ranges["f"]) == (10, 900)
    token = re.findall(r" !dbg (!\d+) ", text(one, "f"))[0]
    assert one.metadata[token] == other.metadata[token]


@pytest.mark.parametrize(
    "change",
    [("line: 12", "line: 13"), ("column: 3", "column: 4"), ('name: "v"', 'name: "w"'), ("!23)", "!5)")],
    ids=["line", "column", "name", "type"],
)
def test_all_that_can_be_seen_is_in_the_tokens(change: tuple[str, str]) -> None:
    code, nodes = function(30, "f", 10)
    assert change[0] in nodes
    assert text(normalised((code, nodes)), "f") != text(normalised((code, nodes.replace(*change))), "f")


def test_what_is_not_understood_stays_as_it_is() -> None:
    code, nodes = function(30, "f", 10)
    nodes = nodes.replace("!33)", "!1)")  # in a file, and in no function
    made = normalised((code, nodes))
    assert made.debug is None
    assert made.metadata["!32"] == "!DILocation(line: 13, column: 5, scope: !1)"
    assert text(made, "f") == code


def test_lines_beyond_all_encodings_keep_all_lines_real() -> None:
    near, far = module(function(30, "f", 10)), module(function(30, "g", 200_000_000))
    near, far = normalise([near, far], directory="/home/me")
    for made in near, far:
        assert made.debug is not None and not made.debug.relative
    assert "line: 13" in text(near, "f")


def test_debug_information_can_be_kept() -> None:
    made = module(function(30, "f", 10))
    made = keep_debug(made)
    assert made.metadata["!32"] == "!DILocation(line: 13, column: 5, scope: !33)"
    assert made.debug is None


def test_a_module_that_is_not_understood_leaves_others_normalised() -> None:
    code, nodes = function(30, "f", 10)
    odd, plain = module((code, nodes.replace("!33)", "!1)"))), module(function(30, "g", 10))
    odd, plain = normalise([odd, plain], directory="/home/me")
    assert odd.debug is None and plain.debug is not None
