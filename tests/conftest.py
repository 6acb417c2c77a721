"""Fixtures that several test files share."""

import ctypes
import gc
import signal
from collections.abc import Iterator

import pytest
from stores import KINDS, Kind

# Their asserts say what differs, as those of test files do.
pytest.register_assert_rewrite("debuggers", "harness", "rules")

# Whoever runs tests in the background has them ignore these, and so would what they start.
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/extract anew")


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
