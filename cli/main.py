"""The command line: options in, one build, one line of truth out."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from nativecache.cli import report

_VERSION = "0.1.0"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(_VERSION, prog_name="nativecache")
def cli() -> None:
    """Ahead-of-time builds with a function-granular object cache."""


@cli.command(context_settings={"auto_envvar_prefix": "NATIVECACHE"})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="INPUT... [-- LINK-OPTION...]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write.")
@click.option("-O", "level", type=click.IntRange(0, 3), default=2, show_default=True, envvar="NATIVECACHE_OPT",
              show_envvar=True, help="Optimisation and code generation level.")  # fmt: skip
@click.option("--no-opt", is_flag=True, envvar="NATIVECACHE_NO_OPT", help="Generate code only: the IR is optimised already.")
@click.option("--import-limit", type=click.IntRange(0), envvar="NATIVECACHE_IMPORT_LIMIT",
              help="Longest function, in lines of IR, to inline across units; 0 for none.")  # fmt: skip
@click.option("--target", envvar="NATIVECACHE_TARGET", help="Target triple [default: the input's].")
@click.option("--cpu", envvar="NATIVECACHE_CPU", help="CPU to generate code for; 'native' is this machine's.")
@click.option("--features", default="", envvar="NATIVECACHE_FEATURES", help="CPU features: +avx2,-bmi.")
@click.option("--emit", type=click.Choice(["exe", "shared", "object", "archive", "asm", "bitcode"]), default="exe",
              show_default=True, envvar="NATIVECACHE_EMIT", help="What to write.")  # fmt: skip
@click.option("-j", "--threads", type=click.IntRange(1, 1024), envvar="NATIVECACHE_THREADS", show_envvar=True,
              help="Worker processes [default: one per CPU].")  # fmt: skip
@click.option("--cache-dir", type=click.Path(path_type=Path, file_okay=True), envvar="NATIVECACHE_DIR", show_envvar=True,
              help="The cache folder [default: the user's cache folder].")  # fmt: skip
@click.option("--no-cache", is_flag=True, envvar="NATIVECACHE_NO_CACHE", help="Neither read nor write the cache.")
@click.option("--timings", is_flag=True, envvar="NATIVECACHE_TIMINGS", show_envvar=True, help="Show where the time went.")
@click.option("--stats-json", type=click.Path(path_type=Path), envvar="NATIVECACHE_STATS_JSON", help="Write figures to a file.")
@click.option("--linker", default="auto", envvar="NATIVECACHE_LINKER", help="auto, lld, mold, bfd, gold or a path.")
@click.option("--cc", "driver", envvar="NATIVECACHE_CC", help="The compiler driver that links [default: cc].")
@click.option("--clang", envvar="NATIVECACHE_CLANG", help="The clang for C and C++ [default: the newest].")
@click.option("-I", "include", multiple=True, metavar="DIR", help="Passed to clang.")
@click.option("-D", "define", multiple=True, metavar="NAME[=VALUE]", help="Passed to clang.")
@click.option("-U", "undefine", multiple=True, metavar="NAME", help="Passed to clang.")
@click.option("-std", "--std", metavar="STANDARD", help="Language standard, passed to clang.")
@click.option("--cflag", multiple=True, envvar="NATIVECACHE_CFLAGS", metavar="FLAG", help="Any flag for clang.")
@click.option("-v", "--verbose", is_flag=True, envvar="NATIVECACHE_VERBOSE", help="Say more.")
@click.option("-q", "--quiet", is_flag=True, envvar="NATIVECACHE_QUIET", help="Say nothing but errors and warnings.")
def build(**options: Any) -> None:
    """Build a program from LLVM IR (.ll, .bc), C and C++, and link it with objects and libraries."""
    from nativecache.aot.build import Request, build

    inputs, link_options = split_arguments(options["arguments"])
    if not inputs:
        raise click.UsageError("no inputs: name at least one file")
    output = options["output"] or default_output(options["emit"], inputs)
    flags = [
        *(f"-std={options['std']}" for _ in [0] if options["std"]),
        *(f"-I{folder}" for folder in options["include"]),
        *(f"-D{macro}" for macro in options["define"]),
        *(f"-U{macro}" for macro in options["undefine"]),
        *options["cflag"],
    ]
    request = Request(
        inputs=tuple(map(Path, inputs)),
        output=output,
        store=_store(options),
        emit=options["emit"],
        level=options["level"],
        optimize=not options["no_opt"],
        target=options["target"],
        cpu=options["cpu"],
        features=options["features"],
        threads=options["threads"] or len(os.sched_getaffinity(0)),
        clang=options["clang"],
        clang_flags=tuple(flags),
        linker=options["linker"],
        driver=options["driver"],
        link_options=tuple(link_options),
        environ=dict(os.environ),
        **({} if options["import_limit"] is None else {"import_lines": options["import_limit"]}),
    )
    quiet = options["quiet"]
    with nullcontext(None) if quiet else report.progress() as progress:
        result = build(request, progress=progress)
    for warning in result.warnings:
        click.echo(warning, err=True)
    if options["stats_json"]:
        report.write_stats(result, options["stats_json"])
    if not quiet:
        report.show(result, timings=options["timings"], verbose=options["verbose"])


def split_arguments(arguments: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Inputs, and what stands after `--` for the linker.

    Click swallows the first `--`, so `main` spells it so that it survives.
    """
    words = list(arguments)
    if _SEPARATOR in words:
        cut = words.index(_SEPARATOR)
        return words[:cut], words[cut + 1 :]
    return words, []


