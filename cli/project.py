"""Reads a project file: `nativecache.toml`, or `[tool.nativecache]` in `pyproject.toml`.

A project file says what is built of what, and how; never by which programs, through which caches or with
whose trust. Names that it does not know are errors, for a misspelt one would silently do nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from nativecache.aot.errors import BuildError
from nativecache.cache.files import read_plain
from nativecache.linker.values import dataclass

PROJECT: Final = "nativecache.toml"
_PYPROJECT: Final = "pyproject.toml"
#: More than any project needs; what is larger is something else.
_LIMIT: Final = 1 << 22

KINDS: Final = ("exe", "shared", "archive", "object")
#: What each kind of output is called, by the target's name.
_OUTPUTS: Final = {"exe": "{}", "shared": "lib{}.so", "archive": "lib{}.a", "object": "{}.o"}

_TEXT, _LIST, _TABLE = "a text", "a list of texts", "a table"
_PROJECT_KEYS: Final = {
    "flags": _LIST,
    "link-flags": _LIST,
    "default-profile": _TEXT,
    "profile": _TABLE,
    "target": _TABLE,
}
_PROFILE_KEYS: Final = {"flags": _LIST, "link-flags": _LIST}
_TARGET_KEYS: Final = {
    "kind": _TEXT,
    "sources": _LIST,
    "exclude": _LIST,
    "flags": _LIST,
    "flags-for": _TABLE,
    "libraries": _LIST,
    "link-flags": _LIST,
    "depends": _LIST,
    "output": _TEXT,
}
#: What belongs to who builds, and not to what is built.
_NOT_HERE: Final = frozenset(
    (
        *("clang", "cc", "cxx", "compiler", "compiler-check", "linker", "driver", "llvm"),
        *("plugin", "plugins", "command", "commands", "run", "launcher", "wrapper", "env"),
        *("cache-dir", "store", "fallback-dir", "remote", "trust-cache-dir", "cache-mode"),
        "environment",
    )
)


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags for clang and for the link, as they were written."""

    compile: tuple[str, ...]
    link: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """What a project builds. `sources` and the keys of `flags_for` are globs; `output` is a path."""

    name: str
    kind: str
    sources: tuple[str, ...]
    exclude: tuple[str, ...]
    flags: Flags
    flags_for: Mapping[str, tuple[str, ...]]
    libraries: tuple[str, ...]
    depends: tuple[str, ...]
    output: str


@dataclass(frozen=True, slots=True)
class Project:
    """A project file that was read. `digest`: the SHA-256 of its content, in hexadecimal."""

    file: str
    digest: str
    text: str
    root: tuple[str, ...]
    flags: Flags
    profiles: Mapping[str, Flags]
    default_profile: str
    targets: Mapping[str, Target]

    def problem(self, keys: Sequence[str], why: str) -> BuildError:
        """What to raise for what stands under some keys: file, line and reason in a line."""
        return _problem(self.file, self.text, (*self.root, *keys), why)


def find_project() -> Project | None:
    """The project of the current folder; None if there is none. Raises BuildError for one that is wrong."""
    if os.path.lexists(PROJECT):
        return _read(PROJECT, ())
    if os.path.lexists(_PYPROJECT):
        return _read(_PYPROJECT, ("tool", "nativecache"))
    return None


def _read(file: str, root: tuple[str, ...]) -> Project | None:
    import hashlib
    import tomllib

    try:
        data, _ = read_plain(file, limit=_LIMIT)
        text = data.decode("utf-8")
        table: Any = tomllib.loads(text)
    except OSError as error:
        raise BuildError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise BuildError(f"{file}: is no TOML: {error}") from None
    for key in root:
        table = table.get(key) if isinstance(table, dict) else None
    if table is None:
        return None
    reader = _Reader(file, text, root)
    return reader.project(table, hashlib.sha256(data).hexdigest())


def _problem(file: str, text: str, keys: Sequence[str], why: str) -> BuildError:
    return BuildError(f"{file}:{line_of(text, keys)}: {why}")


def line_of(text: str, keys: Sequence[str]) -> int:
    """The line of a TOML text, from 1, on which some keys are given a value, or most of them begin.

    TOML's reader does not tell; each line that may name a table or a key is read by itself.
    """
    import tomllib

    best, found = 0, 1
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        head = line.strip()
        try:
            if head[:1] == "[":
                here = table = _path(tomllib.loads(head))
            elif "=" in head:
                here = (*table, *_path(tomllib.loads(head.partition("=")[0] + "= 0")))
            else:
                continue
        except tomllib.TOMLDecodeError:
            continue
        if len(here) > best and here == tuple(keys)[: len(here)]:
            best, found = len(here), number
    return found


def _path(table: Any) -> tuple[str, ...]:
    """The keys of a table that holds one value below others."""
    keys = []
    while isinstance(table, (dict, list)) and table:
        if isinstance(table, list):
            table = table[0]
            continue
        (key, table), *_ = table.items()
        keys.append(key)
    return tuple(keys)


