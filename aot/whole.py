"""Which sources clang compiles whole for what LLVM says of their units, and why it compiled some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nativecache.aot.codegen.diagnostics import Wanted, line
from nativecache.aot.codegen.flags import beyond_ir, generation
from nativecache.aot.errors import BuildError
from nativecache.aot.front import clang
from nativecache.aot.front.load import Loaded, LoadedText
from nativecache.aot.front.sources import is_split
from nativecache.aot.key import assembler_reads, assembler_searches
from nativecache.aot.packed import decode_pairs
from nativecache.aot.request import Request, folder_of, labels_of
from nativecache.aot.schedule.plan import Plan
from nativecache.aot.schedule.scheduler import Heard


def why_whole(request: Request, whole: Sequence[str]) -> str:
    """Why clang compiled the files with these labels whole, for the report."""
    if request.by_file:
        return ""
    named = [path for path in request.inputs if str(path) in whole]
    if whole and len(named) == len(whole) and not any(map(is_split, named)):
        return "assembly is not split"
    if any(clang.instruments(request.flags_of(path)) for path in named):
        return "its passes cannot be split"
    beyond = [flag for path in named for flag in beyond_ir(request.flags_of(path), request.level_of(path))]
    if beyond:
        return f"IR does not tell {' '.join(dict.fromkeys(beyond))}"
    made = generation(request.code_flags, request.level)
    if any(generation(request.flags_of(path), request.level_of(path)) != made for path in named):
        return "its own flags have code generated in another way"
    if request.whole:
        return "LLVM refuses it or a part of it alone, its asm reads files, or sections cannot be told apart"
    return "its passes cannot be split"


def searching_sources(request: Request, loaded: Loaded) -> frozenset[Path]:
    """Sources whose asm reads files that clang's assembler finds in the folders for headers."""
    splits = _splits(request)
    return frozenset(
        splits[found.label]
        for found in loaded.texts
        if found.label in splits and not found.as_before and found.has_asm and _searches(splits, found)
    )


def _searches(splits: Mapping[str, Path], found: LoadedText) -> bool:
    """Whether a source's asm has files read that only clang's assembler would find."""
    if assembler_searches(found.text):
        return True
    return bool(folder_of(splits[found.label]) and assembler_reads(found.text))


def sources_named(request: Request, labels: Iterable[str]) -> frozenset[Path]:
    """Those of the modules with these labels that are made of sources, which clang can compile whole."""
    splits = _splits(request)
    return frozenset(splits[label] for label in labels if label in splits)


def _splits(request: Request) -> dict[str, Path]:
    """The sources that are cut into units, by the label of their modules."""
    named = zip(labels_of(request.inputs), request.inputs, strict=True)
    return {label: path for label, path in named if is_split(path)}


def judge(request: Request, plan: Plan, heard: Iterable[Heard]) -> tuple[list[str], frozenset[Path]]:
    """LLVM's warnings, and the sources that are to be compiled whole for what it said of them.

    A file that clang accepts may hold what LLVM refuses in a unit: a call that must not be made, and that is
    removed only by those who see all of the file. Raises BuildError for errors in other inputs.
    """
    paths = dict(zip(labels_of(request.inputs), request.inputs, strict=True))
    sources = _splits(request)
    whole: set[Path] = set()
    warnings: dict[str, None] = {}
    errors: dict[str, None] = {}
    for one in sorted(heard, key=lambda one: one.unit):
        said = one.diagnostic
        label, function = plan.place(one.unit)
        wanted = Wanted(request.flags_of(paths[label]))
        fatal = wanted.is_error(said)
        if fatal and label in sources and request.emit not in ("asm", "bitcode"):
            whole.add(sources[label])
        elif fatal or not wanted.is_ignored(said):
            words = line(said, label, function, decode_pairs(one.bindings), error=fatal)
            (errors if fatal else warnings)[words] = None
    if errors:
        raise BuildError(*errors)
    return list(warnings), frozenset(whole)
