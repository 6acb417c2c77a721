"""Has clang precompile the head of a source file, and compile the file on what it made of it.

Both runs see the source through an overlay (`-ivfsoverlay`), so that names in messages, `__FILE__` and paths
relative to the file are what they are anyway: the first run sees the file cut off after its head, the second
one the whole of it, both filled up with line ends to one size, for clang refuses a precompiled header whose
file has another size. clang's own check of a precompiled header stays on: of language and target, macros, and
the sizes of all headers. That they have the same content is for `preambles.py` to know.

What clang makes of a file with `-include-pch` and `-preamble-bytes` is what it makes of the file alone, but
for a few things (clang 22), by which a head is refused, or the file is compiled again without:

    __COUNTER__ begins anew               it must be 0 at the end of the head
    pragmas that are still in force       must be closed in the head
    definitions that need no use, as of   come in another order, which gives other numbers to types without
    variables with constructors           names: the head alone must make none, but for `<iostream>`'s
    types without linkage                 are numbered in the order in which they are met: none in the head
    places of asm in the head (!srcloc)   are other numbers
    names of headers are absolute paths   where they are asked for behind the preprocessor; and in messages
    colours of messages, -Wunused-macros  are other ones: what clang says, it says without

A head is preprocessed, and compiled alone, to see this as clang sees it rather than to guess it from texts.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from nativecache.aot.errors import BuildError
from nativecache.aot.front import clang, heads
from nativecache.cache.files import read_plain, write_new
from nativecache.cache.since import identity
from nativecache.linker.values import dataclass, replace

#: The smallest size that a source is filled up to; larger ones get a power of two that is twice their own at
#: least, for a source that grows beyond it needs another precompiled header.
_ROOM: Final = 1 << 16
#: Seconds that it takes to precompile a head for which it is worth while: reading it, checking it and handing
#: it to clang take a tenth of a second for 20 MB.
_WORTH: Final = 0.2
#: The most bytes of a precompiled header that are kept. json.hpp's and regex's together are 20 MB.
_LARGEST: Final = 1 << 26
#: A name of ours, to see what the preprocessor makes of what stands behind it.
_SIGN: Final = b"nativecache_preamble_end"


@dataclass(frozen=True, slots=True)
class Source:
    """A source file as clang is to compile it: `data` is its content, of which the head is `length` bytes.

    `quiet`: nobody hears clang's warnings (`clang.asking_for_time`).
    """

    clang: clang.Clang
    path: Path
    level: int
    flags: tuple[str, ...]
    data: bytes
    length: int
    room: int
    quiet: bool = False

    @property
    def name(self) -> bytes:
        """The file's own name, without its folder."""
        return os.fsencode(os.path.basename(self.path))

    def heard(self, said: str) -> str:
        """What of clang's words anybody hears. Remarks are heard without warnings, too."""
        return "" if self.quiet and " remark: " not in said else said


@dataclass(frozen=True, slots=True)
class Preamble:
    """A precompiled head in a file of this build's, and the names of the files that it was read from."""

    source: Source
    file: Path
    read: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """What came of precompiling a head: the bytes, and the files read; or why it is of no use (`refused`)."""

    precompiled: bytes = b""
    read: tuple[str, ...] = ()
    refused: str = ""


class Unsure(Exception):
    """A file is to be compiled without a preamble: this time, or, if that is `lasting`, from now on."""

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting


def room_for(data: bytes) -> int:
    """The size that a source of that content is filled up to."""
    return max(_ROOM, 1 << (2 * len(data) - 1).bit_length())


def can_be_seen(source: Source) -> bool:
    """Whether a source can be shown to clang by an overlay, filled up, and be the same program."""
    path = os.path.abspath(source.path)
    # YAML has rules of its own for other characters.
    plain = path.isascii() and path.isprintable() and not set(path) & set('\\"')
    ends = source.data.endswith(b"\n") and not source.data.endswith(b"\\\n")
    return plain and ends and len(source.data) <= source.room and os.path.realpath(path) == path


def precompile(source: Source, folder: Path, running: clang.Running) -> Made:
    """Has clang precompile a source's head, in `folder`. Raises OSError; BuildError where clang was ended."""
    head = source.data[: source.length]
    if refused := _check_head(source, head, folder, running):
        return Made(refused=refused)
    made, depfile = folder / "head.pch", folder / "head.d"
    view = _overlay(source, head.ljust(source.room, b"\n"), folder, "head")
    begun = time.perf_counter()
    # Times of headers are no matter: their contents are known.
    besides = (*view, "-Xclang", "-fno-pch-timestamp")
    said = _run_on_head(source, (*besides, *clang.depfile_flags(depfile)), made, running)
    if said is None or said:
        return Made(refused="clang says something of it")
    if time.perf_counter() - begun < _WORTH:
        return Made(refused="it is compiled in no time")
    read = tuple(clang.read_depfile(depfile))
    headers = [path for path in read if not _is(path, source)]
    texts = [read_plain(path)[0] for path in headers]
    if any(map(heads.has_silent_pragma, texts)):
        return Made(refused="a pragma that may reach beyond it")
    if any(map(heads.asks_for_names, texts)) and not all(map(os.path.isabs, headers)):
        return Made(refused="it asks for names of files")
    try:
        alone, said = _emit(replace(source, data=head), made, folder, "alone", running)
    except BuildError:
        if running.ended:
            raise
        said = "an error"
    if said or (defined := heads.what_is_defined(alone)):
        return Made(refused="clang says something of it" if said else f"it defines {defined}")
    try:
        precompiled, _ = read_plain(made, limit=_LARGEST)
    except OSError:
        return Made(refused="it is too large")
    made.unlink()
    return Made(precompiled, read)


