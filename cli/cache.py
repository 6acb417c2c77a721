"""The `nativecache cache` commands: look at the cache folder, keep it small, check it, carry it."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nativecache.cli.cc_figures import compiler_figures, compiler_lines
from nativecache.cli.folders import (
    configurations,
    find_root,
    open_all_kinds,
    open_folder,
    warn,
)
from nativecache.cli.shared_options import PATH, store_option
from nativecache.linker.shown import shown

if TYPE_CHECKING:
    from nativecache.cache.limits import Limits

#: Days that `stats` lists for people; `--json` has all.
_DAYS = 14


@click.group(short_help="Look at the cache folder, keep it small, check it, carry it.")
def cache() -> None:
    """Look at the cache folder, keep it small, check it, carry it elsewhere."""


def _command(name: str, short: str | None = None) -> Callable[[Callable[..., None]], click.Command]:
    """Makes a function a command with the options that all have; it gets the folder in place of these.

    `short` stands in the list of commands, where the docstring's first sentence is too long for it.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        def run(cache_dir: Path | None, trust_cache_dir: bool, **options: Any) -> None:
            make = name == "import"
            function(find_root(cache_dir, trust=trust_cache_dir, make=make), **options)

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        for option in (
            click.option("--json", "as_json", is_flag=True, help="Answer as JSON."),
            click.option(
                "--trust-cache-dir",
                is_flag=True,
                envvar="NATIVECACHE_TRUST_CACHE_DIR",
                help="Use a folder that other users may write to.",
            ),
            click.option(
                "--cache-dir",
                type=PATH,
                envvar="NATIVECACHE_DIR",
                show_envvar=True,
                help="The cache folder [default: the user's cache folder].",
            ),
        ):
            run = option(run)
        return cache.command(name, short_help=short)(run)

    return decorate


def _limit_options(function: Callable[..., None]) -> Callable[..., None]:
    for name, metavar, text in (
        ("max-files", "N", "The greatest number of entries."),
        ("max-age", "AGE", "The longest time without use: 7d, 12h."),
        ("max-size", "SIZE", "The most that entries may take of the disk: 5G, 500M."),
    ):
        environment = f"NATIVECACHE_{name.upper().replace('-', '_')}"
        option = click.option(f"--{name}", metavar=metavar, envvar=environment, show_envvar=True, help=text)
        function = option(function)
    return function


def _limits(root: Path, options: Mapping[str, str | None]) -> Limits:
    from nativecache.cache.limits import read_limits

    chosen = {name.replace("_", "-"): text for name, text in options.items() if text is not None}
    try:
        return read_limits(chosen, configurations(root))
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _check_open(root: Path, *, write: bool = False) -> None:
    """An error, exit code 1, for a folder that this user cannot see all of, or cannot remove from."""
    from nativecache.cache.folder import obstacle

    if closed := obstacle(root, write=write):
        raise _cannot(root, "written to" if write else "read", closed)


def _cannot(root: Path, do: str, error: OSError) -> click.ClickException:
    where = os.fsdecode(error.filename or "")
    at = f"{where}: " if where not in ("", str(root)) else ""
    return click.ClickException(f"{root}: cannot be {do}: {at}{error.strerror or error}")


def _say(as_json: bool, figures: Mapping[str, object], lines: Iterable[str]) -> None:
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    for line in lines:
        click.echo(shown(line))


@_command("path")
def path(root: Path, as_json: bool) -> None:
    """Print the cache folder."""
    _say(as_json, {"folder": str(root)}, [str(root)])


