"""Lazy patterns are patterns, and all that modules have can be compiled."""

import importlib
import re

import pytest
from harness import ROOT

from nativecache.linker import lazy_re

MODULES = [
    "nativecache." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for part in ("aot", "cli", "linker")
    for path in sorted((ROOT / part).rglob("*.py"))
    if path.stem != "__init__"
]


def test_a_pattern_does_what_the_compiled_one_does() -> None:
    lazy = lazy_re.compile(r"(a)(?P<more>b+)", lazy_re.IGNORECASE)
    assert lazy.pattern == r"(a)(?P<more>b+)"
    found = lazy.search("xABBx")
    assert found and found["more"] == "BB" and lazy.sub("-", "abab") == "--"
    assert lazy.groups == 2 and lazy.groupindex == {"more": 2}
    assert lazy.flags == re.compile("a", re.IGNORECASE).flags
    assert lazy_re.compile(rb"\d").findall(b"a1b2") == [b"1", b"2"]


def test_what_is_wrong_with_a_pattern_is_told_at_its_first_use() -> None:
    lazy = lazy_re.compile("(")
    with pytest.raises(re.error):
        lazy.match("")
    with pytest.raises(AttributeError):
        _ = lazy_re.compile("a").nosuch  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", MODULES)
def test_patterns_of_modules_can_be_compiled(name: str) -> None:
    for value in vars(importlib.import_module(name)).values():
        if type(value).__module__ == lazy_re.__name__:
            assert value.groups >= 0


def test_all_patterns_can_be_compiled_at_once() -> None:
    lazy = lazy_re.compile("a+")
    assert "findall" not in vars(lazy)
    lazy_re.compile_all()
    assert "findall" in vars(lazy) and lazy.findall("aab") == ["aa"]
