"""Which cache folders a command uses, how, and whether they may be trusted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nativecache.cache.lookup import EntryStore

MODES = ("read-write", "read-only", "refresh", "off")


class _Refused(click.ClickException):
    exit_code = 2


def open_store(options: Mapping[str, Any]) -> EntryStore:
    """The entries that a build uses, by its options."""
    from nativecache.cache.lookup import EntryStore
    from nativecache.cache.store import FileStore, NullStore, RefreshStore

    mode = "off" if options["no_cache"] else options["cache_mode"]
    if mode == "off":
        return EntryStore(NullStore())
    root = find_root(options["cache_dir"], trust=options["trust_cache_dir"])
    fallbacks = [] if mode == "refresh" else options["fallback_dir"]
    store = FileStore(root, read_only=mode == "read-only", warn=warn)
    return EntryStore(
        RefreshStore(store) if mode == "refresh" else store,
        [
            FileStore(folder, read_only=True, warn=warn)
            for folder in _usable(fallbacks, trust=options["trust_cache_dir"])
        ],
    )


def find_root(chosen: Path | None, *, trust: bool) -> Path:
    """The cache folder, absolute. Refuses, with exit code 2, one that other users may have written to."""
    from nativecache.cache.location import default_cache_dir, distrust

    root = Path(chosen or default_cache_dir(os.environ)).absolute()
    why = "" if trust else distrust(str(root))
    if why:
        raise _Refused(
            f"cache folder {root}: {why}, and what is in it will be run; name another with --cache-dir, "
            "change its mode, or say --trust-cache-dir"
        )
    return root


def _usable(folders: Iterable[Path], *, trust: bool) -> list[Path]:
    """Those that are there and may be trusted; a line about each that is not."""
    from nativecache.cache.location import distrust

    usable = []
    for folder in folders:
        why = "" if trust else distrust(str(folder))
        if not folder.is_dir():
            why = "there is no such folder"
        if why:
            warn(f"fallback folder {folder}: {why}; building without it")
        else:
            usable.append(folder.absolute())
    return usable


def warn(text: str) -> None:
    """A line that is no error."""
    click.echo(f"warning: {text}", err=True)
