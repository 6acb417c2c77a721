"""A module whose nodes are known is normalised as if they were not."""

import re
import subprocess
from pathlib import Path

import pytest
from debug_text import function, module
from harness import CLANG, PROGRAMS

from nativecache.aot.debug.normalise import normalise
from nativecache.aot.debug.respelled import respell
from nativecache.aot.errors import PlanLost
from nativecache.aot.ir.debug_info import DebugInfo, Named
from nativecache.aot.ir.module import Module, SpelledEntity, index_module
from nativecache.aot.key import sealed
from nativecache.aot.records.named_nodes import load_nodes, read_nodes, save_nodes, write_nodes
from nativecache.cache.lookup import EntryStore
from nativecache.cache.shape import Malformed
from nativecache.cache.store import MemoryStore

KEY = "0123456789abcdef" * 4
FOLDER = "/home/me"


def kept(made: Module) -> Named:
    """What is kept of a normalised module's nodes, read again."""
    return read_nodes(sealed("nodes", KEY, write_nodes("which", made)))[1]


def debug_of(made: Module) -> DebugInfo:
    assert made.debug is not None
    return made.debug


def assert_same(made: Module, expected: Module) -> None:
    assert {t: e.text for t, e in made.entities.items()} == {t: e.text for t, e in expected.entities.items()}
    assert {t: e.head for t, e in made.entities.items()} == {t: e.head for t, e in expected.entities.items()}
    assert made.named_metadata == expected.named_metadata
    assert {token: made.metadata[token] for token in expected.metadata} == dict(expected.metadata)
    for token in debug_of(expected).scopes:
        assert made.metadata[token] == expected.metadata[token]
    for name in (
        *("relative", "ranges", "scopes", "lines", "named", "checksums", "statics", "hosts"),
        *("callees", "owners", "sizes", "units", "imports"),
    ):
        assert repr(getattr(made.debug, name)) == repr(getattr(expected.debug, name)), name


CODE, NODES = function(30, "f", 10)
LOOP = "!40 = distinct !{!40, !32, !32}\n"


def edited(code: str = CODE, nodes: str = NODES, checksum: str = "f" * 32) -> Module:
    made = module((code, nodes), function(50, "g", 40))
    text = made.debug_text.replace("0123456789abcdef" * 2, checksum)
    head = f'source_filename = "a.c"\n\n{code}\n{function(50, "g", 40)[0]}\n'
    names = "!llvm.dbg.cu = !{!0}\n!llvm.module.flags = !{!2}\n\n"
    return index_module(head + names + text, "a.c")


def test_an_edit_of_a_function_and_of_its_files_checksum() -> None:
    (before,) = normalise([module((CODE, NODES), function(50, "g", 40))], directory=FOLDER)
    new = edited(CODE.replace("ret i32 0", "ret i32 1"))
    (expected,) = normalise([new], directory=FOLDER)
    made = respell(new, kept(before), FOLDER, None)
    assert_same(made, expected)
    assert list(debug_of(made).checksums.values()) == [bytes.fromhex("f" * 32)]
    assert isinstance(made.entities["@g"], SpelledEntity)


def test_locations_without_a_line() -> None:
    nodes = NODES.replace("line: 13, column: 5", "line: 0")
    (before,) = normalise([module((CODE, nodes), function(50, "g", 40))], directory=FOLDER)
    new = edited(nodes=nodes)
    (expected,) = normalise([new], directory=FOLDER)
    assert_same(respell(new, kept(before), FOLDER, None), expected)


@pytest.mark.parametrize(
    "code",
    [CODE.replace("!dbg !30 ", ""), CODE.replace("!dbg !30 ", "!dbg !50 ")],
    ids=["no longer described", "described as another"],
)
def test_other_functions_are_described(code: str) -> None:
    (before,) = normalise([module((CODE, NODES), function(50, "g", 40))], directory=FOLDER)
    with pytest.raises(PlanLost):
        respell(edited(code), kept(before), FOLDER, None)


