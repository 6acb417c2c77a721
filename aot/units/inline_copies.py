"""Functions of which files have copies of their own to inline, and of which these copies differ.

C's `inline` functions and GNU's `extern inline` ones are `available_externally`: calls in the file may be
inlined from its copy, while calls in other files are of the definition, or of another copy. A unit has one
text for each symbol. So what names a function that is not the same everywhere may not stand in a unit of
another file. By the rules of C++ its functions have one meaning, so where some file only declares one (as of
a template that others instantiate) it has that; another copy breaks the rules, as that of `gnu_inline` may.
Copies of what templates were instantiated to (`extern template`: libstdc++'s strings) are not compared: clang
calls where it has seen that a callee does not throw and invokes where it has not, by what came before it in
each file, so that they nearly always differ. Explicit specialisations have such names, too: different ones
that are `gnu_inline` are not told apart.
What the C library defines, and LLVM knows by its name, means the same to files that only declare it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from nativecache.aot.ir.library_names import has_meaning
from nativecache.aot.ir.syntax import TOKEN, quote
from nativecache.aot.key import text_digest
from nativecache.aot.units.copies import copyable
from nativecache.linker import lazy_re as re

if TYPE_CHECKING:
    from nativecache.aot.ir.module import Entity, Module
    from nativecache.aot.units.program import Definition, ProgramModule

#: How mangled names of C++ begin.
_CPLUSPLUS: Final = "_Z"
#: Mangled names up to where template arguments begin: those of a function that is no member, and of one that
#: is. The length of a name stands before it, so the rest of it is left out once that is known.
_LENGTH: Final = re.compile(r"[1-9]\d*", re.ASCII)
_NO_MEMBER: Final = re.compile(r"_Z(?:St)?L?", re.ASCII)
_MEMBER: Final = re.compile(r"_ZN[rVK]*[RO]?", re.ASCII)
#: Of operators all but conversions (`cv`), for whose types may be of templates.
_OF_NAME: Final = re.compile(
    r"S(?:[tabsiod]|[0-9A-Z]*_)|[CD]\d|B(?=\d)|L(?=\d)|(?!cv)[a-z][a-zA-Z]", re.ASCII
)
#: What stands for std::string and the streams.
_INSTANTIATED: Final = ("Ss", "Si", "So", "Sd")
#: What a function is to a module that only declares it, where it is what its definition is.
DEFINED: Final = "defined"
#: So many functions' code is compared for one that calls them.
_MOST: Final = 64
#: What makes no difference to what a function does: records of debug information, nodes that hang on
#: instructions, the numbers of groups of attributes.
_BESIDE: Final = re.compile(r"\n    #dbg_[^\n]*|,? ![\w.]+ ![\w.]+(?:\([^()\n]*\))?| #\d+\b", re.ASCII)


def copied_inline(part: ProgramModule) -> Iterator[str]:
    """The final names of functions of which a module has a copy to inline that may be another elsewhere."""
    for function in part.module.functions():
        if function.linkage == "available_externally":
            name = part.names[function.token]
            if not is_instantiated(name):
                yield name


def is_instantiated(name: str) -> bool:
    """Whether a symbol is, for sure, of what a template of C++ or a member of one was instantiated to.

    Read as the Itanium C++ ABI mangles names (its section 5.1), up to the first template arguments.
    """
    member = _MEMBER.match(name)
    begin = member or _NO_MEMBER.match(name)
    if begin is None:
        return False
    at, named = begin.end(), False
    while at < len(name) and not (named and name[at] == "I"):
        if named and not member:
            return False  # its parameters, which may be of templates
        if length := _LENGTH.match(name, at):
            at, named = length.end() + int(length[0]), True
        elif part := _OF_NAME.match(name, at):
            if member and part[0] in _INSTANTIATED:
                return True
            at, named = part.end(), named or part[0] not in ("B", "L", "St")
        else:
            return False
    return at < len(name)


def find_views(
    part: ProgramModule,
    names: Iterable[str],
    elsewhere: Callable[[str], str],
    counted: set[str] | None = None,
) -> Iterator[tuple[str, str]]:
    """What those of some functions are to a module that it names: digests of the code that its calls reach.

    `elsewhere`: gives that of a function that it only declares. `counted` takes the tokens of the module's
    functions whose code is in the digests.
    """
    types = _Types(part.module)
    for name in names:
        token = "@" + quote(name)
        entity = part.entities.get(token)
        if entity is None or part.names[token] != name:
            continue
        if entity.kind == "function" and entity.defined and token not in part.dropped:
            view = _View(part, types)
            yield name, view.digest(entity)
            if counted is not None:
                counted |= view.counted
        elif not name.startswith(_CPLUSPLUS):
            found = elsewhere(name)
            if found or not has_meaning(name):
                yield name, found


def find_counted(part: ProgramModule, names: Iterable[str]) -> list[str]:
    """The tokens of a module's functions by whose code others have what some functions are to all."""
    counted = set[str]()
    for _ in find_views(part, names, lambda _: "", counted):
        pass
    return sorted(counted)


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
            views = find_views(parts[found.module], [name], lambda _: "") if found else ()
            defined[name] = dict(views).get(name, "")
        return defined[name]

    views: dict[str, str] = {}
    divided = set[str]()
    for part in parts if copied else ():
        for name, view in find_views(part, copied, elsewhere):
            if views.setdefault(name, view) != view:
                divided.add(name)
    return {name: view for name, view in views.items() if name not in divided}, frozenset(divided)


class _Types(dict[str, str]):
    """The named types of a module by token, as they are made up."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self._bodies, self.numbered = module.types, module.numbered_types

    def __missing__(self, token: str) -> str:
        body = self._bodies.get(token)
        self[token] = token  # a value's name, or a type within itself
        if body is not None:
            self[token] = TOKEN.sub(lambda match: self[match[0]] if match[0][0] == "%" else match[0], body)
        return self[token]


class _View:
    """What a function is to its module: its code, and that of the locals that it calls."""

    def __init__(self, part: ProgramModule, types: _Types) -> None:
        self._part, self._types = part, types
        #: The tokens of the functions whose code counts.
        self.counted = set[str]()
        self._left = _MOST

    def digest(self, entity: Entity, within: tuple[str, ...] = ()) -> str:
        """The digest of a function's code under final names, with types as they are made up.

        A local that it calls counts by its code; `within`: the tokens of callers, the first one first.
        """
        self.counted.add(entity.token)
        self._left -= 1
        names, entities = self._part.names, self._part.entities
        within = *within, entity.token

        def final(match: re.Match[str]) -> str:
            token = match[0]
            if token[0] == "%":
                return self._types[token]
            found = entities.get(token)
            if found is None:
                return token
            if copyable(found):
                return found.text.partition(" = ")[2]
            if token in within:
                return f"@up{within.index(token)}"
            called = code[match.end() : match.end() + 1] == "(" and found.kind == "function"
            if called and found.local and found.defined and self._left > 0:
                return f"@{self.digest(found, within)}"
            return f"@{names[token]}"

        code = _BESIDE.sub("", entity.text[entity.text.index("{\n") :])
        return text_digest(TOKEN.sub(final, code) + self._types.numbered).hex()
