"""Writes the build's output from the units' objects: an image, a relocatable object, asm or bitcode."""

from __future__ import annotations

import mmap
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path, PurePath
from typing import Final

from nativecache.aot.codegen import llvm
from nativecache.aot.codegen.triples import architecture
from nativecache.aot.errors import BuildError, temporary_files
from nativecache.aot.ir.debug_info import LineMap
from nativecache.aot.ir.linkage import is_linked_unlike
from nativecache.aot.ir.module import Module
from nativecache.aot.ir.syntax import symbol_name, unescape
from nativecache.aot.output.link_line import Ours
from nativecache.aot.output.pieces import LinkedObject, Pieces
from nativecache.aot.output.results import UnitResult
from nativecache.aot.packed import decode_pairs
from nativecache.aot.pool import Job, Pool, WorkerDied
from nativecache.aot.threads import Threads
from nativecache.aot.units.extract import FILE_PLACEHOLDER
from nativecache.aot.units.lines import real_lines
from nativecache.aot.units.partition import NOTHING_APART, Apart, Unit
from nativecache.aot.units.program import Program, ProgramModule
from nativecache.aot.write import measure_image, write_file
from nativecache.linker import lazy_re as re
from nativecache.linker.alike import how_read
from nativecache.linker.archive import stream_archive, write_archive
from nativecache.linker.choice import Linker, find_linker
from nativecache.linker.driver import Driver, find_driver
from nativecache.linker.errors import BadObject, LinkError
from nativecache.linker.files import read_plain
from nativecache.linker.link import LinkJob, Whole, link_image
from nativecache.linker.native import splits_stacks
from nativecache.linker.renaming import cut_names, rename_symbols
from nativecache.linker.shown import shown
from nativecache.linker.signals import temporary_folder
from nativecache.linker.symbol_options import SymbolOptions
from nativecache.linker.values import dataclass, field, replace

PhaseTimer = Callable[[str], AbstractContextManager[None]]

_PLAIN_NAME: Final = re.compile(r"[-a-zA-Z$._][-\w$.]*", re.ASCII)
_ASM_NAME: Final = re.compile(r'(?<![\w.$])[A-Za-z_$][\w.$]*|"(?:[^"\\]|\\.)*"', re.ASCII)
#: What LLVM numbers within one file.
_ASM_LABEL: Final = re.compile(r"(?<![\w$])\.L(?=\w)|\bGCC_except_table(?=\d)")
#: Begins one of several sections of one name, which LLVM numbers within one file, too.
_ASM_SECTION: Final = re.compile(r"^(\t\.section\t.+,unique,)(\d+)$", re.MULTILINE | re.ASCII)
#: Names a source file of the line table.
_LINE_FILE: Final = re.compile(rb"^\t\.file\t\d+ ", re.MULTILINE)
#: The pointer to a personality routine that each file with exception tables holds, as a comdat.
_PERSONALITY_REFERENCE: Final = re.compile(
    r"\t\.hidden\tDW\.ref\.(\S+)\n(?:.*\n)*?\t\.(?:quad|xword|dword|long|word)\t.*\n"
)


