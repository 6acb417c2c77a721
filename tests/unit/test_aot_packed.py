"""Names come out of one string as they went into it."""

import pytest

from nativecache.aot.packed import decode_names, decode_pairs, encode_names, encode_pairs


@pytest.mark.parametrize("names", [[], ["one"], ["one", "two", "one"], ["a\nb", "\x01c", "\udcff", "é"]])
def test_names_come_back(names: list[str]) -> None:
    assert decode_names(encode_names(names)) == names


@pytest.mark.parametrize("pairs", [{}, {"nc.0": "f"}, {"nc.1": "g", "nc.0": "f", "f": "f.1"}])
def test_pairs_come_back_in_their_order(pairs: dict[str, str]) -> None:
    assert list(decode_pairs(encode_pairs(pairs)).items()) == list(pairs.items())
