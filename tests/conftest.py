"""Fixtures that several test files share."""

import ctypes
import gc
import signal
from collections import Counter
from collections.abc import Iterator

import pytest

# Their asserts say what differs, as those of test files do.
pytest.register_assert_rewrite("debuggers", "harness", "rules")

import rules  # noqa: E402
from stores import KINDS, Kind  # noqa: E402

# Whoever runs tests in the background has them ignore these, and so would what they start.
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/extract anew")
    parser.addoption("--whole", action="store_true", help="run all members of large families of tests")


#: A test that builds programs has this many members, or more, if it is a family without being told.
FAMILY = 4


def is_whole(config: pytest.Config) -> bool:
    """Whether all members of families are to run: where that was said, or tests are asked for by name."""
    by_name = any("::" in word for word in config.args) or config.option.keyword
    return bool(config.getoption("--whole") or by_name)


def pytest_configure(config: pytest.Config) -> None:
    if is_whole(config):
        rules.tried[:] = rules.LEVELS


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a family of tests leaves every so many, unless all are to run."""
    if is_whole(config):
        return
    sizes = Counter(map(_family, items))
    seen: Counter[str] = Counter()
    left, kept = list[pytest.Item](), list[pytest.Item]()
    for item in items:
        name, marker = _family(item), item.get_closest_marker("family")
        every, first = 1, 0
        if marker is not None:
            every, first = (*marker.args, 0)[:2]
        elif "/e2e/" in name and sizes[name] >= FAMILY:
            every = 2
        (kept if seen[name] % every == first else left).append(item)
        seen[name] += 1
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def _family(item: pytest.Item) -> str:
    """What all members of a parametrised test have in common."""
    return item.nodeid.partition("[")[0]


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
