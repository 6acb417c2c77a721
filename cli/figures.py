"""The figures of builds: as JSON in a file, and in the record of a build that is up to date."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nativecache.aot.report import Report
from nativecache.cache.dependencies import Dependency
from nativecache.cli.report import what_is_built
from nativecache.cli.say import failure
from nativecache.cli.up_to_date import Command, Record, encode_record
from nativecache.linker.output import overwrite
from nativecache.linker.shown import shown, shown_lines
from nativecache.linker.values import replace


def up_to_date_record(report: Report, output: Path) -> Record | None:
    """What to answer when the same build is asked for again; None if it cannot be known to be the same."""
    if report.reads is None or not report.image:
        return None
    saved = report.saved_seconds + sum(unit.milliseconds for unit in report.compiled) / 1000
    again = replace(
        report,
        function_hits=report.functions,
        hits=report.units,
        whole_hits=len(report.whole),
        compiled=(),
        missed={},
        verified=0,
        corrupt=0,
        planned_modules=0,
        saved_seconds=saved,
        sources_unchanged=report.sources,
        on_preambles=0,
    )
    image = Dependency("image", report.image, (os.path.abspath(output),))
    line = shown(f"{report.output}: up to date, {what_is_built(report)}")
    warnings = list(map(shown_lines, report.warnings))
    return Record(line, json.dumps(figures_of(again)), warnings, [image, *report.reads])


def keep_record(command: Command, record: Record) -> None:
    """Notes what a command would repeat, if it can be noted."""
    from nativecache.cache.entry import Entry, encode_entry
    from nativecache.cache.file_store import FileStore

    with suppress(ValueError):  # a text that cannot be noted
        # A file in any store: whoever asks for it has no time to open a database.
        entry = encode_entry(Entry(command.key, encode_record(record), {}))
        FileStore(Path(command.root), warn=lambda _: None).put(command.key, entry)


def write_stats(reports: Sequence[Report], path: Path) -> None:
    """Writes the figures of builds as JSON, those of several as a list.

    Raises click's ClickException where the file cannot be written.
    """
    figures = [figures_of(report) for report in reports]
    try:
        text = json.dumps(figures[0] if len(figures) == 1 else figures, indent=2)
        overwrite(os.fspath(path), (text + "\n").encode())
    except OSError as error:
        raise failure(f"{path}: cannot be written: {error.strerror}") from None


def figures_of(report: Report) -> dict[str, object]:
    """The figures of a build by their names, as JSON takes them."""
    return {
        "units": report.units,
        "functions": report.functions,
        "function_hits": report.function_hits,
        "hits": report.hits,
        "misses": report.misses,
        "missed": dict(report.missed),
        "importers": report.importers,
        "shared": report.shared,
        "grouped": report.grouped,
        "unreached": report.unreached,
        "planned_modules": report.planned_modules,
        "corrupt": report.corrupt,
        "verified": report.verified,
        "mismatches": [mismatch.name for mismatch in report.mismatches],
        "compiled": [unit.name for unit in report.compiled],
        "compiled_milliseconds": round(sum(unit.milliseconds for unit in report.compiled), 3),
        "saved_seconds": round(report.saved_seconds, 6),
        "whole": list(report.whole),
        "whole_hits": report.whole_hits,
        "sources": report.sources,
        "sources_unchanged": report.sources_unchanged,
        "on_preambles": report.on_preambles,
        "not_kept": dict(report.not_kept),
        "sealed": dict(report.sealed),
        "wall_seconds": round(report.wall_seconds, 6),
        "image_bytes": report.image_bytes,
        "phases": {
            name: {"wall": round(phase.wall, 6), "cpu": round(phase.cpu, 6)}
            for name, phase in report.phases.items()
        },
    }
