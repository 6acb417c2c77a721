"""The options of `nativecache build` as click declares them.

Which words are options, and of whom, is for `words.py` to say; a test holds the two tables equal.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import click

from nativecache.cli.option_table import OURS, VALUED
from nativecache.cli.options import EMITS, GRANULARITIES, MODES, BuildOptions, asked_level
from nativecache.cli.shared_options import PATH, store_option
from nativecache.cli.words import Word
from nativecache.linker.values import fields


def build_options(command: Callable[[BuildOptions], Any]) -> Callable[..., Any]:
    """Declares all options of `build` on a command, which is given what they are as one value."""

    @wraps(command)
    def called(**options: Any) -> Any:
        return command(BuildOptions(**{field.name: options[field.name] for field in fields(BuildOptions)}))

    for option in reversed(_OPTIONS):
        called = option(called)
    return called


def _option(*names: str, env: str, **settings: Any) -> Callable[[Any], Any]:
    """An option with its environment variable, which the help shows."""
    return click.option(*names, envvar=f"NATIVECACHE_{env}", show_envvar=True, **settings)


#: In the order in which the help shows them.
_OPTIONS: Final[tuple[Callable[[Any], Any], ...]] = (
    _option("-o", "--output", env="OUTPUT", type=PATH, help="The file to write."),
    _option(
        "-O",
        "level",
        type=click.IntRange(0, 3),
        default=2,
        show_default=True,
        env="OPT",
        metavar="LEVEL",
        help="Optimisation and code generation: 0 to 3, s, z, g or fast; the variable takes 0 to 3.",
    ),
    _option("--no-opt", is_flag=True, env="NO_OPT", help="Generate code only: the IR is optimised already."),
    _option(
        "--granularity",
        type=click.Choice(GRANULARITIES),
        default="auto",
        show_default=True,
        env="GRANULARITY",
        help="What is compiled and kept in one piece: functions, files (by clang), or auto: files at -O0.",
    ),
    _option(
        "--import-limit",
        type=click.IntRange(0),
        env="IMPORT_LIMIT",
        metavar="N",
        help="Longest function, in lines of IR, to inline across units; 0 for none.",
    ),
    _option("--target", env="TARGET", help="Target triple [default: the input's]."),
    _option("--cpu", env="CPU", help="CPU to generate code for; 'native' is this machine's."),
    _option("--features", default="", env="FEATURES", help="CPU features: +avx2,-bmi."),
    _option(
        "--emit",
        type=click.Choice(EMITS),
        default="exe",
        show_default=True,
        env="EMIT",
        help="What to write.",
    ),
    _option(
        "-j",
        "--threads",
        type=click.IntRange(1, 1024),
        env="THREADS",
        metavar="N",
        help="Worker processes [default: one per CPU].",
    ),
    _option(
        "--cache-dir",
        type=PATH,
        env="DIR",
        help="The cache folder [default: the user's cache folder].",
    ),
    _option(
        "--cache-mode",
        type=click.Choice(MODES),
        default="read-write",
        show_default=True,
        env="CACHE_MODE",
        help="read-only writes nothing, refresh compiles everything again and keeps that.",
    ),
    _option("--no-cache", is_flag=True, env="NO_CACHE", help="The same as --cache-mode off."),
    store_option,
    _option(
        "--fallback-dir",
        type=PATH,
        multiple=True,
        env="FALLBACK_DIR",
        help="A cache folder to look in, never to write to, for what the cache folder lacks.",
    ),
    _option(
        "--trust-cache-dir",
        is_flag=True,
        env="TRUST_CACHE_DIR",
        help="Use a cache folder that other users may write to.",
    ),
    _option(
        "--verify",
        type=click.FloatRange(0, 100),
        default=0,
        env="VERIFY",
        metavar="[=PERCENT]",
        help="Compile this share of the hits again and compare [10 unless said]; exit code 4 if any differs.",
    ),
    _option("--timings", is_flag=True, env="TIMINGS", help="Show where the time went."),
    _option("--stats-json", type=PATH, env="STATS_JSON", help="Write figures to a file."),
    _option("--linker", default="auto", env="LINKER", help="auto, lld, mold, bfd, gold or a path."),
    _option("--cc", "driver", env="CC", help="The compiler driver that links [default: cc]."),
    _option("--clang", env="CLANG", help="The clang for C and C++ [default: the newest]."),
    _option(
        "--compiler-check",
        default="auto",
        show_default=True,
        env="COMPILER_CHECK",
        metavar="HOW",
        help="What tells one clang from another: auto (content; a script is asked what it would run, too), "
        "content, mtime, none, string:TEXT, or a command, in which %compiler% is clang, for what it prints.",
    ),
    _option(
        "--llvm",
        "engine",
        default="auto",
        show_default=True,
        env="LLVM",
        help="auto (LLVM's shared library if there is one), llvmlite, or a libLLVM's path.",
    ),
    _option(
        "--compress-debug",
        is_flag=True,
        env="COMPRESS_DEBUG",
        help="Have the linker compress debug information with zstd; -gz[=zlib] does so, too.",
    ),
    _option(
        "--no-preamble",
        is_flag=True,
        env="NO_PREAMBLE",
        help="Precompile no headers for sources that are edited again and again.",
    ),
    click.option(
        "-p",
        "database",
        type=PATH,
        metavar="DATABASE",
        help="Build the sources that a compilation database, or the one in a folder, lists; inputs "
        "choose by file or output.",
    ),
    _option("--profile", env="PROFILE", metavar="NAME", help="The project file's profile to build under."),
    click.option(
        "--only", multiple=True, metavar="NAME", help="A target of the project file, and what it links."
    ),
    _option("-I", "include", env="INCLUDE", multiple=True, metavar="DIR", help="Passed to clang."),
    _option("-D", "define", env="DEFINES", multiple=True, metavar="NAME[=VALUE]", help="Passed to clang."),
    _option("-U", "undefine", env="UNDEFINES", multiple=True, metavar="NAME", help="Passed to clang."),
    _option("--std", env="STD", metavar="STANDARD", help="Language standard, passed to clang."),
    _option("--cflag", multiple=True, env="CFLAGS", metavar="FLAG", help="Any flag for clang."),
    _option("-v", "--verbose", is_flag=True, env="VERBOSE", help="Say more."),
    _option("-q", "--quiet", is_flag=True, env="QUIET", help="Say nothing but errors and warnings."),
)


def spell_for_click(line: list[Word]) -> list[str]:
    """The options of ours on a command line, in the spelling that leaves click nothing to guess."""
    found = [f"-O{level}" for level in asked_level(line)]
    for word in line:
        if word.place == OURS and word.name != "-O":
            name = {"-o": "--output", "-j": "--threads"}.get(word.name, word.name)
            found.append(f"{name}={word.value}" if name in VALUED or name == "--verify" else name)
    return found
