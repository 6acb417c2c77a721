"""Where things are in a cache folder is drawn once, and nothing is anywhere else."""

import os
import re
from pathlib import Path

import pytest
from stores import Kind

from nativecache.cache import layout
from nativecache.cache.counters import add_counts
from nativecache.cache.evicted import add_evicted
from nativecache.cache.layout import entry_name, entry_path
from nativecache.cache.limits import Limits
from nativecache.cache.prune import prune
from nativecache.cache.quarantine import set_aside

KEY = "ab" + "0" * 62


def test_an_entry_has_one_name(tmp_path: Path) -> None:
    assert entry_name(KEY) == f"v1/ab/{'0' * 62}.o"
    assert entry_path(tmp_path, KEY) == str(tmp_path / entry_name(KEY))


@pytest.mark.parametrize("key", ["", "ab", KEY.upper(), KEY[:-1] + "/", f"../{KEY[3:]}"])
def test_a_malformed_key_has_none(key: str) -> None:
    for where in (entry_name, lambda key: entry_path("/", key)):
        with pytest.raises(ValueError, match="64 lowercase"):
            where(key)


def test_all_that_a_folder_holds_is_in_the_drawing(tmp_path: Path, kind: Kind) -> None:
    store = kind.open(tmp_path / "cache")
    store.put(KEY, b"value")
    add_evicted(tmp_path / "cache", [KEY])
    add_counts(tmp_path / "cache", {"builds": 1})
    set_aside(tmp_path / "cache", "name", b"")
    assert prune(tmp_path / "cache", Limits())
    drawn = set(re.findall(r"^ +([\w….]+)", layout.__doc__ or "", re.MULTILINE)) | {"ab"}
    found = {*os.listdir(tmp_path / "cache"), *os.listdir(tmp_path / "cache" / "v1")}
    named = {re.sub(r"^[0-9a-f]{16}(\.sqlite)(-\w+)?$", r"0123….sqlite", name) for name in found}
    assert named and named <= drawn
