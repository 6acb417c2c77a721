"""Writes the build's output from the units' objects: an image, a relocatable object, asm or bitcode."""

from __future__ import annotations

import mmap
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Final

from nativecache.aot import llvm
from nativecache.aot.debug_info import Places
from nativecache.aot.errors import BuildError, temporary_files
from nativecache.aot.extract import FILE_PLACEHOLDER
from nativecache.aot.index import symbol_name, unescape
from nativecache.aot.names import unpack_pairs
from nativecache.aot.partition import Unit
from nativecache.aot.pool import Job, Pool
from nativecache.aot.program import Program
from nativecache.cache.facts import measure
from nativecache.linker.archive import MAGIC, stream_archive, write_archive
from nativecache.linker.driver import LinkJob, find_driver, find_linker, link_image
from nativecache.linker.dwarf import Sites, restore
from nativecache.linker.elf import cut_names, localize, rename_symbols
from nativecache.linker.errors import BadObject
from nativecache.linker.interrupt import hold_signals, temporary_folder

PhaseTimer = Callable[[str], AbstractContextManager[None]]

_PLAIN_NAME: Final = re.compile(r"[-a-zA-Z$._][-\w$.]*", re.ASCII)
_ASM_NAME: Final = re.compile(r'(?<![\w.$])[A-Za-z_$][\w.$]*|"(?:[^"\\]|\\.)*"', re.ASCII)
#: What LLVM numbers within one file.
_ASM_LABEL: Final = re.compile(r"(?<![\w$])\.L(?=\w)|\bGCC_except_table(?=\d)")
#: Names a source file of the line table.
_LINE_FILE: Final = re.compile(rb"^\t\.file\t\d+ ", re.MULTILINE)
#: The pointer to a personality routine that each file with exception tables holds, as a comdat.
_PERSONALITY_REFERENCE: Final = re.compile(r"\t\.hidden\tDW\.ref\.(\S+)\n(?:.*\n)*?\t\.quad\t.*\n")


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and how: `image` is the value of that fact about it before it was moved into place.

    The linker's warnings, the programs that linked, and the files they read; None if that is unknown.
    """

    image: str
    warnings: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    reads: tuple[str, ...] | None = ()


@dataclass(frozen=True, slots=True)
class Image:
    """All that goes into the output: by unit index what was made and, in the order of the image, bindings."""

    program: Program
    units: tuple[Unit, ...]
    objects: Mapping[int, bytes]
    bindings: Mapping[int, str]
    #: What lines in objects with debug information stand for, and where they are; both packed.
    places: Mapping[int, str]
    sites: Mapping[int, str]
    native_before: tuple[Path, ...]
    native_after: tuple[Path, ...]
    cplusplus: bool
    target: str | None


def write_output(
    image: Image,
    *,
    emit: str,
    output: Path,
    linker: str,
    driver: str | None,
    options: tuple[str, ...],
    environ: Mapping[str, str],
    phase: PhaseTimer,
) -> Written:
    """Writes the output file, beside its target and then moved into place.

    Raises LinkError where the linker fails, BuildError where an object cannot be renamed or written.
    """
    if emit == "asm":
        with phase("rename"):
            text = _assembly(image)
        return Written(write_file(output, text.encode("utf-8", "surrogateescape")))
    if emit == "bitcode":
        with phase("link"):
            return Written(write_file(output, _bitcode(image)))
    with _temporary_folder() as folder:
        # One member at a time: the objects of a large program are not held in memory.
        archive = folder / "ours.a"
        members: list[tuple[str, bytes]] = []
        with phase("rename"):
            if emit in ("exe", "shared"):
                with temporary_files(), archive.open("wb") as file:
                    stream_archive(_member_names(image), _renamed(image), file)
            else:
                members = list(zip(_member_names(image), _renamed(image), strict=True))
        with phase("link"):
            job = LinkJob(
                output=output,
                kind="object" if emit in ("object", "archive") else "shared" if emit == "shared" else "exe",
                archive=archive if image.bindings else MAGIC,
                driver=find_driver(driver, cplusplus=image.cplusplus, environ=environ),
                linker=find_linker(linker, environ, relocatable=emit in ("object", "archive")),
                before=image.native_before,
                after=image.native_after,
                options=options,
                target=image.target,
            )
            return _link(image, job, emit, members, environ)


def _link(
    image: Image, job: LinkJob, emit: str, members: list[tuple[str, bytes]], environ: Mapping[str, str]
) -> Written:
    # A driver that chooses its own linker does not say which.
    known = job.linker and job.driver.family != "zig"
    programs = (job.driver.command[0], job.linker.path) if known and job.linker else ()
    if emit in ("exe", "shared"):
        seen: list[str] = []
        promoted = _promoted(image.program)

        def finish(path: str) -> None:
            _restore_names(path, promoted)
            seen.append(_seen(path))

        linked = link_image(job, environ, linked=finish)
        return Written(seen[0], linked.warnings, programs, linked.reads if programs else None)
    if emit == "object":
        seen_as = write_file(job.output, _relocatable(image, job, members, environ))
        return Written(seen_as, programs=programs, reads=() if programs else None)
    by_module: dict[int, list[tuple[str, bytes]]] = defaultdict(list)
    for index, member in zip(image.bindings, members, strict=True):
        by_module[image.units[index].module].append(member)
    merged = [
        (PurePath(image.program.modules[m].label).stem + ".o", _relocatable(image, job, items, environ))
        for m, items in by_module.items()
    ]
    native = [(path.name, path.read_bytes()) for path in (*image.native_before, *image.native_after)]
    seen_as = write_file(job.output, write_archive([*merged, *native], symbol_index=True))
    return Written(seen_as, programs=programs, reads=() if programs else None)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    with ExitStack() as stack:
        with temporary_files():
            folder = stack.enter_context(temporary_folder())
        yield folder


def _seen(path: str) -> str:
    return measure("image", (path,))


@hold_signals()
def write_file(path: Path, data: bytes) -> str:
    """Writes a file beside its target and moves it into place. Returns its `image` fact's value.

    Raises BuildError.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:200]}.", dir=path.absolute().parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, 0o666 & ~mask)
            seen = _seen(name)
            os.replace(name, path)
            return seen
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise BuildError(f"{path}: cannot be written: {error.strerror}") from None


