"""Books a finished build: its counts, what it used, and now and then a look at the folder's limits."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nativecache.aot.report import Report
    from nativecache.aot.request import Request
    from nativecache.cache.lookup import EntryStore


@contextmanager
def failures(store: EntryStore) -> Iterator[None]:
    """Counts a build that ends in an error in the cache folder's statistics."""
    from nativecache.cache.counters import add_counts

    try:
        yield
    except Exception as error:
        from nativecache.aot.errors import Configured

        if not isinstance(error, Configured) and store.keeps and store.root:
            add_counts(store.root, {"failed": 1})
        raise


def book(report: Report, request: Request, mode: str) -> None:
    """Adds a build to the cache folder's statistics, and notes which entries its output is made of."""
    from nativecache.cache.counters import add_counts
    from nativecache.cache.notes import note_used

    store = request.store
    if not store.keeps or store.root is None:
        return
    files = len(report.whole) - report.whole_hits
    missed = {**report.missed, "new": report.missed.get("new", 0) + files}
    if mode == "refresh":
        missed = {"refreshed": report.misses + files}
    note_used(store, os.path.abspath(request.output))
    add_counts(
        store.root,
        {
            "builds": 1,
            "hits": report.hits + report.whole_hits,
            "fallback_hits": store.fallback_hits,
            **{f"missed_{reason}": number for reason, number in missed.items()},
            "corrupt": report.corrupt,
            "bytes_read": store.bytes_read,
            "bytes_written": store.bytes_written,
            "saved_us": round(report.saved_seconds * 1e6),
            "compiled_us": round(sum(unit.milliseconds for unit in report.compiled) * 1e3),
            "verified": report.verified,
            "mismatches": len(report.mismatches),
        },
    )


def pack(store: EntryStore) -> None:
    """Packs what a build made, where that is many small files."""
    if not store.keeps or store.root is None or not store.opened_by_tools:
        return
    from nativecache.cache import packs

    if len(store.made) >= packs.ENOUGH:
        from nativecache.cache.packing import pack_files

        pack_files(store.root, store.made)


def prune_in_time(store: EntryStore) -> None:
    """Starts a process that applies the cache folder's limits, once per hour; nobody waits for it."""
    from nativecache.cache.claim import claim_pruning

    if not store.keeps or store.root is None:
        return
    pause = claim_pruning(store.root, time.time())
    if pause is None:
        return
    import subprocess

    python = [sys.executable, "-P", "-m", "nativecache.cli.start"]
    words = [*python, "cache", "prune", f"--automatic={pause:.0f}"]
    with suppress(OSError):
        subprocess.Popen(
            [*words, "--cache-dir", str(store.root), "--trust-cache-dir"],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
