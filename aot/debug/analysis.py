"""Reads all that one module's debug information says by itself, before nodes get other names."""

from __future__ import annotations

from collections.abc import Mapping

from nativecache.aot.debug.files import Files, read_files
from nativecache.aot.debug.findable import is_definition, is_findable
from nativecache.aot.debug.functions import Functions, find_functions
from nativecache.aot.debug.nodes import DebugNodes, read_nodes
from nativecache.aot.debug.ranges import Ranges, find_ranges
from nativecache.linker.values import dataclass


@dataclass(frozen=True, slots=True)
class Analysis:
    """A module's nodes, its functions and their ranges, and its files.

    `relative`: lines are relative in what is made of it.
    """

    nodes: DebugNodes
    functions: Functions
    ranges: Ranges
    files: Files
    relative: bool

    def is_findable(self, n: str) -> bool:
        """Whether a debugger finds the type `n` by its name (see findable.py)."""
        return is_findable(n, self.nodes, self.functions)

    def is_definition(self, n: str) -> bool:
        """Whether the node `n` defines a type that a debugger finds by its name (see findable.py)."""
        return is_definition(n, self.nodes, self.functions)


def analyse(text: str, symbols: Mapping[str, str], *, relative: bool = True, directory: str = "") -> Analysis:
    """Read numbered metadata as LLVM prints it.

    `symbols` are the symbols of functions by the number of their DISubprogram (`!7`), `directory` is the
    compilation directory. Raises FarLines if there are lines too large to be encoded, and Unsupported.
    """
    nodes = read_nodes(text, relative=relative)
    functions = find_functions(nodes, symbols)
    return Analysis(
        nodes=nodes,
        functions=functions,
        ranges=find_ranges(nodes, functions) if relative else Ranges(),
        files=read_files(nodes, placeholders=relative, directory=directory),
        relative=relative,
    )
