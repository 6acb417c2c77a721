"""Random C programs, from fixed seeds, behave as clang's builds do."""

import subprocess
from pathlib import Path

import pytest
from harness import Program, assert_same_behaviour, needs_clang, needs_csmith

pytestmark = [needs_clang, needs_csmith]

INCLUDES = ("-I/usr/include/csmith",)
# Each of these ends by itself at once and is between 900 and 2,500 lines long.
SEEDS = (1, 2, 3, 4, 6, 7, 8, 12)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_program(seed: int, tmp_path: Path) -> None:
    source = tmp_path / "random.c"
    # csmith leaves a file behind in its working directory.
    subprocess.run(["csmith", "--seed", str(seed), "-o", str(source)], check=True, cwd=tmp_path, timeout=60)
    program = Program.copied(tmp_path, source, sources=["random.c"], flags=INCLUDES)
    for level in ("-O0", "-O2"):
        program.build("cold", level)
        answer = assert_same_behaviour(tmp_path / "cold", program.clang(level))
        assert answer.stdout.startswith(b"checksum = ")
        assert program.assert_same_image("cold", level).misses == 0
