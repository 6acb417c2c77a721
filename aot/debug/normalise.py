"""Makes modules' debug information small, and independent of where things stand in their sources.

Problem: as compilers write it, debug information ties every function to all types of its file and to its own
line numbers, so units are twenty times as big and one line added on top changes all that follow it.
Method, on the printed metadata, before anything is cut:

- *Declared types* (type_tokens.py): a named struct, union or class becomes a forward declaration, which
  debuggers find the definition of by its name. The definitions stay together in a unit of their own.
- *Relative lines* (ranges.py, lines.py): a line counts from the first line of its function.
- *Content tokens* (naming.py): a node's number is replaced by a digest of all that can be seen from the node.
- *Placeholders* (files.py): for the compilation directory and for checksums of files.

What was taken out is put back into the object when its symbols are renamed (linker/lines.py). The way of a
module is text → Analysis → Rewritten → the module; between the first two all modules are compared
(shapes.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from nativecache.aot.debug.errors import FarLines, Unsupported
from nativecache.aot.ir.module import Module
from nativecache.aot.ir.syntax import METADATA, quote, symbol_name
from nativecache.linker.values import replace

if TYPE_CHECKING:
    from nativecache.aot.debug.analysis import Analysis


def normalise(modules: Sequence[Module], *, relative: bool = True, directory: str = "") -> list[Module]:
    """The modules of a program with their debug information normalised.

    What is of a form that is not understood stays as it is, in that module. `relative`: lines count from the
    first of their function, unless some of the program are too large for that. `directory` is the compilation
    directory.
    """
    if not any(module.debug_text for module in modules):
        return list(modules)
    # Builds without debug information do not load what is loaded here, which takes 7 ms.
    from nativecache.aot.debug.analysis import analyse
    from nativecache.aot.debug.shapes import digest_shapes, find_ambiguous, find_shapes

    found: dict[int, Analysis] = {}
    for i, module in enumerate(modules):
        with suppress(Unsupported, RecursionError):
            if module.debug_text:
                symbols = _described(module)
                try:
                    found[i] = analyse(module.debug_text, symbols, relative=relative, directory=directory)
                except FarLines:
                    return normalise(modules, relative=False, directory=directory)
    try:
        shapes = {i: find_shapes(read) for i, read in found.items()} if len(found) > 1 else {}
        ambiguous = find_ambiguous(list(shapes.values()))
    except (Unsupported, RecursionError):
        found, shapes, ambiguous = {}, {}, frozenset()
    digests = {i: digest_shapes(shape) for i, shape in shapes.items()}
    return [
        (_apply(module, found[i], ambiguous, digests.get(i, {})) if i in found else None)
        or keep_debug(module)
        for i, module in enumerate(modules)
    ]


def normalise_again(
    module: Module, ambiguous: frozenset[str], *, alone: bool, directory: str
) -> Module | None:
    """A module of a program whose others stand; None where it is not one that `normalise` makes relative.

    `ambiguous`: what was found for the program, which stays if the module's `shapes` do. `alone`: no other
    module has debug information.
    """
    from nativecache.aot.debug.analysis import analyse
    from nativecache.aot.debug.shapes import digest_shapes, find_doubtful, find_shapes

    try:
        read = analyse(module.debug_text, _described(module), directory=directory)
        shapes = {} if alone else find_shapes(read)
        return _apply(module, read, ambiguous, digest_shapes(shapes), find_doubtful(shapes, ambiguous))
    except (FarLines, Unsupported, RecursionError):
        return None


def _described(module: Module) -> dict[str, str]:
    """The symbols of the functions that a module defines, by the number of their DISubprogram.

    As IR spells them between quotes, in ASCII: they stand in texts with one character per byte.
    """
    return {node: quote(symbol_name(token)).strip('"') for node, token in module.described.items()}


def keep_debug(module: Module) -> Module:
    """The module with its debug information, if it has any, as numbered nodes like others."""
    if not module.debug_text:
        return module
    return replace(module, metadata=dict(METADATA.findall(module.debug_text)), debug_text="")


def _apply(
    module: Module,
    read: Analysis,
    ambiguous: frozenset[str],
    shapes: Mapping[str, str],
    doubtful: frozenset[str] = frozenset(),
) -> Module | None:
    """The module with normalised debug information; None if that is not understood."""
    from nativecache.aot.debug.rewrite import rewrite

    try:
        done = rewrite(module, read, ambiguous)
    except (Unsupported, RecursionError):
        return None
    entities = {t: replace(module.entities[t], text=text) for t, text in done.texts.items()}
    return replace(
        module,
        entities=module.entities | entities,
        named_metadata=done.named_metadata,
        metadata=done.nodes,
        debug=replace(done.info, ambiguous=ambiguous, shapes=shapes, doubtful=doubtful),
        debug_text="",
    )
