"""Turns a build's inputs into printed IR and a list of native files for the link."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nativecache.aot import clang
from nativecache.aot.errors import BuildError
from nativecache.aot.extract import local_names, type_names
from nativecache.aot.front_cache import Answer, FrontCache, Question
from nativecache.aot.index import Module, index_module
from nativecache.aot.pool import Job, Pool, WorkerDied

_IR: Final = frozenset((".ll", ".bc"))
_ASSEMBLY: Final = frozenset((".s", ".S"))
_NATIVE_NAME: Final = re.compile(r"\.(?:o|obj|lo|a|so(?:\.[\d.]+)?)$")
_KNOWN: Final = ".ll .bc .c .cc .cpp .cxx .s .o .a .so"
_MAGIC: Final = (b"\x7fELF", b"!<arch>", b"!<thin>")


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """How C and C++ inputs are compiled to IR. `clang` is None where no input needs it.

    `cache` keeps what clang made; without one clang runs for every file.
    """

    clang: clang.Clang | None
    level: int
    flags: tuple[str, ...]
    cache: FrontCache | None = None

    @property
    def prints(self) -> bool:
        """Whether clang prints what llvmlite would print, being of one version; else LLVM reads it first."""
        return self.clang is not None and self.clang.version == clang.NEWEST and not self.clang.is_zig


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the inputs hold.

    `texts`: (label, printed IR) in input order. `native_…`: files for the linker, before and
    after the first of those.
    """

    texts: tuple[tuple[str, str], ...]
    native_before: tuple[Path, ...]
    native_after: tuple[Path, ...]
    whole: tuple[str, ...]  # inputs that clang compiled whole
    cplusplus: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Text:
    """An input's IR: printed already, or to be read by LLVM first."""

    data: bytes
    printed: bool


def is_source(path: Path) -> bool:
    """Whether an input goes through clang."""
    return path.suffix in clang.C_LIKE or path.suffix in _ASSEMBLY


def is_native(path: Path) -> bool:
    """Whether an input goes straight to the linker."""
    return _NATIVE_NAME.search(path.name) is not None


def load(inputs: Sequence[Path], front: FrontEnd, pool: Pool, *, threads: int, scratch: Path) -> Loaded:
    """Reads all inputs, clang's in parallel. `scratch` takes objects that clang compiles whole.

    Raises BuildError with every input that cannot be read, each on a line of its own.
    """
    problems: list[str] = []
    warnings: list[str] = []
    native: dict[int, Path] = {}
    whole: list[str] = []
    texts: dict[int, _Text] = {}
    runs: dict[int, _Run] = {}
    with ThreadPoolExecutor(threads) as executor:
        answers: dict[int, Answer | Future[Answer]] = {}
        for n, path in enumerate(inputs):
            if problem := _unreadable(path):
                problems.append(problem)
            elif is_source(path):
                run = runs[n] = _Run(path, front, scratch / f"{n}-{path.stem}.o")
                answers[n] = run.known() or executor.submit(run)
            elif is_native(path) or _starts(path, _MAGIC):
                native[n] = path
            elif path.suffix in _IR or _starts(path, (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")):
                texts[n] = _Text(path.read_bytes(), printed=False)
            else:
                problems.append(f"{path}: unknown kind of input; known are {_KNOWN}")
        for n, run in runs.items():
            answer = answers[n]
            if isinstance(answer, Future):
                try:
                    answer = answer.result()
                except BuildError as error:
                    problems += error.problems
                    continue
                run.keep(answer)
            if answer.messages:
                warnings.append(answer.messages.rstrip())
            if run.whole:
                run.output.write_bytes(answer.output)
                native[n] = run.output
                whole.append(str(inputs[n]))
            else:
                texts[n] = _Text(answer.output, front.prints)
    if front.cache:
        front.cache.save()
    printed = _print_all(inputs, texts, pool, problems)
    if problems:
        raise BuildError(*problems)
    cplusplus = any(path.suffix in clang.CPLUSPLUS for path in inputs)
    texts_in_order = tuple((str(inputs[n]), text) for n, text in sorted(printed.items()))
    first = min(printed, default=len(inputs))
    before = tuple(path for n, path in sorted(native.items()) if n < first)
    after = tuple(path for n, path in sorted(native.items()) if n > first)
    return Loaded(texts_in_order, before, after, tuple(whole), cplusplus, tuple(warnings))


def index(texts: Sequence[tuple[str, str]]) -> tuple[Module, ...]:
    """Indexes all printed modules. Raises BuildError with each that cannot be understood."""
    modules, problems = [], []
    for label, text in texts:
        try:
            modules.append(index_module(text, label))
        except ValueError as error:
            problems.append(f"{label}: IR of an unknown form: {error}")
    if problems:
        raise BuildError(*problems)
    return tuple(modules)


def _unreadable(path: Path) -> str | None:
    try:
        if path.is_dir():
            return f"{path}: is a directory; name the files in it"
        if path.stat().st_size == 0:
            return f"{path}: the file is empty"
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None


def _starts(path: Path, magic: tuple[bytes, ...]) -> bool:
    with path.open("rb") as file:
        return file.read(8).startswith(magic)


class _Run:
    """A run of clang for one source file, which may turn out not to be needed."""

    def __init__(self, source: Path, front: FrontEnd, output: Path) -> None:
        assert front.clang is not None
        self.source, self.front, self.clang, self.output = source, front, front.clang, output
        self.whole = source.suffix in _ASSEMBLY or clang.compiles_whole(front.flags)
        self.question: Question | None = None
        if front.cache:
            self.question = front.cache.question(
                front.clang, source, front.level, front.flags, whole=self.whole
            )
        preprocessed = source.suffix != ".s"
        self.depfile = output.with_suffix(".d") if self.question and preprocessed else None

    def known(self) -> Answer | None:
        """What clang would say, if that is known."""
        return self.front.cache.look_up(self.question) if self.front.cache and self.question else None

    def __call__(self) -> Answer:
        front, run = self.front, clang.compile_whole if self.whole else clang.emit_ir
        return Answer(*run(self.clang, self.source, front.level, front.flags, self.output, self.depfile))

    def keep(self, answer: Answer) -> None:
        """Keeps what clang said for the next time."""
        if self.front.cache and self.question:
            self.front.cache.keep(self.question, answer, self.depfile)


def _print_all(
    inputs: Sequence[Path], texts: dict[int, _Text], pool: Pool, problems: list[str]
) -> dict[int, str]:
    """Every text as LLVM prints it, in forms that the index can read without ambiguity."""
    ready: dict[int, str] = {}
    for n, text in texts.items():
        if text.printed:
            ready[n] = text.data.decode("latin-1")
        else:
            pool.submit(Job("read", n, (text.data,)))
    _collect(inputs, pool, ready, problems)
    for n, printed in ready.items():
        if _ambiguous(printed):
            pool.submit(Job("read", n, (printed.encode("latin-1"), True)))
    _collect(inputs, pool, ready, problems)
    return ready


def _collect(inputs: Sequence[Path], pool: Pool, ready: dict[int, str], problems: list[str]) -> None:
    for done in pool.results():
        n = done.job.tag
        if done.error is None:
            ready[n] = done.result
        elif isinstance(done.error, WorkerDied):
            problems.append(f"{inputs[n]}: LLVM cannot read it ({done.error}); is the file damaged?")
        else:
            problems.append(f"{inputs[n]}: {done.error}")


def _ambiguous(text: str) -> bool:
    """Whether some local name would be taken for a type's."""
    names = local_names(text)
    return bool(names) and not names.isdisjoint(type_names(text))
