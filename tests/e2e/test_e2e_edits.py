"""Projects that are edited at random, from fixed seeds: a build with the cache is the build without one."""

import time
from pathlib import Path

import pytest
from edits import SETTLED_SECONDS, Trial
from harness import build, needs_clang
from rules import write

pytestmark = needs_clang

STEPS = 9


@pytest.mark.family(4)
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_edited_project(seed: int, tmp_path: Path) -> None:
    trial = Trial(seed, tmp_path / "project")
    for step in range(STEPS):
        if step:
            trial.edit()
        problems = trial.check(behaviour=step % 3 == 0)
        assert not problems, "\n".join([*trial.commands, *problems])


def test_a_plan_that_is_kept_is_the_one_from_nothing(tmp_path: Path) -> None:
    trial = Trial(770000, tmp_path / "project", calm=True)
    for _ in range(3):
        problems = trial.check(behaviour=False)
        assert not problems, "\n".join([*trial.commands, *problems])
        trial.edit()
    assert trial.followed and trial.compared


def test_an_inline_function_that_becomes_a_root(tmp_path: Path) -> None:
    """What one call reaches is compiled with its caller, unless the image needs it in any case."""
    lines = [f"k += {n}; k ^= {n * 3};" for n in range(150)]
    some, many = "".join(lines[:12]), "".join(lines)
    source = (
        "__attribute__((used)) int kept = 3;\n"
        f"USED inline int once(int x) {{ volatile int k = x; {some} return k; }}\n"
        "inline __attribute__((noinline)) int stays(int x)\n"
        f"{{ volatile int k = x; {many} return once(x); }}\n"
        "int both(int x) { return stays(x) + stays(x); }\n"
    )
    write(tmp_path, {"main.cpp": "int both(int);\nint main() { return both(1); }\n"})
    for used in ("", "__attribute__((used))"):
        (tmp_path / "both.cpp").write_text(f"#define USED {used}\n{source}")
        time.sleep(SETTLED_SECONDS)
        build(tmp_path, "main.cpp", "both.cpp", "-O2", "-o", "app")
        build(tmp_path, "main.cpp", "both.cpp", "-O2", "--no-cache", "-o", "anew")
        assert (tmp_path / "app").read_bytes() == (tmp_path / "anew").read_bytes()
