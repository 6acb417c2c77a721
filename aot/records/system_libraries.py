"""Remembers what the system's libraries define: to ask a driver and read them takes longer than an edit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Final

from nativecache.aot.key import check_sealed, own_record, sealed
from nativecache.aot.output.link_inputs import links_anything, system_libraries
from nativecache.aot.records.dependencies import path_folders
from nativecache.aot.request import Request
from nativecache.cache.dependencies import Dependency, check_dependency, decode, encode, observe, still_valid
from nativecache.cache.entry import FIRST, Entry
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import Malformed, boolean, list_of, read_json, record, text
from nativecache.cache.since import Since, unchanged_since
from nativecache.linker.driver import find_driver
from nativecache.linker.environment import matters
from nativecache.linker.errors import LinkError
from nativecache.linker.libraries import Libraries
from nativecache.linker.link import SEARCHED
from nativecache.linker.values import fields

_TEXTS: Final = list_of(text())
_LIBRARIES: Final = record(
    {
        **dict.fromkeys(("files", "symbols", "folders", "scripts", "dependencies"), _TEXTS),
        "padded": boolean(),
    }
)


def known_libraries(request: Request, since: Callable[[], Since]) -> Libraries:
    """The libraries that the link brings in, as `system_libraries` finds them, or as it found them before.

    `since` gives the build's beginning: what changed after it is not believed.
    """
    if not request.store.root or not links_anything(request):
        return system_libraries(request)
    key = libraries_recipe(request).key()
    known = request.store.read(key, read_libraries)
    if known is not None and still_valid(known[1]):
        return known[0]
    libraries = system_libraries(request)
    dependencies = _dependencies(request, libraries)
    if dependencies and all(unchanged_since(dependency, since()) for dependency in dependencies):
        values = {field.name: getattr(libraries, field.name) for field in fields(libraries)}
        values |= {"symbols": sorted(libraries.symbols), "dependencies": encode(dependencies)}
        payload = json.dumps(values).encode()
        request.store.save(sealed("libraries", key, payload, FIRST))
    return libraries


def libraries_recipe(request: Request) -> Recipe:
    """What decides which libraries there are, besides what is in their folders."""
    variables = sorted(item for item in request.environ.items() if matters(item[0]))
    return Recipe(
        *own_record("libraries"),
        ("driver", repr(request.driver)),
        ("options", repr((request.emit, request.link_options))),
        ("folder", os.getcwd()),
        *(("variable", f"{name}={value}") for name, value in variables),
    )


def _dependencies(request: Request, libraries: Libraries) -> tuple[Dependency, ...]:
    """What the libraries that were found rest on; nothing where that cannot be told."""
    try:
        program = find_driver(request.driver, cplusplus=False, environ=request.environ).command[0]
    except LinkError:
        return ()
    names = (name for name in SEARCHED if name[0] != "/")
    return (
        *(observe(kind, (program,)) for kind in ("stat", "program")),
        observe("programs", (*path_folders(request.environ), "", *names)),
        *(
            observe("names", (folder,))
            for folder in libraries.folders
            if os.path.isdir(folder) or folder[:1] != "/"
        ),
        observe("found", ("/", "", *(folder for folder in libraries.folders if folder[:1] == "/"))),
        *(observe("stat", (file,)) for file in libraries.files),
    )


def read_libraries(entry: Entry) -> tuple[Libraries, list[Dependency]]:
    """Libraries, and what they rest on. Raises Malformed."""
    check_sealed(entry)
    found = read_json(entry.payload, _LIBRARIES)
    try:
        dependencies = decode(found.pop("dependencies"))
        for dependency in dependencies:
            check_dependency(dependency)
    except ValueError as error:
        raise Malformed(str(error)) from None
    symbols, padded = frozenset(found.pop("symbols")), found.pop("padded")
    return Libraries(
        **{name: tuple(value) for name, value in found.items()}, symbols=symbols, padded=padded
    ), (dependencies)