@dataclass(frozen=True, slots=True)
class Written:
    """What came of writing the output.

    `image`: the value of the output's `image` dependency (cache/dependencies.py), taken before the file was
    moved into place; "" where it is no new file but a device or pipe. `warnings`: the linker's. `programs`:
    paths of the driver and the linker that ran. `reads`: the files that they read, None if that is unknown.
    """

    image: str
    warnings: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    reads: tuple[str, ...] | None = ()


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What linkers are chosen and told by, of all modules.

    `common`: whether common symbols are linked; `unlike`: what only GNU ld links as clang's images have it;
    `rustc`: code of rustc's. `promoted`: names of locals that begin with their names in the source.
    """

    common: bool
    unlike: bool
    rustc: bool
    promoted: Mapping[str, str]

    @classmethod
    def of(cls, program: Program) -> ImageFacts:
        """The facts of a whole program."""
        modules = [part.module for part in program.modules]
        promoted: dict[str, str] = {}
        for part in program.modules:
            promoted.update(promoted_names(part))
        return cls(
            program.has_common,
            any(map(is_linked_unlike, modules)),
            any(map(is_of_rustc, modules)),
            _longer(promoted),
        )


@dataclass(frozen=True, slots=True)
class Image:
    """All that goes into the output: objects by unit index and, in the image's order, how they come in.

    `cplusplus`: whether it is linked as C++. `target`: the triple that a link driver is told, if any.
    `pieces`: what modules put into an image, where that is kept; objects and results of units are then
    only those of modules that are not in it as they were.
    """

    program: Program
    units: Sequence[Unit]
    objects: Mapping[int, bytes]
    results: Mapping[int, UnitResult]
    #: What goes to the linker, in order.
    line: tuple[Path | str | Ours, ...]
    cplusplus: bool
    target: str | None
    triple: str = ""
    apart: Apart = NOTHING_APART
    facts: ImageFacts | None = None
    pieces: Pieces | None = None
    #: Objects of pieces as an earlier link had them, under their real names.
    members: Mapping[int, LinkedObject] = field(default_factory=dict)

    def by_module(self) -> dict[int, list[int]]:
        """The indices of units with results, by their modules'."""
        found: dict[int, list[int]] = defaultdict(list)
        for index in self.results:
            found[self.units[index].module].append(index)
        return found

    @property
    def known(self) -> ImageFacts:
        """The facts that are given, or those of the program."""
        return self.facts or ImageFacts.of(self.program)


def write_output(
    image: Image,
    *,
    emit: str,
    output: Path,
    linker: str,
    driver: str | None,
    told: SymbolOptions,
    environ: Mapping[str, str],
    phase: PhaseTimer,
) -> Written:
    """Writes the output file and puts it into place (see linker/output.py).

    `told`: what the link options say about symbols, read.
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
        items: tuple[str | Whole, ...] = ()
        members: dict[int, tuple[str, bytes]] = {}
        with phase("rename"):
            if emit in ("exe", "shared"):
                items = tuple(_archived(image, folder, named_by_source=told.loose))
            else:
                members = {n: (_member_name(image, n), _renamed(image, n)) for n in image.results}
        with phase("link"):
            link_driver = find_driver(driver, cplusplus=image.cplusplus, environ=environ)
            chosen = _find_linker(image, linker, link_driver, environ, emit, scripted=told.scripted)
            job = LinkJob(
                output=output,
                kind="object" if emit in ("object", "archive") else "shared" if emit == "shared" else "exe",
                items=(*items, *_kept_by_name(image, told, chosen), *_quiet(image, told, chosen)),
                driver=link_driver,
                linker=chosen,
                target=image.target,
                gc_sections=_is_rusts(image),
                loose=told.loose,
                renamed=_renamed_symbols(image) if told.lists else {},
            )
            with Threads(1) as threads:
                saved = threads.submit(image.pieces.save) if image.pieces is not None else None
                written = _link(image, job, emit, members, environ)
                if saved:
                    saved.result()
                return written


def _is_rusts(image: Image) -> bool:
    """Whether code of rustc's is linked: it has linkers drop what nobody uses."""
    words = [os.fspath(item) for item in image.line if not isinstance(item, Ours)]
    libraries = any(name.endswith(".rlib") for word in words for name in word.split(","))
    return libraries or image.known.rustc


def is_of_rustc(module: Module) -> bool:
    """Whether rustc wrote a module."""
    nodes = module.named_metadata.get("llvm.ident", "")
    return any('"rustc version' in module.metadata.get(token, "") for token in re.findall(r"!\d+", nodes))


def _kept_by_name(image: Image, told: SymbolOptions, linker: Linker | None) -> Iterator[str]:
    """Options that keep what other names are assigned to: mold 1.10's --gc-sections drops it.

    Where each file is one section, as compilers leave it by default, something else in it keeps it.
    """
    dropping = _is_rusts(image) or any(isinstance(w, str) and "gc-sections" in w for w in image.line)
    if linker and linker.name == "mold" and dropping:
        for name in sorted(image.program.assigned & told.assigned):
            yield from ("-Xlinker", f"--undefined={name}")


