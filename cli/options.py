"""What a build is told by its options, and how a plain command line is read without click.

click takes 25 ms to load. It is left for help, for what is wrong, and for whatever is spelled in a way that
is not understood here at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nativecache.cache.limits import STORES
from nativecache.cli.option_table import OURS
from nativecache.cli.words import Word
from nativecache.linker.values import dataclass

if TYPE_CHECKING:
    from nativecache.aot.request import EmitKind, Granularity

EMITS: Final = ("exe", "shared", "object", "archive", "asm", "bitcode")
GRANULARITIES: Final = ("auto", "function", "file")
MODES: Final = ("read-write", "read-only", "refresh", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What the user said to a build, each option by its name or from its environment variable, checked."""

    output: Path | None
    level: int
    no_opt: bool
    granularity: Granularity
    import_limit: int | None
    target: str | None
    cpu: str | None
    features: str
    emit: EmitKind
    threads: int | None
    cache_dir: Path | None
    cache_mode: str
    no_cache: bool
    store: str | None
    fallback_dir: tuple[Path, ...]
    trust_cache_dir: bool
    verify: float
    timings: bool
    stats_json: Path | None
    linker: str
    driver: str | None
    clang: str | None
    compiler_check: str
    engine: str
    compress_debug: bool
    no_preamble: bool
    database: Path | None
    profile: str | None
    only: tuple[str, ...]
    include: tuple[str, ...]
    define: tuple[str, ...]
    undefine: tuple[str, ...]
    std: str | None
    cflag: tuple[str, ...]
    verbose: bool
    quiet: bool


#: Levels that clang knows, as those that we know.
_LEVELS: Final = {"": "1", "g": "1", "s": "2", "z": "2", "fast": "3"}


def is_beyond(level: str) -> bool:
    """Whether a level is a number that clang takes for the highest one."""
    number = re.fullmatch(r"-?\d{1,9}", level, re.ASCII)
    return number is not None and not 0 <= int(level) <= 3


def asked_level(line: list[Word]) -> list[str]:
    """The level that counts, as one of those that we know, if one is asked for."""
    levels = [word.value for word in line if word.place == OURS and word.name == "-O"]
    return [_LEVELS.get(value, value) for value in ("3" if is_beyond(last) else last for last in levels[-1:])]


_TEXTS: Final = {
    "--target": "target",
    "--cpu": "cpu",
    "--features": "features",
    "--linker": "linker",
    "--cc": "driver",
    "--clang": "clang",
    "--compiler-check": "compiler_check",
    "--llvm": "engine",
    "--profile": "profile",
}
_PATHS: Final = {
    "-o": "output",
    "--output": "output",
    "--cache-dir": "cache_dir",
    "--stats-json": "stats_json",
    "-p": "database",
}
_CHOICES: Final = {
    "--emit": ("emit", EMITS),
    "--cache-mode": ("cache_mode", MODES),
    "--store": ("store", STORES),
    "--granularity": ("granularity", GRANULARITIES),
}
_NUMBERS: Final = {
    "-j": ("threads", range(1, 1025)),
    "--threads": ("threads", range(1, 1025)),
    "--import-limit": ("import_limit", range(1 << 20)),
    "--verify": ("verify", range(101)),
}
_FLAGS: Final = {
    "--no-opt": "no_opt",
    "--no-cache": "no_cache",
    "--trust-cache-dir": "trust_cache_dir",
    "--timings": "timings",
    "--compress-debug": "compress_debug",
    "--no-preamble": "no_preamble",
    "-v": "verbose",
    "--verbose": "verbose",
    "-q": "quiet",
    "--quiet": "quiet",
}

#: Variables that say what options say, by the option; those of `_BY_CLICK` are left to it.
_VARIABLES: Final = {
    f"NATIVECACHE_{name.removeprefix('--').replace('-', '_').upper()}": name
    for name in (*_TEXTS, *_PATHS, *_CHOICES, *_NUMBERS, *_FLAGS)
    if name.startswith("--") and name not in ("--cache-dir", "--verify")
}
_BY_CLICK: Final = frozenset(
    f"NATIVECACHE_{name}"
    for name in ("OPT", "INCLUDE", "DEFINES", "UNDEFINES", "STD", "CFLAGS", "FALLBACK_DIR", "VERIFY")
)
#: As click reads them.
_TRUE: Final = frozenset(("1", "true", "t", "yes", "y", "on"))
_FALSE: Final = frozenset(("0", "false", "f", "no", "n", "off"))


def read_plainly(line: list[Word], environ: Mapping[str, str]) -> BuildOptions | None:
    """What click would make of a build's command line and its environment; None where click has to say."""
    said = {name: value for name, value in environ.items() if value and name.startswith("NATIVECACHE_")}
    if not _BY_CLICK.isdisjoint(said):
        return None
    folder = environ.get("NATIVECACHE_DIR")
    found: dict[str, Any] = {
        **dict.fromkeys(("output", "import_limit", "target", "cpu", "threads", "store"), None),
        **dict.fromkeys(("database", "profile"), None),
        **dict.fromkeys(("stats_json", "driver", "clang", "std"), None),
        **dict.fromkeys(_FLAGS.values(), False),
        **dict.fromkeys(("include", "define", "undefine", "cflag", "fallback_dir", "only"), ()),
        **dict.fromkeys(("linker", "compiler_check", "engine", "granularity"), "auto"),
        "level": 2,
        "features": "",
        "emit": "exe",
        "cache_dir": Path(folder) if folder else None,
        "cache_mode": "read-write",
        "verify": 0.0,
    }
    for name, option in _VARIABLES.items():
        if name in said and not _take_variable(option, said[name], found):
            return None
    for level in asked_level(line):
        if level not in ("0", "1", "2", "3"):
            return None
        found["level"] = int(level)
    for word in line:
        if word.place == OURS and word.name != "-O" and not _take(word, found):
            return None
    return BuildOptions(**found)


def _take_variable(option: str, value: str, found: dict[str, Any]) -> bool:
    """Puts what a variable says of an option among what was found; returns whether it is plain."""
    if option not in _FLAGS:
        return _take(Word(OURS, (), option, value), found)
    if value.lower() in _TRUE:
        found[_FLAGS[option]] = True
    return value.lower() in _TRUE | _FALSE


def _take(word: Word, found: dict[str, Any]) -> bool:
    """Puts an option of ours among those that were found; returns whether it is a plain one."""
    name, value = word.name, word.value
    if name in _FLAGS and not value:
        found[_FLAGS[name]] = True
    elif not value:
        return False
    elif name in _TEXTS:
        found[_TEXTS[name]] = value
    elif name in _PATHS:
        found[_PATHS[name]] = Path(value)
    elif name == "--fallback-dir":
        found["fallback_dir"] += (Path(value),)
    elif name == "--only":
        found["only"] += (value,)
    elif name in _CHOICES:
        field, known = _CHOICES[name]
        if value not in known:
            return False
        found[field] = value
    elif name in _NUMBERS:
        field, numbers = _NUMBERS[name]
        if not re.fullmatch("[0-9]{1,7}", value) or int(value) not in numbers:
            return False
        found[field] = float(value) if field == "verify" else int(value)
    else:
        return False
    return True
