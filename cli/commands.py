"""The commands as click declares them: for help, for what is wrong, and for what is not read without it."""

from __future__ import annotations

import io

import click

from nativecache.cli import main
from nativecache.cli.build_options import build_options, spell_for_click
from nativecache.cli.cache import cache
from nativecache.cli.init import init
from nativecache.cli.options import BuildOptions
from nativecache.cli.say import say
from nativecache.cli.server_commands import server
from nativecache.cli.start import VERSION
from nativecache.linker.shown import error_line, shown


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="nativecache")
def cli() -> None:
    """Ahead-of-time builds with a function-granular object cache.

    As a compiler, in any build system: `nativecache clang -c FILE …`, before a compiler's path as CMake's
    compiler launcher, or under a compiler's name through a link. NATIVECACHE_DISABLE=1 runs the real one.
    """


cli.add_command(cache)
cli.add_command(server)
cli.add_command(init)


@cli.command(short_help="Build a program from LLVM IR, C and C++.")
@click.argument("_", nargs=-1, metavar="INPUT... [-- LINK-OPTION...]", expose_value=False)
@build_options
def build(options: BuildOptions) -> None:
    """Build a program from LLVM IR (.ll, .bc), C and C++, and link it with objects and libraries.

    Without inputs, the targets of nativecache.toml, or of [tool.nativecache] in pyproject.toml; with -p, the
    sources of a compilation database.

    Compilers' flags are taken as well (-c -g -std= -f… -m… -W… -x -MD -L -l -Wl,… @file), and order counts.
    What stands behind -- goes to the compiler driver that links (-Wl,… to the linker itself); `-o -` is
    standard output.

    Exit codes: 1 bad input, 2 usage, 3 link, 4 verification, 130 interrupted (143 by SIGTERM).
    """
    code = main.build(click.get_current_context().obj, options)
    if code:
        raise click.exceptions.Exit(code)


def ask_click(command: main.Command) -> int:
    """Runs a command line; returns its exit code. Raises click's exceptions, which `explain` takes."""
    words = command.words
    arguments = ["build", *spell_for_click(command.line)] if words[:1] == ["build"] else words
    code = cli(arguments, standalone_mode=False, prog_name="nativecache", obj=command)
    return code if isinstance(code, int) else 0  # click makes an Exit the value


def explain(error: Exception) -> int | None:
    """Says what click's exceptions are about; returns the exit code, None for other exceptions."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if not isinstance(error, click.ClickException):
        return None
    if isinstance(error, click.UsageError) and error.ctx is None:  # of a build that was read without click
        group = click.Context(cli, info_name="nativecache", **cli.context_settings)
        error = click.UsageError(error.message, click.Context(build, group, info_name="build"))
    _show(error)
    return error.exit_code


def _show(error: click.ClickException) -> None:
    context = getattr(error, "ctx", None)
    if context and error.message == context.get_help():
        say(error.message, err=True)  # what is said where a command is missing
        return
    if error.message:
        error.message = shown(error.message)  # type: ignore[misc]
    # click says how a command is used, and begins its own line with a prefix of its own.
    text = io.StringIO()
    error.show(text)
    usage, _, problem = ("\n" + text.getvalue()).rpartition("\nError: ")
    if usage:
        say(usage[1:], err=True)
    say(error_line(problem.removesuffix("\n")), err=True)
