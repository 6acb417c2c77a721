"""Entries that are whole and of another form are misses: the build is right, and nobody sees a traceback."""

import random
import shutil
from pathlib import Path

import pytest
from forge import forged
from harness import needs_clang
from rules import write
from spaces import SOURCES, Space
from stores import FILES

from nativecache.aot.formats import check_form
from nativecache.cache.audit import check_entries
from nativecache.cache.folder import find_entries
from nativecache.cache.format import unseal
from nativecache.cache.layout import entry_path

pytestmark = needs_clang


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Space:
    space = Space(tmp_path_factory.mktemp("forged"), FILES)
    write(space.folder, SOURCES)
    for _ in range(2):
        space.build()
        (space.folder / "app").replace(space.folder / "expected")
    (space.folder / "cache").rename(space.folder / "whole")
    return space


def values(root: Path) -> dict[str, bytes]:
    return {found.key: found.read() for found in sorted(find_entries(root), key=lambda found: found.key)}


def renew(space: Space) -> dict[str, bytes]:
    shutil.rmtree(space.folder / "cache", ignore_errors=True)
    shutil.copytree(space.folder / "whole", space.folder / "cache")
    return values(space.folder / "cache")


@pytest.mark.parametrize("seed", range(6))
def test_forged_entries_are_misses(warm: Space, seed: int) -> None:
    entries = renew(warm)
    choose = random.Random(seed)
    payloads = [unseal(key, value)[0] for key, value in entries.items()]
    for key, value in entries.items():
        Path(entry_path(warm.folder / "cache", key)).write_bytes(forged(key, value, choose, payloads))
    (warm.folder / "app").unlink(missing_ok=True)
    for _ in range(2):
        errors = warm.build()
        assert warm.image == (warm.folder / "expected").read_bytes()
        # A text in place of another is of the right form; it is said, and nothing else is.
        assert "Traceback" not in errors and "nativecache: " not in errors
    list(check_entries(warm.folder / "cache", keep=False, check_form=check_form))
    (warm.folder / "app").unlink()
    warm.build()
    assert warm.image == (warm.folder / "expected").read_bytes()
    assert not any(check_entries(warm.folder / "cache", keep=False, check_form=check_form))
