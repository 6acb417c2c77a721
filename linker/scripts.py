"""Reads what linker scripts and lists of symbols name, without understanding what they do with it.

A script may assign any symbol, keep, place or ask for any other, in three dialects (GNU ld, lld, mold). So
every word is one that it may name: a word too many costs a symbol some optimisation, nothing else. Only what
brings in further files is understood: INCLUDE, INPUT, GROUP, STARTUP and SEARCH_DIR.

Source: the GNU ld manual, chapter "Linker Scripts" (binutils 2.40), and its lexer (ld/ldlex.l).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from nativecache.linker import lazy_re as re
from nativecache.linker.files import PlainFile
from nativecache.linker.values import dataclass

# What ends a symbol's name in an expression. GNU ld takes `a/b` and `a-b` for one name in some places.
_EXPRESSION = re.compile(r"[\s!\"#%&'()*+,\-/:;<=>?\[\]^`{|}]+")
_CHUNK = re.compile(r"[\s;(){}\",]+")
_QUOTED = re.compile(r'"([^"]*)"')
# A comment begins where a word could; elsewhere `/*` may be part of a pattern of file names.
_COMMENT = re.compile(r'("[^"]*")|(?<![^\s;{}(),=])/\*.*?\*/', re.DOTALL)
_INCLUDE = re.compile(r'\bINCLUDE\s+("[^"]*"|[^\s;"]+)')
_INPUTS = re.compile(r"\b(?:INPUT|GROUP|STARTUP|SEARCH_DIR)\s*\(((?:[^()]|\([^()]*\))*)\)")
# Commands that name no symbol.
_BRINGS_IN = re.compile(
    r"\b(?:INPUT|GROUP|STARTUP|SEARCH_DIR|OUTPUT_FORMAT|OUTPUT_ARCH)\s*\((?:[^()]|\([^()]*\))*\)\s*;?"
)
_LAYOUT = re.compile(r"\b(?:SECTIONS|INSERT|MEMORY|PHDRS|OVERLAY)\b")
#: No script is as long; a file that is was not meant as one.
_LONGEST = 16 << 20

#: The first bytes of ELF files, archives, thin archives and LLVM bitcode, bare and wrapped.
_OBJECTS = (b"\x7fELF", b"!<arch>\n", b"!<thin>\n", b"BC\xc0\xde", b"\xde\xc0\x17\x0b")


@dataclass(frozen=True, slots=True)
class Script:
    """What one script and all that it includes name.

    `words`: what may be symbols. `files`: the files that were read. `inputs`: objects, archives and shared
    libraries that it asks for, as found; `libraries`: those asked for as `-lNAME`, without the `-l`.
    `acts`: whether it does more than bring in files, `lays_out`: whether it says where sections go.
    `missing`: files that were not found or cannot be read.
    """

    words: frozenset[str] = frozenset()
    files: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    acts: bool = False
    lays_out: bool = False
    missing: tuple[str, ...] = ()


def symbol_words(text: str) -> set[str]:
    """All words of a script, or of an expression or list in one, that can be a symbol's name."""
    found = {word for cut in (_EXPRESSION, _CHUNK) for word in cut.split(text)}
    found.update(_QUOTED.findall(text))
    found.update([word.partition("@")[0] for word in found if "@" in word])  # a version behind the name
    found.discard("")
    return found


def is_object(path: str) -> bool:
    """Whether a file's first bytes are those of an object, an archive, a shared library or bitcode.

    Linkers take any other input for a script. Raises OSError.
    """
    with PlainFile(path) as file:
        return file.read(0, 8).startswith(_OBJECTS)


def read_script(path: str, folders: Sequence[str] = ()) -> Script:
    """Read a linker script and what it includes; `folders` are searched as linkers search those of `-L`."""
    return _read([path], folders)


def find_file(name: str, folders: Iterable[str]) -> str | None:
    """The path of a file that options or scripts name, as linkers look for it: here, then in the folders."""
    for folder in ("", *folders):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    return None


def _read(names: list[str], given: Sequence[str]) -> Script:
    words: set[str] = set()
    files: dict[str, None] = {}
    inputs: dict[str, None] = {}
    libraries: dict[str, None] = {}
    missing: dict[str, None] = {}
    folders = list(given)
    acts = lays_out = False
    for name in names:  # it grows
        path = find_file(name, folders)
        if path is None:
            missing[name] = None
            continue
        if path in files:
            continue
        files[path] = None
        try:
            if is_object(path):
                inputs[path] = None
                continue
            with PlainFile(path) as file:
                text = _COMMENT.sub(lambda match: match[1] or " ", os.fsdecode(file.read(0, _LONGEST)))
        except OSError:
            missing[name] = None
            continue
        rest = _BRINGS_IN.sub(" ", text)
        words |= symbol_words(rest)
        acts = acts or bool(rest.strip())
        lays_out = lays_out or _LAYOUT.search(text) is not None
        folders.append(os.path.dirname(path))
        names += [found.strip('"') for found in _INCLUDE.findall(text)]
        for match in _INPUTS.finditer(text):
            for word in re.split(r'[\s,()"]+', match[1]):
                if match[0].startswith("SEARCH_DIR"):
                    folders.append(word)
                elif word.startswith("-l"):
                    libraries[word[2:]] = None
                elif word and word != "AS_NEEDED":
                    names.append(word.lstrip("="))
    scripts = tuple(file for file in files if file not in inputs)
    return Script(frozenset(words), scripts, tuple(inputs), tuple(libraries), acts, lays_out, tuple(missing))
