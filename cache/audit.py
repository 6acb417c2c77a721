"""Checks every entry of a cache folder in full, and the database that may hold them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nativecache.cache.entry import CorruptEntry, Entry, Reason, decode_entry
from nativecache.cache.folder import Row, find_database, find_entries, open_database, remove_rows
from nativecache.cache.in_packs import InPack, find_bad_packs, remove_packed
from nativecache.cache.pack import remove_pack
from nativecache.cache.quarantine import quarantined_path, set_aside
from nativecache.cache.shape import Malformed


@dataclass(frozen=True, slots=True)
class CorruptionReport:
    """An entry that failed its check: where it is, why, and where it is now if it was set aside.

    A database that is none, and a pack that is none, have no key.
    """

    path: str
    key: str
    reason: str
    kept: str


def check_entries(
    root: Path, *, keep: bool, check_form: Callable[[Entry], None] = lambda _: None
) -> Iterator[CorruptionReport | None]:
    """Checks every entry of a cache folder in full and removes corrupt ones; yields None for each good one.

    `check_form` raises Malformed for an entry that is whole and yet nothing that its reader would take.
    With `keep` they are set aside. One that cannot be read is named and left where it is.
    """
    yield from _check_database(root, keep=keep)
    yield from _check_packs(root, keep=keep)
    damaged: list[InPack] = []
    for found in find_entries(root):
        try:
            data = found.read()
            _check(found.key, data, check_form)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield CorruptionReport(found.place, found.key, error.strerror or str(error), "")
        except CorruptEntry as bad:
            kept = ""
            with suppress(OSError):
                if keep:
                    kept = set_aside(root, f"{found.key}.{bad.reason}.o", data)
                if isinstance(found, InPack):
                    damaged.append(found)
                elif isinstance(found, Row):
                    remove_rows(found.home, [found])
                else:
                    os.unlink(found.path)
            yield CorruptionReport(found.place, found.key, bad.reason, kept)
        else:
            yield None
    remove_packed(damaged)


def _check(key: str, data: bytes, check_form: Callable[[Entry], None]) -> None:
    entry = decode_entry(key, data)
    try:
        check_form(entry)
    except Malformed:
        raise CorruptEntry(Reason.FORM) from None


def _check_packs(root: Path, *, keep: bool) -> Iterator[CorruptionReport]:
    """Removes packs that cannot be opened, or sets them aside; another version's stay."""
    for path, reason in find_bad_packs(root):
        if reason == Reason.VERSION:
            continue
        yield CorruptionReport(path, "", reason, _drop(root, path, partial(remove_pack, path), keep=keep))


def _check_database(root: Path, *, keep: bool) -> Iterator[CorruptionReport]:
    """Checks the form of the database, and removes or sets aside one that is damaged."""
    path = find_database(root)
    if path is None:
        return
    from nativecache.cache.sqlite_store import drop_database

    try:
        database = open_database(root)
        fault = database.fault() if database else ""
        if database:
            database.close()
    except OSError as error:
        fault = str(error)
    if fault and find_database(root) == path:  # one that is removed while it is read looks damaged
        yield CorruptionReport(path, "", fault, _drop(root, path, partial(drop_database, root), keep=keep))


def _drop(root: Path, path: str | Path, remove: Callable[[], object], *, keep: bool) -> str:
    """Has a damaged file removed, if that can be done; where it is kept, "" where it is not."""
    kept = ""
    with suppress(OSError):
        if keep:
            kept = quarantined_path(root, os.path.basename(path))
            os.link(path, kept)
        remove()
    return kept
