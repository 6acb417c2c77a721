"""What was put aside comes back, from memory and from a file."""

import pytest

from nativecache.aot import spool
from nativecache.aot.spool import Spool


@pytest.mark.parametrize("in_memory", [1 << 20, 10])
def test_bytes_come_back_by_number(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_IN_MEMORY", in_memory)
    spooled = Spool()
    expected = {}
    for number in (7, 3, 5, 0):
        expected[number] = bytes([number]) * (number * 5)
        spooled.put(number, expected[number])
        assert dict(spooled) == expected, "reading does not disturb what is written next"
    assert (spooled._file is None) == (in_memory > 100)
    assert list(spooled) == [7, 3, 5, 0] and len(spooled) == 4 and 4 not in spooled
    with pytest.raises(KeyError):
        spooled[4]
