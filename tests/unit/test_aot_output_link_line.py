"""Our objects stand where the sources stood, together where nothing stands between those."""

from pathlib import Path

from nativecache.aot.output.link_line import Ours, arrange

A, B, C, N, L = map(Path, ("a.c", "b.c", "c.c", "n.o", "l.a"))


def test_sources_beside_each_other_are_one_place() -> None:
    assert arrange((A, B, C), (0, 1, 2), {}) == (Ours((0, 1, 2)),)


def test_what_stands_between_divides() -> None:
    line = ("-La", A, N, B, "-Wl,-x", C, L)
    assert arrange(line, (0, 2, 3), {1: N, 4: L}) == (
        *("-La", Ours((0,)), N, Ours((1,)), "-Wl,-x", Ours((2,)), L),
    )


def test_a_source_that_was_compiled_whole_keeps_its_place() -> None:
    made = Path("scratch/1-b.o")
    assert arrange((A, B, C), (0, 2), {1: made}) == (Ours((0,)), made, Ours((1,)))


def test_no_inputs_of_ours() -> None:
    assert arrange((N, "-lm"), (), {0: N}) == (N, "-lm")
