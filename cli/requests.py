"""From a command line that was read to what a build is asked for: a request, or one for each input of -c."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nativecache.cli.folders import open_store
from nativecache.cli.option_table import BOTH, DEPENDENCIES, INPUT, LINK, OF_PROJECTS, OURS
from nativecache.cli.options import BuildOptions, is_beyond
from nativecache.cli.own_flags import clang_flags
from nativecache.cli.say import say, usage_error
from nativecache.cli.up_to_date import what_stats_overwrite
from nativecache.cli.words import Word
from nativecache.linker.shown import warning_line
from nativecache.linker.values import replace

if TYPE_CHECKING:
    from nativecache.aot.request import Dependencies, Input, Request

_LONG_KINDS: Final = ("write-dependencies", "write-user-dependencies")


def read_requests(line: Sequence[Word], options: BuildOptions) -> list[Request]:
    """The builds that a command line asks for, in order. Raises click's UsageError."""
    from nativecache.aot.request import Input

    if os.environ.get("CCC_OVERRIDE_OPTIONS", "").strip("# "):
        raise usage_error(
            "CCC_OVERRIDE_OPTIONS: it edits flags of clang where nobody sees them; unset it, write the flags"
        )
    items = _items(line)
    inputs = [item for item in items if isinstance(item, Input)]
    if named := next((word.name for word in line if word.place == OURS and word.name in OF_PROJECTS), ""):
        why = "inputs are named, which are no project's" if inputs else "there is no nativecache.toml here"
        raise usage_error(f"{named}: is for the targets of a project file, and {why}; leave it out")
    if not inputs:
        raise usage_error("no inputs: name at least one file, or have a project file (nativecache init)")
    alone = options.emit == "object" and any(word.words in (("-c",), ("--compile",)) for word in line)
    if alone:
        inputs = _compiled_alone(inputs)
        items = [*inputs]
    if options.output == Path() and any(map(_names_nothing, line)):
        if not alone:
            raise usage_error("-o '': the output's name is empty; name a file")
        options = replace(options, output=None)  # as clang -c takes it
    output = options.output or default_output(options.emit, [str(path) for path in inputs])
    if os.fspath(output) == "-":
        output = Path("/dev/stdout")  # as compilers take it
    _check_stats(options.stats_json, [*map(os.fspath, inputs), os.fspath(output)])
    request = _request(line, items, output, options)
    if not alone or len(inputs) == 1:
        return [request]
    if options.output:
        raise usage_error("-c makes an object of each input: leave -o out, or say --emit object")
    return [replace(request, line=(path,), output=default_output("object", [str(path)])) for path in inputs]


def _names_nothing(word: Word) -> bool:
    return word.place == OURS and word.name in ("-o", "--output") and not word.value


def _request(
    line: Sequence[Word], items: Sequence[Input | str], output: Path, options: BuildOptions
) -> Request:
    from nativecache.aot.request import Input, Request

    flags = [*_from_environment(line, options), *clang_flags(line)]
    return Request(
        line=(*items, *_compression(flags, options), *_fast_start(line, flags, options)),
        output=output,
        store=open_store(options),
        emit=options.emit,
        level=options.level,
        optimize=not options.no_opt,
        target=options.target,
        cpu=options.cpu,
        features=options.features,
        threads=options.threads or len(os.sched_getaffinity(0)),
        clang=options.clang,
        compiler_check=options.compiler_check,
        engine=options.engine,
        clang_flags=tuple(flags),
        unit_flags=_unit_flags(flags, options.level, [item for item in items if isinstance(item, Input)]),
        linker=options.linker,
        driver=options.driver,
        environ=dict(os.environ),
        import_lines=options.import_limit,
        granularity=options.granularity,
        verify_percent=options.verify,
        preambles=not options.no_preamble,
        dependencies=_dependencies(line, options.output),
    )


def _unit_flags(flags: Sequence[str], level: int, inputs: Sequence[Input]) -> tuple[str, ...] | None:
    """The flags by which units are compiled: as most of the sources have it, where some have their own."""
    if not any(path.flags for path in inputs):
        return None
    from nativecache.aot.codegen.flags import Generation, generation
    from nativecache.aot.front.sources import is_split
    from nativecache.aot.request import level_of

    found: dict[Generation, list[tuple[str, ...]]] = {}
    for path in inputs:
        if is_split(path) and level_of(path, level) == level:
            own = (*flags, *path.flags)
            found.setdefault(generation(own, level), []).append(own)
    return max(found.values(), key=len)[0] if found else None


