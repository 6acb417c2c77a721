"""Where each unit stands on its way from its roots' needs to an object. Knows no LLVM and no processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import Final


class UnitState(Enum):
    """How far a unit has come. A unit that nothing needs has no state."""

    NEEDED = "something in the image names it; it waits to be looked at"
    KEYING = "a worker extracts it and computes its key"
    COMPILING = "its key is known, and a worker compiles an object of that key, for it or for another unit"
    DONE = "its object is at hand"
    FAILED = "it has no object: LLVM refused it, or died of it; the reason is noted"


#: Which state may follow which: the whole of a unit's life. A record, or an entry of the cache, shortens it.
#: What compiles and goes back to a worker has lines that fit nowhere into the object, and takes real ones.
_NEXT: Final = {
    UnitState.NEEDED: {UnitState.KEYING, UnitState.COMPILING, UnitState.DONE},
    UnitState.KEYING: {UnitState.COMPILING, UnitState.DONE, UnitState.FAILED},
    UnitState.COMPILING: {UnitState.KEYING, UnitState.DONE, UnitState.FAILED},
    UnitState.DONE: set[UnitState](),
    UnitState.FAILED: set[UnitState](),
}


class UnitStates:
    """The states of all reached units, by index, and those of them that nobody has looked at yet."""

    def __init__(self) -> None:
        self._states: dict[int, UnitState] = {}
        self._needed: deque[int] = deque()

    def need(self, index: int) -> None:
        """Reach a unit. One that was reached before stays as it is."""
        if index not in self._states:
            self._states[index] = UnitState.NEEDED
            self._needed.append(index)

    def next_needed(self) -> int | None:
        """Take the first of those that wait to be looked at, to be moved on; None if none does."""
        return self._needed.popleft() if self._needed else None

    def move(self, index: int, state: UnitState) -> None:
        """Move a unit on: every change of a state but the first is made here.

        Raises AssertionError where that state cannot follow, which is a bug.
        """
        now = self._states.get(index)
        if now is None or state not in _NEXT[now]:
            raise AssertionError(f"unit {index} cannot become {state.name}: it is {now and now.name}")
        self._states[index] = state

    def of(self, index: int) -> UnitState | None:
        """The state of a unit; None if it was not reached."""
        return self._states.get(index)

    def unfinished(self) -> Iterable[int]:
        """The units that were reached and are neither done nor failed."""
        ends = (UnitState.DONE, UnitState.FAILED)
        return [index for index, state in self._states.items() if state not in ends]