def _renamed_symbols(image: Image) -> dict[str, list[str]]:
    """Of what is not linked under its own name alone, the names that it is linked under, by its own."""
    found: dict[str, list[str]] = defaultdict(list)
    for part in image.program.modules:
        for token, entity in part.entities.items():
            if entity.defined and token not in part.dropped:
                found[symbol_name(token)].append(part.names[token])
    natives = _has_natives(image)
    for name, names in found.items():
        if natives and name not in names:
            names.insert(0, name)  # a local of theirs may be called so
    return {name: names for name, names in found.items() if names != [name]}


def _has_natives(image: Image) -> bool:
    return any(isinstance(item, Path) for item in image.line)


def _quiet(image: Image, told: SymbolOptions, linker: Linker | None) -> Iterator[str]:
    """An option by which lld says nothing of names that are on the line only for what natives may have."""
    if told.lists and linker and linker.name == "lld" and _has_natives(image):
        yield "-Wl,--no-warn-symbol-ordering"


def _archived(image: Image, folder: Path, *, named_by_source: bool) -> Iterator[str | Whole]:
    """The line with archives of our objects in their places; where there are none there is nothing.

    Scripts know objects by the names that compilers give them, after the source.
    """
    modules = image.program.modules
    for n, item in enumerate(image.line):
        if not isinstance(item, Ours):
            yield os.fspath(item)
        elif image.pieces is not None and not image.pieces.keys.keys().isdisjoint(item.modules):
            yield Whole(tuple(_write_pieces(image, image.pieces, folder, item.modules)))
        elif (indices := _units_of(image, item)) or _is_bare(image):
            path = folder / f"{n}.a"
            with temporary_files(), path.open("wb") as file:
                names = [_member_name(image, index) for index in indices]
                if named_by_source:
                    labels = (modules[image.units[index].module].label for index in indices)
                    names = [PurePath(label).stem + ".o" for label in labels]
                if indices:
                    stream_archive(names, (_renamed(image, index) for index in indices), file)
                else:
                    stream_archive([_EMPTY], [llvm.empty_object(image.triple)], file)
            yield Whole(path)


def _write_pieces(image: Image, pieces: Pieces, folder: Path, modules: Iterable[int]) -> Iterator[Path]:
    """A file for the objects of each group of modules: what an earlier link had, or a new one."""
    by_module = image.by_module()

    def make(module: int) -> Iterator[LinkedObject]:
        return (_linked(image, index) for index in by_module[module])

    for group in pieces.grouped(modules):
        path = folder / f"{group[0]}.a"
        pieces.write(group, path, make)
        yield path


#: A member that holds nothing, where something must be linked though the sources yield nothing.
_EMPTY: Final = "empty.o"


def _is_bare(image: Image) -> bool:
    """Whether nothing at all would go to the linker."""
    ours = image.pieces.keys if image.pieces is not None else image.results
    return not ours and not any(isinstance(item, Path) for item in image.line)


def _units_of(image: Image, ours: Ours) -> list[int]:
    modules = frozenset(ours.modules)
    return [index for index in image.results if image.units[index].module in modules]


def _find_linker(
    image: Image, name: str, driver: Driver, environ: Mapping[str, str], emit: str, *, scripted: bool
) -> Linker | None:
    """The linker for the image's machine. Raises LinkError where there is none that knows it."""
    machine = architecture(image.triple)
    relocatable, known = emit in ("object", "archive"), image.known
    words = (item for item in image.line if isinstance(item, str))
    reading = how_read(words, gc_sections=_is_rusts(image))
    if relocatable and any(isinstance(item, Path) and splits_stacks(item) for item in image.line):
        reading = "unlike"
    # Such things are for the link that makes an image.
    unlike = not relocatable and (image.program.output.native_padded or known.unlike)
    if unlike and reading in ("alike", "exports"):
        reading = "unlike"  # as GNU ld has it, which clang runs by default
    found = find_linker(
        name,
        environ,
        relocatable=relocatable,
        machine=machine,
        common=known.common,
        scripted=scripted,
        reading=reading,
    )
    # clang would run the host's; a gcc or zig for that machine has one of its own.
    if found is None and machine != architecture(os.uname().machine) and driver.family == "clang":
        raise LinkError(f"no linker here links for {machine}: install lld, or name one with --linker")
    return found


