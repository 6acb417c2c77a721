"""Many builds on one folder, while it is pruned, cleared and checked without a pause."""

import io
import json
import multiprocessing
import subprocess
import sys
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest
from harness import clean_environment, needs_clang
from rules import Build, write
from stores import FILES, SQLITE, Kind

from nativecache.cache.audit import check_entries
from nativecache.cache.folder import find_temporaries
from nativecache.cli.main import main

pytestmark = needs_clang

PROGRAMS = 4
COMMAND = (sys.executable, "-m", "nativecache.cli.start")
#: Of each program at once.
BUILDS = 3
AGAIN = 2


def program(number: int) -> str:
    """Some functions are in all programs, some in this one alone."""
    functions = "".join(
        f"int f{n}(int x) {{ for (int i = 0; i < x; i++) x ^= i * {n + 3 + (n % 2) * number}; return x; }}\n"
        for n in range(6)
    )
    calls = " + ".join(f"f{n}(a)" for n in range(6))
    return f"{functions}int main(int a, char **b) {{ return {calls} + {number}; }}\n"


@dataclass(frozen=True)
class Keeper:
    """A process that runs one cache command again and again; it tells what each said, and failures."""

    ended: Event
    answers: Connection
    process: multiprocessing.process.BaseProcess

    @classmethod
    def start(cls, root: Path, *words: str) -> "Keeper":
        context = multiprocessing.get_context("fork")
        ended, (ours, theirs) = context.Event(), context.Pipe(duplex=False)
        arguments = ["cache", *words, "--json", "--cache-dir", str(root)]
        process = context.Process(target=_keep, args=(arguments, ended, theirs), daemon=True)
        process.start()
        theirs.close()
        return cls(ended, ours, process)

    def end(self) -> list[dict[str, Any]]:
        """All answers. Fails if a command did."""
        self.ended.set()
        answers, failures = self.answers.recv()
        self.process.join()
        assert failures == []
        return list(answers)


def _keep(words: list[str], ended: Event, answers: Connection) -> None:
    said: list[dict[str, Any]] = []
    failures: list[str] = []
    while not ended.is_set() and not failures:
        output = io.StringIO()
        try:
            with redirect_stdout(output):
                main(words)
        except SystemExit as end:
            if end.code:
                failures.append(f"{words}: exit code {end.code}: {output.getvalue()}")
            else:
                said.append(json.loads(output.getvalue()))
        except Exception as error:
            failures.append(f"{words}: {error!r}")
    answers.send((said, failures))


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """Programs, and their images from untouched caches."""
    write(tmp_path, {f"p{n}.c": program(n) for n in range(PROGRAMS)})
    for n in range(PROGRAMS):
        (tmp_path / f"alone{n}").mkdir()
        Build.start(tmp_path, tmp_path / f"alone{n}", f"p{n}.c", "-o", f"expected{n}").result()
    return tmp_path


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        pytest.param(("prune", "--max-files", "12"), FILES, id="pruned"),
        pytest.param(("clear",), SQLITE, id="cleared"),
    ],
)
def test_a_crowd(space: Path, command: tuple[str, ...], kind: Kind) -> None:
    """No build fails, each image is right, and the counters are the sum of what the builds say."""
    root = space / "cache"
    sums: Counter[str] = Counter()
    build_at_once(space, kind, sums, [(0, 0)])
    keepers = [Keeper.start(root, *words) for words in (command, ("stats",), ("verify",))]
    builds = [(n, turn) for turn in range(BUILDS) for n in range(PROGRAMS)]
    build_at_once(space, kind, sums, builds)
    build_at_once(space, kind, sums, builds[:AGAIN])
    removed, *_ = [keeper.end() for keeper in keepers]
    assert sum(one.get("entries", one.get("files", 0)) for one in removed) > 0, "nothing was in the way"
    sums["pruned"] = sum(one.get("entries", 0) for one in removed)
    answer = ask(root, "stats")
    total = answer["total"]
    assert (total["builds"] + total["up_to_date"], total["failed"]) == (1 + PROGRAMS * BUILDS + AGAIN, 0)
    names = ("builds", "up_to_date", "hits", "misses", "corrupt", "pruned")
    assert {name: total[name] for name in names} == {name: sums[name] for name in names}
    assert total["compiled_seconds"] * 1e6 == pytest.approx(sums["compiled_us"], abs=100)
    assert total["saved_seconds"] * 1e6 == pytest.approx(sums["saved_us"], abs=100)
    assert (total["corrupt"], answer["damaged_records"]) == (0, 0)
    assert not any(check_entries(root, keep=False))
    assert list(find_temporaries(root)) == []


def build_at_once(space: Path, kind: Kind, sums: Counter[str], builds: list[tuple[int, int]]) -> None:
    """Builds programs by number, each to an image of its own, and adds up their figures."""
    children = {}
    for n, turn in builds:
        image, stats = f"image{n}-{turn}", f"stats{n}-{turn}.json"
        words = ["build", f"p{n}.c", "-o", image, "--cache-dir", "cache", "--stats-json", stats]
        words += ["--store", kind.name]
        children[n, turn] = subprocess.Popen(
            [*COMMAND, *words],
            cwd=space,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    for (n, turn), child in children.items():
        said, _ = child.communicate(timeout=300)
        assert child.returncode == 0 and len(said.splitlines()) == 1, said
        assert (space / f"image{n}-{turn}").read_bytes() == (space / f"expected{n}").read_bytes()
        figures = json.loads((space / f"stats{n}-{turn}.json").read_text())
        if "check" in figures["phases"]:
            sums["up_to_date"] += 1
            continue
        sums.update({"builds": 1, **{name: figures[name] for name in ("hits", "misses", "corrupt")}})
        sums["compiled_us"] += round(figures["compiled_milliseconds"] * 1e3)
        sums["saved_us"] += round(figures["saved_seconds"] * 1e6)


def ask(root: Path, *words: str) -> dict[str, Any]:
    command = [*COMMAND, "cache", *words, "--json", "--cache-dir", str(root)]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, check=True)
    return dict(json.loads(done.stdout))