def _check_head(source: Source, head: bytes, folder: Path, running: clang.Running) -> str:
    """Why a head cannot be precompiled, or "", as the preprocessor sees it."""
    if heads.may_read(head, source.name):
        return "it may include the file itself"
    printed = folder / "head.i"
    view = _overlay(source, head + _SIGN + b" __COUNTER__ __INCLUDE_LEVEL__\n", folder, "printed")
    said = _run_on_head(source, ("-E", *view), printed, running)
    if said is None or said:
        return "clang says something of it"
    text, _ = read_plain(printed)
    printed.unlink()
    if any(_is(os.fsdecode(name), source) for name in heads.entered(text)):
        return "it includes the file itself"
    if text.split()[-3:] != [_SIGN, b"0", b"0"]:
        return "it uses __COUNTER__"
    if clang.is_cplusplus(source.path) and heads.has_numbered_names(text):
        return "it has types whose names are numbered as they are met"
    return heads.what_stays_open(text)


def _run_on_head(source: Source, flags: Sequence[str], output: Path, running: clang.Running) -> str | None:
    """What clang says of a head, or None where that is an error. Raises BuildError where it was ended."""
    asked = source.clang, source.path, source.level, source.flags
    try:
        return source.heard(clang.run_on_header(*asked, flags, output, running))
    except BuildError:
        if running.ended:
            raise
        return None


def emit_on(
    preamble: Preamble, folder: Path, depfile: Path, scratch: Path, running: clang.Running
) -> tuple[bytes, tuple[str, ...]]:
    """A source's IR as `clang.emit_ir` has it, made on a preamble, and the files that were read.

    Raises Unsure where it may differ from what clang makes without one, or where clang says anything.
    """
    source = preamble.source
    if heads.may_read(source.data[source.length :], source.name):
        raise Unsure("it may include itself")
    try:
        output, said = _emit(source, preamble.file, folder, "source", running, depfile, scratch)
    except BuildError as error:
        raise Unsure("clang ended with an error") from error
    if said:
        raise Unsure("clang says something of it")
    if b"!srcloc" in output:
        raise Unsure("it has places in its asm", lasting=True)
    try:
        return output, (*preamble.read, *_others(clang.read_depfile(depfile), preamble))
    except (OSError, ValueError):
        raise Unsure("it cannot be told what it includes") from None


def _emit(
    source: Source,
    precompiled: Path,
    folder: Path,
    name: str,
    running: clang.Running,
    depfile: Path | None = None,
    scratch: Path | None = None,
) -> tuple[bytes, str]:
    """What `clang.emit_ir` gives for a source on a precompiled header. Raises BuildError."""
    besides = (
        *_overlay(source, source.data.ljust(source.room, b"\n"), folder, name),
        *("-Xclang", f"-preamble-bytes={source.length},1"),
        *("-Xclang", "-include-pch", "-Xclang", os.fspath(precompiled)),
    )
    at = source.level, source.flags, scratch or folder / f"{name}.ll", depfile, running
    output, said = clang.emit_ir(source.clang, source.path, *at, besides)
    return output, source.heard(said)


def _others(read: Iterable[str], preamble: Preamble) -> list[str]:
    """The files that were read behind the head. Raises Unsure, or OSError.

    What the head has read is named by absolute paths then.
    """
    known = frozenset(preamble.read)
    absolute = {os.path.abspath(path) for path in (*preamble.read, os.fspath(preamble.file))}
    others = [
        path
        for path in read
        if path not in known and not (os.path.isabs(path) and os.path.abspath(path) in absolute)
    ]
    for path in others:
        if _is(path, preamble.source) or heads.may_read(read_plain(path)[0], preamble.source.name):
            raise Unsure("it may include itself", lasting=True)
    return others


def _is(path: str, source: Source) -> bool:
    return identity(path) == identity(os.fspath(source.path)) or path == os.fspath(source.path)


def _overlay(source: Source, data: bytes, folder: Path, name: str) -> tuple[str, str]:
    """Flags with which clang sees other data in place of a source file."""
    content, overlay = folder / f"{name}.view", folder / f"{name}.json"
    write_new(os.fspath(content), data)
    path = os.path.abspath(source.path)
    shown = {"type": "file", "name": path, "external-contents": os.path.abspath(content)}
    layout = {"version": 0, "use-external-names": False, "roots": [shown]}
    write_new(os.fspath(overlay), json.dumps(layout).encode())
    return "-ivfsoverlay", os.fspath(overlay)
