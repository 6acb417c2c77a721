"""Keeps what became of the nodes of a module's debug information, for edits that leave these as they are.

A file for each module: sqlite3.c's 300,000 are 1.5 MB of it, folded, and are read in 0.1 s; to name
them takes 3 s (debug/respelled.py).

    JSON, as `_RECORD` has it; tables of names are packed (packed.py)
"""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Any, Final

from nativecache.aot.ir.debug_info import DebugInfo, Named, Nodes
from nativecache.aot.ir.module import Module
from nativecache.aot.key import check_sealed, own_record, sealed, value_digest
from nativecache.aot.packed import decode_names, decode_pairs, encode_names, encode_pairs
from nativecache.cache.entry import AGAIN, Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import Malformed, list_of, mapping, nullable, read_json, record, row, text, whole

_TEXTS: Final = list_of(text())
_LINES: Final = mapping(whole())
#: Tables of DebugInfo that are kept packed, and as they are.
_PACKED: Final = ("scopes", "hosts", "callees", "units")
_PLAIN: Final = ("ranges", "lines", "named", "statics", "owners", "sizes", "imports")
_RECORD: Final = record(
    {
        **dict.fromkeys((*_PACKED, "tokens", "functions", "heads", "members", "digest"), text()),
        **dict.fromkeys(("ranges", "lines", "named"), _LINES),
        **dict.fromkeys(("owners", "sizes"), mapping(row(text(), text()))),
        "statics": mapping(list_of(row(nullable(text()), text()))),
        "imports": mapping(_TEXTS),
        "attached": list_of(row(text(), text())),
        "repeated": _TEXTS,
        "groups": _TEXTS,
        "bodies": mapping(text()),
    }
)


def nodes_recipe(output: Path, module: int) -> Recipe:
    """What is kept of the nodes of an output's module goes by this, in place of those that it had before."""
    return Recipe(*own_record("nodes"), ("label", str(output.absolute())), ("module", str(module)))


def nodes_digest(around: str, directory: str, ambiguous: str) -> str:
    """Which nodes they are: those of a text, by its outline's `around`, and how they are named.

    `directory` and `ambiguous` (packed): what else that depends on.
    """
    return value_digest((around, directory, ambiguous)).hex()


def save_nodes(store: EntryStore, key: str, digest: str, module: Module) -> None:
    """Keeps what became of a module's nodes; its debug information has a numbering."""
    store.save(sealed("nodes", key, write_nodes(digest, module), AGAIN))


def write_nodes(digest: str, module: Module) -> bytes:
    """The bytes of what became of a module's nodes, as `read_nodes` takes them. See `save_nodes`."""
    info, nodes = module.debug, module.metadata
    if info is None or info.numbering is None or not isinstance(nodes, Nodes):
        raise ValueError("nodes without a numbering")
    numbering, (bodies, groups) = info.numbering, nodes.parts()
    found: dict[str, Any] = {name: encode_pairs(getattr(info, name)) for name in _PACKED}
    found.update((name, getattr(info, name)) for name in _PLAIN)
    found.update(
        digest=digest,
        tokens=encode_pairs(numbering.tokens),
        functions=encode_pairs(numbering.functions),
        heads=encode_names(numbering.members),
        members=encode_names(" ".join(own) for own in numbering.members.values()),
        groups=[groups[head] for head in numbering.members],
        attached=numbering.attached,
        repeated=numbering.repeated,
        bodies=bodies,
    )
    return json.dumps(found, separators=(",", ":")).encode()


def load_nodes(store: EntryStore, key: str, digest: str) -> Named | None:
    """What became of a module's nodes, if just these are kept."""
    found = store.read(key, read_nodes)
    return found[1] if found and found[0] == digest else None


def read_nodes(entry: Entry) -> tuple[str, Named]:
    """The digest of a module's nodes, and what became of them. Raises Malformed."""
    check_sealed(entry)
    found = read_json(entry.payload, _RECORD)
    try:
        heads, members = decode_names(found["heads"]), decode_names(found["members"])
        nodes = Nodes()
        for token, body in found["bodies"].items():
            nodes.add(token, body)
        for head, group in zip(heads, found["groups"], strict=True):
            nodes.add_group(head, group)
        tokens = decode_pairs(found["tokens"])
        own = (
            (n, f"{head}{rank:04}")
            for head, packed in zip(heads, members, strict=True)
            for rank, n in enumerate(packed.split(" "))
        )
        tables: dict[str, Any] = {
            **{name: decode_pairs(found[name]) for name in _PACKED},
            **{name: found[name] for name in _PLAIN},
            # Digests are made from them as they are spelled, so that pairs are tuples again.
            "statics": {name: list(map(tuple, rows)) for name, rows in found["statics"].items()},
            **{name: {n: tuple(pair) for n, pair in found[name].items()} for name in ("owners", "sizes")},
        }
        named = Named(
            tokens=dict(chain(tokens.items(), own)),
            nodes=nodes,
            info=DebugInfo(**tables),
            repeated=frozenset(found["repeated"]),
            functions=decode_pairs(found["functions"]),
            attached=found["attached"],
        )
    except ValueError:
        raise Malformed("tables of different lengths") from None
    return found["digest"], named
