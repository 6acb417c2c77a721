"""Reads compilation databases (`compile_commands.json`): which sources a project compiles, where and how.

The format is clang's (clang/docs/JSONCompilationDatabase.rst). What an entry says of its object, its depfile
and of linking is left out; what is left are clang's flags for one source, in the folder that it is compiled
in. An entry that is not understood is an error: the program would be another one without a word.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from nativecache.aot.errors import BuildError
from nativecache.cache.dependencies import Dependency
from nativecache.cache.files import read_plain
from nativecache.cli.cc_names import is_compiler
from nativecache.cli.globs import is_glob, matches
from nativecache.cli.option_table import BOTH, CLANG, INPUT, OURS
from nativecache.cli.own_flags import with_own
from nativecache.cli.words import BadWords, Word, read_words
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

_NAME: Final = "compile_commands.json"
#: Chromium's has 200 MB.
_LIMIT: Final = 1 << 30
#: What stands before a compiler and runs it.
_LAUNCHERS: Final = frozenset(("ccache", "sccache", "distcc", "icecc", "nativecache"))
#: Options of ours by name that compilers have, too: what they say of an object is of no matter here.
_OF_OBJECTS: Final = frozenset(("-o", "--output", "--emit", "-v", "--verbose"))
#: What is linked as it is; all else that is named besides a database chooses among its entries.
_LINKED: Final = re.compile(r"\.(?:o|obj|lo|a|so(?:\.[\d.]+)?|ll|bc)$")


@dataclass(frozen=True, slots=True)
class Entry:
    """A source of a database: its word, flags and folder in it, and the names by which it is chosen."""

    word: Word
    own: tuple[Word, ...]
    folder: str
    names: tuple[str, ...]


def expand_database(line: Sequence[Word]) -> tuple[list[Word], Dependency]:
    """A line with the sources of the database that it names by `-p`, and what that rests on.

    They stand where the first of them is named, else where the database is. Raises BuildError and BadWords.
    """
    places = [word.value for word in line if _is_database(word)]
    if len(places) > 1:
        raise BadWords(f"-p {places[1]}: one database at a time is built; leave one out")
    path = database_file(places[0])
    entries, rests_on = read_database(path)
    chosen: dict[int, list[Entry]] = {}
    for n, word in enumerate(line):
        if word.place == INPUT:
            found = [entry for entry in entries if _is_chosen(entry, word.words[0])]
            if found:
                chosen[n] = found
            elif not _LINKED.search(word.words[0]):
                raise BadWords(f"'{word.words[0]}': {path} has no entry with such a file or output")
    used = [entry for found in chosen.values() for entry in found] if chosen else entries
    is_said = any(word.place == OURS and word.name == "-O" for word in line)
    level = "" if is_said else _common_level(used)
    sources = _sources(used, level)
    at = min(chosen, default=next(n for n, word in enumerate(line) if _is_database(word)))
    expanded = [Word(OURS, (level,), "-O", level[2:])] if level else []
    for n, word in enumerate(line):
        if n == at:
            expanded += sources
        if n not in chosen and not _is_database(word):
            expanded.append(word)
    return expanded, rests_on


def _is_database(word: Word) -> bool:
    return word.place == OURS and word.name == "-p"


def _is_chosen(entry: Entry, name: str) -> bool:
    """Whether a name as we or the database have it, or a glob, is one of an entry's."""
    if os.path.abspath(name) in entry.names or name in entry.names:
        return True
    return is_glob(name) and any(matches(known, [name]) for known in entry.names)


def _level(entry: Entry) -> str:
    """The flag for the level that an entry is compiled at, "" if it has none."""
    return next((word.words[0] for word in reversed(entry.own) if word.name == "-O"), "")


def _common_level(entries: Iterable[Entry]) -> str:
    """The flag for the level that most of the entries have, "" if none has one."""
    found = Counter(filter(None, map(_level, entries)))
    return found.most_common(1)[0][0] if found else ""


def _sources(entries: Iterable[Entry], level: str) -> list[Word]:
    """The inputs that entries are, each once, of a build at a `level`; "" if that is for all of them."""
    found: dict[tuple[object, ...], Word] = {}
    for entry in entries:
        keeps = level and _level(entry) != level
        own = [word for word in entry.own if word.name != "-O" or keeps]
        word = with_own(entry.word, own, entry.folder)
        found.setdefault((word.words, word.language, word.own, word.level, word.folder), word)
    return list(found.values())


