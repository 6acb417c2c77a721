"""Whatever the system refuses in the cache folder, and whenever, the image is right. See `faults.py`.

Here some calls of each scene fail; `make torture` has every one fail in every way.
"""

import pytest
from faults import Scene, needs_strace, scenes, some_faults
from harness import needs_clang
from stores import FILES, SQLITE, Kind

pytestmark = needs_strace

#: How many calls fail, by scene. Counters, and looking whether there is anything to do, touch no database.
SAMPLES = {
    FILES: {"cold": 6, "half": 2, "warm": 2, "done": 2, "stats": 4, "prune": 2, "folded": 2},
    SQLITE: {"cold": 3, "half": 1, "prune": 1},
}


@pytest.fixture(scope="module")
def all_scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, dict[str, Scene]]:
    return {
        kind: {scene.name: scene for scene in scenes(tmp_path_factory.mktemp("scenes"), kind)}
        for kind in SAMPLES
    }


@pytest.mark.family(2)
@pytest.mark.parametrize(
    ("kind", "name"),
    [pytest.param(kind, name, id=f"{kind.name}-{name}") for kind in SAMPLES for name in SAMPLES[kind]],
)
def test_a_call_that_fails(kind: Kind, name: str, all_scenes: dict[Kind, dict[str, Scene]]) -> None:
    scene = all_scenes[kind][name]
    chosen = some_faults(scene, SAMPLES[kind][name])
    assert len(chosen) == SAMPLES[kind][name]
    met = 0
    for call, fault in chosen:
        done, was_met = scene.fail(call, fault)
        met += was_met
        problems = list(scene.problems(done, fault))
        assert not problems, (call, fault)
    # The call of that number is another one if, say, an hour has passed since the rehearsal. That is rare.
    assert met > len(chosen) // 2


@needs_clang
def test_failures_in_other_threads_and_processes(all_scenes: dict[Kind, dict[str, Scene]]) -> None:
    scene = all_scenes[FILES]["cold"]
    folders = scene.made_elsewhere()
    assert len(folders) >= 2, "clang's output is saved by a process, memos are by a thread"
    for some in (folders[:1], folders[-1:], folders):
        done, met = scene.fail_to_make(*some)
        assert met >= len(some)
        problems = list(scene.problems(done, "error=ENOSPC"))
        assert not problems, some
        (line,) = done.stderr.splitlines()
        assert line.startswith(
            f"nativecache: warning: cache folder {scene.cache} cannot be written: No space left"
        )