def test_files_that_are_told_apart_by_their_checksums() -> None:
    """LLVM takes files with one checksum for one, so what stands for it is made from both names."""
    two = '!60 = !DIFile(filename: "b.h", directory: "/home/me", checksumkind: CSK_MD5, checksum: "SUM")\n'
    block = NODES.replace("!33 = distinct !DILexicalBlock(scope: !30, file: !1", "!33 = distinct "
                          "!DILexicalBlock(scope: !30, file: !60")  # fmt: skip
    apart = block + two.replace("SUM", "e" * 32)
    (before,) = normalise([module((CODE, apart), function(50, "g", 40))], directory=FOLDER)
    with pytest.raises(PlanLost):
        respell(edited(nodes=block + two.replace("SUM", "f" * 32)), kept(before), FOLDER, None)


def test_a_node_that_had_no_token_or_is_none() -> None:
    (before,) = normalise([module((CODE, NODES), function(50, "g", 40))], directory=FOLDER)
    made = respell(
        edited(CODE.replace("ret i32 0, !dbg !32", "ret i32 0, !tbaa !99")), kept(before), FOLDER, None
    )
    with pytest.raises(PlanLost):
        made.entities["@f"].text  # noqa: B018
    assert made.entities["@g"].text


def test_loops_that_only_their_order_tells_apart() -> None:
    """Both are of one function, for they name its scope; which is which, its text says."""
    loops = NODES + LOOP + LOOP.replace("40", "41")
    code = CODE.replace("  ret", "  br label %1, !llvm.loop !40\n  br label %1, !llvm.loop !41\n  ret")
    (before,) = normalise([module((code, loops), function(50, "g", 40))], directory=FOLDER)
    swapped = code.replace("!40\n", "!42\n").replace("!41\n", "!40\n").replace("!42\n", "!41\n")
    made = respell(edited(swapped, loops), kept(before), FOLDER, None)
    assert made.entities["@g"].text
    with pytest.raises(PlanLost):
        made.entities["@f"].text  # noqa: B018


def test_loops_that_may_be_of_several_functions_are_not_kept() -> None:
    loops = NODES + "!40 = distinct !{!40}\n!41 = distinct !{!41}\n"
    code = CODE.replace("  ret", "  br label %1, !llvm.loop !40\n  br label %1, !llvm.loop !41\n  ret")
    (before,) = normalise([module((code, loops), function(50, "g", 40))], directory=FOLDER)
    assert debug_of(before).numbering is None
    with pytest.raises(ValueError, match="without a numbering"):
        write_nodes("which", before)


def test_only_the_nodes_that_are_asked_for() -> None:
    (before,) = normalise([module((CODE, NODES))], directory=FOLDER)
    store = EntryStore(MemoryStore())
    assert load_nodes(store, KEY, "which") is None
    save_nodes(store, KEY, "which", before)
    assert load_nodes(store, KEY, "which") is not None and load_nodes(store, KEY, "others") is None
    with pytest.raises(Malformed):
        read_nodes(sealed("nodes", KEY, write_nodes("which", before))._replace(key="f" * 64))


@pytest.mark.parametrize(
    "words", ["-g -O2 debug.c", "-g -gdwarf-4 -O0 debug.c", "-g -O2 -std=c++20 debug.cpp"]
)
def test_real_programs(words: str, tmp_path: Path) -> None:
    *flags, name = words.split()
    flags += ["-Xclang", "-disable-llvm-passes", "-S", "-emit-llvm"]
    command = [CLANG, *flags, str(PROGRAMS / name), "-o", str(tmp_path / "a.ll")]
    subprocess.run(command, check=True)
    text = (tmp_path / "a.ll").read_text("latin-1")
    (before,) = normalise([index_module(text, name)], directory=FOLDER)
    new = re.sub(r"(add|sub) nsw i32 %(\w+), 1\b", r"\1 nsw i32 %\2, 77", text)
    new = re.sub(r'checksum: "\w{8}', 'checksum: "76543210', new)
    (expected,) = normalise([index_module(new, name)], directory=FOLDER)
    if debug_of(before).numbering is None:
        assert name.endswith(".cpp"), "what functions mention counts in C++ only"
        return
    assert_same(respell(index_module(new, name), kept(before), FOLDER, None), expected)
    assert any(entity.text != before.entities[token].text for token, entity in expected.entities.items())