@_command("info")
@click.option("--kinds", is_flag=True, help="Also by kind of entry, which takes longer: all are looked at.")
@_limit_options
def info(root: Path, as_json: bool, kinds: bool, **limits: str | None) -> None:
    """Show how much is in the folder, and how much may be."""
    from nativecache.cache.folder import (
        find_database,
        find_entries,
        find_quarantined,
        find_temporaries,
        total,
    )

    most = _limits(root, limits)
    _check_open(root)
    entries, size = total(find_entries(root))
    temporaries, _ = total(find_temporaries(root))
    quarantined, _ = total(find_quarantined(root))
    database = find_database(root)
    there = next((folder for folder in (root, *root.parents) if os.path.isdir(folder)), root)
    free = shutil.disk_usage(there).free
    figures = {
        "folder": str(root),
        "entries": entries,
        "size": size,
        "max_size": most.max_size,
        "max_age_seconds": most.max_age,
        "max_files": most.max_files,
        "temporaries": temporaries,
        "quarantined": quarantined,
        "free": free,
        "database": database,
    }
    age = "no limit" if most.max_age is None else f"{most.max_age / 86400:g} days without use"
    lines = [
        f"folder      {root}",
        f"entries     {entries} of {'any number' if most.max_files is None else most.max_files}",
        f"size        {_bytes(size)} of {'any size' if most.max_size is None else _bytes(most.max_size)}",
        f"kept for    {age}",
        f"disk free   {_bytes(free)}",
    ]
    if kinds:
        by_kind = _sizes_by_kind(root)
        figures["kinds"] = {kind: {"entries": n, "size": size} for kind, (n, size) in by_kind.items()}
        lines += [f"{kind:11} {n} entries, {_bytes(size)}" for kind, (n, size) in by_kind.items()]
    if database:
        lines.append(f"database    {_bytes(os.stat(database).st_size)} in {database}")
    if quarantined:
        lines.append(f"set aside   {quarantined} files in {root / 'v1' / 'quarantine'}")
    _say(as_json, figures, lines)


def _sizes_by_kind(root: Path) -> dict[str, tuple[int, int]]:
    """How many entries there are of each kind, and what they take; those that take most first.

    The kind is the first word of the form that an entry says; what says none is "other".
    """
    from nativecache.cache.entry import CorruptEntry
    from nativecache.cache.folder import find_entries

    by_kind: dict[str, tuple[int, int]] = {}
    for found in find_entries(root):
        try:
            form = found.meta().get("form")
        except (OSError, CorruptEntry):
            continue
        kind = form.partition(" ")[0] if isinstance(form, str) else "other"
        entries, size = by_kind.get(kind, (0, 0))
        by_kind[kind] = entries + 1, size + found.size
    return dict(sorted(by_kind.items(), key=lambda item: item[1][1], reverse=True))


_REASONS = {
    "new": "not seen before",
    "changed": "their code has changed",
    "pruned": "pruned to keep the limits",
    "corrupt": "damaged",
    "llvm": "made by another LLVM",
    "options": "made with other options",
    "refreshed": "compiled again as asked",
}


def _figures(counts: Mapping[str, int]) -> dict[str, Any]:
    """Counts for people and programs: with sums, and times in seconds."""
    missed = {reason: counts.get(f"missed_{reason}", 0) for reason in _REASONS}
    names = ("corrupt", "bytes_read", "bytes_written", "verified", "mismatches", "pruned", "pruned_bytes")
    return {
        **{name: counts.get(name, 0) for name in ("builds", "up_to_date", "failed")},
        **{name: counts.get(name, 0) for name in ("hits", "fallback_hits")},
        "misses": sum(missed.values()),
        "missed": missed,
        **{name: counts.get(name, 0) for name in names},
        "saved_seconds": counts.get("saved_us", 0) / 1e6,
        "compiled_seconds": counts.get("compiled_us", 0) / 1e6,
        "compiler": compiler_figures(counts),
    }


