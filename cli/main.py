"""The command line: options in, one build, one line of truth out."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from nativecache.cli import account, report
from nativecache.cli.figures import figures_of, keep_record, up_to_date_record, write_stats
from nativecache.cli.option_table import INPUT, OURS
from nativecache.cli.options import BuildOptions, read_plainly
from nativecache.cli.requests import (
    read_requests,
    warn_of_level,
)
from nativecache.cli.say import failure, say
from nativecache.cli.up_to_date import command_of
from nativecache.cli.words import (
    BadWords,
    Word,
    read_words,
)
from nativecache.linker.output import own_descriptor
from nativecache.linker.shown import error_line, shown_lines
from nativecache.linker.values import dataclass, replace
from nativecache.linker.waiting import Watch, say_on_stderr

if TYPE_CHECKING:
    from nativecache.aot.report import Report
    from nativecache.aot.request import Request
    from nativecache.cache.dependencies import Dependency
    from nativecache.cache.since import Seen
    from nativecache.cli.up_to_date import Record


@dataclass(frozen=True, slots=True)
class Command:
    """A command line: its words, and how they were read if it is a build's."""

    words: list[str]
    line: list[Word]
    #: What was measured when it was asked whether there is anything to do.
    seen: Seen | None = None
    #: The line under which it is noted what the same command would repeat, if that is another one, and what
    #: that rests on besides.
    noted: list[Word] | None = None
    rests_on: tuple[Dependency, ...] = ()
    #: Of a project's target, who is told what came of it.
    tell: Callable[[Report, Record | None], None] | None = None


def build(command: Command, options: BuildOptions) -> int:
    """Does what a command line that was read asks for. Returns its exit code."""
    gc.disable()  # a build makes few cycles, and walking a program's text for them takes a tenth of it
    try:
        os.getcwd()
    except OSError as error:
        raise failure(f"the current folder cannot be used: {error.strerror}") from None
    requests = read_requests(command.line, options)
    said = warn_of_level(command.line, requests[0].clang_flags)
    alone = len(requests) == 1
    seen = command.seen if alone else None  # the second build begins later
    results = [_build(one, options, said, command if alone else None, seen) for one in requests]
    if options.stats_json and not command.tell:
        write_stats(results, options.stats_json)
    wrong = [result for result in results if result.mismatches]
    for result in wrong:
        report.show_mismatches(result)
    return 4 if wrong else 0


def _build(
    request: Request, options: BuildOptions, said: list[str], command: Command | None, seen: Seen | None
) -> Report:
    """One build, noted for its `command` if that asks for no other; `said` are its warnings."""
    from nativecache.aot.front.sources import Front

    quiet = options.quiet
    watch = nullcontext() if quiet else Watch(say_on_stderr)
    slots = _job_slots(request, options)
    with account.failures(request.store), watch, slots as allowed, Front(allowed, seen=seen) as front:
        # While clang is at work.
        from nativecache.aot.build import build

        with nullcontext(None) if quiet else report.progress() as progress:
            result = build(allowed, front, progress=progress)
    result = replace(result, warnings=(*said, *result.warnings))
    for warning in result.warnings:
        say(shown_lines(warning), err=True)
    if command and not result.mismatches:
        _keep_record(result, request, command)
    account.book(result, request, options.cache_mode)
    if not quiet:
        to_stdout = own_descriptor(os.fspath(request.output)) == 1
        report.show(result, timings=options.timings, verbose=options.verbose, err=to_stdout)
    account.pack(request.store)
    account.prune_in_time(request.store)
    if os.environ.get("NATIVECACHE_SERVER"):
        from nativecache.cli.server_start import start_behind

        start_behind(os.environ)
    return result


def _job_slots(request: Request, options: BuildOptions) -> AbstractContextManager[Request]:
    """The request with as many workers as a make that called has job slots to spare, unless `-j` is given."""
    makeflags = os.environ.get("MAKEFLAGS", "")
    if options.threads or "jobserver" not in makeflags:
        return nullcontext(request)
    from nativecache.cli.job_slots import with_slots

    return with_slots(request, makeflags)


