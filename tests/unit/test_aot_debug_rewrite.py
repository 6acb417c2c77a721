"""One module written anew."""

import pytest
from debug_text import HEAD, STRUCT, analysed, function, module

from nativecache.aot.debug.errors import Unsupported
from nativecache.aot.debug.rewrite import rewrite


def test_the_module_itself_stays_as_it_is() -> None:
    made = module(function(30, "f", 10))
    before = {token: entity.text for token, entity in made.entities.items()}
    done = rewrite(made, analysed(function(30, "f", 10)), frozenset())
    assert {token: entity.text for token, entity in made.entities.items()} == before and made.debug is None
    assert done.texts.keys() == before.keys() and "!dbg !30 " not in done.texts["@f"]
    assert done.named_metadata["llvm.dbg.cu"] != made.named_metadata["llvm.dbg.cu"]
    assert done.info.types is not None and done.info.ranges == {"f": 10}


def test_what_is_not_understood_is_refused() -> None:
    code, nodes = function(30, "f", 10)
    odd = code, nodes.replace("!33)", "!1)")
    with pytest.raises(Unsupported):
        rewrite(module(odd), analysed(odd), frozenset())


def test_functions_in_functions_have_hosts() -> None:
    code, nodes = function(50, "g", 20)
    inner = code, nodes.replace("scope: !1, file: !1, line: 20", "scope: !30, file: !1, line: 20")
    functions = function(30, "f", 10), inner
    assert rewrite(module(*functions), analysed(*functions), frozenset()).info.hosts == {"@g": "@f"}


def test_callees_are_told_where_all_calls_are_described() -> None:
    code, nodes = function(30, "f", 10)
    described = code, nodes.replace("spFlags:", "flags: DIFlagAllCallsDescribed, spFlags:")
    done = rewrite(module(described), analysed(described), frozenset())
    body = done.nodes[done.info.callees["@f"]]
    assert body.startswith('!DISubprogram(name: "f", scope: !') and body.endswith("DISPFlagOptimized)")


def test_namespaces_that_a_compile_unit_uses_are_its_imports() -> None:
    types = (
        STRUCT
        + """\
!24 = !{!25}
!25 = !DIImportedEntity(tag: DW_TAG_imported_module, scope: !0, entity: !26, file: !1, line: 3)
!26 = !DINamespace(name: "a", scope: null)
"""
    )
    head = HEAD.replace("FullDebug)", "FullDebug, imports: !24)")
    made = module(function(30, "f", 10), types=types, head=head)
    done = rewrite(made, analysed(function(30, "f", 10), types=types, head=head), frozenset())
    ((unit, spaces),) = done.info.imports.items()
    assert unit in done.named_metadata["llvm.dbg.cu"]
    assert [done.nodes[space][: len("!DIImportedEntity")] for space in spaces] == ["!DIImportedEntity"]