@_command("stats", "Show hits, misses with their reasons, and time saved.")
def stats(root: Path, as_json: bool) -> None:
    """Show hits and misses with their reasons, bytes and time saved, in all and by day (UTC)."""
    from nativecache.cache.statistics import fold_statistics, read_statistics

    fold_statistics(root)
    found = read_statistics(root)
    days = {day: _figures(counts) for day, counts in sorted(found.days.items())}
    every = _figures(found.total)
    asked = every["hits"] + every["misses"]
    share = f" ({100 * every['hits'] / asked:.1f} %)" if asked else ""
    lines = [
        f"builds      {every['builds']}, with nothing to do {every['up_to_date']}, failed {every['failed']}",
        f"hits        {every['hits']} of {asked}{share}",
        *(f"misses      {number} {_REASONS[reason]}" for reason, number in every["missed"].items() if number),
        f"saved       {every['saved_seconds']:.1f} s, compiled for {every['compiled_seconds']:.1f} s",
        f"read        {_bytes(every['bytes_read'])}, written {_bytes(every['bytes_written'])}",
        *compiler_lines(every["compiler"]),
    ]
    for name, text in (
        ("fallback_hits", "entries from fallback folders"),
        ("corrupt", "damaged entries found"),
        ("verified", "hits compiled again"),
        ("mismatches", "of those were wrong"),
        ("pruned", "entries pruned"),
    ):
        if every[name]:
            lines.append(f"            {every[name]} {text}")
    lines += [
        f"{day}  {one['hits']} hits, {one['misses']} misses, saved {one['saved_seconds']:.1f} s"
        for day, one in list(days.items())[-_DAYS:]
    ]
    if found.damaged:
        warn(f"{found.damaged} damaged records of statistics left out")
    _say(as_json, {"total": every, "days": days, "damaged_records": found.damaged}, lines)


@_command("zero")
def zero(root: Path, as_json: bool) -> None:
    """Set the statistics to zero."""
    from nativecache.cache.statistics import zero_statistics

    if not zero_statistics(root):
        raise click.ClickException(f"the statistics in {root} are in use or cannot be written")
    _say(as_json, {"zeroed": True}, ["statistics are zero"])


@_command("prune", "Remove what is over the limits.")
@_limit_options
@click.option("--automatic", type=float, metavar="PAUSE", hidden=True)
def prune(root: Path, as_json: bool, automatic: float | None, **limits: str | None) -> None:
    """Remove what is over the limits, what saves least time per byte first.

    Limits stand in options, environment variables, config.toml in the cache folder or in
    ~/.config/nativecache. This happens by itself about once per hour, after a build.
    """
    from nativecache.cache.prune import prune
    from nativecache.cache.statistics import fold_statistics

    if automatic is not None and hasattr(os, "nice"):
        os.nice(10)
    done = prune(root, _limits(root, limits), pause=automatic or 0)
    fold_statistics(root)
    if done is None:
        raise click.ClickException(f"{root}: another process is pruning, or it cannot be written to")
    line = f"{done.entries} entries pruned ({_bytes(done.size)}), {done.temporaries} abandoned files swept"
    left = f"{done.entries_left} entries are left ({_bytes(done.size_left)})"
    _say(as_json, asdict(done), [f"{line}; {left}"])


@_command("clear")
def clear(root: Path, as_json: bool) -> None:
    """Remove all entries. What is not the cache's own stays, and so do settings and statistics."""
    from nativecache.cache.folder import clear, is_marked
    from nativecache.cache.layout import LAYOUT

    _check_open(root)
    if (root / LAYOUT).is_dir() and not is_marked(root):
        raise click.ClickException(
            f"{root}: is not marked as a cache by CACHEDIR.TAG; look, and delete it by hand"
        )
    _check_open(root, write=True)
    try:
        files, size = clear(root, time.time())
    except OSError as error:
        raise _cannot(root, "cleared", error) from None
    _say(as_json, {"files": files, "size": size}, [f"{files} files removed ({_bytes(size)})"])


@_command("verify", "Check every entry, and remove those that are damaged.")
@click.option("--keep", is_flag=True, help="Set damaged entries aside in the folder's quarantine.")
def verify(root: Path, as_json: bool, keep: bool) -> None:
    """Check every entry in full and remove those that are damaged; exit code 4 if any was."""
    from nativecache.aot.formats import check_form
    from nativecache.cache.audit import check_entries

    _check_open(root)
    checked, bad = 0, []
    for found in check_entries(root, keep=keep, check_form=check_form):
        checked += 1
        if found:
            bad.append(found)
    lines = [f"{one.path}: {one.reason}" + (f"; it is now {one.kept}" if one.kept else "") for one in bad]
    figures = {"checked": checked, "bad": [asdict(one) for one in bad]}
    _say(as_json, figures, [*lines, f"{checked} entries checked, {len(bad)} bad"])
    if bad:
        raise click.exceptions.Exit(4)


