"""Each reader takes what its writer wrote, and raises Malformed for whatever else may be in an entry."""

import hashlib
import json
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forge import dump, mutate_bytes, mutate_json
from harness import llvm_object

from nativecache.aot.codegen.facts import read_host, read_layout, read_library
from nativecache.aot.formats import check_form
from nativecache.aot.front.accepted import read_accepted
from nativecache.aot.front.askers import read_askers
from nativecache.aot.front.header_facts import read_headers
from nativecache.aot.front.manifest import read_answer, read_manifest
from nativecache.aot.key import Compiler, Options, digest, form_of, sealed_form_of
from nativecache.aot.output.differences import Part, difference
from nativecache.aot.output.pieces import LinkedArchive, read_linked, read_pieces, write_linked, write_pieces
from nativecache.aot.records.clean_ups import read_bodies
from nativecache.aot.records.history import BuildRecord, read_how, read_record
from nativecache.aot.records.last_link import read_link
from nativecache.aot.records.memo import CleanUp, KeyedUnit, UnitMemo, read_memo
from nativecache.aot.records.named_nodes import read_nodes
from nativecache.aot.records.objects import object_meta, read_object
from nativecache.aot.records.outputs import read_outputs
from nativecache.aot.records.system_libraries import read_libraries
from nativecache.aot.records.table import Table
from nativecache.aot.units.shapes import Shape
from nativecache.cache.dependencies import encode, observe
from nativecache.cache.entry import Entry, decode_entry, encode_entry, find_milliseconds
from nativecache.cache.format import seal, unseal
from nativecache.cache.lookup import EntryStore, Missed
from nativecache.cache.notes import read_note
from nativecache.cache.shape import Malformed
from nativecache.cache.store import MemoryStore
from nativecache.linker.archive import write_archive
from nativecache.linker.elf import linkage

KEY = "0123456789abcdef" * 4
COMPILER = Compiler(llvm="22", llvmlite="", library="a")
OPTIONS = Options(
    triple="", cpu="", features="", level=2, optimize=True, relocation="pic", code_model="default"
)
IR = """\
define i32 @nc.0() {
  %1 = call i32 @g()
  ret i32 %1
}
declare i32 @g()
"""
MANIFEST = {
    "search": [["/usr/include"], [0]],
    "dependencies": [["program", "1 2", ["/bin/cc"]], ["found", "", ["/a", "", "b.h"]]],
    "variants": [[[0, 1], KEY]],
    "dated": 0,
    "output": "/there/app",
    "spoke": 1,
    "base": KEY,
}
LINK = {
    "made from": "a",
    "dependencies": ["file", "x", "1", "/a"],
    "written": [["w"], [], None],
    "image": "i",
}


def memo() -> bytes:
    store = MemoryStore()
    made = UnitMemo("a.c", COMPILER, OPTIONS, EntryStore(store))
    made.add_shape(digest(b"1"), Shape(b"shape", ("@f", "@g"), ("!1",), ("@g",)))
    made.add_clean_up(digest(b"2"), CleanUp(bytes(32), 3, "nc.0\0f", "g"))
    made.add_unit(digest(b"3"), KeyedUnit(KEY, "own", "nc.0\0f", ("g",), b"m"))
    made.save()
    ((key, value),) = store._values.items()
    return unseal(key, value)[0]


BODY = b"\nsource_filename\n\ndefine void @f() {\n  ret void\n}\n"


def bodies() -> bytes:
    table = Table()
    table.add(digest(b"1"), BODY)
    return table.packed()


LIBRARY = {"path": "/lib/x.so", "stamp": "1 2 3 4", "llvm": "22.1.0", "llvmlite": "", "library": "abc"}

LIBRARIES = {
    **{name: ["/lib/x.so"] for name in ("files", "symbols", "folders", "scripts")},
    "padded": False,
    "dependencies": encode([observe("found", ("/", "", "/lib"))]),
}

NODES = {
    "digest": "d",
    "tokens": "!1\0!" + "1" * 20,
    "functions": "!2\0@f",
    "heads": "!" + "2" * 20,
    "members": "!2 !3",
    "groups": ["distinct !DISubprogram()\n!DILocalVariable(scope: !\0000)"],
    "bodies": {"!" + "1" * 20: "!{}"},
    **dict.fromkeys(("scopes", "hosts", "callees", "units"), ""),
    **{key: {"f": 7} for key in ("ranges", "lines", "named")},
    "statics": {"@f": [["@f.x", "!1"], [None, "!2"]]},
    "owners": {"f": ["!1", "!2"]},
    "sizes": {"!1": ["!2", "64"]},
    "imports": {"!1": ["!2"]},
    "attached": [["@x", "!1"]],
    "repeated": ["!4"],
}

