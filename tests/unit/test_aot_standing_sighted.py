"""What of a standing module names a function is found by its text."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from nativecache.aot.front.load import LoadedText, Printed
from nativecache.aot.standing.sighted import Sighting, find_sighting

IR = """\
source_filename = "a.c"
$copied = comdat any
@table = internal constant [2 x ptr] [ptr @near, ptr @"odd name"], align 16
@other = global i32 7
@second = alias void (), ptr @caller

; Function Attrs: nounwind
define void @caller() #0 {
  call void @near()
  ret void
}

define internal void @inner() {
  call void @nearby()
  call void @near.x()
  ret void
}

define linkonce_odr void @copied() comdat {
  call void @far()
  ret void
}

define void @first() {
  call void @"odd name"()
  ret void
}

define void @partner() {
  call void @far2()
  ret void
}

declare void @near()
declare void @far()

define available_externally void @elsewhere() {
  call void @nearby()
  ret void
}
"""


@dataclass
class Last:
    """As much of a LastPlan as is asked for."""

    bodies: dict[str, tuple[object, ...]] = field(default_factory=dict)

    def state(self, _module: int) -> SimpleNamespace:
        units = [
            ("function", ["@caller"], "caller", False, False),
            ("variable", ["@table"], "table.a", False, False),
            ("function", ["@inner"], "inner.a", False, False),
            ("group", ["@first", "@partner"], "first", False, False),
            ("types", [], "types a", False, False),
        ]
        return SimpleNamespace(units=units, dropped=["@copied"], bodies=self.bodies)


def sight(*names: str, **bodies: str) -> Sighting | None:
    text = LoadedText("a.c", "", lambda: Printed(IR, IR.encode()))
    rows = {name: (1, True, False, 1, mentions, "", "", "", "") for name, mentions in bodies.items()}
    return find_sighting(Last(rows), 0, "a", text, names)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "positions", "functions"),
    [
        (["near"], {0, 1}, {"@caller"}),
        (["near.x"], {2}, {"@inner"}),
        (["far"], set(), set()),  # by a copy that does not prevail, and a declaration
        (["inner.a"], {2}, {"@inner"}),
        (["near", "near.x"], {0, 1, 2}, {"@caller", "@inner"}),
        (["nobody"], set(), set()),
    ],
)
def test_units_that_name_a_function(names: list[str], positions: set[int], functions: set[str]) -> None:
    assert sight(*names) == Sighting(frozenset(positions), frozenset(functions))


@pytest.mark.parametrize("name", ["odd name", "far2", "nearby", "caller"])
def test_more_than_units_of_one_function_has_to_do_with_it(name: str) -> None:
    """A group, a body that is carried to whoever needs it, a second name."""
    assert sight(name) is None


def test_what_came_to_be_named_by_the_clean_up() -> None:
    assert sight("puts", **{"inner.a": "printf\0puts", "caller": "putsx"}) == Sighting(
        frozenset({2}), frozenset({"@inner"})
    )
    assert sight("puts", elsewhere="puts") is None