def _link(
    image: Image, job: LinkJob, emit: str, members: dict[int, tuple[str, bytes]], environ: Mapping[str, str]
) -> Written:
    # A driver that chooses its own linker does not say which.
    known = job.linker and job.driver.family != "zig"
    programs = (job.driver.command[0], job.linker.path) if known and job.linker else ()
    if emit in ("exe", "shared"):
        seen: list[str] = []
        promoted = image.known.promoted

        def finish(path: str) -> None:
            _restore_names(path, promoted)
            seen.append(measure_image(path))

        linked = link_image(job, environ, linked=finish)
        seen_as = seen[0] if linked.replaced else ""
        return Written(seen_as, linked.warnings, programs, linked.reads if programs else None)
    if emit == "object":
        # A compiler that writes an object tells no linker anything; one that links partially does.
        told = "-r" in image.line
        items: list[str | Whole] = []
        for item in image.line:
            if isinstance(item, Ours):
                if indices := _units_of(image, item):
                    items.append(_whole(members[index] for index in indices))
                elif _is_bare(image):
                    items.append(_whole([(_EMPTY, llvm.empty_object(image.triple))]))
            elif told or isinstance(item, Path):
                items.append(os.fspath(item))
        seen_as = write_file(job.output, _relocatable(image, replace(job, items=tuple(items)), environ))
        return Written(seen_as, programs=programs, reads=() if programs else None)
    merged: list[tuple[str, bytes]] = []
    for item in image.line:
        if isinstance(item, Path):
            merged.append((shown(item.name), read_plain(item)))
        for module in item.modules if isinstance(item, Ours) else ():
            indices = _units_of(image, Ours((module,)))
            name = shown(f"{PurePath(image.program.modules[module].label).stem}.o")
            if not indices:
                merged.append((name, llvm.empty_object(image.triple)))
            else:
                whole = replace(job, items=(_whole(members[index] for index in indices),))
                merged.append((name, _relocatable(image, whole, environ)))
    seen_as = write_file(job.output, write_archive(merged, symbol_index=True))
    return Written(seen_as, programs=programs, reads=() if programs else None)


def _whole(members: Iterable[tuple[str, bytes]]) -> Whole:
    return Whole(write_archive(members, symbol_index=False))


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    with ExitStack() as stack:
        with temporary_files():
            folder = stack.enter_context(temporary_folder())
        yield folder


def _names(image: Image, index: int) -> dict[str, str]:
    return {
        **decode_pairs(image.results[index].bindings),
        FILE_PLACEHOLDER: image.program.source_file(image.units[index].module),
    }


def _member_name(image: Image, index: int) -> str:
    return shown(f"{image.units[index].name}.o")


def _linked(image: Image, index: int) -> LinkedObject:
    """An object as it is in a piece: checksums are written into that later."""
    if (found := image.members.get(index)) is not None:
        return found
    places: list[int] = []
    if fixups := image.results[index].fixups:
        from nativecache.linker.fixups import Fixups

        # What is named anew stays where it is: names are added behind it.
        places = sorted(Fixups.decode(fixups).checksums)
    return LinkedObject(_member_name(image, index), _renamed(image, index, {}), places)


def _renamed(image: Image, index: int, checksums: Mapping[bytes, bytes] | None = None) -> bytes:
    """An object under its real symbol names. `checksums` as `_with_lines` has them."""
    try:
        renamed = rename_symbols(_with_lines(image, index, checksums), _names(image, index))
        unit = image.units[index]
        if _is_apart(image, unit):
            from nativecache.linker.sections import name_sections

            return name_sections(renamed, _section_name(image, unit))
        return renamed
    except BadObject as error:
        unit = image.units[index]
        raise BuildError(f"{unit.name}: this target's objects cannot be renamed: {error}") from None


def _is_apart(image: Image, unit: Unit) -> bool:
    """Whether the sections of a unit are to be named after its first function, or variable."""
    if image.apart == NOTHING_APART or not (unit.is_function or unit.kind == "data"):
        return False
    kind = "function" if unit.is_function else "variable"
    entities = image.program.modules[unit.module].entities
    return any(image.apart.keeps(entities[t]) for t in unit.tokens if entities[t].kind == kind)