def database_file(place: str) -> str:
    """The database that a path names: that file, or the one in that folder."""
    return os.path.join(place, _NAME) if os.path.isdir(place) else place


def read_database(path: str) -> tuple[list[Entry], Dependency]:
    """The entries of a database, and what they rest on. Raises BuildError with all that are wrong."""
    import hashlib

    try:
        data, _ = read_plain(path, limit=_LIMIT)
        entries: Any = json.loads(data)
    except OSError as error:
        raise BuildError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise BuildError(f"{path}: is no compilation database: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise BuildError(f"{path}: is no compilation database, or an empty one: a list of entries is wanted")
    found, problems = [], []
    for n, entry in enumerate(entries, 1):
        try:
            found.append(_read_entry(entry, os.path.dirname(os.path.abspath(path))))
        except (BadWords, ValueError) as error:
            name = entry.get("file") if isinstance(entry, dict) else None
            problems.append(f"{path}: entry {n} ({name}): {error}")
    if problems:
        raise BuildError(*problems)
    return found, Dependency("file", hashlib.sha256(data).hexdigest(), (path,))


def _read_entry(entry: Any, beside: str) -> Entry:
    """An entry that was read. Raises BadWords and ValueError."""
    if not isinstance(entry, dict):
        raise ValueError("an object is wanted")
    file, folder, output = (_text(entry, key) for key in ("file", "directory", "output"))
    if not file:
        raise ValueError("it names no file")
    folder = os.path.normpath(os.path.join(beside, folder))
    words = _compile_words(_arguments(entry))
    compiler, *rest = words
    inputs, own = [], list[Word]()
    for word in read_words(rest):
        if word.place == INPUT:
            inputs.append(word)
        elif word.place == OURS and word.name == "--target":
            own.append(Word(CLANG, (f"--target={word.value}",)))
        elif word.place in (CLANG, BOTH) or word.name == "-O":
            own.append(word)
        elif word.place == OURS and word.name not in _OF_OBJECTS:
            raise BadWords(f"'{' '.join(word.words)}' is no option of clang's")
        elif word.name in ("-o", "--output") and not output:
            output = word.value
    if len(inputs) != 1:
        raise ValueError(f"it compiles {len(inputs)} files; one is wanted")
    (word,) = inputs
    if "++" in compiler and not word.language and word.words[0].endswith(".c"):
        word.language = "c++"
    shown = [file, *([output] if output else [])]
    absolute = [os.path.normpath(os.path.join(folder, name)) for name in shown]
    names = dict.fromkeys((*absolute, *shown, *map(os.path.relpath, absolute)))
    return Entry(word, tuple(own), "" if folder == os.getcwd() else folder, tuple(names))


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"'{key}' is to be a text")
    return value


def _arguments(entry: dict[str, Any]) -> list[str]:
    words: Any = entry.get("arguments")
    if words is None:
        import shlex

        words = shlex.split(_text(entry, "command"))
    if not isinstance(words, list) or not all(isinstance(word, str) and "\0" not in word for word in words):
        raise ValueError("'arguments' is to be a list of texts")
    return words


def _compile_words(words: Sequence[str]) -> list[str]:
    """A compiler's name, and its words as we read them: without who runs it, and what notes its run."""
    words = [*words]
    while words and os.path.basename(words[0]) in _LAUNCHERS:
        words.pop(0)
    if not words or not is_compiler(os.path.basename(words[0])):
        named = f"'{words[0]}' is" if words else "there is"
        raise BadWords(f"{named} no C or C++ compiler that is known; leave the entry out by naming others")
    if any(word[:1] == "@" for word in words):
        raise BadWords("files full of flags (@FILE) are not read here")
    found = [os.path.basename(words[0])]
    rest = iter(words[1:])
    for word in rest:
        if word == "-MJ":
            next(rest, "")
        elif word == "-p":
            found.append("-pg")  # gcc's
        elif word != "--" and word[:3] != "-MJ":
            found.append(word)
    return found
