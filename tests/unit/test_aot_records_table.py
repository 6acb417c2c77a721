"""Records come back as they were, and those that no build uses give way to those that builds do."""

import pytest

from nativecache.aot.key import digest
from nativecache.aot.records.table import Table
from nativecache.cache.shape import Malformed

DIGESTS = [digest(bytes([n])) for n in range(10)]


def again(table: Table) -> Table:
    """The table that the next build reads."""
    read, rest = Table.read(memoryview(table.packed()))
    assert not rest
    return read


def known(table: Table) -> list[int]:
    found = dict(table.records())
    return [n for n, name in enumerate(DIGESTS) if name in found]


def filled(count: int) -> Table:
    table = Table()
    for name in DIGESTS[:count]:
        table.add(name, b"record")
    return again(table)


def test_records_come_back() -> None:
    table = Table()
    for name, record in zip(DIGESTS, (b"", b"a", b"\0" * 300), strict=False):
        table.add(name, record)
        assert table.use(name) == record
    read = again(table)
    assert [read.use(name) for name in DIGESTS[:4]] == [b"", b"a", b"\0" * 300, None]
    assert dict(read.records()) == {DIGESTS[0]: b"", DIGESTS[1]: b"a", DIGESTS[2]: b"\0" * 300}


def test_only_what_is_added_changes_a_table() -> None:
    table = filled(2)
    assert not table.changed and table.use(DIGESTS[0]) and table.use(DIGESTS[5]) is None and not table.changed
    table.add(DIGESTS[0], b"other")
    assert table.changed and again(table).use(DIGESTS[0]) == b"other"


@pytest.mark.parametrize(
    ("used", "left"), [([], []), ([3], [0, 3]), ([1, 4], [0, 1, 2, 4]), ([0, 1, 2, 3], [0, 1, 2, 3, 4])]
)
def test_as_many_stay_that_were_not_used_as_were(used: list[int], left: list[int]) -> None:
    table = filled(5)
    for n in used:
        assert table.use(DIGESTS[n])
    assert known(again(table)) == left


def test_what_was_used_longest_ago_goes_first() -> None:
    table = filled(4)
    for new in (4, 5):
        assert table.use(DIGESTS[3])
        table.add(DIGESTS[new], b"new")
        table = again(table)
    assert known(table) == [0, 3, 4, 5], "4 was used after 0, which was used with 1 and 2"


def test_tables_stand_one_behind_the_other() -> None:
    first, rest = Table.read(memoryview(filled(2).packed() + filled(1).packed() + b"more"))
    # Nothing was used, so nothing is packed.
    assert known(first) == [] and len(rest) == 20
    second, rest = Table.read(rest)
    assert known(second) == [] and bytes(rest) == b"more"


def test_damage_is_malformed() -> None:
    table = Table()
    for name in DIGESTS[:3]:
        table.add(name, b"record")
    whole = table.packed()
    for end in range(len(whole)):
        with pytest.raises(Malformed):
            Table.read(memoryview(whole[:end]))
    ends = 16 + 3 * 16
    swapped = whole[:ends] + whole[ends + 8 : ends + 16] + whole[ends : ends + 8] + whole[ends + 16 :]
    with pytest.raises(Malformed, match="one after the other"):
        Table.read(memoryview(swapped))


def test_every_record_is_checked() -> None:
    table = Table()
    table.add(DIGESTS[0], b"12")
    table.add(DIGESTS[1], b"x")
    again(table).check(len)
    with pytest.raises(Malformed, match="invalid literal"):
        again(table).check(lambda record: int(bytes(record)))
