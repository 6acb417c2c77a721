"""Whatever the system refuses in the cache folder, and whenever, the image is right. See `faults.py`.

Here some calls of each scene fail; `make torture` has every one fail in every way.
"""

import pytest
from faults import Scene, needs_strace, scenes, some_faults
from harness import needs_clang

pytestmark = needs_strace

#: How many calls fail, by scene.
SAMPLE = {"cold": 9, "half": 4, "warm": 4, "done": 3, "stats": 5, "prune": 4, "folded": 3}


@pytest.fixture(scope="module")
def all_scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return {scene.name: scene for scene in scenes(tmp_path_factory.mktemp("scenes"))}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_call_that_fails(name: str, all_scenes: dict[str, Scene]) -> None:
    scene = all_scenes[name]
    chosen = some_faults(scene, SAMPLE[name])
    assert len(chosen) == SAMPLE[name]
    met = 0
    for call, fault in chosen:
        done, was_met = scene.fail(call, fault)
        met += was_met
        problems = list(scene.problems(done, fault))
        assert not problems, (call, fault)
    # The call of that number is another one if, say, an hour has passed since the rehearsal. That is rare.
    assert met > len(chosen) // 2


@needs_clang
def test_failures_in_other_threads_and_processes(all_scenes: dict[str, Scene]) -> None:
    scene = all_scenes["cold"]
    folders = scene.made_elsewhere()
    assert len(folders) >= 2, "clang's output is saved by a process, memos are by a thread"
    for some in (folders[:1], folders[-1:], folders):
        done, met = scene.fail_to_make(*some)
        assert met >= len(some)
        problems = list(scene.problems(done, "error=ENOSPC"))
        assert not problems, some
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"warning: cache folder {scene.cache} cannot be written: No space left")
