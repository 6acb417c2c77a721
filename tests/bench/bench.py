"""Measures nativecache against clang, ThinLTO and clang's front end, and prints a table.

Every ratio is taken side by side, A B A B, and is the median of the pairs. Nothing here fails because of
a time; what is not on this machine is skipped by name. `--full` adds G(100000), which takes long.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shutil import rmtree
from statistics import geometric_mean, median

import pytest

# `bench` is to be this folder, not this file.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.edited import rows_of_project
from bench.generate import generate
from bench.grown import SIZES, rows_of_growth
from bench.imports import measure_imports
from bench.measure import TITLE, Cost, Row, Skipped, call, compare, starts, stop_servers
from bench.projects import PROJECTS
from bench.works import (
    CCACHE,
    CLANGXX,
    DEBUG,
    DEBUG_FRONT_END,
    FRONT_END,
    PLAIN,
    SECTIONS,
    THIN,
    UNOPTIMISED,
    UNOPTIMISED_DEBUG,
    Work,
    make_work,
    on_disk,
    sizes,
)
from harness import CLANG, ROOT, has_tool

# Runs the command line and leaves the driver's peak memory in a file. The kernel's `ru_maxrss` would not do:
# it holds the peak of any child, and what the process was before it became Python.
DRIVER = """
import atexit, os, re, sys
from nativecache.cli.main import main
def peak(process=os.getpid()):
    if os.getpid() == process:
        open(sys.argv[1], "w").write(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
atexit.register(peak)
main(sys.argv[2:])
"""


@dataclass
class Bench:
    """What was asked for, and the works made so far."""

    space: Path
    pairs: int
    only: frozenset[str]
    names: tuple[str, ...]
    projects: tuple[str, ...]
    full: bool
    made: dict[str, Work] = field(default_factory=dict)

    def wants(self, *bars: str) -> bool:
        return not self.only or not self.only.isdisjoint(bars)

    def work(self, name: str) -> Work:
        """Raises Skipped where the work was not asked for or cannot be had."""
        if name not in (*self.names, "T"):
            raise Skipped(f"--work without {name}")
        for tool in (CLANG, CLANGXX, "ld.lld-22"):
            if not has_tool(tool):
                raise Skipped(f"no {tool}")
        if name not in self.made:
            try:
                self.made[name] = make_work(name, self.space)
            except pytest.skip.Exception as reason:
                raise Skipped(str(reason)) from None
        return self.made[name]

    def works(self) -> list[Work]:
        return [self.work(name) for name in self.names]


def rebuilds(bench: Bench) -> Iterator[Row]:
    """B1 to B4: one function of S edited, or nothing."""
    work = bench.work("S")
    cold = work.ours("ours", "warm")
    if bench.wants("B4"):
        again = [work.ours("ours", "warm").wall for _ in range(bench.pairs)]
        share = median(again) / cold.wall * 100
        yield Row(
            bar="B4", what="S, nothing changed", ours=median(again), ratio=median(again), goal="<= 0.05"
        )
        yield Row(bar="B4", what="the same in % of a cold build", ratio=share, goal="<= 1")
        if has_tool("ccache"):
            work.build(CCACHE)
            cached = [work.build(CCACHE).wall for _ in range(bench.pairs)]
            what = "S, nothing changed: ccache + link ÷ ours"
            yield compare("B4", what, cached, again, "", speed=True)
    if not bench.wants("B1", "B2", "B3"):
        return
    peers = [
        ("B1", "clang + link ÷ ours", PLAIN, ">= 10"),
        ("B2", "ThinLTO ÷ ours", THIN, ">= 14"),
        ("B3", "ours ÷ front end", FRONT_END, "<= 1.25"),
    ]
    if has_tool("ccache"):
        peers.append(("B1", "ccache + link ÷ ours", CCACHE, ""))
    peers = [peer for peer in peers if bench.wants(peer[0])]
    for peer in (PLAIN, *(peer for *_, peer, _ in peers)):
        if peer is not FRONT_END:
            work.build(peer)
    costs: list[list[float]] = [[] for _ in peers]
    ours = []
    for pair in range(bench.pairs):
        work.edit(pair)
        ours.append(work.ours("ours", "warm").wall)
        for (*_, peer, _), taken in zip(peers, costs, strict=True):
            link = PLAIN if peer is FRONT_END else peer
            cost = work.compile(peer, "sqlite3.c") + work.link(link, link.name)
            taken.append(cost.wall)
    (work.folder / "sqlite3.c.original").replace(work.folder / "sqlite3.c")
    for (bar, what, peer, goal), taken in zip(peers, costs, strict=True):
        yield compare(bar, f"S, one function edited: {what}", taken, ours, goal, speed=peer is not FRONT_END)


def debug_rebuilds(bench: Bench) -> Iterator[Row]:
    """B20: one function of S edited, with -g."""
    work = bench.work("S")
    work.ours("debug-ours", "debug-cache", "-g")
    work.build(DEBUG)
    limits, ours = [], []
    for pair in range(bench.pairs):
        work.edit(pair)
        ours.append(work.ours("debug-ours", "debug-cache", "-g"))
        limits.append(work.compile(DEBUG_FRONT_END, "sqlite3.c") + work.link(DEBUG, DEBUG.name))
    (work.folder / "sqlite3.c.original").replace(work.folder / "sqlite3.c")
    what = "S with -g, one function edited: ours ÷ front end"
    yield compare("B20", what, [cost.wall for cost in limits], [cost.wall for cost in ours], "<= 1.5")
    yield compare("B20", f"{what}, CPU", *_cpus(limits, ours), "")


def header_heavy_rebuilds(bench: Bench) -> Iterator[Row]:
    """B17: one C++ file of J edited, whose headers are nearly all of it."""
    work, source = bench.work("J"), "records.cpp"
    work.ours("ours", "warm")
    work.build(PLAIN)
    for number in (1, 2):  # as of its second edit a file is compiled on a preamble
        work.grow(source, number)
        work.ours("ours", "warm")
    limits, peers, ours = [], [], []
    for pair in range(bench.pairs):
        work.grow(source, 10 + pair)
        ours.append(work.ours("ours", "warm"))
        limits.append(work.compile(FRONT_END, source) + work.link(PLAIN, PLAIN.name))
        peers.append(work.compile(PLAIN, source) + work.link(PLAIN, PLAIN.name))
    what = "J, one file edited, CPU: ours ÷"
    yield compare("B17", f"{what} front end", *_cpus(limits, ours), "<= 0.9")
    yield compare("B17", f"{what} clang", *_cpus(peers, ours), "<= 0.4")


def unoptimised(bench: Bench) -> Iterator[Row]:
    """B18: at -O0, with -g and without."""
    for name in (*bench.names, "T"):
        work = bench.work(name)
        for turn, peer in enumerate((UNOPTIMISED, UNOPTIMISED_DEBUG)):
            flags = " ".join(peer.compiling)
            source, cache, image = work.sources[-1], f"cache-{peer.name}", f"ours-{peer.name}"
            peers, ours = [], []
            for _ in range(bench.pairs):
                peers.append(work.build(peer))
                rmtree(work.space / cache, ignore_errors=True)
                ours.append(work.ours(image, cache, *peer.compiling))
            what = f"{name} {flags} cold, CPU: ours ÷ clang"
            yield compare("B18", what, *_cpus(peers, ours), "<= 1.1")
            peers, ours = [], []
            for pair in range(bench.pairs):
                work.grow(source, 100 * (turn + 1) + pair)
                peers.append(work.compile(peer, source) + work.link(peer, peer.name))
                ours.append(work.ours(image, cache, *peer.compiling))
            what = f"{name} {flags} edited, CPU: ours ÷ clang"
            yield compare("B18", what, *_cpus(peers, ours), "<= 1")


def real_projects(bench: Bench) -> Iterator[Row]:
    """B15: five kinds of edit in each of five real projects."""
    ratios: list[float] = []
    for name in bench.projects:
        try:
            for row in rows_of_project(PROJECTS[name], bench.space / name, bench.pairs):
                if row.pairs:
                    ratios.append(row.ratio or 0)
                yield row
        except Skipped as reason:
            yield Row(bar="B15", what=name, skipped=str(reason))
        rmtree(bench.space / name, ignore_errors=True)
    if ratios:
        yield Row(bar="B15", what="all edits, geometric mean", ratio=geometric_mean(ratios), goal="<= 0.7")
        yield Row(bar="B15", what="all edits, worst", ratio=max(ratios), goal="<= 1")


def growth_of_files(bench: Bench) -> Iterator[Row]:
    """B16: the same edit in programs of more and more files."""
    if not has_tool(CLANG):
        raise Skipped(f"no {CLANG}")
    yield from rows_of_growth(bench.space / "files", SIZES, bench.pairs)


def cold_builds(bench: Bench, name: str) -> tuple[list[Cost], list[Cost]]:
    work = bench.work(name)
    peers, ours = [], []
    for _ in range(bench.pairs):
        peers.append(work.build(PLAIN))
        rmtree(work.space / "cold", ignore_errors=True)
        ours.append(work.ours("ours", "cold"))
    return peers, ours


def cold_sqlite(bench: Bench) -> Iterator[Row]:
    """B5 and B6."""
    peers, ours = cold_builds(bench, "S")
    walls = [cost.wall for cost in peers], [cost.wall for cost in ours]
    yield compare("B5", f"S cold, wall on {os.cpu_count()} cores: ours ÷ clang", *walls, "<= 0.65")
    yield compare("B6", "S cold, CPU: ours ÷ clang", *_cpus(peers, ours), "<= 1.15")


def cold_json(bench: Bench) -> Iterator[Row]:
    """B7."""
    yield compare("B7", "J cold, CPU: ours ÷ clang", *_cpus(*cold_builds(bench, "J")), "<= 0.6")


def _cpus(peers: Sequence[Cost], ours: Sequence[Cost]) -> tuple[list[float], list[float]]:
    return [cost.cpu for cost in peers], [cost.cpu for cost in ours]


def speed(bench: Bench) -> Iterator[Row]:
    """B8: processor time of the built programs, for other programs may run here too."""
    images = {"ours": "ours", "unlinked": "ours, no imports", "thin": "ThinLTO"}
    ratios: dict[str, list[float]] = {image: [] for image in images}
    details = []
    for work in bench.works():
        work.build(PLAIN)
        work.build(THIN)
        work.ours("ours", "warm")
        work.ours("unlinked", "warm", "--import-limit", "0")
        for job in work.jobs:
            times: dict[str, list[float]] = {image: [] for image in (PLAIN.name, *images)}
            for _ in range(bench.pairs):
                outputs = set()
                for image, taken in times.items():
                    cost, output = work.run(image, job)
                    taken.append(cost.cpu)
                    outputs.add(output)
                if len(outputs) != 1:
                    raise SystemExit(f"bench: {work.name} {job.name}: the programs' outputs differ")
            for image, name in images.items():
                what = f"{work.name} {job.name}: clang ÷ {name}"
                row = compare("B8", what, times[PLAIN.name], times[image], "", speed=True)
                ratios[image].append(row.ratio or 0)
                details.append(row)
    yield from details
    for image, name in images.items():
        what = f"all programs, geometric mean: clang ÷ {name}"
        goal = ">= 1" if image == "ours" else ""
        yield Row(bar="B8", what=what, ratio=geometric_mean(ratios[image]), goal=goal)


def size(bench: Bench) -> Iterator[Row]:
    """B9."""
    stripped: list[float] = []
    code: list[float] = []
    for work in bench.works():
        work.build(SECTIONS)
        work.ours("ours", "warm")
        peer, ours = sizes(work.space / SECTIONS.name), sizes(work.space / "ours")
        for n, (what, ratios) in enumerate((("stripped", stripped), ("code", code))):
            row = compare("B9", f"{work.name} {what}: ours ÷ clang", [peer[n]], [ours[n]], "", unit="B")
            ratios.append(row.ratio or 0)
            yield row
    what = "geometric mean: ours ÷ clang"
    yield Row(bar="B9", what=f"stripped, {what}", ratio=geometric_mean(stripped), goal="<= 1.05")
    yield Row(bar="B9", what=f"code, {what}", ratio=geometric_mean(code))


def cache_size(bench: Bench) -> Iterator[Row]:
    """cache: what a first build leaves in the cache folder, on disk, beside what ccache keeps of the same."""
    if not has_tool("ccache"):
        raise Skipped("no ccache")
    for work in bench.works():
        rmtree(work.space / "ccache.d", ignore_errors=True)
        work.compile(CCACHE)
        peer = on_disk(work.space / "ccache.d")
        for store in ("files", "sqlite"):
            rmtree(work.space / "sized", ignore_errors=True)
            work.ours("ours", "sized", "--store", store)
            what = f"{work.name} cache size, {store}: ours ÷ ccache"
            yield compare("cache", what, [peer], [on_disk(work.space / "sized")], "<= 5", unit="B")


def growth(bench: Bench) -> Iterator[Row]:
    """B10 to B12: generated IR of more and more functions."""
    counts = (1000, 10_000, 100_000) if bench.full else (1000, 10_000)
    per_function: dict[str, list[float]] = {"cold time": [], "warm time": [], "peak memory": []}
    for count in counts:
        name = f"G({count})"
        program = generate(count, bench.space / "program.ll")
        peak = bench.space / "peak"
        command = [sys.executable, "-c", DRIVER, str(peak), "build", "-q", str(program.file)]
        command += ["-o", "program", "--cache-dir", str(bench.space / name)]
        walls, peaks = [call(command, bench.space).wall], [int(peak.read_text()) * 1024]
        for pair in range(bench.pairs):
            program.edit(pair)
            walls.append(call(command, bench.space).wall)
            peaks.append(int(peak.read_text()) * 1024)
        rmtree(bench.space / name)
        cold, warm = walls[0], median(walls[1:])
        ir = program.file.stat().st_size
        last = count == counts[-1]
        yield Row(bar="B10", what=f"{name} cold, functions per second", ours=cold, ratio=count / cold)
        what, goal = f"{name} one edited, functions per second", ">= 10000" if last else ""
        yield Row(bar="B10", what=what, ours=warm, ratio=count / warm, goal=goal)
        what, goal = f"{name} driver's peak memory ÷ size of the IR", "<= 4" if count == 100_000 else ""
        yield Row(bar="B12", what=what, peer=ir, ours=max(peaks), unit="B", ratio=max(peaks) / ir, goal=goal)
        for kind, figure in zip(per_function, (cold, warm, max(peaks)), strict=True):
            per_function[kind].append(figure / count)
    for kind, figures in per_function.items():
        what = f"{kind} per function, G({counts[-1]}) ÷ G({counts[0]})"
        yield Row(bar="B11", what=what, ratio=figures[-1] / figures[0], goal="<= 1.2")


PARTS: tuple[tuple[tuple[str, ...], Callable[[Bench], Iterator[Row]]], ...] = (
    (("B1", "B2", "B3", "B4"), rebuilds),
    (("B5", "B6"), cold_sqlite),
    (("B7",), cold_json),
    (("B8",), speed),
    (("B9",), size),
    (("B10", "B11", "B12"), growth),
    (("cache",), cache_size),
    (("B15",), real_projects),
    (("B16",), growth_of_files),
    (("B17",), header_heavy_rebuilds),
    (("B18",), unoptimised),
    (("B20",), debug_rebuilds),
    (("B21",), lambda bench: measure_imports(bench.space, bench.pairs)),
)


#: What shows within minutes whether a change has made builds slower.
QUICK = ("B1", "B3", "B4", "B5", "B6", "B21")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json", help="build/bench.json")
    parser.add_argument("--only", default="", metavar="B5,B6", help="these bars (all)")
    parser.add_argument("--pairs", type=int, default=5, help="measurements of each (5)")
    parser.add_argument("--work", default="S,J,L", help="these works (S,J,L)")
    everything = ",".join(PROJECTS)
    parser.add_argument("--project", default=everything, help=f"these real projects ({everything})")
    parser.add_argument("--full", action="store_true", help="also 100,000 functions")
    parser.add_argument(
        "--quick", action="store_true", help="S and L alone, cold, edited and unchanged, twice"
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.pairs, arguments.work, arguments.only = 2, "S,L", ",".join(QUICK)
    only = frozenset(arguments.only.split(",")) if arguments.only else frozenset[str]()
    names = tuple(arguments.work.split(","))
    projects = tuple(arguments.project.split(","))
    known = [bar for bars, _ in PARTS for bar in bars]
    if arguments.pairs < 1 or not only.issubset(known) or not set(names) <= set("SJL"):
        parser.error(f"bars are {', '.join(known)}, works S, J and L, and one pair is the least")
    if not set(projects) <= set(PROJECTS):
        parser.error(f"projects are {everything}")
    rows: list[Row] = []
    print(TITLE, flush=True)
    with tempfile.TemporaryDirectory(prefix="nativecache-bench-") as temporary:
        bench = Bench(Path(temporary), arguments.pairs, only, names, projects, arguments.full)
        for bars, part in PARTS:
            if not bench.wants(*bars):
                continue
            try:
                for row in part(bench):
                    if bench.wants(row.bar):
                        rows.append(row)
                        print(row, flush=True)
            except Skipped as reason:
                skipped = [Row(bar=bar, what="", skipped=str(reason)) for bar in bars if bench.wants(bar)]
                rows += skipped
                print(*skipped, sep="\n", flush=True)
    stop_servers()
    if starts:
        what = f"resident processes started: {len(starts)}; CPU of each start, counted nowhere else"
        rows.append(Row(bar="", what=what, ours=median(starts.values())))
        print(rows[-1], flush=True)
    arguments.json.absolute().parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps([asdict(row) | {"met": row.met} for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
