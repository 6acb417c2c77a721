"""Writes one module anew with tokens in place of its debug information's numbered nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nativecache.aot.debug.naming import Naming
from nativecache.aot.debug.syntax import ATTACHED, DECLARATION, LINKAGE_NAME, NAME, NODE, SCOPE, UNIT_LISTS
from nativecache.aot.debug.tokens import TextTokens
from nativecache.aot.debug.type_unit import has_types, write_type_unit
from nativecache.aot.debug.variables import Attachments, Variables, describe_variables
from nativecache.aot.ir.debug_info import HEAD, DebugInfo, Nodes, Numbering, Types
from nativecache.aot.ir.syntax import attach
from nativecache.linker.values import dataclass

if TYPE_CHECKING:
    from nativecache.aot.debug.analysis import Analysis
    from nativecache.aot.ir.module import Module


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A module's entities, by printed name, and named metadata, with tokens, and what those stand for."""

    texts: Mapping[str, str]
    named_metadata: dict[str, str]
    nodes: Nodes
    info: DebugInfo


def rewrite(module: Module, read: Analysis, ambiguous: frozenset[str]) -> Rewritten:
    """Normalise a module that was indexed without its metadata, of which `read` is the analysis.

    `ambiguous` are the names that `shapes.find_ambiguous` found. The module stays as it is. Raises
    Unsupported, and RecursionError where nodes are nested too deeply.
    """
    functions = module.described
    naming = Naming(read, ambiguous)
    naming.own_nodes.name_all()
    naming.locations.spell_all()
    tokens = TextTokens(naming.locations.spelled, naming.name)
    texts, variables = _rewrite_entities(module, tokens)
    named_metadata = {name: tokens.spell(text) for name, text in module.named_metadata.items()}
    imports = _find_imports(read, naming)
    listed = {node: unit for unit, nodes in _list_nodes(read, naming, "globals") for node in nodes}
    found = describe_variables(read, ambiguous, Attachments(functions, variables, texts), listed, naming.name)
    for variable, token in found.attached:
        texts[variable] = attach(texts[variable], f", !dbg {token}")
    hosts, callees = _find_hosts(read, functions), _find_callees(read, naming, functions)
    naming.types.spell_waiting()
    info = DebugInfo(
        relative=read.relative,
        ranges=read.ranges.first,
        scopes=naming.own_nodes.scopes,
        lines=naming.declarations.lines,
        named=read.nodes.named,
        checksums=read.files.checksums,
        statics=found.statics,
        hosts=hosts,
        callees=callees,
        owners=naming.own_nodes.owners,
        sizes=naming.own_nodes.sizes,
        units=found.units,
        imports=imports,
        types=_types(module, read, found),
        numbering=None if found.by_use else _numbering(read, naming, functions, found),
    )
    return Rewritten(texts, named_metadata, naming.tokens.nodes, info)


def _rewrite_entities(module: Module, tokens: TextTokens) -> tuple[dict[str, str], dict[str, list[str]]]:
    """All entities' texts with tokens, and the global variables by node; their nodes are taken from them."""
    texts: dict[str, str] = {}
    variables: dict[str, list[str]] = defaultdict(list)
    for token, entity in module.entities.items():
        text = entity.text
        if entity.kind == "variable" and " !dbg " in text:
            for node in ATTACHED.findall(text):
                variables[node].append(token)
            text = ATTACHED.sub("", text)  # see variables.py
        texts[token] = tokens.spell(text)
    return texts, variables


def _numbering(
    read: Analysis, naming: Naming, functions: Mapping[str, str], found: Variables
) -> Numbering | None:
    """Which node got which token; None where functions' texts say more of that than what they name."""
    names, members = naming.tokens.by_node, read.functions.members
    repeated = {text: nodes for text, nodes in naming.loops.items() if len(nodes) > 1}
    # The scope of a location is in one function only, whose other nodes are the same whatever others do.
    if not read.relative or not all("!DILocation(" in text for text in repeated):
        return None
    return Numbering(
        tokens={n: token for n, token in names.items() if n not in read.functions.owners},
        members={names[owner][:HEAD]: own for owner, own in members.items()},
        repeated=[n for nodes in repeated.values() for n in nodes],
        functions=functions,
        attached=found.attached,
    )


def _list_nodes(read: Analysis, naming: Naming, field: str) -> list[tuple[str, list[str]]]:
    """What the compile units that are named list in a field, by their tokens."""
    units = read.nodes.compile_units
    found = []
    for n, token in naming.tokens.by_node.items():
        if n in units and (listed := dict(UNIT_LISTS.findall(units[n])).get(field)):
            found.append((token, NODE.findall(read.nodes.bodies[listed])))
    return found


def _find_imports(read: Analysis, naming: Naming) -> dict[str, list[str]]:
    """By compile unit, the namespaces whose names it uses without saying so."""
    return {
        unit: [naming.name(n) for n in nodes if "(tag: DW_TAG_imported_module" in read.nodes.bodies[n]]
        for unit, nodes in _list_nodes(read, naming, "imports")
    }


def _find_hosts(read: Analysis, functions: Mapping[str, str]) -> dict[str, str]:
    """By function that is declared inside of another one, that one."""
    hosts = {}
    for n, token in functions.items():
        scope = SCOPE.search(read.nodes.bodies[n])
        if scope and (host := functions.get(read.functions.owners.get(scope[1], ""))):
            hosts[token] = host
    return hosts


def _find_callees(read: Analysis, naming: Naming, functions: Mapping[str, str]) -> dict[str, str]:
    """By function whose calls are described: the node that tells its callers who is called."""
    return {
        token: _name_callee(read, naming, read.nodes.bodies[n])
        for n, token in functions.items()
        if "DIFlagAllCallsDescribed" in read.nodes.bodies[n]
    }


def _name_callee(read: Analysis, naming: Naming, body: str) -> str:
    """A node that declares a function: its member declaration, or what little a debugger needs."""
    if found := DECLARATION.search(body):
        return naming.name(found[1])
    fields = [
        f"{word}: {m[1]}"
        for word, m in (("name", NAME.search(body)), ("linkageName", LINKAGE_NAME.search(body)))
        if m
    ]
    scope = SCOPE.search(body)
    if scope and scope[1] not in read.functions.owners:
        fields.append(f"scope: {naming.name(scope[1])}")
    return naming.tokens.add(f"!DISubprogram({', '.join(fields)}, spFlags: DISPFlagOptimized)")


def _types(module: Module, read: Analysis, found: Variables) -> Types | None:
    if not has_types(read):
        return None
    flags = NODE.findall(module.named_metadata.get("llvm.module.flags", ""))
    return Types(lambda: write_type_unit(read, flags, found.constants))
