"""The way of a unit: what may follow what, and that each reached unit is looked at once."""

import pytest

from nativecache.aot.schedule.states import UnitState, UnitStates

KEYING, COMPILING, DONE, FAILED = (
    UnitState.KEYING,
    UnitState.COMPILING,
    UnitState.DONE,
    UnitState.FAILED,
)
#: All that may happen to a unit from when it is needed: hits, misses, lines that do not fit, failures.
WAYS = (
    (DONE,),
    (COMPILING, DONE),
    (COMPILING, FAILED),
    (KEYING, DONE),
    (KEYING, FAILED),
    (KEYING, COMPILING, DONE),
    (KEYING, COMPILING, FAILED),
    (KEYING, COMPILING, KEYING, COMPILING, DONE),
    (COMPILING, KEYING, DONE),
)


@pytest.mark.parametrize("way", WAYS)
def test_ways(way: tuple[UnitState, ...]) -> None:
    states = UnitStates()
    states.need(7)
    assert states.of(7) is UnitState.NEEDED and states.next_needed() == 7
    for state in way:
        assert list(states.unfinished()) == [7]
        states.move(7, state)
        assert states.of(7) is state
    assert not list(states.unfinished())


@pytest.mark.parametrize(
    "way",
    [
        (FAILED,),
        (UnitState.NEEDED,),
        (DONE, COMPILING),
        (DONE, DONE),
        (KEYING, KEYING),
        (COMPILING, COMPILING),
        (KEYING, FAILED, KEYING),
    ],
)
def test_no_ways(way: tuple[UnitState, ...]) -> None:
    states = UnitStates()
    states.need(1)
    *before, last = way
    for state in before:
        states.move(1, state)
    with pytest.raises(AssertionError, match=f"unit 1 cannot become {last.name}"):
        states.move(1, last)


def test_what_nothing_needs_cannot_move() -> None:
    states = UnitStates()
    assert states.of(0) is None
    with pytest.raises(AssertionError, match="unit 0 cannot become DONE: it is None"):
        states.move(0, DONE)


def test_each_is_looked_at_once_in_the_order_it_was_reached() -> None:
    states = UnitStates()
    for index in (3, 1, 3, 2, 1):
        states.need(index)
    assert [states.next_needed() for _ in range(4)] == [3, 1, 2, None]
    states.move(1, DONE)
    states.need(1)
    assert states.next_needed() is None and states.of(1) is DONE
