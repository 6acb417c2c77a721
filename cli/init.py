"""`nativecache init`: writes a project file from what is in the folder, or in a compilation database."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import click

from nativecache.cli.database import Entry, database_file, read_database
from nativecache.cli.globs import Found
from nativecache.cli.project import PROJECT, find_project
from nativecache.cli.project_flags import BadFlags, read_flags
from nativecache.cli.say import failure, say
from nativecache.cli.shared_options import PATH
from nativecache.linker import lazy_re as re

#: Sources by how they end, and folders that hold what is built, or another's code.
_ENDINGS: Final = ("c", "cc", "cpp", "cxx", "c++", "C")
_LEFT_OUT: Final = re.compile(r"(?:^|/)(?:build[^/]*|out|dist|node_modules|CMakeFiles|venv)(?:/|$)")
_HEADERS: Final = ("include", "inc")
#: Flags that name a folder, with a word of its own or joined to it, and those that name no file.
_FOLDERS: Final = ("-isystem", "-iquote", "-idirafter")
_FOLDER: Final = re.compile(r"-(?:I|isystem|iquote|idirafter)(?=.)")
_NO_PATH: Final = re.compile(r"-(?:[DUW]|std=|pthread$|[fmg][^/]*$|w$|pedantic|ansi$)|--target=")
_PLAIN_KEY: Final = re.compile(r"[\w-]+", re.ASCII)


@click.command(short_help="Write a project file for the sources in the folder.")
@click.option(
    "-p",
    "database",
    type=PATH,
    metavar="DATABASE",
    help="Take sources and flags from a compilation database.",
)
def init(database: Path | None) -> None:
    """Write nativecache.toml with one target, of all sources in the folder or in a compilation database.

    What is there is never overwritten.
    """
    if os.path.lexists(PROJECT):
        raise failure(f"{PROJECT}: is there already, and is left as it is; remove it first")
    if project := find_project():
        raise failure(f"{project.file}: describes the project already, and is left as it is")
    text, count = _from_database(os.fspath(database)) if database else _from_folder()
    try:
        with open(PROJECT, "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise failure(f"{PROJECT}: cannot be written: {error.strerror}") from None
    say(f"{PROJECT}: written, with {count} sources; `nativecache build` builds it")


def _from_folder() -> tuple[str, int]:
    found = Found()
    paths = [path for end in _ENDINGS for path in found.files(f"**/*.{end}") if not _LEFT_OUT.search(path)]
    if not paths:
        raise failure("there are no C or C++ sources in this folder; write nativecache.toml by hand")
    globs = dict.fromkeys(
        os.path.join(os.path.dirname(path), f"*{os.path.splitext(path)[1]}") for path in sorted(paths)
    )
    flags = [f"-I{name}" for name in _HEADERS if os.path.isdir(name)]
    return _project(list(globs), flags, {}), len(paths)


def _from_database(place: str) -> tuple[str, int]:
    """A project of all sources of a database: flags that all have are the target's, others each file's."""
    path = database_file(place)
    entries, _ = read_database(path)
    files: dict[str, list[str]] = {}
    for entry in entries:
        name = os.path.relpath(os.path.join(entry.folder, entry.word.words[0]))
        name = re.sub(r"([*?[])", r"[\1]", name)  # which is no glob
        try:
            flags = _from_here(entry)
            read_flags(flags)
            if files.setdefault(name, flags) != flags:
                raise BadFlags("it is there again with other flags, and a target has a file once")
        except BadFlags as error:
            raise failure(f"{path}: {name}: {error}; build it with `nativecache build -p`") from None
    (common, _), *_ = Counter(map(tuple, files.values())).most_common(1)
    start = _shared_start(files.values(), common)
    own = {name: flags[start:] for name, flags in files.items() if flags[start:]}
    return _project(list(files), common[:start], own), len(files)


def _from_here(entry: Entry) -> list[str]:
    """An entry's flags, as they mean the same here; levels are for profiles to say. Raises BadFlags."""
    found: list[str] = []
    for word in entry.own:
        if word.name == "-O":
            continue
        if len(word.words) == 2 and word.words[0] in _FOLDERS:
            found += (word.words[0], _path_from_here(word.words[1], entry.folder))
        elif match := _FOLDER.match(word.words[0]):
            found.append(match[0] + _path_from_here(word.words[0][match.end() :], entry.folder))
        elif entry.folder and not _NO_PATH.match(word.words[0]):
            raise BadFlags(f"'{' '.join(word.words)}' may be another thing here than in {entry.folder}")
        else:
            found += word.words
    return found


def _path_from_here(path: str, folder: str) -> str:
    return os.path.relpath(os.path.join(folder, path)) if folder else path


def _shared_start(all_flags: Iterable[Sequence[str]], common: Sequence[str]) -> int:
    """How many of the first flags all have in common: their order may matter, so none is moved."""
    shortest = len(common)
    for flags in all_flags:
        while [*flags[:shortest]] != [*common[:shortest]]:
            shortest -= 1
    return shortest


def _project(sources: Sequence[str], flags: Sequence[str], own: dict[str, list[str]]) -> str:
    name = re.sub(r"[^\w.+-]", "_", os.path.basename(os.getcwd())) or "app"
    key = name if _PLAIN_KEY.fullmatch(name) else _text(name)
    lines = [
        "# What `nativecache build` builds here; the README of nativecache tells of all that can stand here.",
        'default-profile = "release"',
        "",
        "[profile.dev]",
        'flags = ["-O0", "-g"]',
        "",
        "[profile.release]",
        'flags = ["-O2"]',
        "",
        f"[target.{key}]",
        f"sources = {_list(sources)}",
        *([f"flags = {_list(flags)}"] if flags else []),
        f"output = {_text(os.path.join('build', name))}",
    ]
    if own:
        lines += ["", f"[target.{key}.flags-for]"]
        lines += [f"{_text(path)} = {_list(flags)}" for path, flags in own.items()]
    return "\n".join(lines) + "\n"


def _list(texts: Sequence[str]) -> str:
    if sum(map(len, texts)) < 80:
        return f"[{', '.join(map(_text, texts))}]"
    return "[\n" + "".join(f"  {_text(text)},\n" for text in texts) + "]"


def _text(text: str) -> str:
    """A TOML string. Raises click's ClickException for bytes that are no text."""
    import json

    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise failure(f"{text}: is no text, as a project file is; rename it")
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