def _names(image: Image, index: int) -> dict[str, str]:
    module = image.program.modules[image.units[index].module]
    return {**unpack_pairs(image.bindings[index]), FILE_PLACEHOLDER: os.path.basename(module.source_file)}


def _member_names(image: Image) -> list[str]:
    return [f"{image.units[index].name}.o" for index in image.bindings]


def _renamed(image: Image) -> Iterator[bytes]:
    """The objects under their real symbol names."""
    for index in image.bindings:
        unit = image.units[index]
        try:
            yield rename_symbols(_placed(image, index), _names(image, index))
        except BadObject as error:
            raise BuildError(f"{unit.name}: this target's objects cannot be renamed: {error}") from None


def _placed(image: Image, index: int) -> bytes:
    """A unit's object, with the lines, checksums and folder of its sources if it has debug information."""
    sites = image.sites.get(index)
    if not sites:
        return image.objects[index]
    program = image.program
    unit, debug, places = image.units[index], program.debug, Places.unpack(image.places[index])
    types = debug[program.modules[unit.module].label].types if unit.kind == "types" else None
    placed = bytearray(image.objects[index])
    restore(
        placed,
        Sites.unpack(sites),
        [debug[label].ranges[key] for label, key in places.ranges],
        types.lines if types else [debug[label].lines[token] for label, token in places.lines],
        program.checksums[unit.module],
        unescape(program.directory).encode("latin-1"),
        types.named if types else [debug[label].named[key] for label, key in places.names],
    )
    return bytes(placed)


