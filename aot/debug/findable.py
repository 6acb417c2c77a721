"""Tells which types a debugger finds by their name, so that a declaration of them will do in most units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nativecache.aot.debug.syntax import NAME, RECORD_TAGS, SCOPE, TAG, is_composite

if TYPE_CHECKING:
    from nativecache.aot.debug.functions import Functions
    from nativecache.aot.debug.nodes import DebugNodes


def is_findable(n: str, nodes: DebugNodes, functions: Functions) -> bool:
    """Whether a node is a struct, union or class with a name, in no function and no type without a name."""
    body = nodes.bodies.get(n, "")
    while True:
        tag = TAG.search(body)
        if tag is None or tag[1] not in RECORD_TAGS or not NAME.search(body):
            return False
        scope = SCOPE.search(body)
        if scope is None:
            return True
        if scope[1] in functions.owners:
            return False
        body = nodes.bodies.get(scope[1], "")
        if not is_composite(body):
            return True


def is_definition(n: str, nodes: DebugNodes, functions: Functions) -> bool:
    """Whether a node defines a type that is findable, and does not only declare it."""
    body = nodes.bodies[n]
    if not is_composite(body) or "DIFlagFwdDecl" in body:
        return False
    return is_findable(n, nodes, functions)
