"""The order of what goes to the linker: the command line's, with our objects where the sources stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nativecache.linker.values import dataclass


@dataclass(frozen=True, slots=True)
class Ours:
    """A place on the link line for the objects of some modules, by index, with nothing in between."""

    modules: tuple[int, ...]


def arrange(
    line: Iterable[Path | str], numbers: Sequence[int], native: Mapping[int, Path]
) -> tuple[Path | str | Ours, ...]:
    """Files, words for the linker, and places for our objects.

    `line`: inputs, as paths, and words. `numbers`: which inputs the modules are; `native`: what to link in
    place of others, by number of the input.
    """
    modules = {n: module for module, n in enumerate(numbers)}
    items: list[Path | str | Ours] = []
    n = 0
    for item in line:
        if isinstance(item, str):
            items.append(item)
            continue
        if n in native:
            items.append(native[n])
        elif n in modules:
            last = items.pop() if items and isinstance(items[-1], Ours) else Ours(())
            assert isinstance(last, Ours)
            items.append(Ours((*last.modules, modules[n])))
        n += 1
    return tuple(items)
