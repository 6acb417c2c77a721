"""Locations as they are written where they are used."""

import pytest
from debug_text import analysed, function

from nativecache.aot.debug.errors import Unsupported
from nativecache.aot.debug.naming import Naming
from nativecache.aot.ir.debug_info import RELATIVE


def named(more: str) -> Naming:
    naming = Naming(analysed(function(30, "f", 10, more=more)), frozenset())
    naming.own_nodes.name_all()
    naming.locations.spell_all()
    return naming


def test_a_line_counts_from_its_range() -> None:
    naming = named("")
    scope = naming.name("!33")
    assert naming.locations.spelled == {"!32": f"!DILocation(line: 3{RELATIVE}, column: 5, scope: {scope})"}
    assert naming.name("!32") == naming.locations.spelled["!32"]


def test_inlined_locations_may_be_nested() -> None:
    naming = named("""\
!34 = !DILocation(line: 15, scope: !33, inlinedAt: !35)
!35 = !DILocation(line: 16, scope: !33, inlinedAt: !36)
!36 = distinct !DILocation(line: 17, scope: !33)
""")
    outer = naming.tokens.nodes[naming.name("!36")]
    assert outer.startswith("distinct !DILocation(line: 7")
    assert naming.locations.spelled["!35"].endswith(f"inlinedAt: {naming.name('!36')})")
    assert naming.locations.spelled["!34"].endswith(f"inlinedAt: {naming.locations.spelled['!35']})")


def test_equal_calls_are_inlined_at_distinct_locations() -> None:
    naming = named("".join(f"!{n} = distinct !DILocation(line: 17, scope: !33)\n" for n in (34, 35)))
    assert naming.name("!34") != naming.name("!35")


@pytest.mark.parametrize(
    ("more", "node"),
    [
        ("!34 = distinct !DILocation(scope: !33)\n", "!34"),
        ("!34 = distinct !DILocation(line: 3, scope: !1)\n", "!34"),
        ("", "!99"),
    ],
    ids=["no line", "no function", "no node"],
)
def test_other_locations_are_refused(more: str, node: str) -> None:
    with pytest.raises(Unsupported, match="location"):
        named(more).name(node)
