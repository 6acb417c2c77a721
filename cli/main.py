"""The command line: options in, one build, one line of truth out."""

from __future__ import annotations

import gc
import io
import os
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nativecache.cli import account, report
from nativecache.cli.cache import cache
from nativecache.cli.folders import MODES, PATH, open_store, store_option
from nativecache.cli.start import VERSION
from nativecache.cli.up_to_date import encode_record, read_command, what_stats_overwrite
from nativecache.cli.words import (
    BOTH,
    CLANG,
    DEPENDENCIES,
    INPUT,
    LINK,
    OURS,
    VALUED,
    BadWords,
    Word,
    read_words,
)
from nativecache.linker.output import own_descriptor
from nativecache.linker.shown import error_line, shown, shown_lines, warning_line
from nativecache.linker.waiting import Watch, say_on_stderr

if TYPE_CHECKING:
    from nativecache.aot.report import Report
    from nativecache.aot.request import Dependencies, Input, Request


def _option(*names: str, env: str, **settings: Any) -> Callable[[Any], Any]:
    """An option with its environment variable, which the help shows."""
    return click.option(*names, envvar=f"NATIVECACHE_{env}", show_envvar=True, **settings)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="nativecache")
def cli() -> None:
    """Ahead-of-time builds with a function-granular object cache."""


cli.add_command(cache)