ARCHIVE = write_archive([("a.o", bytes(99))], symbol_index=False)

READERS: dict[str, tuple[Callable[[Entry], object], bytes]] = {
    "accepted": (read_accepted, bytes(32)),
    "askers": (read_askers, dump([["src/a.c", KEY], ["a.c", KEY]])),
    "bodies": (read_bodies, bodies()),
    "manifest": (read_manifest, dump(MANIFEST)),
    "memo": (lambda entry: read_memo(entry, closely=True), memo()),
    "headers": (read_headers, dump({"a.h": [KEY, "#if x", "x", [True, False, False], "", [False] * 5]})),
    "host": (read_host, b"x86_64-unknown-linux-gnu"),
    "layout": (read_layout, b"e-m:e-p270:32:32-i64:64-f80:128-n8:16:32:64-S128"),
    "link": (read_link, dump(LINK)),
    "linked": (read_linked, write_linked(LinkedArchive(KEY, bytes(99), [3, 80]))),
    "libraries": (read_libraries, dump(LIBRARIES)),
    "llvm": (read_library, dump(LIBRARY)),
    "nodes": (read_nodes, dump(NODES)),
    "outputs": (read_outputs, dump([["/there/app", ["0" * 12, "1" * 12], ["2" * 12, ""]]])),
    "pieces": (read_pieces, write_pieces(difference(ARCHIVE, [Part("", 0, bytes(99))]), [70, 90])),
    "record": (read_record, dump({"a": "b"})),
    "how": (read_how, dump({"compiler": "", "options": "", "turn": 0})),
    "note": (read_note, bytes(64)),
}


@pytest.mark.parametrize("kind", READERS)
def test_readers_take_their_form_and_raise_nothing_but_malformed(kind: str) -> None:
    reader, payload = READERS[kind]
    reader(Entry(KEY, payload, sealed_form_of(kind, KEY, payload)))
    choose = random.Random(kind)
    refused = 0
    for _ in range(300):
        mutated = mutate_bytes(payload, choose)
        if payload[:1] == b"{" and choose.random() < 0.7:
            mutated = dump(mutate_json(json.loads(payload), choose))
        try:
            reader(Entry(KEY, mutated, sealed_form_of(kind, KEY, mutated)))
        except Malformed:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("kind", ["host", "layout", "libraries", "llvm"])
def test_facts_that_nothing_else_would_question_are_sealed(kind: str) -> None:
    reader, payload = READERS[kind]
    meta = sealed_form_of(kind, KEY, payload)
    reader(Entry(KEY, payload, meta))
    with pytest.raises(Malformed):
        reader(Entry(KEY[::-1], payload, meta))
    choose = random.Random(kind)
    for _ in range(300):
        mutated = mutate_bytes(payload, choose)
        if mutated != payload:
            with pytest.raises(Malformed):
                reader(Entry(KEY, mutated, meta))


def meta_of(output: bytes) -> dict[str, object]:
    return dict(object_meta("object", *linkage(output), 1.5, ""))


def test_objects_are_what_is_said_of_them() -> None:
    output = llvm_object(IR)
    meta = meta_of(output)
    assert meta["defined"] == ["nc.0"] and "g" in linkage(output)[1]
    read = read_object(Entry(KEY, output, meta), "object")  # type: ignore[arg-type]
    assert (read.undefined, read.milliseconds, read.fixups) == (linkage(output)[1], 1.5, "")
    wrong: list[tuple[bytes, dict[str, object]]] = [
        (b"", meta),
        (b"\x7fELF", meta),
        (b"no object", meta),
        (llvm_object(IR.replace("@g(", "@h(")), meta),
        (output, {**meta, "undefined": []}),
        (output, {**meta, "undefined": ["g", "g"]}),
        (output, {**meta, "defined": ["g"]}),
        (output, {**meta, "defined": None}),
        (output, {**meta, "milliseconds": "1"}),
        (output, {**meta, "milliseconds": -1}),
        (output, {**meta, "milliseconds": float("inf")}),
        (output, {**meta, "sites": "?"}),
        (output, {**meta, "sites": "AAAAAAEAAAAAAAAAAAAAAAAAAAD///8A"}),  # a declaration far behind the end
        (output, {**meta, "more": 1}),
        (output, {name: value for name, value in meta.items() if name != "undefined"}),
    ]
    wrong += [(output[:size], meta) for size in range(0, len(output), 61)]
    for payload, said in wrong:
        with pytest.raises(Malformed):
            read_object(Entry(KEY, payload, said), "object")  # type: ignore[arg-type]
    for output_kind in ("bitcode", "assembly"):
        with pytest.raises(Malformed):
            read_object(Entry(KEY, output, meta), output_kind)  # type: ignore[arg-type]


