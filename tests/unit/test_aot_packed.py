"""Names come out of one string as they went into it."""

import pytest

from nativecache.aot.packed import (
    decode_names,
    decode_nodes,
    decode_pairs,
    encode_names,
    encode_nodes,
    encode_pairs,
)

ONE, OTHER = f"!{1:020}", f"!{2:020}"


@pytest.mark.parametrize("names", [[], ["one"], ["one", "two", "one"], ["a\nb", "\x01c", "\udcff", "é"]])
def test_names_come_back(names: list[str]) -> None:
    assert decode_names(encode_names(names)) == names


@pytest.mark.parametrize("pairs", [{}, {"nc.0": "f"}, {"nc.1": "g", "nc.0": "f", "f": "f.1"}])
def test_pairs_come_back_in_their_order(pairs: dict[str, str]) -> None:
    assert list(decode_pairs(encode_pairs(pairs)).items()) == list(pairs.items())


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [ONE],
        [f"{ONE}0003", ONE, f"{ONE}0000"],
        [f"{ONE}0001", f"{OTHER}0001", f"{ONE}0002", f"{ONE}0003"],
    ],
)
def test_tokens_of_nodes_come_back(tokens: list[str]) -> None:
    assert decode_nodes(encode_nodes(tokens)) == tokens


def test_of_one_functions_nodes_the_first_is_spelled_as_a_whole() -> None:
    assert encode_nodes([f"{ONE}0000", OTHER, f"{ONE}0017"]) == f"{ONE[1:]}0000,{OTHER[1:]},0017"


@pytest.mark.parametrize("packed", ["0001", "x" * 20, "1" * 19, f"{ONE[1:]},0001", f"{ONE[1:]},", "!"])
def test_what_is_no_token_is_refused(packed: str) -> None:
    with pytest.raises(ValueError, match="no token"):
        decode_nodes(packed)
