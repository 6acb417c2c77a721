"""Phases divide a build's time: each moment is one phase's, and none is lost."""

import json
from pathlib import Path

import pytest
from harness import needs_clang
from rules import Build, write

from nativecache.aot.report import Clock, Phase


def test_what_is_within_is_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("nativecache.aot.report.time.perf_counter", lambda: now[0])
    monkeypatch.setattr("nativecache.aot.report.cpu_seconds", lambda: now[0] / 2)
    clock = Clock(0.0, 0.0)
    now[0] = 2.0
    with clock.phase("outer"):
        now[0] = 5.0
        with clock.phase("inner"):
            now[0] = 6.0
        now[0] = 10.0
        clock.charge("waited")
        now[0] = 12.0
        clock.move("part", "outer", 1.0, 0.25)
    now[0] = 13.0
    with clock.phase("outer"):
        pass
    assert clock.phases == {
        "start": Phase(2.0, 1.0),
        "outer": Phase(4.0, 2.25),
        "inner": Phase(1.0, 0.5),
        "waited": Phase(4.0, 2.0),
        "part": Phase(1.0, 0.25),
        "rest": Phase(1.0, 0.5),
    }


@needs_clang
def test_phases_add_up_to_a_build(tmp_path: Path) -> None:
    functions = "".join(f"int f{n}(int x) {{ return x * {n}; }}\n" for n in range(50))
    calls = " + ".join(f"f{n}(c)" for n in range(50))
    write(tmp_path, {"a.c": f"{functions}int main(int c, char **v) {{ return {calls}; }}\n"})
    for words in ([], ["-DUNUSED"]):
        Build.start(tmp_path, tmp_path, "a.c", "-O2", "--import-limit=0", *words, "-o", "app").result()
        stats = json.loads((tmp_path / "stats.json").read_text())
        walls = {name: phase["wall"] for name, phase in stats["phases"].items()}
        assert 0.95 * stats["wall_seconds"] < sum(walls.values()) <= 1.001 * stats["wall_seconds"]
        assert {"start", "tools", "load", "target", "fingerprint", "look-up", "note"} <= walls.keys()
        assert all(phase["cpu"] >= -0.001 for phase in stats["phases"].values())
