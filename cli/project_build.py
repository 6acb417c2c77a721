"""Builds the targets of a project, each as a command of its own would be, those first that others link.

What nothing has changed for is not built: of the whole project, `start.py` tells by the record of the
command, which is kept here; of each target, by the record of the line that it is built by.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from nativecache.cache.dependencies import Dependency, observe
from nativecache.cli.figures import keep_record
from nativecache.cli.globs import Found
from nativecache.cli.option_table import INPUT, OF_PROJECTS, OURS
from nativecache.cli.project import PROJECT, Project, find_project, in_order, meant
from nativecache.cli.project_lines import target_line
from nativecache.cli.say import failure, say, usage_error
from nativecache.cli.up_to_date import Record, check, command_of, what_stats_overwrite
from nativecache.linker.output import overwrite
from nativecache.linker.values import dataclass

if TYPE_CHECKING:
    from nativecache.cli.words import Word

#: Options that are about targets, or about all of them, and so no part of one's line.
_ABOUT_TARGETS: Final = (*OF_PROJECTS, "--stats-json")
#: Options by which one output is described, as a project file does it.
_DESCRIBED: Final = {"-o": "output", "--output": "output", "--emit": "kind"}


#: The exit code of a build, its figures, and what would be repeated, if that can be told.
Came = tuple[int, dict[str, Any], "Record | None"]
BuildLine = Callable[[list["Word"]], Came]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command asks of a project: which targets, dependencies first, and under which profile."""

    project: Project
    targets: tuple[str, ...]
    profile: str


def find_asked(line: Sequence[Word]) -> Asked | None:
    """What a command line without inputs asks of the current folder's project; None where there is none.

    Raises BuildError for a project file that is wrong, click's UsageError for a line that is.
    """
    project = find_project()
    names = [word.value for word in line if word.place == OURS and word.name == "--only"]
    profiles = [word.value for word in line if word.place == OURS and word.name == "--profile"]
    if project is None:
        return None
    for word in line:
        if word.place == OURS and word.name in _DESCRIBED:
            what = _DESCRIBED[word.name]
            raise usage_error(
                f"{word.words[0]}: a project's targets have {what} in {project.file}; change it there"
            )
    for name in names:
        if name not in project.targets:
            raise usage_error(
                f"--only {name}: {project.file} has no such target{meant(name, project.targets)}"
            )
    profile = profiles[-1] if profiles else os.environ.get("NATIVECACHE_PROFILE") or project.default_profile
    if profile and profile not in project.profiles:
        raise usage_error(
            f"--profile {profile}: {project.file} has no such profile{meant(profile, project.profiles)}"
        )
    return Asked(project, tuple(in_order(project.targets, names or project.targets)), profile)


def build_project(asked: Asked, line: Sequence[Word], build_line: BuildLine) -> int:
    """Builds what is asked for; returns the exit code. `build_line` builds one target by its words.

    Raises what that raises, and BuildError.
    """
    project = asked.project
    found = Found()
    # All of them first: what is wrong with the last one is said before the first is built.
    lines = {
        name: target_line(project, project.targets[name], asked.profile, found) for name in asked.targets
    }
    stats = [word.value for word in line if word.place == OURS and word.name == "--stats-json"]
    place = stats[-1] if stats else os.environ.get("NATIVECACHE_STATS_JSON", "")
    if place:
        _check_stats(place, project, [word for words in lines.values() for word in words])
    rest = [word for word in line if not (word.place == OURS and word.name in _ABOUT_TARGETS)]
    records: dict[str, Record | None] = {}
    figures: dict[str, dict[str, Any]] = {}
    for name, words in lines.items():
        _make_folder(project, name)
        code, figures[name], records[name] = _build_target([*words, *rest], build_line)
        if code:
            return code
    if place:
        _write_stats(figures, place)
    _keep(asked, line, lines, records)
    return 0


def _check_stats(place: str, project: Project, line: Sequence[Word]) -> None:
    inputs = [word.words[0] for word in line if word.place == INPUT]
    outputs = [target.output for target in project.targets.values()]
    if why := what_stats_overwrite(place, [project.file, *inputs, *outputs]):
        raise usage_error(f"--stats-json {place}: {why}; name another file")


def _make_folder(project: Project, name: str) -> None:
    folder = os.path.dirname(project.targets[name].output)
    try:
        os.makedirs(folder or ".", exist_ok=True)
    except OSError as error:
        why = f"the output's folder '{folder}' cannot be made: {error.strerror}"
        raise project.problem(("target", name, "output"), why) from None


def _build_target(line: list[Word], build_line: BuildLine) -> Came:
    """Builds a target, unless the last build of it would be repeated."""
    start = time.perf_counter()
    try:
        command = command_of(line, os.environ)
    except OSError:  # no folder for a cache; who builds says so
        command = None
    known = check(command) if command else None
    if not command or not known:
        return build_line(line)
    for warning in known.warnings:
        say(warning, err=True)
    if not command.quiet:
        say(f"{known.line}, checked in {(time.perf_counter() - start) * 1000:.0f} ms")
    return 0, json.loads(known.figures), known


def _write_stats(figures: dict[str, dict[str, Any]], place: str) -> None:
    try:
        overwrite(place, (json.dumps({"targets": figures}, indent=2) + "\n").encode())
    except OSError as error:
        raise failure(f"{place}: cannot be written: {error.strerror}") from None


def _keep(
    asked: Asked, line: Sequence[Word], lines: dict[str, list[Word]], records: dict[str, Record | None]
) -> None:
    """Notes for the same command what it would repeat, where each of its targets has a record."""
    done = [record for record in records.values() if record]
    try:
        command = command_of([*line], os.environ)
    except OSError:
        return
    if not command or len(done) < len(records):
        return
    # Observed first: a file that comes later makes another value, one that came before is found now.
    again = Found()
    project, profile = asked.project, asked.profile
    for name in asked.targets:
        target_line(project, project.targets[name], profile, again)
    folders = [observe("names", (folder,)) for folder in again.folders]
    for name, words in lines.items():
        if _inputs(target_line(project, project.targets[name], profile, Found())) != _inputs(words):
            return
    files = [Dependency("file", project.digest, (project.file,))]
    files += [Dependency("file", "", (PROJECT,))] if project.file != PROJECT else []  # it would come first
    dependencies = dict.fromkeys((*files, *folders, *(one for record in done for one in record.dependencies)))
    warnings = list(dict.fromkeys(warning for record in done for warning in record.warnings))
    text = "\n".join(record.line for record in done)
    figures = {name: json.loads(record.figures) for name, record in zip(records, done, strict=True)}
    record = Record(text, json.dumps({"targets": figures}), warnings, list(dependencies))
    keep_record(command, record)


def _inputs(line: Sequence[Word]) -> list[tuple[str, ...]]:
    return [(*word.words, *word.own, word.level) for word in line if word.place == INPUT]
