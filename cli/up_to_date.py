"""Up-to-date records: what a finished build read and wrote, so that the same command need do nothing again.

An up-to-date record is an entry in the cache folder whose key is the command: its words, the folder it was
given in, what it sees of the environment, and which nativecache this is. It is of use as long as all its
dependencies are still valid, the image's among them. Its payload is texts between NULs: a line for people,
figures as JSON, number of warnings, warnings, dependencies.

This module is loaded before anything else, to answer in no time when nothing has changed: it imports only
what is as quick to load.
"""

import os
import sys
import time

from nativecache.cache.dependencies import Dependency, check_dependency, decode, encode, still_valid
from nativecache.cache.files import open_plain, read_plain
from nativecache.cache.format import CorruptBytes, unseal
from nativecache.cache.layout import entry_path, layout_folder
from nativecache.cache.location import default_cache_folder, distrust
from nativecache.cache.own_code import own_stamps
from nativecache.cache.recipe import Recipe
from nativecache.cli.option_table import INPUT, LINK, OURS
from nativecache.cli.words import BadWords, Word, read_words
from nativecache.linker.environment import CLANG_NAMES, matters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nativecache.cache.since import Seen

#: Raised whenever a record's form changes, or what it rests on.
SCHEMA = 3

#: After a day a build is done in full again: what the cache holds for it is then in use, as pruning sees it.
LIFETIME_SECONDS = 24 * 3600

#: How names begin of variables with which clang writes more.
_PREFIXES = ("CC_PRINT_", "CC_LOG_")