@cli.command()
@click.argument("_", nargs=-1, metavar="INPUT... [-- LINK-OPTION...]", expose_value=False)
@_option("-o", "--output", env="OUTPUT", type=PATH, help="The file to write.")
@_option(
    "-O",
    "level",
    type=click.IntRange(0, 3),
    default=2,
    show_default=True,
    env="OPT",
    help="Optimisation and code generation level.",
)
@_option("--no-opt", is_flag=True, env="NO_OPT", help="Generate code only: the IR is optimised already.")
@_option(
    "--import-limit",
    type=click.IntRange(0),
    env="IMPORT_LIMIT",
    help="Longest function, in lines of IR, to inline across units; 0 for none.",
)
@_option("--target", env="TARGET", help="Target triple [default: the input's].")
@_option("--cpu", env="CPU", help="CPU to generate code for; 'native' is this machine's.")
@_option("--features", default="", env="FEATURES", help="CPU features: +avx2,-bmi.")
@_option(
    "--emit",
    type=click.Choice(["exe", "shared", "object", "archive", "asm", "bitcode"]),
    default="exe",
    show_default=True,
    env="EMIT",
    help="What to write.",
)
@_option(
    "-j",
    "--threads",
    type=click.IntRange(1, 1024),
    env="THREADS",
    help="Worker processes [default: one per CPU].",
)
@_option(
    "--cache-dir",
    type=PATH,
    env="DIR",
    help="The cache folder [default: the user's cache folder].",
)
@_option(
    "--cache-mode",
    type=click.Choice(MODES),
    default="read-write",
    show_default=True,
    env="CACHE_MODE",
    help="read-only writes nothing, refresh compiles everything again and keeps that.",
)
@_option("--no-cache", is_flag=True, env="NO_CACHE", help="The same as --cache-mode off.")
@store_option
@_option(
    "--fallback-dir",
    type=PATH,
    multiple=True,
    env="FALLBACK_DIR",
    help="A cache folder to look in, never to write to, for what the cache folder lacks.",
)
@_option(
    "--trust-cache-dir",
    is_flag=True,
    env="TRUST_CACHE_DIR",
    help="Use a cache folder that other users may write to.",
)
@_option(
    "--verify",
    type=click.FloatRange(0, 100),
    default=0,
    env="VERIFY",
    metavar="[=PERCENT]",
    help="Compile this share of the hits again and compare [10 unless said]; exit code 4 if any differs.",
)
@_option("--timings", is_flag=True, env="TIMINGS", help="Show where the time went.")
@_option("--stats-json", type=PATH, env="STATS_JSON", help="Write figures to a file.")
@_option("--linker", default="auto", env="LINKER", help="auto, lld, mold, bfd, gold or a path.")
@_option("--cc", "driver", env="CC", help="The compiler driver that links [default: cc].")
@_option("--clang", env="CLANG", help="The clang for C and C++ [default: the newest].")
@_option(
    "--compiler-check",
    default="auto",
    show_default=True,
    env="COMPILER_CHECK",
    metavar="HOW",
    help="What tells one clang from another: auto (content; a script is asked what it would run, too), "
    "content, mtime, none, string:TEXT, or a command, in which %compiler% is clang, for what it prints.",
)
@_option(
    "--llvm",
    "engine",
    default="auto",
    show_default=True,
    env="LLVM",
    help="auto (LLVM's shared library if there is one), llvmlite, or a libLLVM's path.",
)
@_option(
    "--compress-debug",
    is_flag=True,
    env="COMPRESS_DEBUG",
    help="Have the linker compress debug information with zstd; -gz[=zlib] does so, too.",
)
@_option("-I", "include", env="INCLUDE", multiple=True, metavar="DIR", help="Passed to clang.")
@_option("-D", "define", env="DEFINES", multiple=True, metavar="NAME[=VALUE]", help="Passed to clang.")
@_option("-U", "undefine", env="UNDEFINES", multiple=True, metavar="NAME", help="Passed to clang.")
@_option("--std", env="STD", metavar="STANDARD", help="Language standard, passed to clang.")
@_option("--cflag", multiple=True, env="CFLAGS", metavar="FLAG", help="Any flag for clang.")
@_option("-v", "--verbose", is_flag=True, env="VERBOSE", help="Say more.")
@_option("-q", "--quiet", is_flag=True, env="QUIET", help="Say nothing but errors and warnings.")
def build(**options: Any) -> None:
    """Build a program from LLVM IR (.ll, .bc), C and C++, and link it with objects and libraries.

    Compilers' flags are taken as well (-c -g -std= -f… -m… -W… -x -MD -L -l -Wl,… @file), and order counts.
    What stands behind -- goes to the linker; `-o -` is standard output.

    Exit codes: 1 bad input, 2 usage, 3 link, 4 verification, 130 interrupted (143 by SIGTERM).
    """
    from nativecache.aot.request import Input, Request

    try:
        os.getcwd()
    except OSError as error:
        raise click.ClickException(f"the current folder cannot be used: {error.strerror}") from None
    line: list[Word] = click.get_current_context().obj.line
    items = _items(line)
    inputs = [item for item in items if isinstance(item, Input)]
    if not inputs:
        raise click.UsageError("no inputs: name at least one file")
    alone = options["emit"] == "object" and any(word.words in (("-c",), ("--compile",)) for word in line)
    if alone:
        inputs = _compiled_alone(inputs)
        items = [*inputs]
    if options["output"] == Path() and any(_names_nothing(word) for word in line):
        if not alone:
            raise click.UsageError("-o '': the output's name is empty; name a file")
        options["output"] = None  # as clang -c takes it
    output = options["output"] or default_output(options["emit"], [str(path) for path in inputs])
    if os.fspath(output) == "-":
        output = Path("/dev/stdout")  # as compilers take it
    if stats := options["stats_json"]:
        names = [*map(os.fspath, inputs), os.fspath(output)]
        if why := what_stats_overwrite(os.fspath(stats), names):
            raise click.UsageError(f"--stats-json {stats}: {why}; name another file")
    level, flags, unsupported = _level(line, options)
    flags = [*_from_environment(line, options), *flags]
    compressed = [flag.partition("=")[2] or "zlib" for flag in flags if flag.startswith("-gz")]
    if options["compress_debug"]:
        compressed.append("zstd")
    request = Request(
        line=(*items, *(f"-Wl,--compress-debug-sections={how}" for how in compressed[-1:])),
        output=output,
        store=open_store(options),
        emit=options["emit"],
        level=level,
        optimize=not options["no_opt"],
        target=options["target"],
        cpu=options["cpu"],
        features=options["features"],
        threads=options["threads"] or len(os.sched_getaffinity(0)),
        clang=options["clang"],
        compiler_check=options["compiler_check"],
        engine=options["engine"],
        clang_flags=tuple(flags),
        linker=options["linker"],
        driver=options["driver"],
        environ=dict(os.environ),
        import_lines=options["import_limit"],
        verify_percent=options["verify"],
        dependencies=_dependencies(line, options["output"]),
    )
    requests = [request]
    if alone and len(inputs) > 1:
        if options["output"]:
            raise click.UsageError("-c makes an object of each input: leave -o out, or say --emit object")
        requests = [
            replace(request, line=(path,), output=default_output("object", [str(path)])) for path in inputs
        ]
    results = [_build(one, options, unsupported, whole_command=len(requests) == 1) for one in requests]
    if stats:
        report.write_stats(results, stats)
    wrong = [result for result in results if result.mismatches]
    for result in wrong:
        report.show_mismatches(result)
    if wrong:
        raise click.exceptions.Exit(4)


