"""Which cache folders a command uses, how, and whether they may be trusted."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nativecache.cache.layout import CONFIG_NAME
from nativecache.cache.limits import read_store, user_config
from nativecache.cli.say import failure, say, usage_error
from nativecache.linker.shown import warning_line

if TYPE_CHECKING:
    from nativecache.cache.folder_store import FolderStore
    from nativecache.cache.lookup import EntryStore
    from nativecache.cache.store import BuildStore
    from nativecache.cli.options import BuildOptions


def open_store(options: BuildOptions) -> EntryStore:
    """The store of entries that a build uses, by its options."""
    from nativecache.cache.lookup import EntryStore
    from nativecache.cache.store import NullStore, RefreshStore

    mode = "off" if options.no_cache else options.cache_mode
    if mode == "off":
        return EntryStore(NullStore())
    writes = mode != "read-only"
    root = find_root(options.cache_dir, trust=options.trust_cache_dir, make=writes)
    fallbacks = [] if mode == "refresh" else options.fallback_dir
    store = open_folder(root, options.store, read_only=mode == "read-only")
    usable = _usable(fallbacks, trust=options.trust_cache_dir)
    return EntryStore(RefreshStore(store) if mode == "refresh" else store, open_all_kinds(usable))


def open_folder(root: Path, kind: str | None, *, read_only: bool = False) -> FolderStore:
    """The store in a cache folder: of the named kind, else of the kind that settings name."""
    from nativecache.cache.file_store import FileStore

    try:
        kind = kind or read_store(configurations(root))
    except ValueError as error:
        raise usage_error(str(error)) from None
    if kind == "files":
        return FileStore(root, read_only=read_only, warn=warn)
    try:
        from nativecache.cache.sqlite_store import SqliteStore
    except ImportError as error:  # Python can be built without it
        raise usage_error(f"--store sqlite: {error}") from None
    return SqliteStore(root, read_only=read_only, warn=warn)


def configurations(root: Path) -> tuple[Path, ...]:
    """The files with settings that may be trusted, the cache folder's first; warns about one that may not."""
    from nativecache.cache.location import distrust_file

    files = []
    for path in (root / CONFIG_NAME, user_config(os.environ)):
        if why := distrust_file(str(path)):
            warn(f"settings are not read: {why}")
        else:
            files.append(path)
    return tuple(files)


def open_all_kinds(folders: Iterable[Path]) -> list[BuildStore]:
    """Stores that read all that is in some cache folders, and leave them as they are."""
    if not folders:
        return []
    from nativecache.cache.folder import readers

    return [store for folder in folders for store in readers(folder, warn)]


def find_root(chosen: Path | None, *, trust: bool, make: bool = False) -> Path:
    """The cache folder, absolute. Refuses one that other users may have written to, with exit code 2.

    `make`: it is going to be written to.
    """
    from nativecache.cache.layout import make_folders
    from nativecache.cache.location import default_cache_dir, distrust

    root = Path(chosen or default_cache_dir(os.environ)).absolute()
    why = "" if trust else distrust(str(root))  # nothing is made where another user may lead us
    # Looked at again once it is made: where all may make folders, another user might make it in between.
    if make and not trust and not why:
        with suppress(OSError):  # who writes to it says so
            make_folders(str(root))
        why = distrust(str(root))
    if why:
        raise failure(
            f"cache folder {root}: {why}, and what is in it will be run; name another with --cache-dir, "
            "change its mode, or say --trust-cache-dir",
            code=2,
        )
    return root


def _usable(folders: Iterable[Path], *, trust: bool) -> list[Path]:
    """Those that are there and may be trusted; a line about each that is not."""
    from nativecache.cache.location import distrust

    usable = []
    for folder in folders:
        why = "" if trust else distrust(str(folder))
        if not os.path.isdir(folder):
            why = "there is no such folder"
        if why:
            warn(f"fallback folder {folder}: {why}; building without it")
        else:
            usable.append(folder.absolute())
    return usable


def warn(text: str) -> None:
    """Prints a warning on standard error."""
    say(warning_line(text), err=True)
