"""Puts a finished file where the user wants it, and says what it looked like before it was moved there."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

from nativecache.aot.errors import BuildError
from nativecache.cache.dependencies import measure
from nativecache.linker.output import is_special, put
from nativecache.linker.signals import hold_signals


def measure_image(path: str) -> str:
    """The value of the `image` dependency (cache/dependencies.py) of an output that is at `path` now."""
    return measure("image", (path,))


def write_file(path: Path, data: bytes) -> str:
    """Writes an output and moves it into place. Returns what `measure_image` said before, "" for no new file.

    Raises BuildError where it cannot be written.
    """
    seen: list[str] = []
    # Signals are not held back from what may wait for a reader.
    held = nullcontext() if is_special(os.fspath(path)) else hold_signals()
    try:
        with held:
            replaced = put(os.fspath(path), data, seen=lambda name: seen.append(measure_image(name)))
        return seen[0] if replaced else ""
    except OSError as error:
        raise BuildError(f"{path}: cannot be written: {error.strerror}") from None
