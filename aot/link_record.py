"""Remembers what the last link of an output was made from: with the same objects there is nothing to link."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from nativecache.aot import emit as aot_emit
from nativecache.aot.emit import Image, Written
from nativecache.cache.entry import Entry
from nativecache.cache.facts import Fact, decode, digest_file, encode, hold, measure
from nativecache.cache.lookup import EntryStore
from nativecache.linker import archive, driver, dwarf, elf
from nativecache.linker.environment import matters

#: Raised whenever what is digested, or how an image is made from it, changes.
SCHEMA: Final = 1


class LinkRecord:
    """The last link of one output. A lost or damaged record costs a link, nothing else."""

    def __init__(self, store: EntryStore, output: Path) -> None:
        self._store = store
        self._output = output
        name = str(output.absolute()).encode("utf-8", "surrogateescape")
        self._key = hashlib.sha256(b"link %d\0%s" % (SCHEMA, name)).hexdigest()

    def look_up(self, made_from: str) -> Written | None:
        """What the last link said, if it was of the same and its output is still there."""
        entry = self._store.load(self._key)
        if entry is None:
            return None
        with suppress(ValueError, KeyError, TypeError):
            record = json.loads(entry.payload)
            if record["made from"] == made_from and hold(decode(record["facts"])):
                return Written(record["image"], *map(tuple, record["written"]))
        return None

    def save(self, made_from: str, written: Written, facts: tuple[Fact, ...]) -> None:
        """Keeps a link. `facts`: all that it read besides what `made_from` was digested from."""
        facts = (*facts, ("image", written.image, (os.fspath(self._output.absolute()),)))
        record = {
            "made from": made_from,
            "facts": encode(facts),
            "written": (written.warnings, written.programs, written.reads),
            "image": written.image,
        }
        self._store.save(Entry(self._key, json.dumps(record).encode(), {}))


def digest_link(
    image: Image, keys: Mapping[int, str], environ: Mapping[str, str], scratch: Path, *details: Any
) -> str:
    """A digest of the objects, by key, with their real names, of native inputs, and of `details`.

    Where the folder `scratch` is makes no difference.

    The environment and the folder are part of it, for drivers and linkers look at many variables; and so
    is this program.
    """
    program = image.program
    units = [
        (image.units[index].name, image.units[index].module, keys[index], bindings, image.places.get(index))
        for index, bindings in image.bindings.items()
    ]
    debug = [
        (label, d.ranges, d.lines, d.named, d.checksums, d.types and (d.types.lines, d.types.named))
        for label, d in program.debug.items()
    ]
    files = [module.source_file for module in program.modules]
    line = [
        (os.fspath(item).removeprefix(os.fspath(scratch)), digest_file(os.fspath(item)))
        if isinstance(item, Path)
        else repr(item)
        for item in image.line
    ]
    mask = os.umask(0)
    os.umask(mask)
    variables = sorted(item for item in environ.items() if matters(item[0]))
    around = (variables, os.getcwd(), mask, image.cplusplus, image.target)
    code = [measure("stat", (module.__file__ or "",)) for module in (aot_emit, archive, driver, dwarf, elf)]
    text = repr((units, files, debug, program.directory, line, around, code, details))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
