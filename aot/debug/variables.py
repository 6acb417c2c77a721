"""Decides which units describe each global variable to debuggers.

A variable is described beside its definition, that of a function (`static` in C) in the function's unit.
Others must describe it, too, where a debugger finds it nowhere else. The nameless ones of string literals are
left out: no debugger shows them, and each unit has its own copy. One that is no more than a value has no
definition, and is described in the unit of types (type_unit.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from nativecache.aot.debug.syntax import FILE, NAME, SCOPE, VARIABLE
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

if TYPE_CHECKING:
    from nativecache.aot.debug.analysis import Analysis

_SYMBOL: Final = re.compile(r'@(?:"[^"]*"|[-\w.$]+)', re.ASCII)
#: In place of a user: all functions of the module.
_ALL: Final = ""


@dataclass(frozen=True, slots=True)
class Variables:
    """What describes which global variable.

    Variables are printed names (`@x`), and tokens are those of DIGlobalVariableExpressions.

    `attached`: variables and the tokens to be attached to them (`!dbg`). `statics`: by function, the tokens
    that its unit describes and their variables, None for a variable that is not there any more.
    `units`: the token of the compile unit that lists a token. `constants`: numbers of nodes whose variables
    are no more than a value. `by_use`: whether some are described by what functions mention.
    """

    attached: Sequence[tuple[str, str]]
    statics: dict[str, list[tuple[str | None, str]]]
    units: dict[str, str]
    constants: Sequence[str]
    by_use: bool = False


@dataclass(frozen=True, slots=True)
class Attachments:
    """What a module's text attaches nodes to: `functions` and global `variables`, as printed, by node.

    `texts` are the texts of all entities by printed name, to see which functions mention which variable.
    """

    functions: Mapping[str, str]
    variables: Mapping[str, Sequence[str]]
    texts: Mapping[str, str]


def describe_variables(
    module: Analysis,
    ambiguous: frozenset[str],
    attachments: Attachments,
    listed: Mapping[str, str],
    name: Callable[[str], str],
) -> Variables:
    """Which units describe the variables that are attached, or that compile units list.

    `listed` is the listing compile unit's token by node, `name` gives the token of any node. Raises
    Unsupported.
    """
    attached: list[tuple[str, str]] = []
    constants: list[str] = []
    statics: dict[str, list[tuple[str | None, str]]] = {}
    units: dict[str, str] = {}
    described: dict[str, list[tuple[str | None, str]]] = defaultdict(list)  # by user
    for node in {**listed, **attachments.variables}:
        variable = VARIABLE.search(module.nodes.bodies.get(node, ""))
        body = module.nodes.bodies.get(variable[1], "") if variable else ""
        if variable is None or not NAME.search(body):
            continue
        scope = SCOPE.search(body)
        owner = module.functions.owners.get(scope[1]) if scope else None
        symbols = attachments.variables.get(node, [])
        users = _find_users(module, ambiguous, variable[1], symbols) if owner is None else set()
        if not symbols and owner is None:
            constants.append(node)
            if not users:
                continue
        token = name(node)
        if node in listed:
            units[token] = listed[node]
        pairs: list[tuple[str | None, str]] = [(symbol, token) for symbol in symbols] or [(None, token)]
        for user in users:
            described[user] += pairs
        if owner is not None and owner in attachments.functions:
            statics.setdefault(attachments.functions[owner], []).extend(pairs)
        else:
            attached += [(symbol, token) for symbol in symbols]
    for function in attachments.functions.values() if described else ():
        used = {_ALL, *_SYMBOL.findall(attachments.texts[function])}
        for user in sorted(described.keys() & used):
            statics.setdefault(function, []).extend(described[user])
    return Variables(attached, statics, units, constants, bool(described))


def _find_users(
    module: Analysis, ambiguous: frozenset[str], variable: str, symbols: Sequence[str]
) -> set[str]:
    """Whose units describe a variable that is in no function: those that mention these symbols, or all.

    They must where other modules have others of that name (one that a function does not use is then shown as
    optimized out, rather than as another module's), and, in gdb, in namespaces without a name. Which
    functions use constants of the latter cannot be told.
    """
    body, name = module.nodes.bodies[variable], module.nodes.qualified_name(variable)
    if "isLocal: true" not in body:
        return set()
    if f"={name}" in ambiguous:
        file = FILE.search(body)
        if not symbols or (file and module.nodes.file_name(file[1]) in _main_files(module)):
            return {_ALL}
        return set(symbols)
    return set(symbols) if "" in name.split("::")[:-1] else set()


def _main_files(module: Analysis) -> set[str]:
    units = module.nodes.compile_units.values()
    return {module.nodes.file_name(file[1]) for body in units if (file := FILE.search(body))}
