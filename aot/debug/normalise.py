"""Makes the debug information of all modules of a build slim and relative, or leaves it as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from nativecache.aot.debug.normaliser import FarLines, Normaliser, Unsupported, described, find_ambiguous
from nativecache.aot.ir.debug_info import LineMap
from nativecache.aot.ir.module import Module
from nativecache.aot.ir.syntax import METADATA, symbol_name


def normalise(
    modules: Sequence[Module],
    *,
    relative: bool = True,
    directory: str = "",
    line_map: LineMap | None = None,
    names: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Makes debug information slim and relative, or leaves it as it is. Parameters as in normaliser.py.

    `names`: what symbols stand for, where they are not the program's.
    """
    found: dict[int, Normaliser] = {}
    for i, module in enumerate(modules):
        with suppress(Unsupported, RecursionError):
            if module.debug_text:
                symbols = {node: symbol_name(token) for node, token in described(module).items()}
                symbols = {node: names.get(name, name) for node, name in symbols.items()}
                try:
                    found[i] = Normaliser(
                        module.debug_text, symbols, relative=relative, directory=directory, line_map=line_map
                    )
                except FarLines:
                    normalise(modules, relative=False, directory=directory, line_map=line_map, names=names)
                    return
    try:
        full = find_ambiguous(list(found.values()))
    except (Unsupported, RecursionError):
        found, full = {}, frozenset()
    for i, module in enumerate(modules):
        if module.debug_text and not (i in found and _apply(module, found[i], full)):
            keep_debug(module)
        module.debug_text = ""


def keep_debug(module: Module) -> None:
    """Leaves debug information as it is."""
    module.metadata = dict(METADATA.findall(module.debug_text))


def _apply(module: Module, normaliser: Normaliser, full: frozenset[str]) -> bool:
    """Whether the module could be normalised; if not, it is as it was."""
    texts = {token: entity.text for token, entity in module.entities.items()}
    named = dict(module.named_metadata)
    normaliser.full = full
    try:
        normaliser.apply(module)
    except (Unsupported, RecursionError):
        for token, text in texts.items():
            module.entities[token].text = text
        module.named_metadata, module.debug = named, None
        return False
    return True
