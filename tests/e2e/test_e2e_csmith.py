"""Random C programs, from fixed seeds, behave as clang's builds do: with imports, without, at any limit."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from harness import BuildResult, assert_same_behaviour, clang_build, needs_clang, needs_csmith
from rules import Build

pytestmark = [needs_clang, needs_csmith]

INCLUDE = "-I/usr/include/csmith"
# Each of these ends by itself at once and is between 700 and 1,700 lines long. `make torture` tries others.
SEEDS = (1, 7, 12, 23, 28, 36, 40, 43, 47, 50, 57, 61, 70)


@dataclass(frozen=True)
class Variant:
    """One way to build random.c; what it makes stands in a folder of its own, cache included."""

    space: Path
    name: str
    options: tuple[str, ...]

    def start(self, image: str, workers: str, folder: str = "") -> Build:
        place = self.space / (folder or self.name)
        place.mkdir(exist_ok=True)
        words = ["random.c", INCLUDE, "--cflag=-w", *self.options, workers]
        return Build.start(self.space, place, *words, "-o", self.image(image))

    def image(self, name: str) -> Path:
        return self.space / self.name / name

    def finish_same(self, build: Build, image: str) -> BuildResult:
        result = build.result()
        assert self.image(image).read_bytes() == self.image("cold").read_bytes()
        return result


@pytest.mark.family(4)
@pytest.mark.parametrize("seed", SEEDS)
def test_random_program(seed: int, tmp_path: Path) -> None:
    source = tmp_path / "random.c"
    # csmith leaves a file behind in its working directory.
    subprocess.run(["csmith", "--seed", str(seed), "-o", str(source)], check=True, cwd=tmp_path, timeout=60)
    rng = Random(seed)
    limits = {
        "imports": (),
        "none": ("--import-limit", "0"),
        "limited": ("--import-limit", str(rng.randint(1, 200))),
    }
    variants = [
        Variant(tmp_path, name, (rng.choice(("-O0", "-O1", "-O2", "-O2", "-O2", "-O3")), *limit))
        for name, limit in limits.items()
    ]
    workers, others = rng.sample(["-j1", "-j2"], 2)

    cold = [variant.start("cold", workers) for variant in variants]
    clangs = clang_build([source], ["-O1", INCLUDE], tmp_path / "clang")
    for variant, build in zip(variants, cold, strict=True):
        build.result()
        answer = assert_same_behaviour(variant.image("cold"), clangs)
        assert answer.stdout.startswith(b"checksum = ")

    # With other workers: warm, and from nothing.
    again = rng.choice(variants)
    warm, fresh = again.start("warm", others), again.start("fresh", others, "fresh")
    assert again.finish_same(warm, "warm").misses == 0
    again.finish_same(fresh, "fresh")
