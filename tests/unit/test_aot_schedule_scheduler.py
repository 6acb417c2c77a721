"""The scheduler with a pool and an engine of its own: no process is forked and no LLVM is called."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nativecache.aot.codegen.diagnostics import Refused
from nativecache.aot.errors import BuildError
from nativecache.aot.ir.module import index_module
from nativecache.aot.key import Compiler, Options, value_digest
from nativecache.aot.pool import Done, Job, Pool, WorkerDied
from nativecache.aot.records.history import BuildRecord
from nativecache.aot.records.memo import KeyedUnit, UnitMemo
from nativecache.aot.report import Clock
from nativecache.aot.schedule import scheduler as module
from nativecache.aot.schedule.plan import Plan
from nativecache.aot.schedule.scheduler import Memory, Scheduled, Scheduler
from nativecache.aot.schedule.tasks import CompileResult, KeyResult
from nativecache.aot.units.fingerprint import Fingerprints, ImportFingerprints
from nativecache.aot.units.imports import NO_CANDIDATES
from nativecache.aot.units.partition import partition
from nativecache.aot.units.resolve import resolve_symbols
from nativecache.aot.units.roots import index_symbols
from nativecache.aot.verify import Verifier
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import MemoryStore

COMPILER = Compiler(llvm="22", llvmlite="", library="a")
#: Assembly, for the scheduler looks into objects and there is no LLVM to make one.
OPTIONS = Options(
    triple="x86_64-unknown-linux-gnu",
    cpu="",
    features="",
    level=2,
    optimize=True,
    relocation="pic",
    code_model="default",
    output="assembly",
)
#: main calls f and g; g calls h; nothing calls lonely.
PROGRAM = """
define i32 @main() {
  %1 = call i32 @f()
  %2 = call i32 @g()
  ret i32 %2
}
define i32 @f() {
  ret i32 1
}
define i32 @g() {
  %1 = call i32 @h()
  ret i32 %1
}
define i32 @h() {
  ret i32 1
}
define i32 @lonely() {
  ret i32 3
}
"""
CALLS = {"main": ("f", "g"), "f": (), "g": ("h",), "h": (), "lonely": ()}


class Line:
    """A pool of one worker without a process: jobs are done when results are asked for, by priority."""

    def __init__(self, _threads: int, tasks: Mapping[str, Callable[..., Any]], **_more: Any) -> None:
        self.tasks, self.jobs = tasks, deque[tuple[float, Job]]()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        assert not self.jobs

    def submit(self, job: Job, *, priority: float = 0.0) -> None:
        self.jobs.append((priority, job))

    def results(self, _describe: Callable[[Job], str] | None = None) -> Iterator[Done]:
        while self.jobs:
            best = max(self.jobs, key=lambda waiting: waiting[0])
            self.jobs.remove(best)
            job = best[1]
            try:
                yield Done(job, self.tasks[job.task](*job.arguments), None, 0.0)
            except (BuildError, RuntimeError, Refused, WorkerDied) as error:
                yield Done(job, None, error, 0.0)


class World:
    """A program, a store, and what workers make of units: by name, a key's letter and an outcome."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        program = resolve_symbols([index_module(PROGRAM.replace("\n}\n", "\n}\n\n"), "a.ll")])
        units = partition(program)
        self.plan = Plan(
            program=program,
            units=units,
            defined_in=index_symbols(program, units),
            roots=tuple(u.index for u in units if u.name == "main"),
            options=OPTIONS,
            candidates=NO_CANDIDATES,
        )
        self.store = MemoryStore()
        self.letters = {"main": "a", "f": "b", "g": "c", "h": "d", "lonely": "e"}
        self.errors: dict[tuple[str, str], Exception] = {}
        #: Units whose lines fit into no object.
        self.placeless: set[str] = set()
        #: Whether what is compiled says which symbols it leaves undefined; an entry of assembly cannot.
        self.follows = True
        self.keyed: list[str] = []
        self.compiled: list[str] = []
        monkeypatch.setattr(module, "Pool", Line)
        monkeypatch.setattr(module, "key_unit", self.key)
        monkeypatch.setattr(module, "compile_unit", self.compile)

    def key(self, plan: Plan, _engine: object, index: int, real_lines: bool) -> KeyResult:
        name = plan.units[index].name
        self.keyed.append(name)
        if error := self.errors.get(("key", name)):
            raise error
        key = self.letters[name] * 63 + ("1" if real_lines else "0")
        keyed = KeyedUnit(key, f"own {self.letters[name]}", "", (), relative=name in self.placeless)
        return KeyResult(keyed, f"{name} {real_lines}".encode(), not real_lines, 0.0, 0.0)

    def compile(self, _engine: object, bitcode: bytes, options: Options) -> CompileResult:
        name, real_lines = bitcode.decode().split()
        self.compiled.append(name)
        if error := self.errors.get(("compile", name)):
            raise error
        text = b"\t.text " + self.letters[name].encode() + b"\n"
        fixups = None if name in self.placeless and real_lines == "False" else ""
        return CompileResult(text, [], list(CALLS[name]) if self.follows else [], fixups, 5.0, [])

    def run(self, *, percent: float = 0.0) -> Scheduled:
        self.keyed, self.compiled = [], []
        store = EntryStore(self.store)
        memos = [UnitMemo("a.ll", COMPILER, OPTIONS, store)]
        history = BuildRecord(store, COMPILER, OPTIONS, Path("out"))
        plain = Fingerprints(self.plan.program, value_digest("context"), memos)
        fingerprints = ImportFingerprints(plain, NO_CANDIDATES)
        scheduler = Scheduler(
            self.plan,
            SimpleNamespace(load=lambda: None),  # no other call is made
            store,
            Memory(fingerprints, memos, history),
            verifier=Verifier(store, percent, 0),
            clock=Clock(time.perf_counter(), 0.0),
            workers=Pool(1, {}),
            progress=None,
        )
        done = scheduler.run()
        memos[0].save()
        return done

    def names(self, done: Scheduled) -> list[str]:
        return [self.plan.units[i].name for i in done.results]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def need_all(world: World) -> None:
    """Makes all but one a root: what is needed is not to be read off entries."""
    world.follows = False
    world.plan = Plan(
        **{
            **{name: getattr(world.plan, name) for name in Plan.__slots__},
            "roots": tuple(u.index for u in world.plan.units if u.name != "lonely"),
        }
    )


