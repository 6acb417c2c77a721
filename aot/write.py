"""Puts a finished file where the user wants it, and says what it looked like before it was moved there."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

from nativecache.aot.errors import BuildError
from nativecache.cache.dependencies import measure
from nativecache.linker.output import is_special, put
from nativecache.linker.signals import hold_signals


def _seen(path: str) -> str:
    return measure("image", (path,))


def write_file(path: Path, data: bytes) -> str:
    """Puts the output into place. Returns its `image` dependency's value, "" if it is no new file.

    Raises BuildError.
    """
    seen: list[str] = []
    # Signals are not held back from what may wait for a reader.
    held = nullcontext() if is_special(os.fspath(path)) else hold_signals()
    try:
        with held:
            replaced = put(os.fspath(path), data, seen=lambda name: seen.append(_seen(name)))
        return seen[0] if replaced else ""
    except OSError as error:
        raise BuildError(f"{path}: cannot be written: {error.strerror}") from None