def _section_name(image: Image, unit: Unit) -> str:
    """What the source calls the first function of a unit, or variable, as compilers name its section."""
    entities = image.program.modules[unit.module].entities
    functions = [token for token in unit.tokens if entities[token].kind == "function"]
    token = (functions or unit.tokens)[0]
    return symbol_name(token) if entities[token].local else image.program.modules[unit.module].names[token]


def _with_lines(image: Image, index: int, checksums: Mapping[bytes, bytes] | None = None) -> bytes:
    """A unit's object, with the lines, checksums and folder of its sources if it has debug information.

    `checksums`: by placeholder; None for those of the program.
    """
    result = image.results[index]
    if not result.fixups:
        return image.objects[index]
    from nativecache.linker.fixups import Fixups, apply_fixups

    program, unit = image.program, image.units[index]
    bases, lines, named = real_lines(program, unit, LineMap.decode(result.line_map))
    placed = bytearray(image.objects[index])
    apply_fixups(
        placed,
        Fixups.decode(result.fixups),
        bases,
        lines,
        program.checksums[unit.module] if checksums is None else checksums,
        unescape(program.output.directory).encode("latin-1"),
        named,
    )
    return bytes(placed)


def promoted_names(part: ProgramModule) -> dict[str, str]:
    """The names of all that is local in a module's source file, and what it is called there."""
    return {
        part.names[token]: symbol_name(token)
        for token, entity in part.entities.items()
        if entity.local and token not in part.pinned  # those are local already, or asm exports them
    }


def _promoted(program: Program) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in program.modules:
        found.update(promoted_names(part))
    return found


def longer_names(part: ProgramModule) -> dict[str, str]:
    """Of a module's promoted names those that a linked image may be given back, and to what."""
    return _longer(promoted_names(part))


def _longer(promoted: Mapping[str, str]) -> dict[str, str]:
    """Of promoted names those that begin with the name in the source, so that cutting restores it."""
    return {new: old for new, old in promoted.items() if new != old and new.startswith(old)}


def _restore_names(path: str, promoted: Mapping[str, str]) -> None:
    """Calls a linked image's local symbols what the source calls them.

    A debugger finds a function that is not described (`-g1`) by its symbol's name only. By that name gdb also
    knows the section of one that is described, without which it shows no lines once the program runs. Where
    names cannot be restored, as in an image that is not ELF, it is as good an image without.
    """
    names = promoted
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


def _relocatable(image: Image, job: LinkJob, environ: Mapping[str, str]) -> bytes:
    """One object of many, with the symbols that we promoted made local again."""
    from nativecache.linker.localizing import localize

    promoted = _promoted(image.program)
    with _temporary_folder() as folder:
        path = folder / "merged.o"
        link_image(replace(job, output=path), environ)
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
    sections = count(1)
    if sum(_LINE_FILE.search(image.objects[index]) is not None for index in image.results) > 1:
        # Each unit numbers its source files anew, and debug information holds the bare numbers.
        raise BuildError("assembly of several units holds no debug information: leave out -g")
    for index in image.results:
        unit, program = image.units[index], image.program
        names = _names(image, index)
        part = program.modules[unit.module]
        for name in (part.names[t] for t in unit.tokens if t in part.pinned):
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
        own = defaultdict[str, int](sections.__next__)
        text = _ASM_SECTION.sub(lambda m, own=own: f"{m[1]}{own[m[2]]}", text)  # type: ignore[misc]
        parts.append(f"# {unit.name}\n" + _PERSONALITY_REFERENCE.sub(once, text))
    return "".join(parts)


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _bitcode(image: Image) -> bytes:
    """One optimised module of all units, linked by LLVM in a worker."""
    jobs = [(image.objects[index], _names(image, index)) for index in image.results]
    with Pool(1, {"merge": llvm.merge}) as pool:
        pool.submit(Job("merge", None, (jobs,)))
        for done in pool.results():
            if done.error:
                advice = done.error.advice() if isinstance(done.error, WorkerDied) else ""
                raise BuildError(f"the units' bitcode cannot be merged: {done.error}{advice}")
            return bytes(done.result)
    raise AssertionError("no result")
