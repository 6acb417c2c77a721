"""Quick dataclasses are as the standard library's in all that is used of those."""

import dataclasses
import pickle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from nativecache.linker import values

KINDS = [SimpleNamespace(dataclass=dataclasses.dataclass, field=dataclasses.field), values]


def both(test: Callable[..., None]) -> Any:
    return pytest.mark.parametrize("kind", KINDS, ids=["standard", "quick"])(test)


@values.dataclass(frozen=True, slots=True)
class Kept:
    name: str
    numbers: tuple[int, ...] = (1, 2)


@values.dataclass(frozen=True)
class Loose:
    name: str


def make(kind: Any, **how: bool) -> Any:
    @kind.dataclass(**how)
    class Made:
        """One."""

        name: str
        size: int = 3
        found: list[str] = kind.field(default_factory=list)
        noted: dict[str, str] = kind.field(default_factory=dict, init=False)

        @property
        def twice(self) -> int:
            return 2 * self.size

    return Made


@both
@pytest.mark.parametrize("slots", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_values_are_made_shown_and_compared_field_by_field(kind: Any, frozen: bool, slots: bool) -> None:
    made = make(kind, frozen=frozen, slots=slots)
    one = made("a", found=["x"])
    assert (one.name, one.size, one.found, one.noted, one.twice) == ("a", 3, ["x"], {}, 6)
    assert made("a").found is not made("a").found
    assert one == made("a", 3, ["x"]) != made("b", 3, ["x"])
    assert one != ("a", 3, ["x"], {})
    assert repr(one).endswith("Made(name='a', size=3, found=['x'], noted={})")
    assert hasattr(one, "__dict__") != slots
    assert made.__match_args__ == ("name", "size", "found") and made.__doc__ == "One."
    with pytest.raises(TypeError):
        made()
    with pytest.raises(TypeError):
        made("a", 1, [], {})
    with pytest.raises(TypeError):
        made("a", other=1)


@both
def test_frozen_values_have_hashes_and_do_not_change(kind: Any) -> None:
    @kind.dataclass(frozen=True, slots=True)
    class Made:
        name: str

    made: Any = Made
    one = made("a")
    assert hash(one) == hash(made("a")) and {one: 1}[made("a")] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "b"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.name
    with pytest.raises(TypeError, match="unhashable"):
        hash(make(kind, slots=True)("a"))


@both
def test_without_eq_values_are_themselves_only(kind: Any) -> None:
    made = make(kind, frozen=True, eq=False)
    one = made("a")
    assert one == one != made("a") and hash(one) != hash(made("a"))  # noqa: PLR0124


@both
@pytest.mark.parametrize("slots", [False, True])
def test_fields_are_inherited(kind: Any, slots: bool) -> None:
    @kind.dataclass(frozen=True, slots=slots, kw_only=True)
    class Base:
        first: int
        second: int = 2

    @kind.dataclass(frozen=True, slots=slots, kw_only=True)
    class Made(Base):
        third: int
        second: int = 5

    base: Any = Base
    made: Any = Made
    one = made(first=1, third=3)
    assert (one.first, one.second, one.third) == (1, 5, 3) and one != base(first=1)
    with pytest.raises(TypeError):
        made(1, third=3)


@both
def test_what_a_class_defines_itself_stays(kind: Any) -> None:
    @kind.dataclass(frozen=True)
    class Made:
        name: str

        def __post_init__(self) -> None:
            if not self.name:
                raise ValueError("no name")

        def __repr__(self) -> str:
            return "shown"

    made: Any = Made
    assert repr(made("a")) == "shown"
    with pytest.raises(ValueError, match="no name"):
        made("")


@pytest.mark.parametrize("value", [Kept("a"), Kept("b", ()), Loose("c")])
def test_values_go_to_other_processes(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == value


def test_the_standard_librarys_tools_take_them() -> None:
    one = Kept("a")
    assert dataclasses.is_dataclass(one) and dataclasses.asdict(one) == {"name": "a", "numbers": (1, 2)}
    assert [field.name for field in dataclasses.fields(Kept)] == ["name", "numbers"]
    assert dataclasses.replace(one, name="b") == values.replace(one, name="b") == Kept("b")


def test_replacing_keeps_the_other_fields() -> None:
    made = make(values, frozen=True)
    assert values.replace(made("a", 7), name="b") == made("b", 7)
    with pytest.raises(TypeError):
        values.replace(Kept("a"), other=1)  # type: ignore[call-arg]
    assert [field.name for field in values.fields(Kept)] == ["name", "numbers"]


def test_what_values_are_made_by_can_be_compiled_at_once() -> None:
    @values.dataclass(frozen=True)
    class One:
        number: int = 3

    first = One.__init__
    values.make_all()
    made = One.__init__
    assert made is not first and One() == One(3)
    values.make_all()
    assert One.__init__ is made
