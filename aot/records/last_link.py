"""Remembers what the last link of an output was made from: with the same objects there is nothing to link."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from nativecache.aot.key import form_of, own_record
from nativecache.aot.output.image import Image, Written
from nativecache.cache.dependencies import (
    Dependency,
    check_dependency,
    decode,
    digest_file,
    encode,
    still_valid,
)
from nativecache.cache.entry import AGAIN, Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import Malformed, list_of, nullable, read_json, record, row, text
from nativecache.linker.environment import matters
from nativecache.linker.values import dataclass


class LinkRecord:
    """The record of an output's last link. A lost or damaged one costs a link, nothing else."""

    def __init__(self, store: EntryStore, output: Path) -> None:
        self._store = store
        self._output = output
        self._key = last_link_recipe(output).key()

    def look_up(self, made_from: str) -> Written | None:
        """What the last link said, if it was made from the same and its output is still there."""
        known = self._store.read(self._key, read_link)
        return (
            known.written
            if known and known.made_from == made_from and still_valid(known.dependencies)
            else None
        )

    def save(self, made_from: str, written: Written, dependencies: tuple[Dependency, ...]) -> None:
        """Keeps what a link was made from. `dependencies`: all that it read besides what `made_from` digests.

        Not one into a device or pipe, which holds nothing that could be there the next time.
        """
        if not written.image:
            return
        image = Dependency("image", written.image, (os.fspath(self._output.absolute()),))
        dependencies = (*dependencies, image)
        values = {
            "made from": made_from,
            "dependencies": encode(dependencies),
            "written": (written.warnings, written.programs, written.reads),
            "image": written.image,
        }
        self._store.save(Entry(self._key, json.dumps(values).encode(), form_of("link"), AGAIN))


@dataclass(frozen=True, slots=True)
class Link:
    """What a link was made from, by digest; what else it read; and what it said."""

    made_from: str
    dependencies: tuple[Dependency, ...]
    written: Written


_TEXTS: Final = list_of(text())
_LINK: Final = record(
    {
        "made from": text(),
        "dependencies": _TEXTS,
        "written": row(_TEXTS, _TEXTS, nullable(_TEXTS)),
        "image": text(),
    }
)


def read_link(entry: Entry) -> Link:
    """The record of an output's last link. Raises Malformed."""
    found = read_json(entry.payload, _LINK)
    warnings, programs, reads = found["written"]
    try:
        dependencies = tuple(decode(found["dependencies"]))
        for dependency in dependencies:
            check_dependency(dependency)
    except ValueError as error:
        raise Malformed(str(error)) from None
    written = Written(
        found["image"], tuple(warnings), tuple(programs), None if reads is None else tuple(reads)
    )
    return Link(found["made from"], dependencies, written)


def last_link_recipe(output: Path) -> Recipe:
    """What the record of an output's last link is kept under."""
    return Recipe(*own_record("link"), ("label", str(output.absolute())))


def digest_link(image: Image, environ: Mapping[str, str], scratch: Path, *details: Any) -> str:
    """The digest of all that an image is linked from, as `link_recipe` lists it."""
    return link_recipe(image, environ, scratch, *details).key()


def link_recipe(image: Image, environ: Mapping[str, str], scratch: Path, *details: Any) -> Recipe:
    """What a link is made from: objects, by key, with their real names; native inputs; and `details`.

    What a linker is chosen by may be in no object: a common symbol that another definition replaced is.
    Where the folder `scratch` is makes no difference. The environment and the working folder do, for
    compiler drivers and linkers look at many variables; and so does this program.
    """
    program = image.program
    units: Sequence[tuple[object, ...]]
    if image.pieces is None:
        units = [
            (image.units[index].name, image.units[index].module, result.key, result.bindings, result.line_map)
            for index, result in image.results.items()
        ]
    else:
        units = sorted(image.pieces.keys.items())
    debug = (
        []
        if image.pieces is not None
        else [
            (label, d.ranges, d.lines, d.named, d.checksums, d.types and (d.types.lines, d.types.named))
            for label, d in program.debug.items()
        ]
    )
    checksums = sorted(image.pieces.checksums.items()) if image.pieces is not None else []
    files = [] if image.pieces is not None else [part.module.source_file for part in program.modules]
    line = [
        (os.fspath(item).removeprefix(os.fspath(scratch)), digest_file(os.fspath(item)))
        if isinstance(item, Path)
        else repr(item)
        for item in image.line
    ]
    mask = os.umask(0)
    os.umask(mask)
    known = image.known
    chosen_by = known.common, known.unlike, known.rustc, program.output.native_padded
    variables = sorted(item for item in environ.items() if matters(item[0]))
    return Recipe(
        *own_record("linked"),
        *(("unit", repr(unit)) for unit in units),
        *(("debug", repr(one)) for one in debug),
        *(("file", repr(file)) for file in files),
        ("checksums", repr(checksums)),
        ("directory", repr(program.output.directory)),
        *(("line", repr(item)) for item in line),
        *(("variable", f"{name}={value}") for name, value in variables),
        ("folder", os.getcwd()),
        ("mask", f"{mask:o}"),
        ("language", "C++" if image.cplusplus else "C"),
        ("target", repr(image.target)),
        ("chosen-by", repr(chosen_by)),
        *(("detail", repr(detail)) for detail in details),
    )
