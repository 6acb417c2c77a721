"""The command line: options in, one build, one line of truth out."""

from __future__ import annotations

import gc
import io
import os
import sys
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

import click

from nativecache.cli import account, report
from nativecache.cli.build_options import BuildOptions, build_options, spell_for_click
from nativecache.cli.cache import cache
from nativecache.cli.figures import up_to_date_record, write_stats
from nativecache.cli.requests import (
    read_requests,
    warn_of_level,
)
from nativecache.cli.start import VERSION
from nativecache.cli.up_to_date import encode_record, read_command
from nativecache.cli.words import (
    BadWords,
    Word,
    read_words,
)
from nativecache.linker.output import own_descriptor
from nativecache.linker.shown import error_line, shown, shown_lines
from nativecache.linker.values import dataclass, replace
from nativecache.linker.waiting import Watch, say_on_stderr

if TYPE_CHECKING:
    from nativecache.aot.report import Report
    from nativecache.aot.request import Request


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="nativecache")
def cli() -> None:
    """Ahead-of-time builds with a function-granular object cache."""


cli.add_command(cache)


@cli.command(short_help="Build a program from LLVM IR, C and C++.")
@click.argument("_", nargs=-1, metavar="INPUT... [-- LINK-OPTION...]", expose_value=False)
@build_options
def build(options: BuildOptions) -> None:
    """Build a program from LLVM IR (.ll, .bc), C and C++, and link it with objects and libraries.

    Compilers' flags are taken as well (-c -g -std= -f… -m… -W… -x -MD -L -l -Wl,… @file), and order counts.
    What stands behind -- goes to the compiler driver that links (-Wl,… to the linker itself); `-o -` is
    standard output.

    Exit codes: 1 bad input, 2 usage, 3 link, 4 verification, 130 interrupted (143 by SIGTERM).
    """
    try:
        os.getcwd()
    except OSError as error:
        raise click.ClickException(f"the current folder cannot be used: {error.strerror}") from None
    line = click.get_current_context().obj.line
    requests = read_requests(line, options)
    said = warn_of_level(line, requests[0].clang_flags)
    results = [_build(one, options, said, whole_command=len(requests) == 1) for one in requests]
    if options.stats_json:
        write_stats(results, options.stats_json)
    wrong = [result for result in results if result.mismatches]
    for result in wrong:
        report.show_mismatches(result)
    if wrong:
        raise click.exceptions.Exit(4)


def _build(request: Request, options: BuildOptions, said: list[str], *, whole_command: bool) -> Report:
    """One build; it is noted if it is all that the command does. `said` are warnings of the command line."""
    from nativecache.aot.front.sources import Front

    gc.disable()  # a build makes few cycles, and walking a program's text for them takes a tenth of it
    quiet = options.quiet
    watch = nullcontext() if quiet else Watch(say_on_stderr)
    with account.failures(request.store), watch, Front(request) as front:
        # While clang is at work.
        from nativecache.aot.build import build

        with nullcontext(None) if quiet else report.progress() as progress:
            result = build(request, front, progress=progress)
    result = replace(result, warnings=(*said, *result.warnings))
    for warning in result.warnings:
        click.echo(shown_lines(warning), err=True)
    if whole_command and not result.mismatches:
        _keep_record(result, request)
    account.book(result, request, options.cache_mode)
    if not quiet:
        to_stdout = own_descriptor(os.fspath(request.output)) == 1
        report.show(result, timings=options.timings, verbose=options.verbose, err=to_stdout)
    account.prune_in_time(request.store)
    return result


def _keep_record(result: Report, request: Request) -> None:
    """Notes for the same command what it would repeat."""
    from nativecache.cache.entry import Entry, encode_entry
    from nativecache.cache.file_store import FileStore

    store = request.store
    words: list[str] = click.get_current_context().obj.words
    try:
        command = read_command(words, os.environ)
    except OSError:
        return
    done = up_to_date_record(result, request.output)
    if command and done and store.keeps and store.root:
        with suppress(ValueError):  # a text that cannot be noted
            # A file in any store: whoever asks for it has no time to open a database.
            entry = encode_entry(Entry(command.key, encode_record(done), {}))
            FileStore(store.root, warn=lambda _: None).put(command.key, entry)
            store.note_used(command.key)


@dataclass(frozen=True, slots=True)
class Command:
    """A command line: its words, and how they were read if it is a build's."""

    words: list[str]
    line: list[Word]


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Exit codes: 1 bad input, 2 usage, 3 link, 4 verification, 130 interrupted."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(words: list[str]) -> int:
    """Runs a command line; returns its exit code. Raises OSError for what no message is made of here."""
    from nativecache.linker.errors import LinkError

    try:
        line = read_words(words[1:]) if words[:1] == ["build"] else []
        arguments = ["build", *spell_for_click(line)] if words[:1] == ["build"] else words
        command = Command(words, line)
        code = cli(arguments, standalone_mode=False, prog_name="nativecache", obj=command)
    except BadWords as error:
        click.echo(f"Try 'nativecache build --help' for help.\n\n{error_line(str(error))}", err=True)
        return 2
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        _show(error)
        return 2
    except click.ClickException as error:
        _show(error)
        return error.exit_code
    except LinkError as error:
        for problem in error.lines:
            _complain(problem)
        return 3
    except Exception as error:
        from nativecache.aot.errors import BuildError, UsageError

        if not isinstance(error, BuildError):
            raise
        for problem in error.problems:
            _complain(problem)
        return 2 if isinstance(error, UsageError) else 1
    return code if isinstance(code, int) else 0  # click makes an Exit the value


def _show(error: click.ClickException) -> None:
    context = getattr(error, "ctx", None)
    if context and error.message == context.get_help():
        click.echo(error.message, err=True)  # what is said where a command is missing
        return
    if error.message:
        error.message = shown(error.message)  # type: ignore[misc]
    # click says how a command is used, and begins its own line with a prefix of its own.
    text = io.StringIO()
    error.show(text)
    usage, _, problem = ("\n" + text.getvalue()).rpartition("\nError: ")
    if usage:
        click.echo(usage[1:], err=True)
    click.echo(error_line(problem.removesuffix("\n")), err=True)


def _complain(problem: str) -> None:
    """One line from us, behind whatever another tool said about it."""
    from nativecache.aot.errors import Said

    if isinstance(problem, Said):
        said, end, problem = problem.rpartition("\n")
        click.echo(shown_lines(said), err=True, nl=bool(end))
    click.echo(error_line(problem), err=True)


if __name__ == "__main__":
    main()
