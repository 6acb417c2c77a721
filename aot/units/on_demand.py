"""A sequence whose items are made when they are asked for: of a large program, builds look at few modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, overload

T = TypeVar("T")


class OnDemandSequence(Sequence[T], Generic[T]):
    """So many items, each made once, by its index."""

    def __init__(self, count: int, make: Callable[[int], T]) -> None:
        """`make` gives the item of an index."""
        self._count, self._make = count, make
        self._made: dict[int, T] = {}

    def __len__(self) -> int:
        """How many items there are, made or not."""
        return self._count

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        """The item of an index, or some of them. Raises IndexError."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        found = self._made.get(index)
        if found is None:
            if not 0 <= index < self._count:
                raise IndexError(index)
            found = self._made[index] = self._make(index)
        return found

    def made(self) -> list[int]:
        """The indices of the items that were asked for."""
        return sorted(self._made)
