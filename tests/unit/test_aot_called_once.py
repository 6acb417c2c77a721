"""Functions that one call reaches: only those that nobody else can name, or would have inlined."""

import pytest
from pipeline import resolved

from nativecache.aot.units.imports import ImportLimits

LIMITS = ImportLimits(lines=10, total=100)


def once(*texts: str, roots: str = "main") -> set[str]:
    return set(resolved("".join(texts)).simplify(LIMITS).called_once(*roots.split()))


def long(name: str, *callees: str, head: str = "", attributes: str = "") -> str:
    """A function too long to be imported."""
    steps = "".join(f"  store volatile i32 {n}, ptr %p\n" for n in range(20))
    calls = "".join(f"  call void @{callee}(ptr %p)\n" for callee in callees)
    return f"define {head} void @{name}(ptr %p) {attributes} {{\n{steps}{calls}  ret void\n}}\n"


def test_a_function_that_one_call_names_is_called_once() -> None:
    assert once(long("main", "f"), long("f", head="internal")) == {"f.0"}
    assert once(long("main", "f"), long("f", head="linkonce_odr")) == {"f"}


def test_an_exported_function_is_not_called_once() -> None:
    """The next program may call it twice."""
    assert once(long("main", "f"), long("f")) == set()


def test_two_calls_are_not_one() -> None:
    f, g = long("f", head="internal"), long("g", "f", head="internal")
    assert once(long("main", "f", "f"), f) == set()
    assert once(long("main", "f", "g"), f + g) == {"g.0"}


def test_chains_of_calls_are_followed() -> None:
    chain = [long(*names, head="linkonce_odr") for names in ("fg", "gh", "h")]
    assert once(long("main", "f"), *chain) == {"f", "g", "h"}


def test_roots_are_not_called_once() -> None:
    assert once(long("main", "f"), long("f", head="linkonce_odr"), roots="main f") == set()


def test_a_caller_that_is_imported_elsewhere_does_not_count() -> None:
    """Its text stands in several units, so several would hold the function."""
    short = "define void @short(ptr %p) {\n  call void @f(ptr %p)\n  ret void\n}\n"
    assert "f" not in once(long("main", "short", "short") + short, long("f", head="linkonce_odr"))


def test_a_function_whose_address_is_held_is_not_called_once() -> None:
    assert once(long("main", "f") + "@table = global ptr @f\n", long("f", head="linkonce_odr")) == set()


@pytest.mark.parametrize(("head", "attributes"), [("internal", "noinline"), ("weak", "")])
def test_what_may_not_be_inlined_is_not_called_once(head: str, attributes: str) -> None:
    assert once(long("main", "f"), long("f", head=head, attributes=attributes)) == set()
