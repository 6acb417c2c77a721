"""The value that a `found` dependency would have if what it is about were elsewhere.

Of what was found only a digest is kept (`dependencies.py`). Where folders were renamed or copied, it can be
told all the same whether the same is found: by looking where things are now, and saying it as of then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping

from nativecache.cache.dependencies import digest_of_found, folder_mark, tree_of_names


def found_value(
    subjects: tuple[str, ...], where: Mapping[str, Callable[[str], str]], marks: dict[str, str | None]
) -> str:
    """The value of a `found` dependency on some subjects.

    `where`: for each folder among the subjects, where its names are looked for now. Absolute names stay.
    `marks`: what was found before, by path; many sources look in the same folders.
    """
    cut = subjects.index("")
    names = subjects[cut + 1 :]
    found = [name + folder_mark(name) for name in names if name[:1] == "/" and os.access(name, os.F_OK)]
    relative = list(_in_order(names))
    for folder in dict.fromkeys(subjects[:cut]):
        now = where[folder]
        for name in relative:
            place = now(name)
            if place in marks:
                mark = marks[place]
            else:
                mark = marks[place] = folder_mark(place) if os.access(place, os.F_OK) else None
            if mark is not None:
                found.append(f"{folder}/{name}{mark}")
    return digest_of_found(found)


def _in_order(names: tuple[str, ...]) -> Iterator[str]:
    """The relative ones of some names in the order in which they are looked for in a folder."""
    waiting = [("", iter(tree_of_names(names).items()))]
    while waiting:
        before, inner = waiting[-1]
        for name, below in inner:
            if isinstance(below, dict):
                waiting.append((before + name, iter(below.items())))
                break
            yield before + name
        else:
            waiting.pop()
