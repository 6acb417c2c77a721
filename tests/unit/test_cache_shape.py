"""A shape takes what it says and nothing else."""

import json
from typing import Any

import pytest

from nativecache.cache.shape import (
    Malformed,
    Shape,
    list_of,
    mapping,
    nullable,
    number,
    read_json,
    record,
    row,
    text,
    whole,
)

RIGHT: list[tuple[Shape, Any]] = [
    (text(), "a\udcff"),
    (text(longest=3), "abc"),
    (whole(), 2**63 - 1),
    (number(), 0.5),
    (number(), 3),
    (list_of(text()), []),
    (row(text(), whole()), ["a", 1]),
    (mapping(whole()), {"": 0}),
    (record({"a": text()}, optional={"b": whole()}), {"a": ""}),
    (record({"a": text()}, optional={"b": whole()}), {"a": "", "b": 1}),
    (nullable(text()), None),
]
WRONG: list[tuple[Shape, Any]] = [
    (text(), "\ud800"),
    (text(), b"a"),
    (text(), 1),
    (text(longest=3), "abcd"),
    (whole(), True),
    (whole(), -1),
    (whole(), 2**63),
    (whole(), 1.0),
    (number(), float("nan")),
    (number(), float("inf")),
    (number(), 10**400),
    (number(), False),
    (list_of(text()), [1]),
    (list_of(text()), "ab"),
    (list_of(text()), {"a": 1}),
    (row(text(), whole()), ["a"]),
    (row(text(), whole()), ["a", 1, 2]),
    (mapping(whole()), {"\ud800": 0}),
    (mapping(whole()), [0]),
    (record({"a": text()}), {}),
    (record({"a": text()}), {"a": "", "b": 1}),
    (record({"a": text()}), [["a", ""]]),
    (nullable(text()), 0),
]


@pytest.mark.parametrize(("shape", "value"), RIGHT)
def test_what_is_of_a_shape(shape: Shape, value: Any) -> None:
    assert shape(value)


@pytest.mark.parametrize(("shape", "value"), WRONG)
def test_what_is_not(shape: Shape, value: Any) -> None:
    assert not shape(value)


def anything(_: object) -> bool:
    return True


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b'"\xff"', b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"[1] x"],
    ids=range(8),
)
def test_what_is_no_json(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_json(data, anything)


def test_json_is_read() -> None:
    assert read_json(json.dumps({"a": [1]}).encode(), mapping(list_of(whole()))) == {"a": [1]}
