"""Tells the user what a build did: a progress bar, one line of truth, a table, a JSON file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nativecache.cli.say import say
from nativecache.linker.shown import error_line, shown, warning_line

if TYPE_CHECKING:
    from nativecache.aot.report import Report

_SLOWEST = 10
_ORDER = (
    *(
        "start",
        "tools",
        "load",
        "index",
        "target",
        "resolve",
        "partition",
        "memo",
        "simplify",
        "fingerprint",
        "extract",
    ),
    *("key", "look-up", "compile", "store", "workers", "rename", "link", "note", "rest"),
)


@contextmanager
def progress() -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar while units are compiled, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("compiling"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("compiling", total=None)
    started = False

    def advance(compiled: int, missing: int) -> None:
        nonlocal started
        if not started:
            started = True
            bar.start()
        bar.update(task, completed=compiled, total=missing)

    try:
        yield advance
    finally:
        if started:
            bar.stop()


def summary(report: Report) -> str:
    """A line about a build: `app: 2602 of 2603 functions from cache (99.96 %), 1 compiled in 14 ms, …`."""
    total, hits = report.functions, report.function_hits
    spent = sum(unit.milliseconds for unit in report.compiled)
    what = "compiled" if report.misses == total - hits else "units compiled"
    compiled = f"{report.misses} {what}" + (f" in {_time(spent)}" if report.misses else "")
    if report.importers:
        compiled += f" ({report.misses - report.importers} changed, {report.importers} that inline them)"
    link = report.phases.get("link")
    found = []
    if total or not report.whole:
        found.append(f"{hits} of {total} functions from cache ({_share(hits, total)} %)")
    if report.whole:
        files = len(report.whole)
        found.append(
            f"{report.whole_hits} of {files} files from cache ({_share(report.whole_hits, files)} %)"
        )
    parts = [f"{report.output}: {' and '.join(found)}"]
    if total or not report.whole:
        parts += [compiled, f"saved {_time(report.saved_seconds * 1000)}"]
    # Text and bitcode are not linked; of anything else the last link stands.
    parts.append(f"linked in {_time(link.wall * 1000)}" if link else "nothing to link")
    return ", ".join(parts)


def what_is_built(report: Report) -> str:
    """What an image is made of: functions, and files that are compiled in one piece."""
    counts = ((report.functions, "functions"), (len(report.whole), "files"))
    return " and ".join(f"{count} {what}" for count, what in counts if count) or "0 functions"


def _share(hits: int, total: int) -> str:
    share = f"{100 * hits / total:.2f}".rstrip("0").rstrip(".") if total else "100"
    return "99.99" if hits < total and share == "100" else share


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def show(report: Report, *, timings: bool, verbose: bool, err: bool = False) -> None:
    """Prints a build's table where asked for, then its line; on standard error if the image is on output."""
    if timings:
        _show_timings(report, err=err)
    notes = []
    if report.verified:
        notes.append(f"{report.verified} hits compiled again, {len(report.mismatches)} of them wrong")
    if report.corrupt:
        notes.append(f"{report.corrupt} damaged cache entries replaced")
    if report.whole and report.whole_for:
        notes.append(f"compiled whole by clang, for {report.whole_for}: {', '.join(report.whole)}")
    notes += [f"not kept: {line}" for line in not_kept(report)]
    if report.doubts and (timings or verbose):
        notes.append(f"never up to date: {report.doubts}")
    if report.sources and (timings or verbose):
        known = f"{report.sources_unchanged} of {report.sources} files unchanged"
        on = f", {report.on_preambles} compiled on precompiled headers" if report.on_preambles else ""
        notes.append(f"front end: {known}{on}")
    if verbose:
        notes.append(
            f"{report.units} units, {report.grouped} of several functions that must stay together, "
            f"{report.shared} equal to another, {report.unreached} never reached"
        )
        notes += [f"kept in one piece for asm: {line}" for line in _files_by_reason(report.sealed)]
        notes += [f"compiled {unit.name} in {_time(unit.milliseconds)}" for unit in report.compiled]
    for note in notes:
        say(shown(f"{report.output}: {note}"), err=err)
    say(shown(summary(report)), err=err)


_FILES_NAMED = 3


def not_kept(report: Report) -> list[str]:
    """Which files clang will read again, by reason, e.g. `a.c, b.c and 7 more: it says …`."""
    return _files_by_reason(report.not_kept)


def _files_by_reason(reasons: Mapping[str, str]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for path, reason in reasons.items():
        by_reason.setdefault(reason, []).append(path)
    lines = []
    for reason, paths in by_reason.items():
        more = f" and {len(paths) - _FILES_NAMED} more" if len(paths) > _FILES_NAMED else ""
        lines.append(f"{', '.join(paths[:_FILES_NAMED])}{more}: {reason}")
    return lines


def show_mismatches(report: Report) -> None:
    """Names cached objects that were not what their units compile to, and the files where both are."""
    for mismatch in report.mismatches:
        files = f"; see {' '.join(mismatch.files)}" if mismatch.files else ""
        say(error_line(f"{mismatch.name}: {mismatch.reason}{files}"), err=True)
    advice = "other outputs built from this cache may be wrong: rebuild them with --cache-mode refresh"
    say(warning_line(f"{report.output} was rebuilt correctly; {advice}"), err=True)


def _show_timings(report: Report, *, err: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text  # names are no markup

    console = Console(stderr=err)
    table = Table("phase", title=None)
    table.add_column("wall", justify="right")
    table.add_column("CPU", justify="right")
    names = [name for name in _ORDER if name in report.phases]
    for name in [*names, *(n for n in report.phases if n not in names)]:
        phase = report.phases[name]
        table.add_row(name, f"{phase.wall * 1000:.0f} ms", f"{phase.cpu * 1000:.0f} ms")
    spent = sum(phase.cpu for phase in report.phases.values())
    table.add_row("all", f"{report.wall_seconds * 1000:.0f} ms", f"{spent * 1000:.0f} ms")
    console.print(table)
    slowest = sorted(report.compiled, key=lambda unit: -unit.milliseconds)[:_SLOWEST]
    if slowest:
        table = Table("slowest misses")
        table.add_column("time", justify="right")
        for unit in slowest:
            table.add_row(Text(shown(unit.name)), f"{unit.milliseconds:.0f} ms")
        console.print(table)