@_command("extract", "Write entries' contents to files, for tools such as objdump.")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("-o", "--output", type=PATH, required=True, metavar="FOLDER", help="Where KEY.o are written.")
def extract(root: Path, as_json: bool, keys: tuple[str, ...], output: Path) -> None:
    """Write what entries hold, unpacked and unfolded, to FOLDER/KEY.o; without keys, that of all entries.

    A KEY may be the beginning of one.
    """
    from nativecache.cache.bundle import extract_entries

    _check_open(root)
    try:
        written = extract_entries(root, keys, output)
    except OSError as error:
        raise _cannot(output, "written to", error) from None
    missing = [key for key in keys if not any(one.startswith(key) for one in written)]
    lines = [*written.values()] if keys else [f"{output}: {len(written)} entries"]
    _say(as_json, {"files": written, "missing": missing}, lines)
    if missing:
        raise click.ClickException(f"{root}: has no whole entry {', '.join(missing)}")


@_command("export", "Write entries to a tar file.")
@click.option("--used-by", multiple=True, metavar="BUILD...", help="Outputs of builds [default: everything].")
@click.argument("builds", nargs=-1, metavar="")
@click.option("-o", "--output", type=PATH, required=True, help="The tar file to write.")
def export(
    root: Path, as_json: bool, used_by: tuple[str, ...], builds: tuple[str, ...], output: Path
) -> None:
    """Write the entries that the last builds of some outputs used to a tar file."""
    from nativecache.cache.bundle import export_entries
    from nativecache.cache.folder import find_entries
    from nativecache.cache.lookup import EntryStore
    from nativecache.cache.notes import read_used
    from nativecache.linker.output import new_file

    if builds and not used_by:
        raise click.UsageError(f"unexpected words: {' '.join(builds)}; name outputs of builds with --used-by")
    if str(output) == "-":
        raise click.UsageError("-o -: name a file; a bundle is not written to standard output")
    _check_open(root)
    stores = open_all_kinds([root])
    keys: list[str] = []
    for name in (*used_by, *builds):
        used = read_used(EntryStore(stores[0], stores[1:]), os.path.abspath(name))
        if used is None:
            raise click.ClickException(f"{name}: no build of it is noted in {root}")
        keys += used
    if not used_by:
        keys = [found.key for found in find_entries(root)]
    try:
        with new_file(os.fspath(output)) as made:
            done = export_entries(stores, keys, Path(made))
    except OSError as error:
        raise click.ClickException(f"{output}: cannot be written: {error.strerror}") from None
    lines = [f"{output}: {done.entries} entries ({_bytes(done.size)})"]
    if done.missing:
        lines.append(f"{output}: {done.missing} that were used are no longer there")
    _say(as_json, asdict(done), lines)


@_command("import", "Take the entries of a tar file.")
@store_option
@click.argument("file", type=PATH)
def import_(root: Path, as_json: bool, file: Path, store: str | None) -> None:
    """Take the entries of a file that `export` wrote. Exit code 4 if some of it was refused."""
    from nativecache.cache.bundle import BadBundle, import_entries

    target = open_folder(root, store)
    try:
        done = import_entries(target, file)
    except OSError as error:
        raise click.ClickException(f"{file}: cannot be read: {error.strerror}") from None
    except BadBundle as error:
        raise click.ClickException(f"{file}: is no bundle of entries: {error}") from None
    lines = [f"{file}: {name!r} refused: {reason}" for name, reason in done.refused]
    lines.append(f"{file}: {done.entries} entries ({_bytes(done.size)}) taken, {len(done.refused)} refused")
    _say(as_json, asdict(done), lines)
    if done.refused:
        raise click.exceptions.Exit(4)
    if target.failed:
        raise click.exceptions.Exit(1)


def _bytes(number: float) -> str:
    """`12.3 MB`; powers of 1024, as the limits are written."""
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TB"