def _names_nothing(word: Word) -> bool:
    return word.place == OURS and word.name in ("-o", "--output") and not word.value


def _build(request: Request, options: dict[str, Any], said: list[str], *, whole_command: bool) -> Report:
    """One build; it is noted if it is all that the command does. `said` are warnings of the command line."""
    from nativecache.aot.front.sources import Front

    gc.disable()  # a build makes few cycles, and walking a program's text for them takes a tenth of it
    quiet = options["quiet"]
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
    account.book(result, request, options["cache_mode"])
    if not quiet:
        to_stdout = own_descriptor(os.fspath(request.output)) == 1
        report.show(result, timings=options["timings"], verbose=options["verbose"], err=to_stdout)
    account.prune_in_time(request.store)
    return result


def _keep_record(result: Report, request: Request) -> None:
    """Notes for the same command what it would repeat."""
    from nativecache.cache.entry import Entry
    from nativecache.cache.entry import encode_entry as pack_entry
    from nativecache.cache.file_store import FileStore

    store = request.store
    words: list[str] = click.get_current_context().obj.words
    try:
        command = read_command(words, os.environ)
    except OSError:
        return
    done = report.up_to_date_record(result, request.output)
    if command and done and store.keeps and store.root:
        with suppress(ValueError):  # a text that cannot be noted
            # A file in any store: whoever asks for it has no time to open a database.
            entry = pack_entry(Entry(command.key, encode_record(done), {}))
            FileStore(store.root, warn=lambda _: None).put(command.key, entry)
            store.note_used(command.key)


def _compiled_alone(inputs: list[Input]) -> list[Input]:
    """The inputs of which `-c` makes objects; like clang it leaves out those for the linker."""
    from nativecache.aot.front.sources import is_native

    unused = [path for path in inputs if is_native(path)]
    for path in unused:
        click.echo(warning_line(f"{path}: not used, for -c links nothing; --emit object would"), err=True)
    found = [path for path in inputs if path not in unused]
    if not found:
        raise click.UsageError("-c: there is nothing to compile among the inputs")
    return found


def _items(line: list[Word]) -> list[Input | str]:
    """Inputs and words for the link, in order."""
    from nativecache.aot.request import Input

    items: list[Input | str] = []
    for word in line:
        if word.place == INPUT:
            items.append(Input.named(word.words[0], word.language))
        elif word.place in (LINK, BOTH) or word.words == ("-r",):
            items += word.words
    return items


def _dependencies(line: list[Word], output: Path | None) -> Dependencies | None:
    """The depfiles that are asked for, None if none is."""
    from nativecache.aot.request import Dependencies

    asked = [word for word in line if word.place == DEPENDENCIES]
    kinds = [w.name for w in asked if w.name.strip("-") in ("MD", "MMD", *_LONG_KINDS)]
    if any(word.name == "-MG" for word in asked):
        raise click.UsageError(
            "-MG: clang takes it with -M or -MM only, which preprocess alone; leave it out"
        )
    if not kinds:
        return None
    files = [word.value for word in asked if word.value and word.name not in ("-MT", "-MQ")]
    return Dependencies(
        # As clang has it, in whatever order.
        system={"-MMD", "--write-user-dependencies"}.isdisjoint(kinds),
        flags=tuple(word.name for word in asked if word.name in ("-MP", "-MV")),
        targets=tuple(part for w in asked if w.name in ("-MT", "-MQ") for part in (w.name, w.value)),
        file=files[-1] if files else None,
        output=str(output) if output else None,
    )


