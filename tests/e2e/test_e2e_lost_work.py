"""A worker that is killed, as where memory runs out, changes no image and is believed by nobody.

Each build is a fork of this process whose workers are made to die: at the first jobs of one kind, at one
moment. Once is made good by doing that work again; ever again is an error, and the next build, which nobody
disturbs, gives the right image: nothing was noted of what had been lost.
"""

import os
import pickle
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from harness import needs_clang
from rules import Build, write

from nativecache.aot import pool

SOURCES = {
    "a.c": "int f(int a);\nstatic int g(int a) { return a + 1; }\n"
    "int main(void) { return f(g(2)) + g(-6); }\n",
    "b.c": "static int h(int a) { return a * 2; }\nint f(int a) { return h(a) - 1; }\n",
    "c.ll": "@x = global i32 0\ndefine i32 @unused(i32 %0) {\n  %2 = add i32 %0, 1\n  ret i32 %2\n}\n",
}
WORDS = ("a.c", "b.c", "c.ll", "-O2", "-j2")


@dataclass(frozen=True)
class Fate:
    """The workers that die: those at jobs of a kind, at a moment, so often."""

    task: str
    moment: str  # at work, done, writing, sent
    times: int
    marks: Path

    def is_due(self) -> bool:
        """Whether one more is to die, of all workers together."""
        for n in range(self.times):
            try:
                os.close(os.open(self.marks / str(n), os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            return True
        return False

    def apply(self) -> None:
        """Have this process's pools suffer it."""
        fate, begin, send = self, pool.Pool.__init__, pool.Channel.send
        at: list[str] = []  # what this worker is at

        def meet(moment: str) -> None:
            if at == [fate.task] and fate.moment == moment and fate.is_due():
                os.kill(os.getpid(), signal.SIGKILL)

        def wrap(name: str, task: Callable[..., Any]) -> Callable[..., Any]:
            def work(*arguments: Any) -> Any:
                at[:] = [name]
                meet("at work")
                result = task(*arguments)
                meet("done")
                return result

            return work

        def begin_pool(self: pool.Pool, size: int, tasks: Any, **more: Any) -> None:
            begin(self, size, {name: wrap(name, task) for name, task in tasks.items()}, **more)

        def send_result(self: pool.Channel, what: Any) -> None:
            if at == [fate.task] and fate.moment == "writing" and fate.is_due():
                data = pickle.dumps(what)
                os.write(self.writer, len(data).to_bytes(8, "little") + data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            send(self, what)
            meet("sent")

        pool.Pool.__init__ = begin_pool  # type: ignore[method-assign]
        pool.Channel.send = send_result  # type: ignore[method-assign,assignment]


def outcome(space: Path, folder: Path, words: tuple[str, ...], fate: Fate | None = None) -> tuple[int, str]:
    """Exit code and words of a build in a fork."""
    folder.mkdir(exist_ok=True)
    if fate:
        fate.marks.mkdir()
        begin, send = pool.Pool.__init__, pool.Channel.send
        fate.apply()
    try:
        build = Build.start(space, folder, *words, "-o", folder / "image")
    finally:
        if fate:
            pool.Pool.__init__, pool.Channel.send = begin, send  # type: ignore[method-assign]
    build.process.join(120)
    assert build.process.exitcode is not None
    return build.process.exitcode, build.log.read_text()


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lost")
    write(path, SOURCES)
    return path


def expected(space: Path, words: tuple[str, ...]) -> bytes:
    """The image of an undisturbed build."""
    folder = space / ("right " + " ".join(words).replace("/", ""))
    if not folder.exists():
        assert outcome(space, folder, words)[0] == 0
    return (folder / "image").read_bytes()


OTHERS = {"merge": ("--emit", "bitcode"), "check": ("--cpu", "x86-64-v2")}
CASES = [
    *((task, "at work") for task in ("read", "key", "check", "merge")),
    *(
        (task, moment)
        for task in ("simplify", "compile")
        for moment in ("at work", "done", "writing", "sent")
    ),
]


@needs_clang
@pytest.mark.parametrize(("task", "moment"), CASES)
def test_what_one_worker_lost_is_done_again(space: Path, tmp_path: Path, task: str, moment: str) -> None:
    words = (*WORDS, *OTHERS.get(task, ()))
    fate = Fate(task, moment, 1, tmp_path / "marks")
    code, said = outcome(space, tmp_path / "build", words, fate)
    # One that has handed over the last result may be ended before it comes to that.
    assert moment == "sent" or list(fate.marks.iterdir()), "nobody died"
    assert code == 0, said
    assert (tmp_path / "build" / "image").read_bytes() == expected(space, words)


@needs_clang
@pytest.mark.parametrize("task", ["read", "simplify", "compile", "merge"])
def test_what_is_lost_twice_is_an_error_and_nothing_is_noted(space: Path, tmp_path: Path, task: str) -> None:
    words = (*WORDS, *OTHERS.get(task, ()))
    fate = Fate(task, "writing" if task == "simplify" else "at work", 1000, tmp_path / "marks")
    code, said = outcome(space, tmp_path / "build", words, fate)
    assert code == 1, said
    assert "SIGKILL" in said and "-j1" in said and "Traceback" not in said
    if task in ("simplify", "compile"):
        assert "a.c: function 'main': LLVM stopped while" in said
    assert not (tmp_path / "build" / "image").exists()
    assert outcome(space, tmp_path / "build", words)[0] == 0
    assert (tmp_path / "build" / "image").read_bytes() == expected(space, words)


@needs_clang
@pytest.mark.parametrize("task", ["simplify", "key", "compile"])
def test_the_same_holds_for_the_one_worker_of_an_edit(tmp_path: Path, task: str) -> None:
    space, build = tmp_path / "sources", tmp_path / "build"
    space.mkdir()
    write(space, SOURCES)
    assert outcome(space, build, WORDS)[0] == 0
    write(space, {"b.c": SOURCES["b.c"].replace("h(a) - 1", "h(a) - 2")})
    code, said = outcome(space, build, WORDS, Fate(task, "at work", 1000, tmp_path / "marks"))
    assert code == 1 and ".c: function '" in said and "': LLVM stopped while" in said and "SIGKILL" in said, (
        said
    )
    code, said = outcome(space, build, WORDS, Fate(task, "at work", 1, tmp_path / "more marks"))
    assert code == 0, said
    assert outcome(space, tmp_path / "right", WORDS)[0] == 0
    assert (build / "image").read_bytes() == (tmp_path / "right" / "image").read_bytes()
