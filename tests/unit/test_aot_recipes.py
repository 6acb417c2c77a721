"""Every kind of key goes through one recipe, whose text and digest name the same fields."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nativecache.aot.codegen.facts import host_recipe, layout_recipe, library_recipe
from nativecache.aot.front.accepted import frame_recipe, lay_out
from nativecache.aot.front.askers import askers_recipe
from nativecache.aot.front.clang import Clang
from nativecache.aot.front.clang_question import (
    Question,
    result_recipe,
    run_recipe,
    search_recipe,
    source_fields,
)
from nativecache.aot.front.compiler_check import content_recipe
from nativecache.aot.front.header_facts import headers_recipe
from nativecache.aot.front.members import member_recipe
from nativecache.aot.front.preambles import preamble_recipe, refusal_recipe
from nativecache.aot.front.sources import FrontEnd
from nativecache.aot.key import Compiler, Options, record_recipe, unit_recipe
from nativecache.aot.output.image import Image, ImageFacts
from nativecache.aot.output.results import UnitResult
from nativecache.aot.records.history import settings_recipe
from nativecache.aot.records.last_link import digest_link, last_link_recipe, link_recipe
from nativecache.aot.units.partition import Unit
from nativecache.aot.units.program import Program
from nativecache.cache.dependencies import Dependency
from nativecache.cache.notes import note_recipe
from nativecache.cache.recipe import Recipe
from nativecache.cli.cc_records import call_recipe
from nativecache.cli.cc_words import read_call
from nativecache.cli.up_to_date import command_recipe
from nativecache.cli.words import read_words

COMPILER = Compiler("22.1", "", "build")
OPTIONS = Options("x86_64-linux-gnu", "", "", 2, True, "pic", "default")
CLANG = Clang(("clang", "-v"), 22)
QUESTION = Question(CLANG, Path("a.cpp"), 2, (), False, "ab" * 32, "cd" * 32)
IR = b"define void @f() {\n  ret void\n}\n"


def frame() -> Recipe:
    layout = lay_out(IR)
    assert layout
    return frame_recipe(layout, COMPILER)


def linked() -> Recipe:
    program = SimpleNamespace(
        debug={},
        modules=(SimpleNamespace(module=SimpleNamespace(source_file="a.c")),),
        output=SimpleNamespace(directory="/src", native_padded=False),
    )
    image = Image(
        program=cast(Program, program),
        units=(Unit(0, 0, "function", ("@f",), "f"),),
        objects={},
        results={0: UnitResult("ab" * 32, "own", "nc.0\0f")},
        line=(Path("/tmp/x/a.a"), "-lm"),
        cplusplus=True,
        target=None,
        facts=ImageFacts(common=False, unlike=False, rustc=False, promoted={}),
    )
    arguments: tuple[Any, ...] = (image, {"PATH": "/bin"}, Path("/tmp/x"), "exe")
    assert digest_link(*arguments) == link_recipe(*arguments).key()
    return link_recipe(*arguments)


KINDS: dict[str, Callable[[], Recipe]] = {
    "unit": lambda: unit_recipe(COMPILER, OPTIONS, b"BC", b"data.bin 12"),
    "memo": lambda: record_recipe("memo", COMPILER, OPTIONS, "a.ll"),
    "record": lambda: record_recipe("record", COMPILER, OPTIONS, "/out/app"),
    "bodies": lambda: record_recipe("bodies", COMPILER, OPTIONS, "a.ll"),
    "how": lambda: settings_recipe(Path("/out/app")),
    "host": host_recipe,
    "layout": lambda: layout_recipe(COMPILER, OPTIONS),
    "llvm": lambda: library_recipe("libLLVM.so.22.1", "/opt/lib"),
    "link": lambda: last_link_recipe(Path("/out/app")),
    "linked": linked,
    "question": lambda: Recipe(
        *run_recipe(
            CLANG,
            ("content", "12"),
            2,
            ("-Ix",),
            whole=False,
            environ=("PWD=/",),
            folder="/x",
            beside=("-MD",),
        ).fields,
        *source_fields(Path("a.c")),
    ),
    "askers": lambda: askers_recipe(QUESTION, "12"),
    "headers": lambda: headers_recipe("/usr/include"),
    "search": lambda: search_recipe(CLANG, ("content", "12"), "c", ("-Ix",), ("PWD=/",)),
    "compiled": lambda: call_recipe(
        read_call(["-c", "a.c", "-O1"], cplusplus=False), "/bin/clang", ["80"], {"PWD": "/"}
    ),
    "answer": lambda: result_recipe("ab" * 32, (Dependency("file", "12", ("a.c",)),)),
    "accepted": frame,
    "content": lambda: content_recipe("/bin/clang", "1 2 3"),
    "member": lambda: member_recipe(FrontEnd(CLANG, 2, ()), ("-fPIC",), b"BC"),
    "preamble": lambda: preamble_recipe(QUESTION),
    "refusal": lambda: refusal_recipe(QUESTION),
    "used": lambda: note_recipe("/out/app"),
    "command": lambda: command_recipe(read_words(["a.c", "-O1"]), {"NATIVECACHE_DIR": "/x"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_text_and_digest_name_the_same_fields(kind: str) -> None:
    recipe = KINDS[kind]()
    named = [line.partition(": ")[0] for line in recipe.text().splitlines()]
    hashed = [bytes(piece).split(b" ")[0].decode() for piece in list(recipe.encoded())[::2]]
    assert named == hashed == [name for name, _ in recipe.fields]
    assert KINDS[kind]().key() == recipe.key()


@pytest.mark.parametrize("kind", KINDS)
def test_another_field_makes_another_key(kind: str) -> None:
    fields = tuple((name, as_bytes(value)) for name, value in KINDS[kind]().fields)
    others = {fields}
    for n, (name, value) in enumerate(fields):
        others.add((*fields[:n], (name, value + b"x"), *fields[n + 1 :]))
        others.add((*fields[:n], *fields[n + 1 :]))
        if n and value:  # the first byte moves into the field before
            earlier, before = fields[n - 1]
            moved = (earlier, before + value[:1]), (name, value[1:])
            others.add((*fields[: n - 1], *moved, *fields[n + 1 :]))
    assert len(others) > len(fields)
    assert len({Recipe(*other).key() for other in others}) == len(others)


def test_kinds_share_no_key() -> None:
    assert len({make().key() for make in KINDS.values()}) == len(KINDS)
    first = [make().fields[0] for kind, make in KINDS.items() if kind != "unit"]
    assert {name for name, _ in first} == {"kind"} and len(set(first)) == len(KINDS) - 1
    assert KINDS["unit"]().fields[0][0] == "schema"


def as_bytes(value: str | bytes | memoryview) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
