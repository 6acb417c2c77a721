"""Projects that are edited at random, from fixed seeds: a build with the cache is the build without one."""

from pathlib import Path

import pytest
from edits import Trial
from harness import needs_clang

pytestmark = needs_clang

STEPS = 9


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
