"""Fixtures that several test files share."""

import ctypes
import gc
from collections.abc import Iterator

import pytest
from stores import KINDS, Kind


@pytest.fixture(autouse=True, scope="module")
def _small_process() -> Iterator[None]:
    """Gives memory back after each file: all processes that later tests start are forks of this one."""
    yield
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim:
        trim(0)


@pytest.fixture(scope="module", params=["-O0", "-O2"])
def level(request: pytest.FixtureRequest) -> str:
    """Runs every test of a real program at both levels."""
    return str(request.param)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Runs a test with each kind of store."""
    found: Kind = request.param
    return found