def test_what_is_reached_is_compiled_once_and_nothing_else(world: World) -> None:
    done = world.run()
    assert world.names(done) == ["main", "f", "g", "h"]
    assert sorted(world.keyed) == sorted(world.compiled) == ["f", "g", "h", "main"]
    assert done.missed == {"new": 4} and done.shared == 0 and done.saved_seconds == 0
    assert sorted(unit.name for unit in done.compiled) == ["f", "g", "h", "main"]
    assert {world.plan.units[i].name for i in done.compiled_functions} == {"f", "g", "h", "main"}


def test_units_of_one_key_share_an_object(world: World) -> None:
    world.letters["h"] = "b"
    done = world.run()
    assert world.names(done) == ["main", "f", "g", "h"] and done.shared == 1
    assert sorted(world.compiled) == ["f", "g", "main"]
    by_name = {world.plan.units[i].name: done.objects[i] for i in done.results}
    assert by_name["h"] == by_name["f"] != by_name["g"]


def test_unchanged_units_are_neither_keyed_nor_compiled(world: World) -> None:
    need_all(world)
    cold = world.run()
    warm = world.run()
    assert world.keyed == world.compiled == []
    assert warm.results == cold.results and dict(warm.objects) == dict(cold.objects)
    assert not warm.compiled and warm.saved_seconds == pytest.approx(0.02)


def test_a_lost_object_is_made_again(world: World) -> None:
    need_all(world)
    world.run()
    del world.store._values["b" * 63 + "0"]
    done = world.run()
    assert world.keyed == world.compiled == ["f"] and len(done.results) == 4


def test_what_fits_no_lines_takes_real_ones_and_is_keyed_again_each_time(world: World) -> None:
    need_all(world)
    world.placeless.add("g")
    done = world.run()
    assert world.keyed.count("g") == 2 == world.compiled.count("g")
    key = next(r.key for i, r in done.results.items() if world.plan.units[i].name == "g")
    assert key.endswith("1")


def test_all_failures_are_told_together(world: World) -> None:
    world.errors["key", "f"] = BuildError("no text")
    world.errors["compile", "g"] = RuntimeError("no object\nmore")
    with pytest.raises(BuildError) as raised:
        world.run()
    assert raised.value.problems == ("a.ll: function 'f': no text", "a.ll: function 'g': no object")


def test_the_others_are_kept_where_one_fails(world: World) -> None:
    world.errors["compile", "f"] = WorkerDied("killed by signal SIGKILL")
    with pytest.raises(BuildError, match="LLVM stopped while compiling it: killed by signal SIGKILL; if"):
        world.run()
    assert world.store.get("d" * 63 + "0") is not None


def test_sampled_hits_are_compiled_again_and_compared(world: World) -> None:
    need_all(world)
    world.run()
    done = world.run(percent=100)
    assert sorted(world.compiled) == ["f", "g", "h", "main"] and not done.compiled
