"""Turns a build's inputs into printed IR and a list of native files for the link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nativecache.aot import clang
from nativecache.aot.errors import BuildError
from nativecache.aot.extract import local_names, type_names
from nativecache.aot.front import Sources, is_native, is_source, unreadable
from nativecache.aot.index import Module, index_module
from nativecache.aot.pool import Job, Pool, WorkerDied

_IR: Final = frozenset((".ll", ".bc"))
_KNOWN: Final = ".ll .bc .c .cc .cpp .cxx .s .o .a .so"
_MAGIC: Final = (b"\x7fELF", b"!<arch>", b"!<thin>")


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


def load(inputs: Sequence[Path], sources: Sources | None, pool: Pool) -> Loaded:
    """Reads all inputs; `sources` has compilers at work on those that need one.

    Raises BuildError with every input that cannot be read, each on a line of its own.
    """
    problems: list[str] = []
    warnings: list[str] = []
    native: dict[int, Path] = {}
    whole: list[str] = []
    texts: dict[int, _Text] = {}
    for n, path in enumerate(inputs):
        if problem := unreadable(path):
            problems.append(problem)
        elif is_source(path):
            continue
        elif is_native(path) or _starts(path, _MAGIC):
            native[n] = path
        elif path.suffix in _IR or _starts(path, (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")):
            texts[n] = _Text(path.read_bytes(), printed=False)
        else:
            problems.append(f"{path}: unknown kind of input; known are {_KNOWN}")
    for n, run, answer in sources.results() if sources else ():
        if isinstance(answer, BuildError):
            problems += answer.problems
            continue
        if answer.messages:
            warnings.append(answer.messages.rstrip())
        if run.whole:
            run.output.write_bytes(answer.output)
            native[n] = run.output
            whole.append(str(inputs[n]))
        else:
            texts[n] = _Text(answer.output, run.front.prints)
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


def _starts(path: Path, magic: tuple[bytes, ...]) -> bool:
    with path.open("rb") as file:
        return file.read(8).startswith(magic)


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