def _check_stats(path: Path | None, names: list[str]) -> None:
    if path and (why := what_stats_overwrite(os.fspath(path), names)):
        raise usage_error(f"--stats-json {path}: {why}; name another file")


def _compression(flags: Sequence[str], options: BuildOptions) -> list[str]:
    """What the linker is told about the compression of debug information; what was asked for last counts."""
    asked = [flag.partition("=")[2] or "zlib" for flag in flags if flag.startswith("-gz")]
    if options.compress_debug:
        asked.append("zstd")
    return [f"-Wl,--compress-debug-sections={how}" for how in asked[-1:]]


def _compiled_alone(inputs: list[Input]) -> list[Input]:
    """The inputs of which `-c` makes objects; like clang it leaves out those for the linker."""
    from nativecache.aot.front.sources import is_native

    unused = [path for path in inputs if is_native(path)]
    for path in unused:
        say(warning_line(f"{path}: not used, for -c links nothing; --emit object would"), err=True)
    found = [path for path in inputs if path not in unused]
    if not found:
        raise usage_error("-c: there is nothing to compile among the inputs")
    return found


def _fast_start(line: Sequence[Word], flags: Sequence[str], options: BuildOptions) -> list[str]:
    """At -Ofast, as clang has it, a program starts with denormals off whatever else is said of fast maths."""
    levels = [word.value for word in line if word.place == OURS and word.name == "-O"]
    asked = [flag for flag in flags if flag in ("-mdaz-ftz", "-mno-daz-ftz")]
    fast = levels[-1:] == ["fast"] and options.emit == "exe" and asked[-1:] != ["-mno-daz-ftz"]
    return ["-ffast-math"] if fast else []


def _items(line: Sequence[Word]) -> list[Input | str]:
    """Inputs and words for the link, in order."""
    from nativecache.aot.request import Input

    items: list[Input | str] = []
    for word in line:
        if word.place == INPUT:
            level = int(word.level) if word.level else None
            items.append(
                Input.named(word.words[0], word.language, flags=word.own, level=level, folder=word.folder)
            )
        elif word.place in (LINK, BOTH) or word.words == ("-r",):
            items += word.words
    return items


def _dependencies(line: Sequence[Word], output: Path | None) -> Dependencies | None:
    """The depfiles that are asked for, None if none is."""
    from nativecache.aot.request import Dependencies

    asked = [word for word in line if word.place == DEPENDENCIES]
    kinds = [w.name for w in asked if w.name.strip("-") in ("MD", "MMD", *_LONG_KINDS)]
    if any(word.name == "-MG" for word in asked):
        raise usage_error("-MG: clang takes it with -M or -MM only, which preprocess alone; leave it out")
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


def warn_of_level(line: Sequence[Word], flags: Sequence[str]) -> list[str]:
    """What is to be said of the level that was asked for last: that it is taken as another, if so.

    `flags` are clang's: with `-w` it says nothing of `-O4`.
    """
    levels = [word for word in line if word.place == OURS and word.name == "-O"]
    beyond = [word.words[0] for word in levels[-1:] if is_beyond(word.value)]
    return [warning_line(f"{flag} is taken as -O3") for flag in beyond if flag != "-O4" or "-w" not in flags]


def _from_environment(line: Sequence[Word], options: BuildOptions) -> list[str]:
    """Flags for clang that the environment gives and the command line does not."""
    said = {word.name for word in line}
    return [
        *(f"-std={options.std}" for _ in [0] if options.std and "--std" not in said),
        *(f"-I{folder}" for folder in options.include if "-I" not in said),
        *(f"-D{macro}" for macro in options.define if "-D" not in said),
        *(f"-U{macro}" for macro in options.undefine if "-U" not in said),
        *(flag for flag in options.cflag if "--cflag" not in said),
    ]


def default_output(emit: str, inputs: list[str]) -> Path:
    """`a.out` as every compiler; for other kinds the first input's name with their own ending."""
    from nativecache.aot.request import Input

    endings = {"shared": ".so", "object": ".o", "archive": ".a", "asm": ".s", "bitcode": ".bc"}
    return Path(Input(inputs[0]).stem + endings[emit]) if emit in endings else Path("a.out")
