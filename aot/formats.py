"""All forms in which a build keeps things, for whoever checks a whole cache folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from nativecache.aot.codegen.facts import read_host, read_layout, read_library
from nativecache.aot.front.accepted import read_accepted
from nativecache.aot.front.askers import read_askers
from nativecache.aot.front.front_index import read_index
from nativecache.aot.front.header_facts import read_headers
from nativecache.aot.front.manifest import read_answer, read_manifest
from nativecache.aot.front.preambles import read_preamble
from nativecache.aot.key import form_of
from nativecache.aot.output.pieces import read_linked, read_pieces
from nativecache.aot.records.clean_ups import read_bodies
from nativecache.aot.records.history import read_how, read_record
from nativecache.aot.records.last_link import read_link
from nativecache.aot.records.last_plan import read_plan, read_states
from nativecache.aot.records.memo import read_memo
from nativecache.aot.records.named_nodes import read_nodes
from nativecache.aot.records.objects import object_form, read_object
from nativecache.aot.records.outputs import read_outputs
from nativecache.aot.records.system_libraries import read_libraries
from nativecache.cache.entry import Entry
from nativecache.cache.shape import Malformed
from nativecache.linker.errors import BadObject
from nativecache.linker.fixups import Fixups, find_fixups

_OURS: Final[Mapping[str, Callable[[Entry], object]]] = {
    "accepted": read_accepted,
    "answer": lambda entry: read_answer(entry, closely=True),
    "askers": read_askers,
    "bodies": read_bodies,
    "front": read_index,
    "headers": read_headers,
    "host": read_host,
    "how": read_how,
    "layout": read_layout,
    "libraries": read_libraries,
    "link": read_link,
    "linked": read_linked,
    "llvm": read_library,
    "manifest": read_manifest,
    "outputs": read_outputs,
    "pieces": read_pieces,
    "plan": read_plan,
    "nodes": read_nodes,
    "memo": lambda entry: read_memo(entry, closely=True),
    "preamble": read_preamble,
    "record": read_record,
    "refusal": read_preamble,
    "search": read_manifest,
    "states": lambda entry: read_states(entry, closely=True),
}


def check_form(entry: Entry) -> None:
    """Raises Malformed for an entry that is not of the form that it says it is of.

    An entry that says none, or one of another nativecache, is let pass: who wrote it can tell.
    """
    form = entry.meta.get("form")
    for output in ("object", "assembly", "bitcode"):
        if form == object_form(output):
            found = read_object(entry, output)
            if output == "object" and found.fixups:
                _check_fixups(entry.payload, found.fixups)
            return
    for kind, reader in _OURS.items():
        if form == form_of(kind)["form"]:
            reader(entry)


def _check_fixups(payload: bytes, fixups: str) -> None:
    try:
        if find_fixups(payload) != Fixups.decode(fixups):
            raise Malformed("fixups for other places than the object has")
    except BadObject as error:
        raise Malformed(str(error)) from None
