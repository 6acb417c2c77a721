"""Measures the kinds of store against each other, and prints a table: files, and one SQLite database.

The entries are those of a build of sqlite3.c, again and again under other keys until there are --entries. All
that is measured is measured in turns, and is the median of the turns. The system's cache of files is warm.
"""

import argparse
import hashlib
import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median

# `bench` is to be this folder, not this file.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.works import Work, make_work
from stores import KINDS, Kind

from nativecache.cache.entry import Entry, decode_entry, encode_entry
from nativecache.cache.folder import find_entries
from nativecache.cache.limits import Limits
from nativecache.cache.prune import prune

#: What is longer is a record of many functions at once: there are a few per input, not thousands.
OBJECT_LIMIT = 100_000


def timed(action: Callable[[], object]) -> float:
    """Seconds of wall time."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def make_entries(work: Work, count: int) -> list[tuple[str, bytes]]:
    """Keys and values like a real cache's."""
    work.ours("ours", "cache")
    found = [decode_entry(one.key, one.read()) for one in find_entries(work.space / "cache")]
    objects = [entry for entry in found if len(entry.payload) <= OBJECT_LIMIT]
    keys = (hashlib.sha256(b"%d" % n).hexdigest() for n in range(count))
    pairs = zip(keys, itertools.cycle(objects), strict=False)
    return [(key, encode_entry(Entry(key, entry.payload, entry.meta))) for key, entry in pairs]


def on_disk(root: Path) -> int:
    """Bytes that a folder occupies, in blocks of the disk."""
    return sum(path.stat().st_blocks * 512 for path in (root, *root.rglob("*")))


def measure(kind: Kind, entries: list[tuple[str, bytes]], space: Path) -> dict[str, float]:
    """Figures by name: microseconds per entry, seconds, or MB."""
    root, copy = space / "root", space / "copy"
    store = kind.open(root)
    asked = [key for key, _ in entries]
    random.Random(1).shuffle(asked)

    def put() -> None:
        for key, value in entries:
            store.put(key, value)
        store.close()

    def hit() -> None:
        reader = kind.open(root)
        for key in asked:
            assert reader.get(key) is not None
        reader.close()

    def shell(*words: str | Path) -> Callable[[], object]:
        return lambda: subprocess.run([str(word) for word in words], check=True)

    each = 1e6 / len(entries)
    figures = {"put one, µs": timed(put) * each, "hit one, µs": timed(hit) * each}
    figures["on disk, MB"] = on_disk(root) / 1e6
    figures["cp -r, s"] = timed(shell("cp", "-r", root, copy))
    figures["tar, s"] = timed(shell("tar", "-cf", space / "all.tar", "-C", root, "."))
    figures["rm -r, s"] = timed(shell("rm", "-r", copy))
    figures["prune a half, s"] = timed(lambda: prune(root, Limits(None, None, len(entries) // 2)))
    figures["on disk then, MB"] = on_disk(root) / 1e6
    shutil.rmtree(root)
    return figures


def measure_builds(kind: Kind, work: Work) -> dict[str, float]:
    """A build of everything, one that finds all objects, and one that has nothing to do."""
    cache = work.space / "built"
    options = ("--store", kind.name)
    figures = {
        "sqlite3.c cold, s": work.ours("ours", "built", *options).wall,
        # One thread more is another command, for which there is no up-to-date record, and the same keys.
        "sqlite3.c all hits, s": work.ours("ours", "built", *options, "-j3").wall,
        "sqlite3.c up to date, s": work.ours("ours", "built", *options).wall,
        "sqlite3.c files in the cache": float(sum(path.is_file() for path in cache.rglob("*"))),
    }
    shutil.rmtree(cache)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=20_000, help="how many (20000)")
    parser.add_argument("--turns", type=int, default=5, help="measurements of each store (5)")
    parser.add_argument("--builds", type=int, default=3, help="measurements of each build (3)")
    arguments = parser.parse_args()
    taken: dict[str, dict[Kind, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory(prefix="nativecache-bench-") as temporary:
        work = make_work("S", Path(temporary))
        entries = make_entries(work, arguments.entries)
        size = mean(len(value) for _, value in entries)
        print(
            f"{len(entries)} entries of {size / 1000:.1f} kB on average, {os.cpu_count()} cores", flush=True
        )
        for turn in range(max(arguments.turns, arguments.builds)):
            for kind in KINDS:
                figures = measure(kind, entries, Path(temporary)) if turn < arguments.turns else {}
                if turn < arguments.builds:
                    figures |= measure_builds(kind, work)
                for name, figure in figures.items():
                    taken[name][kind].append(figure)
    print(f"{'':<32}" + "".join(f"{kind.name:>10}" for kind in KINDS))
    for name, by_kind in taken.items():
        print(f"{name:<32}" + "".join(f"{median(by_kind[kind]):>10.3g}" for kind in KINDS))


if __name__ == "__main__":
    main()
