"""Bodies that may stand in other functions' units."""

from nativecache.aot.ir.module import index_module
from nativecache.aot.packed import encode_pairs
from nativecache.aot.units.bodies import RawBody, SimplifiedBody, called, unit_body
from nativecache.aot.units.partition import partition
from nativecache.aot.units.resolve import resolve_symbols

PRINTED = """\
declare void @nc.1(ptr)

define void @nc.0(ptr %0) {
  call void @nc.1(ptr @nc.0)
  ret void
}
"""


def simplified() -> SimplifiedBody:
    return SimplifiedBody(
        lines=2,
        importable=True,
        mentions="",
        printed=PRINTED.encode("latin-1"),
        bindings=encode_pairs({"nc.0": "f", "nc.1": "g"}),
        line_map="",
        nodes="",
        digest=b"",
        label="m.c",
        module=None,
        token="@f",
    )


def test_a_simplified_body_is_indexed_once_under_final_names() -> None:
    body = simplified()
    assert body.entity.token == "@nc.0" and body.source is body.source
    assert body.source.names == {"@nc.0": "f", "@nc.1": "g"}
    assert body.source.generated and body.source.label == "m.c"
    assert body.calls == {"@nc.0", "@nc.1"}


def test_a_raw_body_is_its_modules_text() -> None:
    program = resolve_symbols([index_module("define void @f() {\n  ret void\n}\n", "m.c")])
    source = program.modules[0].source
    body = RawBody(lines=1, importable=True, mentions="", source=source, entity=source.module.entities["@f"])
    assert body.calls == {"@f"} and not body.source.generated


def test_calls_are_told_from_mentions() -> None:
    assert called("call void @f(ptr @g)\ninvoke void %p(ptr @h)") == {"@f"}


def test_only_a_function_that_prevails_has_a_body() -> None:
    text = "define weak void @f() {\n  ret void\n}\n@v = weak global i32 1\n"
    program = resolve_symbols([index_module(text, f"{name}.c") for name in "mn"])
    found, bodies = simplified(), {}
    bodies["f"] = bodies["v"] = found
    units = partition(program)
    assert [unit_body(program, bodies, unit) for unit in units] == [found, None]