_LONG_KINDS = ("write-dependencies", "write-user-dependencies")


def _level(line: list[Word], options: dict[str, Any]) -> tuple[int, list[str], list[str]]:
    """The level that was asked for last; clang's flags in order, with what that says besides; warnings."""
    levels = [word for word in line if word.place == OURS and word.name == "-O"]
    flags: list[str] = []
    for word in line:
        if word.place in (CLANG, BOTH):
            flags += word.words
        elif word in levels[-1:]:
            flags += _BESIDES.get(word.value, [])
    said = [word.words[0] for word in levels[-1:] if _is_beyond(word.value)]
    said = [flag for flag in said if flag != "-O4" or "-w" not in flags]
    warnings = [warning_line(f"{flag} is taken as -O3") for flag in said]
    return options["level"], flags, warnings


def _is_beyond(level: str) -> bool:
    """Whether it is a number that clang takes for the highest level."""
    number = re.fullmatch(r"-?\d{1,9}", level, re.ASCII)
    return number is not None and not 0 <= int(level) <= 3


#: Levels that clang knows, as those that we know; and what else it does at them.
_LEVELS = {"": "1", "g": "1", "s": "2", "z": "2", "fast": "3"}
_BESIDES = {"s": ["-Os"], "z": ["-Oz"], "fast": ["-ffast-math"]}


def _from_environment(line: list[Word], options: dict[str, Any]) -> list[str]:
    """Flags for clang that the environment gives and the command line does not."""
    said = {word.name for word in line}
    return [
        *(f"-std={options['std']}" for _ in [0] if options["std"] and "--std" not in said),
        *(f"-I{folder}" for folder in options["include"] if "-I" not in said),
        *(f"-D{macro}" for macro in options["define"] if "-D" not in said),
        *(f"-U{macro}" for macro in options["undefine"] if "-U" not in said),
        *(flag for flag in options["cflag"] if "--cflag" not in said),
    ]


def default_output(emit: str, inputs: list[str]) -> Path:
    """`a.out` as every compiler; for other kinds the first input's name with their own ending."""
    endings = {"shared": ".so", "object": ".o", "archive": ".a", "asm": ".s", "bitcode": ".bc"}
    return Path(Path(inputs[0]).stem + endings[emit]) if emit in endings else Path("a.out")


@dataclass(frozen=True, slots=True)
class Command:
    """A command line: its words, and what they are if it is a build's."""

    words: list[str]
    line: list[Word]


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Exit codes: 1 bad input, 2 usage, 3 link, 4 verification, 130 interrupted."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def _options(line: list[Word]) -> list[str]:
    """Our options, in the spelling that leaves click nothing to guess."""
    levels = [word for word in line if word.place == OURS and word.name == "-O"]
    values = ["3" if _is_beyond(word.value) else word.value for word in levels[-1:]]
    found = [f"-O{_LEVELS.get(value, value)}" for value in values]
    for word in line:
        if word.place == OURS and word.name != "-O":
            name = {"-o": "--output", "-j": "--threads"}.get(word.name, word.name)
            found.append(f"{name}={word.value}" if name in VALUED or name == "--verify" else name)
    return found


def run(words: list[str]) -> int:
    """The exit code of a command line. Raises OSError for what no message is made of here."""
    from nativecache.linker.errors import LinkError

    try:
        line = read_words(words[1:]) if words[:1] == ["build"] else []
        arguments = ["build", *_options(line)] if words[:1] == ["build"] else words
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
