"""Shapes of JSON values: one strict reader for whatever is kept as JSON, which knows bytes and no meaning.

A shape says whether a value is of it. They are put together as values are:

    record({"made from": text(), "dependencies": list_of(text())}, optional={"turn": whole()})

What comes from a folder that others may write to, or from another version, is read with one: a value of
any other shape is no value, and nobody need handle it. `True` is no number here, and no number is without
bounds. Texts are those that a file name can hold: half a surrogate pair is none.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

Shape = Callable[[Any], bool]


class Malformed(ValueError):
    """What was read is not of the form that is expected."""


def read_json(data: bytes, shape: Shape) -> Any:
    """The value in `data`, which is of `shape`. Raises Malformed."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):  # too deep; numbers of thousands of digits are a ValueError
        raise Malformed("not JSON") from None
    return check(value, shape)


def check(value: Any, shape: Shape) -> Any:
    """The value, if it is of `shape`. Raises Malformed."""
    if not shape(value):
        raise Malformed("JSON of another shape")
    return value


def text(*, longest: int | None = None) -> Shape:
    """The shape of text that can be written as bytes again, as names of files can."""

    def is_text(value: Any) -> bool:
        if type(value) is not str or (longest is not None and len(value) > longest):
            return False
        try:
            return value.isascii() or bool(value.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError:
            return False

    return is_text


def whole(low: int = 0, high: int = 2**63 - 1) -> Shape:
    """The shape of a whole number within bounds."""
    return lambda value: type(value) is int and low <= value <= high


def number(low: float = 0, high: float = 2.0**63) -> Shape:
    """The shape of a number within bounds, with a fraction or without; so neither infinite nor NaN."""
    return lambda value: type(value) in (int, float) and low <= value <= high


def boolean() -> Shape:
    """The shape of true and false."""
    return lambda value: type(value) is bool


def list_of(shape: Shape) -> Shape:
    """The shape of a list of values of one shape."""
    return lambda value: isinstance(value, (list, tuple)) and all(map(shape, value))


def row(*shapes: Shape) -> Shape:
    """The shape of a list of as many values, each of its own shape."""

    def is_row(value: Any) -> bool:
        return (
            isinstance(value, (list, tuple))
            and len(value) == len(shapes)
            and all(shape(item) for shape, item in zip(shapes, value, strict=True))
        )

    return is_row


def mapping(shape: Shape) -> Shape:
    """The shape of an object with any names, whose values are of one shape."""
    named = text()
    return lambda value: (
        isinstance(value, Mapping) and all(map(named, value)) and all(map(shape, value.values()))
    )


def record(fields: Mapping[str, Shape], *, optional: Mapping[str, Shape] | None = None) -> Shape:
    """The shape of an object with these names, each with a value of its shape; `optional` may be missing."""
    known = {**fields, **(optional or {})}

    def is_record(value: Any) -> bool:
        return (
            isinstance(value, Mapping)
            and fields.keys() <= value.keys() <= known.keys()
            and all(known[name](item) for name, item in value.items())
        )

    return is_record


def nullable(shape: Shape) -> Shape:
    """The shape of null, or of a value of `shape`."""
    return lambda value: value is None or shape(value)