def test_bitcode_is_whole() -> None:
    llvm = pytest.importorskip("llvmlite.binding")
    bitcode = llvm.parse_assembly(IR).as_bitcode()
    meta = object_meta("bitcode", [], [], 1.0, "")
    read_object(Entry(KEY, bitcode, meta), "bitcode")
    longer = bitcode[:8] + b"\xff" + bitcode[9:]
    for payload in (b"", bitcode[:4], bitcode[:-4], bitcode + bitcode, b"\t.text\n", longer):
        with pytest.raises(Malformed):
            read_object(Entry(KEY, payload, meta), "bitcode")


def test_an_answer_unfolds_to_what_is_said() -> None:
    text = b"define" * 1000
    folded = zlib.compress(text)
    digest = hashlib.sha256(text).hexdigest()
    answer = read_answer(Entry(KEY, folded, {"messages": "m", "size": len(text), "digest": digest}))
    assert (answer.output, answer.messages) == (text, "m")
    bomb = zlib.compress(bytes(1 << 26))
    more, less, other = folded + b"x", folded[:-1], len(text) + 1
    wrong: list[tuple[bytes, Any]] = [(folded, other), (folded, len(text) - 1), (less, len(text)), (b"", 0)]
    wrong += [(more, len(text)), (bomb, 10), (folded, 2**40), (folded, -1), (folded, True), (folded, "6000")]
    for payload, size in wrong:
        with pytest.raises(Malformed):
            read_answer(Entry(KEY, payload, {"messages": "", "size": size, "digest": digest}), closely=True)


def test_a_damaged_form_is_a_miss_with_a_reason_and_falls_back() -> None:
    first, second = MemoryStore(), MemoryStore()
    first.put(KEY, encode_entry(Entry(KEY, b"x", {})))
    second.put(KEY, encode_entry(Entry(KEY, bytes(32), {})))
    store = EntryStore(first)
    assert store.read(KEY, read_accepted) is None
    assert (store.misses, store.hits) == (1, 0)
    assert store.corrupt == {"form": 1} and store.why_missed(KEY).reason is Missed.CORRUPT
    store = EntryStore(first, (second,))
    assert store.read(KEY, read_accepted) and store.fallback_hits == 1
    assert EntryStore(first).read(KEY, read_accepted), "it was replaced"


def test_odd_costs_do_not_stop_pruning() -> None:
    odd: tuple[object, ...] = (10**400, float("nan"), float("inf"), True, "1", None, [], -1)
    for cost in odd:
        sealed = seal(KEY, b"", dump({"milliseconds": cost}))
        assert find_milliseconds(sealed) is None
    assert find_milliseconds(seal(KEY, b"", dump({"milliseconds": 2}))) == 2


def test_two_versions_and_two_llvms_share_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each finds what it wrote itself, before and after the other; neither sees or removes the other's."""
    store = MemoryStore()
    llvms = (COMPILER, Compiler(llvm="21", llvmlite="", library="b"))

    def be(version: str) -> None:
        monkeypatch.setattr("nativecache.aot.key.own_code", lambda: version * 64)

    def rounds(expected: bool) -> None:
        for version in "ab":
            for compiler in llvms:
                be(version)
                mine = version + compiler.llvm
                memo = UnitMemo("a.c", compiler, OPTIONS, EntryStore(store))
                found = memo.unit(digest(b"1"))
                assert found == (KeyedUnit(KEY, mine, "", ()) if expected else None)
                record = BuildRecord(EntryStore(store), compiler, OPTIONS, tmp_path / "app")
                assert record.unchanged("f", mine) == expected
                memo.add_unit(digest(b"1"), KeyedUnit(KEY, mine, "", ()))
                memo.save()
                record.save({"f": mine})
                for key, value in store._values.items():
                    check_form(decode_entry(key, value))  # what the other wrote is no damage

    rounds(expected=False)
    rounds(expected=True)


def test_what_another_version_wrote_is_no_damage_and_ours_is_checked() -> None:
    check_form(Entry(KEY, b"?", {"form": "memo of another one"}))
    check_form(Entry(KEY, b"?", {}))
    for kind in ("memo", "bodies", "record", "how", "link", "manifest", "answer", "accepted"):
        with pytest.raises(Malformed):
            check_form(Entry(KEY, b"?", form_of(kind)))