class _Reader:
    """Reads the tables of a project file, of which all names are known."""

    def __init__(self, file: str, text: str, root: tuple[str, ...]) -> None:
        self._file, self._text, self._root = file, text, root

    def project(self, table: Any, digest: str) -> Project:
        self._check(table, (), _PROJECT_KEYS)
        profiles = {
            name: self._flags(self._check(of, ("profile", name), _PROFILE_KEYS))
            for name, of in table.get("profile", {}).items()
        }
        default = table.get("default-profile", "")
        if default and default not in profiles:
            raise self._fail(
                ("default-profile",), f"there is no profile '{default}'{meant(default, profiles)}"
            )
        targets = {name: self._target(name, of) for name, of in table.get("target", {}).items()}
        if not targets:
            raise self._fail((), "no targets: add a table [target.NAME] with sources")
        for name, target in targets.items():
            for other in target.depends:
                self._check_depends(name, other, targets)
        outputs: dict[str, str] = {}
        for name, target in targets.items():
            other = outputs.setdefault(os.path.normpath(target.output), name)
            if other != name:
                why = f"'{target.output}' is the output of target '{other}', too; give one another name"
                raise self._fail(("target", name, "output"), why)
        _check_circles(self, targets)
        return Project(
            self._file, digest, self._text, self._root, self._flags(table), profiles, default, targets
        )

    def _target(self, name: str, table: Any) -> Target:
        at = ("target", name)
        self._check(table, at, _TARGET_KEYS)
        kind = table.get("kind", "exe")
        if kind not in KINDS:
            raise self._fail((*at, "kind"), f"'{kind}' is no kind of target; kinds are {', '.join(KINDS)}")
        if not name or "/" in name or name in (".", ".."):
            raise self._fail(at, f"'{name}' cannot be a target's name; give it a name without slashes")
        if not table.get("sources"):
            raise self._fail(at, f"target '{name}' has no sources: list files or globs under sources")
        own = table.get("flags-for", {})
        for pattern, flags in own.items():
            self._check_value((*at, "flags-for", pattern), flags, _LIST)
        output = table.get("output", _OUTPUTS[kind].format(name))
        if not output or output.endswith("/") or output[0] in "-@":
            raise self._fail((*at, "output"), f"'{output}' cannot be an output; name a file")
        return Target(
            name,
            kind,
            tuple(table["sources"]),
            tuple(table.get("exclude", ())),
            self._flags(table),
            {pattern: tuple(flags) for pattern, flags in own.items()},
            tuple(table.get("libraries", ())),
            tuple(table.get("depends", ())),
            output,
        )

    def _flags(self, table: Mapping[str, Any]) -> Flags:
        return Flags(tuple(table.get("flags", ())), tuple(table.get("link-flags", ())))

    def _check(self, table: Any, at: tuple[str, ...], known: Mapping[str, str]) -> Mapping[str, Any]:
        """A table all of whose keys are known, with values of their kinds."""
        self._check_value(at, table, _TABLE)
        for key, value in table.items():
            if key not in known:
                raise self._fail((*at, key), _unknown(key, known))
            self._check_value((*at, key), value, known[key])
        for key in ("profile", "target"):
            for name, below in table.get(key, {}).items() if not at else ():
                self._check_value((key, name), below, _TABLE)
        return table  # type: ignore[no-any-return]

    def _check_value(self, at: tuple[str, ...], value: Any, kind: str) -> None:
        texts = value if isinstance(value, list) else [value]
        right = isinstance(value, {_TEXT: str, _LIST: list, _TABLE: dict}[kind])
        if not right or (kind != _TABLE and not all(isinstance(one, str) for one in texts)):
            raise self._fail(at, f"'{at[-1] if at else 'nativecache'}' is to be {kind}")
        if kind != _TABLE and any("\0" in one or not one for one in texts):
            raise self._fail(at, f"'{at[-1]}' holds an empty text; leave it out")

    def _check_depends(self, name: str, other: str, targets: Mapping[str, Target]) -> None:
        at = ("target", name, "depends")
        if other not in targets:
            raise self._fail(at, f"there is no target '{other}'{meant(other, targets)}")
        if targets[other].kind == "exe":
            raise self._fail(at, f"target '{other}' is an executable, which cannot be linked into '{name}'")

    def _fail(self, at: Sequence[str], why: str) -> BuildError:
        return _problem(self._file, self._text, (*self._root, *at), why)

    def fail_circle(self, name: str) -> BuildError:
        """What to raise for a target that depends on itself."""
        return self._fail(("target", name, "depends"), f"target '{name}' depends on itself; break the circle")


def _unknown(key: str, known: Iterable[str]) -> str:
    if key in _NOT_HERE:
        return f"'{key}' is not taken: a project file names no tools, caches or trust; the command line does"
    return f"unknown name '{key}'{meant(key, known) or '; known are ' + ', '.join(known)}"


def meant(name: str, known: Iterable[str]) -> str:
    """The name that another may be a misspelling of, for a message; empty if none is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, [*known], 1, 0.6)
    return f": did you mean '{near[0]}'?" if near else ""


def _check_circles(reader: _Reader, targets: Mapping[str, Target]) -> None:
    """Raises BuildError where targets depend on one another in a circle."""
    for name in targets:
        waiting, seen = [*targets[name].depends], set[str]()
        while waiting:
            other = waiting.pop()
            if other == name:
                raise reader.fail_circle(name)
            if other not in seen:
                seen.add(other)
                waiting += targets[other].depends


def in_order(targets: Mapping[str, Target], chosen: Iterable[str]) -> list[str]:
    """The chosen targets behind all that they depend on, each once."""
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        for other in targets[name].depends:
            visit(other)
        found.setdefault(name)

    for name in chosen:
        visit(name)
    return list(found)
