"""What is asked of a build. Light to import: clang is started before the rest is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nativecache.aot.errors import BuildError, UsageError
from nativecache.cache.lookup import EntryStore

EMIT_KINDS: Final = ("exe", "shared", "object", "archive", "asm", "bitcode")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for. `linker` and `driver` are names or paths; None lets us choose."""

    inputs: tuple[Path, ...]
    output: Path
    store: EntryStore
    emit: str = "exe"
    level: int = 2
    optimize: bool = True
    target: str | None = None
    cpu: str | None = None
    features: str = ""
    threads: int = 1
    clang: str | None = None
    clang_flags: tuple[str, ...] = ()
    linker: str = "auto"
    driver: str | None = None
    engine: str = "auto"
    link_options: tuple[str, ...] = ()
    #: None for the default.
    import_lines: int | None = None
    verify_percent: float = 0.0  # of the hits, to be compiled again and compared
    environ: Mapping[str, str] = field(default_factory=dict)


def check(request: Request) -> None:
    """Raises BuildError or UsageError where the output cannot be written."""
    if request.output.is_dir():
        raise BuildError(f"{request.output}: is a directory; name a file with -o")
    if not request.output.absolute().parent.is_dir():
        raise BuildError(f"{request.output}: its folder does not exist")
    for path in request.inputs:
        if path.exists() and request.output.exists() and path.samefile(request.output):
            raise UsageError(f"{path}: is an input and the output; name another file with -o")