_SEPARATOR = "\0--"


def default_output(emit: str, inputs: list[str]) -> Path:
    """`a.out` as every compiler; for other kinds the first input's name with their own ending."""
    endings = {"shared": ".so", "object": ".o", "archive": ".a", "asm": ".s", "bitcode": ".bc"}
    return Path(Path(inputs[0]).stem + endings[emit]) if emit in endings else Path("a.out")


def _store(options: dict[str, Any]) -> Any:
    from nativecache.cache.location import default_cache_dir
    from nativecache.cache.lookup import EntryStore
    from nativecache.cache.store import FileStore, NullStore

    if options["no_cache"]:
        return EntryStore(NullStore())
    root = options["cache_dir"] or default_cache_dir(os.environ)
    return EntryStore(FileStore(Path(root).absolute(), warn=lambda text: click.echo(f"warning: {text}", err=True)))


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Exit codes: 1 bad input, 2 usage, 3 link, 4 verification, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--" in words:
        cut = words.index("--")
        words[cut:] = ["--", _SEPARATOR, *words[cut + 1 :]]
    sys.exit(_run(_spread(words)))


def _spread(words: list[str]) -> list[str]:
    """Spells `-std=c++20` (one dash, as compilers do) so that click reads it."""
    return [f"-{word}" if word.startswith("-std=") else word for word in words]


def _run(words: list[str]) -> int:
    from nativecache.linker.errors import LinkError

    try:
        cli(words, standalone_mode=False, prog_name="nativecache")
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        error.show()
        return 2
    except click.ClickException as error:
        error.show()
        return 1
    except (KeyboardInterrupt, click.Abort):
        click.echo("nativecache: interrupted; what was compiled is kept", err=True)
        return 130
    except LinkError as error:
        for line in str(error).splitlines():
            _complain(line)
        return 3
    except Exception as error:
        from nativecache.aot.errors import BuildError, UsageError

        if not isinstance(error, BuildError):
            raise
        for problem in error.problems:
            _complain(problem)
        return 2 if isinstance(error, UsageError) else 1
    return 0


def _complain(problem: str) -> None:
    """One line from us, behind whatever another tool said about it."""
    *said, line = problem.splitlines() or [""]
    for words in said:
        click.echo(words, err=True)
    click.echo(f"nativecache: {line}", err=True)


if __name__ == "__main__":
    main()