#: What changes an image or where it is looked for, besides what changes a link.
_ENVIRONMENT = CLANG_NAMES | {
    *("XDG_CACHE_HOME", "LOCALAPPDATA", "PYTHONPATH"),
    *("DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "AS_SECURE_LOG_FILE"),
}

#: Variables that change only what is said.
_QUIET, _TIMINGS, _STATS = "NATIVECACHE_QUIET", "NATIVECACHE_TIMINGS", "NATIVECACHE_STATS_JSON"
_OUTPUT_ONLY = frozenset((_QUIET, _TIMINGS, _STATS, "NATIVECACHE_THREADS", "NATIVECACHE_SERVER"))
_TRUE, _FALSE = ("1", "true", "t", "yes", "y", "on"), ("", "0", "false", "f", "no", "n", "off")


class Command:
    """A build command for which there may be a record, under `key` in `root`, and how its answer is given.

    `readable`: whether there was a cache folder that could be judged. `stats`: the file for figures, or "".
    """

    def __init__(
        self, root: str, key: str, *, readable: bool, quiet: bool, timings: bool, stats: str
    ) -> None:
        self.root, self.key, self.readable = root, key, readable
        self.quiet, self.timings, self.stats = quiet, timings, stats


def read_command(words: "list[str]", environ: "dict[str, str] | os._Environ[str]") -> Command | None:
    """The build command, or None if no record can answer it: it writes more, says more, or rests on more.

    Raises OSError if there is no folder to ask in.
    """
    if words[:1] != ["build"]:
        return None
    try:
        line = read_words(words[1:])
    except BadWords:
        return None
    return command_of(line, environ)


def command_of(line: "list[Word]", environ: "dict[str, str] | os._Environ[str]") -> Command | None:
    """The build command of a line that was read, as `read_command` has it."""
    if not all(map(_is_answerable, line)) or not _is_environment_answerable(environ):
        return None
    ours = [word for word in line if word.place == OURS]
    names = frozenset(word.name for word in ours)
    stats = _last(ours, "--stats-json") or environ.get(_STATS, "")
    if stats and what_stats_overwrite(stats, [_file(word) for word in line if _is_file(word)]):
        return None  # who builds says so
    root = os.path.abspath(_last(ours, "--cache-dir") or default_cache_folder(environ))
    trusted = "--trust-cache-dir" in names or _is_true(environ, "NATIVECACHE_TRUST_CACHE_DIR")
    # Asked first: a folder that is not there is nobody's, and may be another user's a moment later.
    readable = trusted or os.path.isdir(layout_folder(root))
    if not trusted and distrust(root):
        return None  # who builds says so
    return Command(
        root,
        command_recipe(line, environ).key(),
        readable=readable,
        quiet=not names.isdisjoint(("-q", "--quiet")) or _is_true(environ, _QUIET),
        timings="--timings" in names or _is_true(environ, _TIMINGS),
        stats=stats,
    )


def _last(ours: "list[Word]", name: str) -> str:
    """The last value of an option of ours that is not empty, or ""."""
    return next((word.value for word in reversed(ours) if word.name == name and word.value), "")


def _is_true(environ: "dict[str, str] | os._Environ[str]", name: str) -> bool:
    return environ.get(name, "").lower() in _TRUE


def _file(word: Word) -> str:
    return word.value if word.place == OURS else word.words[0]


def _is_file(word: Word) -> bool:
    return word.place == INPUT or (word.place == OURS and word.name in ("-o", "--output"))


def what_stats_overwrite(path: str, names: "list[str]") -> str:
    """Why figures must not be written to a file: it is one of `names`, or another's work; "" if they may."""
    itself, identity = os.path.abspath(path), _identity(path)
    for name in names:
        if os.path.abspath(name) == itself or (identity and _identity(name) == identity):
            return f"is also {name}"
    try:
        if os.path.isfile(path):
            with open_plain(path) as file:
                if file.read(64).lstrip()[:1] not in (b"", b"{", b"["):
                    return "is there, and holds no figures"
    except OSError:
        pass  # who writes it says so
    return ""


def _identity(path: str) -> "tuple[int, int] | None":
    try:
        is_now = os.stat(path)
    except OSError:
        return None
    return is_now.st_dev, is_now.st_ino


_SAID = frozenset(("-q", "--quiet", "--timings", "--stats-json"))


def _is_answerable(word: Word) -> bool:
    """Whether a record can answer a command with this word."""
    ours = word.name if word.place == OURS else ""
    if _says_other_things(ours) or any(map(_rests_on_more, (*word.words, word.value, *word.own))):
        return False
    # Else it may be a value that looks like an option.
    return ours in _SAID or word.place == LINK or _SAID.isdisjoint((*word.words, word.value))


def _says_other_things(name: str) -> bool:
    """Options of ours for which a build is done in full, alone or run together with others."""
    if name in _SAID:
        return False
    return name[:2] in ("-v", "-q", "-h") or name in (
        *("--verbose", "--help", "--no-cache", "--cache-mode", "--verify"),
    )


def _rests_on_more(word: str) -> bool:
    """On a file full of options, or on the machine's own CPU."""
    return word[:1] == "@" or ",@" in word or "=@" in word or word.rpartition("=")[2] == "native"


def _is_environment_answerable(environ: "dict[str, str] | os._Environ[str]") -> bool:
    """Whether a record can answer a command with these variables."""
    known = (*_TRUE, *_FALSE)
    if environ.get(_QUIET, "").lower() not in known or environ.get(_TIMINGS, "").lower() not in known:
        return False
    if any(environ.get(f"NATIVECACHE_{name}") for name in ("VERBOSE", "NO_CACHE", "VERIFY")):
        return False
    if environ.get("NATIVECACHE_CACHE_MODE") not in (None, "", "read-write"):
        return False
    values = [environ[name] for name in environ if name.startswith("NATIVECACHE_")]
    return not any(map(_rests_on_more, " ".join(values).split()))


def command_recipe(line: "list[Word]", environ: "dict[str, str] | os._Environ[str]") -> Recipe:
    """What an up-to-date record is kept under: a command and all around it that its answer depends on."""
    mask = os.umask(0o77)
    os.umask(mask)
    seen = sorted(
        f"{name}={environ[name]}"
        for name in environ
        if (name in _ENVIRONMENT or name.startswith(("NATIVECACHE_", *_PREFIXES)) or matters(name))
        and name not in _OUTPUT_ONLY
    )
    return Recipe(
        ("kind", "up to date"),
        ("schema", str(SCHEMA)),
        ("python", f"{sys.version} {sys.executable}"),
        ("code", own_stamps()),
        ("folder", os.getcwd()),
        ("mask", f"{mask:o}"),
        *[("variable", one) for one in seen],
        *[("word", part) for word in line if not _changes_no_image(word) for part in _spelled(word)],
    )


def _changes_no_image(word: Word) -> bool:
    return word.place == OURS and word.name in _SAID


def _spelled(word: Word) -> "tuple[str, ...]":
    own = (word.folder, word.level, str(len(word.own)), *word.own)
    return (word.place, word.language, word.name, word.value, str(len(word.words)), *word.words, *own)


class Record:
    """What a build said (a line, figures as JSON, warnings), and the dependencies that all that rests on."""

    def __init__(
        self, line: str, figures: str, warnings: "list[str]", dependencies: "list[Dependency]"
    ) -> None:
        self.line, self.figures, self.warnings, self.dependencies = line, figures, warnings, dependencies


def check(command: Command, seen: "Seen | None" = None) -> Record | None:
    """The up-to-date record of the build that a command would repeat, or None if it would not.

    What is measured is added to what was `seen`.
    """
    if not command.readable:
        return None
    try:
        data, written = read_plain(entry_path(command.root, command.key))
        if abs(time.time() - written) > LIFETIME_SECONDS:
            return None
        found = _unpack(unseal(command.key, data)[0])
        if not found.dependencies or not all(map(_may_be_asked, found.dependencies)):
            return None
        return found if still_valid(found.dependencies, seen.memo if seen else None) else None
    except (OSError, CorruptBytes, ValueError):
        return None


def _may_be_asked(dependency: Dependency) -> bool:
    """Whether asking does nothing: of commands, only what a compiler would run is asked."""
    kind, _, words = dependency
    return kind != "said" or words[-3:] == ("-fsyntax-only", "-###", os.devnull)


def encode_record(record: Record) -> bytes:
    """The payload of an up-to-date record. Raises ValueError where a text cannot be in one."""
    fields = [record.line, record.figures, str(len(record.warnings)), *record.warnings]
    fields += encode(record.dependencies)
    if any("\0" in field for field in fields):
        raise ValueError("a text holds a NUL")
    return os.fsencode("\0".join(fields))


def _unpack(payload: bytes) -> Record:
    line, figures, count, *fields = os.fsdecode(payload).split("\0")
    if not count.isdigit() or len(count) > 9 or int(count) > len(fields):
        raise ValueError("no number of warnings")
    dependencies = decode(fields[int(count) :])
    for dependency in dependencies:
        check_dependency(dependency)
    if figures[:1] != "{" or figures[-1:] != "}":  # else it is JSON or none, which who reads it is told
        raise ValueError("no figures")
    return Record(line, figures, fields[: int(count)], dependencies)