def _keep_record(result: Report, request: Request, command: Command) -> None:
    """Notes for the same command what it would repeat."""
    store = request.store
    try:
        asked = command_of(command.line, os.environ)
        if asked and command.noted:
            asked = command_of(command.noted, os.environ)
    except OSError:
        asked = None
    record = up_to_date_record(result, request.output)
    if record:
        record.dependencies += command.rests_on
    if asked and record and store.keeps and store.root:
        keep_record(asked, record)
        store.note_used(asked.key)
    if command.tell:
        command.tell(result, record if asked else None)


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Exit codes: 1 bad input, 2 usage, 3 link, 4 verification, 130 interrupted."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(words: list[str], seen: Seen | None) -> int:
    if words[:1] != ["build"]:
        from nativecache.cli.commands import ask_click

        return ask_click(Command(words, []))
    line = read_words(words[1:])
    if any(word.place == OURS and word.name == "-p" for word in line):
        from nativecache.cli.database import expand_database

        expanded, rests_on = expand_database(line)
        return _run_line(Command(words, expanded, seen, noted=line, rests_on=(rests_on,)))
    if not any(word.place == INPUT for word in line):
        from nativecache.cli.project_build import build_project, find_asked

        if asked := find_asked(line):
            return build_project(asked, line, partial(_build_target, words))
    return _run_line(Command(words, line, seen))


def _run_line(command: Command) -> int:
    if options := read_plainly(command.line, os.environ):
        return build(command, options)
    from nativecache.cli.commands import ask_click

    return ask_click(command)


def _build_target(words: list[str], line: list[Word]) -> tuple[int, dict[str, object], Record | None]:
    """Builds a project's target by its line: the exit code, figures, and what would be repeated."""
    came: list[tuple[dict[str, object], Record | None]] = []
    code = _run_line(
        Command(words, line, tell=lambda report, record: came.append((figures_of(report), record)))
    )
    return code, *(came[-1] if came else ({}, None))


def _run_configured(words: list[str], seen: Seen | None) -> int:
    """Runs a command line, anew with the words of clang's own configuration files where it reads some."""
    from nativecache.aot.errors import Configured

    try:
        return _run(words, seen)
    except Configured as configured:
        files = configured.files
    named = [f"--config={file}" for file in files]
    try:
        return _run([words[0], "--no-default-config", *named, *words[1:]], seen)
    except BadWords as error:
        raise BadWords(f"{error} ({', '.join(files)} is read by clang: --no-default-config)") from None


def run(words: list[str], seen: Seen | None = None) -> int:
    """Runs a command line; returns its exit code. `seen`: what was measured before.

    Raises OSError for what no message is made of here.
    """
    from nativecache.linker.errors import LinkError

    try:
        return _run_configured(words, seen)
    except BadWords as error:
        say(f"Try 'nativecache build --help' for help.\n\n{error_line(str(error))}", err=True)
        return 2
    except LinkError as error:
        for problem in error.lines:
            _complain(problem)
        return 3
    except Exception as error:
        code = _explain(error)
        if code is None:
            raise
        return code


def _explain(error: Exception) -> int | None:
    """Says what is wrong, and returns the exit code; None for what is no fault of the user's."""
    from nativecache.aot.errors import BuildError, UsageError

    if isinstance(error, BuildError):
        for problem in error.problems:
            _complain(problem)
        return 2 if isinstance(error, UsageError) else 1
    from nativecache.cli.commands import explain

    return explain(error)


def _complain(problem: str) -> None:
    """One line from us, behind whatever another tool said about it."""
    from nativecache.aot.errors import Said

    if isinstance(problem, Said):
        said, end, problem = problem.rpartition("\n")
        say(shown_lines(said), err=True, end=end)
    say(error_line(problem), err=True)


if __name__ == "__main__":
    main()
