"""Functions of which files have copies of their own to inline, and of which these copies differ.

C's `inline` functions and GNU's `extern inline` ones are `available_externally`: calls in the file may be
inlined from its copy, while calls in other files are of the definition, or of another copy. A unit has one
text for each symbol. So what names a function that is not the same everywhere may not stand in a unit of
another file. Of C++'s there is one meaning in the whole program, by its rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from nativecache.aot.ir.syntax import TOKEN, quote
from nativecache.aot.key import text_digest
from nativecache.aot.units.copies import copyable
from nativecache.linker import lazy_re as re

if TYPE_CHECKING:
    from nativecache.aot.ir.module import Entity
    from nativecache.aot.units.program import Definition, ProgramModule

#: How mangled names begin of languages in which a function is the same one everywhere: C++, Rust, Swift.
_ONE_MEANING: Final = ("_Z", "_R", "$s")
#: What makes no difference to what a function does: records of debug information, nodes that hang on
#: instructions, the numbers of groups of attributes.
_BESIDE: Final = re.compile(r"\n    #dbg_[^\n]*|,? ![\w.]+ ![\w.]+(?:\([^()\n]*\))?| #\d+\b", re.ASCII)


def copied_inline(part: ProgramModule) -> Iterator[str]:
    """The final names of functions of which a module has a copy to inline."""
    for function in part.module.functions():
        if function.linkage == "available_externally":
            name = part.names[function.token]
            if not name.startswith(_ONE_MEANING):
                yield name


def find_views(
    part: ProgramModule, names: Iterable[str], elsewhere: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    """What those of some functions are to a module that it names: digests of the code that its calls reach.

    `elsewhere`: gives that of a function that it only declares.
    """
    for name in names:
        token = "@" + quote(name)
        entity = part.entities.get(token)
        if entity is not None and part.names[token] == name:
            own = entity.kind == "function" and entity.defined and token not in part.dropped
            yield name, _digest(part, entity) if own else elsewhere(name)


def compare_copies(
    parts: Sequence[ProgramModule], definitions: Mapping[str, Definition]
) -> tuple[dict[str, str], frozenset[str]]:
    """Digests of the code by name of functions that modules have copies of, where that is the same for all
    that name them; and the names of the others."""
    copied = sorted({name for part in parts for name in copied_inline(part)})
    defined: dict[str, str] = {}

    def elsewhere(name: str) -> str:
        if name not in defined:
            found = definitions.get(name)
            entity = parts[found.module].entities[found.token] if found else None
            plain = found and entity and entity.kind == "function"
            defined[name] = _digest(parts[found.module], entity) if plain and found and entity else ""
        return defined[name]

    views: dict[str, str] = {}
    divided = set[str]()
    for part in parts if copied else ():
        for name, view in find_views(part, copied, elsewhere):
            if views.setdefault(name, view) != view:
                divided.add(name)
    return {name: view for name, view in views.items() if name not in divided}, frozenset(divided)


def _digest(part: ProgramModule, entity: Entity) -> str:
    """The digest of a function's code under final names."""
    names, entities = part.names, part.entities

    def final(match: re.Match[str]) -> str:
        token = match[0]
        found = entities.get(token)
        if found is not None and copyable(found):
            return found.text.partition(" = ")[2]
        return f"@{names[token]}" if token in names else token

    code = entity.text[entity.text.index("{\n") :]
    return text_digest(TOKEN.sub(final, _BESIDE.sub("", code))).hex()