def _promoted(program: Program) -> dict[str, str]:
    """The names of all that is local in its source file, and what it is called there."""
    return {
        program.names[i][token]: symbol_name(token)
        for i, module in enumerate(program.modules)
        for token, entity in module.entities.items()
        if entity.local
    }


def _longer(promoted: Mapping[str, str]) -> dict[str, str]:
    """Those that are the name in the source and something that tells files apart."""
    return {new: old for new, old in promoted.items() if new != old and new.startswith(old)}


def _restore_names(path: str, promoted: Mapping[str, str]) -> None:
    """Calls a linked image's local symbols what the source calls them.

    A debugger finds a function that is not described (`-g1`) by its symbol's name only. By that name gdb also
    knows the section of one that is described, without which it shows no lines once the program runs. Where
    names cannot be restored, as in an image that is not ELF, it is as good an image without.
    """
    names = _longer(promoted)
    try:
        if not names or not os.path.getsize(path):
            return
        with suppress(PermissionError, BadObject), open(path, "r+b", buffering=0) as file:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                cuts = cut_names(content, names)
            for at in cuts:
                os.pwrite(file.fileno(), b"\0", at)
    except OSError as error:
        raise BuildError(f"{path}: cannot be written: {error.strerror}") from None


def _relocatable(
    image: Image, job: LinkJob, members: list[tuple[str, bytes]], environ: Mapping[str, str]
) -> bytes:
    """One object of many, with the symbols that we promoted made local again."""
    promoted = _promoted(image.program)
    with _temporary_folder() as folder:
        path = folder / "merged.o"
        link_image(
            replace(job, output=path, archive=write_archive(members, symbol_index=False), options=()), environ
        )
        localized = localize(path.read_bytes(), promoted)
    restored = bytearray(localized)
    for at in cut_names(localized, _longer(promoted)):
        restored[at] = 0
    return bytes(restored)


def _assembly(image: Image) -> str:
    """The units' assembly one after the other, each with labels of its own."""
    parts: list[str] = []
    references: set[str] = set()
    locals_seen: set[str] = set()
    if sum(_LINE_FILE.search(image.objects[index]) is not None for index in image.bindings) > 1:
        # Each unit numbers its source files anew, and debug information holds the bare numbers.
        raise BuildError("assembly of several units holds no debug information: leave out -g")
    for index in image.bindings:
        unit, program = image.units[index], image.program
        names = _names(image, index)
        for name in (program.names[unit.module][t] for t in unit.tokens if t in program.pinned[unit.module]):
            if (name in locals_seen or name in program.definitions) and name not in program.asm_words:
                names[name] = f"{name}.{index}"
            locals_seen.add(name)

        def spell(match: re.Match[str], names: Mapping[str, str] = names) -> str:
            word = match[0]
            quoted = word[0] == '"'
            new = names.get(word[1:-1] if quoted else word)
            if new is None:
                return word
            return _quoted(new) if quoted or not _PLAIN_NAME.fullmatch(new) else new

        def once(match: re.Match[str]) -> str:
            first = match[1] not in references
            references.add(match[1])
            return match[0] if first else ""

        text = _ASM_NAME.sub(spell, image.objects[index].decode("latin-1"))
        text = _ASM_LABEL.sub(lambda m, i=index: f"{m[0]}u{i}_", text)  # type: ignore[misc]
        parts.append(f"# {unit.name}\n" + _PERSONALITY_REFERENCE.sub(once, text))
    return "".join(parts)


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _bitcode(image: Image) -> bytes:
    """One optimised module of all units, linked by LLVM in a worker."""
    jobs = [(image.objects[index], _names(image, index)) for index in image.bindings]
    with Pool(1, {"merge": llvm.merge}) as pool:
        pool.submit(Job("merge", None, (jobs,)))
        for done in pool.results():
            if done.error:
                raise BuildError(f"the units' bitcode cannot be merged: {done.error}")
            return bytes(done.result)
    raise AssertionError("no result")
